package backend

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/trail"
)

var alice = &authn.Identity{
	Account: "alice", Domain: "CORP", UPN: "alice@corp.test", DisplayName: "Alice Jürgens", SID: "S-1-5-21-1-2-3-1104",
	Groups: []authn.Group{{Name: `CORP\Payroll`}, {SID: "S-1-5-21-1-2-3-513"}, {Name: `CORP\a,b`}}, Roles: []string{"clerk"},
	Claims: authn.Claims{"email": {"alice@example.com"}}, Mechanism: authn.MechanismKerberos,
}

// wait bounds what must happen soon.
const wait = 10 * time.Second

// A front is a gateway with one service, whose callers are as the test wants.
type front struct {
	url   string
	proxy *Proxy
	log   *syncBuffer

	mu     sync.Mutex
	trails []*trail.Trail
}

type setting func(*front, *config.Backend, *Options, *tokens, *func(http.Handler) http.Handler)

func with(f func(c *config.Backend)) setting {
	return func(_ *front, c *config.Backend, _ *Options, _ *tokens, _ *func(http.Handler) http.Handler) { f(c) }
}

// as makes id the caller of all requests.
func as(id *authn.Identity) setting {
	return around(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(authn.NewContext(r.Context(), id)))
		})
	})
}

func around(wrap func(http.Handler) http.Handler) setting {
	return func(_ *front, _ *config.Backend, _ *Options, _ *tokens, w *func(http.Handler) http.Handler) {
		old := *w
		*w = func(h http.Handler) http.Handler { return old(wrap(h)) }
	}
}

func issuing(issuer tokens) setting {
	return func(_ *front, _ *config.Backend, _ *Options, t *tokens, _ *func(http.Handler) http.Handler) {
		*t = issuer
	}
}

func trusting(networks ...string) setting {
	return around(func(next http.Handler) http.Handler {
		p, err := authn.ParseProxies(networks...)
		if err != nil {
			panic(err)
		}
		return p.Wrap(next)
	})
}

func backendURL(tb testing.TB, s string) config.BackendURL {
	tb.Helper()
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		return config.BackendURL{URL: &url.URL{Scheme: "unix", Path: path, OmitHost: true}}
	}
	u, err := url.Parse(s)
	if err != nil {
		tb.Fatal(err)
	}
	return config.BackendURL{URL: u}
}

// serve starts a gateway in front of servers.
func serve(tb testing.TB, servers string, settings ...setting) *front {
	tb.Helper()
	f := &front{log: new(syncBuffer)}
	c := &config.Backend{Host: config.HostOfClient, Forwarded: config.ForwardedX}
	for s := range strings.FieldsSeq(servers) {
		c.URLs = append(c.URLs, backendURL(tb, s))
	}
	o := Options{Service: "hr", Logger: slog.New(slog.NewTextHandler(f.log, nil)), OwnCookie: func(name string) bool {
		return strings.HasPrefix(strings.TrimPrefix(name, "__Host-"), "soapward-")
	}}
	var issuer tokens
	wrap := func(h http.Handler) http.Handler { return h }
	for _, s := range settings {
		s(f, c, &o, &issuer, &wrap)
	}
	p, err := newProxy(c, o, issuer)
	if err != nil {
		tb.Fatal(err)
	}
	f.proxy = p
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := new(trail.Trail)
		r = r.WithContext(authn.WithRef(trail.With(r.Context(), t), "ref-1"))
		defer func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.trails = append(f.trails, t)
		}()
		wrap(p).ServeHTTP(w, r)
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Start()
	tb.Cleanup(func() {
		s.Close()
		if err := p.Close(); err != nil {
			tb.Error(err)
		}
	})
	f.url = s.URL
	return f
}

func (f *front) addr() string { return strings.TrimPrefix(f.url, "http://") }

// lastTrail waits until the handlers of n requests have returned.
func (f *front) lastTrail(tb testing.TB, n int) *trail.Trail {
	tb.Helper()
	var last *trail.Trail
	eventually(tb, func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.trails) < n {
			return fmt.Errorf("%d requests ended, want %d", len(f.trails), n)
		}
		last = f.trails[len(f.trails)-1]
		return nil
	})
	return last
}

func eventually(tb testing.TB, cond func() error) {
	tb.Helper()
	deadline := time.Now().Add(wait)
	for {
		err := cond()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// raw makes a request of text over a connection of its own.
func raw(tb testing.TB, addr, text string) net.Conn {
	tb.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(wait))
	if _, err := io.WriteString(c, text); err != nil {
		tb.Fatal(err)
	}
	return c
}

// A fake is a server that the test writes by hand, one connection at a time in
// each goroutine.
type fake struct {
	url string

	mu    sync.Mutex
	conns int
	seen  []string // heads of requests
}

// fakeServer serves each connection with f, which gets requests by next, and closes
// it when f returns.
func fakeServer(tb testing.TB, f func(n int, c net.Conn, next func() *http.Request)) *fake {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &fake{url: "http://" + l.Addr().String()}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			n := s.conns
			s.conns++
			s.mu.Unlock()
			all.Go(func() {
				stop := context.AfterFunc(ctx, func() { _ = c.Close() })
				defer stop()
				defer func() { _ = c.Close() }()
				f(n, c, s.reader(c))
			})
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		cancel()
		all.Wait()
	})
	return s
}

// reader returns what reads requests of a connection: nil at its end.
func (s *fake) reader(c net.Conn) func() *http.Request {
	var head bytes.Buffer
	br := bufio.NewReader(io.TeeReader(c, &head))
	return func() *http.Request {
		head.Reset()
		r, err := http.ReadRequest(br)
		if err != nil {
			return nil
		}
		text, _, _ := strings.Cut(head.String(), "\r\n\r\n")
		s.mu.Lock()
		s.seen = append(s.seen, text)
		s.mu.Unlock()
		return r
	}
}

func (s *fake) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// head returns that of the last request.
func (s *fake) head() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) == 0 {
		return ""
	}
	return s.seen[len(s.seen)-1]
}

// answering is a server that answers each request with the same text.
func answering(tb testing.TB, text string) *fake {
	return fakeServer(tb, func(_ int, c net.Conn, next func() *http.Request) {
		for r := next(); r != nil; r = next() {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	})
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// answer is what a client got.
type answer struct {
	status  int
	header  http.Header
	trailer http.Header
	body    string
	err     error // of the body
}

func do(tb testing.TB, r *http.Request) *answer {
	tb.Helper()
	a, err := try(r)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func try(r *http.Request) (*answer, error) {
	c := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		Timeout:       wait,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return &answer{resp.StatusCode, resp.Header, resp.Trailer, string(b), err}, nil
}

func get(tb testing.TB, url string) *answer {
	tb.Helper()
	return do(tb, request(tb, http.MethodGet, url, nil))
}

func request(tb testing.TB, method, url string, body io.Reader) *http.Request {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), method, url, body)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// handler starts a server with net/http.
func handler(tb testing.TB, h http.HandlerFunc) string {
	tb.Helper()
	s := httptest.NewServer(h)
	tb.Cleanup(s.Close)
	return s.URL
}

// tokensFunc is an issuer.
type tokensFunc func(id *authn.Identity) (string, error)

func (f tokensFunc) Token(_ context.Context, id *authn.Identity, _ string) (string, error) {
	return f(id)
}

var errIssuer = errors.New("no key")
