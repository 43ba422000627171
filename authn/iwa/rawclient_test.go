package iwa_test

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
)

// rawClient is one connection of a client that does whatever a test wants.
type rawClient struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

// dial connects to s from the loopback address from; "" is any.
func dial(t testing.TB, s *service, from string) *rawClient {
	t.Helper()
	d := net.Dialer{Timeout: 20 * time.Second}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	c, err := d.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &rawClient{Conn: c, t: t, r: bufio.NewReader(c)}
}

// send writes a request without a body. Each of headers is a line.
func (c *rawClient) send(method string, headers ...string) error {
	_, err := fmt.Fprintf(c, "%s / HTTP/1.1\r\nHost: gw.test\r\n%s\r\n", method, strings.Join(append(headers, ""), "\r\n"))
	return err
}

// answer reads a response to method, with its body. Its error is io.EOF or the
// like if the server closed the connection.
func (c *rawClient) answer(method string) (resp *http.Response, body string, err error) {
	resp, err = http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return nil, "", err
	}
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return resp, string(b), err
}

// get sends a GET and returns status and body.
func (c *rawClient) get(headers ...string) (*http.Response, string) {
	c.t.Helper()
	if err := c.send("GET", headers...); err != nil {
		c.t.Fatal(err)
	}
	resp, body, err := c.answer("GET")
	if err != nil {
		c.t.Fatal(err)
	}
	return resp, body
}

// wantEnd waits for the server to end the connection without a word.
func (c *rawClient) wantEnd() {
	c.t.Helper()
	var timeout net.Error
	if b, err := c.r.ReadByte(); err == nil {
		c.t.Errorf("read %q, want the end of the connection", b)
	} else if errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Error("the server keeps the connection")
	}
}

// handshake is a login as user between its legs.
type handshake struct {
	c         *rawClient
	initiator *ntlm.Initiator
	challenge []byte
}

func newInitiator(user string) *ntlm.Initiator {
	return &ntlm.Initiator{Credential: ntlm.Credential{User: user, Domain: "CORP", Password: authn.NewSecret(user[:1])}}
}

// authorization is a header line.
func authorization(token []byte) string {
	return "Authorization: NTLM " + base64.StdEncoding.EncodeToString(token)
}

// negotiate returns the header line that opens a handshake.
func (c *rawClient) negotiate(user string) (*handshake, string) {
	c.t.Helper()
	h := &handshake{c: c, initiator: newInitiator(user)}
	token, _, err := h.initiator.Step(c.t.Context(), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return h, authorization(token)
}

// challenged takes the server's challenge and reports whether it is one.
func (h *handshake) challenged(resp *http.Response) bool {
	h.c.t.Helper()
	token, ok := strings.CutPrefix(resp.Header.Get("WWW-Authenticate"), "NTLM ")
	if !ok || resp.StatusCode != http.StatusUnauthorized {
		return false
	}
	var err error
	if h.challenge, err = base64.StdEncoding.DecodeString(token); err != nil {
		h.c.t.Fatal(err)
	}
	return true
}

// authenticate returns the header line that answers the challenge.
func (h *handshake) authenticate() string {
	h.c.t.Helper()
	token, _, err := h.initiator.Step(h.c.t.Context(), h.challenge)
	if err != nil {
		h.c.t.Fatal(err)
	}
	return authorization(token)
}

// begin opens a handshake, for which there has to be a challenge.
func (c *rawClient) begin(user string, headers ...string) *handshake {
	c.t.Helper()
	h, line := c.negotiate(user)
	resp, body := c.get(append(headers, line)...)
	if !h.challenged(resp) {
		c.t.Fatalf("got %d %v %q, want a challenge", resp.StatusCode, resp.Header, body)
	}
	return h
}

// login is a whole handshake, which has to succeed.
func (c *rawClient) login(user string) {
	c.t.Helper()
	h := c.begin(user)
	c.wantUser(user, h.authenticate())
}

// wantUser sends a GET, which has to come as user.
func (c *rawClient) wantUser(user string, headers ...string) {
	c.t.Helper()
	resp, body := c.get(headers...)
	if want := `CORP\` + user + " 0"; resp.StatusCode != http.StatusOK || body != want {
		c.t.Fatalf("got %d %q, want %q", resp.StatusCode, body, want)
	}
}
