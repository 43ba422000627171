package console_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/internal/e2e/peers"
)

// TestAccessible has axe-core look at every page, light and dark, wide and narrow.
func TestAccessible(t *testing.T) {
	t.Parallel()
	b := peers.StartChrome(t, peers.ChromeConfig{})
	b.WithAxe()
	f := newFake()
	s := httptest.NewServer(site(f, admin.Administrator, nil))
	defer s.Close()
	viewer := httptest.NewServer(site(newFake(), admin.Viewer, nil))
	defer viewer.Close()
	none := newFake()
	none.empty = true
	empty := httptest.NewServer(site(none, admin.Operator, nil))
	defer empty.Close()

	alone := httptest.NewServer(signIn())
	defer alone.Close()

	pages := []string{alone.URL, s.URL + "/console/none", s.URL + "/console/users?done=saved", viewer.URL + "/console/user?name=admin", viewer.URL + "/console/configuration"}
	for _, p := range allPages()[:len(allPages())-len(hostile)+1] {
		pages = append(pages, s.URL+p.path)
		if !strings.Contains(p.path, "?") {
			pages = append(pages, empty.URL+p.path)
		}
	}
	for _, window := range []struct {
		width  int
		scheme string
	}{{1440, "light"}, {390, "dark"}} {
		b.Window(window.width, 900, window.scheme)
		for _, page := range pages {
			b.Open(page)
			b.Accessible(page + ", " + window.scheme)
		}
		b.Open(s.URL + "/console/realm?name=it")
		b.Submit("form[action*=test] button")
		b.Accessible("a test, " + window.scheme)
		b.Open(s.URL + "/console/configuration")
		b.Fill("#text-0", "nonsense: 1")
		b.Submit("button[value=check]")
		b.Accessible("a check, " + window.scheme)
		b.Open(s.URL + "/console/users/add")
		b.Fill("#name", "grace")
		b.Submit("main button.primary")
		b.Accessible("a user who is there, " + window.scheme)
	}
	b.Window(1440, 900, "dark") // the menu is beside the page
	b.Open(s.URL + "/console/")
	b.Accessible("overview, wide and dark")
}

// TestWithoutScript goes through what forms do, in a browser that runs no script.
func TestWithoutScript(t *testing.T) {
	t.Parallel()
	b := peers.StartChrome(t, peers.ChromeConfig{})
	f := newFake()
	s := httptest.NewServer(site(f, admin.Administrator, nil))
	defer s.Close()
	b.Window(1200, 900, "light")
	b.DevTools("Emulation.setScriptExecutionDisabled", map[string]any{"value": true})

	notice := func(want string) {
		t.Helper()
		if got := b.Text("#notice"); got != want {
			t.Errorf("notice %q, want %q", got, want)
		}
	}
	b.Open(s.URL + "/console/users")
	if b.Has("[data-local]") || b.Has("[aria-pressed]") {
		t.Fatal("scripts run")
	}
	b.Fill("#search", "alice")
	b.Submit("form[role=search] button")
	b.Click("#list tbody a")
	b.Wait("the user", func() bool { return strings.Contains(b.URL(), "name=CORP%5Calice") })
	b.Submit("form[action='/console/user/state'] button")
	notice("The user is disabled, and his sessions are ended.")
	if got := f.called(); !strings.Contains(got, `ChangeUser CORP\alice disabled=true`) {
		t.Errorf("calls %s", got)
	}

	b.Open(s.URL + "/console/users/add")
	b.Fill("#name", "grace")
	b.Fill("#password", "secret-1")
	b.Fill("#again", "secret-1")
	b.Submit("main button.primary")
	if got := b.Text("#problem"); !strings.HasPrefix(got, "There is a user of this name.") {
		t.Errorf("problem %q", got)
	}
	b.Fill("#name", "grace2")
	b.Submit("main button.primary")

	b.Open(s.URL + "/console/configuration")
	b.Fill("#text-1", "services: {}")
	b.Submit("button[value=check]")
	if got := b.Text("#check"); !strings.Contains(got, "services: {}") || !strings.Contains(got, "This can be applied") {
		t.Errorf("check %q", got)
	}
	b.Fill("#comment", "CHG-7")
	b.Submit("button[value=apply]")
	notice("The configuration is in force.")
	if got := f.called(); !strings.Contains(got, "ApplyFiles digest-now CHG-7") {
		t.Errorf("calls %s", got)
	}

	b.Open(s.URL + "/console/blocks")
	b.Fill("#who", `CORP\alice`)
	b.Submit("form.filters button")
	notice("One block is lifted.")

	b.Open(s.URL + "/console/realm?name=corp")
	b.Submit("form[action='/console/realm/sync'] button")
	b.Open(s.URL + "/console/realm?name=corp")
	if got := b.Text("#sync"); !strings.Contains(got, "312 refreshed") {
		t.Errorf("sync %q", got)
	}

	// On a narrow screen the menu is a popover, which needs no script either.
	b.Window(390, 800, "light")
	b.Open(s.URL + "/console/roles")
	b.Click(".bar button")
	b.Click("#nav a[href='/console/sessions']")
	b.Wait("sessions", func() bool { return strings.HasSuffix(b.URL(), "/console/sessions") })
}

