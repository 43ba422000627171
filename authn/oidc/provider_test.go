package oidc_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authn/oidc/oidctest"
)

// A provider that calls itself otherwise, be it from the beginning or later, could
// have us take tokens of another one.
func TestAttackOIDCIssuerChanged(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	other := func(s *oidctest.Switches) {
		s.Document = func(d map[string]any) { d["issuer"] = "https://evil.example" }
		s.Claims = func(c map[string]any) { c["iss"] = "https://evil.example" }
	}
	w.mustLogin(t)
	w.Set(other)
	id, _, err := w.login(t) // the document of before, and a token of another issuer
	wantRefused(t, id, err, authn.ReasonWrongTarget)
	w.clock.advance(time.Hour)
	_, _, err = w.us.Begin(t.Context(), redirect, "")
	wantUnavailable(t, nil, err, "calls itself")
	w.Reset()
	w.clock.advance(5 * time.Second)
	w.mustLogin(t)

	for name, issuer := range map[string]any{"slash": w.Issuer + "/", "none": nil, "empty": "", "list": []string{w.Issuer}, "capitals": strings.ToUpper(w.Issuer)} {
		w.us = w.client(t, nil)
		w.Set(func(s *oidctest.Switches) { s.Document = func(d map[string]any) { d["issuer"] = issuer } })
		if at, _, err := w.us.Begin(t.Context(), redirect, ""); !errors.Is(err, authn.ErrUnavailable) {
			t.Errorf("%s: %q, %v", name, at, err)
		}
	}
}

// A well-known document that leads to places without TLS, to files, or is of a
// kind that takes up memory.
func TestAttackOIDCDocument(t *testing.T) {
	t.Parallel()
	w := setup(t, &oidctest.Options{TLS: true}, nil)
	for _, endpoint := range []string{"authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "device_authorization_endpoint", "end_session_endpoint"} {
		for _, at := range []string{"http://127.0.0.1/x", "http://id.example/x", "file:///etc/passwd", "javascript:alert(1)", "//id.example/x", "https://a:b@id.example/", "https://id.example/#x", "https:", "https://id.example/\n", "https://id.example/" + strings.Repeat("x", 2<<10)} {
			us := w.client(t, nil)
			w.Set(func(s *oidctest.Switches) { s.Document = func(d map[string]any) { d[endpoint] = at } })
			_, _, err := us.Begin(t.Context(), redirect, "")
			wantUnavailable(t, nil, err, endpoint)
		}
	}
	for name, serve := range map[string]func(rw http.ResponseWriter){
		"is no JSON object":     func(rw http.ResponseWriter) { fmt.Fprint(rw, "<html>") },
		"is no JSON object, or": func(rw http.ResponseWriter) { fmt.Fprint(rw, "null") },
		"has other kinds":       func(rw http.ResponseWriter) { fmt.Fprint(rw, `{"issuer": 7}`) },
		"too long":              func(rw http.ResponseWriter) { fmt.Fprint(rw, strings.Repeat(" ", 256<<10)+"{}") },
		"has 1001 items": func(rw http.ResponseWriter) {
			fmt.Fprint(rw, `{"scopes_supported": [`+strings.Repeat(`"x",`, 1000)+`"x"]}`)
		},
		"status 404":             func(rw http.ResponseWriter) { rw.WriteHeader(404) },
		"leads to another place": func(rw http.ResponseWriter) { rw.Header().Set("Location", "https://127.0.0.1:1/"); rw.WriteHeader(302) },
		"leads to another place, ": func(rw http.ResponseWriter) {
			rw.Header().Set("Location", strings.Replace(w.Issuer, "https", "http", 1))
			rw.WriteHeader(302)
		},
	} {
		us := w.client(t, nil)
		w.Set(func(s *oidctest.Switches) {
			s.Serve = func(rw http.ResponseWriter, _ *http.Request) bool { serve(rw); return true }
		})
		_, _, err := us.Begin(t.Context(), redirect, "")
		wantUnavailable(t, nil, err, strings.TrimSuffix(name, ", "))
	}
}

