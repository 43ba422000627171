package backend

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/gateway/config"
)

// named is a server that says its name.
func named(tb testing.TB, name string) string {
	return handler(tb, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
}

func TestServersInTurn(t *testing.T) {
	t.Parallel()
	f := serve(t, named(t, "a")+" "+named(t, "b")+" "+named(t, "c"))
	got := make(map[string]int)
	for range 30 {
		got[get(t, f.url).body]++
	}
	if got["a"] != 10 || got["b"] != 10 || got["c"] != 10 {
		t.Errorf("requests went to %v", got)
	}
}

// A busy server gets less.
func TestLeastBusy(t *testing.T) {
	t.Parallel()
	release, busy := make(chan struct{}), make(chan struct{}, 100)
	slow := handler(t, func(http.ResponseWriter, *http.Request) {
		busy <- struct{}{}
		<-release
	})
	f := serve(t, slow+" "+named(t, "b"))
	var waiting sync.WaitGroup
	waiting.Go(func() {
		for { // one in two goes there
			a, err := try(request(t, "GET", f.url, nil))
			if err != nil || a.body == "" {
				return
			}
		}
	})
	<-busy
	for range 20 {
		if a := get(t, f.url); a.body != "b" {
			t.Fatalf("the busy server got a request")
		}
	}
	close(release)
	waiting.Wait()
}

// Where one does not answer the others are asked, and it is left alone for a while.
func TestFailover(t *testing.T) {
	t.Parallel()
	f := serve(t, closedPort(t)+" "+named(t, "b")+" "+closedPort(t))
	for i := range 10 {
		if a := do(t, request(t, "POST", f.url+"/x", strings.NewReader("<a/>"))); a.status != 200 || a.body != "b" {
			t.Fatalf("%d: %+v", i, a)
		}
	}
	retries := 0
	f.lastTrail(t, 10)
	for _, tr := range f.trails {
		retries += tr.Retries
	}
	if retries == 0 || retries > 2 {
		t.Errorf("%d retries, want one or two: who is down is not asked again at once", retries)
	}
	if n := strings.Count(f.log.String(), "backend does not answer"); n == 0 || n > 2 {
		t.Errorf("the log tells of it %d times:\n%s", n, f.log)
	}

	all := serve(t, closedPort(t)+" "+closedPort(t))
	if a := get(t, all.url); a.status != 502 {
		t.Errorf("nobody: %+v", a)
	}
	if last := all.lastTrail(t, 1); last.Refusal != ReasonDown || last.Retries != 1 || !strings.Contains(last.Cause, "no other answers") {
		t.Errorf("nobody: %+v", last)
	}
}

// A server that is back gets requests again, the only one at once.
func TestRecovery(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	f := serve(t, "unix:"+path)
	if a := get(t, f.url); a.status != 502 {
		t.Fatalf("%+v", a)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(echo), ReadHeaderTimeout: wait}}
	s.Start()
	t.Cleanup(s.Close)
	if a := get(t, f.url); a.status != 200 {
		t.Errorf("%+v: %s", a, f.lastTrail(t, 2).Cause)
	}
	for _, line := range []string{"backend does not answer", "backend answers again"} {
		if !strings.Contains(f.log.String(), line) {
			t.Errorf("the log has no %q:\n%s", line, f.log)
		}
	}
}

// For how long a server is left alone.
func TestDownTime(t *testing.T) {
	t.Parallel()
	f := serve(t, closedPort(t))
	s := f.proxy.servers[0]
	var got []time.Duration
	for range 7 {
		s.downUntil.Store(1)
		s.failed(errors.New("x"))
		got = append(got, s.down)
	}
	if want := "[1s 2s 4s 8s 16s 30s 30s]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	s.failed(errors.New("x"))
	if s.answered(); s.down != 0 || s.downUntil.Load() != 0 {
		t.Errorf("after an answer: %v", s.down)
	}
}

