package iwa_test

import (
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/iwa"
)

// until waits for a condition that has to come true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

func wantNobodyWaiting(t *testing.T, a *iwa.Authenticator) {
	t.Helper()
	until(t, "nobody waits", func() bool {
		handshakes, addresses := a.Waiting()
		return handshakes == 0 && addresses == 0
	})
}

// TestAttackHalfFinishedHandshake: a client that gets a challenge and does not
// answer loses its connection; whoever answers keeps it.
func TestAttackHalfFinishedHandshake(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*http.Server){
		"iwa.Server":       func(*http.Server) {},
		"ConnContext only": func(s *http.Server) { s.BaseContext, s.ConnState = nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &iwa.Authenticator{NTLM: newNTLM(t), HandshakeTimeout: 200 * time.Millisecond}
			s := serve(t, a, nil, change)
			loggedIn, gaveUp, silent := dial(t, s, ""), dial(t, s, ""), dial(t, s, "")
			loggedIn.login("alice")
			gaveUp.begin("alice")
			if resp, _ := gaveUp.get(); resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("status %d without credentials", resp.StatusCode)
			}
			silent.begin("alice")
			silent.wantEnd()
			if !s.log.has(`msg="handshake ended"`) || !s.log.has("no answer to the challenge within 200ms") || !s.log.has("hint=") {
				t.Errorf("log %s", s.log)
			}
			loggedIn.wantUser("alice") // its time would have been over before that of silent
			gaveUp.login("bob")
			wantNobodyWaiting(t, a)
		})
	}
}

// TestAttackHandshakesOfOneAddress: one address cannot have any number of
// connections wait. Those that wait for long make room for newer ones, so that
// whoever holds them does not lock others out.
func TestAttackHandshakesOfOneAddress(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	now := time.Now()
	a := &iwa.Authenticator{NTLM: newNTLM(t), MaxHandshakes: 3}
	a.SetClock(func() time.Time { return now.Add(time.Duration(ahead.Load())) })
	s := serve(t, a, nil)

	c := []*rawClient{dial(t, s, ""), dial(t, s, ""), dial(t, s, "")}
	h := []*handshake{c[0].begin("alice"), c[1].begin("alice"), c[2].begin("alice")}

	// None of them is old: the next one is refused and may come again.
	refused := dial(t, s, "")
	_, line := refused.negotiate("bob")
	resp, body := refused.get(line)
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || len(resp.Header["Www-Authenticate"]) != 0 {
		t.Errorf("got %d %v %q, want 503 and Retry-After", resp.StatusCode, resp.Header, body)
	}
	refused.wantEnd()
	if !s.log.has("3 handshakes of 127.0.0.1 wait for an answer") || !s.log.has("iwa.Authenticator.MaxHandshakes") {
		t.Errorf("the log does not name the limit: %s", s.log)
	}
	dial(t, s, "127.0.0.2").login("bob") // another address

	// The oldest makes room, and loses its connection.
	ahead.Store(int64(3 * time.Second))
	newer := dial(t, s, "")
	newer.begin("bob")
	c[0].wantEnd()
	if !s.log.has("newer ones came") {
		t.Errorf("the log does not tell why the connection ended: %s", s.log)
	}

	// A login makes room.
	c[1].wantUser("alice", h[1].authenticate())
	dial(t, s, "").begin("bob")

	// So does a connection that ends.
	if err := c[2].Close(); err != nil {
		t.Fatal(err)
	}
	until(t, "the place of a connection that was closed is free", func() bool {
		n, _ := a.Waiting()
		return n == 2
	})
	dial(t, s, "").begin("bob")
	c[1].wantUser("alice")
}

// TestHandshakesRace has clients that finish, begin again, leave and stay
// silent, all at once and of one address.
func TestHandshakesRace(t *testing.T) {
	t.Parallel()
	a := &iwa.Authenticator{NTLM: newNTLM(t), MaxHandshakes: 4, HandshakeTimeout: 20 * time.Millisecond}
	var ticks atomic.Int64
	a.SetClock(func() time.Time { return time.Now().Add(time.Duration(ticks.Add(1)) * time.Second) }) // everybody is old soon
	s := serve(t, a, nil)
	t.Run("clients", func(t *testing.T) { // returns when all are done
		for n := range 12 {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				for i := range 25 {
					restless(t, s, []string{"alice", "bob"}[(n+i)%2], i)
				}
			})
		}
	})
	wantNobodyWaiting(t, a)
}

// restless is a client whose i tells what it does.
func restless(t *testing.T, s *service, user string, i int) {
	t.Helper()
	c := dial(t, s, "")
	h, line := c.negotiate(user)
	for range 1 + i%2 { // some begin twice
		if c.send("GET", line) != nil {
			break
		}
		resp, _, err := c.answer("GET")
		if err != nil || !h.challenged(resp) {
			break // had to make room, or found none
		}
	}
	if h.challenge != nil && i%5 != 0 && c.send("GET", h.authenticate()) == nil {
		resp, body, err := c.answer("GET")
		if err == nil && resp.StatusCode == http.StatusOK && body != `CORP\`+user+" 0" {
			t.Errorf("%s came as %q", user, body)
		}
	}
	if i%3 == 0 {
		_ = c.Close()
	}
}

type fakeConn struct {
	net.Conn
	remote net.Addr
}

func (c fakeConn) RemoteAddr() net.Addr { return c.remote }

func TestAddressOf(t *testing.T) {
	t.Parallel()
	tcp := func(ip, zone string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 1, Zone: zone} }
	for name, tt := range map[string]struct {
		remote net.Addr
		want   string
	}{
		"IPv4":              {tcp("192.0.2.1", ""), "192.0.2.1"},
		"IPv4 by IPv6":      {&net.TCPAddr{IP: net.ParseIP("192.0.2.1").To16()}, "192.0.2.1"},
		"IPv6":              {tcp("2001:db8:1:2:3:4:5:6", ""), "2001:db8:1:2::"},
		"IPv6 of a network": {tcp("2001:db8:1:2:ffff::", ""), "2001:db8:1:2::"},
		"IPv6 of a link":    {tcp("fe80::1", "eth0"), "fe80::"},
		"Unix socket":       {&net.UnixAddr{Name: "/run/x"}, "invalid IP"},
		"none":              {nil, "invalid IP"},
	} {
		if got := iwa.AddressOf(fakeConn{remote: tt.remote}).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	if got := iwa.AddressOf(nil); got.IsValid() {
		t.Errorf("no connection: %s", got)
	}
}
