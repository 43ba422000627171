package access

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/totp"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/gateway/config"
)

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestLocal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, secret := w.local("admin")
	b := w.site().browser()

	b.get("/console/users?q=a").expect(303, "/console/login?return=%2Fconsole%2Fusers%3Fq%3Da")
	b.get("/console/login?return=%2Fconsole%2Fusers%3Fq%3Da").expect(200, "Sign in with it", "Sign in with partners",
		`href="/console/login/local?return=%2Fconsole%2Fusers%3Fq%3Da"`)
	page := b.get("/console/login/local?return=%2Fconsole%2Fusers%3Fq%3Da").expect(200,
		`autocomplete="username"`, `autocomplete="current-password"`, `<label for="user">`, `<label for="password">`)
	a := b.do(http.MethodPost, localPath, page.fields("user", "admin", "password", wrongSecret))
	a.expect(401, wrongPassword, `aria-invalid="true"`, `aria-describedby="wrong"`, `value="admin"`)
	b.do(http.MethodPost, localPath, a.fields("user", " Admin ", "password", secretPassword)).expect(303, codePath)
	b.get(home).expect(303, loginPath) // not yet
	b.second("000000").expect(401, wrongCode, `autocomplete="one-time-code"`)
	b.second(w.code(secret)).expect(303, "/console/users?q=a")
	b.get(home).expect(200, "hello admin administrator true local")
	want(t, b.cookies(), "__Host-soapward-admin")
	want(t, w.decisions(), "local refused admin wrong-password", "local refused admin wrong-password", "local accepted admin")

	// The session that is listed is the one that he is seen with.
	list, err := w.store.Sessions(t.Context(), w.clock(), directory.SessionQuery{})
	if err != nil || len(list) != 1 || b.get(home).Header.Get("X-Session") != hex.EncodeToString(list[0].ID[:]) {
		t.Errorf("%v, %v; he is seen with %s", list, err, b.get(home).Header.Get("X-Session"))
	}

	// Out again.
	csrf := strings.Split(b.get(home).text, "csrf=")[1]
	b.do(http.MethodPost, logoutPath, url.Values{"csrf": {csrf}}).expect(303, loginPath)
	b.get(home).expect(303, loginPath)
	want(t, w.decisions(), "logout accepted admin")
}

func TestSetup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u, _ := w.local("admin", func(u *directory.User) { u.SecondFactor = authn.Secret{} })
	s := w.site()
	b := s.browser()
	b.password("admin", secretPassword).expect(303, setupPath)
	b.get(codePath).expect(303, setupPath)
	page := b.get(setupPath).expect(200, "<svg", "Secret")
	if strings.Contains(page.text, "Not now") {
		t.Error("the second factor can be left out")
	}
	b.do(http.MethodPost, setupPath, page.fields("skip", "1")).expect(401, wrongCode)
	secret := strings.ReplaceAll(between(page.text, "<code>", "</code>"), " ", "")
	got := b.do(http.MethodPost, setupPath, page.fields("code", w.code(secret))).expect(200, "Recovery codes")
	codes := strings.Fields(between(got.text, "<pre>", "</pre>"))
	if len(codes) != totp.RecoveryCodes {
		t.Fatalf("codes %q", codes)
	}
	b.get(home).expect(200, "hello admin")

	kept, err := w.store.UserByID(t.Context(), u.ID)
	if err != nil || kept.SecondFactor.Reveal() != secret || len(kept.RecoveryCodes) != totp.RecoveryCodes {
		t.Errorf("kept %d codes, %v", len(kept.RecoveryCodes), err)
	}
	changes, err := w.store.Changes(t.Context(), directory.ChangeQuery{})
	if err != nil || len(changes) != 1 || changes[0].Action != "user.set-second-factor" || changes[0].Actor != "admin" || changes[0].Target != "admin" {
		t.Errorf("record %v, %v", changes, err)
	}
	// The code that was shown is used up; a recovery code is, after its use.
	b = s.browser()
	b.password("admin", secretPassword).expect(303, codePath)
	b.second(w.code(secret)).expect(401)
	b.second(strings.ToLower(codes[3])).expect(303)
	b.get(home).expect(200)
	b = s.browser()
	b.password("admin", secretPassword).expect(303, codePath)
	b.second(codes[3]).expect(401)
	if kept, err = w.store.UserByID(t.Context(), u.ID); err != nil || len(kept.RecoveryCodes) != totp.RecoveryCodes-1 {
		t.Errorf("%d codes are left, %v", len(kept.RecoveryCodes), err)
	}
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

func TestSetupSkipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *config.Config) { c.Admin.Local.AllowWithoutSecondFactor = true })
	w.local("admin", func(u *directory.User) { u.SecondFactor = authn.Secret{} })
	b := w.site().browser()
	b.password("admin", secretPassword).expect(303, setupPath)
	b.do(http.MethodPost, setupPath, b.get(setupPath).expect(200, "Not now").fields("skip", "1")).expect(303, home)
	b.get(home).expect(200)
	// Not any more.
	w.change(func(c *config.Config) { c.Admin.Local.AllowWithoutSecondFactor = false })
	b.get(home).expect(303, loginPath)
}

func TestProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site()
	b := s.browser()
	at := b.get(loginPath+"/it?return=%2Fconsole%2Fblocks").expect(303, "https://it.example/authorize")
	if u, _ := url.Parse(at.Header.Get("Location")); u.Query().Get("redirect_uri") != s.server.URL+"/console/login/it/callback" {
		t.Errorf("redirect %s", at.Header.Get("Location"))
	}
	b.get(w.it.back(t, at.Header.Get("Location"), "alice@example.com")).expect(303, "/console/blocks")
	b.get(home).expect(200, `hello it\alice@example.com administrator false it`)
	want(t, b.cookies(), "__Host-soapward-admin")
	want(t, w.decisions(), `oidc accepted it\alice@example.com`)

	// The role is that of the configuration now, not that of the login.
	w.change(func(c *config.Config) { c.Admin.Roles.Administrator = nil; c.Admin.Roles.Viewer = []string{"gwadmins"} })
	b.get(home).expect(200, "viewer")
	w.change(func(c *config.Config) { c.Admin.Roles = config.AdminRoles{} })
	b.get(home).expect(403, "No role", `it\alice@example.com`, "Reference")
	b.get(home).expect(303, loginPath)
	want(t, w.decisions(), `oidc refused it\alice@example.com policy`)
}

func TestProviderLogout(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(p *fakeProvider)
		status int
		text   string
	}{
		{"there too", func(p *fakeProvider) { p.logout = "https://it.example/end?x=1" }, 200, "https://it.example/end?x=1"},
		{"no such place", func(*fakeProvider) {}, 303, loginPath},
		{"slow", func(p *fakeProvider) { p.hang = time.Minute; p.logout = "https://it.example/end" }, 303, loginPath},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.site().browser()
			b.signIn(w.it, "alice@example.com").expect(303)
			csrf := strings.Split(b.get(home).text, "csrf=")[1]
			w.it.set(tt.change)
			a := b.do(http.MethodPost, logoutPath, url.Values{"csrf": {csrf}}).expect(tt.status, tt.text)
			if tt.status == 200 && a.Header.Get("Refresh") != "0; url="+tt.text {
				t.Errorf("Refresh %q", a.Header.Get("Refresh"))
			}
			b.get(home).expect(303, loginPath)
			if got := w.it.revoked; len(got) != 1 || got[0] != "Marked-refresh alice@example.com" {
				t.Errorf("taken back: %q", got)
			}
		})
	}
}

// Providers are shown by their titles; their names stay what they are called by.
func TestProviderTitle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *config.Config) { c.Realms["it"].OIDC.Title = "Con<b>toso" })
	w.it.set(func(p *fakeProvider) { p.logout = "https://it.example/end" })
	s := w.site()
	b := s.browser()
	b.get(loginPath).expect(200, `href="/console/login/it">Sign in with Con&lt;b&gt;toso<`, `href="/console/login/partners">Sign in with partners<`)
	s.program(http.MethodGet, waysPath, "", nil).expect(200, `"name":"it","title":"Con\u003cb\u003etoso",`, `{"name":"partners","issuer"`)
	b.signIn(w.it, "alice@example.com").expect(303)
	csrf := strings.Split(b.get(home).text, "csrf=")[1]
	b.do(http.MethodPost, logoutPath, url.Values{"csrf": {csrf}}).expect(200, "Con&lt;b&gt;toso may still have you signed in", "Sign out at Con&lt;b&gt;toso<")
	w.it.set(func(p *fakeProvider) { p.err = authn.ErrUnavailable })
	b.get(loginPath+"/it").expect(503, "The provider Con&lt;b&gt;toso cannot be used now")
	w.it.set(func(p *fakeProvider) { p.err = authn.ErrOverloaded })
	b.get(loginPath+"/it").expect(503, "Many sign-ins at Con&lt;b&gt;toso from where you are")
}

