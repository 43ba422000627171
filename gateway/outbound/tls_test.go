package outbound

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
)

// basic takes one password.
type basic struct{}

func (basic) Authenticate(r *http.Request) (*authn.Result, error) {
	user, password, ok := r.BasicAuth()
	switch {
	case !ok:
		return nil, authn.ErrNoCredentials
	case user != `CORP\svc` || password != "pw-svc":
		return nil, authn.ErrBadCredentials
	}
	return &authn.Result{Identity: &authn.Identity{Account: "svc", Domain: "CORP", Mechanism: "Basic"}}, nil
}

func (basic) Challenges(*http.Request) []authn.Challenge {
	return []authn.Challenge{{Scheme: "Basic", Param: `realm="x"`}}
}

// tlsServer offers what it is given, and returns the schemes that it was logged
// in by.
func (w *world) tlsServer(t *testing.T, as ...authn.Authenticator) (s *httptest.Server, seen func() string) {
	t.Helper()
	m := &authn.Middleware{Authenticators: as, Logger: slog.New(slog.DiscardHandler)}
	s = httptest.NewUnstartedServer(nil)
	var mu sync.Mutex
	var schemes []string
	inner := m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := authn.FromContext(r.Context())
		fmt.Fprintf(w, "%v by %s", id, id.Mechanism)
	}))
	s.Config = iwa.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if scheme, _, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok {
			mu.Lock()
			schemes = append(schemes, scheme)
			mu.Unlock()
		}
		inner.ServeHTTP(w, r)
	}))
	c := httptest.NewTLSServer(nil)
	cert := c.TLS.Certificates[0]
	c.Close()
	s.Listener = iwa.NewTLSListener(s.Listener, &tls.Config{Certificates: []tls.Certificate{cert}})
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Start()
	t.Cleanup(s.Close)
	w.write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})))
	s.URL = strings.Replace(s.URL, "http://", "https://", 1)
	return s, func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(schemes, " ")
	}
}

// Of what a server offers, the best is taken that the account is allowed: a
// password is sent where there is nothing else, by TLS, and if it may be.
func TestAttackWeakerLoginOffered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	byNTLM := func() *iwa.Authenticator {
		return &iwa.Authenticator{NTLM: &ntlm.Mechanism{Verifier: w.ntlm, Names: ntlm.Names{Domain: "CORP", Computer: "BACK"}}}
	}
	both := byNTLM()
	both.Kerberos = w.mechanism(t, "back", backSPN)
	const user, principal = `service: {user: 'CORP\svc', password: {file: svc.secret}}`, `service: {principal: svc@CORP.TEST, password: {file: svc.secret}}`
	for _, tt := range []struct {
		name     string
		offers   []authn.Authenticator
		settings string
		body     string // empty: refused
		never    string // a scheme that is not used
	}{
		{"NTLM before Basic", []authn.Authenticator{basic{}, byNTLM()}, user + ", allow_basic: true", `CORP\svc by NTLM`, "Basic"},
		{"Basic alone, allowed", []authn.Authenticator{basic{}}, user + ", allow_basic: true", `CORP\svc by Basic`, "NTLM"},
		{"Basic alone", []authn.Authenticator{basic{}}, user, "", "Basic"},
		{"Kerberos before NTLM", []authn.Authenticator{both}, principal + ", allow_ntlm: true", `CORP\svc by Kerberos`, "NTLM"},
		{"NTLM alone, allowed", []authn.Authenticator{noNegotiate(byNTLM())}, principal + ", allow_ntlm: true", `CORP\svc by NTLM`, "Basic"},
		{"NTLM alone", []authn.Authenticator{noNegotiate(byNTLM())}, principal, "", "NTLM"},
		{"Basic and a principal", []authn.Authenticator{basic{}}, principal + ", allow_ntlm: true, allow_basic: true", "", "Basic"},
	} {
		s, seen := w.tlsServer(t, tt.offers...)
		g := w.gateway(t, fmt.Sprintf("  up: {listen: \"127.0.0.1:9300\", url: %q, spn: %s, ca_file: ca.pem, act_as: [service], %s}\n", s.URL, backSPN, tt.settings))
		a := send(t, "GET", g.start(t, "up").URL, nil)
		switch {
		case tt.body != "" && (a.status != 200 || a.body != tt.body):
			t.Errorf("%s: %d %q, want %q\n%s", tt.name, a.status, a.body, tt.body, g.log)
		case tt.body == "" && a.status != http.StatusBadGateway:
			t.Errorf("%s: %d %q, want a refusal", tt.name, a.status, a.body)
		case strings.Contains(seen(), tt.never):
			t.Errorf("%s: logins by %s", tt.name, seen())
		}
		if password := base64.StdEncoding.EncodeToString([]byte(`CORP\svc:pw-svc`)); strings.Contains(g.log.String(), password) || strings.Contains(g.log.String(), "pw-svc") {
			t.Errorf("%s: the password is in the log", tt.name)
		}
	}
}

func noNegotiate(a *iwa.Authenticator) *iwa.Authenticator {
	a.NoNegotiate = true
	return a
}

// A certificate of somebody else ends it before a login begins.
func TestAttackUpstreamCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, seen := w.tlsServer(t, basic{})
	for url, ca := range map[string]string{s.URL: "", strings.Replace(s.URL, "127.0.0.1", "localhost", 1): "ca_file: ca.pem, "} {
		g := w.gateway(t, fmt.Sprintf("  up: {listen: \"127.0.0.1:9300\", url: %q, %sact_as: [service], allow_basic: true, service: {user: 'CORP\\svc', password: {file: svc.secret}}}\n", url, ca))
		a := send(t, "GET", g.start(t, "up").URL, nil)
		if a.status != http.StatusBadGateway || a.problem(t).Type != Namespace+":upstream-certificate" || seen() != "" {
			t.Errorf("%s: %d %s", url, a.status, a.body)
		}
	}
}
