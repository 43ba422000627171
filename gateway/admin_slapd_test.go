package gateway

import (
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/internal/slapdtest"
)

const peopleLDIF = `dn: ou=people,dc=corp,dc=test
objectClass: organizationalUnit
ou: people

dn: uid=lena,ou=people,dc=corp,dc=test
objectClass: inetOrgPerson
uid: lena
cn: <b>Lena
sn: Lind
mail: lena@corp.test
userPassword: MARKED-right

`

const payrollLDIF = `dn: cn=Payroll,ou=people,dc=corp,dc=test
objectClass: groupOfNames
cn: Payroll
member: uid=lena,ou=people,dc=corp,dc=test
`

// The console tries a user at a real server of LDAP, and tells which step failed.
// What the directory has is text on the page, and passwords are nowhere.
func TestConsoleTriesLDAP(t *testing.T) {
	t.Parallel()
	dir := slapdtest.Start(t, slapdtest.Config{LDIF: peopleLDIF})
	dir.Add(t, payrollLDIF)
	g := govern(t)
	for name, text := range map[string]string{
		"reader.secret": slapdtest.AdminPassword + "\n",
		"services/people.yaml": strings.NewReplacer("%URL%", dir.URL, "%CA%", dir.CAFile(), "%DIR%", g.dir).Replace(`
realms:
  people: {ldap: {url: "%URL%/dc=corp,dc=test", filter: "(uid={user})", bind_user: "cn=admin,dc=corp,dc=test", bind_password: {file: "%DIR%/reader.secret"}, ca_file: "%CA%", timeout: 20s}}
  wrong:  {ldap: {url: "%URL%/dc=corp,dc=test", filter: "(uid={user})", bind_user: "cn=nobody,dc=corp,dc=test", bind_password: {file: "%DIR%/reader.secret"}, ca_file: "%CA%", timeout: 20s}}
`),
	} {
		if err := os.WriteFile(filepath.Join(g.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	b := g.browse()
	_, page := b.get("/console/realm?name=people")
	if !strings.Contains(page, `name="kind" value="bind"`) {
		t.Fatalf("no form for a test in\n%s", page)
	}
	result := regexp.MustCompile(`(?s)<section class="card" id="result">.*?</section>`)
	tags := regexp.MustCompile(`<[^>]*>`)
	try := func(realm, user, password string) string {
		t.Helper()
		res, page := b.post("/console/realm/test", page, "name", realm, "kind", "bind", "user", user, "password", password)
		if res.StatusCode != 200 || strings.Contains(page, "MARKED") {
			t.Errorf("%s: %s, a password in it: %v", user, res.Status, strings.Contains(page, "MARKED"))
		}
		text := result.FindString(page)
		return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(text, " "))), " ")
	}
	for _, tt := range []struct {
		name, realm, user, password string
		want                        []string
	}{
		{"right", "people", "lena", "MARKED-right", []string{"It works.", "servers", "they answer", dir.URL, "it is right", "display name <b>Lena", "it is there and may log in", "uid=lena,ou=people,dc=corp,dc=test", "lena@corp.test", "groups 1", "Payroll"}},
		{"a wrong password", "people", "lena", "MARKED-wrong", []string{"It does not work.", "they answer", "wrong-password", "it is there and may log in"}},
		{"nobody", "people", "nils", "MARKED-wrong", []string{"It does not work.", "they answer", "unknown-user", "look at how the name is written"}},
		{"a filter in the name", "people", "*", "MARKED-right", []string{"It does not work.", "unknown-user"}},
		{"no rights for us", "wrong", "lena", "MARKED-right", []string{"It does not work.", "servers", "look at realms.wrong.ldap: url, base, bind_user"}},
	} {
		got := try(tt.realm, tt.user, tt.password)
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in %s", tt.name, want, got)
			}
		}
	}
	dir.Kill(t)
	if got := try("people", "lena", "MARKED-right"); !strings.Contains(got, "It does not work.") || !strings.Contains(got, "connection refused") {
		t.Errorf("a server that is gone: %s", got)
	}
	changes, err := g.service.Changes(g.as(admin.Viewer), admin.ChangeQuery{Action: "realm.test"})
	if err != nil || len(changes.Changes) != 6 {
		t.Errorf("%d changes, %v", len(changes.Changes), err)
	}
	if strings.Contains(g.log.String(), "MARKED") || strings.Contains(g.log.String(), slapdtest.AdminPassword) {
		t.Errorf("a password in the log:\n%s", g.log)
	}
}
