package login_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm/winbind"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/gateway/login"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/slapdtest"
	"github.com/soapward/soapward/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(adtest.Main(m)) }

// adRealm is a whole realm of the domain, and services for each way to log in.
const adRealm = `
listen: [{addr: ":443"}]
realms:
  corp:
    kerberos: {realm: CORP.TEST, kdc: ["%IP%"], keytab: "%KEYTAB%", spn: [HTTP/web.corp.test]}
    ntlm: {verifier: netlogon, computer: GW05$, secret: {file: computer.secret}}
    ad: {url: "ldaps://%IP%", domain: corp.test, default_domain: CORP, ca_file: "%CA%", bind_user: jill@corp.test, bind_password: {file: reader.secret}, timeout: 20s}
services:
  windows: {match: {path: /w}, upstream: {url: "http://127.0.0.1"}, login: [corp/negotiate, corp/ntlm]}
  basic:   {match: {path: /b}, upstream: {url: "http://127.0.0.1"}, login: [corp/basic]}
  form:    {match: {path: /f}, upstream: {url: "http://127.0.0.1"}, login: [corp/form]}
`

func (w *world) secret(name, value string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(value+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func adText(dc *adtest.DC, text string) string {
	return strings.NewReplacer("%IP%", dc.IP, "%KEYTAB%", dc.Keytab(adtest.Web), "%CA%", dc.CAFile).Replace(text)
}

// A realm of Active Directory, asked for real: each way to log in gives the same
// user, with the groups of the domain.
func TestActiveDirectory(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	w := newWorld(t)
	w.secret("computer.secret", adtest.Password(t, adtest.GW05))
	w.secret("reader.secret", adtest.Password(t, adtest.Jill))
	c := w.config(adText(dc, adRealm))
	s := w.set(c, nil)

	alice := authn.NewSecret(adtest.Password(t, adtest.Alice))
	krb, err := kerberos.NewPasswordClient(kerberos.Config{DefaultRealm: adtest.Realm, Realms: map[string]kerberos.Realm{adtest.Realm: {KDCs: []string{dc.IP}}}}, adtest.Alice, alice)
	if err != nil {
		t.Fatal(err)
	}
	payroll := authn.SID(dc.SID(t, adtest.Payroll))
	who := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := authn.FromContext(r.Context())
		in := false
		for _, g := range id.Groups {
			in = in || g.SID == payroll
		}
		_, _ = fmt.Fprintf(w, "%s by %s, payroll %v, %s", id, id.Mechanism, in, id.SID)
	})
	handler := func(service string) http.Handler {
		h, err := s.Handler(spec(c, service), who)
		if err != nil {
			t.Fatal(err)
		}
		return route(s, h)
	}
	want := func(mechanism string) string {
		return fmt.Sprintf(`200 CORP\alice by %s, payroll true, %s`, mechanism, dc.SID(t, adtest.Alice))
	}
	windows := w.listen(handler("windows"), true)
	for name, as := range map[string]authclient.Credential{
		"Kerberos": &authclient.Kerberos{Client: krb},
		"NTLM":     &authclient.NTLM{User: `CORP\alice`, Password: alice},
	} {
		client := w.client(windows, as)
		client.Transport.(*authclient.Transport).SPN = func(authclient.Target) string { return adtest.WebSPN }
		for range 2 {
			if got := get(t, client, windows.URL); got != want(name) {
				t.Errorf("%s: %s, want %s", name, got, want(name))
			}
		}
	}
	basic := w.listen(handler("basic"), true)
	for _, user := range []string{"alice", `CORP\alice`, "alice@corp.test"} {
		client := w.client(basic, &authclient.Basic{User: user, Password: alice})
		if got := get(t, client, basic.URL); got != want("Basic") {
			t.Errorf("Basic as %s: %s, want %s", user, got, want("Basic"))
		}
	}
	formed := w.listen(handler("form"), true)
	b := browser(t, formed.Client())
	token, _ := page(t, b, formed.URL+"/.soapward/login/corp")
	if resp := post(t, b, formed.URL+"/.soapward/login/corp", token, "alice", alice.Reveal(), "/"); resp.StatusCode != 303 {
		t.Fatalf("form: %d", resp.StatusCode)
	}
	if got := get(t, b, formed.URL); got != want("form") {
		t.Errorf("form: %s, want %s", got, want("form"))
	}
	u, err := w.store.User(t.Context(), `CORP\alice`)
	if err != nil || u.Realm != "corp" || u.DisplayName == "" {
		t.Errorf("the user in the store is %+v, %v", u, err)
	}

	t.Run("resolver", func(t *testing.T) {
		sid, err := s.Resolver().ResolveSID(t.Context(), `CORP\Payroll`)
		if err != nil || sid != payroll {
			t.Errorf("Payroll is %s, %v; want %s", sid, err, payroll)
		}
	})
	t.Run("checks", func(t *testing.T) {
		names := make(map[string]error)
		for _, k := range s.Checks() {
			names[k.Name] = k.Run(t.Context())
			if k.Remedy == "" {
				t.Errorf("%s has no remedy", k.Name)
			}
		}
		for _, name := range []string{"store", "realm corp: keytab " + dc.Keytab(adtest.Web), "realm corp: kdc " + dc.IP, "realm corp: netlogon", "realm corp: directory"} {
			if err, ok := names[name]; !ok || err != nil {
				t.Errorf("%s: there %v, %v", name, ok, err)
			}
		}
	})
	t.Run("wrong", func(t *testing.T) {
		for name, as := range map[string]authclient.Credential{
			"NTLM":  &authclient.NTLM{User: `CORP\alice`, Password: authn.NewSecret(marked + "x")},
			"Basic": &authclient.Basic{User: `CORP\bob`, Password: authn.NewSecret(marked + "x")},
		} {
			srv := map[string]string{"NTLM": windows.URL, "Basic": basic.URL}[name]
			if got := get(t, w.client(windows, as), srv); strings.HasPrefix(got, "200") {
				t.Errorf("%s: %s", name, got)
			}
		}
		for _, secret := range []string{marked, alice.Reveal(), adtest.Password(t, adtest.GW05), adtest.Password(t, adtest.Jill)} {
			if strings.Contains(w.log.String(), secret) {
				t.Error("a password is in the log")
			}
		}
	})
	t.Run("daily job", func(t *testing.T) {
		if err := w.store.CreateUser(t.Context(), &directory.User{Realm: "corp", Name: `CORP\dave`}); err != nil {
			t.Fatal(err)
		}
		real := time.Now()
		night := time.Date(real.Year(), real.Month(), real.Day()+1, 2, 59, 59, 0, time.Local).Sub(real) // a second before it is due
		s, err := login.New(c, w.options().WithNow(func() time.Time { return time.Now().Add(night) }), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close(nil) }()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.Run(ctx) }()
		defer func() { cancel(); <-done }()
		wait, stop := context.WithTimeout(t.Context(), 30*time.Second)
		defer stop()
		if err := testenv.Poll(wait, func() error {
			u, err := w.store.User(t.Context(), `CORP\dave`)
			if err == nil && u.State != directory.DisabledByDirectory {
				err = fmt.Errorf("dave is %s", u.State)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	})
}

// The verifier of a joined host: its names are asked for when the first client
// comes.
func TestWinbind(t *testing.T) {
	t.Parallel()
	adtest.Start(t)
	m := adtest.StartMember(t)
	w := newWorld(t)
	c := w.config(`
listen: [{addr: ":443"}]
realms: {corp: {ntlm: {verifier: winbind}}}
services: {x: {match: {path: /}, upstream: {url: "http://127.0.0.1"}, login: [corp/ntlm]}}
`)
	s, err := login.New(c, w.options().WithWinbind(func() *winbind.Verifier {
		return &winbind.Verifier{Command: m.Command("ntlm_auth"), Env: append(os.Environ(), m.Env()...)}
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(nil) })
	srv := w.serve(c, s, "x")
	as := &authclient.NTLM{User: `CORP\bob`, Password: authn.NewSecret(adtest.Password(t, adtest.Bob))}
	if got := get(t, w.client(srv, as), srv.URL); got != `200 CORP\bob by NTLM` {
		t.Errorf("%s\n%s", got, w.log)
	}
	// Without a winbindd nobody can say, which is no refusal.
	if s, err = login.New(c, w.options().WithWinbind(func() *winbind.Verifier {
		return &winbind.Verifier{Command: []string{filepath.Join(w.dir, "none")}, Lookup: []string{filepath.Join(w.dir, "none")}}
	}), nil); err != nil {
		t.Fatal(err)
	}
	srv = w.serve(c, s, "x")
	if status, _ := leg(t, oneConnection(t, srv.Client()), srv.URL, step(t, initiatorAs("bob"), nil)); status != 503 {
		t.Errorf("without winbindd: %d, want 503", status)
	}
}

// A server of LDAP: login, an outage, and its end.
func TestLDAP(t *testing.T) {
	t.Parallel()
	dir := slapdtest.Start(t, slapdtest.Config{LDIF: `dn: ou=people,dc=corp,dc=test
objectClass: organizationalUnit
ou: people

dn: uid=lena,ou=people,dc=corp,dc=test
objectClass: inetOrgPerson
uid: lena
cn: Lena
sn: Lind
mail: lena@corp.test
userPassword: ` + marked + `lena

`})
	w := newWorld(t)
	w.secret("admin.secret", slapdtest.AdminPassword)
	c := w.config(strings.NewReplacer("%URL%", dir.URL, "%CA%", dir.CAFile()).Replace(`
listen: [{addr: ":443"}]
realms: {people: {ldap: {url: "%URL%/dc=corp,dc=test", filter: "(uid={user})", bind_user: "cn=admin,dc=corp,dc=test", bind_password: {file: admin.secret}, ca_file: "%CA%", timeout: 2s}}}
services: {x: {match: {path: /}, upstream: {url: "http://127.0.0.1"}, login: [people/basic]}}
`))
	s := w.set(c, nil)
	srv := w.serve(c, s, "x")
	client := w.client(srv, basicAs("lena"))
	if got := get(t, client, srv.URL); got != "200 lena by Basic" {
		t.Fatal(got)
	}
	if u, err := w.store.User(t.Context(), "lena"); err != nil || u.Realm != "people" || u.Email != "lena@corp.test" {
		t.Errorf("the user in the store is %+v, %v", u, err)
	}
	check := func() error {
		for _, k := range s.Checks() {
			if k.Name == "realm people: directory" {
				return k.Run(t.Context())
			}
		}
		return fmt.Errorf("there is no such check")
	}
	if err := check(); err != nil {
		t.Error(err)
	}
	dir.Kill(t)
	if got := get(t, client, srv.URL); !strings.HasPrefix(got, "503") {
		t.Errorf("without a server: %s, want 503", got)
	}
	if check() == nil {
		t.Error("the check says nothing")
	}
	dir.Restart(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := testenv.Poll(ctx, func() error {
		if got := get(t, client, srv.URL); got != "200 lena by Basic" {
			return fmt.Errorf("after the outage: %s", got)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
