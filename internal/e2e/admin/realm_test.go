package admin

import (
	"fmt"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/adtest"
)

// testRealms tries the tests of realms, with the domain controller and without. It
// comes last: nothing that needs the controller runs beside it.
func testRealms(t *testing.T, o *office) {
	b := o.borrow(t)
	o.signInLocally(t, b)
	try := func(realm, kind, user, password string, works bool, want string) {
		t.Helper()
		b.Open(o.at("/realm?name=" + realm))
		if user != "" {
			b.Fill("#user-"+kind, user)
			b.Fill("#password-"+kind, password)
			b.Submit(fmt.Sprintf("form:has(#user-%s) button", kind))
		} else {
			b.Submit("form[action^='/console/realm/test'] button")
		}
		got := b.Text("main")
		text := map[bool]string{true: "It works.", false: "It does not work."}[works]
		if !strings.Contains(got, text) || !strings.Contains(got, want) {
			t.Errorf("%s of %s as %s: want %q and %q, at %s: %s", kind, realm, user, text, want, b.URL(), got)
		}
		if len(password) > 5 && strings.Contains(b.Text("body"), password) {
			t.Error("the page shows the password")
		}
	}
	right := adtest.Password(t, adtest.Bob)
	try("corp", "bind", `CORP\bob`, right, true, "groups")
	o.look(t, "realm-bind")
	try("corp", "bind", `CORP\bob`, "wrong", false, "password")
	o.look(t, "realm-bind-wrong")
	try("corp", "netlogon", `CORP\bob`, right, true, "bob")
	o.look(t, "realm-netlogon")
	try("corp", "netlogon", `CORP\bob`, "wrong", false, "password")
	try("corp", "ticket", `bob@CORP.TEST`, right, true, "ticket")
	o.look(t, "realm-ticket")
	try("corp", "ticket", `bob@CORP.TEST`, "wrong", false, "password")
	try("it", "provider", "", "", true, "keys")
	o.look(t, "realm-provider")

	o.dc.Kill(t)
	defer o.dc.Restart(t)
	for _, kind := range []string{"bind", "netlogon", "ticket"} {
		try("corp", kind, `CORP\bob`, right, false, o.dc.IP)
		if kind == "bind" && !strings.Contains(b.Text("#result"), "look whether the server runs") {
			t.Errorf("no remedy: %s", b.Text("#result"))
		}
		o.look(t, "realm-"+kind+"-stopped")
	}
	b.Open(o.at("/"))
	b.Wait("the overview to tell", func() bool {
		b.Open(o.at("/"))
		return strings.Contains(b.Text("#health"), "down")
	})
	o.look(t, "overview-down")
	o.signInLocally(t, o.borrow(t)) // what the directory has to do with it: nothing
}
