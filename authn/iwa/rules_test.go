package iwa_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
)

const large = 10 << 20

// post sends a request with a body of n bytes, or only announces it if held. It
// is chunked unless it has a length.
func (c *rawClient) post(n int, chunked, held bool, headers ...string) {
	c.t.Helper()
	framing := fmt.Sprintf("Content-Length: %d", n)
	if chunked {
		framing = "Transfer-Encoding: chunked"
	}
	if err := c.send("POST", append(headers, framing)...); err != nil {
		c.t.Fatal(err)
	}
	if !held {
		c.body(n, chunked)
	}
}

// body sends the body that was announced. A server may stop reading, so an
// error is none of the test's.
func (c *rawClient) body(n int, chunked bool) {
	var w io.Writer = c
	if chunked {
		cw := httpChunks{c}
		defer func() { _, _ = io.WriteString(c, "0\r\n\r\n") }()
		w = cw
	}
	for piece := make([]byte, 32<<10); n > 0; n -= len(piece) {
		if _, err := w.Write(piece[:min(n, len(piece))]); err != nil {
			return
		}
	}
}

type httpChunks struct{ w io.Writer }

func (c httpChunks) Write(b []byte) (int, error) {
	_, err := fmt.Fprintf(c.w, "%x\r\n%s\r\n", len(b), b)
	return len(b), err
}

// wantStatus reads an answer to a POST.
func (c *rawClient) wantStatus(status int) (*http.Response, string) {
	c.t.Helper()
	resp, body, err := c.answer("POST")
	if err != nil {
		c.t.Fatal(err)
	}
	if resp.StatusCode != status {
		c.t.Fatalf("got %d %v %q, want %d", resp.StatusCode, resp.Header, body, status)
	}
	return resp, body
}

const expect = "Expect: 100-continue"

// TestExpectContinue: a client that waits for leave to send its body is refused
// without it, gets it in the last leg, and in the first where the connection
// would be lost otherwise.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	a := &iwa.Authenticator{NTLM: newNTLM(t)}
	s := serve(t, a, nil)
	t.Run("no login", func(t *testing.T) {
		t.Parallel()
		for _, chunked := range []bool{false, true} {
			c := dial(t, s, "")
			c.post(large, chunked, true, expect)
			if resp, _ := c.wantStatus(http.StatusUnauthorized); !resp.Close {
				t.Error("the connection stays, although nobody knows whether the body comes")
			}
		}
	})
	t.Run("last leg", func(t *testing.T) {
		t.Parallel()
		for _, chunked := range []bool{false, true} {
			c := dial(t, s, "")
			h := c.begin("alice")
			c.post(large, chunked, true, expect, h.authenticate())
			c.wantStatus(http.StatusContinue)
			c.body(large, chunked)
			if _, body := c.wantStatus(http.StatusOK); body != fmt.Sprintf(`CORP\alice %d`, large) {
				t.Errorf("got %q", body)
			}
			c.wantUser("alice")
		}
	})
	t.Run("wrong answer", func(t *testing.T) {
		t.Parallel()
		c := dial(t, s, "")
		h := c.begin("alice")
		h.challenge[24] ^= 1
		c.post(large, false, true, expect, h.authenticate())
		c.wantStatus(http.StatusUnauthorized)
	})
	t.Run("all legs", func(t *testing.T) {
		t.Parallel()
		for _, chunked := range []bool{false, true} {
			c := dial(t, s, "")
			h, line := c.negotiate("alice")
			c.post(1000, chunked, true, expect, line)
			c.wantStatus(http.StatusContinue)
			c.body(1000, chunked)
			if resp, _ := c.wantStatus(http.StatusUnauthorized); resp.Close || !h.challenged(resp) {
				t.Fatalf("got %v, want a challenge on a connection that stays", resp.Header)
			}
			c.post(1000, chunked, true, expect, h.authenticate())
			c.wantStatus(http.StatusContinue)
			c.body(1000, chunked)
			if _, body := c.wantStatus(http.StatusOK); body != `CORP\alice 1000` {
				t.Errorf("got %q", body)
			}
		}
	})
	t.Run("first leg with too much", func(t *testing.T) {
		t.Parallel()
		c := dial(t, s, "")
		_, line := c.negotiate("alice")
		c.post(large, false, true, expect, line)
		c.wantStatus(http.StatusUnauthorized)
		c.wantEnd()
	})
}

