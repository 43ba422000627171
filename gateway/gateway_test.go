package gateway

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/listen"
)

func TestReload(t *testing.T) {
	t.Parallel()
	a, b, admin, up := freeAddr(t), freeAddr(t), freeAddr(t), freeAddr(t)
	fake := new(fakeParts)
	r := start(t, configuration("one", a)+"admin: {addr: \""+admin+"\"}\n", fake, false)
	kept := &http.Client{Transport: &http.Transport{}}
	if got, err := fetchBy(kept, "http://"+a); got != "one" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got := fetch(t, "http://"+admin+"/healthz"); got != "admin" {
		t.Errorf("admin answers %q", got)
	}
	eventually(t, "the background has not begun", func() bool { return fake.running.Load() == 1 })

	r.write(r.file, configuration("one two", a, b)+"upstreams: {sp: {listen: \""+up+"\", url: \"http://x\", act_as: [caller]}}\n")
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	reused := false
	for _, tt := range []struct{ addr, want string }{{a, "one two"}, {b, "one two"}, {up, "upstream sp"}} {
		if got := fetch(t, "http://"+tt.addr); got != tt.want {
			t.Errorf("%s answers %q, want %q", tt.addr, got, tt.want)
		}
	}
	if got, err := fetchBy(&http.Client{Transport: traced{kept.Transport, &reused}}, "http://"+a); got != "one two" || err != nil || !reused {
		t.Errorf("on the connection of before: %q, %v, reused %v", got, err, reused)
	}
	eventually(t, "the admin listener is open", func() bool { return refusesConnections(admin) })
	eventually(t, "the first generation is not ended", func() bool { return fake.ended.Load() == 1 })
	eventually(t, "one background", func() bool { return fake.running.Load() == 1 })
	if l := r.Listening(); len(l) != 3 || l[2].Upstream != "sp" || l[0].Local.String() != string(l[0].Addr) {
		t.Errorf("listening %+v", l)
	}

	r.write(r.file, configuration("three", b))
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the removed listener is open", func() bool { return refusesConnections(a) })
	if err := r.end(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if fake.built.Load() != 3 || fake.ended.Load() != 3 || !fake.closed.Load() || fake.running.Load() != 0 {
		t.Errorf("built %d, ended %d, closed %v", fake.built.Load(), fake.ended.Load(), fake.closed.Load())
	}
	if err := r.Reload(); !errors.Is(err, ErrStopping) {
		t.Errorf("Reload after the end: %v", err)
	}
}

// traced notes whether a connection was used before.
type traced struct {
	http.RoundTripper
	reused *bool
}

func (tr traced) RoundTrip(r *http.Request) (*http.Response, error) {
	return tr.RoundTripper.RoundTrip(r.WithContext(withReused(r.Context(), tr.reused)))
}

// A configuration that is wrong, in whatever way, leaves the running one in force.
func TestAttackBadReload(t *testing.T) {
	t.Parallel()
	a, free := freeAddr(t), freeAddr(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	fake := new(fakeParts)
	r := start(t, configuration("one", a), fake, false)
	broken := errors.New("no such keytab")
	for _, tt := range []struct {
		name, text string
		refuse     error
		want       string
	}{
		{"syntax", "listen: [", nil, "yaml"},
		{"unknown key", "lstien: []", nil, "did you mean"},
		{"empty", "", nil, "empty"},
		{"a part", configuration("two", a), broken, "no such keytab"},
		{"an address that is taken", configuration("two", a, free, busy.Addr().String()), nil, "address already in use"},
		{"a certificate", configuration("two", a) + "admin: {addr: \"" + free + "\", tls: {cert: none.pem, key: none.key}}", nil, "none.pem"},
	} {
		fake.refuse.Store(nil)
		if tt.refuse != nil {
			fake.refuse.Store(&tt.refuse)
		}
		r.write(r.file, tt.text)
		if err := r.Reload(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
		if got := fetch(t, "http://"+a); got != "one" {
			t.Errorf("%s: afterwards %q answers", tt.name, got)
		}
		if !refusesConnections(free) {
			t.Errorf("%s: an address of it stays open", tt.name)
		}
		if got := r.log.String(); !strings.Contains(got, tt.want) {
			t.Errorf("%s: log %s", tt.name, got)
		}
	}
	if len(fake.reloads) != 6 || fake.reloads[0] == nil || fake.ended.Load() != 2 {
		t.Errorf("told of %d reloads; %d generations ended", len(fake.reloads), fake.ended.Load())
	}
	if err := os.Remove(r.file); err != nil {
		t.Fatal(err)
	}
	if err := r.Reload(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the file: %v", err)
	}
}

func TestNewErrors(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	a := freeAddr(t)
	c, err := config.Parse("c.yaml", []byte(configuration("one", a, busy.Addr().String())))
	if err != nil {
		t.Fatal(err)
	}
	fake := new(fakeParts)
	_, err = New(c, "c.yaml", Options{testOnlyParts: func(*Gateway) parts { return fake }})
	var e *listen.Error
	if !errors.As(err, &e) || e.Remedy == "" {
		t.Errorf("New: %v", err)
	}
	if !fake.closed.Load() || fake.ended.Load() != 1 || !refusesConnections(a) {
		t.Error("something is left")
	}
}

// A request that is in flight at a reload ends in the generation it began in,
// which is ended after it, also where its listener is removed.
func TestRequestKeepsGeneration(t *testing.T) {
	t.Parallel()
	a, b := freeAddr(t), freeAddr(t)
	entered, release := make(chan struct{}, 8), make(chan struct{})
	fake := new(fakeParts)
	fake.handler = func(c *config.Config) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/wait" {
				entered <- struct{}{}
				<-release
			}
			names := ""
			for name := range c.Services {
				names += name
			}
			_, _ = io.WriteString(w, names)
		})
	}
	r := start(t, configuration("one", a, b), fake, false)
	answers := make(chan string, 2)
	for _, addr := range []string{a, b} {
		go func() {
			s, err := tryFetch("http://" + addr + "/wait")
			if err != nil {
				s = err.Error()
			}
			answers <- s
		}()
	}
	<-entered
	<-entered
	r.write(r.file, configuration("two", a))
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, "http://"+a); got != "two" {
		t.Errorf("a new request: %q", got)
	}
	eventually(t, "the removed listener is open", func() bool { return refusesConnections(b) })
	if fake.ended.Load() != 0 {
		t.Error("a generation ended while requests were in it")
	}
	close(release)
	for range 2 {
		if got := <-answers; got != "one" {
			t.Errorf("in flight: %q", got)
		}
	}
	eventually(t, "the first generation is not ended", func() bool { return fake.ended.Load() == 1 })
}

