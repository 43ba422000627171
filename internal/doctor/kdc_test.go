package doctor_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/directory/ldap"
	"github.com/soapward/soapward/internal/doctor"
	"github.com/soapward/soapward/internal/kdc"
	"github.com/soapward/soapward/internal/krb5"
)

const appSPN = "HTTP/app.corp.test"

// startRealm starts a KDC with svc-app, which has appSPN, and alice. It returns
// a keytab of svc-app and what asks about it.
func startRealm(t *testing.T) (*kdc.KDC, doctor.Config) {
	t.Helper()
	k, err := kdc.New(kdc.Config{Realm: "CORP.TEST"})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	for _, a := range []kdc.Account{
		{Name: "alice", Password: "pw-alice"},
		{Name: "svc-app", Password: "pw-app", SPNs: []string{appSPN}},
	} {
		if err := k.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	return k, doctor.Config{Keytab: keytabOf(t, k, "svc-app", appSPN), KDCs: []string{k.Addr()}}
}

func keytabOf(t *testing.T, k *kdc.KDC, principals ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app.keytab")
	if err := k.WriteKeytab(path, principals...); err != nil {
		t.Fatal(err)
	}
	return path
}

func update(t *testing.T, k *kdc.KDC, change func(*kdc.Account)) {
	t.Helper()
	if err := k.Update("svc-app", change); err != nil {
		t.Fatal(err)
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		skew time.Duration
		want []string
		what string
	}{
		{"right", 30 * time.Second, nil, ""},
		{"drifts", 3 * time.Minute, []string{"clock.drift"}, "behind"},
		{"too far behind", 7 * time.Minute, []string{"clock.skew"}, "this machine's clock is 7m0s behind the KDC's"},
		{"too far ahead", -time.Hour, []string{"clock.skew"}, "ahead of the KDC's"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k, cfg := startRealm(t)
			k.SetFault(kdc.Fault{Skew: tt.skew})
			r := run(t, cfg)
			wantIDs(t, r, tt.want...)
			if off := *r.KDCs[0].ClockOffset; off < tt.skew.Seconds()-3 || off > tt.skew.Seconds()+3 {
				t.Errorf("offset %v", off)
			}
			if len(tt.want) > 0 && !strings.Contains(roundSeconds(find(r, tt.want[0]).What), tt.what) {
				t.Errorf("%+v", r.Findings)
			}
		})
	}
}

// roundSeconds allows for a second that passes meanwhile.
func roundSeconds(s string) string { return strings.Replace(s, "6m59s", "7m0s", 1) }

func TestUnreachable(t *testing.T) {
	t.Parallel()
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	addr := silent.LocalAddr().String() // where nobody answers, and nobody listens on TCP

	// Each waits for the same seconds.
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		_, cfg := startRealm(t)
		cfg.KDCs = []string{addr}
		r := run(t, cfg)
		wantIDs(t, r, "kdc.unreachable")
		f := find(r, "kdc.unreachable")
		if !strings.Contains(f.Why, addr+" over udp: no answer (") || !strings.Contains(f.Why, "over tcp: ") || !strings.Contains(f.Why, "refused") {
			t.Errorf("%+v", f)
		}
	})
	t.Run("beside another", func(t *testing.T) {
		t.Parallel()
		k, cfg := startRealm(t)
		cfg.KDCs = []string{addr, k.Addr()}
		r := run(t, cfg)
		wantIDs(t, r, "kdc.down")
		if len(r.KDCs) != 4 || !r.Accounts[0].LoggedIn {
			t.Errorf("%+v", r)
		}
	})
}

