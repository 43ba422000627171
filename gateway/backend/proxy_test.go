package backend

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"runtime"
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

func TestTrailers(t *testing.T) {
	t.Parallel()
	server := handler(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Got, X-Late")
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("X-Got", r.Trailer.Get("X-Sum")+r.Trailer.Get("X-Hidden"))
		w.Header().Set("X-Late", "1")
		w.Header().Set(http.TrailerPrefix+"X-Unannounced", "1")
	})
	f := serve(t, server)
	c := raw(t, f.addr(), "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 12\r\nX-Hidden: 34\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil || string(b) != "ab" {
		t.Errorf("body %q, %v", b, err)
	}
	if got := resp.Trailer; got.Get("X-Got") != "12" || got.Get("X-Late") != "1" || len(got) != 2 {
		t.Errorf("trailer %v", got)
	}
}

// Bodies pass as they are, however they are framed.
func TestBodies(t *testing.T) {
	t.Parallel()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(strings.Repeat("hello ", 1000)))
	_ = z.Close()
	const multipart = "--b\r\nContent-Type: application/xop+xml\r\n\r\n<a/>\r\n--b\r\nContent-ID: <1>\r\n\r\n\x00\xff\r\n\r\n--b--\r\n"
	f := serve(t, handler(t, func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Content-Type", "Content-Encoding"} {
			if v := r.Header[name]; v != nil {
				w.Header()[name] = v
			}
		}
		if r.ContentLength >= 0 {
			w.Header().Set("Content-Length", fmt.Sprint(r.ContentLength))
		}
		b, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(b)
	}))
	for _, tt := range []struct{ name, header, body string }{
		{"gzip", "Content-Encoding: gzip", zipped.String()},
		{"multipart", `Content-Type: multipart/related; type="application/xop+xml"; boundary=b`, multipart},
		{"small", "X: y", strings.Repeat("x", 100)},
		{"of the buffer", "X: y", strings.Repeat("x", bufferSize)},
		{"the largest small", "X: y", strings.Repeat("s", maxSmall)},
		{"the smallest large", "X: y", strings.Repeat("l", maxSmall+1)},
		{"large", "X: y", strings.Repeat("0123456789abcdef", 64<<10)},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, " ", chunked), func(t *testing.T) {
				t.Parallel()
				var body io.Reader = strings.NewReader(tt.body)
				if chunked {
					body = io.MultiReader(body) // of unknown length
				}
				r := request(t, "POST", f.url, body)
				name, value, _ := strings.Cut(tt.header, ": ")
				r.Header.Set(name, value)
				a := do(t, r)
				if a.err != nil || a.body != tt.body {
					t.Errorf("body of %d bytes, %v; want %d", len(a.body), a.err, len(tt.body))
				}
				if name != "X" && a.header.Get(name) != value {
					t.Errorf("%s is %q", name, a.header.Get(name))
				}
			})
		}
	}
}

// pattern is a body without end.
type pattern struct{ n byte }

func (p *pattern) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = p.n
		p.n++
	}
	return len(b), nil
}

