package authclient_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
)

// kerberosFirst is alice's, of the domain d and of newServer's accounts.
func kerberosFirst(t *testing.T, d *domain, password string, allow bool) *authclient.KerberosFirst {
	t.Helper()
	ntlm, _ := ntlmCredential("alice").(*authclient.NTLM)
	return &authclient.KerberosFirst{
		Kerberos: &authclient.Kerberos{Client: d.client(t, "alice", password)}, NTLM: ntlm, AllowNTLM: allow,
	}
}

// TestKerberosFirst: what it logs in by, in each situation, and what it says
// where NTLM is not allowed.
func TestKerberosFirst(t *testing.T) {
	t.Parallel()
	down := newDomain(t)
	if err := down.kdc.Close(); err != nil {
		t.Fatal(err)
	}
	up := newDomain(t)
	noService := func(tr *authclient.Transport) {
		tr.SPN = func(authclient.Target) string { return "HTTP/unknown.corp.test" }
	}
	for _, tt := range []struct {
		name     string
		domain   *domain
		password string
		offers   []string // by the server, if not both
		change   func(*authclient.Transport)
		mech     string // that logs in where NTLM is allowed
		cause    string // in the error where it is not; empty: it logs in by mech all the same
	}{
		{"all is well", up, "a", nil, nil, authn.MechanismKerberos, ""},
		{"no KDC", down, "a", nil, nil, authn.MechanismNTLM, "KDC"},
		{"no KDC, Negotiate alone", down, "a", []string{"Negotiate"}, nil, authn.MechanismNTLM, "KDC"},
		{"service unknown", up, "a", nil, noService, authn.MechanismNTLM, "KDC_ERR_S_PRINCIPAL_UNKNOWN"},
		{"NTLM alone", up, "a", []string{"NTLM"}, nil, authn.MechanismNTLM, "it offers NTLM alone"},
		{"wrong password", up, "wrong", nil, nil, "", "KDC_ERR_PREAUTH_FAILED"},
	} {
		for _, allow := range []bool{false, true} {
			name := tt.name + ", NTLM not allowed"
			if allow {
				name = tt.name + ", NTLM allowed"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newServer(t, func(a *iwa.Authenticator) {
					a.Kerberos = &kerberos.Mechanism{Keytab: up.keytab}
				})
				url := s.URL
				for _, scheme := range []string{"NTLM", "Negotiate"} {
					if tt.offers != nil && tt.offers[0] != scheme {
						url = hideScheme(t, s, scheme).URL
					}
				}
				tr := &authclient.Transport{Source: authclient.Static(kerberosFirst(t, tt.domain, tt.password, allow))}
				if tt.change != nil {
					tt.change(tr)
				}
				t.Cleanup(tr.CloseIdleConnections)
				for range 2 {
					req, err := http.NewRequest("POST", url, strings.NewReader("x"))
					if err != nil {
						t.Fatal(err)
					}
					resp, err := (&http.Client{Transport: tr}).Do(req)
					if err == nil {
						_ = resp.Body.Close()
					}
					if tt.mech != "" && (allow || tt.cause == "") {
						if err != nil || resp.StatusCode != 200 || resp.Header.Get("X-Mechanism") != tt.mech {
							t.Fatalf("%v, %v; want a login by %s", resp, err, tt.mech)
						}
						continue
					}
					if err == nil || !strings.Contains(err.Error(), tt.cause) {
						t.Fatalf("%v; want an error with %q", err, tt.cause)
					}
					if named := errors.Is(err, authclient.ErrNTLMNotAllowed) && strings.Contains(err.Error(), "AllowNTLM"); named != (tt.mech != "") {
						t.Errorf("%v; names the switch: %v", err, named)
					}
					var kdc *kerberos.KDCError
					if wraps := errors.As(err, &kdc); wraps != strings.HasPrefix(tt.cause, "KDC_ERR") {
						t.Errorf("%v; wraps the KDC's answer: %v", err, wraps)
					}
				}
			})
		}
	}
}

// TestAttackTicketRefusedForNTLM: a server cannot have NTLM by refusing a good
// ticket.
func TestAttackTicketRefusedForNTLM(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	var ntlm, logins atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := r.Header.Get("Authorization"); a != "" {
			logins.Add(1)
			if strings.Contains(a, "TlRMTVNTU") { // NTLMSSP
				ntlm.Add(1)
			}
		}
		w.Header()["Www-Authenticate"] = []string{"NTLM", "Negotiate"}
		w.WriteHeader(401)
	}))
	t.Cleanup(s.Close)
	_, _, err := do(newClient(t, kerberosFirst(t, d, "a", true)), "GET", s.URL, nil)
	var refused *authclient.RefusedError
	if !errors.As(err, &refused) || refused.Scheme != "Negotiate" {
		t.Errorf("error %v, want a refusal of Negotiate", err)
	}
	if ntlm.Load() != 0 || logins.Load() == 0 {
		t.Errorf("%d logins, %d by NTLM; want none", logins.Load(), ntlm.Load())
	}
}

// TestKerberosFirstComesBack: a login by NTLM is not the reason for the next.
func TestKerberosFirstComesBack(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	s := newServer(t, func(a *iwa.Authenticator) { a.Kerberos = &kerberos.Mechanism{Keytab: d.keytab} })
	var known atomic.Bool
	tr := &authclient.Transport{
		Source: authclient.Static(kerberosFirst(t, d, "a", true)),
		SPN: func(t authclient.Target) string {
			if known.Load() {
				return t.SPN
			}
			return "HTTP/unknown.corp.test"
		},
	}
	for _, want := range []string{authn.MechanismNTLM, authn.MechanismKerberos} {
		resp, err := (&http.Client{Transport: tr}).Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.Header.Get("X-Mechanism"); got != want {
			t.Errorf("login by %s, want %s", got, want)
		}
		tr.CloseIdleConnections()
		known.Store(true)
	}
}

// TestKerberosFirstKey: who may not log in by NTLM gets no connection of one who
// did.
func TestKerberosFirstKey(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	strict := kerberosFirst(t, d, "a", false)
	lax := &authclient.KerberosFirst{Kerberos: strict.Kerberos, NTLM: strict.NTLM, AllowNTLM: true}
	other := &authclient.KerberosFirst{Kerberos: strict.Kerberos, NTLM: &authclient.NTLM{User: "bob", Password: authn.NewSecret("b")}, AllowNTLM: true}
	seen := map[string]bool{}
	for _, c := range []authclient.Credential{strict, lax, other, strict.Kerberos, strict.NTLM} {
		if seen[c.Key()] {
			t.Errorf("key %q twice", c.Key())
		}
		seen[c.Key()] = true
	}
	if _, err := strict.NewInitiator(authclient.SchemeNTLM, authclient.Target{}, nil); !errors.Is(err, authclient.ErrNTLMNotAllowed) {
		t.Errorf("an NTLM initiator: %v, want ErrNTLMNotAllowed", err)
	}
	i, err := lax.NewInitiator(authclient.SchemeNTLM, authclient.Target{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, _, err := i.Step(context.Background(), nil); err != nil || !strings.HasPrefix(string(b), "NTLMSSP\x00") {
		t.Errorf("first token %q, %v; want NTLM's", b, err)
	}
}
