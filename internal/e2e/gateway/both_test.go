package gateway

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
)

// A program without a login calls a server that wants one through the gateway,
// as a fixed user, also after a reload that adds an upstream.
func TestUpstream(t *testing.T) {
	t.Parallel()
	const password = "violet tractor lagoon"
	accounts, err := ntlm.NewAccounts("CORP", "corp.test", ntlm.Account{Name: "svc", Password: authn.NewSecret(password)})
	if err != nil {
		t.Fatal(err)
	}
	m := &authn.Middleware{
		Authenticators: []authn.Authenticator{&iwa.Authenticator{NTLM: &ntlm.Mechanism{Verifier: accounts, Names: ntlm.Names{Domain: "CORP"}}}},
		Logger:         slog.New(slog.DiscardHandler),
	}
	protected := httptest.NewUnstartedServer(nil)
	protected.Config = iwa.Server(m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		_ = json.NewEncoder(w).Encode(told{User: authn.FromContext(r.Context()).String(), Path: r.URL.Path, Bytes: int(n)})
	})))
	protected.Start()
	t.Cleanup(protected.Close)
	port, second := freePort(t), freePort(t)
	upstream := func(name string, port int) string {
		return fmt.Sprintf("  %s: {listen: \"127.0.0.1:%d\", url: %q, act_as: [fixed], fixed: {user: 'CORP\\svc', password: {file: svc.secret}}}\n", name, port, protected.URL)
	}
	text := "upstreams:\n" + upstream("one", port)
	s := startGateway(t, text, map[string]string{"svc.secret": password})
	for range 2 {
		if status, seen := curl(t, nil, "", "-d", "<a/>", fmt.Sprintf("http://127.0.0.1:%d/lists", port)); status != "200" || seen.User != `CORP\svc` || seen.Bytes != 4 {
			t.Errorf("status %s, the server saw %+v", status, seen)
		}
	}
	s.write("gw.yaml", text+upstream("two", second))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	for _, p := range []int{port, second} {
		if status, seen := curl(t, nil, "", "-d", "<a/>", fmt.Sprintf("http://127.0.0.1:%d/lists", p)); status != "200" || seen.User != `CORP\svc` {
			t.Errorf("after the reload: status %s, the server saw %+v", status, seen)
		}
	}
	if strings.Contains(s.log.String(), password) {
		t.Error("the password is in the log")
	}
}

// A WebSocket goes through, stays over a reload, and ends with the gateway.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(c, rw)
	}))
	t.Cleanup(backend.Close)
	port := freePort(t)
	var c net.Conn
	t.Run("gateway", func(t *testing.T) { // which ends with the subtest
		s := startGateway(t, fmt.Sprintf("listen: [{addr: \"127.0.0.1:%d\"}]\nservices: {ws: {match: {path: /}, login: [none], upstream: {url: %q}}}\n", port, backend.URL), nil)
		var err error
		if c, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != 101 {
			t.Fatalf("%v, %v", res, err)
		}
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 4)
		_, _ = io.WriteString(c, "ping")
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "ping" {
			t.Errorf("after the reload: %q, %v", b, err)
		}
	})
	if c == nil {
		return
	}
	defer func() { _ = c.Close() }()
	if n, err := c.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("the connection is open after the gateway ended: %d, %v", n, err)
	}
}
