package backend

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
)

func timeout(d time.Duration) setting {
	return with(func(c *config.Backend) { c.Timeout = config.Duration(d) })
}

// closedPort is an address where nobody listens.
func closedPort(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String()
}

// What the client and the log learn of a server that does not do its part.
func TestFailures(t *testing.T) {
	t.Parallel()
	silent := fakeServer(t, func(_ int, _ net.Conn, next func() *http.Request) {
		next()
		next() // until the end
	})
	slowHead := fakeServer(t, func(_ int, c net.Conn, next func() *http.Request) {
		next()
		for _, b := range []byte("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1000)) {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	closing := fakeServer(t, func(_ int, _ net.Conn, next func() *http.Request) { next() })
	for _, tt := range []struct {
		name, server  string
		set           setting
		status        int
		reason, cause string
	}{
		{"nobody", closedPort(t), timeout(0), 502, ReasonDown, "connection refused"},
		{"no name", "http://no.such.name.invalid", timeout(0), 502, ReasonDown, "no.such.name.invalid"},
		{"silent", silent.url, timeout(50 * time.Millisecond), 504, ReasonTimeout, "no answer in 50ms"},
		{"slow", slowHead.url, timeout(50 * time.Millisecond), 504, ReasonTimeout, "no answer in 50ms"},
		{"closing", closing.url, timeout(0), 502, ReasonProtocol, "closed the connection before its answer"},
		{"no HTTP", answering(t, "SSH-2.0-OpenSSH\r\n\r\n").url, timeout(0), 502, ReasonProtocol, "no status line"},
		{"TLS", answering(t, "\x15\x03\x01\x00\x02\x02\x0a\n").url, timeout(0), 502, ReasonProtocol, "without CR"},
		{"1xx for ever", answering(t, strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 100)).url, timeout(0), 502, ReasonProtocol, "interim"},
		{"101 to nothing", answering(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n").url, timeout(0), 502, ReasonProtocol, "nobody asked for"},
		{"101 unasked", answering(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").url, timeout(0), 502, ReasonProtocol, "nobody asked for"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, tt.server, tt.set)
			a := get(t, f.url)
			if a.status != tt.status || !strings.Contains(a.body, "reference ref-1") || strings.Contains(a.body, "127.0.0.1") {
				t.Errorf("client got %d %q", a.status, a.body)
			}
			if got := f.lastTrail(t, 1); got.Refusal != tt.reason || !strings.Contains(got.Cause, tt.cause) {
				t.Errorf("trail has %s: %q, want %s: %q", got.Refusal, got.Cause, tt.reason, tt.cause)
			}
			if log := f.log.String(); !strings.Contains(log, tt.cause) || !strings.Contains(log, "ref=ref-1 reason="+tt.reason) || !strings.Contains(log, "service=hr") {
				t.Errorf("log:\n%s", log)
			}
		})
	}
}

// A new connection that the server closes is no stale one: it may have taken the
// request.
func TestClosedAtOnce(t *testing.T) {
	t.Parallel()
	b := fakeServer(t, func(_ int, _ net.Conn, next func() *http.Request) { next() })
	f := serve(t, b.url)
	if a := get(t, f.url); a.status != 502 || b.count() != 1 {
		t.Errorf("status %d, %d connections", a.status, b.count())
	}
}

// The way to refuse belongs to whoever knows what the client speaks.
func TestDeny(t *testing.T) {
	t.Parallel()
	deny := func(w http.ResponseWriter, _ *http.Request, status int, ref string) {
		w.WriteHeader(500)
		_, _ = fmt.Fprintf(w, "<fault %d %s/>", status, ref)
	}
	f := serve(t, closedPort(t), func(_ *front, _ *config.Backend, o *Options, _ *tokens, _ *func(http.Handler) http.Handler) {
		o.Deny = deny
	})
	if a := get(t, f.url); a.status != 500 || a.body != "<fault 502 ref-1/>" {
		t.Errorf("%+v", a)
	}
}

// An answer that breaks off is not taken for whole.
func TestBrokenAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, answer string }{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"},
		{"large length", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 500_000)},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
		{"chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"},
		{"chunk of another size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!!\r\n0\r\n\r\n"},
		{"smuggled length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := fakeServer(t, func(_ int, c net.Conn, next func() *http.Request) {
				next()
				_, _ = io.WriteString(c, tt.answer)
			})
			f := serve(t, b.url)
			a, err := try(request(t, "GET", f.url, nil))
			if err == nil && a.err == nil {
				t.Errorf("client took %q for whole", a.body)
			}
			if got := f.lastTrail(t, 1); got.Refusal != ReasonProtocol || !strings.Contains(got.Cause, "breaks off") {
				t.Errorf("trail has %s: %q", got.Refusal, got.Cause)
			}
		})
	}
}