func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// A hundred megabytes pass both ways, and are never in memory.
func TestLargeBodies(t *testing.T) {
	const size = 100 << 20
	var up string
	f := serve(t, handler(t, func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		if n, err := io.Copy(h, r.Body); err != nil || n != size {
			panic(http.ErrAbortHandler)
		}
		up = sum(h)
		if r.URL.Query().Has("length") {
			w.Header().Set("Content-Length", fmt.Sprint(size))
		}
		_, _ = io.CopyN(w, new(pattern), size)
	}))
	want := sha256.New()
	_, _ = io.CopyN(want, new(pattern), size)
	for _, query := range []string{"", "?length"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := request(t, "POST", f.url+"/"+query, io.LimitReader(new(pattern), size))
		if query != "" {
			r.ContentLength = size
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		n, err := io.Copy(h, resp.Body)
		_ = resp.Body.Close()
		if err != nil || n != size || sum(h) != sum(want) || up != sum(want) {
			t.Errorf("%q: %d bytes, %v, or other ones", query, n, err)
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 32<<20 { // of all there is in this process
			t.Errorf("%q: %d MiB were allocated on the way", query, grown>>20)
		}
	}
}

// What the server has sent reaches the client before the server sends more.
func TestStreaming(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, head string }{
		{"events", "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"},
		{"chunks", "Transfer-Encoding: chunked\r\n"},
		{"until the end", ""},
		{"of a length", "Content-Length: 30\r\n"},
		{"events of a length", "Content-Type: text/event-stream\r\nContent-Length: 30\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			next := make(chan struct{})
			chunked := strings.Contains(tt.head, "chunked")
			b := fakeServer(t, func(_ int, c net.Conn, request func() *http.Request) {
				request()
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+tt.head+"\r\n")
				for range 3 {
					select {
					case <-next:
					case <-t.Context().Done():
						return
					}
					part := "0123456789"
					if chunked {
						part = "a\r\n" + part + "\r\n"
					}
					_, _ = io.WriteString(c, part)
				}
				if chunked {
					_, _ = io.WriteString(c, "0\r\n\r\n")
				}
			})
			f := serve(t, b.url)
			if tt.name == "of a length" { // the head may wait for the body
				go func() { next <- struct{}{} }()
			}
			resp, err := http.DefaultClient.Do(request(t, "GET", f.url, nil))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			buf := make([]byte, 10)
			for i := range 3 {
				if i > 0 || tt.name != "of a length" {
					next <- struct{}{}
				}
				if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != "0123456789" {
					t.Fatalf("part %d: %q, %v", i, buf, err)
				}
			}
			if _, err := resp.Body.Read(buf); !errors.Is(err, io.EOF) {
				t.Errorf("end: %v", err)
			}
		})
	}
}

// Both sides talk while the other does.
func TestFullDuplex(t *testing.T) {
	t.Parallel()
	f := serve(t, handler(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		br := bufio.NewReader(r.Body)
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(w, "echo "+line)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	pr, pw := io.Pipe()
	go func() { _, _ = io.WriteString(pw, "0\n") }()
	resp, err := http.DefaultClient.Do(request(t, "POST", f.url, pr))
	if err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(resp.Body)
	for i := range 5 {
		if line, err := br.ReadString('\n'); err != nil || line != fmt.Sprintf("echo %d\n", i) {
			t.Fatalf("%q, %v", line, err)
		}
		if i < 4 {
			_, _ = fmt.Fprintf(pw, "%d\n", i+1)
		}
	}
	_ = pw.Close()
	if b, err := io.ReadAll(br); err != nil || len(b) > 0 {
		t.Errorf("end: %q, %v", b, err)
	}
}

// A client that asks first gets 100, an interim answer of the server passes.
func TestInterim(t *testing.T) {
	t.Parallel()
	b := fakeServer(t, func(_ int, c net.Conn, next func() *http.Request) {
		for r := next(); r != nil; r = next() {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"+ok)
		}
	})
	f := serve(t, b.url)
	c := raw(t, f.addr(), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	br := bufio.NewReader(c)
	tp := textproto.NewReader(br)
	if line, err := tp.ReadLine(); err != nil || line != "HTTP/1.1 100 Continue" {
		t.Fatalf("%q, %v", line, err)
	}
	_, _ = tp.ReadLine()
	_, _ = io.WriteString(c, "abc")
	if line, err := tp.ReadLine(); err != nil || line != "HTTP/1.1 103 Early Hints" {
		t.Fatalf("%q, %v", line, err)
	}
	if h, err := tp.ReadMIMEHeader(); err != nil || h.Get("Link") != "</a.css>" {
		t.Fatalf("%v, %v", h, err)
	}
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 200 || resp.Header.Get("Link") != "" {
		t.Errorf("%+v, %v", resp, err)
	}
	if strings.Contains(b.head(), "Expect") {
		t.Errorf("the server was asked to wait:\n%s", b.head())
	}
	// HTTP/1.0 knows no interim answers.
	old := raw(t, f.addr(), "GET / HTTP/1.0\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(old), nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("1.0: %+v, %v", resp, err)
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
