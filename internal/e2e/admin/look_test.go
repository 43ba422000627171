package admin

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

var look = flag.String("look", "", "write pictures of all pages into this `directory`")

// look judges the page that is open, light and dark, narrow and wide, and takes its
// picture.
func (o *office) look(t *testing.T, name string) {
	t.Helper()
	b := o.browser
	if o.scriptless {
		o.scripts(true) // those of the test
		defer o.scripts(false)
	}
	for _, w := range []struct {
		width  int
		scheme string
		axe    bool
	}{{1440, "dark", false}, {390, "light", false}, {390, "dark", true}, {1440, "light", true}} {
		if *look == "" && !w.axe {
			continue
		}
		b.Window(w.width, 900, w.scheme)
		var got struct{ Wide, High int }
		b.Script(`return { Wide: document.documentElement.scrollWidth, High: document.documentElement.scrollHeight }`, &got)
		if got.Wide > w.width {
			t.Errorf("%s is %d wide in a window of %d", name, got.Wide, w.width)
		}
		if *look != "" {
			b.Window(w.width, min(max(got.High, 600), 3200), w.scheme)
			b.Settle()
			if err := os.WriteFile(filepath.Join(*look, fmt.Sprintf("%s-%d-%s.png", name, w.width, w.scheme)), b.Screenshot(), 0o600); err != nil {
				t.Fatal(err)
			}
			b.Window(w.width, 900, w.scheme)
		}
		if w.axe {
			b.Accessible(name + ", " + w.scheme)
		}
	}
}

// testPages looks at each page that the others do not come to.
func testPages(t *testing.T, o *office) {
	b := o.borrow(t)
	o.signInLocally(t, b)
	for _, p := range []struct{ name, path string }{
		{"overview", "/"},
		{"overview-90d", "/?since=90d"},
		{"services", "/services"},
		{"service", "/service?name=pay"},
		{"explain", "/explain"},
		{"explain-answer", "/explain?url=/pay/boss&who=user&user=CORP%5Calice"},
		{"users", "/users"},
		{"users-none", "/users?search=nobody-at-all"},
		{"users-add", "/users/add"},
		{"user-domain", "/user?name=CORP%5Calice"},
		{"user-provider", "/user?name=it%5Calice%40corp.test"},
		{"user-local", "/user?name=admin"},
		{"user-edit", "/user/edit?name=CORP%5Calice"},
		{"user-password", "/user/password?name=admin"},
		{"user-delete", "/user/delete?name=CORP%5Calice"},
		{"roles", "/roles"},
		{"sessions", "/sessions"},
		{"realms", "/realms"},
		{"realm", "/realm?name=corp"},
		{"realm-staff", "/realm?name=staff"},
		{"providers", "/providers"},
		{"providers-passwords", "/providers/passwords"},
		{"logins", "/logins"},
		{"changes", "/changes"},
		{"configuration", "/configuration"},
		{"account", "/account"},
		{"none", "/none"},
	} {
		b.Open(o.at(p.path))
		o.look(t, p.name)
	}
	b.Open(o.at("/logins"))
	b.Click("tbody tr:first-child th a")
	b.Wait("the reference", func() bool { return b.Has("[data-copy]") })
	o.look(t, "logins-reference")
}
