package authclient_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authclient"
)

// TestAttackLoginThroughSharingProxy: on plain HTTP the login would be the
// proxy's connection's, and another client's call would run in our name.
func TestAttackLoginThroughSharingProxy(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	for _, keeps := range []bool{false, true} {
		up := &http.Transport{MaxConnsPerHost: 1}
		t.Cleanup(up.CloseIdleConnections)
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			out := r.Clone(r.Context())
			out.RequestURI = ""
			out.Header.Del("Accept-Encoding")
			resp, err := up.RoundTrip(out)
			if err != nil {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			defer resp.Body.Close()
			for k, v := range resp.Header {
				w.Header()[k] = v
			}
			if keeps { // RFC 4559 6
				w.Header().Set("Proxy-Support", "Session-Based-Authentication")
			}
			w.WriteHeader(resp.StatusCode)
			_, _ = io.Copy(w, resp.Body)
		}))
		t.Cleanup(proxy.Close)
		u, err := url.Parse(proxy.URL)
		if err != nil {
			t.Fatal(err)
		}
		tr := &authclient.Transport{Source: authclient.Static(ntlmCredential("alice")), Base: &http.Transport{Proxy: http.ProxyURL(u)}}
		t.Cleanup(tr.CloseIdleConnections)
		status, body, err := do(&http.Client{Transport: tr}, "GET", s.URL, nil)
		if keeps && (err != nil || status != 200) {
			t.Errorf("a proxy that keeps connections apart: %d %q, %v", status, body, err)
		}
		if !keeps && !errors.Is(err, authclient.ErrSharedConnection) {
			t.Errorf("%d %q, %v; want ErrSharedConnection", status, body, err)
		}
	}
}

// TestRequestRunsOnce: a path that needs no login, on a server where others
// do, runs each request once and whole.
func TestRequestRunsOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	inner := s.Config.Handler
	var runs, bytesSeen atomic.Int64
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/public") {
			n, _ := io.Copy(io.Discard, r.Body)
			bytesSeen.Add(n)
			runs.Add(1)
			return
		}
		inner.ServeHTTP(w, r)
	})
	for _, tt := range []struct {
		method string
		body   int
	}{{"DELETE", 0}, {"POST", 0}, {"POST", 10}, {"POST", 64 << 10}, {"POST", 1 << 20}} {
		c := newClient(t, ntlmCredential("alice"))
		if _, _, err := do(c, "GET", s.URL+"/protected", nil); err != nil {
			t.Fatal(err)
		}
		c.CloseIdleConnections() // the next one begins with what is remembered
		runs.Store(0)
		bytesSeen.Store(0)
		var body io.Reader
		if tt.body > 0 {
			body = bytes.NewReader(make([]byte, tt.body))
		}
		if status, _, err := do(c, tt.method, s.URL+"/public/1", body); err != nil || status != 200 {
			t.Fatalf("%s of %d bytes: %d, %v", tt.method, tt.body, status, err)
		}
		if runs.Load() != 1 || bytesSeen.Load() != int64(tt.body) {
			t.Errorf("%s of %d bytes: ran %d times with %d bytes in all", tt.method, tt.body, runs.Load(), bytesSeen.Load())
		}
	}
}

// TestPaymentRunsOnce: a connection that breaks while the service is at work is
// an error for a POST, and a second try for what may run twice.
func TestPaymentRunsOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method, key string
		runs        int64
	}{{"POST", "", 1}, {"POST", "k1", 2}, {"PUT", "", 2}} {
		var runs atomic.Int64
		s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/pay" && runs.Add(1) == 1 {
				time.Sleep(400 * time.Millisecond) // what a service takes, and a load balancer does not wait for
				panic(http.ErrAbortHandler)
			}
		}))
		t.Cleanup(s.Close)
		c := newClient(t, ntlmCredential("alice"))
		if _, _, err := do(c, "GET", s.URL, nil); err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequest(tt.method, s.URL+"/pay", strings.NewReader("1000 EUR"))
		if err != nil {
			t.Fatal(err)
		}
		if tt.key != "" {
			req.Header.Set("Idempotency-Key", tt.key)
		}
		resp, err := c.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		if runs.Load() != tt.runs || (err == nil) != (tt.runs == 2) {
			t.Errorf("%s with key %q: ran %d times, %v; want %d", tt.method, tt.key, runs.Load(), err, tt.runs)
		}
	}
}

// TestEarlyRefusal: a front end that refuses at once and reads on, as IIS and
// nginx do, leaves a connection that only looks alive.
func TestEarlyRefusal(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go refuseEarly(c, s.Listener.Addr().String())
		}
	}()
	for i := range 5 {
		status, body, err := do(newClient(t, ntlmCredential("alice")), "POST", "http://"+l.Addr().String(), bytes.NewReader(make([]byte, 8<<20)))
		if err != nil || status != 200 || !strings.Contains(body, "body=8388608") {
			t.Errorf("upload %d: %d %q, %v", i, status, body, err)
		}
	}
}

// refuseEarly answers requests without credentials before it reads their body,
// and hands the others on.
func refuseEarly(c net.Conn, backend string) {
	defer c.Close()
	u, err := net.Dial("tcp", backend)
	if err != nil {
		return
	}
	defer u.Close()
	in, out := bufio.NewReader(c), bufio.NewReader(u)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if r.Header.Get("Authorization") == "" {
			_, _ = fmt.Fprint(c, "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 5\r\n\r\nnope!")
			_, _ = io.Copy(io.Discard, r.Body)
			continue
		}
		_ = r.Write(u)
		resp, err := http.ReadResponse(out, r)
		if err != nil {
			return
		}
		_ = resp.Write(c)
	}
}

