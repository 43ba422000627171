package gateway

import (
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/admin"
)

// A viewer cannot have files opened by naming them.
func TestAttackCheckOpensFiles(t *testing.T) {
	t.Parallel()
	g := govern(t)
	set := g.files("tracing: {otlp: \"http://127.0.0.1:1\"}\n")
	set.Files[0].Text = strings.Replace(set.Files[0].Text, "realms: {", `realms: {b: {kerberos: {realm: X, keytab: /etc/shadow}, ldap: {url: "ldaps://x/dc=x", bind_user: u, bind_password: {file: /etc/shadow}}}, `, 1)
	check, err := g.service.CheckFiles(g.as(admin.Viewer), set)
	if err != nil || !check.OK {
		t.Errorf("as a viewer: %+v, %v", check, err)
	}
	check, err = g.service.CheckFiles(g.as(admin.Administrator), set)
	if err != nil || check.OK || !strings.Contains(check.Problems[0].Text, "/etc/shadow") || check.Problems[0].Line == 0 {
		t.Errorf("as an administrator: %+v, %v", check, err)
	}
}

// 37g. A viewer has a difference made of a million lines, each many times as long as
// what was sent.
func TestAttackCheckFloods(t *testing.T) {
	t.Parallel()
	g := govern(t)
	set := g.files("")
	set.Files[0].Text += strings.Repeat("\n", 900_000)
	_, err := g.service.CheckFiles(g.as(admin.Viewer), set)
	var e *admin.Error
	if !errors.As(err, &e) || e.Kind != admin.Invalid || !strings.Contains(e.Text, "too many lines") {
		t.Errorf("%v", err)
	}
}

// What is looked at leaves nothing behind, and changes nothing.
func TestBuildLeavesNothing(t *testing.T) {
	g := govern(t)
	ctx := g.as(admin.Administrator)
	round := func(n int) {
		t.Helper()
		set := g.files(fmt.Sprintf(`upstreams: {u: {listen: "127.0.0.1:%d", url: "http://127.0.0.1:1", act_as: [fixed], fixed: {user: u, password: {env: HOME}}}}
`, 40000+n))
		set.Files[0].Text = strings.Replace(set.Files[0].Text, "dsn: s.db", fmt.Sprintf("dsn: other%d.db", n), 1)
		set.Files[0].Text = strings.Replace(set.Files[0].Text, "realms: {", fmt.Sprintf(`realms: {people: {ldap: {url: "ldaps://127.0.0.1:1/dc=x", timeout: %ds}}, `, n+1), 1)
		check, err := g.service.CheckFiles(ctx, set)
		if err != nil || !check.OK || !slices.ContainsFunc(check.Warnings, func(w string) bool { return strings.Contains(w, "the store is another one") }) {
			t.Fatalf("%+v, %v", check, err)
		}
	}
	for n := range 3 {
		round(n)
	}
	before := g.current.Load()
	files, goroutines := count(t)
	for n := range 30 {
		round(n)
	}
	eventually(t, "goroutines or files are left", func() bool {
		f, n := count(t)
		return f <= files+1 && n <= goroutines+2
	})
	if g.current.Load() != before {
		t.Error("another generation is in force")
	}
	if found, _ := filepath.Glob(filepath.Join(g.dir, "other*")); len(found) > 0 {
		t.Errorf("a store was made: %v", found)
	}
	if status, _, _ := g.do("GET", "http://"+g.addr+"/hr/", "", "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("alice:"+rootPassword))); status == 0 {
		t.Error("the gateway does not answer")
	}
}
