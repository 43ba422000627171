package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/password/form"
)

// signIn fills in the form that is open and sends it.
func (b *chrome) signIn(user, pw string) {
	b.t.Helper()
	b.fill("#user", user)
	b.fill("#password", pw)
	b.submit("button")
}

func TestLogin(t *testing.T) {
	t.Parallel()
	s := startSite(t, form.Config{})
	b := borrowChrome(t)

	b.open(s.at("web.corp.test", "/pay?month=11"))
	if u := b.url(); !strings.Contains(u, "/login?return=%2Fpay%3Fmonth%3D11") {
		t.Fatalf("at %s, want the login page", u)
	}
	b.signIn(aliceName, "wrong")
	if got := b.text("#message"); !strings.HasPrefix(got, "Invalid username or password") {
		t.Errorf("message %q", got)
	}
	// The message belongs to the field that has the focus, so that it is read out.
	if role, name := b.focus(); role != "textbox" || name != "Password" {
		t.Errorf("focus on %s %q", role, name)
	}
	var described string
	b.script(`return document.getElementById(document.activeElement.getAttribute("aria-describedby")).textContent`, &described)
	if !strings.Contains(described, "Invalid username") {
		t.Errorf("the field is described by %q", described)
	}
	b.fill("#password", alicePass)
	b.submit("button")
	if b.url() != s.at("web.corp.test", "/pay?month=11") || b.text("#who") != aliceName+" by form" {
		t.Fatalf("at %s: %s", b.url(), b.text("body"))
	}
	c := b.cookie("__Host-soapward")
	if c == nil || !c.Secure || !c.HTTPOnly || c.SameSite != "Lax" || c.Path != "/" || c.Expiry != 0 {
		t.Errorf("cookie %+v", c)
	}
	var seen string
	if b.script(`return document.cookie`, &seen); strings.Contains(seen, "soapward") {
		t.Errorf("a script sees %q", seen)
	}
	stolen := *c

	b.submit("button") // of the application
	if got := b.text("#message"); got != "You are signed out." {
		t.Errorf("message %q", got)
	}
	if c := b.cookie("__Host-soapward"); c != nil {
		t.Errorf("cookie after the logout: %+v", c)
	}
	// Whoever kept the cookie has nothing.
	b.do(http.MethodPost, "/cookie", map[string]any{"cookie": map[string]any{
		"name": stolen.Name, "value": stolen.Value, "path": "/", "secure": true, "httpOnly": true, "sameSite": "Lax",
	}}, nil)
	b.open(s.at("web.corp.test", "/pay"))
	if !b.has("#password") {
		t.Errorf("logged in by a cookie from before the logout: %s", b.text("body"))
	}
}

// TestKeyboard: Tab, typing and Enter are enough, and each thing has a name.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	s := startSite(t, form.Config{})
	b := borrowChrome(t)
	b.open(s.at("web.corp.test", "/login"))
	for _, want := range []struct{ keys, role, name string }{
		{"", "textbox", "User name"},
		{aliceName + keyTab, "textbox", "Password"},
		{alicePass + keyTab, "checkbox", "Keep me logged in"},
		{keySpace + keyTab, "button", "Sign in"},
	} {
		if want.keys != "" {
			b.press(want.keys)
		}
		if role, name := b.focus(); role != want.role || name != want.name {
			t.Fatalf("focus on %s %q, want %s %q", role, name, want.role, want.name)
		}
	}
	b.leave(func() { b.press(keyEnter) })
	b.element("#who")
	if c := b.cookie("__Host-soapward"); c == nil || time.Until(time.Unix(c.Expiry, 0)) < 9*24*time.Hour {
		t.Errorf("cookie %+v, want one for ten days", c)
	}
	// And with Enter in the field, as most people do.
	b.open(s.at("web.corp.test", "/login/out"))
	if role, name := b.focus(); role != "button" || name != "Sign out" {
		t.Errorf("focus on %s %q", role, name)
	}
	b.leave(func() { b.press(keyEnter) })
	b.element("#password")
	b.leave(func() { b.press(aliceName + keyTab + alicePass + keyEnter) })
	b.element("#who")
}