// TestUploads: bodies of any length pass once their sender is known. Before,
// those that cannot be skipped cost the connection, and with it the handshake.
func TestUploads(t *testing.T) {
	t.Parallel()
	a := &iwa.Authenticator{NTLM: newNTLM(t)}
	s := serve(t, a, nil)
	for _, chunked := range []bool{false, true} {
		c := dial(t, s, "")
		go c.body0(large, chunked)
		c.wantStatus(http.StatusUnauthorized)

		c = dial(t, s, "")
		h, line := c.negotiate("alice")
		go c.body0(large, chunked, line)
		if resp, _ := c.wantStatus(http.StatusUnauthorized); !resp.Close || !h.challenged(resp) {
			t.Errorf("%v: got %v, want a challenge and the end of the connection", chunked, resp.Header)
		}

		c = dial(t, s, "")
		h, line = c.negotiate("alice")
		c.post(100<<10, chunked, false, line)
		if resp, _ := c.wantStatus(http.StatusUnauthorized); resp.Close || !h.challenged(resp) {
			t.Errorf("%v: got %v, want a challenge on a connection that stays", chunked, resp.Header)
		}
		for _, headers := range [][]string{{h.authenticate()}, nil} { // in the last leg, after the login
			c.post(large, chunked, false, headers...)
			if _, body := c.wantStatus(http.StatusOK); body != fmt.Sprintf(`CORP\alice %d`, large) {
				t.Errorf("%v: got %q", chunked, body)
			}
		}
	}
	wantNobodyWaiting(t, a)
}

// body0 is post for a goroutine of its own: the server may not take it all.
func (c *rawClient) body0(n int, chunked bool, headers ...string) {
	framing := fmt.Sprintf("Content-Length: %d", n)
	if chunked {
		framing = "Transfer-Encoding: chunked"
	}
	if c.send("POST", append(headers, framing)...) == nil {
		c.body(n, chunked)
	}
}

// TestIdleConnectionEnds: a server that closes idle connections meets clients
// that just begin a handshake on them, or are in one.
func TestIdleConnectionEnds(t *testing.T) {
	t.Parallel()
	a := &iwa.Authenticator{NTLM: newNTLM(t)}
	s := serve(t, a, nil, func(s *http.Server) { s.IdleTimeout = 50 * time.Millisecond })
	idle, inHandshake := dial(t, s, ""), dial(t, s, "")
	idle.get()
	h := inHandshake.begin("alice")
	idle.wantEnd()
	_, line := idle.negotiate("alice")
	_ = idle.send("GET", line) // into the void
	idle.wantEnd()
	inHandshake.wantEnd()
	wantNobodyWaiting(t, a)
	c := dial(t, s, "")
	if resp, _ := c.get(h.authenticate()); resp.StatusCode != http.StatusUnauthorized || !s.log.has("cause.reason=out-of-order") {
		t.Errorf("status %d for the answer to another connection's challenge", resp.StatusCode)
	}
	alice := caller(t, "alice", nil)
	for range 3 { // our client finds its connection closed, or not yet
		if got, err := get(alice, "http://"+s.addr); err != nil || got != `CORP\alice 0` {
			t.Errorf("got %q, %v", got, err)
		}
		until(t, "the connection is idle no more", func() bool { return s.open.Load() == 0 })
	}
}

// TestAttackPipelining: requests that do not wait for answers are judged one
// after the other, each by what its connection has proved by then.
func TestAttackPipelining(t *testing.T) {
	t.Parallel()
	s := serve(t, &iwa.Authenticator{NTLM: newNTLM(t)}, nil)
	// pipeline sends GETs in one piece and returns their status codes and bodies.
	pipeline := func(c *rawClient, headers ...string) (got []string, last *http.Response) {
		var b strings.Builder
		for _, h := range headers {
			fmt.Fprintf(&b, "GET / HTTP/1.1\r\nHost: gw.test\r\n%s\r\n\r\n", h)
		}
		if _, err := io.WriteString(c, b.String()); err != nil {
			t.Fatal(err)
		}
		for range headers {
			resp, body, err := c.answer("GET")
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != http.StatusOK {
				body = ""
			}
			got, last = append(got, strings.TrimSpace(fmt.Sprintln(resp.StatusCode, body))), resp
		}
		return got, last
	}
	const none = "Accept: */*"
	want := func(got []string, want ...string) {
		t.Helper()
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	c := dial(t, s, "")
	h, negotiate := c.negotiate("alice")
	got, resp := pipeline(c, none, negotiate)
	want(got, "401", "401")
	if !h.challenged(resp) {
		t.Fatalf("no challenge: %v", resp.Header)
	}
	got, _ = pipeline(c, h.authenticate(), none, none)
	want(got, `200 CORP\alice 0`, `200 CORP\alice 0`, `200 CORP\alice 0`)

	// Whoever sends on behind NEGOTIATE has given the handshake up.
	c = dial(t, s, "")
	h, negotiate = c.negotiate("alice")
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", negotiate); err != nil {
		t.Fatal(err)
	}
	resp, _, err := c.answer("GET")
	if err != nil || !h.challenged(resp) {
		t.Fatalf("got %v, %v, want a challenge", resp, err)
	}
	if resp, _, err = c.answer("GET"); err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Fatalf("got %v, %v, want 401", resp, err)
	}
	got, _ = pipeline(c, h.authenticate(), none)
	want(got, "401", "401")
}