// The secret and codes go nowhere but to the token endpoint.
func TestAttackOIDCRedirectedToken(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	var got sync.Map
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got.Store(r.URL.Path, true)
	}))
	defer thief.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{thief.URL + "/x", w.Issuer + "/elsewhere"} {
			w.Set(func(s *oidctest.Switches) {
				s.Serve = func(rw http.ResponseWriter, r *http.Request) bool {
					switch r.URL.Path {
					case "/elsewhere":
						got.Store(r.URL.Path, true)
					case "/token":
						rw.Header().Set("Location", to)
						rw.WriteHeader(status)
					default:
						return false
					}
					return true
				}
			})
			id, _, err := w.login(t)
			wantUnavailable(t, id, err, "another place")
		}
	}
	got.Range(func(path, _ any) bool {
		t.Errorf("%s was asked", path)
		return true
	})
}

// Redirects within a server are followed where nothing secret is sent.
func TestRedirectWithin(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	w.Set(func(s *oidctest.Switches) {
		s.Serve = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/.well-known/openid-configuration" || r.URL.RawQuery != "" {
				return false
			}
			http.Redirect(rw, r, r.URL.Path+"?moved", http.StatusFound)
			return true
		}
	})
	w.mustLogin(t)
}

// However many logins begin, the provider is asked once for what it says of itself
// and once for its keys.
func TestSingleFlight(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	w.Set(func(s *oidctest.Switches) { s.Delay = 20 * time.Millisecond })
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, _, err := w.login(t); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if d, k := w.Requests(oidctest.PathDocument), w.Requests(oidctest.PathKeys); d != 1 || k != 1 {
		t.Errorf("%d documents and %d sets of keys were fetched", d, k)
	}
	w.clock.advance(time.Hour)
	w.mustLogin(t)
	if d, k := w.Requests(oidctest.PathDocument), w.Requests(oidctest.PathKeys); d != 2 || k != 2 {
		t.Errorf("after an hour %d documents and %d sets of keys", d, k)
	}
}

// Keys change while many log in: a login works, or comes too late by a moment.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	w.mustLogin(t)
	w.clock.advance(2 * time.Second)
	w.Rotate("EC")
	w.mustLogin(t) // at once: the provider itself gave us the token
	w.clock.advance(2 * time.Second)

	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				id, _, err := w.login(t)
				if err != nil && !errors.Is(err, authn.ErrBadCredentials) || (id == nil) != (err != nil) {
					t.Errorf("%v, %v", id, err)
				}
			}
		})
	}
	wg.Go(func() {
		for _, kind := range []string{"RSA", "EC", "Ed25519", "RSA", "EC"} {
			w.clock.advance(2 * time.Second)
			w.Rotate(kind)
			w.mustLogin(t)
		}
	})
	wg.Wait()
	w.clock.advance(2 * time.Second)
	w.mustLogin(t)

	// Keys that move, while the document is still fresh.
	w.clock.advance(time.Minute)
	w.Rotate("RSA")
	w.Set(func(s *oidctest.Switches) {
		s.Document = func(d map[string]any) { d["jwks_uri"] = w.Issuer + "/keys?moved" }
		s.Serve = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/keys" && r.URL.RawQuery == "" {
				http.NotFound(rw, r)
				return true
			}
			return false
		}
	})
	w.mustLogin(t)
}

