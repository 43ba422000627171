package oidc_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authn/oidc/oidctest"
	"github.com/soapward/soapward/internal/testenv"
)

func TestRevoke(t *testing.T) {
	t.Parallel()
	post := func(s *oidctest.Switches) { s.PostSecret = true }
	for _, tt := range []struct {
		name   string
		login  func(s *oidctest.Switches) // at the login
		change func(s *oidctest.Switches) // after it
		config func(c *oidc.Config)
		left   int // tokens
		want   string
	}{
		{name: "secret in the header"},
		{name: "secret in the form", login: post},
		{name: "without a secret", config: func(c *oidc.Config) { c.ClientID, c.ClientSecret = "desktop", authn.Secret{} }},
		{name: "another way than at the token endpoint", change: func(s *oidctest.Switches) {
			s.PostSecret = true
			s.Document = func(doc map[string]any) {
				doc["token_endpoint_auth_methods_supported"] = []string{"client_secret_basic"}
				doc["revocation_endpoint_auth_methods_supported"] = []string{"client_secret_post"}
			}
		}},
		{name: "no such place", change: func(s *oidctest.Switches) { s.NoRevocation = true }, left: 1},
		{name: "down", change: func(s *oidctest.Switches) { s.Down = true }, left: 1, want: "status 503"},
		{name: "refused", change: func(s *oidctest.Switches) {
			s.Serve = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != oidctest.PathRevoke {
					return false
				}
				w.WriteHeader(400)
				_, _ = w.Write([]byte(`{"error": "unsupported_token_type", "error_description": "no"}`))
				return true
			}
		}, left: 1, want: `it answered with status 400, "unsupported_token_type": "no"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, nil, tt.config)
			if tt.login != nil {
				w.Set(tt.login)
			}
			_, tokens := w.mustLogin(t)
			if tt.change != nil {
				w.Set(tt.change)
			}
			us := w.client(t, tt.config) // which knows no document of before
			if w.Granted("alice") != 1 {
				t.Fatalf("%d refresh tokens after the login", w.Granted("alice"))
			}
			err := us.Revoke(t.Context(), tokens)
			if tt.want != "" {
				wantUnavailable(t, nil, err, tt.want)
			} else if err != nil {
				t.Error(err)
			}
			if err != nil && strings.Contains(err.Error(), tokens.Refresh.Reveal()) {
				t.Errorf("the token is told: %v", err)
			}
			if n := w.Granted("alice"); n != tt.left {
				t.Errorf("%d refresh tokens are good, want %d", n, tt.left)
			}
		})
	}
	w := setup(t, nil, nil)
	for _, none := range []*oidc.Tokens{nil, {}, {Subject: "sub-alice"}} {
		if err := w.us.Revoke(t.Context(), none); err != nil || w.Requests(oidctest.PathDocument) != 0 {
			t.Errorf("nothing to revoke: %v", err)
		}
	}
}

// TestRevokeLater: it outlives the request that wanted it.
func TestRevokeLater(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	_, tokens := w.mustLogin(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	w.us.RevokeLater(gone, tokens)
	if user := w.AwaitRevoked(t); user != "alice" || w.Granted("alice") != 0 {
		t.Errorf("%q, and %d tokens are good", user, w.Granted("alice"))
	}
	w.us.RevokeLater(gone, nil)
	w.us.RevokeLater(gone, &oidc.Tokens{})
}

// TestAttackOIDCRevocationHangs has users log out without end while the provider takes
// tokens back and never answers: nobody waits, and what waits is bounded.
func TestAttackOIDCRevocationHangs(t *testing.T) {
	t.Parallel()
	log := new(testenv.Log)
	w := setup(t, nil, func(c *oidc.Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	_, tokens := w.mustLogin(t)
	begun, end := make(chan struct{}, 200), make(chan struct{})
	defer close(end)
	w.Set(func(s *oidctest.Switches) {
		s.Serve = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == oidctest.PathRevoke {
				begun <- struct{}{}
				<-end
			}
			return false
		}
	})
	const most = 16
	for range most {
		w.us.RevokeLater(t.Context(), tokens)
		<-begun
	}
	for range 100 {
		w.us.RevokeLater(t.Context(), tokens)
	}
	if n := strings.Count(log.String(), "too many wait for the provider already"); n != 100 {
		t.Errorf("%d were let be, want 100:\n%.500s", n, log)
	}
	if n := w.Requests(oidctest.PathRevoke); n != most {
		t.Errorf("the provider was asked %d times, want %d", n, most)
	}
	if strings.Contains(log.String(), tokens.Refresh.Reveal()) {
		t.Error("the token is in the log")
	}
}

// TestAttackOIDCRevokedElsewhere: what is to be taken back is shown to the issuer that
// gave it, at its own address, and to nobody else.
func TestAttackOIDCRevokedElsewhere(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	_, tokens := w.mustLogin(t)
	evil := setup(t, nil, nil)
	wantRefused(t, nil, evil.us.Revoke(t.Context(), tokens), authn.ReasonLoginMixedUp)
	w.Set(func(s *oidctest.Switches) {
		s.Serve = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == oidctest.PathRevoke {
				http.Redirect(rw, r, evil.Issuer+oidctest.PathRevoke, http.StatusTemporaryRedirect)
			}
			return r.URL.Path == oidctest.PathRevoke
		}
	})
	wantUnavailable(t, nil, w.us.Revoke(t.Context(), tokens), "leads to another place")
	w.Reset()
	w.Set(func(s *oidctest.Switches) {
		s.Document = func(doc map[string]any) { doc["revocation_endpoint"] = "http://evil.example/revoke" }
	})
	wantUnavailable(t, nil, w.client(t, nil).Revoke(t.Context(), tokens), "revocation_endpoint")
	if n := evil.Requests(oidctest.PathRevoke); n != 0 || w.Granted("alice") != 1 {
		t.Errorf("the other one was asked %d times", n)
	}
}
