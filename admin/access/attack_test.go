package access

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/throttle"
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

// TestAttackAdminMixUp: what was begun at one provider does not end at another.
func TestAttackAdminMixUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.site().browser()
	at := b.get(loginPath + "/partners").expect(303).Header.Get("Location")
	back := strings.Replace(w.other.back(t, at, "alice@example.com"), "/partners/", "/it/", 1)
	b.get(back).expect(403, "Sign-in was refused")
	if len(w.it.used) != 0 {
		t.Error("the other provider was asked")
	}
	// A provider that names users of another.
	w.other.set(func(p *fakeProvider) { p.domain = "it" })
	b.signIn(w.other, "alice@example.com").expect(403)
	b.get(home).expect(303, loginPath)
	want(t, w.decisions(), "oidc refused  wrong-target", `oidc refused it\alice@example.com policy`)
}

// TestAttackAdminReplay: an answer of the provider ends one login, once, also at
// the browser that has all of it.
func TestAttackAdminReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site()
	b := s.browser()
	at := b.get(loginPath + "/it").expect(303).Header.Get("Location")
	kept := valueOf(b, "__Host-"+loginCookie)
	b.get(w.it.back(t, at, "alice@example.com")).expect(303, home)
	if slices.Contains(b.cookies(), "__Host-"+loginCookie) {
		t.Error("the login that has ended is still in the browser")
	}
	u, _ := url.Parse(s.server.URL)
	thief := s.browser()
	thief.client.Jar.SetCookies(u, []*http.Cookie{{Name: "__Host-" + loginCookie, Value: kept, Path: "/", Secure: true}})
	thief.get(w.it.back(t, at, "alice@example.com")).expect(403) // another code, the same state
	// Changed, cut off, of another gateway, too old.
	for name, value := range map[string]string{"changed": flip(kept), "cut off": kept[:len(kept)-2], "empty": "x", "long": strings.Repeat("x", 3900)} {
		thief.client.Jar.SetCookies(u, []*http.Cookie{{Name: "__Host-" + loginCookie, Value: value, Path: "/", Secure: true}})
		if a := thief.get(w.it.back(t, at, "alice@example.com")); a.StatusCode != 403 {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
	at = b.get(loginPath + "/it").expect(303).Header.Get("Location")
	w.later(beganFor + time.Minute)
	b.get(w.it.back(t, at, "alice@example.com")).expect(403)
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
	for _, s := range []string{"/console/a?b", "//evil", `/console/\evil`, "/console/%2f%2fevil", "/console/%5c", "/console/../x"} {
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

// TestAttackAdminSameAnswer: the browser cannot tell who is a local administrator,
// by words or by time.
func TestAttackAdminSameAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.local("admin")
	w.local("away", func(u *directory.User) { u.State = directory.DisabledByOperator })
	w.local("clerk", func(u *directory.User) { u.LocalAdmin = false })
	if err := w.store.CreateUser(t.Context(), &directory.User{Name: "bare", LocalAdmin: true}); err != nil {
		t.Fatal(err)
	}
	s := w.site()
	varying := regexp.MustCompile(`(name="csrf" value="[^"]*"|Date:\[[^]]*\]|Content-Length:\[[^]]*\]|value="(admin|away|clerk|bare|nobody)")`)
	first := ""
	for _, tt := range []struct{ user, secret, reason string }{
		{"admin", wrongSecret, "wrong-password"},
		{"nobody", secretPassword, "unknown-user"},
		{"away", secretPassword, "account-disabled"},
		{"clerk", secretPassword, "policy"},
		{"bare", secretPassword, "policy"},
	} {
		b := s.browser()
		began := time.Now()
		a := b.password(tt.user, tt.secret)
		if took := time.Since(began); took < 240*time.Millisecond {
			t.Errorf("%s: refused after %v", tt.user, took)
		}
		got := varying.ReplaceAllString(fmt.Sprint(a.StatusCode, a.Header, a.text), "*")
		if first == "" {
			first = got
		}
		if a.StatusCode != 401 || got != first {
			t.Errorf("%s:\n got %s\nwant %s", tt.user, got, first)
		}
		want(t, w.decisions(), "local refused "+tt.user+" "+tt.reason)
		if valueOf(b, "__Host-"+pendingCookie) != "" {
			t.Errorf("%s goes on", tt.user)
		}
	}
}

// TestAttackAdminLockedOut: guesses elsewhere do not keep an administrator out:
// neither at services from his address, nor here from other addresses, nor all
// that come by this machine.
func TestAttackAdminLockedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, secret := w.local("admin")
	// At a service, whose failures are in the same store.
	service := &throttle.Limiter{Store: w.store, Now: w.clock}
	ctx := authn.WithClient(t.Context(), addrOf("192.0.2.7"))
	for i := range 22 {
		_, _ = service.Password(refusing{}).VerifyPassword(ctx, []string{"admin", fmt.Sprint("user", i)}[min(i/3, 1)], randomText())
	}
	for _, key := range []string{throttle.AddressKey(addrOf("192.0.2.7")), "user admin at 192.0.2.7"} {
		if b, err := w.store.BlockOf(t.Context(), w.clock(), key); err != nil || b == nil {
			blocks, _ := w.store.Blocks(t.Context(), w.clock())
			t.Fatalf("the service has no block of %s: %v, %v", key, err, blocks)
		}
	}
	s := w.siteFrom("192.0.2.7")
	s.browser().signInLocal("admin", w.code(secret))
	w.later(time.Minute)

	// Here, from another address.
	guess := func(from string, user string, status int) {
		t.Helper()
		b := s.browser()
		b.header["Test-From"] = from
		b.password(user, wrongSecret).expect(status)
	}
	for range 3 {
		guess("198.51.100.1", "admin", 401)
	}
	guess("198.51.100.1", "admin", 429)
	s.browser().signInLocal("admin", w.code(secret))
	w.later(time.Minute)

	// An address is blocked for all names...
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			b := s.browser()
			b.header["Test-From"] = "198.51.100.2"
			b.password(fmt.Sprint("user", i), wrongSecret)
			b = s.browser()
			b.header["Test-From"] = "127.0.0.1"
			b.password(fmt.Sprint("user", i), wrongSecret)
		})
	}
	wait.Wait()
	guess("198.51.100.2", "anybody", 429)
	// ... but this machine is not: it is everybody's address behind a proxy here.
	guess("127.0.0.1", "anybody", 401)
	b := s.browser()
	b.header["Test-From"] = "127.0.0.1"
	b.signInLocal("admin", w.code(secret))
}