// A provider that is down, silent or answers with something else says nothing, and
// says so soon. Afterwards all is as before.
func TestProviderAway(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, func(c *oidc.Config) { c.Timeout = time.Second })
	_, tokens := w.mustLogin(t)
	for name, set := range map[string]func(s *oidctest.Switches){
		"down":   func(s *oidctest.Switches) { s.Down = true },
		"silent": func(s *oidctest.Switches) { s.Delay = time.Minute },
		"garbage": func(s *oidctest.Switches) {
			s.Serve = func(rw http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(rw, "garbage"); return true }
		},
		"endless": func(s *oidctest.Switches) {
			s.Serve = func(rw http.ResponseWriter, r *http.Request) bool {
				for r.Context().Err() == nil {
					if _, err := rw.Write(make([]byte, 64<<10)); err != nil {
						break
					}
				}
				return true
			}
		},
		"hangs up": func(s *oidctest.Switches) {
			s.Serve = func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			at, l, err := w.us.Begin(t.Context(), redirect, "")
			if err != nil {
				t.Fatal(err)
			}
			r := browse(t, w.Client(), at)
			w.Set(set)
			defer w.Reset()
			start := time.Now()
			id, _, err := w.us.Callback(t.Context(), l, r)
			wantUnavailable(t, id, err, "token endpoint")
			id, _, err = w.us.Refresh(t.Context(), tokens)
			wantUnavailable(t, id, err, "token endpoint")
			fresh := w.client(t, func(c *oidc.Config) { c.Timeout = time.Second })
			for range 20 { // they do not wait one after the other
				_, _, err = fresh.Begin(t.Context(), redirect, "")
				wantUnavailable(t, nil, err, "")
			}
			if fresh.LogoutURL(t.Context(), tokens, "") != "" {
				t.Error("a place to log out at, which nobody named")
			}
			if took := time.Since(start); took > 10*time.Second { // one after the other would take 20 s
				t.Errorf("it took %s", took)
			}
			w.Reset()
			w.mustLogin(t)
			w.clock.advance(5 * time.Second)
			if _, _, err := fresh.Begin(t.Context(), redirect, ""); err != nil {
				t.Errorf("5 s after it came back: %v", err)
			}
		})
	}
	// What it said before counts for a day.
	w.Set(func(s *oidctest.Switches) { s.Down = true })
	w.clock.advance(23 * time.Hour)
	if _, _, err := w.us.Begin(t.Context(), redirect, ""); err != nil {
		t.Error(err)
	}
	w.clock.advance(2 * time.Hour)
	_, _, err := w.us.Begin(t.Context(), redirect, "")
	wantUnavailable(t, nil, err, "503")
}

