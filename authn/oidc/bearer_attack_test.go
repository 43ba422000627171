package oidc_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
)

// Access tokens are for an API, and nothing else is an access token.
func TestAttackOIDCBearer(t *testing.T) {
	t.Parallel()
	const api = "https://api.example"
	w := setup(t, nil, nil)
	ask := func(a authn.Authenticator, token string) (*authn.Identity, error) {
		r := httptest.NewRequest(http.MethodGet, "https://api.example/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := a.Authenticate(r)
		if err != nil {
			return nil, err
		}
		return res.Identity, nil
	}
	change := func(f func(h, c map[string]any)) string { return w.AccessToken(api, "alice", f) }
	claim := func(name string, v any) string { return change(func(_, c map[string]any) { c[name] = v }) }
	now := w.clock.now()
	for name, tt := range map[string]struct {
		token string
		want  authn.Reason
	}{
		"ID token":                    {w.IDToken("web", "alice", "n"), authn.ReasonWrongTarget},
		"ID token for the API":        {w.IDToken(api, "alice", "n"), authn.ReasonMechanism},
		"ID token with a hash":        {change(func(h, c map[string]any) { h["typ"], c["at_hash"] = "JWT", "x" }), authn.ReasonMechanism},
		"logout token for the API":    {w.LogoutToken(api, "sub-alice", "", nil), authn.ReasonMechanism},
		"logout token without a type": {w.LogoutToken(api, "sub-alice", "", func(h, _ map[string]any) { delete(h, "typ") }), authn.ReasonMechanism},
		"another type":                {change(func(h, _ map[string]any) { h["typ"] = "dpop+jwt" }), authn.ReasonMechanism},
		"for another API":             {w.AccessToken("https://other.example", "alice", nil), authn.ReasonWrongTarget},
		"for a client":                {w.AccessToken("web", "alice", nil), authn.ReasonWrongTarget},
		"for nobody":                  {change(func(_, c map[string]any) { delete(c, "aud") }), authn.ReasonMalformed},
		"another issuer":              {claim("iss", "https://evil.example"), authn.ReasonWrongTarget},
		"expired":                     {claim("exp", now.Add(-2*time.Minute).Unix()), authn.ReasonExpired},
		"never expires":               {change(func(_, c map[string]any) { delete(c, "exp") }), authn.ReasonMalformed},
		"of tomorrow":                 {claim("iat", now.Add(24*time.Hour).Unix()), authn.ReasonClockSkew},
		"not yet":                     {claim("nbf", now.Add(2*time.Minute).Unix()), authn.ReasonClockSkew},
		"no subject":                  {change(func(_, c map[string]any) { delete(c, "sub") }), authn.ReasonMalformed},
		"domain in the name":          {claim("email", `CORP\administrator`), authn.ReasonPolicy},
		"unverified":                  {claim("email_verified", false), authn.ReasonPolicy},
		"none":                        {change(func(h, _ map[string]any) { h["alg"] = "none" }), authn.ReasonMalformed},
		"HS256":                       {change(func(h, _ map[string]any) { h["alg"] = "HS256" }), authn.ReasonMalformed},
		"changed":                     {change(nil)[1:], authn.ReasonMalformed},
		"signature of another":        {cut(change(nil)) + "." + last(w.AccessToken(api, "bob", nil)), authn.ReasonIntegrity},
		"opaque":                      {"abc", authn.ReasonMalformed},
		"empty":                       {"", authn.ReasonMalformed},
		"huge": {change(func(_, c map[string]any) {
			for i := range 5 {
				c[fmt.Sprint("x", i)] = strings.Repeat("x", 4000)
			}
		}), authn.ReasonMalformed},
	} {
		id, err := ask(w.us.Bearer(), tt.token)
		t.Log(name, err)
		wantRefused(t, id, err, tt.want)
	}
	if id, err := ask(w.client(t, func(c *oidc.Config) { c.Audiences = nil }).Bearer(), change(nil)); id != nil || !errors.Is(err, authn.ErrNoCredentials) {
		t.Errorf("without audiences: %v, %v", id, err)
	}
	r := httptest.NewRequest(http.MethodGet, "http://api.example/", nil)
	r.Header.Set("Authorization", "Bearer "+change(nil))
	_, err := w.us.Bearer().Authenticate(r)
	wantRefused(t, nil, err, authn.ReasonPolicy)
	if w.us.Bearer().Challenges(r) != nil {
		t.Error("tokens are asked for over plain HTTP")
	}
	if _, err := w.us.InsecureBearer().Authenticate(r); err != nil {
		t.Error(err)
	}
}

func cut(token string) string  { return token[:strings.LastIndexByte(token, '.')] }
func last(token string) string { return token[strings.LastIndexByte(token, '.')+1:] }