// TestScript: what the script makes quicker.
func TestScript(t *testing.T) {
	t.Parallel()
	b := peers.StartChrome(t, peers.ChromeConfig{})
	b.Watch()
	f := newFake()
	s := httptest.NewServer(site(f, admin.Administrator, nil))
	defer s.Close()
	b.Window(1200, 900, "light")
	b.DevTools("Emulation.setFocusEmulationEnabled", map[string]any{"enabled": true})

	// text is read at once: an element that the driver found may be replaced before
	// it is asked.
	text := func(css string) (s string) {
		b.Script(`const e = document.querySelector(arguments[0]); return e ? e.textContent : ""`, &s, css)
		return s
	}

	// The slash key leads to the search; what is typed shows at once, has an
	// address, and the focus stays.
	b.Open(s.URL + "/console/users")
	b.Click("h1") // a page that was never drawn loses keys
	b.Press("/")
	b.Wait("the search", func() bool {
		role, name := b.Focus()
		return role == "searchbox" && name == "Search"
	})
	b.Press("frank")
	b.Wait("the list", func() bool {
		return strings.HasSuffix(b.URL(), "/console/users?search=frank") && strings.Contains(text("#list"), "Frank Peculiar") && !strings.Contains(text("#list"), "Alice")
	})
	if role, _ := b.Focus(); role != "searchbox" {
		t.Errorf("focus on %s", role)
	}
	b.Press("xx")
	b.Wait("nobody", func() bool { return strings.Contains(text("#list"), "Nobody is like that.") })
	b.Watched("search")

	// New logins come by themselves while one follows, and then no more.
	b.Open(s.URL + "/console/logins")
	rows := func() (n int) {
		b.Script(`return document.querySelectorAll("tbody[data-follow] > tr").length`, &n)
		return n
	}
	before := rows()
	b.Click("button[aria-pressed=false]")
	f.mu.Lock()
	f.logins += 3
	f.mu.Unlock()
	b.Wait("new rows", func() bool { return rows() == before+3 })
	var ids []string
	b.Script(`return [...document.querySelectorAll("tbody[data-follow] > tr th a")].slice(0, 4).map(a => new URL(a.href).searchParams.get("ref"))`, &ids)
	for i, id := range ids[:3] {
		if want := f.login(f.logins - i).Ref; id != want {
			t.Errorf("row %d has reference %s, want %s", i, id, want)
		}
	}
	// When nobody is there any more, it ends, so that the session can.
	b.Script(`const n = Date.now; Date.now = () => n() + 16 * 60_000`, nil)
	b.Wait("the end", func() bool { return b.Has("button[aria-pressed=false]") })
	b.Watched("follow")

	// Columns of the chart tell their numbers by arrow keys.
	b.Open(s.URL + "/console/")
	b.Script(`document.querySelector("[data-chart]").focus()`, nil)
	b.Press("\ue012") // left: the last one
	if got := text(".tip"); !strings.Contains(got, "Kerberos accepted") || !strings.Contains(got, "13:00") {
		t.Errorf("details %q", got)
	}
	b.Press("\ue011")
	if got := text(".tip"); !strings.Contains(got, "25 Nov, 13:00") {
		t.Errorf("details of the first %q", got)
	}

	// The overview renews itself, and keeps what is open. What has the focus stays.
	b.Script(`document.activeElement.blur(); document.querySelector("details").open = true`, nil)
	f.called()
	b.Wait("a look", func() bool { return strings.Contains(f.called(), "Overview") })
	b.Wait("a new chart", func() bool {
		var open bool
		b.Script(`return document.querySelector("details").open && !document.querySelector(".tip")`, &open)
		return open
	})
	b.Watched("overview")

	// Lines of the editor are numbered as they come.
	b.Open(s.URL + "/console/configuration")
	b.Fill("#text-1", "a\nb\nc\nd")
	if got := b.Text("#text-1"); got == "" {
		t.Error("the text is gone")
	}
	var gutter string
	b.Script(`return document.querySelector("#text-1").parentElement.querySelector("pre").textContent`, &gutter)
	if gutter != "1\n2\n3\n4" {
		t.Errorf("gutter %q", gutter)
	}
	b.Watched("editor")

	// A session that ended does not put the page for signing in into a list.
	ended := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Requested-With") != "" {
			http.Redirect(w, r, "/console/login", http.StatusSeeOther)
			return
		}
		site(f, admin.Viewer, nil).ServeHTTP(w, r)
	}))
	defer ended.Close()
	b.Open(ended.URL + "/console/users")
	b.Fill("#search", "frank")
	b.Wait("nothing", func() bool { return strings.Contains(text("#list"), "Alice") })
}
