package kdc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/testenv"
)

// mit runs programs of MIT Kerberos against a KDC.
type mit struct {
	t   *testing.T
	env []string
}

func newMIT(t *testing.T, k *KDC, others ...*KDC) *mit {
	t.Helper()
	for _, p := range []string{"kinit", "kvno", "klist"} {
		testenv.Need(t, p)
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "krb5.conf")
	if err := k.WriteKrb5Conf(conf, others...); err != nil {
		t.Fatal(err)
	}
	return &mit{t, []string{"KRB5_CONFIG=" + conf, "KRB5CCNAME=FILE:" + filepath.Join(dir, "cc"), "LC_ALL=C"}}
}

// must returns the output of a program that has to succeed.
func (m *mit) must(stdin, name string, args ...string) string {
	m.t.Helper()
	return testenv.Run(m.t, m.env, stdin, name, args...)
}

// mustFail demands that a program fails and says why.
func (m *mit) mustFail(want, stdin, name string, args ...string) {
	m.t.Helper()
	out, err := testenv.Try(m.t, m.env, stdin, name, args...)
	if err == nil || !strings.Contains(out, want) {
		m.t.Errorf("%s %s: got %v, %q; want ...%s...", name, strings.Join(args, " "), err, out, want)
	}
}

func TestMITLogin(t *testing.T) {
	t.Parallel()
	for _, e := range []krb5.EType{krb5.AES256SHA1, krb5.AES128SHA1, krb5.AES256SHA2, krb5.AES128SHA2} {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			k := startKDC(t, Config{})
			mustAdd(t, k, Account{Name: "carol", Password: "pw", ETypes: []krb5.EType{e}},
				Account{Name: "svc", Password: "pw", ETypes: []krb5.EType{e}, SPNs: []string{"HTTP/svc.corp.test"}})
			m := newMIT(t, k)
			m.must("pw\n", "kinit", "carol")
			m.must("", "kvno", "HTTP/svc.corp.test")
			if out := m.must("", "klist", "-e"); strings.Count(out, e.String()) < 2 || !strings.Contains(out, "HTTP/svc.corp.test@CORP.TEST") {
				t.Errorf("klist -e: %s", out)
			}
			m.mustFail("Password incorrect", "wrong\n", "kinit", "carol")
			m.mustFail("not found in Kerberos database", "pw\n", "kinit", "nobody")
			m.mustFail("not found in Kerberos database", "", "kvno", "HTTP/nobody.corp.test")
		})
	}
}

func TestMITFlagsRenewalAndNames(t *testing.T) {
	t.Parallel()
	k := startKDC(t, Config{})
	addPeople(t, k)
	m := newMIT(t, k)
	m.must("pw\n", "kinit", "-f", "-r", "7d", "alice")
	if out := m.must("", "klist", "-f"); !strings.Contains(out, "Flags: FRIA") {
		t.Errorf("klist -f: %s", out)
	}
	m.must("", "kinit", "-R")
	if s := k.Stats(); s.Renew != 1 {
		t.Errorf("renewals: got %d, want 1", s.Renew)
	}
	m.must("pw\n", "kinit", "-C", "-E", "alice@corp.test")
	if out := m.must("", "klist"); !strings.Contains(out, "Default principal: alice@CORP.TEST") {
		t.Errorf("enterprise name was not made canonical: %s", out)
	}
	m.mustFail("revoked", "pw\n", "kinit", "dora")
}

func TestMITKeytab(t *testing.T) {
	t.Parallel()
	k := startKDC(t, Config{})
	addPeople(t, k)
	m := newMIT(t, k)
	kt := filepath.Join(t.TempDir(), "front.keytab")
	if err := k.SetPassword("front", "second"); err != nil {
		t.Fatal(err)
	}
	if err := k.WriteKeytab(kt, "front", "HTTP/front.corp.test"); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(kt); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("keytab mode: %v, %v", fi.Mode(), err)
	}
	out := m.must("", "klist", "-kte", kt)
	for _, want := range []string{"   2 ", "   1 ", "front@CORP.TEST (aes256", "HTTP/front.corp.test@CORP.TEST (aes128"} {
		if !strings.Contains(out, want) {
			t.Errorf("klist -k lacks %q: %s", want, out)
		}
	}
	m.must("", "kinit", "-k", "-t", kt, "front")
	// kvno -k decrypts the ticket with the keytab.
	if out := m.must("", "kvno", "-k", kt, "HTTP/front.corp.test"); !strings.Contains(out, "kvno = 2, keytab entry valid") {
		t.Errorf("kvno -k: %s", out)
	}
}