// TestAttackAdminCodes: six digits are not guessed: wrong ones block, a right
// password forgives none of them, and neither do other addresses.
func TestAttackAdminCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, secret := w.local("admin")
	s := w.siteFrom("192.0.2.7")
	b := s.browser()
	for i, status := range []int{401, 401, 401, 429} {
		b.password("admin", secretPassword).expect(303) // each time anew
		if a := b.second("000000"); a.StatusCode != status {
			t.Fatalf("guess %d: %d, want %d", i, a.StatusCode, status)
		}
	}
	b.second(w.code(secret)).expect(429)
	s.program(http.MethodPost, tokenPath, "", map[string]string{"user": "admin", "password": secretPassword, "code": w.code(secret)}).expect(429)
	// From many addresses.
	blocked := 0
	for i := range maxWrongCodes {
		b := s.browser()
		b.header["Test-From"] = fmt.Sprint("198.51.100.", i)
		b.password("admin", secretPassword).expect(303)
		if b.second("000000").StatusCode == 429 {
			blocked++
		}
	}
	if blocked == 0 {
		t.Error("nothing bounds guesses from many addresses")
	}
}

// TestAttackAdminCodesAtOnce: so many codes are tried at the same time, from as many
// addresses, that most are judged before anybody is blocked. A right one behind too
// many wrong ones is of no use.
func TestAttackAdminCodesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u, secret := w.local("admin")
	s := w.site()
	count := func(n int) {
		t.Helper()
		for range n { // as those that are judged at the same time count
			if _, err := w.store.AddFailure(t.Context(), w.clock(), w.clock().Add(-wrongCodesIn), codeKey(u)); err != nil {
				t.Fatal(err)
			}
		}
	}
	count(maxWrongCodes - 1)
	for range 3 { // right ones are not counted
		s.browser().signInLocal("admin", w.code(secret))
		w.later(time.Minute)
	}
	count(1)
	b := s.browser()
	b.password("admin", secretPassword).expect(303)
	b.second(w.code(secret)).expect(429)
	w.later(wrongCodesIn + time.Minute)
	s.browser().signInLocal("admin", w.code(secret))
}

