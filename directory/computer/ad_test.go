package computer

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/ntlm/netlogon"
	"github.com/soapward/soapward/directory/ldap"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(adtest.Main(m)) }

// logIn opens a connection to the test domain.
func logIn(t *testing.T, dc *adtest.DC, user string, password authn.Secret) (*ldap.Conn, error) {
	t.Helper()
	c, err := ldap.Dial(t.Context(), ldap.Config{URL: "ldaps://" + dc.IP, Roots: dc.Roots(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, c.Bind(t.Context(), user, password)
}

func mustLogIn(t *testing.T, dc *adtest.DC, user, password string) *ldap.Conn {
	t.Helper()
	c, err := logIn(t, dc, user, authn.NewSecret(password))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func admin(t *testing.T, dc *adtest.DC) *ldap.Conn {
	t.Helper()
	return mustLogIn(t, dc, "Administrator@corp.test", adtest.AdminPassword)
}

func adJoiner(t *testing.T, dc *adtest.DC, dir Directory, a Account, ou string, f SecretFile) *Joiner {
	t.Helper()
	p, err := NewPlan(t.Context(), dir, a, ou)
	if err != nil {
		t.Fatal(err)
	}
	return &Joiner{Plan: p, File: f, Directory: dir, LogIn: func(_ context.Context, p authn.Secret) (Directory, error) {
		return logIn(t, dc, a.UPN(), p)
	}}
}

func secureChannel(dc *adtest.DC, a Account) Channel {
	return Netlogon(netlogon.Config{
		Account: a.SAM(), Domain: adtest.NetBIOS, DNSDomain: a.Domain, Controllers: []string{dc.IP},
		Logger: slog.New(slog.DiscardHandler),
	})
}

// provesKeytab logs in with the keytab, as ourselves and as MIT does, and opens
// a ticket for the service with it.
func provesKeytab(t *testing.T, dc *adtest.DC, a Account, keytab, spn string) {
	t.Helper()
	kt, err := kerberos.LoadKeytab(keytab)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := kerberos.LoadConfig(dc.Krb5Conf)
	if err != nil {
		t.Fatal(err)
	}
	c, err := kerberos.NewKeytabClient(*cfg, a.SAM(), kt)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Login(t.Context()); err != nil {
		t.Errorf("our login with the keytab: %v", err)
	}
	cache := "FILE:" + filepath.Join(t.TempDir(), "cc")
	testenv.Run(t, dc.Env(), "", testenv.Need(t, "kinit"), "-c", cache, "-k", "-t", keytab, a.SAM())
	out := testenv.Run(t, dc.Env(), "", testenv.Need(t, "kvno"), "-c", cache, "-k", keytab, "-e", "aes256-cts", spn)
	if !strings.Contains(out, "keytab entry valid") {
		t.Errorf("a ticket for %s does not open with the keytab: %s", spn, out)
	}
}

// TestJoinActiveDirectory makes an account as an administrator and as somebody
// who may do nothing else, rotates its password twice, and proves password and
// keytab at each step.
func TestJoinActiveDirectory(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	for _, tt := range []struct {
		name, user, password, ou string
		a                        Account
		dn                       string
	}{
		{
			"administrator", "Administrator@corp.test", adtest.AdminPassword, "",
			Account{Name: "JOIN01", Domain: "corp.test", SPNs: []string{"HTTP/join.corp.test"}}, "CN=JOIN01,CN=Computers,DC=corp,DC=test",
		},
		{
			"delegate", adtest.Jill + "@corp.test", adtest.Password(t, adtest.Jill), adtest.GatewaysDN,
			Account{Name: "join02$", Domain: "corp.test"}, "CN=JOIN02," + adtest.GatewaysDN,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := mustLogIn(t, dc, tt.user, tt.password)
			f := SecretFile(filepath.Join(t.TempDir(), "secret"))
			keytab := filepath.Join(t.TempDir(), "keytab")
			j := adJoiner(t, dc, dir, tt.a, tt.ou, f)
			if !j.Plan.MayCreate || j.Plan.Domain.NetBIOS != "CORP" || j.Plan.Quota != 10 || j.Plan.Existing != nil {
				t.Errorf("plan %+v", j.Plan)
			}
			m, err := j.Create(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !m.Created || len(m.Left) > 0 || m.Entry.DN != tt.dn || m.Entry.EncTypes != encAES || m.Entry.Host != tt.a.Host() {
				t.Errorf("made %+v, %+v", m, m.Entry)
			}
			for _, s := range tt.a.ServiceNames() {
				if !slices.Contains(m.Entry.SPNs, s) {
					t.Errorf("no service name %s", s)
				}
			}
			ch, spn := secureChannel(dc, tt.a), tt.a.ServiceNames()[len(tt.a.ServiceNames())-1]
			if err := ch.Probe(t.Context(), m.Password); err != nil {
				t.Errorf("secure channel: %v", err)
			}
			if changed, err := m.Entry.WriteKeytab(keytab, tt.a, m.Password); err != nil || !changed {
				t.Fatal(err)
			}
			provesKeytab(t, dc, tt.a, keytab, spn)

			self := mustLogIn(t, dc, tt.a.UPN(), m.Password.Reveal())
			for n := range uint32(2) {
				e, err := j.Plan.Domain.Find(t.Context(), self, tt.a)
				if err != nil || e.KVNO != m.Entry.KVNO+n {
					t.Fatalf("%+v, %v, want version %d", e, err, m.Entry.KVNO+n)
				}
				r := Rotation{Account: tt.a, File: f, Channel: ch, Prepare: func(_ context.Context, _, next authn.Secret) error {
					_, err := e.Announce(keytab, tt.a, next)
					return err
				}}
				out, err := r.Run(t.Context())
				if err != nil || !out.Changed {
					t.Fatal(out, err)
				}
				// What was announced opens tickets at once, whoever logs in later.
				cache := dc.Kinit(t, adtest.Alice)
				if got := testenv.Run(t, dc.Env(), "", testenv.Need(t, "kvno"), "-c", cache, "-k", keytab, spn); !strings.Contains(got, "keytab entry valid") {
					t.Errorf("after rotation %d: %s", n, got)
				}
				self = mustLogIn(t, dc, tt.a.UPN(), out.Password.Reveal())
				if e, err = j.Plan.Domain.Find(t.Context(), self, tt.a); err != nil || e.KVNO != m.Entry.KVNO+n+1 {
					t.Fatalf("%+v, %v", e, err)
				}
				if _, err := e.WriteKeytab(keytab, tt.a, out.Password); err != nil {
					t.Fatal(err)
				}
				provesKeytab(t, dc, tt.a, keytab, spn)
				all, err := f.Secrets()
				if err != nil {
					t.Fatal(err)
				}
				if err := ch.Probe(t.Context(), all[0]); err != nil {
					t.Errorf("secure channel: %v", err)
				}
				if err := ch.Probe(t.Context(), all[1]); !errors.Is(err, ErrRefused) {
					t.Errorf("the password before: %v, want that it is refused", err)
				}
			}
		})
	}
}

// A rotation at a real controller, killed between any two steps.
func TestRotationKilledActiveDirectory(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	a := Account{Name: "JOIN03", Domain: "corp.test"}
	f := SecretFile(filepath.Join(t.TempDir(), "secret"))
	dir := admin(t, dc)
	if _, err := adJoiner(t, dc, dir, a, "", f).Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	ch := secureChannel(dc, a)
	cfg := ch.(channel).cfg
	cfg.Secrets = f.Secrets // as a gateway has it
	for _, at := range steps {
		r := Rotation{Account: a, File: f, Channel: ch, testOnlyStep: func(step string) error {
			if step == at {
				return errKilled
			}
			return nil
		}}
		if _, err := r.Run(t.Context()); !errors.Is(err, errKilled) {
			t.Fatalf("at %q: %v", at, err)
		}
		if err := netlogon.Probe(t.Context(), cfg); err != nil {
			t.Errorf("at %q: the account is lost: %v", at, err)
		}
		if out, err := (&Rotation{Account: a, File: f, Channel: ch}).Run(t.Context()); err != nil || !out.Changed {
			t.Fatalf("after %q: %+v, %v", at, out, err)
		}
		if err := netlogon.Probe(t.Context(), cfg); err != nil {
			t.Errorf("after %q: %v", at, err)
		}
	}
}

// The creation of an account at a real controller, killed between any two steps.
func TestCreateKilledActiveDirectory(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	dir := admin(t, dc)
	for i, at := range []string{"made", "told", "completed", "kept"} {
		a := Account{Name: "KILL0" + string(rune('1'+i)), Domain: "corp.test"}
		f := SecretFile(filepath.Join(t.TempDir(), "secret"))
		j := adJoiner(t, dc, dir, a, "", f)
		j.testOnlyStep = func(step string) error {
			if step == at {
				return errKilled
			}
			return nil
		}
		if _, err := j.Create(t.Context()); !errors.Is(err, errKilled) {
			t.Fatalf("at %q: %v", at, err)
		}
		m, err := adJoiner(t, dc, dir, a, "", f).Create(t.Context())
		if err != nil || m.Created == m.Resumed || len(m.Left) > 0 {
			t.Fatalf("after %q: %+v, %v", at, m, err)
		}
		if err := secureChannel(dc, a).Probe(t.Context(), m.Password); err != nil {
			t.Errorf("after %q: %v", at, err)
		}
	}
}

func TestRefusedActiveDirectory(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	f := SecretFile(filepath.Join(t.TempDir(), "secret"))
	bob := mustLogIn(t, dc, adtest.Bob+"@corp.test", adtest.Password(t, adtest.Bob))
	a := Account{Name: "JOIN04", Domain: "corp.test"}
	j := adJoiner(t, dc, bob, a, adtest.GatewaysDN, f)
	if j.Plan.MayCreate {
		t.Error("bob may create computers")
	}
	if _, err := j.Create(t.Context()); !errors.Is(err, ErrDenied) || errors.Is(err, ErrUnsure) {
		t.Errorf("bob: %v", err)
	}
	if got, _ := filepath.Glob(string(f) + "*"); len(got) != 1 {
		t.Errorf("files %q", got)
	}
	taken := Account{Name: adtest.GW01, Domain: "corp.test"}
	before, err := j.Plan.Domain.Find(t.Context(), bob, taken)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := adJoiner(t, dc, admin(t, dc), taken, "", f).Create(t.Context()); !errors.Is(err, ErrTaken) {
		t.Errorf("taken: %v", err)
	}
	if _, err := adJoiner(t, dc, bob, taken, "", f).Reset(t.Context()); !errors.Is(err, ErrDenied) {
		t.Errorf("reset by bob: %v", err)
	}
	if after, err := j.Plan.Domain.Find(t.Context(), bob, taken); err != nil || after.KVNO != before.KVNO {
		t.Errorf("version %d became %d, %v", before.KVNO, after.KVNO, err)
	}
	web := Account{Name: "JOIN05", Domain: "corp.test", SPNs: []string{adtest.WebSPN}}
	if _, err := NewPlan(t.Context(), bob, web, ""); !errors.Is(err, ErrSPNTaken) || !strings.Contains(err.Error(), adtest.Web) {
		t.Errorf("service name taken: %v", err)
	}
}

// An account that an administrator made with Users and Computers: nothing but
// the account. Somebody who may reset its password, and nothing else, takes it
// over; what he may not write, the account writes by itself.
func TestResetByDelegateActiveDirectory(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	tool := testenv.Need(t, "samba-tool")
	const dn = "CN=JOIN06," + adtest.GatewaysDN
	root := admin(t, dc)
	if err := root.Add(t.Context(), dn,
		ldap.Attribute{Name: attrClass, Values: []string{"computer"}},
		ldap.Attribute{Name: attrSAM, Values: []string{"JOIN06$"}},
		ldap.Attribute{Name: attrControl, Values: []string{"4096"}},
		ldap.Attribute{Name: attrPassword, Values: []string{quoted(authn.NewSecret("join06-Mach1ne"))}},
	); err != nil {
		t.Fatal(err)
	}
	const resetPassword = "00299570-246d-11d0-a768-00aa006e0529" // MS-ADTS 5.1.3.2.1
	testenv.Run(t, dc.Env(), "", tool, "dsacl", "set", "-H", "ldaps://"+dc.IP, "--option=tls verify peer=no_check",
		"--simple-bind-dn=Administrator@corp.test", "--password="+adtest.AdminPassword, "--objectdn="+dn, "--sddl=(OA;;CR;"+resetPassword+";;"+dc.SID(t, adtest.Bob)+")")

	a := Account{Name: "JOIN06", Domain: "corp.test", SPNs: []string{"HTTP/join06-alias.corp.test"}}
	f := SecretFile(filepath.Join(t.TempDir(), "secret"))
	bob := mustLogIn(t, dc, adtest.Bob+"@corp.test", adtest.Password(t, adtest.Bob))
	j := adJoiner(t, dc, bob, a, "", f)
	m, err := j.Reset(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Left) != 1 || m.Left[0].What != "service name HTTP/join06-alias.corp.test" || !errors.Is(m.Left[0].Why, ldap.ErrUnwilling) ||
		m.Left[0].Samba != "samba-tool spn add HTTP/join06-alias.corp.test 'JOIN06$'" {
		t.Errorf("left %+v", m.Left)
	}
	own := Account{Name: a.Name, Domain: a.Domain}.ServiceNames()
	if e := m.Entry; e.Host != a.Host() || e.EncTypes != encAES || !slices.Equal(e.SPNs, own) {
		t.Errorf("made %+v", e)
	}
	if err := secureChannel(dc, a).Probe(t.Context(), m.Password); err != nil {
		t.Error(err)
	}
}

// A gateway that is running keeps on logging callers in while the password of
// its account changes beneath it.
func TestRotateUnderGateway(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	a := Account{Name: "JOIN07", Domain: "corp.test"}
	f := SecretFile(filepath.Join(t.TempDir(), "secret"))
	if _, err := adJoiner(t, dc, admin(t, dc), a, "", f).Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg := secureChannel(dc, a).(channel).cfg
	cfg.Secrets = f.Secrets
	v, err := netlogon.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	login := func(when string) {
		t.Helper()
		id, err := ntlmLogin(t.Context(), v, adtest.Alice, adtest.Password(t, adtest.Alice))
		if err != nil || id.Account != adtest.Alice {
			t.Errorf("%s: %v, %v", when, id, err)
		}
	}
	login("before")
	r := Rotation{Account: a, File: f, Channel: secureChannel(dc, a)}
	for i := range 3 {
		if _, err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		login("after rotation " + string(rune('1'+i)))
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if v, err = netlogon.New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	login("restarted")
}

// ntlmLogin logs a user in, both sides in this process.
func ntlmLogin(ctx context.Context, v *netlogon.Verifier, user, password string) (*authn.Identity, error) {
	cred, err := ntlm.NewCredential(`CORP\`+user, authn.NewSecret(password))
	if err != nil {
		return nil, err
	}
	m := &ntlm.Mechanism{Verifier: v, Names: v.Names()}
	acceptor, initiator := m.NewAcceptor(authn.Exchange{Peer: "127.0.0.1:1"}), &ntlm.Initiator{Credential: cred}
	var id *authn.Identity
	var fromServer []byte
	for id == nil {
		fromClient, _, err := initiator.Step(ctx, fromServer)
		if err != nil {
			return nil, err
		}
		if fromServer, id, err = acceptor.Step(ctx, fromClient); err != nil {
			return nil, err
		}
	}
	return id, nil
}
