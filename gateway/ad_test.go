package gateway

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/internal/adtest"
)

func TestMain(m *testing.M) { os.Exit(adtest.Main(m)) }

// Each part of a realm of Active Directory can be tried, and what is wrong is told
// with what to do.
func TestRealmOfActiveDirectory(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	g := govern(t)
	for name, secret := range map[string]string{"computer.secret": adtest.Password(t, adtest.GW05), "reader.secret": adtest.Password(t, adtest.Jill)} {
		if err := os.WriteFile(filepath.Join(g.dir, name), []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	corp := admin.ConfigFile{Path: filepath.Join(g.dir, "services", "corp.yaml"), Text: fmt.Sprintf(`realms:
  corp:
    kerberos: {realm: CORP.TEST, kdc: [%q], keytab: %q, spn: [HTTP/web.corp.test]}
    ntlm: {verifier: netlogon, computer: GW05$, secret: {file: ../computer.secret}}
    ad: {url: "ldaps://%s", domain: corp.test, default_domain: CORP, ca_file: %q, bind_user: jill@corp.test, bind_password: {file: ../reader.secret}, timeout: 15s}
`, dc.IP, dc.Keytab(adtest.Web), dc.IP, dc.CAFile)}
	if _, err := g.service.ApplyFiles(g.as(admin.Administrator), g.files("", corp), ""); err != nil {
		t.Fatal(err)
	}
	sid := dc.SID(t, adtest.Alice)
	for i, tt := range []struct {
		name     string
		kind     admin.TestKind
		user     string
		password string
		ok       bool
		want     []string // in what is told
	}{
		{"bind", admin.TestBind, `CORP\alice`, "", true, []string{"servers: they answer", "server ldaps://" + dc.IP, "password: it is right", "SID " + sid, "group CORP\\Payroll", "DN CN=", "account: it is there"}},
		{"bind, UPN", admin.TestBind, "alice@corp.test", "", true, []string{"user CORP\\alice"}},
		{"bind, wrong password", admin.TestBind, `CORP\bob`, "MARKED-SECRET", false, []string{"password: ", "wrong-password", "remedy type the password again"}},
		{"bind, disabled", admin.TestBind, `CORP\dave`, "", false, []string{"account-disabled", "is disabled in the directory", "remedy enable the account"}},
		{"netlogon", admin.TestNetlogon, `CORP\alice`, "", true, []string{"channel: the controller takes this gateway", "domain CORP", "password: it is right", "SID " + sid}},
		{"netlogon, wrong password", admin.TestNetlogon, `CORP\bob`, "MARKED-SECRET", false, []string{"wrong-password"}},
		{"ticket", admin.TestTicket, `CORP\alice`, "", true, []string{"keytab: its keys", "login at the KDC: the password is right", "ticket for HTTP/web.corp.test: the KDC issues it", "SID " + sid}},
		{"ticket, wrong password", admin.TestTicket, "bob", "MARKED-SECRET", false, []string{"login at the KDC: "}},
	} {
		account := tt.user[strings.Index(tt.user, `\`)+1:]
		if tt.password == "" {
			name, _, _ := strings.Cut(account, "@")
			tt.password = adtest.Password(t, name)
		}
		ctx := admin.NewContext(t.Context(), &admin.Caller{Name: fmt.Sprint("tester", i), Role: admin.Operator, Peer: fmt.Sprint("192.0.2.", i+1)})
		begin := time.Now()
		res, err := g.service.Test(ctx, admin.Test{Realm: "corp", Kind: tt.kind, User: tt.user, Password: authn.NewSecret(tt.password)})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var told strings.Builder
		for _, s := range res.Steps {
			fmt.Fprintf(&told, "%s: %s; remedy %s\n", s.Name, s.Text, s.Remedy)
			for _, d := range s.Details {
				fmt.Fprintf(&told, "  %s %s\n", d.Name, d.Value)
			}
		}
		for _, want := range tt.want {
			if !strings.Contains(told.String(), want) {
				t.Errorf("%s: no %q in\n%s", tt.name, want, told.String())
			}
		}
		if res.OK != tt.ok || time.Since(begin) > 30*time.Second || strings.Contains(told.String(), tt.password) {
			t.Errorf("%s: ok %v after %v\n%s", tt.name, res.OK, time.Since(begin), told.String())
		}
	}
	if strings.Contains(g.log.String(), "MARKED") {
		t.Error("a password is in the log")
	}

	st := g.parts.(*composer).admin.store()
	for _, name := range []string{`CORP\alice`, `CORP\dave`} {
		if err := st.CreateUser(t.Context(), &directory.User{Name: name, Realm: "corp"}); err != nil {
			t.Fatal(err)
		}
	}
	dry, err := g.service.Synchronise(g.as(admin.Operator), "corp", admin.SyncOptions{DryRun: true}, nil)
	if err != nil || !dry.DryRun || dry.Seen != 2 || dry.Refreshed != 1 || dry.Deactivated != 1 {
		t.Errorf("dry run: %+v, %v", dry, err)
	}
	if u, err := st.User(t.Context(), `CORP\dave`); err != nil || u.State != directory.Active {
		t.Errorf("after a dry run: %+v, %v", u, err)
	}
	var last admin.SyncProgress
	sum, err := g.service.Synchronise(g.as(admin.Operator), "corp", admin.SyncOptions{}, func(p admin.SyncProgress) { last = p })
	if err != nil || sum.Seen != 2 || sum.Refreshed != 1 || sum.Deactivated != 1 || last.Done != 2 {
		t.Errorf("%+v, %v, %+v", sum, err, last)
	}
	realms, err := g.service.Realms(g.as(admin.Viewer))
	if err != nil || realms[0].Name != "corp" || realms[0].Sync == nil || realms[0].Sync.Last.IsZero() || realms[0].Sync.Next.Before(time.Now()) || len(realms[0].Tests) != 3 {
		t.Errorf("%+v, %v", realms, err)
	}
	if c, err := g.service.Changes(g.as(admin.Viewer), admin.ChangeQuery{Action: "realm.sync"}); err != nil || len(c.Changes) != 1 || !strings.Contains(string(c.Changes[0].After), `"deactivated":1`) {
		t.Errorf("%+v, %v", c, err)
	}
	_, err = g.service.Synchronise(g.as(admin.Operator), "staff", admin.SyncOptions{}, nil)
	wantKind(t, "no ad", err, admin.Refused, "has no ad")
	// Another node runs it.
	if err := st.SetNote(t.Context(), "sync/corp/lease", fmt.Sprintf(`{"owner":"other process 1","id":7,"until":%q}`, time.Now().Add(time.Minute).Format(time.RFC3339))); err != nil {
		t.Fatal(err)
	}
	_, err = g.service.Synchronise(g.as(admin.Operator), "corp", admin.SyncOptions{}, nil)
	wantKind(t, "runs elsewhere", err, admin.Conflict, "runs already")
	// A dry run does not wait for it.
	for i := range 60 {
		if err := st.CreateUser(t.Context(), &directory.User{Name: fmt.Sprintf(`CORP\gone%d`, i), Realm: "corp"}); err != nil {
			t.Fatal(err)
		}
	}
	dry, err = g.service.Synchronise(g.as(admin.Operator), "corp", admin.SyncOptions{DryRun: true}, nil)
	wantKind(t, "many would be gone", err, admin.Refused, "would not be disabled")
	if dry == nil || dry.Gone != 60 || !dry.Held {
		t.Errorf("%+v, want 60 who are gone", dry)
	}
}