func TestGracefulStop(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		grace string
		cut   bool
	}{{"in time", "20s", false}, {"too long", "200ms", true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, admin := freeAddr(t), freeAddr(t)
			entered, release := make(chan struct{}), make(chan struct{})
			fake := &fakeParts{handler: func(*config.Config) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					close(entered)
					select {
					case <-release:
					case <-r.Context().Done():
						return
					}
					_, _ = io.WriteString(w, "whole")
				})
			}}
			r := start(t, configuration("one", a)+"shutdown: {grace: "+tt.grace+"}\nadmin: {addr: \""+admin+"\"}\n", fake, false)
			answer := make(chan error, 1)
			go func() {
				s, err := tryFetch("http://" + a)
				if err == nil && s != "whole" {
					err = errors.New(s)
				}
				answer <- err
			}()
			<-entered
			r.stop()
			eventually(t, "it accepts while it stops", func() bool { return refusesConnections(a) })
			ready := r.Checks()[0]
			if err := ready.Run(t.Context()); !errors.Is(err, ErrStopping) || !ready.Essential {
				t.Errorf("readiness: %v", err)
			}
			if !tt.cut {
				if got := fetch(t, "http://"+admin); got != "admin" {
					t.Errorf("admin answers %q while it stops", got)
				}
				close(release)
			}
			err := r.end()
			if got := <-answer; (got != nil) != tt.cut || (err != nil) != tt.cut {
				t.Errorf("client: %v; Run: %v", got, err)
			}
			if tt.cut && err != nil && !strings.Contains(err.Error(), "requests were cut off") {
				t.Errorf("Run: %v", err)
			}
			if fake.ended.Load() != 1 || !fake.closed.Load() || !refusesConnections(admin) {
				t.Error("something is left")
			}
		})
	}
}

// A WebSocket stays over a reload, also where its listener is removed, and ends
// when the gateway stops.
func TestUpgradedConnections(t *testing.T) {
	t.Parallel()
	a, b := freeAddr(t), freeAddr(t)
	var handlers sync.WaitGroup
	var byContext atomic.Int64
	fake := &fakeParts{handler: func(*config.Config) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") == "" {
				return
			}
			handlers.Add(1)
			defer handlers.Done()
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = c.Close() }()
			_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			_ = rw.Flush()
			go func() {
				_, _ = io.Copy(c, rw)
			}()
			<-r.Context().Done()
			byContext.Add(1)
		})
	}}
	r := start(t, configuration("one", a, b)+"shutdown: {grace: 20s}\n", fake, false)
	var sockets []net.Conn
	for _, addr := range []string{a, b} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != 101 {
			t.Fatalf("%v, %v", res, err)
		}
		sockets = append(sockets, c)
	}
	r.write(r.file, configuration("two", a)+"shutdown: {grace: 20s}\n")
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the removed listener is open", func() bool { return refusesConnections(b) })
	for i, c := range sockets {
		b := make([]byte, 4)
		_, _ = io.WriteString(c, "ping")
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "ping" {
			t.Errorf("%d after the reload: %q, %v", i, b, err)
		}
	}
	begin := time.Now()
	if err := r.end(); err != nil {
		t.Errorf("Run: %v", err)
	}
	for i, c := range sockets {
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d is open after the end: %v", i, err)
		}
	}
	handlers.Wait()
	if took := time.Since(begin); took > 10*time.Second || byContext.Load() != 2 {
		t.Errorf("the end took %v, %d handlers were told", took, byContext.Load())
	}
}