// A connection that the server closed while it was idle costs nobody his request,
// and none is sent twice that must not be.
func TestStaleConnection(t *testing.T) {
	t.Parallel()
	// Each connection answers one request, takes the second, and closes.
	swallowing := func(t *testing.T) *fake {
		return fakeServer(t, func(_ int, c net.Conn, next func() *http.Request) {
			for range 1 {
				if r := next(); r != nil {
					_, _ = io.Copy(io.Discard, r.Body)
					_, _ = io.WriteString(c, ok)
				}
			}
			if r := next(); r != nil {
				_, _ = io.Copy(io.Discard, r.Body)
			}
		})
	}
	for _, tt := range []struct {
		method, body string
		second       int
	}{{"GET", "", 200}, {"PUT", "x", 200}, {"DELETE", "", 200}, {"POST", "x", 502}, {"PATCH", "x", 502}, {"PUT", strings.Repeat("x", maxSmall+1), 502}} {
		t.Run(fmt.Sprint("swallowed ", tt.method, len(tt.body)), func(t *testing.T) {
			t.Parallel()
			b := swallowing(t)
			f := serve(t, b.url)
			get(t, f.url)
			a := do(t, request(t, tt.method, f.url, strings.NewReader(tt.body)))
			if a.status != tt.second {
				t.Errorf("status %d, want %d: %s", a.status, tt.second, f.lastTrail(t, 2).Cause)
			}
			if n := f.lastTrail(t, 2).Retries; n != b.count()-1 || n > 1 {
				t.Errorf("%d retries, %d connections", n, b.count())
			}
		})
	}
	t.Run("closed before", func(t *testing.T) {
		t.Parallel()
		closed := make(chan struct{}, 10)
		b := fakeServer(t, func(_ int, c net.Conn, next func() *http.Request) {
			if r := next(); r != nil {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(c, ok)
			}
			_ = c.Close()
			closed <- struct{}{}
		})
		f := serve(t, b.url)
		for range 5 {
			if a := do(t, request(t, "POST", f.url, strings.NewReader("x"))); a.status != 200 {
				t.Fatalf("%+v: %s", a, f.lastTrail(t, 1).Cause)
			}
			<-closed
			time.Sleep(5 * time.Millisecond) // until our side of the loopback knows
		}
	})
	t.Run("always", func(t *testing.T) { // one retry, not one after another
		t.Parallel()
		b := fakeServer(t, func(n int, c net.Conn, next func() *http.Request) {
			next()
			if n == 0 {
				_, _ = io.WriteString(c, ok)
				next()
			}
		})
		f := serve(t, b.url)
		get(t, f.url)
		if a := get(t, f.url); a.status != 502 || b.count() != 2 {
			t.Errorf("status %d, %d connections", a.status, b.count())
		}
	})
}

// The answer does not wait for the rest of a body that the server does not want.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, head string }{
		{"length", fmt.Sprintf("Content-Length: %d\r\n\r\n", 10<<20)},
		{"chunks", "Transfer-Encoding: chunked\r\n\r\n100000\r\n"},
	} {
		for _, end := range []string{"keeps", "closes"} {
			t.Run(tt.name+" "+end, func(t *testing.T) {
				t.Parallel()
				b := fakeServer(t, func(_ int, c net.Conn, next func() *http.Request) {
					next()
					_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno\n")
					if end == "keeps" {
						next()
					}
				})
				f := serve(t, b.url)
				c := raw(t, f.addr(), "POST / HTTP/1.1\r\nHost: h\r\n"+tt.head+strings.Repeat("x", 1000))
				resp, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				if resp.StatusCode != 413 || string(body) != "no\n" || err != nil || !resp.Close {
					t.Errorf("%d %q, %v, close %v", resp.StatusCode, body, err, resp.Close)
				}
				f.lastTrail(t, 1) // the handler returns
			})
		}
	}
}

// A client that goes away takes its request to the server along.
func TestClientGone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, send, answer string }{
		{"before the answer", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", ""},
		{"before the answer, with a body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab", ""},
		{"within the answer", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"},
		{"within an answer of chunks", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
		{"within a large answer", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 300_000)},
		{"within a large body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nab", ""},
		{"within a chunk", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, gone := make(chan struct{}), make(chan struct{})
			b := fakeServer(t, func(_ int, c net.Conn, next func() *http.Request) {
				r := next()
				_, _ = io.WriteString(c, tt.answer)
				close(got)
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = c.Read(make([]byte, 1))
				close(gone)
			})
			f := serve(t, b.url)
			c := raw(t, f.addr(), tt.send)
			<-got
			if tt.answer != "" {
				if _, err := c.Read(make([]byte, 10)); err != nil {
					t.Fatal(err)
				}
			}
			_ = c.Close()
			select {
			case <-gone:
			case <-time.After(wait):
				t.Fatal("the server still works for nobody")
			}
			if last := f.lastTrail(t, 1); last.Refusal != ReasonClient {
				t.Errorf("trail has %s: %q", last.Refusal, last.Cause)
			}
		})
	}
}

