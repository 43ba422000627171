package access

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/gateway/config"
)

// TestAttackAdminFixation: neither a session nor a sign-in that somebody else began
// is of use after it, and the one before ends.
func TestAttackAdminFixation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, secret := w.local("admin")
	s := w.site()
	b := s.browser()
	u, err := url.Parse(s.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	planted := []*http.Cookie{
		{Name: "__Host-" + CookieName, Value: strings.Repeat("A", 43), Path: "/", Secure: true},
		{Name: "__Host-" + pendingCookie, Value: strings.Repeat("B", 43), Path: "/", Secure: true},
	}
	b.client.Jar.SetCookies(u, planted)
	b.get(codePath).expect(303, localPath)
	b.password("admin", secretPassword).expect(303, codePath)
	pendingBefore := valueOf(b, "__Host-"+pendingCookie)
	b.second(w.code(secret)).expect(303)
	first := valueOf(b, "__Host-"+CookieName)
	if first == planted[0].Value || pendingBefore == planted[1].Value || first == "" {
		t.Error("an identifier that was planted is in use")
	}
	// What was good for the code is good for nothing any more.
	thief := s.browser()
	thief.client.Jar.SetCookies(u, []*http.Cookie{
		{Name: "__Host-" + pendingCookie, Value: pendingBefore, Path: "/", Secure: true}, planted[0],
	})
	thief.get(codePath).expect(303, localPath)
	thief.get(home).expect(303, loginPath)
	// Neither as a session: rows of both are in one table.
	thief.client.Jar.SetCookies(u, []*http.Cookie{{Name: "__Host-" + CookieName, Value: pendingBefore, Path: "/", Secure: true}})
	thief.get(home).expect(303, loginPath)

	// A login at a provider ends it.
	b.signIn(w.it, "alice@example.com").expect(303)
	if second := valueOf(b, "__Host-"+CookieName); second == first {
		t.Error("the identifier is the same after another login")
	}
	thief.client.Jar.SetCookies(u, []*http.Cookie{{Name: "__Host-" + CookieName, Value: first, Path: "/", Secure: true}})
	thief.get(home).expect(303, loginPath)
}