func TestNoAnswers(t *testing.T) {
	t.Parallel()
	k, cfg := startRealm(t)
	unknown := cfg
	unknown.KDCs, unknown.Resolver = nil, noDNS{}
	unknown.Kerberos = kerberos.Config{DefaultRealm: "OTHER.TEST", Realms: map[string]kerberos.Realm{"CORP.TEST": {KDCs: []string{"http://proxy"}}}}
	r := run(t, unknown)
	wantIDs(t, r, "kdc.not-found")

	// A KDC that answers logins and no other question.
	k.SetFault(kdc.Fault{Only: krb5.MsgTGSReq, Error: krb5.CodeGeneric})
	r = run(t, cfg)
	wantIDs(t, r, "service.no-ticket")

	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := doctor.Run(stopped, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

type noDNS struct{}

func (noDNS) LookupCNAME(context.Context, string) (string, error) {
	return "", errors.New("no such host")
}

// aliases are CNAMEs.
type aliases map[string]string

func (a aliases) LookupCNAME(_ context.Context, host string) (string, error) {
	if to, ok := a[host]; ok {
		return to + ".", nil
	}
	return host + ".", nil
}

func TestLoginRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*kdc.Account)
		fault  kdc.Fault
		want   []string
	}{
		{"good", func(*kdc.Account) {}, kdc.Fault{}, nil},
		{"password changed", func(a *kdc.Account) { a.Password = "next" }, kdc.Fault{}, []string{"account.wrong-key"}},
		{"disabled", func(a *kdc.Account) { a.Disabled = true }, kdc.Fault{}, []string{"account.disabled"}},
		{"password expired", func(a *kdc.Account) { a.PasswordExpired = true }, kdc.Fault{}, []string{"account.password-expired"}},
		{"no proof", func(a *kdc.Account) { a.NoPreauth = true }, kdc.Fault{}, []string{"account.no-preauth"}},
		{"no proof, password changed", func(a *kdc.Account) { a.NoPreauth, a.Password = true, "next" }, kdc.Fault{}, []string{"account.no-preauth", "account.wrong-key"}},
		{"unknown", nil, kdc.Fault{Only: krb5.MsgASReq, Error: krb5.CodeClientUnknown}, []string{"account.unknown"}},
		{"expired", nil, kdc.Fault{Only: krb5.MsgASReq, Error: krb5.CodeClientExpired}, []string{"account.expired"}},
		{"policy", nil, kdc.Fault{Only: krb5.MsgASReq, Error: krb5.CodePolicy}, []string{"account.restricted"}},
		{"no type", nil, kdc.Fault{Only: krb5.MsgASReq, Error: krb5.CodeETypeNoSupport}, []string{"account.no-common-type"}},
		{"skew the KDC tells", nil, kdc.Fault{Only: krb5.MsgASReq, Error: krb5.CodeSkew}, []string{"clock.skew"}},
		{"another code", nil, kdc.Fault{Only: krb5.MsgASReq, Error: krb5.CodeGeneric}, []string{"account.login-failed"}},
		{"not unique", nil, kdc.Fault{Only: krb5.MsgTGSReq, Error: krb5.CodePrincipalNotUnique}, []string{"spn.duplicate"}},
		{"service off", nil, kdc.Fault{Only: krb5.MsgTGSReq, Error: krb5.CodeServiceRevoked}, []string{"service.disabled"}},
		{"service without types", nil, kdc.Fault{Only: krb5.MsgTGSReq, Error: krb5.CodeETypeNoSupport}, []string{"service.no-common-type"}},
		{"garbage", nil, kdc.Fault{Corrupt: true, Only: krb5.MsgTGSReq}, []string{"account.login-failed"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k, cfg := startRealm(t)
			if tt.change != nil {
				update(t, k, tt.change)
			}
			k.SetFault(tt.fault)
			wantIDs(t, run(t, cfg), tt.want...)
		})
	}
}

