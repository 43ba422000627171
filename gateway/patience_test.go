package gateway

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

func handlerAt(t *testing.T, h http.Handler) (url string) {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// A message arrives although its sender closes the connection at once, at a backend
// and through an upstream; both take their time to say who it is from.
func TestOneWay(t *testing.T) {
	t.Parallel()
	arrived := make(chan string, 10)
	backend := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		time.Sleep(50 * time.Millisecond) // the client is gone by now
		if err := r.Context().Err(); err != nil {
			t.Errorf("%s is cancelled: %v", b, err)
		}
		arrived <- r.Method + " " + string(b)
		w.WriteHeader(http.StatusAccepted)
	})
	local := handlerAt(t, backend)
	var ports [2]int
	for i := range ports {
		var err error
		if ports[i], err = testenv.FreePort(); err != nil {
			t.Fatal(err)
		}
	}
	whole(t, fmt.Sprintf(`
listen: [{addr: "127.0.0.1:%d"}]
services: {a: {match: {path: /}, login: [none], allow: [{path: /, roles: [anonymous]}], upstream: {url: %q}}}
upstreams: {b: {listen: "127.0.0.1:%d", url: %q, act_as: [fixed], fixed: {user: u, password: {file: pw}}}}
`, ports[0], local, ports[1], local), map[string]string{"pw": "x"})
	for _, port := range ports {
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		for _, body := range []string{"short", strings.Repeat("long ", 100_000)} {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fmt.Fprintf(c, "POST /x HTTP/1.1\r\nHost: %s\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s", addr, len(body), body); err != nil {
				t.Fatal(err)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			select {
			case got := <-arrived:
				if got != "POST "+body {
					t.Errorf("%s got %.40q", addr, got)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("%s: the message of %d bytes did not arrive", addr, len(body))
			}
		}
	}
}

// What nobody waits for ends, at once where it only reads.
func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, body string
		atOnce       bool
	}{{"GET", "", true}, {"POST", "", true}, {"POST", "x", false}, {"PUT", "x", false}} {
		ended := make(chan time.Duration, 1)
		url := handlerAt(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err != nil {
				t.Error(err)
			}
			_, _ = w.Write(nil)
			gone := r.Context().Done()
			r, done := patient(r, 300*time.Millisecond) // begun before the clock below
			defer done()
			<-gone
			begin := time.Now()
			<-r.Context().Done()
			ended <- time.Since(begin)
		}))
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(conn, "%s / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", c.method, len(c.body), c.body); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		if took := <-ended; (took < 250*time.Millisecond) != c.atOnce {
			t.Errorf("%s %q ended after %v", c.method, c.body, took)
		}
	}
}
