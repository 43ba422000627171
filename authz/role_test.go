package authz

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
)

// book is a directory in memory.
type book struct {
	mu    sync.Mutex
	sids  map[string]authn.SID // by name as written
	err   error
	calls int
}

func (b *book) ResolveSID(_ context.Context, name string) (authn.SID, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	for known, sid := range b.sids {
		if strings.EqualFold(known, name) {
			return sid, b.err
		}
	}
	return "", b.err
}

func (b *book) set(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *book) asked() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls
}

const (
	payrollSID authn.SID = "S-1-5-21-1-2-3-2000"
	staffSID   authn.SID = "S-1-5-21-1-2-3-2001"
	aliceSID   authn.SID = "S-1-5-21-1-2-3-1104"
)

// The same caller as NTLM, Kerberos and an LDAP server know her.
func ntlmAlice() *authn.Identity {
	return &authn.Identity{
		Account: "alice", Domain: "CORP", UPN: "alice@corp.test", SID: aliceSID, Mechanism: authn.MechanismNTLM,
		Groups: []authn.Group{{SID: payrollSID, Name: `CORP\Payroll`}, {SID: staffSID, Name: `CORP\Staff`}, {SID: "S-1-5-32-544", Name: `BUILTIN\Administrators`}},
	}
}

func kerberosAlice() *authn.Identity {
	return &authn.Identity{
		Account: "alice", Domain: "CORP.TEST", SID: aliceSID, Mechanism: authn.MechanismKerberos,
		Groups: []authn.Group{{SID: payrollSID}, {SID: staffSID}},
	}
}

func ldapAlice() *authn.Identity {
	return &authn.Identity{
		Account: "alice", Groups: []authn.Group{{Name: "cn=Payroll, ou=Groups,dc=x"}, {Name: "editors"}},
		Claims: authn.Claims{"department": {"sales", "marketing"}},
	}
}

