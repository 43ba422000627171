package admin

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/e2e/peers"
)

// withoutScript hands the browser over with scripts switched off, signed in.
func (o *office) withoutScript(t *testing.T) *peers.Chrome {
	t.Helper()
	b := o.borrow(t)
	o.scripts(false)
	o.signInLocally(t, b)
	return b
}

// done fails the test unless the page tells that something was done.
func done(t *testing.T, b *peers.Chrome, want string) {
	t.Helper()
	if !b.Has("#notice") {
		t.Errorf("want %q, at %s: %s", want, b.URL(), b.Text("main"))
	} else if got := b.Text("#notice"); !strings.Contains(got, want) {
		t.Errorf("notice %q, want %q", got, want)
	}
}

const moreServices = `  api:
    match: {path: /api/}
    login: [none]
    allow: [{path: /api/, roles: [anonymous]}]
    upstream: {url: "%s"}
`

// testConfiguration: the configuration is edited in the console, without script.
func testConfiguration(t *testing.T, o *office) {
	b := o.withoutScript(t)
	b.Open(o.at("/configuration"))
	if b.Has("[aria-pressed]") {
		t.Fatal("scripts run")
	}
	edit := func(text string) {
		t.Helper()
		b.Script(`document.querySelector("#text-0").value = arguments[0]`, nil, text)
	}
	// A problem has a line.
	line := 1 + strings.Count(o.config[:strings.Index(o.config, "services:")], "\n")
	edit(strings.Replace(o.config, "services:", "servises:", 1))
	b.Submit("button[value=check]")
	if got := b.Text("#check"); !strings.Contains(got, fmt.Sprintf("gw.yaml:%d", line)) || !strings.Contains(got, "servises") || b.Has("button[value=apply]") {
		t.Errorf("check: %s", got)
	}
	o.look(t, "configuration-problem")

	// A good change is in force, and undone.
	backend := regexp.MustCompile(`upstream: {url: "([^"]*)"`).FindStringSubmatch(o.config)[1]
	edit(o.config + fmt.Sprintf(moreServices, backend))
	if status, _ := o.call(t, "/api/x", "", ""); status != http.StatusNotFound {
		t.Errorf("before: %d", status)
	}
	b.Submit("button[value=check]")
	if got := b.Text("#check"); !strings.Contains(got, "This can be applied") || !strings.Contains(got, "match: {path: /api/}") {
		t.Errorf("check: %s", got)
	}
	o.look(t, "configuration-checked")
	b.Fill("#comment", "CHG-7: the API")
	b.Submit("button[value=apply]")
	done(t, b, "in force")
	eventually(t, func() error {
		if status, text := o.call(t, "/api/x", "", ""); status != http.StatusOK {
			return fmt.Errorf("the new service: %d %s", status, text)
		}
		return nil
	})
	if text, err := os.ReadFile(o.File); err != nil || !strings.Contains(string(text), "/api/") {
		t.Errorf("the file: %s, %v", text, err)
	}
	b.Open(o.at("/configuration/versions"))
	if got := b.Text("main"); !strings.Contains(got, "CHG-7: the API") || !strings.Contains(got, localAdmin) {
		t.Errorf("versions: %s", got)
	}
	o.look(t, "configuration-versions")
	// The last one written by hand is what was there before.
	b.Click("tbody tr:nth-child(2) th a")
	b.Wait("the version", func() bool { return b.Has("form[action='/console/configuration/roll-back']") })
	o.look(t, "configuration-version")
	b.Fill("#comment", "not yet")
	b.Submit("form[action='/console/configuration/roll-back'] button")
	done(t, b, "in force")
	eventually(t, func() error {
		if status, _ := o.call(t, "/api/x", "", ""); status != http.StatusNotFound {
			return fmt.Errorf("after rolling back: %d", status)
		}
		return nil
	})
	if text, err := os.ReadFile(o.File); err != nil || string(text) != o.config {
		t.Errorf("the file after rolling back: %s, %v", text, err)
	}

	// Somebody edits the file meanwhile.
	b.Open(o.at("/configuration"))
	edit(o.config + fmt.Sprintf(moreServices, backend))
	b.Submit("button[value=check]")
	o.put(t, strings.Replace(o.config, "# The gateway of an office.", "# The gateway of our office.", 1))
	b.Submit("button[value=apply]")
	if got := b.Text("main"); !b.Has("#problem") || !strings.Contains(got, "What you typed is below") {
		t.Errorf("a conflict: at %s: %s", b.URL(), got)
	}
	o.look(t, "configuration-conflict")
	if text, err := os.ReadFile(o.File); err != nil || strings.Contains(string(text), "/api/") {
		t.Errorf("the file after a conflict: %s, %v", text, err)
	}
	o.put(t, o.config)
}