// TestLongRefusal: a 401 page that is too long to read costs its connection and
// not the call.
func TestLongRefusal(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	inner := s.Config.Handler
	page := bytes.Repeat([]byte("x"), 200<<10)
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", "NTLM")
			w.WriteHeader(401)
			_, _ = w.Write(page)
			return
		}
		inner.ServeHTTP(w, r)
	})
	for i := range 50 {
		if status, _, err := do(newClient(t, ntlmCredential("alice")), "GET", s.URL, nil); err != nil || status != 200 {
			t.Fatalf("call %d: %d, %v", i, status, err)
		}
	}
}

// TestBodyThatWaits: a body that does not come is no reason to outlive the
// deadline.
func TestBodyThatWaits(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", s.URL, r)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := newClient(t, ntlmCredential("alice")).Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v, want the deadline", err)
	}
}

// TestUpgrade: the body of a 101 is the connection, to be written to as well.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(c, line)
	}))
	t.Cleanup(s.Close)
	req, err := http.NewRequest("GET", s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := newClient(t, ntlmCredential("alice")).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	conn, ok := resp.Body.(io.ReadWriter)
	if !ok {
		t.Fatalf("body %T cannot be written to", resp.Body)
	}
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "hello\n" {
		t.Errorf("%q, %v", line, err)
	}
}

// TestCloseAfterRequest: a program that wants its connection closed, as stubs
// of gowsdl do with each call, gets it closed after the login and not within.
func TestCloseAfterRequest(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	c := newClient(t, ntlmCredential("alice"))
	for i := range 2 {
		req, err := http.NewRequest("POST", s.URL, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		req.Close = true
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if got := s.conns.Load(); resp.StatusCode != 200 || got != int64(i+1) {
			t.Errorf("call %d: status %d, %d connections", i, resp.StatusCode, got)
		}
	}
}

// TestRejectedNegotiation: a server may say no in SPNEGO's words.
func TestRejectedNegotiation(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", "Negotiate")
		if r.Header.Get("Authorization") != "" {
			w.Header().Set("WWW-Authenticate", "Negotiate oQcwBaADCgEC")
		}
		w.WriteHeader(401)
	}))
	t.Cleanup(s.Close)
	var re *authclient.RefusedError
	if _, _, err := do(newClient(t, ntlmCredential("alice")), "GET", s.URL, nil); !errors.As(err, &re) || re.Scheme != "Negotiate" {
		t.Errorf("err = %v, want a RefusedError", err)
	}
}

// TestConnectionClosedAfterChallenge: a server that closes after its 401, and
// says so late or never, costs a connection and not the call.
func TestConnectionClosedAfterChallenge(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	var first atomic.Int64
	inner := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" || first.Add(1) > 1 {
			inner.ServeHTTP(w, r)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n")
		_ = conn.Close()
	})
	for range 20 {
		first.Store(0)
		if status, _, err := do(newClient(t, ntlmCredential("alice")), "POST", s.URL, strings.NewReader("x")); err != nil || status != 200 {
			t.Fatalf("%d, %v", status, err)
		}
	}
}

// TestConnectionClosedInLogin: a connection that ends between two legs costs
// another login and not the call, unless that happens each time.
func TestConnectionClosedInLogin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		closed int64 // logins in which the server closes with its challenge
		ok     bool
	}{{"once", 1, true}, {"always", 1 << 30, false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, nil)
			var challenges atomic.Int64
			inner := s.Config.Handler
			s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.Header.Get("Authorization"), "NTLM TlRMTVNTUAAB") && challenges.Add(1) <= tt.closed {
					w.Header().Set("Connection", "close")
				}
				inner.ServeHTTP(w, r)
			})
			status, _, err := do(newClient(t, ntlmCredential("alice")), "POST", s.URL, strings.NewReader("x"))
			if tt.ok && (err != nil || status != 200) {
				t.Errorf("%d, %v", status, err)
			}
			if !tt.ok && (err == nil || !strings.Contains(err.Error(), "in the middle of the NTLM login")) {
				t.Errorf("%d, %v", status, err)
			}
			if n := challenges.Load(); n != 2 {
				t.Errorf("%d logins, want 2", n)
			}
		})
	}
}

// Threat 24a. A server that refused a login in words of its own and closed the
// connection got the login a second time, and a wrong password counted twice.
func TestAttackLoginRepeatedAfterRefusal(t *testing.T) {
	t.Parallel()
	var logins atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", "Negotiate")
		if r.Header.Get("Authorization") != "" {
			logins.Add(1)
			w.Header().Set("WWW-Authenticate", "Negotiate oQcwBaADCgEC") // reject
			w.Header().Set("Connection", "close")
		}
		w.WriteHeader(401)
	}))
	t.Cleanup(s.Close)
	var re *authclient.RefusedError
	if _, _, err := do(newClient(t, ntlmCredential("alice")), "GET", s.URL, nil); !errors.As(err, &re) {
		t.Errorf("err = %v, want a RefusedError", err)
	}
	if n := logins.Load(); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}
