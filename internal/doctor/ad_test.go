package doctor_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/directory/ldap"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/doctor"
)

func TestMain(m *testing.M) { os.Exit(adtest.Main(m)) }

// domain is the test domain, and an administrator's connection to its directory.
type domain struct {
	dc   *adtest.DC
	conn *ldap.Conn
}

func newDomain(t *testing.T) *domain {
	t.Helper()
	dc := adtest.Start(t)
	return &domain{dc, connect(t, dc, "Administrator", adtest.AdminPassword)}
}

func connect(t *testing.T, dc *adtest.DC, user, password string) *ldap.Conn {
	t.Helper()
	c, err := ldap.Dial(t.Context(), ldap.Config{URL: "ldaps://" + dc.IP, Roots: dc.Roots(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Bind(t.Context(), user+"@corp.test", authn.NewSecret(password)); err != nil {
		t.Fatal(err)
	}
	return c
}

// directory is what Config.Directory is for bob, who has no rights in
// particular.
func (d *domain) directory(t *testing.T) func(context.Context, string) (doctor.Searcher, error) {
	return func(_ context.Context, realm string) (doctor.Searcher, error) {
		if realm != adtest.Realm {
			return nil, fmt.Errorf("realm %q", realm)
		}
		return connect(t, d.dc, adtest.Bob, adtest.Password(t, adtest.Bob)), nil
	}
}

// account is one that a test makes for itself.
type account struct {
	*domain
	name, dn string
	spns     []string
	keytab   string // as it was when the account was made
}

const firstPassword, nextPassword = "f1rst-s3cret", "n3xt-s3cret"

func quotedUTF16(s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(`"` + s + `"`)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

func attr(name string, values ...string) ldap.Attribute {
	return ldap.Attribute{Name: name, Values: values}
}

func (d *domain) newAccount(t *testing.T, name string, encTypes int, spns ...string) *account {
	t.Helper()
	a := &account{domain: d, name: name, dn: ldap.Child("CN", name, "CN=Users,DC=corp,DC=test"), spns: spns}
	attrs := []ldap.Attribute{attr("objectClass", "user"), attr("sAMAccountName", name), attr("userAccountControl", "512"),
		attr("msDS-SupportedEncryptionTypes", strconv.Itoa(encTypes)), attr("unicodePwd", quotedUTF16(firstPassword))}
	if len(spns) > 0 {
		attrs = append(attrs, attr("servicePrincipalName", spns...))
	}
	if err := d.conn.Add(t.Context(), a.dn, attrs...); err != nil {
		t.Fatal(err)
	}
	a.keytab = a.export(t, firstPassword, a.kvno(t), append([]string{name}, spns...)...)
	return a
}

func (a *account) modify(t *testing.T, changes ...ldap.Change) {
	t.Helper()
	if err := a.conn.Modify(t.Context(), a.dn, changes...); err != nil {
		t.Fatal(err)
	}
}

func (a *account) setPassword(t *testing.T, password string) {
	t.Helper()
	a.modify(t, ldap.Replace("unicodePwd", quotedUTF16(password)))
}

func (a *account) kvno(t *testing.T) uint32 {
	t.Helper()
	found, err := a.conn.Search(t.Context(), ldap.Search{Base: a.dn, Scope: ldap.BaseObject, Attributes: []string{"msDS-KeyVersionNumber"}})
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	n, err := strconv.Atoi(found[0].Value("msDS-KeyVersionNumber"))
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

// export writes a new keytab.
func (a *account) export(t *testing.T, password string, kvno uint32, principals ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), a.name+".keytab")
	if _, err := kerberos.WriteKeytab(path, kerberos.AccountKeys{
		Realm: adtest.Realm, Principals: principals, Salt: adtest.Realm + a.name, KVNO: kvno, Password: authn.NewSecret(password),
	}); err != nil {
		t.Fatal(err)
	}
	return path
}

// config asks the domain about a keytab.
func (d *domain) config(keytab string) doctor.Config {
	return doctor.Config{Keytab: keytab, KDCs: []string{d.dc.IP}}
}

// asBob has bob ask, the directory too.
func (d *domain) asBob(t *testing.T, keytab string) doctor.Config {
	c := d.config(keytab)
	c.User, c.Password = "bob@corp.test", authn.NewSecret(adtest.Password(t, adtest.Bob))
	c.Directory = d.directory(t)
	return c
}

func run(t *testing.T, cfg doctor.Config) *doctor.Report {
	t.Helper()
	r, err := doctor.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.What == "" || f.Why == "" || f.Remedy == "" || f.Severity == "" {
			t.Errorf("finding lacks something: %+v", f)
		}
	}
	return r
}

// ids are the findings but for notes.
func ids(r *doctor.Report) []string {
	out := []string{}
	for _, f := range r.Findings {
		if f.Severity != doctor.Note {
			out = append(out, f.ID)
		}
	}
	slices.Sort(out)
	return out
}

func find(r *doctor.Report, id string) doctor.Finding {
	for _, f := range r.Findings {
		if f.ID == id {
			return f
		}
	}
	return doctor.Finding{}
}

func wantIDs(t *testing.T, r *doctor.Report, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := ids(r); !slices.Equal(got, want) {
		t.Errorf("findings %q, want %q\n%+v", got, want, r)
	}
	if ok := r.Count(doctor.Broken) == 0; r.OK != ok {
		t.Errorf("OK is %v", r.OK)
	}
}

func TestGoodKeytab(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	for name, cfg := range map[string]doctor.Config{
		"as the account": d.config(d.dc.Keytab(adtest.Web)),
		"as bob":         d.asBob(t, d.dc.Keytab(adtest.Web)),
	} {
		r := run(t, cfg)
		wantIDs(t, r)
		if len(r.Services) != 2 || len(r.Accounts) != 1 || !r.Accounts[0].LoggedIn || len(r.KDCs) != 2 || r.Realm != adtest.Realm {
			t.Errorf("%s: %+v", name, r)
		}
		for _, s := range r.Services {
			if s.Ticket == nil || !s.Ticket.Opens || s.Ticket.KVNO != s.Ticket.OpenedBy || !strings.HasPrefix(s.Ticket.EType, "aes") {
				t.Errorf("%s: %+v %+v", name, s, s.Ticket)
			}
		}
		if asked := find(r, "directory.not-asked").ID == ""; asked != (cfg.User != "") {
			t.Errorf("%s: %+v", name, r.Findings)
		}
		if cfg.User != "" && (r.AskedAs != "bob@CORP.TEST" || len(r.Directory.Accounts) != 1 || r.Directory.Accounts[0].EncTypes != 24 || r.Services[0].Owners[0] != adtest.Web) {
			t.Errorf("%s: %+v, %+v", name, r.AskedAs, r.Directory)
		}
	}
}

func TestPasswordChanged(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	a := d.newAccount(t, "svc-changed", 24, "HTTP/changed.corp.test")
	old := a.kvno(t)
	a.setPassword(t, nextPassword)
	r := run(t, d.config(a.keytab))
	wantIDs(t, r, "account.wrong-key")
	if find(r, "services.not-checked").ID == "" {
		t.Errorf("%+v", r.Findings)
	}
	r = run(t, d.asBob(t, a.keytab))
	wantIDs(t, r, "account.wrong-key", "kvno.old")
	f := find(r, "kvno.old")
	if want := fmt.Sprintf("the KDC uses key version %d, and the newest in the file is %d", old+1, old); f.What != want || f.Subjects[0] != a.spns[0] ||
		!slices.Contains(f.Samba, "samba-tool domain exportkeytab NEW.keytab --principal=svc-changed") {
		t.Errorf("%+v", f)
	}
	// The remedy is one.
	fresh := a.export(t, nextPassword, a.kvno(t), a.name, a.spns[0])
	wantIDs(t, run(t, d.asBob(t, fresh)))
	// Another number of the right key.
	odd := a.export(t, nextPassword, a.kvno(t)+4, a.name, a.spns[0])
	wantIDs(t, run(t, d.asBob(t, odd)), "kvno.differs")
	// A keytab from the future.
	ahead := a.export(t, "of tomorrow", a.kvno(t)+4, a.name, a.spns[0])
	wantIDs(t, run(t, d.asBob(t, ahead)), "account.wrong-key", "kvno.ahead")
}

func TestWrongKey(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	a := d.newAccount(t, "svc-wrongkey", 24, "HTTP/wrongkey.corp.test")
	bad := a.export(t, "another", a.kvno(t), a.name, a.spns[0])
	r := run(t, d.asBob(t, bad))
	wantIDs(t, r, "account.wrong-key", "key.wrong")
	if f := find(r, "key.wrong"); f.Windows[0] != "setspn -Q HTTP/wrongkey.corp.test" {
		t.Errorf("%+v", f)
	}
}

func TestRC4Only(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	r := run(t, d.asBob(t, d.dc.Keytab(adtest.Legacy)))
	wantIDs(t, r, "account.rc4", "keytab.rc4-only")
	f := find(r, "account.rc4")
	want := []string{"net ads enctypes set svc-legacy 24 -U Administrator", "samba-tool user setpassword svc-legacy"}
	if len(f.Samba) < 3 || !slices.Equal(f.Samba[:2], want) || f.Windows[0] != "Set-ADUser svc-legacy -KerberosEncryptionType AES128,AES256" || f.Subjects[0] != adtest.Legacy {
		t.Errorf("%+v", f)
	}
	// An account for AES, and a keytab from before.
	a := d.newAccount(t, "svc-mended", 4, "HTTP/mended.corp.test")
	a.modify(t, ldap.Replace("msDS-SupportedEncryptionTypes", "24"))
	a.setPassword(t, nextPassword)
	wantIDs(t, run(t, d.asBob(t, a.export(t, nextPassword, a.kvno(t), a.name, a.spns[0]))))
}

func TestServiceNames(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	a := d.newAccount(t, "svc-names", 24, "HTTP/names.corp.test")
	d.newAccount(t, "svc-names2", 24, "HTTP/taken.corp.test")
	// Not registered.
	path := a.export(t, firstPassword, a.kvno(t), a.name, a.spns[0], "HTTP/absent.corp.test")
	r := run(t, d.config(path))
	wantIDs(t, r, "spn.not-registered")
	f := find(r, "spn.not-registered")
	if f.Subjects[0] != "HTTP/absent.corp.test" || f.Windows[0] != "setspn -S HTTP/absent.corp.test svc-names" || f.Samba[0] != "samba-tool spn add HTTP/absent.corp.test svc-names" {
		t.Errorf("%+v", f)
	}
	// Of another account.
	path = a.export(t, firstPassword, a.kvno(t), a.name, "HTTP/taken.corp.test")
	r = run(t, d.asBob(t, path))
	wantIDs(t, r, "key.wrong", "spn.other-account")
	if f := find(r, "spn.other-account"); f.What != "the name belongs to svc-names2, and the file is of svc-names" {
		t.Errorf("%+v", f)
	}
	// Spelled otherwise, which Active Directory and soapward take.
	path = a.export(t, firstPassword, a.kvno(t), a.name, "http/NAMES.corp.test")
	r = run(t, d.asBob(t, path))
	wantIDs(t, r)
	if find(r, "name.case").ID == "" || find(r, "name.spelling").What != "the directory spells the name HTTP/names.corp.test" {
		t.Errorf("%+v", r.Findings)
	}
}

// Samba's directory does not let a second account have a name.
func TestDuplicateNameInSamba(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	a := d.newAccount(t, "svc-twice1", 24, "HTTP/twice.corp.test")
	b := d.newAccount(t, "svc-twice2", 24)
	if err := d.conn.Modify(t.Context(), b.dn, ldap.Replace("servicePrincipalName", a.spns[0])); !errors.Is(err, ldap.ErrUnwilling) {
		t.Errorf("a second account with the name: %v", err)
	}
	wantIDs(t, run(t, d.asBob(t, a.keytab)))
}

func TestDisabledAccount(t *testing.T) {
	t.Parallel()
	d := newDomain(t)
	a := d.newAccount(t, "svc-off", 24, "HTTP/off.corp.test")
	a.modify(t, ldap.Replace("userAccountControl", "514"))
	r := run(t, d.config(a.keytab))
	wantIDs(t, r, "account.disabled")
	if f := find(r, "account.disabled"); f.Windows[0] != "Enable-ADAccount svc-off" {
		t.Errorf("%+v", f)
	}
	r = run(t, d.asBob(t, a.keytab))
	wantIDs(t, r, "account.disabled") // once, though the directory says so too
	if r.Services[0].Ticket == nil {
		t.Errorf("Samba's KDC gives a ticket no more: %+v", r.Services)
	}
}
