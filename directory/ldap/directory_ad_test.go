package ldap

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/internal/adtest"
)

func TestMain(m *testing.M) { os.Exit(adtest.Main(m)) }

// domainConfig is how an operator would configure the test domain.
func domainConfig(t *testing.T, dc *adtest.DC) DirectoryConfig {
	t.Helper()
	return DirectoryConfig{
		URLs: []string{"ldaps://" + dc.IP}, Domain: "corp.test", DefaultDomain: "CORP",
		BindUser: adtest.Jill + "@corp.test", BindPassword: authn.NewSecret(adtest.Password(t, adtest.Jill)),
		Roots: dc.Roots(t), Timeout: 20 * time.Second,
	}
}

// sealedConfig has everybody log in by Kerberos.
func sealedConfig(t *testing.T, dc *adtest.DC, scheme string) DirectoryConfig {
	t.Helper()
	cfg := domainConfig(t, dc)
	cfg.URLs = []string{scheme + "://" + dc.Host}
	cfg.Dialer = dialerTo{dc.IP}
	cfg.Kerberos = &kerberos.Config{Realms: map[string]kerberos.Realm{adtest.Realm: {KDCs: []string{dc.IP}}}}
	return cfg
}

// dialerTo connects to one address whatever the name is.
type dialerTo struct{ ip string }

func (d dialerTo) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(d.ip, port))
}