// A server that says it is not well gets nothing until it is.
func TestHealth(t *testing.T) {
	t.Parallel()
	var sick atomic.Bool
	server := func(name string, sick *atomic.Bool) string {
		return handler(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path != "/health":
				_, _ = io.WriteString(w, name)
			case sick.Load():
				w.WriteHeader(503)
			}
		})
	}
	checked := with(func(c *config.Backend) {
		c.Health = &config.BackendHealth{Path: "/health", Interval: config.Duration(20 * time.Millisecond), Timeout: config.Duration(time.Second), Status: 200}
	})
	f := serve(t, server("a", &sick)+" "+server("b", new(atomic.Bool)), checked)
	answers := func() map[string]bool {
		got := make(map[string]bool)
		for range 6 {
			got[get(t, f.url).body] = true
		}
		return got
	}
	for _, now := range []bool{false, true, false} {
		sick.Store(now)
		eventually(t, func() error {
			if got := answers(); got["a"] == now || !got["b"] {
				return fmt.Errorf("sick %v: answers of %v", now, got)
			}
			return nil
		})
	}
	for _, line := range []string{"backend is not well", "want 200", "backend is well again"} {
		if !strings.Contains(f.log.String(), line) {
			t.Errorf("the log has no %q:\n%s", line, f.log)
		}
	}
	sick.Store(true)
	alone := serve(t, server("a", &sick), checked)
	eventually(t, func() error {
		if a := get(t, alone.url); a.status != 503 || a.header.Get("Retry-After") == "" {
			return fmt.Errorf("%+v", a)
		}
		return nil
	})
}

func TestChecks(t *testing.T) {
	t.Parallel()
	well, ill := named(t, "a"), handler(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	gone := closedPort(t)
	for _, tt := range []struct {
		name   string
		health *config.BackendHealth
		want   []string // of each server; empty: well
	}{
		{"connects", nil, []string{"", "", "refused"}},
		{"asks", &config.BackendHealth{Path: "/h", Status: 200, Interval: 1e9, Timeout: 1e9}, []string{"", "GET /h: 500 Internal Server Error, want 200", "refused"}},
	} {
		f := serve(t, well+" "+ill+" "+gone, with(func(c *config.Backend) { c.Health = tt.health }))
		checks := f.proxy.Checks()
		if len(checks) != 3 || checks[0].Name != "service hr: backend "+well {
			t.Fatalf("%s: %+v", tt.name, checks)
		}
		for i, c := range checks {
			err := c.Run(t.Context())
			if (err != nil) != (tt.want[i] != "") || err != nil && !strings.Contains(err.Error(), tt.want[i]) {
				t.Errorf("%s: %s: %v, want %q", tt.name, c.Name, err, tt.want[i])
			}
		}
	}
}

// No server gets more requests at once than it may, and few wait.
func TestMaxConnections(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	release := make(chan struct{})
	f := serve(t, handler(t, func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-release
		now.Add(-1)
	}), with(func(c *config.Backend) { c.MaxConnections = 2 }))
	const all = 2 + 2*queueFactor + 3
	statuses := make(chan int, all)
	for range all {
		go func() {
			a, err := try(request(t, "GET", f.url, nil))
			if err != nil {
				statuses <- 0
				return
			}
			statuses <- a.status
		}()
	}
	for range 3 { // those for whom there is no place
		if s := <-statuses; s != 503 {
			t.Errorf("status %d, want 503", s)
		}
	}
	eventually(t, func() error {
		if now.Load() != 2 {
			return fmt.Errorf("%d requests are there, want 2", now.Load())
		}
		return nil
	})
	close(release)
	for range all - 3 {
		if s := <-statuses; s != 200 {
			t.Errorf("status %d, want 200", s)
		}
	}
	if most.Load() != 2 {
		t.Errorf("%d requests at once, want 2", most.Load())
	}
	pool := &f.proxy.servers[0].pool
	if pool.busy.Load() != 0 || pool.taken != 0 || len(pool.waiting) != 0 {
		t.Errorf("left over: %d busy, %d taken, %d waiting", pool.busy.Load(), pool.taken, len(pool.waiting))
	}
}

