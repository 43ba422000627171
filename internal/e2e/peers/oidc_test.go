package peers

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// TestProvider: a user signs in without a browser; code and device flow end in
// tokens, a refresh token counts once, and what is down says nothing.
func TestProvider(t *testing.T) {
	t.Parallel()
	const redirect = "https://app.corp.test/callback"
	p := StartProvider(t, ProviderConfig{Redirects: []string{redirect}})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar}
	left, page := p.SignIn(t, c, p.Issuer+"/auth?"+url.Values{
		"client_id": {p.ClientID}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid email profile"}, "state": {"s"}, "nonce": {"n"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"}, // RFC 7636 appendix B
	}.Encode(), "alice")
	u, err := url.Parse(left)
	if err != nil || !strings.HasPrefix(left, redirect+"?") || u.Query().Get("state") != "s" || u.Query().Get("iss") != p.Issuer {
		t.Fatalf("led to %q, %v: %s", left, err, page)
	}
	post := func(path string, form url.Values) (status int, answer map[string]any) {
		t.Helper()
		res, err := c.PostForm(p.Issuer+path, form)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, answer
	}
	tokens := func(form url.Values) (int, map[string]any) {
		t.Helper()
		form.Set("client_id", p.ClientID)
		form.Set("client_secret", p.ClientSecret)
		return post("/token", form)
	}
	status, got := tokens(url.Values{
		"grant_type": {"authorization_code"}, "code": {u.Query().Get("code")}, "redirect_uri": {redirect},
		"code_verifier": {"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
	})
	if status != 200 {
		t.Fatalf("code: %d %v", status, got)
	}
	claims := payload(t, got["id_token"])
	if claims["email"] != "alice@corp.test" || claims["nonce"] != "n" || claims["sub"] != "alice" || len(claims["groups"].([]any)) != 2 {
		t.Errorf("claims %v", claims)
	}
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got["refresh_token"].(string)}}
	status, second := tokens(refresh)
	if status != 200 || second["refresh_token"] == got["refresh_token"] {
		t.Errorf("refresh: %d %v", status, second)
	}
	if status, again := tokens(refresh); status != 400 || again["error"] != "invalid_grant" {
		t.Errorf("refresh with a token that was used: %d %v", status, again)
	}

	_, device := post("/device/auth", url.Values{"client_id": {p.DesktopID}, "scope": {"openid email"}})
	p.SignIn(t, c, device["verification_uri_complete"].(string), "alice")
	status, got = post("/token", url.Values{
		"client_id": {p.DesktopID}, "grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {device["device_code"].(string)},
	})
	if status != 200 || payload(t, got["id_token"])["sub"] != "alice" {
		t.Errorf("device: %d %v", status, got)
	}
	if e := p.Await(t, "grant.success"); e.Client != p.DesktopID || p.Asked("/token") != 4 {
		t.Errorf("event %+v, %d questions", e, p.Asked("/token"))
	}

	p.SetDown(true)
	if res, err := c.Get(p.Issuer + "/jwks"); err == nil {
		t.Errorf("down: %s", res.Status)
	}
	p.SetDown(false)
	if res, err := c.Get(p.Issuer + "/jwks"); err != nil || res.StatusCode != 200 {
		t.Errorf("up again: %v", err)
	}
}

func payload(t *testing.T, token any) (claims map[string]any) {
	t.Helper()
	parts := strings.Split(token.(string), ".")
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}