func newDirectory(t *testing.T, cfg DirectoryConfig) *Directory {
	t.Helper()
	if err := cfg.Check(); err != nil {
		t.Fatal(err)
	}
	d := NewDirectory(cfg)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

var domainContent sync.Once

// Odd accounts and groups, made in the controller that all tests share.
const (
	oddUser  = `Müller, "日" +#*(x)` // a common name; a backslash follows it
	oddLogin = "m.müller日(1)#"
	oddPass  = "mueller-s3cret"
	farUser  = "farah"
	farPass  = "farah-s3cret"
	loopA    = "Loop A"
	loopB    = "Loop B"
	oddGroup = `Grüpp, (x)*#`
	mailList = "Mailing"

	victim      = "victor"
	mallory     = "mallory"
	malloryPass = "mallory-s3cret"
)

func domainWithContent(t *testing.T) *adtest.DC {
	t.Helper()
	dc := adtest.Start(t)
	domainContent.Do(func() {
		c, err := Dial(t.Context(), Config{URL: "ldaps://" + dc.IP, Roots: dc.Roots(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if err := c.Bind(t.Context(), "Administrator@corp.test", authn.NewSecret(adtest.AdminPassword)); err != nil {
			t.Fatal(err)
		}
		const base = "DC=corp,DC=test"
		add := func(dn string, attributes ...Attribute) {
			t.Helper()
			if err := c.Add(t.Context(), dn, attributes...); err != nil {
				t.Fatal(err)
			}
		}
		insert := func(dn, name string, values ...string) {
			t.Helper()
			if err := c.Modify(t.Context(), dn, Insert(name, values...)); err != nil {
				t.Fatal(err)
			}
		}
		user := func(cn, parent, login, password string, more ...Attribute) string {
			dn := Child("CN", cn, parent)
			add(dn, append([]Attribute{
				{"objectClass", []string{"user"}},
				{"sAMAccountName", []string{login}},
				{"unicodePwd", []string{utf16("\"" + password + "\"")}},
				{"userAccountControl", []string{"512"}},
			}, more...)...)
			return dn
		}
		group := func(cn, kind string, members ...string) string {
			dn := Child("CN", cn, "CN=Users,"+base)
			add(dn, Attribute{"objectClass", []string{"group"}}, Attribute{"sAMAccountName", []string{strings.NewReplacer(",", "", "*", "").Replace(cn)}},
				Attribute{"groupType", []string{kind}})
			for _, m := range members {
				insert(dn, "member", m)
			}
			return dn
		}
		// Windows and samba_spnupdate register it; nothing of that runs here.
		insert("CN=DC1,OU=Domain Controllers,"+base, "servicePrincipalName", "ldap/"+dc.Host)
		add("OU=Far,"+base, Attribute{"objectClass", []string{"organizationalUnit"}})
		add("OU=Away,OU=Far,"+base, Attribute{"objectClass", []string{"organizationalUnit"}})
		odd := user(oddUser+`\`, "OU=Away,OU=Far,"+base, oddLogin, oddPass,
			Attribute{"displayName", []string{oddUser}}, Attribute{"mobile", []string{"+49 1"}}, Attribute{"mail", []string{"m@corp.test"}})
		far := user("Farah", "OU=Far,"+base, farUser, farPass, Attribute{"userPrincipalName", []string{"farah.f@corp.test"}})
		user("Victor", "OU=Far,"+base, victim, "victor-s3cret", Attribute{"userPrincipalName", []string{"v@corp.test"}})
		user("Mallory", "OU=Far,"+base, mallory, malloryPass, Attribute{"userPrincipalName", []string{victim + "@partners.test"}})
		og := group(oddGroup, "-2147483646", odd)
		a := group(loopA, "-2147483640", far, og)
		b := group(loopB, "-2147483640", a)
		insert(a, "member", b)
		group(mailList, "2", far) // no security group
	})
	return dc
}

func utf16(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteByte(byte(r))
		b.WriteByte(byte(r >> 8))
	}
	return b.String()
}

func names(groups []authn.Group) []string {
	out := make([]string, len(groups))
	for i, g := range groups {
		out[i] = g.String()
	}
	return out
}

func wantRefused(t *testing.T, err error, reason authn.Reason) {
	t.Helper()
	var r *authn.RefusedError
	if !errors.As(err, &r) || r.Reason != reason || !errors.Is(err, authn.ErrBadCredentials) || errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("got %v, want a refusal for %s", err, reason)
	}
}

// kdcReason is what Samba's KDC answers. It has one answer for accounts that are
// disabled, expired, locked, or may not log on at this hour.
func kdcReason(user string, reason authn.Reason) authn.Reason {
	switch user {
	case "nobody":
		return authn.ReasonUnknownUser
	case adtest.Erin, adtest.Locke, adtest.Nick:
		return authn.ReasonDisabled
	}
	return reason
}

func TestDomainVerify(t *testing.T) {
	t.Parallel()
	dc := domainWithContent(t)
	own := domainConfig(t, dc)
	own.BindUser, own.BindPassword = "", authn.Secret{}
	short := domainConfig(t, dc)
	short.DefaultDomain, short.Domain = "", ""
	dns := own
	dns.DefaultDomain = ""
	for name, cfg := range map[string]DirectoryConfig{"sealed": sealedConfig(t, dc, "ldap"), "Kerberos in TLS": sealedConfig(t, dc, "ldaps"), "reader": domainConfig(t, dc), "as the user": own, "domain asked for": short, "DNS name only": dns} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDirectory(t, cfg)
			alice := adtest.Password(t, adtest.Alice)
			for _, tt := range []struct {
				user, password string
				want           string
				reason         authn.Reason
			}{
				{adtest.Alice, alice, `CORP\alice`, ""},
				{`CORP\alice`, alice, `CORP\alice`, ""},
				{`corp\ALICE`, alice, `CORP\alice`, ""},
				{`Corp.Test\alice`, alice, `CORP\alice`, ""},
				{"alice@corp.test", alice, `CORP\alice`, ""},
				{"Alice@CORP.TEST", alice, `CORP\alice`, ""},
				{adtest.Zoe, adtest.Password(t, adtest.Zoe), `CORP\zoë`, ""},
				{"farah.f@corp.test", farPass, `CORP\farah`, ""},
				{oddLogin, oddPass, `CORP\` + oddLogin, ""},
				{victim + "@partners.test", malloryPass, `CORP\` + mallory, ""},
				{adtest.Alice, "wrong", "", authn.ReasonWrongPassword},
				{"nobody", "wrong", "", authn.ReasonWrongPassword}, // Samba does not tell the difference
				{adtest.Dave, adtest.Password(t, adtest.Dave), "", authn.ReasonDisabled},
				{adtest.Erin, adtest.Password(t, adtest.Erin), "", authn.ReasonAccountExpired},
				{adtest.Mike, adtest.Password(t, adtest.Mike), "", authn.ReasonPasswordExpired},
				{adtest.Locke, adtest.Password(t, adtest.Locke), "", authn.ReasonLockedOut},
				{adtest.Nick, adtest.Password(t, adtest.Nick), "", authn.ReasonRestricted},
			} {
				id, err := d.VerifyPassword(t.Context(), tt.user, tt.password)
				if tt.reason != "" {
					if id != nil {
						t.Errorf("%s: logged in", tt.user)
					}
					if cfg.Kerberos != nil {
						tt.reason = kdcReason(tt.user, tt.reason)
					}
					wantRefused(t, err, tt.reason)
					continue
				}
				if err != nil || id.String() != tt.want {
					t.Errorf("%s: %v, %v, want %s", tt.user, id, err, tt.want)
				}
			}
			id, err := d.VerifyPassword(t.Context(), adtest.Alice, alice)
			if err != nil {
				t.Fatal(err)
			}
			if string(id.SID) != dc.SID(t, adtest.Alice) || id.UPN != "alice@corp.test" || id.Mechanism != "LDAP" || id.DisplayName != "Alice Liddell" {
				t.Errorf("identity %+v", id)
			}
			want := []string{`BUILTIN\Users`, `CORP\Auditors`, `CORP\Domain Users`, `CORP\Finance`, `CORP\Payroll`, `CORP\Staff`, "Everyone", `NT AUTHORITY\Authenticated Users`}
			if got := names(id.Groups); !slices.Equal(got, want) {
				t.Errorf("groups\n%q, want\n%q", got, want)
			}
		})
	}
}

// Each way to find groups finds the same ones, in loops as well.
func TestDomainGroups(t *testing.T) {
	t.Parallel()
	dc := domainWithContent(t)
	refs := []directory.AccountRef{
		{Name: adtest.Alice}, {Name: `CORP\bob`}, {Name: "nobody"}, {Name: farUser}, {Name: oddLogin},
		{SID: authn.SID(dc.SID(t, adtest.Dave))}, {SID: "S-1-5-21-1-2-3-1000"}, {Name: `OTHER\alice`}, {Name: "*"},
		{Name: "Administrator"}, {Name: adtest.Payroll}, {Name: `corp.test\ALICE`, SID: authn.SID(dc.SID(t, adtest.Alice))}, {SID: "S-1-1"},
	}
	missing := []int{2, 6, 7, 8, 10, 12}
	loop := []string{`BUILTIN\Users`, `CORP\Domain Users`, `CORP\Loop A`, `CORP\Loop B`, "Everyone", `NT AUTHORITY\Authenticated Users`}
	for name, lookup := range map[string]GroupLookup{"auto": GroupsAuto, "memberOf": GroupsByMemberOf, "chain": GroupsByChain} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := domainConfig(t, dc)
			cfg.Groups = lookup
			d := newDirectory(t, cfg)
			many, err := d.Accounts(t.Context(), refs)
			if err != nil {
				t.Fatal(err)
			}
			for i, ref := range refs {
				one, err := d.Account(t.Context(), ref)
				if slices.Contains(missing, i) {
					if !errors.Is(err, directory.ErrNotFound) || errors.Is(err, authn.ErrUnavailable) || many[i] != nil {
						t.Errorf("%v: %v, %v, want that it is not found", ref, many[i], err)
					}
					continue
				}
				if err != nil || many[i] == nil {
					t.Errorf("%v: %v, %v", ref, many[i], err)
					continue
				}
				if one.Name != many[i].Name || !slices.Equal(one.Groups, many[i].Groups) {
					t.Errorf("%v: alone %s %q, among others %s %q", ref, one.Name, names(one.Groups), many[i].Name, names(many[i].Groups))
				}
			}
			if got := names(many[3].Groups); !slices.Equal(got, loop) {
				t.Errorf("groups\n%q, want\n%q", got, loop)
			}
			odd := many[4]
			if odd.DisplayName != oddUser || odd.Email != "m@corp.test" || odd.Phone != "+49 1" || odd.Disabled || !odd.Expires.IsZero() || !strings.Contains(odd.DN, "OU=Away") {
				t.Errorf("account %+v", odd)
			}
			if !many[5].Disabled || many[5].Name != `CORP\dave` {
				t.Errorf("account %+v", many[5])
			}
		})
	}
}

func TestDomainGroup(t *testing.T) {
	t.Parallel()
	dc := domainWithContent(t)
	d := newDirectory(t, domainConfig(t, dc))
	sid := authn.SID(dc.SID(t, adtest.Payroll))
	for range 2 { // the second time from memory
		for _, tt := range []struct {
			what, name string
			sid        authn.SID
		}{
			{`CORP\Payroll`, `CORP\Payroll`, sid},
			{`payroll`, `CORP\Payroll`, sid},
			{`corp.test\PAYROLL`, `CORP\Payroll`, sid},
			{string(sid), `CORP\Payroll`, sid},
			{"cn=payroll,cn=users,dc=corp,dc=test", `CORP\Payroll`, sid},
			{"everyone", "Everyone", "S-1-1-0"},
			{`builtin\administrators`, `BUILTIN\Administrators`, "S-1-5-32-544"},
			{"S-1-5-32-545", `BUILTIN\Users`, "S-1-5-32-545"},
			{"Authenticated Users", `NT AUTHORITY\Authenticated Users`, "S-1-5-11"},
			{`OTHER\Payroll`, "", ""},
			{"alice", "", ""},
			{mailList, "", ""},
			{"Pay*", "", ""},
			{"", "", ""},
			{"CN=Nobody,DC=corp,DC=test", "", ""},
			{"S-1-5-21-1-2-3-4", "", ""},
		} {
			g, err := d.Group(t.Context(), tt.what)
			if tt.name == "" {
				if g != nil || !errors.Is(err, directory.ErrNotFound) {
					t.Errorf("%q: %v, %v, want that it is not found", tt.what, g, err)
				}
				continue
			}
			if err != nil || g.Name != tt.name || g.SID != tt.sid {
				t.Errorf("%q: %+v, %v, want %s", tt.what, g, err, tt.name)
			}
		}
	}
}

// dnOf returns the DN of a user.
func dnOf(t *testing.T, dc *adtest.DC, user string) string {
	t.Helper()
	a, err := newDirectory(t, domainConfig(t, dc)).Account(t.Context(), directory.AccountRef{Name: user})
	if err != nil {
		t.Fatal(err)
	}
	return a.DN
}

func TestDomainResolveSID(t *testing.T) {
	t.Parallel()
	dc := domainWithContent(t)
	d := newDirectory(t, domainConfig(t, dc))
	var _ authz.Resolver = d
	for what, want := range map[string]string{
		`CORP\Payroll`:                        dc.SID(t, adtest.Payroll),
		"CN=Payroll,CN=Users,DC=corp,DC=test": dc.SID(t, adtest.Payroll),
		`CORP\alice`:                          dc.SID(t, "alice"),
		`corp.test\ALICE`:                     dc.SID(t, "alice"),
		dnOf(t, dc, adtest.Alice):             dc.SID(t, "alice"), // found groups only
		`OTHER\alice`:                         "",
		`CORP\nobody`:                         "",
		`OTHER\Payroll`:                       "",
		"CN=Nobody,DC=corp,DC=test":           "",
	} {
		if sid, err := d.ResolveSID(t.Context(), what); err != nil || string(sid) != want {
			t.Errorf("%s: %q, %v, want %q", what, sid, err, want)
		}
	}
}

func TestDomainPages(t *testing.T) {
	t.Parallel()
	dc := domainWithContent(t)
	for name, cfg := range map[string]DirectoryConfig{"TLS": domainConfig(t, dc), "sealed": sealedConfig(t, dc, "ldap")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, size := 0, 0
			err := newDirectory(t, cfg).pool.run(t.Context(), func(ctx context.Context, c *Conn) error {
				return c.SearchPages(ctx, Search{Base: "CN=Configuration,DC=corp,DC=test"}, func(e Entry) error {
					n++
					for _, values := range e.values {
						size += len(strings.Join(values, ""))
					}
					return nil
				})
			})
			if err != nil || n <= 2*pageSize || size < 1_000_000 {
				t.Errorf("%d entries of %d bytes, %v, want more than two pages", n, size, err)
			}
		})
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	dc := domainWithContent(t)
	for name, cfg := range map[string]DirectoryConfig{"TLS": domainConfig(t, dc), "sealed": sealedConfig(t, dc, "ldap")} {
		if err := newDirectory(t, cfg).Ping(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		cfg.BaseDN = "OU=Nowhere,DC=corp,DC=test"
		if err := newDirectory(t, cfg).Ping(t.Context()); !errors.Is(err, authn.ErrUnavailable) || !strings.Contains(err.Error(), "base DN") {
			t.Errorf("%s, wrong base: %v", name, err)
		}
		cfg.Domain = "other.test"
		if err := newDirectory(t, cfg).Ping(t.Context()); !errors.Is(err, authn.ErrUnavailable) {
			t.Errorf("%s, another domain: %v", name, err)
		}
		cfg.BindPassword = authn.NewSecret(marked)
		if err := newDirectory(t, cfg).Ping(t.Context()); !errors.Is(err, authn.ErrUnavailable) || strings.Contains(err.Error(), marked) {
			t.Errorf("%s, wrong password: %v", name, err)
		}
	}
}

// The domain's own DNS names the controller.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	dc := domainWithContent(t)
	for name, cfg := range map[string]DirectoryConfig{"TLS": domainConfig(t, dc), "sealed": sealedConfig(t, dc, "ldap")} {
		cfg.URLs = nil
		cfg.Dialer = dialerTo{dc.IP}
		cfg.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(dc.IP, "53"))
		}}
		d := newDirectory(t, cfg)
		if id, err := d.VerifyPassword(t.Context(), adtest.Alice, adtest.Password(t, adtest.Alice)); err != nil || id.String() != `CORP\alice` {
			t.Errorf("%s: %v, %v", name, id, err)
		}
	}
}
