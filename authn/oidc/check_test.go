package oidc_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authn/oidc/oidctest"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	m, err := w.us.Check(t.Context())
	if err != nil || m.Issuer != w.Issuer || m.Authorization == "" || m.Token == "" || m.Device == "" || m.EndSession == "" || !m.PKCE || !m.Backchannel || !m.IssuerInResponse || len(m.KeyIDs) != 1 || len(m.Algorithms) != 3 || len(m.Scopes) != 4 {
		t.Fatalf("%+v, %v", m, err)
	}
	if _, err := w.us.Check(t.Context()); err != nil || w.Requests(oidctest.PathDocument) != 2 || w.Requests(oidctest.PathKeys) != 2 {
		t.Errorf("not asked anew: %v", err)
	}
	document := func(name string, v any) func(s *oidctest.Switches) {
		return func(s *oidctest.Switches) { s.Document = func(d map[string]any) { d[name] = v } }
	}
	keys := func(v any) func(s *oidctest.Switches) {
		return func(s *oidctest.Switches) { s.Keys = func(set map[string]any) { set["keys"] = v } }
	}
	for _, tt := range []struct {
		want   string // words, by "; "
		set    func(s *oidctest.Switches)
		config func(c *oidc.Config)
	}{
		{"status 503", func(s *oidctest.Switches) { s.Down = true }, nil},
		{"calls itself", document("issuer", "https://other.example"), nil},
		{"no token_endpoint", document("token_endpoint", ""), nil},
		{"jwks_uri: ; want https", document("jwks_uri", "ftp://id.example/"), nil},
		{"response type code", document("response_types_supported", []string{"token"}), nil},
		{"PKCE with S256", document("code_challenge_methods_supported", []string{"plain"}), nil},
		{"client_secret_basic", document("token_endpoint_auth_methods_supported", []string{"private_key_jwt"}), nil},
		{`scope "groups"`, nil, func(c *oidc.Config) { c.Scopes = []string{"groups"} }},
		{"of which none is allowed", document("id_token_signing_alg_values_supported", []string{"HS256"}), nil},
		{"of which none is allowed", nil, func(c *oidc.Config) { c.Algorithms = []string{"PS512"} }},
		{"no key for an algorithm", nil, func(c *oidc.Config) { c.Algorithms = []string{"ES256"} }},
		{"no public key", keys([]any{}), nil},
		{"no JWKS", keys(nil), nil},
		{"ahead of ours", dated(time.Hour), nil},
		{"behind ours", dated(-2 * time.Minute), nil},
		{"behind ours; no token_endpoint; PKCE; no JWKS", func(s *oidctest.Switches) {
			dated(-time.Hour)(s)
			keys(nil)(s)
			s.Document = func(d map[string]any) {
				d["token_endpoint"], d["code_challenge_methods_supported"] = "", []string{}
			}
		}, nil},
	} {
		w.Reset()
		if tt.set != nil {
			w.Set(tt.set)
		}
		_, err := w.client(t, tt.config).Check(t.Context())
		if err == nil {
			t.Errorf("nothing is wrong, want %q", tt.want)
			continue
		}
		lines := strings.Split(tt.want, "; ")
		for _, want := range lines {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v\nwant %q in it", err, want)
			}
		}
		if n := strings.Count(err.Error(), "\n") + 1; len(lines) > 1 && lines[0] != "jwks_uri: " && n != len(lines) {
			t.Errorf("%v\n%d lines, want %d", err, n, len(lines))
		}
	}
}

// dated has the provider's clock differ.
func dated(by time.Duration) func(s *oidctest.Switches) {
	return func(s *oidctest.Switches) {
		s.Serve = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
			return false
		}
	}
}