func TestBackchannel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site()
	b, other := s.browser(), s.browser()
	b.signIn(w.it, "alice@example.com").expect(303)
	other.signIn(w.it, "vera@example.com").expect(303)
	token := s.token(map[string]string{"provider": "it", "id_token": "Marked-id-token of alice@example.com 1", "nonce": "nonce"})
	post := func(path, logout string) *answer {
		c := s.browser()
		c.header = map[string]string{}
		return c.do(http.MethodPost, path, url.Values{"logout_token": {logout}})
	}
	post(loginPath+"/it/backchannel", "bad").expect(400, "invalid_request")
	post(loginPath+"/it/backchannel", "good ").expect(400)
	post(loginPath+"/none/backchannel", "good sub-alice@example.com").expect(404)
	post(loginPath+"/partners/backchannel", "good sub-alice@example.com").expect(200) // another provider's subject
	b.get(home).expect(200)
	post(loginPath+"/it/backchannel", "good sub-alice@example.com").expect(200)
	b.get(home).expect(303, loginPath)
	other.get(home).expect(200)
	s.program(http.MethodGet, "/admin/v1/me", token.Token, nil).expect(401)
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.it.set(func(p *fakeProvider) {
		p.claims = authn.Claims{"groups": {"operators"}}
		p.due = time.Now().Add(time.Minute)
	})
	b := w.site().browser()
	b.signIn(w.it, "olga@example.com").expect(303)
	b.get(home).expect(200, "operator")
	w.it.set(func(p *fakeProvider) { p.claims = nil; p.due = time.Now().Add(time.Hour) })
	b.get(home).expect(200, "operator") // not due yet
	w.later(2 * time.Minute)
	b.get(home).expect(403, "No role")
	if w.it.refreshed != 1 {
		t.Errorf("asked %d times", w.it.refreshed)
	}

	// Whom the provider refuses is out; while it says nothing one goes on.
	w.it.set(func(p *fakeProvider) {
		p.claims = authn.Claims{"groups": {"operators"}}
		p.due = w.clock().Add(time.Minute)
	})
	b.signIn(w.it, "olga@example.com").expect(303)
	w.it.set(func(p *fakeProvider) { p.err = authn.ErrUnavailable })
	w.later(2 * time.Minute)
	b.get(home).expect(200)
	w.it.set(func(p *fakeProvider) { p.err = &authn.RefusedError{Reason: authn.ReasonExpired} })
	w.later(time.Minute)
	b.get(home).expect(303, loginPath)
}

func TestToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, secret := w.local("admin")
	s := w.site()
	s.program(http.MethodGet, waysPath, "", nil).expect(200,
		`{"providers":[{"name":"it","issuer":"https://id.example.com","client_id":"desktop","scopes":["groups"]},`+
			`{"name":"partners","issuer":"https://id.example.com","client_id":"web"}],"local":true}`)
	s.program(http.MethodGet, "/admin/v1/me", "", nil).expect(401, `"kind":"unauthenticated"`)

	got := s.token(map[string]string{"user": "admin", "password": secretPassword, "code": w.code(secret)})
	if got.Name != "admin" || got.Role != admin.Administrator || time.Until(got.Expires).Round(time.Hour) != tokenLasts || !strings.HasPrefix(got.Token, tokenPrefix) {
		t.Errorf("token for %s, %v, until %v", got.Name, got.Role, got.Expires)
	}
	a := s.program(http.MethodPost, "/admin/v1/users", got.Token, map[string]string{}).expect(200, "hello admin administrator true command line")
	list, err := w.store.Sessions(t.Context(), w.clock(), directory.SessionQuery{})
	if err != nil || len(list) != 1 || a.Header.Get("X-Session") != hex.EncodeToString(list[0].ID[:]) || list[0].User != "admin" || list[0].UserAgent == "" {
		t.Errorf("sessions %v, %v", list, err)
	}
	s.program(http.MethodDelete, tokenPath, got.Token, nil).expect(204)
	s.program(http.MethodGet, "/admin/v1/me", got.Token, nil).expect(401)
	want(t, w.decisions(), "token accepted admin", "logout accepted admin", "token refused  expired")

	// By an ID token, once.
	body := map[string]string{"provider": "it", "id_token": "Marked-id-token of vera@example.com 1", "nonce": "nonce"}
	got = s.token(body)
	s.program(http.MethodGet, "/admin/v1/me", got.Token, nil).expect(200, `hello it\vera@example.com viewer false command line`)
	s.program(http.MethodPost, tokenPath, "", body).expect(401)
	body["id_token"], body["nonce"] = "Marked-id-token of vera@example.com 2", "other"
	s.program(http.MethodPost, tokenPath, "", body).expect(401)
	body["id_token"], body["nonce"] = "Marked-id-token of nobody@example.com 3", "nonce"
	s.program(http.MethodPost, tokenPath, "", body).expect(403, "you have no role")
	body["provider"] = "none"
	s.program(http.MethodPost, tokenPath, "", body).expect(401)
	w.it.set(func(p *fakeProvider) { p.err = authn.ErrUnavailable })
	body["provider"] = "it"
	s.program(http.MethodPost, tokenPath, "", body).expect(503, `"kind":"unavailable"`)

	// It has an end.
	s.program(http.MethodGet, "/admin/v1/me", got.Token, nil).expect(200)
	w.later(tokenLasts + time.Second)
	s.program(http.MethodGet, "/admin/v1/me", got.Token, nil).expect(401)
}

func TestTokenRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, secret := w.local("admin")
	w.local("fresh", func(u *directory.User) { u.SecondFactor = authn.Secret{} })
	s := w.site()
	for _, tt := range []struct {
		name   string
		body   any
		status int
		text   string
	}{
		{"wrong password", map[string]string{"user": "admin", "password": wrongSecret, "code": w.code(secret)}, 401, "the login is not valid"},
		{"wrong code", map[string]string{"user": "admin", "password": secretPassword, "code": "000000"}, 401, "the login is not valid"},
		{"no code", map[string]string{"user": "admin", "password": secretPassword}, 401, "the login is not valid"},
		{"unknown", map[string]string{"user": "nobody", "password": secretPassword, "code": "000000"}, 401, "the login is not valid"},
		{"no second factor yet", map[string]string{"user": "fresh", "password": secretPassword}, 403, "no second factor"},
		{"both ways", map[string]string{"user": "admin", "provider": "it"}, 400, "malformed"},
		{"neither", map[string]string{}, 400, "malformed"},
		{"unknown field", map[string]string{"user": "admin", "passwort": "x"}, 400, "malformed"},
		{"a number", map[string]any{"user": "admin", "password": 7}, 400, "malformed"},
		{"an array", []string{"x"}, 400, "malformed"},
		{"too long", map[string]string{"user": "admin", "password": strings.Repeat("x", maxTokenBody)}, 400, "malformed"},
		{"long password", map[string]string{"user": "admin", "password": strings.Repeat("x", 2000)}, 401, "the login is not valid"},
	} {
		a := s.program(http.MethodPost, tokenPath, "", tt.body)
		if a.StatusCode != tt.status || !strings.Contains(a.text, tt.text) {
			t.Errorf("%s: %d %s, want %d %s", tt.name, a.StatusCode, a.text, tt.status, tt.text)
		}
		var e admin.Error
		if err := json.Unmarshal([]byte(a.text), &e); err != nil || e.Ref == "" {
			t.Errorf("%s: %s: %v", tt.name, a.text, err)
		}
	}
	for _, bad := range []string{"x", tokenPrefix + "x", strings.Repeat("x", 9000), tokenPrefix + strings.Repeat("A", 43)} {
		s.program(http.MethodGet, "/admin/v1/me", bad, nil).expect(401)
	}
}

func TestNoStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.parts.Store = nil
	s := w.site()
	b := s.browser()
	for _, path := range []string{home, loginPath, localPath} {
		b.get(path).expect(503)
	}
	s.program(http.MethodGet, "/admin/v1/me", "", nil).expect(503, `"kind":"unavailable"`)
}

func TestTarget(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"/console/users/it%5Cbob?x=1", "/console/users/it%5Cbob?x=1"},
		{"/console/", "/console/"},
		{"/console/a#b", "/console/a"},
	} {
		if got := target(tt.in); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.in, got, tt.want)
		}
	}
}
