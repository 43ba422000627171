package backend

import (
	"bufio"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/gateway/config"
)

// echo tells in headers what it got, and sends the body back.
func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	h.Set("Seen-Line", r.Method+" "+r.RequestURI)
	h.Set("Seen-Host", r.Host)
	h.Set("Seen-Length", fmt.Sprint(r.ContentLength))
	for name, values := range r.Header {
		for _, v := range values {
			h.Add("Seen-"+name, v)
		}
	}
	_, _ = w.Write(b)
}

// seen are the headers that echo got, without those of net/http's client.
func seen(h http.Header) map[string]string {
	m := make(map[string]string)
	for name, values := range h {
		name, ok := strings.CutPrefix(name, "Seen-")
		if !ok || slices.Contains([]string{"Line", "Host", "Length", "User-Agent", "Accept-Encoding"}, name) {
			continue
		}
		m[name] = strings.Join(values, "|")
	}
	return m
}

func TestMethods(t *testing.T) {
	t.Parallel()
	f := serve(t, handler(t, echo))
	for _, tt := range []struct{ method, body, length string }{
		{"GET", "", "0"}, {"HEAD", "", "0"}, {"OPTIONS", "", "0"}, {"DELETE", "", "0"}, {"DELETE", "x", "1"},
		{"POST", "", "0"}, {"POST", "<a/>", "4"}, {"PUT", "x", "1"}, {"PATCH", "x", "1"}, {"GET", "odd", "3"}, {"PROPFIND", "x", "1"},
	} {
		t.Run(tt.method+" "+tt.body, func(t *testing.T) {
			t.Parallel()
			a := do(t, request(t, tt.method, f.url+"/a?b=c", strings.NewReader(tt.body)))
			if a.err != nil || a.status != 200 || a.header.Get("Seen-Line") != tt.method+" /a?b=c" || a.header.Get("Seen-Length") != tt.length {
				t.Errorf("got %+v", a)
			}
			if a.body != tt.body && tt.method != "HEAD" {
				t.Errorf("body %q, want %q", a.body, tt.body)
			}
		})
	}
	for _, method := range []string{"TRACE", "CONNECT"} {
		c := raw(t, f.addr(), method+" /a HTTP/1.1\r\nHost: h\r\n\r\n")
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 405 {
			t.Errorf("%s: %v, %v", method, resp, err)
		}
	}
}

// A connection serves requests whatever their answers look like.
func TestStatuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method, answer string
		status         int
		header, body   string
	}{
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: a\r\nX: b\r\n\r\nok", 200, "Content-Length: 2|X: a,b", "ok"},
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n", 200, "Content-Length: 200000", ""},
		{"GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, "Content-Length: ", ""},
		{"GET", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", 304, "Etag: \"a\"", ""},
		{"GET", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, "Content-Length: 0", ""},
		{"GET", "HTTP/1.1 599 Odd\r\nContent-Length: 1\r\n\r\nx", 599, "Content-Type: ", "x"},
		{"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: a/b\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, "Content-Type: a/b", "abc"},
		{"GET", "HTTP/1.1 302 Found\r\nLocation: http://other/\r\nContent-Length: 0\r\n\r\n", 302, "Location: http://other/", ""},
		{"GET", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n", 401, "Www-Authenticate: Basic realm=\"x\"", ""},
		{"GET", "HTTP/1.1 100 Continue\r\n\r\n" + ok, 200, "", "ok"},
		{"GET", "HTTP/1.1 200 OK\r\nConnection: X-Hop, Keep-Alive\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nX-End: 2\r\nContent-Length: 0\r\n\r\n", 200, "X-Hop: |Keep-Alive: |X-End: 2", ""},
	} {
		t.Run(tt.method+" "+tt.answer[:12], func(t *testing.T) {
			t.Parallel()
			b := answering(t, tt.answer)
			f := serve(t, b.url)
			for range 3 {
				a := do(t, request(t, tt.method, f.url, nil))
				if a.status != tt.status || a.body != tt.body || a.err != nil {
					t.Fatalf("got %+v", a)
				}
				for line := range strings.SplitSeq(tt.header, "|") {
					if name, want, ok := strings.Cut(line, ": "); ok && strings.Join(a.header[name], ",") != want {
						t.Errorf("%s is %q, want %q", name, a.header[name], want)
					}
				}
			}
			if n := b.count(); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
		})
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	server := handler(t, echo)
	for _, tt := range []struct{ prefix, strip, path, want string }{
		{"", "", "/", "/"},
		{"", "", "", "/"},
		{"", "", "/a/b?x=%2F&y=a%20b", "/a/b?x=%2F&y=a%20b"},
		{"", "", "/a?", "/a?"},
		{"", "", "/J%C3%BCrgen%20x", "/J%C3%BCrgen%20x"},
		{"", "", "/a(b)!$&'*+,=:@", "/a(b)!$&'*+,=:@"},
		{"", "", "/100%25/%3Fa", "/100%25/%3Fa"},
		{"/base", "", "/a", "/base/a"},
		{"/base/", "", "/a/", "/base/a/"},
		{"/base", "/hr", "/hr/pay", "/base/pay"},
		{"", "/hr", "/hr/pay", "/pay"},
		{"", "/hr/", "/hr/pay", "/pay"},
		{"", "/hr", "/hr", "/"},
		{"", "/hr", "/hrx", "/hrx"},
		{"", "/hr", "/a/hr/x", "/a/hr/x"},
	} {
		t.Run(tt.prefix+" "+tt.strip+" "+tt.path, func(t *testing.T) {
			t.Parallel()
			f := serve(t, server+tt.prefix, with(func(c *config.Backend) { c.StripPrefix = tt.strip }))
			if got := get(t, f.url+tt.path).header.Get("Seen-Line"); got != "GET "+tt.want {
				t.Errorf("server got %q, want %q", got, tt.want)
			}
		})
	}
	// What another part decided on is forwarded, not what the client wrote.
	f := serve(t, server, around(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.Path, r.URL.RawPath = "/decided on", "/other"
			next.ServeHTTP(w, r)
		})
	}))
	if got := get(t, f.url+"/x").header.Get("Seen-Line"); got != "GET /decided%20on" {
		t.Errorf("server got %q", got)
	}
}