// A client that is slow with a small body keeps no connection to a server.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	b := answering(t, ok)
	f := serve(t, b.url, timeout(200*time.Millisecond)) // which is the server's, not the client's
	c := raw(t, f.addr(), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello")
	time.Sleep(300 * time.Millisecond)
	if n := b.count(); n != 0 {
		t.Errorf("%d connections before the body was there", n)
	}
	_, _ = io.WriteString(c, "world")
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("%+v, %v", resp, err)
	}
	// Nor does a slow upload run into that time.
	c = raw(t, f.addr(), "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	time.Sleep(300 * time.Millisecond)
	_, _ = io.WriteString(c, "0\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("chunks: %+v, %v", resp, err)
	}
}

// A server that reads a body slowly gets it, without our keeping it.
func TestSlowServer(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	f := serve(t, handler(t, func(w http.ResponseWriter, r *http.Request) {
		buf, total := make([]byte, 256<<10), 0
		for {
			n, err := io.ReadFull(r.Body, buf)
			total += n
			if err != nil {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		_, _ = fmt.Fprint(w, total)
	}), timeout(2*time.Second))
	a := do(t, request(t, "POST", f.url, io.LimitReader(new(pattern), size)))
	if a.status != 200 || a.body != fmt.Sprint(size) {
		t.Errorf("%+v", a)
	}
}

// A body that is shorter than its length never becomes a request.
func TestShortBody(t *testing.T) {
	t.Parallel()
	b := answering(t, ok)
	f := serve(t, b.url)
	c := raw(t, f.addr(), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello")
	_ = c.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, c)
	if last := f.lastTrail(t, 1); last.Refusal != ReasonClient || b.count() != 0 {
		t.Errorf("%s: %s, %d connections", last.Refusal, last.Cause, b.count())
	}
	// A limit that another part set is told.
	limited := serve(t, b.url, around(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, 10)
			next.ServeHTTP(w, r)
		})
	}))
	for _, body := range []io.Reader{strings.NewReader(strings.Repeat("x", 100)), io.MultiReader(strings.NewReader(strings.Repeat("x", 100)))} {
		if a := do(t, request(t, "POST", limited.url, body)); a.status != 413 {
			t.Errorf("over the limit: %d", a.status)
		}
	}
}

// Whoever cannot be described is not passed on as somebody less.
func TestIdentityFailures(t *testing.T) {
	t.Parallel()
	many := &authn.Identity{Account: "bob", Domain: "CORP"}
	for i := range 1000 {
		many.Groups = append(many.Groups, authn.Group{Name: fmt.Sprintf(`CORP\Group %d`, i)})
	}
	b := answering(t, ok)
	withJWT := with(func(c *config.Backend) { c.Identity = &config.Identity{JWT: &config.JWT{Header: "X-Token"}} })
	for _, tt := range []struct {
		name   string
		id     *authn.Identity
		set    []setting
		status int
	}{
		{"too many groups", many, []setting{with(func(c *config.Backend) {
			c.Identity = &config.Identity{Headers: &config.IdentityHeaders{Groups: "X-Groups"}}
		})}, 502},
		{"no token", alice, []setting{withJWT, issuing(tokensFunc(func(*authn.Identity) (string, error) { return "", errIssuer }))}, 502},
		{"large token", alice, []setting{withJWT, issuing(tokensFunc(func(*authn.Identity) (string, error) { return strings.Repeat("x", maxIdentity+1), nil }))}, 502},
		{"odd token", alice, []setting{withJWT, issuing(tokensFunc(func(*authn.Identity) (string, error) { return "a\r\nX: y", nil }))}, 502},
		{"token of nobody", nil, []setting{withJWT, issuing(tokensFunc(func(*authn.Identity) (string, error) { return "", errIssuer }))}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, b.url, append(tt.set, as(tt.id))...)
			if a := get(t, f.url); a.status != tt.status {
				t.Errorf("status %d, want %d", a.status, tt.status)
			}
			if got := f.lastTrail(t, 1); tt.status != 200 && got.Refusal != ReasonIdentity {
				t.Errorf("trail has %s: %q", got.Refusal, got.Cause)
			}
		})
	}
	if _, err := New(&config.Backend{URL: backendURL(t, b.url), Identity: &config.Identity{JWT: &config.JWT{Header: "X"}}}, Options{}); err == nil {
		t.Error("a token without an issuer is taken")
	}
}

// Close ends what is idle at once, and what is busy afterwards.
func TestClose(t *testing.T) {
	t.Parallel()
	ended, release := make(chan struct{}, 2), make(chan struct{})
	b := fakeServer(t, func(_ int, c net.Conn, next func() *http.Request) {
		for r := next(); r != nil; r = next() {
			if r.URL.Path == "/slow" {
				<-release
			}
			_, _ = io.WriteString(c, ok)
		}
		ended <- struct{}{}
	})
	f := serve(t, b.url)
	var slow sync.WaitGroup
	slow.Go(func() {
		if a, err := try(request(t, "GET", f.url+"/slow", nil)); err != nil || a.status != 200 {
			t.Errorf("the busy one: %+v, %v", a, err)
		}
	})
	eventually(t, func() error {
		if b.count() == 0 {
			return errors.New("no connection")
		}
		return nil
	})
	get(t, f.url)
	if err := f.proxy.Close(); err != nil {
		t.Fatal(err)
	}
	<-ended
	close(release)
	<-ended
	slow.Wait()
}
