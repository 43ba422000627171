package admin

import (
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/e2e/peers"
)

// TestOffice goes through the life of one gateway, in order: each part finds what
// those before it left.
func TestOffice(t *testing.T) {
	t.Parallel()
	o := startOffice(t)
	o.browser = peers.StartChrome(t, peers.ChromeConfig{})
	o.browser.WithAxe()
	for _, part := range []struct {
		name string
		test func(t *testing.T, o *office)
	}{
		{"first start", testFirstStart},
		{"provider", testProvider},
		{"bad provider", testBadProvider},
		{"configuration", testConfiguration},
		{"forms", testForms},
		{"pages", testPages},
		{"command line", testCommandLine},
		{"realms", testRealms},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.test(t, o) }) && part.name == "first start" {
			t.FailNow() // nobody could sign in
		}
	}
}

// testFirstStart: a local administrator is made on the machine, sets his second factor
// up at his first sign-in, and is in; the next time he is asked for it, and a recovery
// code takes its place once.
func testFirstStart(t *testing.T, o *office) {
	b := o.borrow(t)
	o.must(t, "user", "add", localAdmin, "--local-admin", "-c", o.File, "--password-file", o.password(t, localPassword))
	b.Open(o.server + "/")
	o.look(t, "login")
	if !strings.HasPrefix(b.URL(), o.at("/login")) {
		t.Fatalf("without a session: at %s", b.URL())
	}
	b.Click("a[href^='/console/login/local']")
	b.Wait("the form", func() bool { return b.Has("#password") })
	b.Fill("#user", localAdmin)
	b.Fill("#password", "wrong")
	b.Submit("main button")
	if got := b.Text("#wrong"); got != "Invalid user name or password" {
		t.Errorf("a wrong password: %q", got)
	}
	o.look(t, "login-local")
	b.Fill("#password", localPassword)
	b.Submit("main button")
	if !strings.HasSuffix(b.URL(), "/login/local/setup") {
		t.Fatalf("at %s: %s", b.URL(), b.Text("body"))
	}
	o.look(t, "login-setup")
	o.local.secret = strings.NewReplacer(" ", "", "-", "").Replace(b.Text("main dd code"))
	b.Fill("#code", "000000")
	b.Submit("main button.primary")
	if !b.Has("#wrong") {
		t.Fatalf("a wrong code: at %s: %s", b.URL(), b.Text("body"))
	}
	b.Fill("#code", o.code(t))
	b.Submit("main button.primary")
	o.look(t, "login-recovery")
	o.local.recovery = strings.Fields(b.Text("main pre"))
	if len(o.local.recovery) != 10 {
		t.Fatalf("recovery codes: %q at %s: %s", o.local.recovery, b.URL(), b.Text("body"))
	}
	b.Submit("main a.primary")
	if b.URL() != o.at("/") || !strings.Contains(b.Text("body"), "Overview") {
		t.Fatalf("at %s: %s", b.URL(), b.Text("body"))
	}
	c := b.Cookie("__Host-soapward-admin")
	if c == nil || !c.Secure || !c.HTTPOnly || c.Path != "/" || c.Domain != "127.0.0.1" {
		t.Errorf("cookie %+v", c)
	}

	b = o.borrow(t)
	b.Open(o.at("/login/local?return=/console/users"))
	b.Fill("#user", localAdmin)
	b.Fill("#password", localPassword)
	b.Submit("main button")
	o.look(t, "login-code")
	recovery := o.local.recovery[0]
	o.local.recovery = o.local.recovery[1:]
	b.Fill("#code", recovery)
	b.Submit("main button")
	if b.URL() != o.at("/users") {
		t.Errorf("by a recovery code: at %s: %s", b.URL(), b.Text("body"))
	}
	if got := o.who(b); !strings.Contains(got, localAdmin) || !strings.Contains(got, "administrator") || !strings.Contains(got, "as a local administrator") {
		t.Errorf("who: %q", got)
	}
	b = o.borrow(t)
	b.Open(o.at("/login/local"))
	b.Fill("#user", localAdmin)
	b.Fill("#password", localPassword)
	b.Submit("main button")
	b.Fill("#code", recovery)
	b.Submit("main button")
	if !b.Has("#wrong") {
		t.Errorf("a recovery code that was used: at %s: %s", b.URL(), b.Text("body"))
	}
}