// Who waits too long, or goes away, leaves the queue.
func TestQueueLeft(t *testing.T) {
	t.Parallel()
	release, began := make(chan struct{}), make(chan struct{}, 1)
	f := serve(t, handler(t, func(http.ResponseWriter, *http.Request) {
		began <- struct{}{}
		<-release
	}), with(func(c *config.Backend) { c.MaxConnections = 1 }))
	pool := &f.proxy.servers[0].pool
	pool.queueTimeout = 50 * time.Millisecond
	first := make(chan int, 1)
	go func() {
		if a, err := try(request(t, "GET", f.url, nil)); err == nil {
			first <- a.status
		} else {
			first <- 0
		}
	}()
	<-began
	if a := get(t, f.url); a.status != 503 || f.lastTrail(t, 1).Refusal != ReasonBusy {
		t.Errorf("%+v, %s", a, f.lastTrail(t, 1).Refusal)
	}
	pool.queueTimeout = wait
	c := raw(t, f.addr(), "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	eventually(t, func() error {
		pool.mu.Lock()
		defer pool.mu.Unlock()
		if len(pool.waiting) != 1 {
			return errors.New("nobody waits")
		}
		return nil
	})
	_ = c.Close()
	if last := f.lastTrail(t, 2); last.Refusal != ReasonClient {
		t.Errorf("gone: %s", last.Refusal)
	}
	close(release)
	if s := <-first; s != 200 {
		t.Errorf("the first got %d", s)
	}
}

// Idle connections are closed in time, and when the server closed them.
func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 1)
	b := fakeServer(t, func(_ int, c net.Conn, next func() *http.Request) {
		for r := next(); r != nil; r = next() {
			_, _ = io.WriteString(c, ok)
		}
		ended <- struct{}{}
	})
	f := serve(t, b.url, with(func(c *config.Backend) { c.IdleTimeout = config.Duration(50 * time.Millisecond) }))
	get(t, f.url)
	select {
	case <-ended:
	case <-time.After(wait):
		t.Fatal("the idle connection stays")
	}
	if a := do(t, request(t, "POST", f.url, strings.NewReader("x"))); a.status != 200 || b.count() != 2 {
		t.Errorf("%+v, %d connections", a, b.count())
	}
}

// A server that says for how long it keeps a connection is not asked at the end
// of that time.
func TestKeepAliveHint(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		hint string
		want time.Duration
	}{
		{"timeout=5, max=100", 5 * time.Second}, {"max=9,timeout=1", time.Second}, {"", 0}, {"timeout=x", 0}, {"timeout=99999999999", 0},
	} {
		if got := parseKeepAlive(tt.hint); got != tt.want {
			t.Errorf("%q: %v, want %v", tt.hint, got, tt.want)
		}
	}
	b := answering(t, "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=100\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n")
	f := serve(t, b.url)
	get(t, f.url)
	eventually(t, func() error {
		p := &f.proxy.servers[0].pool
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.idle) != 1 || p.idle[0].limit != 3750*time.Millisecond {
			return fmt.Errorf("idle: %+v", p.idle)
		}
		return nil
	})
}

// Many clients share connections, and each gets his own answer.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	f := serve(t, handler(t, echo))
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for j := range 50 {
				body := fmt.Sprintf("%d-%d-%s", i, j, strings.Repeat("x", (i*j*97)%100_000))
				resp, err := http.DefaultClient.Post(f.url, "text/plain", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || string(b) != body {
					t.Errorf("%.20q, %v, want %.20q", b, err, body)
					return
				}
			}
		})
	}
	all.Wait()
}