func valueOf(b *browser, name string) string {
	u, _ := url.Parse(b.site.server.URL)
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// TestAttackAdminForgedForms: no other page signs an administrator in or out, or
// types his code.
func TestAttackAdminForgedForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, secret := w.local("admin")
	s := w.site()
	mallory := s.browser()
	stolen := mallory.get(localPath).fields().Get("csrf") // of another browser

	forge := map[string]func(b *browser, v url.Values){
		"no token":           func(_ *browser, v url.Values) { v.Del("csrf") },
		"another browser's":  func(_ *browser, v url.Values) { v.Set("csrf", stolen) },
		"from another site":  func(b *browser, _ url.Values) { b.header["Sec-Fetch-Site"] = "cross-site" },
		"from the same site": func(b *browser, _ url.Values) { b.header["Sec-Fetch-Site"] = "same-site" },
		"old browser, elsewhere": func(b *browser, _ url.Values) {
			delete(b.header, "Sec-Fetch-Site")
			b.header["Origin"] = "https://evil.test"
		},
	}
	for name, change := range forge {
		b := s.browser()
		v := b.get(localPath).fields("user", "admin", "password", secretPassword)
		change(b, v)
		b.do(http.MethodPost, localPath, v).expect(403, "This page had expired")
		if valueOf(b, "__Host-"+pendingCookie) != "" {
			t.Errorf("%s: the password counts", name)
		}
		b = s.browser()
		b.password("admin", secretPassword).expect(303, codePath)
		v = b.get(codePath).fields("code", w.code(secret))
		change(b, v)
		b.do(http.MethodPost, codePath, v).expect(403, "This page had expired")
		if valueOf(b, "__Host-"+CookieName) != "" {
			t.Errorf("%s: the code counts", name)
		}
	}
	// Logout, and what changes something, by page and by API.
	b := s.browser()
	b.signInLocal("admin", w.code(secret))
	good := strings.Split(b.get(home).text, "csrf=")[1]
	for name, change := range forge {
		for _, path := range []string{logoutPath, loginPath + "/out", "/console/users/x", "/admin/v1/users/x"} {
			v := url.Values{"csrf": {good}}
			old := b.header
			b.header = map[string]string{"Accept": "text/html", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
			change(b, v)
			if a := b.do(http.MethodPost, path, v); a.StatusCode != 403 {
				t.Errorf("%s: %s: %d", name, path, a.StatusCode)
			}
			b.header = old
		}
	}
	b.get(home).expect(200)
	b.do(http.MethodPost, "/console/users/x", url.Values{"csrf": {good}}).expect(200)
	b.header["X-CSRF-Token"] = good
	b.send(http.MethodPost, "/admin/v1/users/x", "application/json", strings.NewReader("{}")).expect(200)
	// Another site cannot read the API with the cookie, either.
	delete(b.header, "X-CSRF-Token")
	for _, site := range []string{"cross-site", "same-site"} {
		b.header["Sec-Fetch-Site"] = site
		b.get("/admin/v1/users").expect(403)
	}
	delete(b.header, "Sec-Fetch-Site")
	b.header["Origin"] = "https://evil.test"
	b.get("/admin/v1/users").expect(403)
}

// TestAttackAdminLoginCSRF: a link elsewhere begins no login, and its end counts
// for the browser that began it only.
func TestAttackAdminLoginCSRF(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site()
	b := s.browser()
	for _, site := range []string{"cross-site", "same-site"} {
		b.header["Sec-Fetch-Site"] = site
		b.get(loginPath+"/it").expect(303, loginPath)
	}
	if len(w.it.begun) != 0 {
		t.Error("a login began")
	}
	// The attacker begins one, and has the victim's browser end it.
	mallory := s.browser()
	at := mallory.get(loginPath + "/it").expect(303).Header.Get("Location")
	back := w.it.back(t, at, "alice@example.com")
	b.get(back).expect(403, "Sign-in was refused")
	b.get(home).expect(303, loginPath)
	// In one's own browser too, when another one was begun after it.
	victim := s.browser()
	victim.header["Sec-Fetch-Site"] = "same-origin"
	victim.get(loginPath + "/it").expect(303)
	victim.get(back).expect(403)
	victim.get(home).expect(303, loginPath)
}

func flip(s string) string {
	b := []byte(s)
	b[len(b)/2] ^= 1
	return string(b)
}

// TestAttackAdminOpenRedirect: a sign-in leads to the console, however the address
// of another place is written.
func TestAttackAdminOpenRedirect(t *testing.T) {
	t.Parallel()
	base, _ := url.Parse("https://gw.test/console/login")
	for _, to := range []string{
		"", "x", "/", "//evil.test", `/\evil.test`, `\/evil`, "https://evil.test", "javascript:alert(1)", "/admin/v1/users", "/metrics",
		"/console", "/consolex/", "/console/../metrics", "/console/%2e%2e/metrics", "/console//evil", "/console/%2F%2Fevil", `/console/..\..\evil`,
		"/console/%5C%5Cevil", "/console/..%5c..%5cevil", "/console/%252e%252e/x", "/console/\t/x", "/console/%0d%0aSet-Cookie:x", "/console/\u2028",
		"/console/login", "/console/login/it", "/console/logout", "/console/%6cogin/it", "/console/\xff", "/console/" + strings.Repeat("a", maxTarget),
	} {
		got := target(to)
		u, err := base.Parse(got)
		if got != home || err != nil || u.Host != "gw.test" {
			t.Errorf("%q leads to %q", to, got)
		}
	}
	w := newWorld(t)
	_, secret := w.local("admin")
	s := w.site()
	b := s.browser()
	page := b.get(localPath + "?return=%2F%2Fevil.test")
	b.do(http.MethodPost, localPath, page.fields("user", "admin", "password", secretPassword, "return", "//evil.test")).expect(303, codePath)
	if got := b.second(w.code(secret)).expect(303).Header.Get("Location"); got != home {
		t.Errorf("a local login leads to %q", got)
	}
	b = s.browser()
	at := b.get(loginPath + "/it?return=%2F%2Fevil.test").expect(303).Header.Get("Location")
	if got := b.get(w.it.back(t, at, "alice@example.com")).expect(303).Header.Get("Location"); got != home {
		t.Errorf("a provider's login leads to %q", got)
	}
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"/console/a?b", "//evil", `/console/\evil`, "/console/%2f%2fevil", "/console/%5c", "/console/../x", "/console/}" + strings.Repeat("!", 700)} {
		f.Add(s)
	}
	base, err := url.Parse("https://gw.test/console/login")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := target(s)
		u, err := base.Parse(got)
		if err != nil || u.Host != base.Host || u.Scheme != "https" || !strings.HasPrefix(u.Path, home) || strings.ContainsAny(got, "\\\t\r\n\x00") {
			t.Errorf("%q leads to %q: %v, %v", s, got, u, err)
		}
		if again := target(got); again != got {
			t.Errorf("%q becomes %q, and that %q", s, got, again)
		}
	})
}

