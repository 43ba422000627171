package inbound

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A client that sends a message to its end before it looks for an answer, as most
// for SOAP do, gets to see why it is refused.
func TestRefusedUpload(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a message arrived that is not allowed")
	}))
	t.Cleanup(app.Close)
	gw, keys := realGateway(t, app.URL)
	for _, size := range []int{100 << 10, 262 << 10, 264 << 10, 270 << 10, 280 << 10, 300 << 10, 400 << 10} {
		c, err := net.Dial("tcp", gw.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		body := envelope("<h:Pay>" + strings.Repeat("x", size) + "</h:Pay>")
		_, err = fmt.Fprintf(c, "POST /hr/svc HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", keys["batch"].Reveal(), xmlType, len(body))
		for b := []byte(body); err == nil && len(b) > 0; {
			n := min(len(b), 64<<10)
			_, err = c.Write(b[:n])
			b = b[n:]
			time.Sleep(2*time.Millisecond)
		}
		if err != nil {
			t.Errorf("%d bytes: sending: %v", size, err)
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%d bytes: %v", size, err)
		} else if b, err := io.ReadAll(res.Body); res.StatusCode != 403 || err != nil || !strings.Contains(string(b), "access denied") {
			t.Errorf("%d bytes: %d %s, %v", size, res.StatusCode, b, err)
		}
		_ = c.Close()
	}
}