func TestTypesMissing(t *testing.T) {
	t.Parallel()
	k, cfg := startRealm(t)
	cfg.User, cfg.Password = "alice@corp.test", authn.NewSecret("pw-alice")
	update(t, k, func(a *kdc.Account) { a.ETypes = []krb5.EType{krb5.RC4HMAC} })
	r := run(t, cfg)
	if got := ids(r); !slices.Contains(got, "service.no-common-type") || !slices.Contains(got, "account.rc4") {
		t.Errorf("%q", got)
	}
	// A keytab with RC4 only, and an account that has AES now.
	key, err := krb5.StringToKey(krb5.RC4HMAC, "pw-app", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	update(t, k, func(a *kdc.Account) { a.ETypes = nil })
	cfg.Keytab = write(t, 0o600, keytab(
		raw{name: "svc-app", kvno: 2, etype: 23, key: key.Bytes()}, raw{name: appSPN, kvno: 2, etype: 23, key: key.Bytes()},
	))
	wantIDs(t, run(t, cfg), "keytab.rc4-only", "etype.missing", "account.no-common-type")

}

// A user whose password the KDC refuses is not tried at the directory too, where
// it would be one more failed login.
func TestAttackUserRefusedTwice(t *testing.T) {
	t.Parallel()
	_, cfg := startRealm(t)
	cfg.User, cfg.Password = "alice@corp.test", authn.NewSecret("wrong")
	cfg.Directory = func(context.Context, string) (doctor.Searcher, error) {
		t.Error("the directory is asked")
		return nil, errors.New("no")
	}
	r := run(t, cfg)
	wantIDs(t, r, "user.refused")
	if find(r, "directory.not-asked").ID == "" {
		t.Errorf("%+v", r.Findings)
	}
}

// Whoever answers in a KDC's place does not get a proof of a user's password
// that is made with RC4.
func TestAttackUserDowngraded(t *testing.T) {
	t.Parallel()
	k, cfg := startRealm(t)
	cfg.User, cfg.Password = "alice@corp.test", authn.NewSecret("pw-alice")
	if err := k.Update("alice", func(a *kdc.Account) { a.ETypes = []krb5.EType{krb5.RC4HMAC} }); err != nil {
		t.Fatal(err)
	}
	r := run(t, cfg)
	wantIDs(t, r, "user.refused")
	if f := find(r, "user.refused"); f.Remedy != "name a user who has AES keys" || r.AskedAs != "svc-app@CORP.TEST" {
		t.Errorf("%+v, asked as %s", f, r.AskedAs)
	}
}

func TestDuplicateName(t *testing.T) {
	t.Parallel()
	k, cfg := startRealm(t)
	dir := &fakeDirectory{entries: []ldap.Entry{
		entry("svc-app", "24", "1", "512", appSPN), entry("GW01$", "28", "1", "4096", "http/APP.corp.test"),
	}}
	cfg.Directory = dir.open
	k.SetFault(kdc.Fault{Only: krb5.MsgTGSReq, Error: krb5.CodePrincipalNotUnique}) // as Windows answers
	r := run(t, cfg)
	wantIDs(t, r, "spn.duplicate")
	f := find(r, "spn.duplicate")
	if !strings.HasPrefix(f.Why, "they are svc-app, GW01$; ") || !slices.Equal(f.Windows, []string{"setspn -D HTTP/app.corp.test svc-app", "setspn -D HTTP/app.corp.test GW01$"}) {
		t.Errorf("%+v", f)
	}
	if !dir.closed || !slices.Equal(r.Services[0].Owners, []string{"svc-app", "GW01$"}) {
		t.Errorf("closed %v, %+v", dir.closed, r.Services)
	}
}

func TestDirectorySays(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		entries []ldap.Entry
		err     error
		want    []string
	}{
		{"good", []ldap.Entry{entry("svc-app", "24", "1", "512", appSPN)}, nil, nil},
		{"nothing", nil, nil, nil},
		{"RC4", []ldap.Entry{entry("svc-app", "4", "1", "512", appSPN)}, nil, []string{"account.rc4"}},
		{"types not set", []ldap.Entry{entry("svc-app", "", "1", "512", appSPN)}, nil, nil},
		{"DES", []ldap.Entry{entry("svc-app", "24", "1", "2097664", appSPN)}, nil, []string{"account.des-only"}},
		{"disabled", []ldap.Entry{entry("svc-app", "24", "1", "514", appSPN)}, nil, []string{"account.disabled"}},
		{"newer", []ldap.Entry{entry("svc-app", "24", "7", "512", appSPN)}, nil, []string{"kvno.old"}},
		{"numbers that are none", []ldap.Entry{entry("svc-app", "x", "-1x", "99999999999999999999", appSPN)}, nil, nil},
		{"fails", nil, errors.New("ldap: no"), []string{"directory.no-answer"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, cfg := startRealm(t)
			cfg.Directory = (&fakeDirectory{entries: tt.entries, err: tt.err}).open
			wantIDs(t, run(t, cfg), tt.want...)
		})
	}
}

// fakeDirectory answers every search but that for the root with all entries.
type fakeDirectory struct {
	entries []ldap.Entry
	err     error
	closed  bool
}

func (f *fakeDirectory) open(context.Context, string) (doctor.Searcher, error) { return f, nil }
func (f *fakeDirectory) Close() error                                          { f.closed = true; return nil }

func (f *fakeDirectory) Search(_ context.Context, s ldap.Search) ([]ldap.Entry, error) {
	if s.Scope == ldap.BaseObject {
		return []ldap.Entry{ldap.NewEntry("", attr("defaultNamingContext", "DC=corp,DC=test"))}, f.err
	}
	return f.entries, f.err
}

func entry(name, encTypes, kvno, control string, spns ...string) ldap.Entry {
	return ldap.NewEntry("CN="+name+",DC=corp,DC=test", attr("sAMAccountName", name), attr("servicePrincipalName", spns...),
		attr("msDS-SupportedEncryptionTypes", encTypes), attr("msDS-KeyVersionNumber", kvno), attr("userAccountControl", control))
}

func TestNames(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		hosts []string
		want  []string
	}{
		{"in the file", []string{"app.corp.test", "APP.corp.test."}, nil},
		{"missing", []string{"other.corp.test"}, []string{"name.not-in-keytab", "spn.not-registered"}},
		{"alias of another", []string{"www.corp.test"}, []string{"name.alias", "name.not-in-keytab", "spn.not-registered"}},
		{"alias of ours", []string{"nick.corp.test"}, []string{"name.not-in-keytab", "spn.not-registered"}},
		{"address", []string{"192.0.2.7"}, []string{"name.address"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, cfg := startRealm(t)
			cfg.Names = tt.hosts
			cfg.Resolver = aliases{"www.corp.test": "node7.corp.test", "nick.corp.test": "app.corp.test"}
			wantIDs(t, run(t, cfg), tt.want...)
		})
	}
	_, cfg := startRealm(t)
	cfg.Names, cfg.Resolver = []string{"app.corp.test"}, noDNS{}
	wantIDs(t, run(t, cfg), "name.unresolved")
}
