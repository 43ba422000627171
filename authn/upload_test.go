package authn_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
)

// refusing starts a server that lets nobody in, or asks for another leg.
func refusing(t *testing.T, leg bool, wait time.Duration) (addr string) {
	t.Helper()
	a := scripted{err: authn.ErrNoCredentials, challenge: "NTLM"}
	if leg {
		a = scripted{result: &authn.Result{Continue: &authn.Challenge{Scheme: "NTLM", Param: "AA=="}}}
	}
	m := &authn.Middleware{Authenticators: []authn.Authenticator{a}, Logger: slog.New(slog.DiscardHandler)}
	m.LimitBodies(wait)
	s := httptest.NewServer(m.Wrap(http.NotFoundHandler()))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// TestAttackUploadBeforeLogin: of the body of a client that is not let in only
// a bounded part is read, and no more than it takes to keep the connection.
func TestAttackUploadBeforeLogin(t *testing.T) {
	t.Parallel()
	for _, leg := range []bool{false, true} {
		for size, kept := range map[int]bool{0: true, 100 << 10: true, 10 << 20: false} {
			conn, err := net.Dial("tcp", refusing(t, leg, time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			go func() { // the server may stop reading
				_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size)
				_, _ = conn.Write(make([]byte, size))
			}()
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != 401 || resp.Close == kept {
				t.Errorf("leg %v, body of %d bytes: status %d, connection kept %v, want %v", leg, size, resp.StatusCode, !resp.Close, kept)
			}
		}
	}
}

// TestAttackSlowBodyBeforeLogin: a client that announces a body and does not
// send it cannot hold its connection.
func TestAttackSlowBodyBeforeLogin(t *testing.T) {
	t.Parallel()
	for _, leg := range []bool{false, true} {
		conn, err := net.Dial("tcp", refusing(t, leg, 100*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Errorf("leg %v: %v, want the server to end the connection", leg, err)
		}
	}
}