// TestHead logs in with requests whose answers have no body.
func TestHead(t *testing.T) {
	t.Parallel()
	s := serve(t, &iwa.Authenticator{NTLM: newNTLM(t)}, nil)
	c := dial(t, s, "")
	head := func(headers ...string) *http.Response {
		t.Helper()
		if err := c.send("HEAD", headers...); err != nil {
			t.Fatal(err)
		}
		resp, body, err := c.answer("HEAD")
		if err != nil || body != "" {
			t.Fatalf("got %v %q, %v", resp, body, err)
		}
		return resp
	}
	if resp := head(); resp.StatusCode != http.StatusUnauthorized || len(resp.Header["Www-Authenticate"]) != 2 {
		t.Fatalf("got %v", resp)
	}
	h, line := c.negotiate("alice")
	if !h.challenged(head(line)) {
		t.Fatal("no challenge")
	}
	if resp := head(h.authenticate()); resp.StatusCode != http.StatusOK {
		t.Errorf("got %v", resp)
	}
	c.wantUser("alice") // nothing is left over of the answers before
}

// TestConnectionClose: a client that wants its connection closed between the
// legs cannot log in, and the log says so at once. In the last leg it may.
func TestConnectionClose(t *testing.T) {
	t.Parallel()
	a := &iwa.Authenticator{NTLM: newNTLM(t)}
	s := serve(t, a, nil)
	c := dial(t, s, "")
	_, line := c.negotiate("alice")
	if resp, _ := c.get(line, "Connection: close"); resp.StatusCode != http.StatusUnauthorized || strings.Contains(fmt.Sprint(resp.Header), "TlRM") {
		t.Errorf("got %d %v, want 401 without a challenge", resp.StatusCode, resp.Header)
	}
	c.wantEnd()
	if !s.log.has("keep connections alive") {
		t.Errorf("the log does not tell why: %s", s.log)
	}
	c = dial(t, s, "")
	_, line = c.negotiate("alice")
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.0\r\n%s\r\n\r\n", line); err != nil {
		t.Fatal(err)
	}
	if resp, _, err := c.answer("GET"); err != nil || resp.StatusCode != http.StatusUnauthorized || strings.Contains(fmt.Sprint(resp.Header), "TlRM") {
		t.Errorf("HTTP/1.0: got %v, %v, want 401 without a challenge", resp, err)
	}
	c = dial(t, s, "")
	c.wantUser("alice", c.begin("alice").authenticate(), "Connection: close")
	c.wantEnd()
	wantNobodyWaiting(t, a)
}

// TestAttackAnotherUserOnConnection: over one connection nobody follows another
// user, and a login that is replaced is gone from the first leg on. Where there was another one the connection ends.
func TestAttackAnotherUserOnConnection(t *testing.T) {
	t.Parallel()
	s := serve(t, &iwa.Authenticator{NTLM: newNTLM(t)}, nil)
	c := dial(t, s, "")
	c.login("alice")
	c.begin("bob")
	if resp, body := c.get(); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %d %q in the middle of another login, want 401", resp.StatusCode, body)
	}
	h := c.begin("bob")
	if resp, body := c.get(h.authenticate()); resp.StatusCode != http.StatusUnauthorized || !s.log.has(`login of CORP\\alice on the same connection`) {
		t.Errorf("got %d %q as another user, want 401 and the cause in the log", resp.StatusCode, body)
	}
	c.wantEnd() // or bob's second try would be let in, and alice's next request would be his
}

// TestAttackNTLMOverALPN: a real HTTP/2 connection is not offered NTLM, an NTLM
// token on it is refused, and the log has the remedy. Through NewTLSListener the
// same server speaks HTTP/1.1, and logs in.
func TestAttackNTLMOverALPN(t *testing.T) {
	t.Parallel()
	s := &service{log: new(logBuffer)}
	login := &iwa.Authenticator{NTLM: newNTLM(t), Logger: s.log.logger()}
	m := &authn.Middleware{Authenticators: []authn.Authenticator{login}, Logger: s.log.logger()}
	ts := httptest.NewUnstartedServer(m.Wrap(http.NotFoundHandler()))
	ts.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return iwa.ConnContext(ctx, c) }
	ts.EnableHTTP2 = true
	ts.StartTLS()
	t.Cleanup(ts.Close)
	token, _, err := newInitiator("alice").Step(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"", authorization(token)} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", ts.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if name, value, ok := strings.Cut(line, ": "); ok {
			req.Header.Set(name, value)
		}
		resp, err := ts.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusUnauthorized || len(resp.Header["Www-Authenticate"]) != 0 {
			t.Errorf("%q: got %s %d %v, want HTTP/2, 401, nothing offered", line, resp.Proto, resp.StatusCode, resp.Header)
		}
	}
	for _, want := range []string{`msg="NTLM is not offered" cause=HTTP/2.0`, "switch HTTP/2 off in http.Server.Protocols", "exchange needs a connection of its own"} {
		if !s.log.has(want) {
			t.Errorf("no %q in the log %s", want, s.log)
		}
	}
}
