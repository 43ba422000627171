package gateway

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/internal/adtest"
)

// Users of the store log in by Basic, and the administrator sees that all is
// well.
func TestInternalUsers(t *testing.T) {
	t.Parallel()
	port, admin := freePort(t), freePort(t)
	text := fmt.Sprintf(`
listen: [{addr: "127.0.0.1:%d"}]
admin: {addr: "127.0.0.1:%d"}
store: {driver: sqlite, dsn: users.db}
passwords: {memory_kib: 8192, passes: 1}
sessions: {allow_insecure_http: true}
realms: {staff: {internal: {}}}
services:
  hr: {match: {path: /hr/}, login: [staff/basic], upstream: {url: %q, identity: {header: X-Remote-User}}}
`, port, admin, startBackend(t))
	s := startGateway(t, text, nil)
	const good = "violet tractor lagoon"
	users, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: s.dir + "/users.db"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = users.Close() }()
	hash, err := (&password.Hasher{Params: password.Params{Memory: 8192, Time: 1}}).Hash(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	if err := users.CreateUser(t.Context(), &directory.User{Name: "carol", Realm: "staff", Password: hash}); err != nil {
		t.Fatal(err)
	}
	base := fmt.Sprintf("http://127.0.0.1:%d", port)
	for _, tt := range []struct{ name, user, path, status, told string }{
		{"nobody", "", "/hr/a", "401", ""},
		{"carol", "carol:" + good, "/hr/a", "200", "carol"},
		{"a wrong password", "carol:" + good + "x", "/hr/a", "401", ""},
		{"an unknown user", "eve:" + good, "/hr/a", "401", ""},
		{"no service", "carol:" + good, "/other", "404", ""},
	} {
		status, seen := curl(t, nil, tt.user, "-H", "X-Remote-User: admin", "-d", "x", base+tt.path)
		if status != tt.status || seen.User != tt.told || seen.Authorization != "" {
			t.Errorf("%s: status %s, want %s; the backend was told %+v", tt.name, status, tt.status, seen)
		}
	}
	eventually(t, func() error {
		if status, body := get(t, fmt.Sprintf("http://127.0.0.1:%d/readyz", admin)); status != 200 || !strings.Contains(body, `"store"`) {
			return fmt.Errorf("/readyz: %d\n%s", status, body)
		}
		return nil
	})
	if _, body := get(t, fmt.Sprintf("http://127.0.0.1:%d/metrics", admin)); !strings.Contains(body, "soapward_logins_total{") {
		t.Errorf("/metrics:\n%.2000s", body)
	}
	eventually(t, func() error { // the record is written behind the logins
		logins, err := users.Logins(t.Context(), directory.LoginQuery{})
		if err == nil && len(logins) < 3 {
			err = fmt.Errorf("%d logins are recorded", len(logins))
		}
		return err
	})

	// A service is added, and a configuration that is wrong changes nothing.
	s.write("gw.yaml", text+fmt.Sprintf("  open: {match: {path: /open/}, login: [none], upstream: {url: %q}}\n", startBackend(t)))
	eventually(t, func() error {
		if status, _ := curl(t, nil, "", base+"/open/"); status != "200" {
			return fmt.Errorf("the new service answers %s", status)
		}
		return nil
	})
	s.write("gw.yaml", text+"  wrong: {}\n")
	if err := s.Reload(); err == nil {
		t.Error("a wrong configuration was taken")
	}
	if status, _ := curl(t, nil, "", base+"/open/"); status != "200" {
		t.Errorf("after a wrong configuration: %s", status)
	}
	if strings.Contains(s.log.String(), good) {
		t.Error("the password is in the log")
	}
}

// Users of Active Directory log in by Kerberos, NTLM and Basic, and their groups
// decide.
func TestDomainUsers(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	port := freePort(t)
	key, err := os.ReadFile(dc.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	s := startGateway(t, fmt.Sprintf(`
listen: [{addr: "127.0.0.1:%d", tls: {cert: %q, key: gw.key}}]
store: {driver: sqlite, dsn: users.db}
passwords: {memory_kib: 8192, passes: 1}
realms:
  corp:
    kerberos: {realm: CORP.TEST, kdc: [%q], keytab: %q}
    ntlm: {verifier: netlogon, computer: GW01$, secret: {file: gw01.secret}}
    ad: {url: "ldaps://%s", domain: corp.test, default_domain: CORP, ca_file: %q, bind_user: jill@corp.test, bind_password: {file: jill.secret}, timeout: 20s}
roles:
  payroll: {groups: ['CORP\Payroll']}
services:
  hr:
    match: {host: web.corp.test, path: /}
    login: [corp/negotiate, corp/ntlm, corp/basic]
    allow: [{path: /pay, roles: [payroll]}, {path: /, roles: [any]}]
    upstream: {url: %q, identity: {header: X-Remote-User, headers: {groups: X-Remote-Groups}}}
`, port, dc.CAFile, dc.IP, dc.Keytab(adtest.Web), dc.IP, dc.CAFile, startBackend(t)), map[string]string{
		"gw.key": string(key), "gw01.secret": adtest.Password(t, adtest.GW01), "jill.secret": adtest.Password(t, adtest.Jill),
	})
	base := fmt.Sprintf("https://web.corp.test:%d", port)
	to := func(args ...string) []string {
		return append(args, "--cacert", dc.CAFile, "--resolve", fmt.Sprintf("web.corp.test:%d:127.0.0.1", port), "-d", "<a/>")
	}
	for _, user := range []string{adtest.Alice, adtest.Bob} {
		pay := map[string]string{adtest.Alice: "200", adtest.Bob: "403"}[user]
		password := adtest.Password(t, user)
		for _, tt := range []struct {
			name  string
			env   []string
			user  string
			flags string
		}{
			{"Kerberos", append(dc.Env(), "KRB5CCNAME="+dc.Kinit(t, user)), ":", "--negotiate"},
			{"NTLM", nil, `CORP\` + user + ":" + password, "--ntlm"},
			{"Basic", nil, user + ":" + password, "--basic"},
		} {
			t.Run(user+", "+tt.name, func(t *testing.T) {
				t.Parallel()
				status, seen := curl(t, tt.env, tt.user, to(tt.flags, base+"/")...)
				if status != "200" || seen.User != `CORP\`+user || seen.Bytes != 4 ||
					!strings.Contains(seen.Groups, `CORP\Staff`) && !strings.Contains(seen.Groups, dc.SID(t, adtest.Staff)) { // a ticket has no names
					t.Errorf("status %s, the backend was told %+v", status, seen)
				}
				if status, _ := curl(t, tt.env, tt.user, to(tt.flags, base+"/pay")...); status != pay {
					t.Errorf("/pay: %s, want %s", status, pay)
				}
			})
		}
	}
	t.Run("a wrong password", func(t *testing.T) {
		t.Parallel()
		for _, flag := range []string{"--ntlm", "--basic"} {
			if status, _ := curl(t, nil, `CORP\dave:wrong`, to(flag, base+"/")...); status != "401" {
				t.Errorf("%s: %s", flag, status)
			}
		}
	})
	t.Cleanup(func() {
		for _, secret := range []string{adtest.Password(t, adtest.GW01), adtest.Password(t, adtest.Alice), adtest.Password(t, adtest.Jill)} {
			if strings.Contains(s.log.String(), secret) {
				t.Errorf("a password is in the log: %s", secret)
			}
		}
	})
}