// testForms goes through each form of the console with scripts switched off.
func testForms(t *testing.T, o *office) {
	o.signIn(o.borrow(t), "alice") // whose session is ended below
	b := o.withoutScript(t)
	user := func(name string) string { return o.at("/user?name=" + name) }

	b.Open(o.at("/users/add"))
	b.Fill("#name", "second")
	b.Click("input[name=local_admin]")
	b.Fill("#password", "another long password")
	b.Fill("#again", "another long passwort")
	b.Submit("main button.primary")
	if !b.Has("#problem") {
		t.Errorf("two passwords: at %s: %s", b.URL(), b.Text("main"))
	}
	o.look(t, "users-add-problem")
	b.Fill("#password", "another long password")
	b.Fill("#again", "another long password")
	b.Submit("main button.primary")
	done(t, b, "")
	b.Open(user("second"))
	if got := b.Text("h1"); !strings.Contains(got, "second") || !strings.Contains(got, "local administrator") {
		t.Errorf("user: %s", got)
	}
	b.Submit("main .actions a[href^='/console/user/edit']")
	b.Fill("#display_name", "Second Example")
	b.Fill("#email", "second@example.com")
	b.Click("input[name=role][value=gwviewers]")
	b.Submit("main button.primary")
	done(t, b, "")
	if got := b.Text("main"); !strings.Contains(got, "Second Example") || !strings.Contains(got, "gwviewers") {
		t.Errorf("edited: %s", got)
	}
	b.Open(o.at("/user/password?name=second"))
	b.Fill("#password", "a third long password")
	b.Fill("#again", "a third long password")
	b.Submit("main button.primary")
	done(t, b, "")
	for _, want := range []string{"disabled", "active"} {
		b.Submit("form[action='/console/user/state'] button")
		done(t, b, "")
		if got := b.Text("h1"); !strings.Contains(got, want) {
			t.Errorf("state: %s, want %s", got, want)
		}
	}
	b.Open(o.at("/user/delete?name=second"))
	b.Submit("main button.primary")
	done(t, b, "")
	b.Open(user("second"))
	if got := b.Text("h1"); got != "Not found" {
		t.Errorf("deleted: %s", got)
	}

	// Somebody is kept out, and let in again.
	if status, who := o.call(t, "/pay/x", `CORP\alice`, adtest.Password(t, adtest.Alice)); status != 200 || who != `CORP\alice` {
		t.Errorf("alice at the service: %d %s", status, who)
	}
	for range 3 {
		o.call(t, "/pay/x", `CORP\alice`, "wrong")
	}
	if status, _ := o.call(t, "/pay/x", `CORP\alice`, adtest.Password(t, adtest.Alice)); status == 200 {
		t.Error("alice is not kept out")
	}
	o.call(t, "/pay/x", `CORP\nobody`, "wrong")
	b.Open(o.at("/blocks"))
	if got := b.Text("main table"); !strings.Contains(got, `corp\alice`) {
		t.Errorf("blocks: %s", got)
	}
	o.look(t, "blocks")
	b.Fill("#who", `CORP\alice`)
	b.Submit("form.filters button")
	done(t, b, "lifted")
	eventually(t, func() error {
		if status, who := o.call(t, "/pay/x", `CORP\alice`, adtest.Password(t, adtest.Alice)); status != 200 || who != `CORP\alice` {
			return fmt.Errorf("alice after the block: %d %s", status, who)
		}
		return nil
	})

	// While there is a provider, nobody but local administrators gets a password.
	b.Open(o.at("/user/password?name=CORP%5Calice"))
	b.Fill("#password", "a long password for alice")
	b.Fill("#again", "a long password for alice")
	b.Submit("main button.primary")
	if !b.Has("#problem") {
		t.Errorf("a password for alice: at %s: %s", b.URL(), b.Text("main"))
	}
	o.look(t, "user-password-problem")

	// What is looked for.
	for _, tt := range []struct{ page, field, text, button, want string }{
		{"/users", "#search", "CORP\\al", "form[role=search] button", `CORP\alice`},
		{"/sessions", "#user", localAdmin, "form[role=search] button", "127.0.0.1"},
		{"/logins", "#user", `CORP\alice`, "form[role=search] button", "accepted"},
		{"/changes", "#target", "second", "form[role=search] button", "user.delete"},
		{"/explain", "#url", "/pay/boss", "main form button.primary", "gwviewers"},
	} {
		b.Open(o.at(tt.page))
		b.Fill(tt.field, tt.text)
		b.Submit(tt.button)
		if got := b.Text("main"); !strings.Contains(got, tt.want) {
			t.Errorf("%s for %s: %s", tt.page, tt.text, got)
		}
	}

	// Another administrator's session is ended.
	b.Open(o.at("/user?name=it%5Calice%40corp.test"))
	b.Submit("form[action='/console/sessions/end'] button:not(table button)")
	done(t, b, "ended")
	if got := b.Text("main"); !strings.Contains(got, "No session is open.") {
		t.Errorf("sessions: %s", got)
	}

	// Synchronising, and passwords of ours.
	b.Open(o.at("/realm?name=corp"))
	b.Submit("form[action='/console/realm/sync'] button")
	eventually(t, func() error {
		b.Open(o.at("/realm?name=corp"))
		if got := b.Text("#sync"); !strings.Contains(got, "Done") {
			return errors.New(got)
		}
		return nil
	})
	b.Open(o.at("/providers/passwords"))
	b.Submit("main button.primary")
	done(t, b, "")

	// The second factor is taken away, and set up again at the next sign-in.
	b.Open(o.at("/user/second-factor?name=" + localAdmin))
	o.look(t, "user-second-factor")
	b.Submit("main button.primary")
	b.Open(o.at("/login/local"))
	b.Fill("#user", localAdmin)
	b.Fill("#password", localPassword)
	b.Submit("main button")
	if !strings.HasSuffix(b.URL(), "/login/local/setup") {
		t.Fatalf("at %s: %s", b.URL(), b.Text("main"))
	}
	o.local.secret, o.local.last = strings.NewReplacer(" ", "", "-", "").Replace(b.Text("main dd code")), 0
	b.Fill("#code", o.code(t))
	b.Submit("main button.primary")
	o.local.recovery = strings.Fields(b.Text("main pre"))
	b.Submit("main a.primary")

	b.Submit("form[action='/console/logout'] button")
	if b.URL() != o.at("/login") {
		t.Errorf("signed out: at %s", b.URL())
	}
}
