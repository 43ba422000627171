package oidc_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authn/oidc/oidctest"
)

func TestLogoutURL(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	_, tokens := w.mustLogin(t)
	u, err := url.Parse(w.us.LogoutURL(t.Context(), tokens, "https://gw.example/console/"))
	q := u.Query()
	if err != nil || u.Path != "/end" || q.Get("id_token_hint") != tokens.IDToken.Reveal() || q.Get("client_id") != "web" || q.Get("post_logout_redirect_uri") != "https://gw.example/console/" {
		t.Errorf("%s, %v", u, err)
	}
	for _, none := range []*oidc.Tokens{nil, {}, {IDToken: authn.NewSecret(strings.Repeat("x", 4097))}} {
		u, err := url.Parse(w.us.LogoutURL(t.Context(), none, ""))
		if err != nil || u.RawQuery != "client_id=web" {
			t.Errorf("%s, %v", u, err)
		}
	}
	w.Set(func(s *oidctest.Switches) { s.NoEndSession = true })
	if at := w.client(t, nil).LogoutURL(t.Context(), tokens, ""); at != "" {
		t.Errorf("%q", at)
	}
}

func logoutRequest(token string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "https://gw.example/logout", strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func TestBackchannelLogout(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	for name, tt := range map[string]struct{ client, sub, sid, typ string }{
		"subject": {"web", "sub-alice", "", "logout+jwt"}, "session": {"web", "", "s1", "logout+jwt"}, "both": {"desktop", "sub-alice", "s1", "logout+jwt"},
		"JWT": {"web", "sub-alice", "", "JWT"}, "no type": {"web", "sub-alice", "", ""},
	} {
		token := w.LogoutToken(tt.client, tt.sub, tt.sid, func(h, c map[string]any) {
			if h["typ"] = tt.typ; tt.typ == "" {
				delete(h, "typ")
				delete(c, "exp")
			}
		})
		sub, sid, err := w.us.BackchannelLogout(t.Context(), logoutRequest(token))
		if sub != tt.sub || sid != tt.sid || err != nil {
			t.Errorf("%s: %q, %q, %v", name, sub, sid, err)
		}
	}
}

// Nobody but the provider ends sessions, and it does so once.
func TestAttackOIDCLogout(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	token := func(change func(h, c map[string]any)) *http.Request {
		return logoutRequest(w.LogoutToken("web", "sub-alice", "", change))
	}
	set := func(name string, v any) *http.Request { return token(func(_, c map[string]any) { c[name] = v }) }
	without := func(name string) *http.Request { return token(func(_, c map[string]any) { delete(c, name) }) }
	good := w.LogoutToken("web", "sub-alice", "", nil)
	get := logoutRequest(good)
	get.Method = http.MethodGet
	kind := logoutRequest(good)
	kind.Header.Set("Content-Type", "text/plain")
	now := w.clock.now()
	for name, tt := range map[string]struct {
		r    *http.Request
		want authn.Reason
	}{
		"ID token":           {logoutRequest(w.IDToken("web", "alice", "n")), authn.ReasonMalformed},
		"access token":       {logoutRequest(w.AccessToken("web", "alice", nil)), authn.ReasonMechanism},
		"another issuer":     {set("iss", "https://evil.example"), authn.ReasonWrongTarget},
		"another client":     {set("aud", "other"), authn.ReasonWrongTarget},
		"for nobody":         {without("aud"), authn.ReasonMalformed},
		"no time":            {without("iat"), authn.ReasonMalformed},
		"old":                {set("iat", now.Add(-12*time.Minute).Unix()), authn.ReasonExpired},
		"expired":            {set("exp", now.Add(-2*time.Minute).Unix()), authn.ReasonExpired},
		"future":             {set("iat", now.Add(2*time.Minute).Unix()), authn.ReasonClockSkew},
		"nonce":              {set("nonce", "n"), authn.ReasonMalformed},
		"nonce, null":        {set("nonce", nil), authn.ReasonMalformed},
		"no events":          {without("events"), authn.ReasonMalformed},
		"other events":       {set("events", map[string]any{"x": map[string]any{}}), authn.ReasonMalformed},
		"event that is none": {set("events", map[string]any{oidctest.EventLogout: true}), authn.ReasonMalformed},
		"no name":            {without("jti"), authn.ReasonMalformed},
		"name a number":      {set("jti", 7), authn.ReasonMalformed},
		"huge name":          {set("jti", strings.Repeat("x", 1025)), authn.ReasonMalformed},
		"nobody":             {without("sub"), authn.ReasonMalformed},
		"subject a list":     {set("sub", []string{"sub-alice"}), authn.ReasonMalformed},
		"empty session":      {set("sid", ""), authn.ReasonMalformed},
		"session a list":     {set("sid", []string{"x"}), authn.ReasonMalformed},
		"another type":       {token(func(h, _ map[string]any) { h["typ"] = "secevent+jwt" }), authn.ReasonMechanism},
		"none":               {token(func(h, _ map[string]any) { h["alg"] = "none" }), authn.ReasonMalformed},
		"foreign":            {logoutRequest(cut(good) + "." + last(w.LogoutToken("web", "sub-bob", "", nil))), authn.ReasonIntegrity},
		"no token":           {logoutRequest(""), authn.ReasonMalformed},
		"huge":               {logoutRequest(strings.Repeat("x", 66<<10)), authn.ReasonMalformed},
		"GET":                {get, authn.ReasonMalformed},
		"another kind":       {kind, authn.ReasonMalformed},
	} {
		sub, sid, err := w.us.BackchannelLogout(t.Context(), tt.r)
		t.Log(name, err)
		if sub != "" || sid != "" {
			t.Errorf("%q %q", sub, sid)
		}
		wantRefused(t, nil, err, tt.want)
	}
	if _, _, err := w.us.BackchannelLogout(t.Context(), logoutRequest(good)); err != nil {
		t.Fatal(err)
	}
	_, _, err := w.us.BackchannelLogout(t.Context(), logoutRequest(good))
	wantRefused(t, nil, err, authn.ReasonReplay)
}
