package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/hook"
)

// A client that sends a message to its end before it looks for an answer, as gSOAP
// does, gets to see why it is refused.
func TestRefusedUpload(t *testing.T) {
	t.Parallel()
	key, hash := hook.NewAPIKey()
	port := freePort(t)
	startGateway(t, fmt.Sprintf(`
listen: [{addr: "127.0.0.1:%d"}]
services:
  hr:
    match: {path: /hr/}
    login: [custom]
    custom: {api_keys: [{name: robot, hash: "%x"}]}
    allow: [{operation: "{urn:hr}Get", roles: [any]}]
    upstream: {url: %q}
`, port, hash, startBackend(t)), nil)
	for i, size := range []int{100 << 10, 260 << 10, 280 << 10, 400 << 10, 400 << 10} {
		closing := "close"
		if i == 4 {
			closing = "keep-alive"
		}
		for _, kind := range []string{"text/xml", `multipart/related; type="application/xop+xml"; start="<a>"; start-info="text/xml"; boundary="b"`} {
			c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			body := envelope("urn:hr", "Pay", strings.Repeat("x", size))
			if kind != "text/xml" {
				body = "--b\r\nContent-Type: application/xop+xml; type=\"text/xml\"\r\nContent-ID: <a>\r\n\r\n" + envelope("urn:hr", "Pay", "") +
					"\r\n--b\r\nContent-ID: <b>\r\n\r\n" + strings.Repeat("x", size) + "\r\n--b--\r\n"
			}
			_, err = fmt.Fprintf(c, "POST /hr/svc HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Type: %s\r\nConnection: %s\r\nContent-Length: %d\r\n\r\n", key.Reveal(), kind, closing, len(body))
			for b := []byte(body); err == nil && len(b) > 0; {
				n := min(len(b), 16<<10)
				_, err = c.Write(b[:n])
				b = b[n:]
				time.Sleep(time.Millisecond) // as over a network
			}
			if err != nil {
				t.Errorf("%d bytes of %.9s: sending: %v", size, kind, err)
			}
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Errorf("%d bytes of %.9s: %v", size, kind, err)
			} else if b, err := io.ReadAll(res.Body); !strings.Contains(string(b), "access denied") || err != nil {
				t.Errorf("%d bytes of %.9s: %d %s, %v", size, kind, res.StatusCode, b, err)
			}
			_ = c.Close()
		}
	}
}

// A client that is refused and sends on for ever is not listened to for long, however
// it wants the connection to go on.
func TestAttackEndlessUpload(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	startGateway(t, fmt.Sprintf(`
listen: [{addr: "127.0.0.1:%d"}]
services:
  hr:
    match: {path: /hr/}
    login: [custom]
    custom: {api_keys: [{name: robot, hash: "%064d"}]}
    upstream: {url: %q}
`, port, 1, startBackend(t)), nil)
	for _, closing := range []string{"close", "keep-alive"} {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := fmt.Fprintf(c, "POST /hr/svc HTTP/1.1\r\nHost: x\r\nConnection: %s\r\nContent-Type: text/xml\r\nContent-Length: 1000000000000\r\n\r\n", closing); err != nil {
			t.Fatal(err)
		}
		if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != http.StatusUnauthorized {
			t.Fatalf("%s: %v, %v, want 401 before the body", closing, res, err)
		}
		sent := 0
		for err == nil {
			var n int
			n, err = c.Write(make([]byte, 4096))
			sent += n
			time.Sleep(time.Millisecond)
		}
		if strings.Contains(err.Error(), "timeout") || sent > 16<<20 {
			t.Errorf("%s: %d bytes were taken: %v", closing, sent, err)
		}
	}
}