func TestHost(t *testing.T) {
	t.Parallel()
	server := handler(t, echo)
	for _, tt := range []struct {
		host config.BackendHost
		want string
	}{{config.HostOfClient, "hr.corp.test:8443"}, {config.HostOfBackend, strings.TrimPrefix(server, "http://")}} {
		f := serve(t, server, with(func(c *config.Backend) { c.Host = tt.host }))
		r := request(t, "GET", f.url, nil)
		r.Host = "hr.corp.test:8443"
		if got := do(t, r).header.Get("Seen-Host"); got != tt.want {
			t.Errorf("%s: server got Host %q, want %q", tt.host, got, tt.want)
		}
	}
}

func TestRequestHeaders(t *testing.T) {
	t.Parallel()
	server := handler(t, echo)
	const from = "|X-Forwarded-For=127.0.0.1|X-Forwarded-Host=h|X-Forwarded-Proto=http"
	for _, tt := range []struct{ name, send, want string }{
		{"usual", "SOAPAction: \"urn:x\"\r\nX-A: 1\r\nX-A: 2\r\n", "Soapaction=\"urn:x\"|X-A=1,2" + from},
		{"hop by hop", "Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: gzip\r\nProxy-Authorization: x\r\nProxy-Connection: x\r\nX-B: 2\r\n", "X-B=2" + from},
		{"te", "TE: gzip, trailers\r\n", "Connection=TE|Te=trailers" + from},
		{"encoding", "Accept-Encoding: br\r\n", strings.TrimPrefix(from, "|")},
		{"upgrade to nothing", "Upgrade: x\r\n", strings.TrimPrefix(from, "|")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, server)
			c := raw(t, f.addr(), "GET / HTTP/1.1\r\nHost: h\r\n"+tt.send+"\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			got := seen(resp.Header)
			var list []string
			for _, name := range slices.Sorted(maps.Keys(got)) {
				list = append(list, name+"="+strings.ReplaceAll(got[name], "|", ","))
			}
			if s := strings.Join(list, "|"); s != tt.want {
				t.Errorf("server got %s\nwant %s", s, tt.want)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		tls  *config.BackendTLS
		want int
	}{
		{"its authority", &config.BackendTLS{CAFile: config.Path(ca)}, 200},
		{"a name of the certificate", &config.BackendTLS{CAFile: config.Path(ca), ServerName: "example.com"}, 200},
		{"another name", &config.BackendTLS{CAFile: config.Path(ca), ServerName: "other.example"}, 502},
		{"those of the system", nil, 502},
		{"any", &config.BackendTLS{InsecureSkipVerify: true}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, s.URL, with(func(c *config.Backend) { c.TLS = tt.tls }))
			for range 2 {
				a := do(t, request(t, "POST", f.url, strings.NewReader(strings.Repeat("x", 200_000))))
				if a.status != tt.want || tt.want == 200 && len(a.body) != 200_000 {
					t.Errorf("%d, %d bytes: %s", a.status, len(a.body), f.lastTrail(t, 1).Cause)
				}
			}
			if last := f.lastTrail(t, 2); tt.want == 502 && last.Refusal != ReasonDown {
				t.Errorf("refusal %q", last.Refusal)
			}
		})
	}
	for _, bad := range []string{filepath.Join(t.TempDir(), "none"), "proxy_test.go"} {
		_, err := New(&config.Backend{URL: backendURL(t, s.URL), TLS: &config.BackendTLS{CAFile: config.Path(bad)}}, Options{})
		if err == nil {
			t.Errorf("%s is taken for authorities", bad)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(echo), ReadHeaderTimeout: wait}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	f := serve(t, "unix:"+path)
	for range 2 {
		a := do(t, request(t, "POST", f.url+"/a", strings.NewReader("<a/>")))
		if a.status != 200 || a.body != "<a/>" || a.header.Get("Seen-Line") != "POST /a" {
			t.Errorf("%+v", a)
		}
	}
}

// A server that closes after each answer is used as it is.
func TestHTTP10(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"HTTP/1.0 200 OK\r\n\r\nhello", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
	} {
		b := fakeServer(t, func(_ int, c net.Conn, next func() *http.Request) {
			next()
			_, _ = io.WriteString(c, text)
		})
		f := serve(t, b.url)
		for range 3 {
			if a := get(t, f.url); a.status != 200 || a.body != "hello" || a.err != nil || a.header.Get("Connection") == "close" && !strings.Contains(text, "1.0") {
				t.Errorf("%q: %+v", text, a)
			}
		}
		if f.lastTrail(t, 3).Retries != 0 || b.count() != 3 {
			t.Errorf("%q: %d retries, %d connections", text, f.lastTrail(t, 3).Retries, b.count())
		}
	}
	b := answering(t, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
	f := serve(t, b.url)
	for range 3 {
		get(t, f.url)
	}
	if n := b.count(); n != 1 {
		t.Errorf("kept alive: %d connections, want 1", n)
	}
}

// Clients may speak HTTP/2, where the listener lets them.
func TestHTTP2Client(t *testing.T) {
	t.Parallel()
	server := handler(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/early" {
			_ = http.NewResponseController(w).EnableFullDuplex() // or net/http waits for the body
			w.WriteHeader(413)
			return
		}
		w.Header().Set("Trailer", "X-Sum")
		b, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Seen-Line", r.Proto+" "+r.Host)
		_, _ = w.Write(b)
		w.Header().Set("X-Sum", "1")
	})
	p, err := New(&config.Backend{URL: backendURL(t, server)}, Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	s := httptest.NewUnstartedServer(p)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	for _, size := range []int{0, 10, maxSmall + 1, 2 << 20} {
		body := strings.Repeat("x", size)
		resp, err := s.Client().Do(request(t, "POST", s.URL+"/a", io.MultiReader(strings.NewReader(body))))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(got) != body || resp.ProtoMajor != 2 || resp.Trailer.Get("X-Sum") != "1" || !strings.HasPrefix(resp.Header.Get("Seen-Line"), "HTTP/1.1 127.") {
			t.Errorf("%d bytes: got %d, %v, %s, %v, %v", size, len(got), err, resp.Proto, resp.Header, resp.Trailer)
		}
	}
	pr, pw := io.Pipe()
	go func() { _, _ = io.WriteString(pw, "x") }()
	resp, err := s.Client().Do(request(t, "POST", s.URL+"/early", pr))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	_ = pw.Close()
	if resp.StatusCode != 413 {
		t.Errorf("early answer: %d", resp.StatusCode)
	}
}

// The trail says where a request went.
func TestTrail(t *testing.T) {
	t.Parallel()
	server := handler(t, func(http.ResponseWriter, *http.Request) { time.Sleep(20 * time.Millisecond) })
	f := serve(t, server)
	get(t, f.url)
	got := f.lastTrail(t, 1)
	if got.Backend != strings.TrimPrefix(server, "http://") || got.BackendTime < 20*time.Millisecond || got.BackendTime > wait || got.Refusal != "" {
		t.Errorf("%+v", got)
	}
}