func TestCallbackErrors(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	for _, code := range []string{"access_denied", "server_error", "login_required", "made <b>up</b>\n"} {
		w.Set(func(s *oidctest.Switches) { s.Deny = code })
		id, _, err := w.login(t)
		wantRefused(t, id, err, authn.ReasonProviderRefused)
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("a line in %q", err)
		}
	}
	w.Reset()
	wrong := w.client(t, func(c *oidc.Config) { c.ClientSecret = authn.NewSecret("wrong-secret") })
	l, r := w.begin(t, wrong)
	id, _, err := wrong.Callback(t.Context(), l, r)
	wantUnavailable(t, id, err, "does not take the client_id or client_secret")
	if strings.Contains(err.Error(), "wrong-secret") {
		t.Errorf("a secret in %q", err)
	}
	w.Set(func(s *oidctest.Switches) { s.Answer = func(a map[string]any) { delete(a, "id_token") } })
	id, _, err = w.login(t)
	wantRefused(t, id, err, authn.ReasonMalformed)
	w.Set(func(s *oidctest.Switches) {
		s.Answer = func(a map[string]any) { a["refresh_token"] = strings.Repeat("x", 16<<10+1) }
	})
	id, _, err = w.login(t)
	wantUnavailable(t, id, err, "refresh token")
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	_, tokens := w.mustLogin(t)
	w.ChangeUser("alice", func(u *oidctest.User) { u.Groups = []string{"staff"}; u.Name = "Alice Baker" })
	id, next, err := w.us.Refresh(t.Context(), tokens)
	if err != nil || id.DisplayName != "Alice Baker" || len(id.Claims["groups"]) != 1 || next.Refresh.Reveal() == tokens.Refresh.Reveal() || next.Subject != tokens.Subject || next.SessionID != tokens.SessionID || next.Nonce != tokens.Nonce {
		t.Fatalf("%+v, %+v, %v", id, next, err)
	}
	id, _, err = w.us.Refresh(t.Context(), tokens) // the one of before
	wantRefused(t, id, err, authn.ReasonProviderRefused)

	// A provider that gives neither a new refresh token nor a new ID token.
	w.Set(func(s *oidctest.Switches) { s.KeepRefresh, s.NoIDTokenAgain = true, true })
	id, third, err := w.us.Refresh(t.Context(), next)
	if err != nil || id.String() != `it\alice@example.com` || id.DisplayName != "Alice Baker" || third.Refresh.Reveal() != next.Refresh.Reveal() || third.IDToken.Reveal() != next.IDToken.Reveal() || third.Subject != "sub-alice" || third.Expires.IsZero() {
		t.Fatalf("%+v, %+v, %v", id, third, err)
	}
	w.Set(func(s *oidctest.Switches) { s.NoUserinfo = true })
	w.us = w.client(t, nil)
	id, _, err = w.us.Refresh(t.Context(), third)
	if err != nil || id != nil {
		t.Fatalf("%+v, %v; want nobody and no error", id, err)
	}
	for _, tt := range []struct {
		name string
		life int
		want time.Duration
	}{{"at once", 1, time.Minute}, {"never said", 0, 5 * time.Minute}, {"negative", -5, 5 * time.Minute}, {"in years", 1 << 30, time.Hour}} {
		w.Reset()
		w.Set(func(s *oidctest.Switches) {
			s.KeepRefresh = true
			s.Answer = func(a map[string]any) { a["expires_in"] = tt.life }
		})
		_, n, err := w.us.Refresh(t.Context(), third)
		if err != nil {
			t.Fatal(err)
		}
		if left := n.Expires.Sub(w.clock.now()); left > tt.want || left < tt.want-5*time.Second {
			t.Errorf("%s: to be refreshed in %s, want %s", tt.name, left, tt.want)
		}
	}
	w.Reset()
	w.Revoke("alice")
	id, _, err = w.us.Refresh(t.Context(), third)
	wantRefused(t, id, err, authn.ReasonProviderRefused)
	for _, none := range []*oidc.Tokens{nil, {}} {
		id, _, err = w.us.Refresh(t.Context(), none)
		wantRefused(t, id, err, authn.ReasonExpired)
	}
}

// What ends a session, and what does not.
func TestRefreshErrors(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	_, tokens := w.mustLogin(t)
	for _, tt := range []struct {
		status  int
		body    string
		refused bool
	}{
		{400, `{"error": "invalid_grant"}`, true},
		{401, `{"error": "invalid_grant"}`, true},
		{200, `{"error": "invalid_grant"}`, true},
		{400, `{"error": "interaction_required"}`, true},
		{403, `{"error": "access_denied"}`, true},
		{500, `{"error": "invalid_grant"}`, false},
		{503, `{"error": "temporarily_unavailable"}`, false},
		{401, `{"error": "invalid_client"}`, false},
		{400, `{"error": "invalid_request"}`, false},
		{400, `{"error": "unsupported_grant_type"}`, false},
		{400, `garbage`, false},
		{429, ``, false},
		{200, `{}`, false},
		{200, `[]`, false},
		{200, `{"access_token": 7}`, false},
		{200, `{"access_token": "x", "x": "` + strings.Repeat("x", 256<<10) + `"}`, false},
	} {
		w.Set(func(s *oidctest.Switches) {
			s.Serve = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/token" {
					return false
				}
				rw.Header().Set("Content-Type", "application/json")
				rw.WriteHeader(tt.status)
				fmt.Fprint(rw, tt.body)
				return true
			}
		})
		id, _, err := w.us.Refresh(t.Context(), tokens)
		t.Logf("%d %.40s: %v", tt.status, tt.body, err)
		if tt.refused {
			wantRefused(t, id, err, authn.ReasonProviderRefused)
		} else {
			wantUnavailable(t, id, err, "token endpoint")
		}
		if strings.Contains(err.Error(), tokens.Refresh.Reveal()) {
			t.Errorf("a refresh token in %q", err)
		}
	}
}

