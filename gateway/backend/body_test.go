package backend

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"runtime"
	"strings"
	"testing"
)

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
