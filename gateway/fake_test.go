package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/trail"
	"github.com/soapward/soapward/internal/testenv"
)

// fakeParts make generations whose handlers answer with the names of the
// services, or do what a test wants.
type fakeParts struct {
	handler func(c *config.Config) http.Handler // nil: names
	refuse  atomic.Pointer[error]               // of build

	built, ended, running atomic.Int64
	closed                atomic.Bool
	log                   *slog.Logger
	mu                    sync.Mutex
	reloads               []error
}

func (f *fakeParts) build(_ context.Context, c *config.Config, _ *generation) (*generation, error) {
	if err := f.refuse.Load(); err != nil {
		return nil, *err
	}
	f.built.Add(1)
	proxies := new(authn.Proxies)
	for _, n := range c.TrustedProxies {
		proxies.Networks = append(proxies.Networks, n.Prefix)
	}
	g := &generation{config: c, proxies: proxies, end: func(*generation) { f.ended.Add(1) }, background: func(ctx context.Context) {
		f.running.Add(1)
		defer f.running.Add(-1)
		<-ctx.Done()
	}}
	if f.handler != nil {
		g.inbound = f.handler(c)
	} else {
		g.inbound = text(strings.Join(slices.Sorted(maps.Keys(c.Services)), " "))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Upstreams)) {
		g.outbound = append(g.outbound, endpoint{name, c.Upstreams[name].Listen, text("upstream " + name)})
	}
	return g, nil
}

func text(s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Client", authn.ClientAddr(r).String())
		_, _ = io.WriteString(w, s)
	})
}

func (f *fakeParts) Wrap(_ trail.Direction, _ string, next http.Handler) http.Handler { return next }
func (f *fakeParts) Reconfigure(*config.Config) error                                 { return nil }
func (f *fakeParts) Recheck()                                                         {}
func (f *fakeParts) Drain()                                                           {}
func (f *fakeParts) Admin() http.Handler                                              { return text("admin") }
func (f *fakeParts) Close(context.Context) error                                      { return nil }
func (f *fakeParts) Reloaded(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reloads = append(f.reloads, err)
	if err != nil && f.log != nil {
		f.log.Error("reload refused", slog.String("cause", err.Error()))
	}
}

func (f *fakeParts) close(context.Context) error {
	f.closed.Store(true)
	return nil
}

// running is a gateway that serves.
type running struct {
	*Gateway
	t    *testing.T
	dir  string
	file string
	log  *testenv.Log
	fake *fakeParts

	stop context.CancelFunc
	done chan struct{}
	err  error // of Run, after done
}

// start runs a gateway whose configuration is text.
func start(t *testing.T, text string, fake *fakeParts, watch bool) *running {
	t.Helper()
	r := &running{t: t, dir: t.TempDir(), log: new(testenv.Log), fake: fake, done: make(chan struct{})}
	r.file = filepath.Join(r.dir, "gw.yaml")
	r.write(r.file, text)
	c, err := config.Load(r.file)
	if err != nil {
		t.Fatal(err)
	}
	r.Gateway, err = New(c, r.file, Options{
		Logger: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})), NoWatch: !watch,
		testOnlyParts: func(g *Gateway) parts { fake.log = g.log; return fake },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	go func() {
		r.err = r.Run(ctx)
		close(r.done)
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", r.log)
		}
	})
	t.Cleanup(func() { r.end() })
	return r
}

// end stops the gateway and returns what Run returned.
func (r *running) end() error {
	r.stop()
	select {
	case <-r.done:
	case <-time.After(time.Minute):
		r.t.Error("it does not stop")
	}
	return r.err
}

// write puts a file into the place of another one at once.
func (r *running) write(file, text string) {
	r.t.Helper()
	temp := file + ".new"
	err := os.WriteFile(temp, []byte(text), 0o600)
	if err = errors.Join(err, os.Rename(temp, file)); err != nil {
		r.t.Fatal(err)
	}
}

// freeAddr returns an address that nothing listens at.
func freeAddr(t *testing.T) string {
	t.Helper()
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// configuration of services at addresses.
func configuration(services string, addrs ...string) string {
	var b strings.Builder
	b.WriteString("listen:\n")
	for _, a := range addrs {
		fmt.Fprintf(&b, "  - {addr: %q}\n", a)
	}
	b.WriteString("services:\n")
	for name := range strings.FieldsSeq(services) {
		fmt.Fprintf(&b, "  %s: {match: {path: /%s/}, login: [none], upstream: {url: \"http://127.0.0.1:9\"}}\n", name, name)
	}
	return b.String()
}

// fetch gets a URL on a new connection.
func fetch(t *testing.T, url string) string {
	t.Helper()
	s, err := tryFetch(url)
	if err != nil {
		t.Error(err)
	}
	return s
}

func tryFetch(url string) (string, error) {
	tr := &http.Transport{DisableKeepAlives: true}
	return fetchBy(&http.Client{Transport: tr, Timeout: 20 * time.Second}, url)
}

func fetchBy(c *http.Client, url string) (string, error) {
	res, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != 200 {
		err = fmt.Errorf("%s: %s", url, res.Status)
	}
	return string(b), err
}

// eventually waits until cond is true.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := testenv.Poll(ctx, func() error {
		if !cond() {
			return errors.New(what)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func refusesConnections(addr string) bool {
	c, err := net.Dial("tcp", addr)
	if err == nil {
		_ = c.Close()
	}
	return err != nil
}
