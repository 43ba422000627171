package users

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/ntlm/netlogon"
	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/authz/integrated"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/ldap"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/pgtest"
	"github.com/soapward/soapward/internal/slapdtest"
)

// openAD returns the directory of a domain controller.
func openAD(t *testing.T, dc *adtest.DC) *ldap.Directory {
	t.Helper()
	d := ldap.NewDirectory(ldap.DirectoryConfig{
		URLs: []string{"ldaps://" + dc.IP}, Domain: "corp.test", DefaultDomain: adtest.NetBIOS, Roots: dc.Roots(t),
		BindUser: adtest.Jill + "@corp.test", BindPassword: authn.NewSecret(adtest.Password(t, adtest.Jill)), Timeout: 20 * time.Second,
	})
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// setMail changes what the domain says of a user.
func setMail(t *testing.T, dc *adtest.DC, user, mail, mobile string) {
	t.Helper()
	c, err := ldap.Dial(t.Context(), ldap.Config{URL: "ldaps://" + dc.IP, Roots: dc.Roots(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Bind(t.Context(), "Administrator@corp.test", authn.NewSecret(adtest.AdminPassword)); err != nil {
		t.Fatal(err)
	}
	found, err := c.Search(t.Context(), ldap.Search{Base: "DC=corp,DC=test", Filter: ldap.Equal("sAMAccountName", user)})
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v, %v", user, found, err)
	}
	if err := c.Modify(t.Context(), found[0].DN, ldap.Replace("mail", mail), ldap.Replace("mobile", mobile)); err != nil {
		t.Fatal(err)
	}
}

// A journey is one way to log in, at a node of its own.
type journey struct {
	name, mech string
	user, pw   string // as typed
	who        string
	sid        string
	mail       bool   // it is in the directory
	inside     string // a group by way of another
	outside    string // a group of others

	node  *node
	path  string
	login func(*testing.T, *client, *node) // before the first request
	set   func(*http.Request)
}

func (j *journey) start(t *testing.T) (*client, *answer) {
	t.Helper()
	c := newClient(t)
	if j.login != nil {
		j.login(t, c, j.node)
	}
	return c, c.mustGet(t, j.node, j.path+whoami, j.set)
}

// wrong passwords have a mark as well.
const wrongPassword = "wr0ng-m4rked"

// TestJourneys: each way to log in from the first time on: the user is made and
// refreshed, groups of groups count, the login is recorded, the session listed, and
// the password is nowhere.
func TestJourneys(t *testing.T) {
	t.Parallel()
	dc, slapd := adtest.Start(t), slapdtest.Start(t, slapdtest.Config{LDIF: people})
	ad := openAD(t, dc)
	setMail(t, dc, adtest.Alice, "alice@corp.test", "+49 100")
	krb, err := kerberos.LoadConfig(dc.Krb5Conf)
	if err != nil {
		t.Fatal(err)
	}
	alices := adtest.Password(t, adtest.Alice)
	ticket, err := kerberos.NewPasswordClient(*krb, adtest.Alice, authn.NewSecret(alices))
	if err != nil {
		t.Fatal(err)
	}
	channel, err := netlogon.New(netlogon.Config{
		Account: adtest.GW02 + "$", Secrets: netlogon.Password(authn.NewSecret(adtest.Password(t, adtest.GW02))),
		Domain: adtest.NetBIOS, DNSDomain: "corp.test", Controllers: []string{dc.IP}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = channel.Close() })
	byForm := func(user, pw string) func(*testing.T, *client, *node) {
		return func(t *testing.T, c *client, n *node) { c.mustSignIn(t, n, user, pw) }
	}
	by := func(source authclient.Source, spn string) func(*testing.T, *client, *node) {
		return func(t *testing.T, c *client, _ *node) { c.over(t, source, spn) }
	}
	domain := nodeConfig{directory: ad, keytab: dc.Keytab(adtest.Web), ntlm: &ntlm.Mechanism{Verifier: channel, Names: channel.Names()}, refreshAfter: 1}
	other := nodeConfig{directory: openSlapd(t, slapd), refreshAfter: 1}
	postgres := func(c nodeConfig, keys ...session.Key) nodeConfig {
		c.driver, c.dsn, c.keys = "postgres", pgtest.Database(t), keys
		return c
	}
	alice := journey{
		user: adtest.Alice, pw: alices, who: `CORP\alice`, sid: dc.SID(t, adtest.Alice), mail: true,
		inside: `CORP\Auditors`, outside: `CORP\Domain Admins`,
	}
	lena := journey{user: "lena", pw: lenas, who: `CORP\lena`, mail: true, inside: `CORP\outer`, outside: `CORP\nothing`}
	start := func(j journey, name, mech string, cfg nodeConfig, login func(*testing.T, *client, *node)) *journey {
		j.name, j.mech, j.login, j.node = name, mech, login, startNode(t, cfg)
		return &j
	}
	all := []*journey{
		start(journey{user: "ines", pw: "internal-m4rked", who: "ines"}, "internal, form", "form", nodeConfig{}, byForm("ines", "internal-m4rked")),
		start(alice, "AD, form", "form", domain, byForm(`corp.test\Alice`, alices)),
		start(alice, "AD, form, sealed", "form", postgres(domain, session.NewKey()), byForm("alice@corp.test", alices)),
		start(alice, "AD, Basic", "Basic", postgres(domain), nil),
		start(alice, "Kerberos", authn.MechanismKerberos, domain, by(authclient.Static(&authclient.Kerberos{Client: ticket}), adtest.WebSPN)),
		start(alice, "NTLM", authn.MechanismNTLM, postgres(domain), by(authclient.Static(&authclient.NTLM{User: `CORP\alice`, Password: authn.NewSecret(alices)}), "")),
		start(lena, "LDAP, form", "form", postgres(other), byForm("LENA", lenas)),
		start(lena, "LDAP, Basic", "Basic", other, nil),
	}
	clients := map[*journey]*client{}
	for _, j := range all {
		switch j.mech {
		case "Basic":
			j.set = basic(j.user, j.pw)
		case authn.MechanismNTLM:
			j.path = "/ntlm"
		}
		if j.who == "ines" {
			j.node.addUser(t, directory.User{Name: "ines"}, j.pw)
		} else if _, err := j.node.store.User(t.Context(), j.who); !errors.Is(err, directory.ErrNotFound) {
			t.Fatalf("%s: there is a user before the first login: %v", j.name, err)
		}
		if mustRefused := newClient(t).mustGet(t, j.node, whoami, basic(j.user, wrongPassword)); mustRefused.status != http.StatusUnauthorized {
			t.Errorf("%s: a wrong password: status %d", j.name, mustRefused.status)
		}
		c, first := j.start(t)
		clients[j] = c
		j.check(t, c, first)
		j.checkUser(t, "alice@corp.test", "+49 100")
		j.checkRecord(t)
	}

	setMail(t, dc, adtest.Alice, "liddell@corp.test", "+49 200")
	slapd.Modify(t, "dn: uid=lena,ou=people,dc=corp,dc=test\nchangetype: modify\nreplace: mail\nmail: liddell@corp.test\n-\nreplace: mobile\nmobile: +49 200\n")
	for _, j := range all {
		_, again := j.start(t)
		mustBe(t, j.name, j.who, again)
		j.checkUser(t, "liddell@corp.test", "+49 200")
		j.checkSecrets(t, clients[j])
	}
}

// check looks at what the application knows of the caller.
func (j *journey) check(t *testing.T, c *client, a *answer) {
	t.Helper()
	d := a.details(t)
	if d.Username != j.who || d.Mechanism != j.mech || string(d.SID) != j.sid || d.Time == nil || time.Since(*d.Time) > time.Hour {
		t.Errorf("%s: caller %+v", j.name, d)
	}
	for group, want := range map[string]bool{j.inside: true, j.outside: false} {
		if group == "" {
			continue
		}
		a := c.mustGet(t, j.node, j.path+integrated.RolePath+"?name="+url.QueryEscape(group), j.set)
		if got := strings.Contains(a.body, `"belongs":true`); a.status != http.StatusOK || got != want {
			t.Errorf("%s: in %s: %d %s, want %v", j.name, group, a.status, a.body, want)
		}
	}
	if j.mech != "form" || len(j.node.sessions.Keys) > 0 { // nobody knows sealed ones
		return
	}
	list, err := j.node.sessions.Sessions(t.Context(), strings.ToUpper(j.who))
	if err != nil || len(list) != 1 || list[0].User != j.who || !strings.HasPrefix(list[0].Peer, "127.77.") || list[0].UserAgent == "" {
		t.Errorf("%s: sessions %+v, %v", j.name, list, err)
	}
}

// checkUser looks at what the store knows of the user.
func (j *journey) checkUser(t *testing.T, mail, mobile string) {
	t.Helper()
	u, err := j.node.store.User(t.Context(), j.who)
	if err != nil {
		t.Fatalf("%s: %v", j.name, err)
	}
	if string(u.SID) != j.sid || time.Since(u.LastLogin) > time.Minute {
		t.Errorf("%s: user %+v", j.name, u)
	}
	if !j.mail {
		return
	}
	if u.Realm != realm || u.Email != mail || u.Phone != mobile || u.DisplayName == "" || !u.Password.IsEmpty() {
		t.Errorf("%s: user %+v, want %s, %s", j.name, u, mail, mobile)
	}
	for _, g := range u.Groups {
		if g.Name == j.inside {
			return
		}
	}
	t.Errorf("%s: groups %v lack %s", j.name, u.Groups, j.inside)
}

// checkRecord looks for the login and the refusal before it.
func (j *journey) checkRecord(t *testing.T) {
	t.Helper()
	poll(t, func() error {
		got, err := j.node.store.Logins(t.Context(), directory.LoginQuery{User: j.who, Outcome: directory.Accepted})
		if err != nil || len(got) == 0 {
			return fmt.Errorf("%s: %d logins are recorded, %v", j.name, len(got), err)
		}
		l := got[len(got)-1]
		if l.Mechanism != j.mech || string(l.SID) != j.sid || l.Realm != realm || l.Reason != "" || !strings.HasPrefix(l.Peer, "127.77.") || !strings.Contains(j.node.log.String(), l.Ref) {
			t.Errorf("%s: record %+v", j.name, l)
		}
		got, err = j.node.store.Logins(t.Context(), directory.LoginQuery{User: j.user, Outcome: directory.Refused})
		if err != nil || len(got) != 1 || got[0].Reason != authn.ReasonWrongPassword || got[0].Mechanism != "Basic" {
			return fmt.Errorf("%s: refusals %+v, %v", j.name, got, err)
		}
		return nil
	})
}

// checkSecrets looks for passwords, as they are and as they were sent, and for
// what is in cookies.
func (j *journey) checkSecrets(t *testing.T, c *client) {
	t.Helper()
	kept := ""
	if strings.HasPrefix(j.node.dsn, "postgres:") {
		kept = pgtest.Dump(t, j.node.dsn)
	} else {
		files, err := filepath.Glob(j.node.dsn + "*") // with those of the journal
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", j.node.dsn, files, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			kept += string(b)
		}
	}
	account := j.who[strings.Index(j.who, `\`)+1:]
	if !strings.Contains(kept, account) {
		t.Fatalf("%s: what is kept lacks the user: this test would see nothing", j.name)
	}
	c.mu.Lock()
	received := c.received.String()
	c.mu.Unlock()
	log := j.node.log.String()
	for _, secret := range []string{j.pw, wrongPassword} {
		for _, form := range []string{
			secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(j.user + ":" + secret)),
		} {
			for where, text := range map[string]string{"log": log, "store": kept, "answers": received} {
				if strings.Contains(text, form) {
					t.Errorf("%s: the %s has the password, as %s", j.name, where, form)
				}
			}
		}
	}
	u, err := url.Parse(j.node.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range c.http.Jar.Cookies(u) {
		if strings.Contains(log, cookie.Value) || strings.Contains(kept, cookie.Value) {
			t.Errorf("%s: the log or the store has the cookie %s", j.name, cookie.Name)
		}
		plain, _ := base64.RawURLEncoding.DecodeString(cookie.Value)
		if strings.Contains(string(plain), account) || strings.Contains(string(plain), j.pw) {
			t.Errorf("%s: the cookie %s can be read", j.name, cookie.Name)
		}
	}
	if j.mech == "form" && len(c.http.Jar.Cookies(u)) == 0 {
		t.Errorf("%s: no cookie", j.name)
	}
}