// TestAttackAdminSessionOfDisabled: who is disabled, deleted, or no local
// administrator any more is out with his next request.
func TestAttackAdminSessionOfDisabled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, secret := w.local("admin")
	s := w.site()
	local, alice := s.browser(), s.browser()
	local.signInLocal("admin", w.code(secret))
	w.later(time.Minute)
	local2 := s.token(map[string]string{"user": "admin", "password": secretPassword, "code": w.code(secret)})
	alice.signIn(w.it, "alice@example.com").expect(303)
	change := func(name string, f func(u *directory.User)) {
		t.Helper()
		u, err := w.store.User(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		f(u)
		if err := w.store.UpdateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	s.program(http.MethodGet, "/admin/v1/me", local2.Token, nil).expect(200)
	change("admin", func(u *directory.User) { u.LocalAdmin = false })
	local.get(home).expect(303, loginPath)
	s.program(http.MethodGet, "/admin/v1/me", local2.Token, nil).expect(401)
	change("admin", func(u *directory.User) { u.LocalAdmin = true })
	local.get(home).expect(303, loginPath) // it has ended, and does not come back
	s.program(http.MethodGet, "/admin/v1/me", local2.Token, nil).expect(401)

	alice.get(home).expect(200)
	change(`it\alice@example.com`, func(u *directory.User) { u.State = directory.DisabledByOperator })
	alice.get(home).expect(303, loginPath)
	alice.signIn(w.it, "alice@example.com").expect(403)

	// A provider that is no administrators' any more.
	w2 := newWorld(t)
	b := w2.site().browser()
	b.signIn(w2.it, "alice@example.com").expect(303)
	w2.access.testOnlyProviders = map[string]provider{"partners": w2.other}
	w2.change(func(*config.Config) {})
	b.get(home).expect(303, loginPath)
	b.get(loginPath + "/it").expect(404)
}

// TestAttackRealmOfConsole: sessions of a realm at services have the name of the
// console's, and are some of it: with other limits, and of users who never came here.
func TestAttackRealmOfConsole(t *testing.T) {
	t.Parallel()
	for _, cookie := range []string{CookieName, CookieName + "-form", loginCookie, pendingCookie} {
		name := strings.TrimPrefix(cookie, "soapward-")
		_, err := config.Parse("c.yaml", []byte("realms: {"+name+": {internal: {}}}\nstore: {driver: sqlite, dsn: s.db}\n"))
		if err == nil || !strings.Contains(err.Error(), "realms."+name+": the console has the cookies") {
			t.Errorf("a realm %s has the console's cookie %s: %v", name, cookie, err)
		}
	}
}
