package iwa_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
)

// sessions is the session cache of a client. It hands out what it got last,
// whichever server that came from.
type sessions struct {
	mu   sync.Mutex
	last *tls.ClientSessionState
}

func (s *sessions) Get(string) (*tls.ClientSessionState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last, s.last != nil
}

func (s *sessions) Put(_ string, cs *tls.ClientSessionState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = cs
}

// ticket returns the session ticket that came last.
func (s *sessions) ticket(t *testing.T) []byte {
	t.Helper()
	cs, ok := s.Get("")
	if !ok {
		t.Fatal("no session ticket came")
	}
	ticket, _, err := cs.ResumptionState()
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

// connectAnew logs alice in over a new connection and reports whether its TLS
// session was resumed.
func connectAnew(t *testing.T, s *service, c *http.Client) (resumed bool) {
	t.Helper()
	defer c.CloseIdleConnections()
	resp, err := c.Get("https://" + s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || string(body) != `CORP\alice 0` {
		t.Fatalf("got %d %q, %v, want alice", resp.StatusCode, body, err)
	}
	return resp.Header.Get("X-Resumed") == "true"
}

var versions = map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13}

// TestBindingOfResumedSession: a resumed session is bound to the certificate
// that was shown when it began, for which no certificate is chosen any more,
// also when the server has a new one meanwhile.
func TestBindingOfResumedSession(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	for name, version := range versions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var current atomic.Pointer[tls.Certificate]
			renew := func() {
				cert := ca.certificate("gw.test", 0)
				current.Store(&cert)
			}
			renew()
			m := newNTLM(t)
			m.Binding = authn.BindingRequired
			s := serve(t, &iwa.Authenticator{NTLM: m}, &tls.Config{
				MinVersion: version, MaxVersion: version,
				GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.Load(), nil },
			})
			cache := &sessions{}
			c := caller(t, "alice", &tls.Config{RootCAs: ca.pool, ServerName: "gw.test", ClientSessionCache: cache})
			if connectAnew(t, s, c) {
				t.Error("the first session is resumed")
			}
			for range 2 { // the second with a ticket that the first got
				if !connectAnew(t, s, c) {
					t.Error("the session is not resumed")
				}
			}
			renew()
			for range 2 {
				if !connectAnew(t, s, c) {
					t.Error("the session is not resumed after the certificate was renewed")
				}
			}
			cache.Put("", nil)
			if connectAnew(t, s, c) {
				t.Error("a session of no ticket is resumed")
			}
		})
	}
}

// TestBindingOfOtherTickets: a session that began at a server which does not
// note its certificate is not resumed, and logins go on.
func TestBindingOfOtherTickets(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert := ca.certificate("gw.test", 0)
	for name, version := range versions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: version, MaxVersion: version}
			config.SetSessionTicketKeys([][32]byte{{1}})
			m := newNTLM(t)
			m.Binding = authn.BindingRequired
			s := serve(t, &iwa.Authenticator{NTLM: m}, config)
			cache := &sessions{}
			c := caller(t, "alice", &tls.Config{RootCAs: ca.pool, ServerName: "gw.test", ClientSessionCache: cache})

			l, err := tls.Listen("tcp", "127.0.0.1:0", config)
			if err != nil {
				t.Fatal(err)
			}
			plain := &http.Server{Handler: http.NotFoundHandler()}
			done := make(chan error, 1)
			go func() { done <- plain.Serve(l) }()
			t.Cleanup(func() {
				_ = plain.Close()
				<-done
			})
			if _, err := get(c, "https://"+l.Addr().String()); err == nil {
				t.Fatal("the plain server has a page")
			}
			cache.ticket(t)
			if connectAnew(t, s, c) {
				t.Error("a ticket without a certificate is resumed")
			}
			if !connectAnew(t, s, c) {
				t.Error("our own ticket is not resumed")
			}
		})
	}
}

// TestTicketKeysRotate: tickets are sealed with the keys that crypto/tls renews
// by itself each day and forgets after a week.
func TestTicketKeysRotate(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	var ahead atomic.Int64
	config := &tls.Config{
		Certificates: []tls.Certificate{ca.certificate("gw.test", 0)},
		Time:         func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	}
	s := serve(t, &iwa.Authenticator{NTLM: newNTLM(t)}, config)
	cache := &sessions{}
	c := caller(t, "alice", &tls.Config{RootCAs: ca.pool, ServerName: "gw.test", ClientSessionCache: cache})
	connectAnew(t, s, c)
	first := cache.ticket(t)
	opens := func(ticket []byte) bool {
		t.Helper()
		ss, err := config.DecryptTicket(ticket, tls.ConnectionState{})
		if err != nil {
			t.Fatal(err)
		}
		return ss != nil
	}
	ahead.Store(int64(25 * time.Hour))
	if !connectAnew(t, s, c) || !opens(first) {
		t.Error("after a day the first ticket is worthless")
	}
	second := cache.ticket(t)
	ahead.Store(int64(24*7*time.Hour + 30*time.Minute))
	if opens(first) || !opens(second) {
		t.Errorf("after a week the first ticket opens: %v, want false; the one of the second day: %v, want true", opens(first), opens(second))
	}
}
