package oidc_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
)

// decided is what all that comes from outside must come to.
func decided(tb testing.TB, id *authn.Identity, err error) {
	tb.Helper()
	if (id == nil) == (err == nil) || err != nil && !errors.Is(err, authn.ErrBadCredentials) && !errors.Is(err, authn.ErrUnavailable) {
		tb.Fatalf("%v, %v", id, err)
	}
}

// Claims that the provider signed.
func FuzzIDToken(f *testing.F) {
	w := setup(f, nil, nil)
	for _, s := range []string{
		`{"iss": "ISS", "aud": "desktop", "sub": "1", "iat": 1, "exp": 34359738368, "email": "a@b", "email_verified": true}`,
		`{"iss": "ISS", "aud": ["desktop", "x"], "azp": "desktop", "sub": "1", "iat": 1, "exp": 34359738368, "nonce": []}`,
		`{"_claim_names": {"a": "b"}, "aud": [[]], "exp": 1e400}`, `[]`, `{"iss":`, `{"at_hash": 7, "auth_time": -1}`,
	} {
		f.Add("typ", "JWT", s)
	}
	f.Fuzz(func(t *testing.T, header, value, claims string) {
		raw := w.Provider.SignRaw(map[string]any{header: value}, []byte(strings.ReplaceAll(claims, "ISS", w.Issuer)))
		id, tokens, err := w.us.VerifyIDToken(t.Context(), authn.NewSecret(raw), "", 1<<62)
		decided(t, id, err)
		if err == nil && (id.Account == "" || strings.ContainsAny(id.Account, "\\/\n") || id.Domain != "it" || tokens.Subject == "") {
			t.Errorf("%+v %+v", id, tokens)
		}
	})
}

// Tokens of any kind, not signed.
func FuzzToken(f *testing.F) {
	w := setup(f, nil, nil)
	f.Add(w.IDToken("desktop", "alice", ""))
	f.Add(w.AccessToken("https://api.example", "alice", nil))
	f.Add("..")
	f.Fuzz(func(t *testing.T, raw string) {
		id, _, err := w.us.VerifyIDToken(t.Context(), authn.NewSecret(raw), "", time.Hour)
		decided(t, id, err)
		r := httptest.NewRequest(http.MethodGet, "https://api.example/", nil)
		r.Header["Authorization"] = []string{"Bearer " + raw}
		if res, err := w.us.Bearer().Authenticate(r); err != nil {
			decided(t, nil, err)
		} else if res.Identity == nil {
			t.Error("accepted, and nobody")
		}
		if _, _, err := w.us.BackchannelLogout(t.Context(), logoutRequest(raw)); err == nil {
			t.Error("a logout")
		}
	})
}

// What the browser brings.
func FuzzCallback(f *testing.F) {
	w := setup(f, nil, nil)
	l, r := w.begin(f, w.us)
	f.Add(r.URL.RawQuery)
	f.Add("state=" + url.QueryEscape(l.State) + "&error=access_denied&error_description=%0a%00")
	f.Add("state=STATE&iss=ISS&code=%zz;&code=")
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.RawQuery = strings.NewReplacer("STATE", l.State, "ISS", url.QueryEscape(w.Issuer)).Replace(query)
		id, _, err := w.us.Callback(t.Context(), l, r)
		if decided(t, id, err); err != nil && strings.ContainsAny(err.Error(), "\n\x00\x1b") {
			t.Errorf("%q in a log", err)
		}
	})
}

// What a logout token says, signed.
func FuzzLogoutToken(f *testing.F) {
	w := setup(f, nil, func(c *oidc.Config) { c.Now = func() time.Time { return time.Unix(1e9, 0) } })
	f.Add(`{"iss": "ISS", "aud": "web", "iat": 1e9, "jti": "1", "sub": "s", "events": {"http://schemas.openid.net/event/backchannel-logout": {}}}`)
	f.Add(`{"iss": "ISS", "aud": "web", "iat": 1e9, "jti": "1", "sid": [], "events": [], "nonce": null}`)
	f.Fuzz(func(t *testing.T, claims string) {
		raw := w.Provider.SignRaw(map[string]any{"typ": "logout+jwt"}, []byte(strings.ReplaceAll(claims, "ISS", w.Issuer)))
		sub, sid, err := w.us.BackchannelLogout(t.Context(), logoutRequest(raw))
		if (sub == "" && sid == "") != (err != nil) || strings.ContainsAny(sub, "\n\x00") {
			t.Fatalf("%q, %q, %v", sub, sid, err)
		}
	})
}