func newRoles(t testing.TB, roles map[string]Role, r Resolver) (*Roles, *bytes.Buffer) {
	t.Helper()
	log := new(bytes.Buffer)
	rs, err := NewRoles(Config{Roles: roles, Resolver: r, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return rs, log
}

func TestRoles(t *testing.T) {
	t.Parallel()
	const payrollDN = "CN=Payroll,OU=Groups,DC=corp,DC=test"
	dir := &book{sids: map[string]authn.SID{
		`CORP\Payroll`: payrollSID, payrollDN: payrollSID, `CORP\alice`: aliceSID, `CORP\Other`: "S-1-5-21-1-2-3-9",
		"CN=Alice,DC=corp,DC=test": aliceSID,
	}}
	roles := map[string]Role{
		"by name":   {Groups: []string{`corp\PAYROLL`, `CORP\Payroll`}},
		"by sid":    {Groups: []string{"s-1-5-21-1-2-3-2000"}},
		"by dn":     {Groups: []string{payrollDN}},
		"ldap":      {Groups: []string{"CN=payroll,OU=groups, DC=X"}},
		"plain":     {Groups: []string{"Editors"}},
		"user":      {Users: []string{`CORP\alice`}},
		"user sid":  {Users: []string{string(aliceSID)}},
		"user upn":  {Users: []string{"Alice@Corp.test"}},
		"user dn":   {Users: []string{"CN=Alice,DC=corp,DC=test"}},
		"user bare": {Users: []string{"alice"}},
		"claim":     {Claims: map[string][]string{"department": {"law", "sales"}}},
		"holds":     {Roles: []string{"by sid", "plain"}},
		"deep":      {Roles: []string{"holds"}},
		"circle a":  {Roles: []string{"circle b"}, Groups: []string{`CORP\Other`}},
		"circle b":  {Roles: []string{"circle c"}},
		"circle c":  {Roles: []string{"circle a", "by sid"}},
		"lonely":    {Roles: []string{"lonely"}},
		"admins":    {Groups: []string{`builtin\administrators`}},
		"world":     {Groups: []string{"Everyone"}},
		"world sid": {Groups: []string{"S-1-1-0"}},
		"logged in": {Groups: []string{"Authenticated Users"}},
		"other":     {Groups: []string{`CORP\Other`}},
		"empty":     {},
	}
	rs, _ := newRoles(t, roles, dir)
	guest := &authn.Identity{Account: "Guest", Domain: "CORP", SID: "S-1-5-21-1-2-3-501"}
	callers := []struct {
		name string
		id   *authn.Identity
		has  string
	}{
		{"NTLM", ntlmAlice(), "by name,by sid,by dn,user,user sid,user upn,user dn,holds,deep,circle a,circle b,circle c,admins,world,world sid,logged in"},
		{"Kerberos", kerberosAlice(), "by name,by sid,by dn,user,user sid,user dn,holds,deep,circle a,circle b,circle c,world,world sid,logged in"},
		{"LDAP", ldapAlice(), "ldap,plain,user bare,claim,holds,deep,world,world sid,logged in"},
		{"guest", guest, "world,world sid"},
		{"nobody", nil, ""},
		{"Windows' nobody", &authn.Identity{SID: "S-1-5-7", Groups: []authn.Group{{SID: payrollSID}}}, ""},
	}
	for _, c := range callers {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := map[string]bool{}
			for _, r := range strings.Split(c.has, ",") {
				want[r] = true
			}
			for name := range roles {
				for _, spelling := range []string{name, strings.ToUpper(name)} {
					got, err := rs.Has(t.Context(), c.id, spelling)
					if err != nil || got != want[name] {
						t.Errorf("%s: %v, %v; want %v", spelling, got, err, want[name])
					}
				}
			}
			of, err := rs.Of(t.Context(), c.id)
			if err != nil || len(of) != len(want)-btoi(want[""]) {
				t.Errorf("Of = %q, %v; want %s", of, err, c.has)
			}
			for _, builtin := range []struct {
				name string
				want bool
			}{{"any", c.has != ""}, {"Anonymous", c.has == ""}} {
				if got, err := rs.Has(t.Context(), c.id, builtin.name); got != builtin.want || err != nil {
					t.Errorf("%s: %v, %v; want %v", builtin.name, got, err, builtin.want)
				}
			}
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Groups can be asked for without a role.
func TestRolesAskForGroup(t *testing.T) {
	t.Parallel()
	dir := &book{sids: map[string]authn.SID{`CORP\Payroll`: payrollSID, `CORP\Nobody`: "S-1-5-21-1-2-3-3"}}
	tests := []struct {
		group          string
		ntlm, kerberos bool
	}{
		{string(payrollSID), true, true},
		{`CORP\Payroll`, true, true},
		{`corp\staff`, true, false}, // the book does not have it
		{`CORP\Nobody`, false, false},
		{"S-1-5-21-1-2-3-99", false, false},
		{"Everyone", true, true},
		{`BUILTIN\Administrators`, true, false},
		{"S-1-5-32-544", true, false},
		{"S-1-5-21-not-a-sid", false, false},
	}
	rs, _ := newRoles(t, nil, dir)
	for _, tt := range tests {
		for _, c := range []struct {
			id   *authn.Identity
			want bool
		}{{ntlmAlice(), tt.ntlm}, {kerberosAlice(), tt.kerberos}, {nil, false}} {
			if got, err := rs.Has(t.Context(), c.id, tt.group); got != c.want || err != nil {
				t.Errorf("%s in %q: %v, %v; want %v", c.id, tt.group, got, err, c.want)
			}
		}
	}
}

// resolverOf is a Resolver.
type resolverOf func(name string) (authn.SID, error)

func (f resolverOf) ResolveSID(_ context.Context, name string) (authn.SID, error) { return f(name) }

// An authority that chooses names freely does not choose who is of the domain.
func TestAttackNamesOfAnotherAuthority(t *testing.T) {
	t.Parallel()
	rs, _ := newRoles(t, map[string]Role{
		"user": {Users: []string{`CORP\alice`}}, "upn": {Users: []string{"alice@corp.test"}}, "bare": {Users: []string{"alice"}},
	}, nil)
	for _, id := range []*authn.Identity{
		{Account: `CORP\alice`},
		{Account: `alice@corp.test`},
		{Domain: "EVIL", Account: `CORP\alice`},
		{Domain: "EVIL", Account: "alice"},
		{Domain: "EVIL", Account: "alice@corp.test"},
		{Account: "ali\u0000ce"},
		{Account: "x", DisplayName: `CORP\alice`, Claims: authn.Claims{"name": {`CORP\alice`}}},
	} {
		if of, err := rs.Of(t.Context(), id); len(of) > 0 || err != nil {
			t.Errorf("%q in %q has %q, %v", id.Account, id.Domain, of, err)
		}
	}
}

// Names that somebody chose who wants to pass for another, at an authority that
// lets people choose: letters whose capitals are ASCII, space, and names that are
// distinguished names of a directory.
func TestAttackChosenNames(t *testing.T) {
	t.Parallel()
	rs, _ := newRoles(t, map[string]Role{
		"user": {Users: []string{"admin", "smith"}}, "dn": {Users: []string{"CN=Boss,DC=corp,DC=test"}},
		"group": {Groups: []string{"admins", "staff"}}, "upn": {Users: []string{"smith@corp.test"}},
	}, nil)
	for _, id := range []*authn.Identity{
		{Account: "admın"},
		{Account: "ſmith"},
		{Account: "admİn"},
		{Account: "admin\u00a0"},
		{Account: " admin"},
		{Account: "x", UPN: "ſmith@corp.test"},
		{Account: "x", UPN: "smith@corp.test\u2003"},
		{Account: "cn=boss,dc=corp,dc=test"},
		{Account: "CN = Boss, DC = corp, DC = test"},
		{Account: "x", Groups: []authn.Group{{Name: "admıns"}, {Name: "ſtaff"}, {Name: "staff\u00a0"}, {Name: "\u2003admins"}}},
	} {
		if of, err := rs.Of(t.Context(), id); len(of) > 0 || err != nil {
			t.Errorf("%+q with %+q has %q, %v", id.Account, id.Groups, of, err)
		}
		for _, group := range []string{"admins", "staff"} {
			if ok, err := rs.Has(t.Context(), id, group); ok || err != nil {
				t.Errorf("%+q with %+q is in %q, %v", id.Account, id.Groups, group, err)
			}
		}
	}
}

func TestNewRolesErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		roles map[string]Role
		want  string
	}{
		{"unknown role in a role", map[string]Role{"payroll": {}, "a": {Roles: []string{"payrol"}, Source: "gw.yaml:3"}}, `gw.yaml:3: role "a": it holds the role "payrol", which does not exist (did you mean "payroll"?)`},
		{"built in", map[string]Role{"Any": {}}, "built in"},
		{"like a group", map[string]Role{`CORP\Payroll`: {}}, "form of a group"},
		{"like a SID", map[string]Role{"S-1-1-0": {}}, "form of a group"},
		{"well known", map[string]Role{"everyone": {}}, "form of a group"},
		{"twice", map[string]Role{"a": {}, "A": {}}, "has the name of"},
		{"no name", map[string]Role{" ": {}}, "no name"},
		{"empty group", map[string]Role{"a": {Groups: []string{""}}}, "empty"},
		{"empty user", map[string]Role{"a": {Users: []string{" "}}}, "empty"},
	}
	for _, tt := range tests {
		_, err := NewRoles(Config{Roles: tt.roles})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestFoldDN(t *testing.T) {
	t.Parallel()
	same := [][2]string{
		{"CN=A,DC=x", "cn = a , dc=X"},
		{`CN=Pay\, Roll,DC=x`, `cn=Pay\2c Roll,dc=x`},
		{`CN=a\=b,DC=x`, `CN=a=b,DC=x`},
		{`CN=ä,DC=x`, `CN=\c3\84,DC=x`},
	}
	for _, s := range same {
		a, ok1 := foldDN(s[0])
		b, ok2 := foldDN(s[1])
		if !ok1 || !ok2 || a != b {
			t.Errorf("%s: %q %v, %s: %q %v; want the same", s[0], a, ok1, s[1], b, ok2)
		}
	}
	different := [][2]string{
		{`CN=a\,DC=x`, "CN=a,DC=x"}, {`CN=a,CN=b,DC=x`, `CN=a\,CN=b,DC=x`}, {`CN=\ a,DC=x`, "CN=a,DC=x"}, {"CN=a+CN=b", "CN=a,CN=b"},
	}
	for _, s := range different {
		if a, _ := foldDN(s[0]); func() bool { b, _ := foldDN(s[1]); return a == b }() {
			t.Errorf("%s and %s are the same: %q", s[0], s[1], a)
		}
	}
	for _, bad := range []string{"", "a", "=x", "CN", "CN=a,", `CN=a\`, "CN=a,b", `CORP\x=y`, `CN=\ff,DC=x`} {
		if got, ok := foldDN(bad); ok {
			t.Errorf("%q is taken for %q", bad, got)
		}
	}
}

func TestOfName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{`CORP\Payroll`, ` CORP\x `, "ÄRGER", "K", "ſ", "cn=A, dc=b", strings.Repeat("X", 100), "", "\x01a\x01"} {
		if got := ofName(map[string][]int32{nameKey(name): {7}}, name); len(got) != 1 {
			t.Errorf("%q is not found by its key %q", name, nameKey(name))
		}
	}
}

// An identity is forgotten with its connection or session.
func TestMembersAreForgotten(t *testing.T) {
	t.Parallel()
	rs, _ := newRoles(t, map[string]Role{"a": {Groups: []string{string(payrollSID)}}}, nil)
	kept := ntlmAlice()
	for range 100 {
		for _, id := range []*authn.Identity{kept, ntlmAlice()} {
			if ok, _ := rs.Has(t.Context(), id, "a"); !ok {
				t.Fatal("no")
			}
		}
	}
	deadline := time.Now().Add(20 * time.Second)
	for rs.members.size() > 1 {
		if time.Now().After(deadline) {
			t.Fatalf("%d identities are remembered, want one", rs.members.size())
		}
		runtime.GC()
		runtime.Gosched()
	}
	if rs.members.get(kept) == nil {
		t.Error("the one in use was forgotten")
	}
	runtime.KeepAlive(kept)
}

// A variable of a package is an identity, too.
var fixed = authn.Identity{Account: "fixed", Groups: []authn.Group{{SID: payrollSID}}}

func TestRolesOfVariable(t *testing.T) {
	t.Parallel()
	rs, _ := newRoles(t, map[string]Role{"a": {Groups: []string{string(payrollSID)}}}, nil)
	for range 2 {
		if ok, err := rs.Has(t.Context(), &fixed, "a"); !ok || err != nil {
			t.Errorf("%v, %v", ok, err)
		}
	}
}

func TestIsInRole(t *testing.T) {
	t.Parallel()
	rs, _ := newRoles(t, map[string]Role{"a": {Groups: []string{string(payrollSID)}}}, nil)
	ctx := authn.NewContext(t.Context(), ntlmAlice())
	if _, err := IsInRole(ctx, "a"); err == nil {
		t.Error("no roles in the context: want an error")
	}
	if ok, err := IsInRole(NewContext(ctx, rs), "a"); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	if !rs.HasRole(ctx, "a") || rs.HasRole(ctx, "b") || rs.HasRole(t.Context(), "a") {
		t.Error("HasRole is wrong")
	}
}

// Roles that an operator granted count as if the table listed the user, with the
// roles above them, and need no table at all. They never make somebody a member
// of a group.
func TestGrantedRoles(t *testing.T) {
	t.Parallel()
	rs, err := NewRoles(Config{Roles: map[string]Role{
		"editor": {Users: []string{`CORP\bob`}},
		"staff":  {Roles: []string{"editor"}},
		"other":  {},
	}})
	if err != nil {
		t.Fatal(err)
	}
	id := &authn.Identity{Account: "alice", Domain: "CORP", Roles: []string{"EDITOR", "reader", `CORP\Payroll`, "S-1-5-32-544", Anonymous, groupRole(parseGroup(`CORP\Payroll`))}}
	for name, want := range map[string]bool{
		"editor": true, "staff": true, "other": false, "Reader": true, "unknown": false,
		`CORP\Payroll`: false, "S-1-5-32-544": false, `BUILTIN\Administrators`: false, Anonymous: false,
	} {
		if got, err := rs.Has(t.Context(), id, name); got != want || err != nil {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
	if of, err := rs.Of(t.Context(), id); err != nil || fmt.Sprint(of) != "[editor staff]" {
		t.Errorf("roles %v, %v", of, err)
	}
	policy, err := NewPolicy(PolicyConfig{Roles: rs, Root: &Element{Name: "all", Allow: []Rule{{Roles: []string{`CORP\Payroll`}}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := policy.Decide(t.Context(), &Request{Identity: id, Method: "GET", Path: "/"}); err == nil {
		t.Error("a granted role stands for a group in a rule")
	}
}

// 29x. A claim that counts of one provider is said by another one.
func TestAttackClaimOfAnotherProvider(t *testing.T) {
	t.Parallel()
	rs, err := NewRoles(Config{Roles: map[string]Role{
		"chiefs": {ClaimsOf: []DomainClaim{{"It", "groups", "gw"}}},
		"above":  {Roles: []string{"chiefs"}},
		"either": {Claims: map[string][]string{"groups": {"gw"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		domain string
		claims authn.Claims
		want   string
	}{
		{"it", authn.Claims{"groups": {"x", "gw"}}, "[above chiefs either]"},
		{"IT", authn.Claims{"groups": {"gw"}}, "[above chiefs either]"},
		{"partners", authn.Claims{"groups": {"gw"}, "it": {"gw"}, "It groups": {"gw"}, "\x00it\x00groups": {"gw"}}, "[either]"},
		{"", authn.Claims{"groups": {"gw"}}, "[either]"},
		{"it", authn.Claims{"groups": {"GW"}, "Groups": {"gw"}}, "[]"},
	} {
		if got, err := rs.Of(t.Context(), &authn.Identity{Account: "eve", Domain: tt.domain, Claims: tt.claims}); err != nil || fmt.Sprint(got) != tt.want {
			t.Errorf("%s, %v: %v, %v, want %s", tt.domain, tt.claims, got, err, tt.want)
		}
	}
	if _, err := NewRoles(Config{Roles: map[string]Role{"x": {ClaimsOf: []DomainClaim{{"", "groups", "gw"}}}}}); err == nil {
		t.Error("a claim of no domain")
	}
}