// TestAttackAdminCodeReplay: a code counts once, also at the same time.
func TestAttackAdminCodeReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, secret := w.local("admin")
	s := w.site()
	code := w.code(secret)
	one, two := s.browser(), s.browser()
	one.password("admin", secretPassword).expect(303, codePath)
	two.password("admin", secretPassword).expect(303, codePath)
	one.second(code).expect(303, home)
	two.second(code).expect(401, wrongCode)

	w = newWorld(t)
	u, secret := w.local("admin")
	code = w.code(secret)
	c := w.access.core()
	var in atomic.Int32
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			r := newRequest(http.MethodPost, "https://gw.test"+codePath)
			if c.judgeCode(r, u, code) == nil {
				in.Add(1)
			}
		})
	}
	wait.Wait()
	if in.Load() != 1 {
		t.Errorf("one code let %d in", in.Load())
	}
	if first, second := tryOf(code), tryOf(code); first == second { // a throttle.Limiter gives equal tries at one time one verdict
		t.Error("two tries of a code may share a verdict")
	}
}

// TestAttackAdminPendingSignIn: what stands between password and code is of the
// user as he is now, and over soon.
func TestAttackAdminPendingSignIn(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(w *world, u *directory.User){
		"disabled":               func(_ *world, u *directory.User) { u.State = directory.DisabledByOperator },
		"no local administrator": func(_ *world, u *directory.User) { u.LocalAdmin = false },
		"another password":       func(_ *world, u *directory.User) { u.Password = directory.NewPasswordHash("$argon2id$other") },
		"late":                   func(w *world, _ *directory.User) { w.later(pendingFor + time.Second) },
		"local switched off": func(w *world, _ *directory.User) {
			w.change(func(c *config.Config) { c.Admin.Local.Disabled = true })
		},
	} {
		w := newWorld(t)
		u, secret := w.local("admin")
		b := w.site().browser()
		b.password("admin", secretPassword).expect(303, codePath)
		page := b.get(codePath).expect(200)
		u, err := w.store.UserByID(t.Context(), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		change(w, u)
		if err := w.store.UpdateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		if a := b.do(http.MethodPost, codePath, page.fields("code", w.code(secret))); a.Header.Get("Location") == home {
			t.Errorf("%s: signed in", name)
		}
		if a := b.get(home); a.StatusCode == 200 {
			t.Errorf("%s: there is a session", name)
		}
	}
	// It is nobody's session in the list.
	w := newWorld(t)
	w.local("admin")
	w.site().browser().password("admin", secretPassword).expect(303, codePath)
	if list, err := w.store.Sessions(t.Context(), w.clock(), directory.SessionQuery{}); err != nil || len(list) != 0 {
		t.Errorf("listed: %v, %v", list, err)
	}
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

// TestAttackAdminRoleOfAnother: a role is of the names that the configuration has:
// not of the same account at another provider, nor of groups, roles or domains that
// a provider makes up, nor of what an operator granted in the store.
func TestAttackAdminRoleOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site()
	b := s.browser()
	for _, p := range []*fakeProvider{w.it, w.other} {
		for _, account := range []string{"mallory@example.com", "gwadmins", "admin"} {
			b.signIn(p, account).expect(403, "No role") // with groups and roles: see fakeProvider.identity
		}
	}
	b.signIn(w.other, "alice@example.com").expect(403, "No role")
	// Granted in the store.
	u := &directory.User{Name: `it\granted@example.com`, Realm: "it", Roles: []string{"gwadmins", "administrator"}}
	if err := w.store.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	b.signIn(w.it, "granted@example.com").expect(403, "No role")
	b.get(home).expect(303, loginPath)
	if len(b.cookies()) != 0 {
		t.Errorf("cookies %q", b.cookies())
	}
}

// TestAttackAdminProviderBroken: whatever a provider does, the local administrator
// signs in at once, and nobody else comes in.
func TestAttackAdminProviderBroken(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(p *fakeProvider){
		"down":  func(p *fakeProvider) { p.err = authn.ErrUnavailable },
		"slow":  func(p *fakeProvider) { p.hang = time.Hour },
		"lies":  func(p *fakeProvider) { p.err = &authn.RefusedError{Reason: authn.ReasonIntegrity} },
		"fails": func(p *fakeProvider) { p.err = fmt.Errorf("garbage") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			_, secret := w.local("admin")
			s := w.site()
			b := s.browser()
			at := b.get(loginPath + "/it").expect(303).Header.Get("Location")
			w.it.set(change)
			if name != "slow" {
				if a := b.get(w.it.back(t, at, "alice@example.com")); a.StatusCode != 403 && a.StatusCode != 503 {
					t.Errorf("callback: %d", a.StatusCode)
				}
				if a := b.get(loginPath + "/it"); a.StatusCode == 303 || strings.Contains(a.text, "garbage") {
					t.Errorf("begin: %d %s", a.StatusCode, a.text)
				}
				b.get(home).expect(303, loginPath)
			}
			local := s.browser()
			began := time.Now()
			local.get(home).expect(303, loginPath)
			local.get(loginPath).expect(200)
			local.signInLocal("admin", w.code(secret))
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("the local administrator waits %v", took)
			}
			t.Logf("signed in after %v", time.Since(began))
		})
	}
}

