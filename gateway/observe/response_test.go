package observe

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/gateway/trail"
)

// served has a handler behind an observer and a real server, and returns the
// access log.
func served(t *testing.T, h2 bool, h http.HandlerFunc) (s *httptest.Server, lines func() string) {
	t.Helper()
	ob, _, dir := observer(t, `access_log: {file: a.log}`, Options{})
	wrapped := ob.Wrap(trail.Inbound, ":443", h)
	var running sync.WaitGroup // a server does not wait for connections that were taken over
	s = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		running.Add(1)
		defer running.Done()
		wrapped.ServeHTTP(w, r)
	}))
	s.EnableHTTP2 = h2
	if h2 {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s, func() string {
		s.Close()
		running.Wait()
		_ = ob.Close(context.Background())
		return read(t, filepath.Join(dir, "a.log"))
	}
}

func TestResponse(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, bytes.Repeat([]byte("x"), 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		h      http.HandlerFunc
		status int
		bytes  int
		line   string
	}{
		{"nothing", func(http.ResponseWriter, *http.Request) {}, 200, 0, `"status":200,"bytes":0,`},
		{"write", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("abc")) }, 200, 3, `"status":200,"bytes":3,`},
		{"string", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "abcd") }, 200, 4, `"bytes":4,`},
		{"status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502); _, _ = w.Write([]byte("x")) }, 502, 1, `"status":502,"bytes":1,`},
		{"twice", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); w.(*hijackable).status = 404 }, 404, 0, `"status":404,`},
		{"early hints", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(201) }, 201, 0, `"status":201,`},
		{"file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) }, 200, 100_000, `"status":200,"bytes":100000,`},
		{"read from", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("hello"))
		}, 200, 5, `"bytes":5,`},
		{"flush", func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }, 200, 0, `"status":200,`},
		{"controller", func(w http.ResponseWriter, _ *http.Request) {
			c := http.NewResponseController(w)
			for _, err := range []error{c.SetReadDeadline(time.Now().Add(time.Hour)), c.SetWriteDeadline(time.Time{}), c.EnableFullDuplex(), c.Flush()} {
				if err != nil {
					t.Error(err)
				}
			}
		}, 200, 0, `"status":200,`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, lines := served(t, false, tt.h)
			resp, err := s.Client().Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != tt.status || len(b) != tt.bytes || resp.Header.Get(header) == "" {
				t.Errorf("status %d, %d bytes, reference %q, %v", resp.StatusCode, len(b), resp.Header.Get(header), err)
			}
			if got := lines(); !strings.Contains(got, tt.line) || !strings.Contains(got, resp.Header.Get(header)) {
				t.Errorf("line %s, want %s", got, tt.line)
			}
		})
	}
}

// An answer goes on while it is being made.
func TestFlush(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	s, _ := served(t, false, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "one")
		w.(http.Flusher).Flush()
		<-next
	})
	resp, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 3)
	if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != "one" {
		t.Errorf("%q, %v", b, err)
	}
	close(next)
	_ = resp.Body.Close()
}

// A protocol that takes the connection over, as WebSocket does, through the
// standard library's reverse proxy.
func TestHijack(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString("echo " + line)
		_ = rw.Flush()
	}))
	defer backend.Close()
	u, _ := url.Parse(backend.URL)
	proxy := httputil.NewSingleHostReverseProxy(u)
	s, lines := served(t, false, proxy.ServeHTTP)
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get(header) == "" {
		t.Fatalf("%v, %v: want 101 with a reference", resp, err)
	}
	_, _ = io.WriteString(c, "hello\n")
	if line, err := br.ReadString('\n'); line != "echo hello\n" {
		t.Errorf("%q, %v", line, err)
	}
	_ = c.Close()
	if got := lines(); !strings.Contains(got, `"status":101,`) {
		t.Errorf("line %s, want status 101", got)
	}
}

// A connection of HTTP/2 cannot be taken over, and does not pretend that it can.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	s, lines := served(t, true, func(w http.ResponseWriter, r *http.Request) {
		if _, ok := w.(http.Hijacker); ok || r.ProtoMajor != 2 {
			t.Errorf("%s: hijacker %v", r.Proto, ok)
		}
		_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("abc"))
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	})
	resp, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if got := lines(); !strings.Contains(got, `"bytes":3,`) {
		t.Errorf("line %s", got)
	}
}
