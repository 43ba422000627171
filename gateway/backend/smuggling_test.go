package backend

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/gateway/config"
)

// 5a. Requests that two programs take for another number of requests. net/http
// refuses some, and mends others, as RFC 9112 has it; either way the server gets
// what nobody can take for two.
func TestAttackSmuggling(t *testing.T) {
	t.Parallel()
	const inner = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, tt := range []struct{ name, text string }{
		{"length and chunks", fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", 5+len(inner), inner)},
		{"two lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 39\r\n\r\n" + inner},
		{"length with a sign", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +0\r\n\r\n" + inner},
		{"another coding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + inner},
		{"coding, then a coding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + inner},
		{"space before the colon", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length : 39\r\n\r\n" + inner},
		{"folded", "POST / HTTP/1.1\r\nHost: h\r\nX: y\r\n Content-Length: 39\r\n\r\n" + inner},
		{"coding in another spelling", "POST / HTTP/1.1\r\nHost: h\r\nTransfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"},
		{"length in another spelling", "POST / HTTP/1.1\r\nHost: h\r\nContent_Length: 39\r\nContent-Length: 0\r\n\r\n"},
		{"chunk with a bare line end", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n"},
		{"chunk of a wrong size", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n"},
		{"length by Connection", "POST / HTTP/1.1\r\nHost: h\r\nConnection: Content-Length, Transfer-Encoding, Host\r\nContent-Length: 5\r\n\r\nhello"},
		{"bare line ends", "POST / HTTP/1.1\nHost: h\nX: y\nContent-Length: 5\n\nhello"},
		{"method with a line", "GET\x0b/x HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"bare CR in a header", "GET / HTTP/1.1\r\nHost: h\r\nX: a\rGET /smuggled HTTP/1.1\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := answering(t, ok)
			f := serve(t, b.url, as(alice), told, signing)
			answers := untilQuiet(raw(t, f.addr(), tt.text), b)
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, head := range b.seen {
				lower := strings.ToLower(head)
				length, chunked := strings.Count(lower, "\ncontent-length:"), strings.Count(lower, "\ntransfer-encoding:")
				if length+chunked > 1 || strings.ContainsAny(strings.ReplaceAll(head, "\r\n", ""), "\r\n") ||
					strings.Contains(lower, "transfer_encoding") || strings.Contains(lower, "content_length") {
					t.Errorf("the server got\n%s", head)
				}
			}
			// What net/http answers with 400 ends the connection. A request that
			// stands behind a whole one is one that the client made.
			if got := strings.Count(string(answers), "HTTP/1.1 "); got < len(b.seen) {
				t.Errorf("the server got %d requests, the client %d answers:\n%s", len(b.seen), got, answers)
			}
			if bad := strings.Contains(string(answers), "HTTP/1.1 400"); bad && len(b.seen) > 1 {
				t.Errorf("after 400 the server got\n%s", b.seen)
			}
		})
	}
}

// untilQuiet reads answers until as many came as the server got requests, and
// nothing else for a while.
func untilQuiet(c net.Conn, b *fake) []byte {
	var answers []byte
	buf := make([]byte, 4096)
	for deadline := time.Now().Add(wait); time.Now().Before(deadline); {
		_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := c.Read(buf)
		answers = append(answers, buf[:n]...)
		b.mu.Lock()
		all := bytes.Count(answers, []byte("HTTP/1.1 ")) >= len(b.seen)
		b.mu.Unlock()
		if err != nil && (all && len(answers) > 0 || !timedOut(err)) {
			break
		}
	}
	return answers
}

// 5a. What only a handler in front, or HTTP/2, can put into a request.
func TestAttackSmugglingInside(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		want   int
		line   string // of the request
	}{
		{"path", func(r *http.Request) { r.URL.Path = "/a HTTP/1.1\r\nX: y" }, 200, "GET /a%20HTTP/1.1%0D%0AX:%20y HTTP/1.1"},
		{"query", func(r *http.Request) { r.URL.RawQuery = "a b HTTP/1.1\r\nX: y\xff#" }, 200, "GET /?a%20b%20HTTP/1.1%0D%0AX:%20y%FF%23 HTTP/1.1"},
		{"path without a slash", func(r *http.Request) { r.URL.Path = "*" }, 400, ""},
		{"path of another host", func(r *http.Request) { r.URL.Path = "http://evil.example/" }, 400, ""},
		{"method", func(r *http.Request) { r.Method = "GET / HTTP/1.1\r\nX: y\r\n\r\nGET" }, 400, ""},
		{"host", func(r *http.Request) { r.Host = "a\r\nX: y" }, 400, ""},
		{"host with a path", func(r *http.Request) { r.Host = "a/b@c" }, 400, ""},
		{"header", func(r *http.Request) { r.Header.Set("X", "a\r\nY: b") }, 400, ""},
		{"name", func(r *http.Request) { r.Header["X\r\nY"] = []string{"a"} }, 400, ""},
		{"name with a colon", func(r *http.Request) { r.Header["Content-Length:"] = []string{"5"} }, 400, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := answering(t, ok)
			p, err := New(&config.Backend{URL: backendURL(t, b.url)}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.Close() })
			r := httptest.NewRequest("GET", "/", nil)
			tt.change(r)
			w := httptest.NewRecorder()
			p.ServeHTTP(w, r)
			line, _, _ := strings.Cut(b.head(), "\r\n")
			if w.Code != tt.want || line != tt.line {
				t.Errorf("status %d, want %d; the server got %q, want %q", w.Code, tt.want, line, tt.line)
			}
		})
	}
}

// 5b. A server's answers that clients could take for another number of answers,
// or that would be the next caller's.
func TestAttackSmugglingAnswers(t *testing.T) {
	t.Parallel()
	const inner = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	for _, tt := range []struct {
		name, answer string
		status       int
		later        bool // the rest comes when the answer has gone to the client
	}{
		{"length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502, false},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 40\r\n\r\nok", 502, false},
		{"bare line end", "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok", 502, false},
		{"folded", "HTTP/1.1 200 OK\r\nX: y\r\n Content-Length: 2\r\n\r\nok", 502, false},
		{"a second answer", ok, 200, false},
		{"a second answer, later", ok, 200, true},
		{"a body of 204", "HTTP/1.1 204 No Content\r\nContent-Length: 40\r\n\r\n", 204, false},
		{"a body of 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 40\r\n\r\n", 304, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sent := make(chan struct{}, 10)
			b := fakeServer(t, func(n int, c net.Conn, next func() *http.Request) {
				for next() != nil {
					if n > 0 {
						_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine")
						sent <- struct{}{}
						continue
					}
					if tt.later {
						_, _ = io.WriteString(c, tt.answer)
						time.Sleep(50 * time.Millisecond)
						_, _ = io.WriteString(c, inner)
					} else {
						_, _ = io.WriteString(c, tt.answer+inner)
					}
					sent <- struct{}{}
				}
			})
			f := serve(t, b.url)
			if a := get(t, f.url); a.status != tt.status || strings.Contains(a.body, "evil") {
				t.Fatalf("%+v", a)
			}
			<-sent
			time.Sleep(10 * time.Millisecond) // until our side of the loopback has it
			if a := get(t, f.url); a.body != "mine" {
				t.Errorf("another caller got %+v", a)
			}
		})
	}
}

// 5c. A body that the server did not read must not be the client's next request:
// a page of another site chooses what is in it.
func TestAttackUnreadBody(t *testing.T) {
	t.Parallel()
	const inner = "POST /smuggled HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"
	for _, tt := range []struct{ name, answer string }{
		{"answered", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"},
		{"no HTTP", "nonsense\r\n\r\n"},
		{"closed", ""},
	} {
		for _, head := range []string{"Content-Length: 100000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n10000\r\n"} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				b := fakeServer(t, func(_ int, c net.Conn, next func() *http.Request) {
					next()
					_, _ = io.WriteString(c, tt.answer)
				})
				f := serve(t, b.url, as(alice))
				c := raw(t, f.addr(), "POST / HTTP/1.1\r\nHost: h\r\n"+head)
				br := bufio.NewReader(c)
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				if !resp.Close {
					t.Errorf("%s: the connection goes on after %d", head, resp.StatusCode)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_, _ = io.WriteString(c, inner)
				if rest, _ := io.ReadAll(br); len(rest) > 0 {
					t.Errorf("the client got another answer: %q", rest)
				}
				if strings.Contains(strings.Join(b.seen, ""), "smuggled") {
					t.Error("the server got the request within the body")
				}
			})
		}
	}
}

// 5d. A change to a protocol whose requests nobody would look at.
func TestAttackUpgrade(t *testing.T) {
	t.Parallel()
	for _, upgrade := range []string{"h2c", "H2C", "HTTP/2.0", "TLS/1.2", "websocket, h2c", "h2c\r\nUpgrade: websocket", "a b"} {
		b := answering(t, ok)
		f := serve(t, b.url)
		c := raw(t, f.addr(), "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: "+upgrade+"\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 200 {
			t.Errorf("%q: %+v, %v", upgrade, resp, err)
		}
		if lower := strings.ToLower(b.head()); strings.Contains(lower, "upgrade") || strings.Contains(lower, "http2-settings") {
			t.Errorf("%q: the server got\n%s", upgrade, b.head())
		}
	}
}

// 5e. A server that sends heads, fields, chunk sizes or trailers without end.
func TestAttackAnswerWithoutEnd(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, begin, repeat string }{
		{"status line", "HTTP/1.1 200 ", "x"},
		{"field", "HTTP/1.1 200 OK\r\nX: ", "x"},
		{"fields", "HTTP/1.1 200 OK\r\n", "A: b\r\n"},
		{"chunk extension", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", "x"},
		{"trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "A: b\r\n"},
		{"interim", "", "HTTP/1.1 102 Processing\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			ended := make(chan int64, 1)
			b := fakeServer(t, func(_ int, c net.Conn, next func() *http.Request) {
				next()
				n, _ := io.WriteString(c, tt.begin)
				total := int64(n)
				part := []byte(strings.Repeat(tt.repeat, 8192/len(tt.repeat)))
				for total < 64<<20 {
					n, err := c.Write(part)
					total += int64(n)
					if err != nil {
						break
					}
				}
				ended <- total
			})
			f := serve(t, b.url)
			a, err := try(request(t, "GET", f.url, nil))
			if err == nil && a.err == nil && a.status != 502 {
				t.Errorf("%+v", a)
			}
			if total := <-ended; total > 16<<20 { // what sockets buffer, and what we read
				t.Errorf("the server could send %d MiB", total>>20)
			}
			if last := f.lastTrail(t, 1); last.Refusal != ReasonProtocol {
				t.Errorf("trail has %s: %s", last.Refusal, last.Cause)
			}
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 24<<20 {
				t.Errorf("%d MiB were allocated", grown>>20)
			}
		})
	}
}

// 5e. A list that is compared with all fields, with both of them long.
func TestAttackConnectionOptions(t *testing.T) {
	t.Parallel()
	options := "Connection: " + strings.Repeat("a,", 300_000) + "\r\n"
	b := answering(t, ok)
	f := serve(t, b.url)
	c := raw(t, f.addr(), "GET / HTTP/1.1\r\nHost: h\r\n"+options+strings.Repeat("X-A-B-C: d\r\n", 20_000)+"\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 400 || b.count() != 0 {
		t.Errorf("request: %+v, %v, %d connections", resp, err, b.count())
	}
	for _, list := range []string{options, "Trailer: " + strings.Repeat("X-A,", 100_000) + "\r\n"} {
		f := serve(t, answering(t, "HTTP/1.1 200 OK\r\n"+list+"Content-Length: 0\r\n\r\n").url)
		if a := get(t, f.url); a.status != 502 || !strings.Contains(f.lastTrail(t, 1).Cause, "more than 64 names") {
			t.Errorf("answer: %d, %s", a.status, f.lastTrail(t, 1).Cause)
		}
	}
}