// TestAttackAdminIDTokenTwice: an ID token is exchanged once, at all nodes, also at
// the same time.
func TestAttackAdminIDTokenTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site()
	s.browser().signIn(w.it, "alice@example.com").expect(303) // so that there is a user
	status := make([]int, 6)
	var wait sync.WaitGroup
	for i := range status {
		wait.Go(func() {
			status[i] = s.program(http.MethodPost, tokenPath, "", map[string]string{
				"provider": "it", "id_token": "Marked-id-token of alice@example.com 1", "nonce": "nonce",
			}).StatusCode
		})
	}
	wait.Wait()
	slices.Sort(status)
	if status[0] != 200 || status[1] != 401 {
		t.Errorf("one token was exchanged with %v", status)
	}
}

// TestAttackAdminTokenCrossSite: a page of another site cannot have a browser
// exchange a token: it cannot send JSON.
func TestAttackAdminTokenCrossSite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.site().browser()
	body := `{"provider":"it","id_token":"Marked-id-token of alice@example.com 1","nonce":"nonce"}`
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""} {
		if a := b.send(http.MethodPost, tokenPath, kind, strings.NewReader(body)); a.StatusCode != 400 {
			t.Errorf("%q: %d", kind, a.StatusCode)
		}
	}
}

// TestAttackAdminStoreRead: what the store has lets nobody in.
func TestAttackAdminStoreRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.local("admin")
	s := w.site()
	b := s.browser()
	b.password("admin", secretPassword).expect(303, codePath)
	token := s.token(map[string]string{"provider": "it", "id_token": "Marked-id-token of alice@example.com 1", "nonce": "nonce"})
	c := s.browser()
	c.signIn(w.it, "alice@example.com").expect(303)
	for _, have := range []string{valueOf(b, "__Host-"+pendingCookie), token.Token, valueOf(c, "__Host-"+CookieName)} {
		if have == "" {
			t.Fatal("nothing to look for")
		}
		rows, err := w.store.SessionsOf(t.Context(), `it\alice@example.com`)
		if err != nil {
			t.Fatal(err)
		}
		pendingRows, err := w.store.SessionsOf(t.Context(), pendingRows)
		if err != nil || len(rows)+len(pendingRows) != 3 {
			t.Fatalf("%d and %d rows, %v", len(rows), len(pendingRows), err)
		}
		for _, r := range append(rows, pendingRows...) {
			if text := fmt.Sprintf("%+v %s %s", r, r.Data, r.ID[:]); strings.Contains(text, strings.TrimPrefix(have, tokenPrefix)[:32]) {
				t.Errorf("the store has %q", have)
			}
		}
	}
	for _, r := range rowsOf(t, w, `it\alice@example.com`) {
		if r.Grant != nil && strings.Contains(string(r.Grant.Sealed), "Marked") {
			t.Error("the store has a refresh token")
		}
	}
}