func TestMITDelegation(t *testing.T) {
	t.Parallel()
	k := startKDC(t, Config{})
	addPeople(t, k)
	m := newMIT(t, k)
	kt := filepath.Join(t.TempDir(), "front.keytab")
	if err := k.WriteKeytab(kt, "front", "HTTP/front.corp.test"); err != nil {
		t.Fatal(err)
	}
	m.must("", "kinit", "-f", "-k", "-t", kt, "front")
	// -U and -P: a ticket to back in alice's name, by way of one to front.
	if out := m.must("", "kvno", "-k", kt, "-U", "alice", "-P", "HTTP/back.corp.test"); !strings.Contains(out, "HTTP/back.corp.test@CORP.TEST: kvno = 1") {
		t.Errorf("kvno -U -P: %s", out)
	}
	if s := k.Stats(); s.S4U2Self != 1 || s.S4U2Proxy != 1 {
		t.Errorf("got %+v", s)
	}
	m.must("", "kvno", "-k", kt, "-U", "alice@corp.test", "front")
	for _, user := range []string{"sam", "pru"} {
		m.mustFail("can't fulfill requested option", "", "kvno", "-k", kt, "-U", user, "-P", "HTTP/back.corp.test")
	}
	m.mustFail("can't fulfill requested option", "", "kvno", "-k", kt, "-U", "alice", "-P", "HTTP/other.corp.test")
	m.mustFail("revoked", "", "kvno", "-k", kt, "-U", "dora", "-P", "HTTP/back.corp.test")
}

// back lets guest act for others, without guest's own account saying so.
func TestMITResourceBasedDelegation(t *testing.T) {
	t.Parallel()
	k := startKDC(t, Config{})
	addPeople(t, k)
	m := newMIT(t, k)
	kt := filepath.Join(t.TempDir(), "guest.keytab")
	if err := k.WriteKeytab(kt, "guest"); err != nil {
		t.Fatal(err)
	}
	m.must("", "kinit", "-f", "-k", "-t", kt, "guest")
	if out := m.must("", "kvno", "-k", kt, "-U", "alice", "-P", "HTTP/back.corp.test"); !strings.Contains(out, "HTTP/back.corp.test@CORP.TEST: kvno = 1") {
		t.Errorf("kvno -U -P: %s", out)
	}
	m.mustFail("can't fulfill requested option", "", "kvno", "-k", kt, "-U", "sam", "-P", "HTTP/back.corp.test")
}

func TestMITReferral(t *testing.T) {
	t.Parallel()
	a, b, c := startKDC(t, Config{}), startKDC(t, Config{Realm: "SUB.CORP.TEST"}), startKDC(t, Config{Realm: "FAR.TEST"})
	addPeople(t, a)
	mustAdd(t, b, Account{Name: "web", Password: "pw", SPNs: []string{"HTTP/web.sub.corp.test"}})
	mustAdd(t, c, Account{Name: "web", Password: "pw", SPNs: []string{"HTTP/web.far.test"}})
	if err := Trust(a, b); err != nil {
		t.Fatal(err)
	}
	if err := Trust(b, c); err != nil {
		t.Fatal(err)
	}
	if err := a.Route("SUB.CORP.TEST", "far.test"); err != nil {
		t.Fatal(err)
	}
	m := newMIT(t, a, b, c)
	m.must("pw\n", "kinit", "alice")
	if out := m.must("", "kvno", "HTTP/web.sub.corp.test@CORP.TEST"); !strings.Contains(out, "kvno = 1") {
		t.Errorf("one hop: %s", out)
	}
	if out := m.must("", "kvno", "HTTP/web.far.test@CORP.TEST"); !strings.Contains(out, "kvno = 1") {
		t.Errorf("two hops: %s", out)
	}
	if a.Stats().Referral == 0 || b.Stats().Referral != 1 {
		t.Errorf("referrals: %d, %d", a.Stats().Referral, b.Stats().Referral)
	}
}