// TestRestart: a session ends with the browser, unless somebody wants to be kept
// logged in.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := startSite(t, form.Config{})
	for _, remember := range []bool{true, false} {
		t.Run(fmt.Sprint("remember ", remember), func(t *testing.T) {
			profile := t.TempDir()
			b := startChrome(t, chromeConfig{profile: profile})
			b.open(s.at("web.corp.test", "/login"))
			b.fill("#user", aliceName)
			b.fill("#password", alicePass)
			if remember {
				b.click("input[name=remember]")
			}
			b.submit("button")
			if got := b.text("#who"); got != aliceName+" by form" {
				t.Fatalf("logged in as %q", got)
			}
			if err := b.quit(); err != nil {
				t.Fatal(err)
			}
			b = startChrome(t, chromeConfig{profile: profile})
			b.open(s.at("web.corp.test", "/"))
			if in := b.has("#who"); in != remember {
				t.Errorf("logged in after the restart: %v, want %v: %s", in, remember, b.text("body"))
			}
		})
	}
}

// TestAttackForgedFormInBrowser: a page of another site, and one of another host
// of the same site, send our form and the application's.
func TestAttackForgedFormInBrowser(t *testing.T) {
	t.Parallel()
	s := startSite(t, form.Config{})
	evil := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<form method="post" action=%q><input name="user" value="mallory"><input name="password" value="x"><input name="csrf" value="x"></form>`,
			s.at("web.corp.test", r.URL.Query().Get("to")))
	}))
	t.Cleanup(evil.Close)
	b := borrowChrome(t)
	b.open(s.at("web.corp.test", "/login"))
	b.signIn(aliceName, alicePass)
	for _, host := range []string{"evil.test", "evil.corp.test"} {
		_, port, _ := strings.Cut(strings.TrimPrefix(evil.URL, "https://"), ":")
		for _, to := range []string{"/login", "/login/out", "/pay"} {
			b.open("https://" + host + ":" + port + "/?to=" + to)
			b.leave(func() { b.script(`document.forms[0].submit()`, nil) })
			if !strings.HasPrefix(b.url(), s.at("web.corp.test", "/")) {
				t.Fatalf("at %s", b.url())
			}
			b.open(s.at("web.corp.test", "/"))
			if got := b.text("#who"); got != aliceName+" by form" {
				t.Errorf("%s: after POST %s the browser is %q", host, to, got)
			}
		}
		// It cannot put the page into a frame either.
		b.open("https://" + host + ":" + port + "/")
		b.script(`const f = document.createElement("iframe"); document.body.append(f);
			return new Promise(done => { f.onload = done; f.src = arguments[0] })`, nil, s.at("web.corp.test", "/login/out"))
		b.do(http.MethodPost, "/frame", map[string]any{"id": 0}, nil)
		if b.has("main") {
			t.Errorf("%s: the page is in a frame", host)
		}
		b.do(http.MethodPost, "/frame", map[string]any{"id": nil}, nil)
	}
	if n := s.posts.Load(); n != 0 {
		t.Errorf("%d requests of other sites reached the application", n)
	}
	if !s.logged("cross-origin") {
		t.Error("the log does not tell of the requests of another site")
	}
}

// TestScriptInPage: a page whose session has ended finds out by a status.
func TestScriptInPage(t *testing.T) {
	t.Parallel()
	s := startSite(t, form.Config{})
	b := borrowChrome(t)
	b.open(s.at("web.corp.test", "/login"))
	const fetch = `return fetch("/data", {method: arguments[0]}).then(async r => r.status + " " + r.headers.get("Content-Type") + " " + (await r.json()).login)`
	for _, method := range []string{"GET", "POST"} {
		// From outside of the page, whose policy lets no script connect.
		b.devTools("Page.setBypassCSP", map[string]any{"enabled": true})
		b.open(s.at("web.corp.test", "/login"))
		var got string
		if b.script(fetch, &got, method); got != "401 application/json /login" {
			t.Errorf("%s = %q", method, got)
		}
	}
	b.signIn(aliceName, alicePass)
	var got string
	if b.script(fetch, &got, "POST"); got != "200 application/json undefined" {
		t.Errorf("with a session: %q", got)
	}
}