func rowsOf(t *testing.T, w *world, user string) []directory.Session {
	t.Helper()
	rows, err := w.store.SessionsOf(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestAttackAdminSecretsInLog: passwords, codes, recovery codes, tokens and cookies
// are in no log and no record.
func TestAttackAdminSecretsInLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.local("admin", func(u *directory.User) { u.SecondFactor = authn.Secret{} })
	s := w.site()
	b := s.browser()
	b.password("admin", wrongSecret).expect(401)
	b.password("admin", secretPassword).expect(303, setupPath)
	pending := valueOf(b, "__Host-"+pendingCookie)
	page := b.get(setupPath)
	factor := strings.ReplaceAll(between(page.text, "<code>", "</code>"), " ", "")
	used := w.code(factor)
	got := b.do(http.MethodPost, setupPath, page.fields("code", used)).expect(200)
	codes := strings.Fields(between(got.text, "<pre>", "</pre>"))
	cookie := valueOf(b, "__Host-"+CookieName)
	b = s.browser()
	b.password("admin", secretPassword).expect(303)
	wrong := "A"
	if strings.HasSuffix(codes[0], wrong) {
		wrong = "B"
	}
	b.second(codes[0][:len(codes[0])-1] + wrong).expect(401)
	b.second(codes[0]).expect(303)
	idToken := "Marked-id-token of alice@example.com 1"
	token := s.token(map[string]string{"provider": "it", "id_token": idToken, "nonce": "nonce"})
	s.program(http.MethodPost, tokenPath, "", map[string]string{"provider": "it", "id_token": idToken, "nonce": "nonce"}).expect(401)
	s.program(http.MethodGet, "/admin/v1/me", token.Token+"x", nil).expect(401)
	s.program(http.MethodPost, tokenPath, "", map[string]string{"user": "admin", "password": wrongSecret, "code": used}).expect(401)
	b.signIn(w.it, "alice@example.com").expect(303)
	w.it.set(func(p *fakeProvider) { p.err = fmt.Errorf("connection refused") })
	b.get(loginPath + "/it").expect(503)

	var record strings.Builder
	w.mu.Lock()
	for _, d := range w.seen {
		fmt.Fprintf(&record, "%+v %+v\n", *d, d.Identity)
	}
	w.mu.Unlock()
	changes, err := w.store.Changes(t.Context(), directory.ChangeQuery{})
	if err != nil {
		t.Fatal(err)
	}
	text := w.log.String() + record.String() + fmt.Sprintf("%+v", changes)
	if !strings.Contains(text, "administrator signed in") {
		t.Fatal("the log has nothing")
	}
	for name, secret := range map[string]string{
		"password": secretPassword, "what was typed": wrongSecret, "secret": factor, "code": used, "recovery code": codes[0],
		"pending": pending, "cookie": cookie, "token": strings.TrimPrefix(token.Token, tokenPrefix), "marked": "Marked-",
	} {
		if secret == "" || strings.Contains(text, secret) {
			t.Errorf("the log or the record has the %s, or there is none", name)
		}
	}
}

// TestAttackAdminPlainHTTP: no form and no session where they could be read.
func TestAttackAdminPlainHTTP(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(c *config.Config)
		host   string
		status int
		cookie string
	}{
		{"everybody's address", func(c *config.Config) { c.Admin.Addr = ":9090" }, "gw.test", 403, ""},
		{"the same, for development", func(c *config.Config) { c.Admin.Addr = ":9090"; c.Sessions.AllowInsecureHTTP = true }, "gw.test", 200, "soapward-admin-form"},
		{"this machine", func(*config.Config) {}, "127.0.0.1:9090", 200, "soapward-admin-form"},
		{"a socket", func(c *config.Config) { c.Admin.Addr = "unix:/run/gw.sock" }, "gw.test", 200, "soapward-admin-form"},
		{"TLS at a proxy", func(c *config.Config) {
			c.Admin.Addr = ":9090"
			c.Admin.URL = config.URL{URL: mustURL("https://gw.test")}
		}, "gw.test", 200, "__Host-soapward-admin-form"},
		{"past the proxy", func(c *config.Config) {
			c.Admin.Addr = ":9090"
			c.Admin.URL = config.URL{URL: mustURL("https://gw.test")}
		}, "192.0.2.1:9090", 403, ""},
	} {
		w := newWorld(t, tt.change)
		r := newRequest(http.MethodGet, "http://"+tt.host+localPath)
		rw := record(w, r)
		cookie := ""
		for _, c := range rw.Result().Cookies() {
			cookie = c.Name
			if c.Secure != strings.HasPrefix(c.Name, "__Host-") || !c.HttpOnly {
				t.Errorf("%s: cookie %v", tt.name, c)
			}
		}
		if rw.Code != tt.status || cookie != tt.cookie || tt.status == 403 && strings.Contains(rw.Body.String(), `type="password"`) {
			t.Errorf("%s: %d, cookie %q, want %d, %q", tt.name, rw.Code, cookie, tt.status, tt.cookie)
		}
	}
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
