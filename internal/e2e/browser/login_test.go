package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/password/form"

	"github.com/soapward/soapward/internal/e2e/peers"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	s := startSite(t, form.Config{})
	b := borrowChrome(t)

	b.Open(s.at("web.corp.test", "/pay?month=11"))
	if u := b.URL(); !strings.Contains(u, "/login?return=%2Fpay%3Fmonth%3D11") {
		t.Fatalf("at %s, want the login page", u)
	}
	b.SignIn(aliceName, "wrong")
	if got := b.Text("#message"); !strings.HasPrefix(got, "Invalid username or password") {
		t.Errorf("message %q", got)
	}
	// The message belongs to the field that has the focus, so that it is read out.
	if role, name := b.Focus(); role != "textbox" || name != "Password" {
		t.Errorf("focus on %s %q", role, name)
	}
	var described string
	b.Script(`return document.getElementById(document.activeElement.getAttribute("aria-describedby")).textContent`, &described)
	if !strings.Contains(described, "Invalid username") {
		t.Errorf("the field is described by %q", described)
	}
	b.Fill("#password", alicePass)
	b.Submit("button")
	if b.URL() != s.at("web.corp.test", "/pay?month=11") || b.Text("#who") != aliceName+" by form" {
		t.Fatalf("at %s: %s", b.URL(), b.Text("body"))
	}
	c := b.Cookie("__Host-soapward")
	if c == nil || !c.Secure || !c.HTTPOnly || c.SameSite != "Lax" || c.Path != "/" || c.Expiry != 0 {
		t.Errorf("cookie %+v", c)
	}
	var seen string
	if b.Script(`return document.cookie`, &seen); strings.Contains(seen, "soapward") {
		t.Errorf("a script sees %q", seen)
	}
	stolen := *c

	b.Submit("button") // of the application
	if got := b.Text("#message"); got != "You are signed out." {
		t.Errorf("message %q", got)
	}
	if c := b.Cookie("__Host-soapward"); c != nil {
		t.Errorf("cookie after the logout: %+v", c)
	}
	// Whoever kept the cookie has nothing.
	b.Do(http.MethodPost, "/cookie", map[string]any{"cookie": map[string]any{
		"name": stolen.Name, "value": stolen.Value, "path": "/", "secure": true, "httpOnly": true, "sameSite": "Lax",
	}}, nil)
	b.Open(s.at("web.corp.test", "/pay"))
	if !b.Has("#password") {
		t.Errorf("logged in by a cookie from before the logout: %s", b.Text("body"))
	}
}

// TestKeyboard: Tab, typing and Enter are enough, and each thing has a name.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	s := startSite(t, form.Config{})
	b := borrowChrome(t)
	b.Open(s.at("web.corp.test", "/login"))
	for _, want := range []struct{ keys, role, name string }{
		{"", "textbox", "User name"},
		{aliceName + peers.KeyTab, "textbox", "Password"},
		{alicePass + peers.KeyTab, "checkbox", "Keep me logged in"},
		{peers.KeySpace + peers.KeyTab, "button", "Sign in"},
	} {
		if want.keys != "" {
			b.Press(want.keys)
		}
		if role, name := b.Focus(); role != want.role || name != want.name {
			t.Fatalf("focus on %s %q, want %s %q", role, name, want.role, want.name)
		}
	}
	b.Leave(func() { b.Press(peers.KeyEnter) })
	b.Element("#who")
	if c := b.Cookie("__Host-soapward"); c == nil || time.Until(time.Unix(c.Expiry, 0)) < 9*24*time.Hour {
		t.Errorf("cookie %+v, want one for ten days", c)
	}
	// And with Enter in the field, as most people do.
	b.Open(s.at("web.corp.test", "/login/out"))
	if role, name := b.Focus(); role != "button" || name != "Sign out" {
		t.Errorf("focus on %s %q", role, name)
	}
	b.Leave(func() { b.Press(peers.KeyEnter) })
	b.Element("#password")
	b.Leave(func() { b.Press(aliceName + peers.KeyTab + alicePass + peers.KeyEnter) })
	b.Element("#who")
}

// TestRestart: a session ends with the browser, unless somebody wants to be kept
// logged in.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := startSite(t, form.Config{})
	for _, remember := range []bool{true, false} {
		t.Run(fmt.Sprint("remember ", remember), func(t *testing.T) {
			profile := t.TempDir()
			b := peers.StartChrome(t, peers.ChromeConfig{Profile: profile})
			b.Open(s.at("web.corp.test", "/login"))
			b.Fill("#user", aliceName)
			b.Fill("#password", alicePass)
			if remember {
				b.Click("input[name=remember]")
			}
			b.Submit("button")
			if got := b.Text("#who"); got != aliceName+" by form" {
				t.Fatalf("logged in as %q", got)
			}
			if err := b.Quit(); err != nil {
				t.Fatal(err)
			}
			b = peers.StartChrome(t, peers.ChromeConfig{Profile: profile})
			b.Open(s.at("web.corp.test", "/"))
			if in := b.Has("#who"); in != remember {
				t.Errorf("logged in after the restart: %v, want %v: %s", in, remember, b.Text("body"))
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
	b.Open(s.at("web.corp.test", "/login"))
	b.SignIn(aliceName, alicePass)
	for _, host := range []string{"evil.test", "evil.corp.test"} {
		_, port, _ := strings.Cut(strings.TrimPrefix(evil.URL, "https://"), ":")
		for _, to := range []string{"/login", "/login/out", "/pay"} {
			b.Open("https://" + host + ":" + port + "/?to=" + to)
			b.Leave(func() { b.Script(`document.forms[0].submit()`, nil) })
			if !strings.HasPrefix(b.URL(), s.at("web.corp.test", "/")) {
				t.Fatalf("at %s", b.URL())
			}
			b.Open(s.at("web.corp.test", "/"))
			if got := b.Text("#who"); got != aliceName+" by form" {
				t.Errorf("%s: after POST %s the browser is %q", host, to, got)
			}
		}
		// It cannot put the page into a frame either.
		b.Open("https://" + host + ":" + port + "/")
		b.Script(`const f = document.createElement("iframe"); document.body.append(f);
			return new Promise(done => { f.onload = done; f.src = arguments[0] })`, nil, s.at("web.corp.test", "/login/out"))
		b.Do(http.MethodPost, "/frame", map[string]any{"id": 0}, nil)
		if b.Has("main") {
			t.Errorf("%s: the page is in a frame", host)
		}
		b.Do(http.MethodPost, "/frame", map[string]any{"id": nil}, nil)
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
	b.Open(s.at("web.corp.test", "/login"))
	const fetch = `return fetch("/data", {method: arguments[0]}).then(async r => r.status + " " + r.headers.get("Content-Type") + " " + (await r.json()).login)`
	for _, method := range []string{"GET", "POST"} {
		// From outside of the page, whose policy lets no script connect.
		b.DevTools("Page.setBypassCSP", map[string]any{"enabled": true})
		b.Open(s.at("web.corp.test", "/login"))
		var got string
		if b.Script(fetch, &got, method); got != "401 application/json /login" {
			t.Errorf("%s = %q", method, got)
		}
	}
	b.SignIn(aliceName, alicePass)
	var got string
	if b.Script(fetch, &got, "POST"); got != "200 application/json undefined" {
		t.Errorf("with a session: %q", got)
	}
}
