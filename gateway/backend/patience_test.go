package backend

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// 6b. Clients that stop within their body, or within the answer, do not keep the
// connections to the server, nor ours.
func TestAttackSlowClient(t *testing.T) {
	t.Parallel()
	large := handler(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		n := 64 << 20
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", fmt.Sprint(n))
		}
		for range n >> 16 {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	for _, tt := range []struct{ name, text string }{
		{"small body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nx"},
		{"large body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nx"},
		{"chunks", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"},
		{"answer", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"answer of known length", "GET /length HTTP/1.1\r\nHost: h\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, large)
			f.proxy.testOnlyClientIdle = 100 * time.Millisecond
			c, err := net.Dial("tcp", f.addr())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if _, err := io.WriteString(c, tt.text); err != nil {
				t.Fatal(err)
			}
			f.lastTrail(t, 1) // the handler has returned
			if active := f.proxy.servers[0].pool.busy.Load(); active != 0 {
				t.Errorf("%d connections to the server are kept", active)
			}
		})
	}
}

// Whoever sends and takes a little all the time is not cut off.
func TestPatientWithSlowClients(t *testing.T) {
	t.Parallel()
	f := serve(t, handler(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		for _, c := range b {
			_, _ = w.Write([]byte{c})
			_ = http.NewResponseController(w).Flush()
			time.Sleep(30 * time.Millisecond)
		}
	}))
	f.proxy.testOnlyClientIdle = 200 * time.Millisecond
	c := raw(t, f.addr(), "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
	for range 10 {
		time.Sleep(30 * time.Millisecond)
		if _, err := io.WriteString(c, "1\r\nx\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(c, "0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != strings.Repeat("x", 10) {
		t.Errorf("%q, %v", b, err)
	}
}