// A refresh that brings somebody else.
func TestAttackOIDCRefresh(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	w.Set(func(s *oidctest.Switches) { s.KeepRefresh = true })
	_, tokens := w.mustLogin(t)
	for name, tt := range map[string]struct {
		claim string
		v     any
		want  authn.Reason
	}{
		"subject":  {"sub", "sub-bob", authn.ReasonLoginMixedUp},
		"issuer":   {"iss", "https://evil.example", authn.ReasonWrongTarget},
		"audience": {"aud", "desktop", authn.ReasonWrongTarget},
		"nonce":    {"nonce", "another", authn.ReasonLoginMixedUp},
		"expiry":   {"exp", 1, authn.ReasonExpired},
		"name":     {"email", `CORP\admin`, authn.ReasonPolicy},
	} {
		w.Set(func(s *oidctest.Switches) { s.Claims = func(c map[string]any) { c[tt.claim] = tt.v } })
		id, _, err := w.us.Refresh(t.Context(), tokens)
		t.Log(name)
		wantRefused(t, id, err, tt.want)
	}
	w.Set(func(s *oidctest.Switches) { s.Claims = func(c map[string]any) { c["nonce"] = tokens.Nonce } })
	if id, _, err := w.us.Refresh(t.Context(), tokens); err != nil || id == nil {
		t.Errorf("with the nonce of before: %v", err)
	}
	w.Set(func(s *oidctest.Switches) {
		s.NoIDTokenAgain, s.Userinfo = true, func(c map[string]any) { c["sub"] = "sub-bob" }
	})
	id, _, err := w.us.Refresh(t.Context(), tokens)
	wantRefused(t, id, err, authn.ReasonLoginMixedUp)
}

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

func TestBearer(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	a := w.us.Bearer()
	for name, change := range map[string]func(h, c map[string]any){
		"RFC 9068": nil, "JWT": func(h, _ map[string]any) { h["typ"] = "JWT" }, "several audiences": func(_, c map[string]any) { c["aud"] = []string{"x", "https://api.example"} },
		"type in full": func(h, _ map[string]any) { h["typ"] = "application/at+jwt" },
	} {
		r := httptest.NewRequest(http.MethodGet, "https://api.example/", nil)
		r.Header.Set("Authorization", "bearer "+w.AccessToken("https://api.example", "alice", change))
		res, err := a.Authenticate(r)
		if err != nil || res.Identity.String() != `it\alice@example.com` || !res.Fresh || res.Identity.Expires.IsZero() || !res.Identity.Claims.Has("scope", "write") {
			t.Fatalf("%s: %+v, %v", name, res, err)
		}
		if res, err = a.Authenticate(r); err != nil || res.Fresh {
			t.Errorf("%s, again: %+v, %v", name, res, err)
		}
		w.clock.advance(6*time.Minute + time.Second)
		if res, err = a.Authenticate(r); err == nil {
			t.Errorf("%s: %v after it expired", name, res.Identity)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "https://api.example/", nil)
	if _, err := a.Authenticate(r); !errors.Is(err, authn.ErrNoCredentials) {
		t.Errorf("no token: %v", err)
	}
	if c := a.Challenges(r); len(c) != 1 || c[0].String() != `Bearer realm="it"` {
		t.Errorf("%v", c)
	}
	r.Header.Set("Authorization", "Bearer x")
	if c := a.Challenges(r); len(c) != 1 || c[0].String() != `Bearer realm="it", error="invalid_token"` {
		t.Errorf("%v", c)
	}
}
