package computer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory/ldap"
)

const gatewaysDN = "OU=Gateways,DC=corp,DC=test"

// fakeDirectory is a directory with one organizational unit that refuses what a
// test wants it to. It stands for what Windows does and Samba does not.
type fakeDirectory struct {
	entries map[string]map[string][]string // by DN, then attribute
	refuse  func(op string, values map[string][]string) error
	writes  []string // "add dNSHostName,..." and so on, those that were granted
	lose    bool     // the answer to the next write is lost
	loseAll bool     // nothing is answered any more
}

func newFakeDirectory() *fakeDirectory {
	return &fakeDirectory{
		entries: map[string]map[string][]string{
			"":                {"defaultNamingContext": {"DC=corp,DC=test"}, "configurationNamingContext": {"CN=Configuration,DC=corp,DC=test"}, "dnsHostName": {"dc1.corp.test"}},
			gatewaysDN:        {"objectClass": {"top", "organizationalUnit"}, "allowedChildClassesEffective": {"computer"}},
			"DC=corp,DC=test": {"objectClass": {"domain"}, "ms-DS-MachineAccountQuota": {"10"}},
			"CN=CORP,CN=Partitions,CN=Configuration,DC=corp,DC=test": {"nCName": {"DC=corp,DC=test"}, "nETBIOSName": {"CORP"}},
		},
		refuse: func(string, map[string][]string) error { return nil },
	}
}

// Search knows the filters of this package.
func (d *fakeDirectory) Search(_ context.Context, s ldap.Search) ([]ldap.Entry, error) {
	if d.loseAll {
		return nil, errLost
	}
	entry := func(dn string) ldap.Entry {
		var as []ldap.Attribute
		for name, v := range d.entries[dn] {
			as = append(as, ldap.Attribute{Name: name, Values: v})
		}
		return ldap.NewEntry(dn, as...)
	}
	if s.Scope == ldap.BaseObject {
		if _, ok := d.entries[s.Base]; !ok {
			return nil, &ldap.Error{Op: "search", Code: 32, Name: "No Such Object"}
		}
		return []ldap.Entry{entry(s.Base)}, nil
	}
	var out []ldap.Entry
	for _, dn := range slices.Sorted(maps.Keys(d.entries)) {
		for name, values := range d.entries[dn] {
			for _, v := range values {
				if strings.Contains(strings.ToLower(s.Filter), strings.ToLower(ldap.Equal(name, v))) && !slices.ContainsFunc(out, func(e ldap.Entry) bool { return e.DN == dn }) {
					out = append(out, entry(dn))
				}
			}
		}
	}
	return out, nil
}

func (d *fakeDirectory) write(op, dn string, values map[string][]string, do func()) error {
	if d.loseAll {
		return errLost
	}
	if err := d.refuse(op, values); err != nil {
		return err
	}
	do()
	d.writes = append(d.writes, op+" "+strings.Join(slices.Sorted(maps.Keys(values)), ","))
	if d.lose {
		d.loseAll = true
		return errLost
	}
	return nil
}

func (d *fakeDirectory) Add(_ context.Context, dn string, attributes ...ldap.Attribute) error {
	values := map[string][]string{attrKVNO: {"1"}}
	for _, a := range attributes {
		values[a.Name] = a.Values
	}
	if _, there := d.entries[dn]; there {
		return &ldap.Error{Op: "add", DN: dn, Code: 68, Name: "Entry Already Exists"}
	}
	return d.write("add", dn, values, func() { d.entries[dn] = values })
}

func (d *fakeDirectory) Modify(_ context.Context, dn string, changes ...ldap.Change) error {
	values := map[string][]string{}
	for _, c := range changes {
		a, insert := c.Attribute()
		values[a.Name] = a.Values
		if insert {
			values[a.Name] = append(slices.Clone(d.entries[dn][a.Name]), a.Values...)
		}
	}
	return d.write("modify", dn, values, func() { maps.Copy(d.entries[dn], values) })
}

func (d *fakeDirectory) Delete(_ context.Context, dn string) error {
	return d.write("delete", dn, nil, func() { delete(d.entries, dn) })
}

func (d *fakeDirectory) Close() error { return nil }

// account returns what the directory has.
func (d *fakeDirectory) account() map[string][]string { return d.entries["CN=GW01,"+gatewaysDN] }

func (d *fakeDirectory) password() string {
	v := d.account()[attrPassword]
	if len(v) == 0 {
		return ""
	}
	return strings.ReplaceAll(strings.Trim(v[0], "\"\x00"), "\x00", "")
}

// joiner makes GW01 in the directory.
func joiner(t *testing.T, d *fakeDirectory, f SecretFile, spns ...string) *Joiner {
	t.Helper()
	p, err := NewPlan(t.Context(), d, Account{Name: "GW01", Domain: "corp.test", SPNs: spns}, gatewaysDN)
	if err != nil {
		t.Fatal(err)
	}
	return &Joiner{Plan: p, File: f, Directory: d, LogIn: func(_ context.Context, p authn.Secret) (Directory, error) {
		if d.loseAll {
			return nil, errLost
		}
		if p.Reveal() != d.password() {
			return nil, &authn.RefusedError{Reason: authn.ReasonWrongPassword}
		}
		return &selfDirectory{d}, nil
	}}
}

// selfDirectory is the directory for the account itself: it may write its host
// name and the service names of its own host (MS-ADTS 3.1.1.5.3.1.1).
type selfDirectory struct{ *fakeDirectory }

func (s *selfDirectory) Modify(ctx context.Context, dn string, changes ...ldap.Change) error {
	old := s.refuse
	defer func() { s.refuse = old }()
	s.refuse = func(_ string, values map[string][]string) error {
		for name, v := range values {
			if name == attrEncTypes || name == attrControl || slices.ContainsFunc(v, func(s string) bool { return strings.Contains(s, "hr.corp.test") }) {
				return denied
			}
		}
		return nil
	}
	return s.fakeDirectory.Modify(ctx, dn, changes...)
}

var (
	denied    = &ldap.Error{Op: "add", Code: 50, Name: "Insufficient Access Rights", Detail: "00002098: no"}
	unwilling = &ldap.Error{Op: "add", Code: 53, Name: "Unwilling To Perform", Detail: "0000052D: no"}
)

func newSecretPath(t *testing.T) SecretFile {
	t.Helper()
	return SecretFile(filepath.Join(t.TempDir(), "gw01.secret"))
}

func TestCreate(t *testing.T) {
	t.Parallel()
	without := func(err error, names ...string) func(string, map[string][]string) error {
		return func(_ string, values map[string][]string) error {
			for _, n := range names {
				if _, ok := values[n]; ok {
					return err
				}
			}
			return nil
		}
	}
	const all = "add dNSHostName,msDS-KeyVersionNumber,msDS-SupportedEncryptionTypes,objectClass,sAMAccountName,servicePrincipalName,unicodePwd,userAccountControl"
	for _, tt := range []struct {
		name   string
		refuse func(op string, values map[string][]string) error
		spns   []string
		writes []string // the first of them
		left   []string // what an administrator has to do, on Windows
	}{
		{name: "all at once", writes: []string{all}},
		{
			name: "no encryption types", refuse: without(denied, attrEncTypes),
			writes: []string{strings.Replace(all, "msDS-SupportedEncryptionTypes,", "", 1)},
			left:   []string{"Set-ADComputer GW01 -KerberosEncryptionType AES128,AES256"},
		},
		{
			name: "account and password only", refuse: without(denied, attrEncTypes, attrSPN, attrHost), spns: []string{"HTTP/hr.corp.test"},
			writes: []string{"add msDS-KeyVersionNumber,objectClass,sAMAccountName,unicodePwd,userAccountControl", "modify dNSHostName", "modify servicePrincipalName"},
			left:   []string{"Set-ADComputer GW01 -KerberosEncryptionType AES128,AES256", "setspn -S HTTP/hr.corp.test GW01"},
		},
		{
			name: "password later", refuse: func(op string, values map[string][]string) error {
				if op == "add" && (values[attrPassword] != nil || values[attrControl][0] == "4096") {
					return unwilling
				}
				return nil
			},
			writes: []string{
				"add msDS-KeyVersionNumber,objectClass,sAMAccountName,userAccountControl", "modify unicodePwd", "modify userAccountControl",
				"modify dNSHostName", "modify msDS-SupportedEncryptionTypes", "modify servicePrincipalName",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, f := newFakeDirectory(), newSecretPath(t)
			if tt.refuse != nil {
				d.refuse = tt.refuse
			}
			m, err := joiner(t, d, f, tt.spns...).Create(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !m.Created || m.Resumed || m.Password.Reveal() != d.password() || m.Entry.DN != "CN=GW01,"+gatewaysDN {
				t.Errorf("%+v, password %q", m, d.password())
			}
			if len(d.writes) < len(tt.writes) || !slices.Equal(d.writes[:len(tt.writes)], tt.writes) {
				t.Errorf("writes %q, want %q", d.writes, tt.writes)
			}
			var left []string
			for _, l := range m.Left {
				if l.Why == nil || l.Samba == "" {
					t.Errorf("left without a reason or a command: %+v", l)
				}
				left = append(left, l.Windows)
			}
			if !slices.Equal(left, tt.left) {
				t.Errorf("left %q, want %q", left, tt.left)
			}
			if got := d.account()[attrControl][0]; got != "4096" {
				t.Errorf("account control %s", got)
			}
			if got := reveal(t, f); !slices.Equal(got, []string{d.password()}) {
				t.Errorf("the file has %q", got)
			}
		})
	}
}

func TestCreateRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		refuse func(op string, values map[string][]string) error
		want   error
		text   string
	}{
		{"no right", func(string, map[string][]string) error { return denied }, ErrDenied, "insufficient access rights"},
		{"quota", func(string, map[string][]string) error {
			return &ldap.Error{Op: "add", Code: 53, Name: "Unwilling To Perform", Detail: "0000216D: quota"}
		}, ldap.ErrUnwilling, "0000216D"},
		{"taken meanwhile", func(string, map[string][]string) error { return &ldap.Error{Op: "add", Code: 68, Name: "exists"} }, ErrTaken, "exists"},
		{"no way to set the password", func(_ string, v map[string][]string) error {
			if v[attrPassword] != nil {
				return unwilling
			}
			return nil
		}, ldap.ErrUnwilling, "0000052D"},
		{"nor to undo it", func(op string, v map[string][]string) error {
			if v[attrPassword] != nil || op == "delete" {
				return denied
			}
			return nil
		}, ErrDenied, "is left in the directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, f := newFakeDirectory(), newSecretPath(t)
			d.refuse = tt.refuse
			_, err := joiner(t, d, f).Create(t.Context())
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) || errors.Is(err, ErrUnsure) {
				t.Errorf("got %v, want %v, %q", err, tt.want, tt.text)
			}
			if d.account() != nil && !strings.Contains(tt.text, "left") {
				t.Error("half an account is left")
			}
			if got := names(t, f); !slices.Equal(got, []string{"gw01.secret.lock"}) {
				t.Errorf("files %q", got)
			}
		})
	}
}

func TestCreateExisting(t *testing.T) {
	t.Parallel()
	d, f := newFakeDirectory(), newSecretPath(t)
	if _, err := joiner(t, d, f).Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := d.password()
	if _, err := joiner(t, d, f).Create(t.Context()); !errors.Is(err, ErrFileExists) || !strings.Contains(err.Error(), string(f)) {
		t.Errorf("the file is there: %v", err)
	}
	other := newSecretPath(t)
	if _, err := joiner(t, d, other).Create(t.Context()); !errors.Is(err, ErrTaken) {
		t.Errorf("the account is there: %v", err)
	}
	if d.password() != before || len(names(t, other)) != 1 {
		t.Errorf("something was written: %q", names(t, other))
	}
	// A password that is pending, of an account that somebody else made.
	if err := other.write(other.next(), authn.NewSecret("mine")); err != nil {
		t.Fatal(err)
	}
	if _, err := joiner(t, d, other).Create(t.Context()); !errors.Is(err, ErrTaken) || d.password() != before {
		t.Errorf("another's account: %v", err)
	}
}

// A password that an interrupted run may have told the controller is kept,
// whatever a later one is told.
func TestPendingIsKept(t *testing.T) {
	t.Parallel()
	d, f := newFakeDirectory(), newSecretPath(t)
	if _, err := joiner(t, d, f).Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	j := joiner(t, d, f)
	j.testOnlyStep = func(step string) error {
		if step == "told" {
			return errKilled
		}
		return nil
	}
	if _, err := j.Reset(t.Context()); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	d.refuse = func(string, map[string][]string) error { return denied }
	if _, err := joiner(t, d, f).Reset(t.Context()); !errors.Is(err, ErrDenied) {
		t.Fatal(err)
	}
	if got := reveal(t, f); !slices.Contains(got, d.password()) {
		t.Errorf("the account is lost: the files have %q, in force is %q", got, d.password())
	}
}

// A process that dies while it makes or resets an account is run again.
func TestCreateKilled(t *testing.T) {
	t.Parallel()
	all := []string{"made", "told", "completed", "kept", "adopted", "lost"}
	for _, reset := range []bool{false, true} {
		for _, first := range all {
			for _, second := range append([]string{""}, all[:5]...) {
				t.Run(fmt.Sprintf("%v %s %s", reset, first, second), func(t *testing.T) {
					t.Parallel()
					d, f := newFakeDirectory(), newSecretPath(t)
					do := (*Joiner).Create
					if reset {
						do = (*Joiner).Reset
						if _, err := joiner(t, d, f).Create(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
					adopted := false
					kill := func(at string) {
						j := joiner(t, d, f)
						d.lose = at == "lost"
						j.testOnlyStep = func(step string) error {
							adopted = adopted || step == "adopted"
							if step == at {
								return errKilled
							}
							return nil
						}
						if _, err := do(j, t.Context()); !errors.Is(err, errKilled) && !errors.Is(err, ErrUnsure) && !adopted {
							t.Fatalf("at %q: %v", at, err)
						}
						d.lose, d.loseAll = false, false
						if p := d.password(); p != "" && !slices.Contains(reveal(t, f), p) {
							t.Fatalf("the account is lost: %q is in force, and the files have %q", p, reveal(t, f))
						}
					}
					kill(first)
					if second != "" && (reset || !adopted) {
						kill(second)
					}
					if !adopted || reset {
						m, err := do(joiner(t, d, f), t.Context())
						if err != nil || m.Password.Reveal() != d.password() {
							t.Fatalf("%+v, %v", m, err)
						}
					}
					if got := reveal(t, f)[0]; got != d.password() {
						t.Errorf("the file has %q, in force is %q", got, d.password())
					}
					if slices.Contains(names(t, f), "gw01.secret.new") {
						t.Error("a password that is pending is left")
					}
				})
			}
		}
	}
}

func TestResetRefused(t *testing.T) {
	t.Parallel()
	d, f := newFakeDirectory(), newSecretPath(t)
	if _, err := joiner(t, d, f).Reset(t.Context()); !errors.Is(err, ErrNoAccount) {
		t.Errorf("no account: %v", err)
	}
	if _, err := joiner(t, d, f).Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := d.password()
	d.refuse = func(string, map[string][]string) error { return denied }
	if _, err := joiner(t, d, f).Reset(t.Context()); !errors.Is(err, ErrDenied) {
		t.Errorf("denied: %v", err)
	}
	if got := reveal(t, f); !slices.Equal(got, []string{before}) {
		t.Errorf("the files have %q", got)
	}
	// An administrator disabled it: that stays.
	d.refuse = func(string, map[string][]string) error { return nil }
	d.account()[attrControl] = []string{"4098"}
	m, err := joiner(t, d, f).Reset(t.Context())
	if err != nil || len(m.Left) != 1 || !strings.Contains(m.Left[0].What, "disabled") || d.account()[attrControl][0] != "4098" {
		t.Errorf("disabled: %+v, %v", m, err)
	}
	if got := reveal(t, f); !slices.Equal(got, []string{d.password(), before}) {
		t.Errorf("the files have %q", got)
	}
}

func TestPlanRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		ou     string
		change func(d *fakeDirectory)
		a      Account
		want   error
	}{
		{name: "no such unit", ou: "OU=None,DC=corp,DC=test", want: ErrNoContainer},
		{name: "no DN", ou: "Gateways", want: ErrNoContainer},
		{name: "another domain", ou: "OU=Gateways,DC=evil,DC=test", want: ErrNoContainer},
		{name: "not a unit", ou: "DC=corp,DC=test", want: ErrNoContainer},
		{name: "name of something else", ou: gatewaysDN, change: func(d *fakeDirectory) {
			d.entries["CN=GW01,"+gatewaysDN] = map[string][]string{"objectClass": {"contact"}}
		}, want: ErrTaken},
		{name: "service name taken", ou: gatewaysDN, a: Account{SPNs: []string{"HTTP/hr.corp.test"}}, change: func(d *fakeDirectory) {
			d.entries["CN=svc-hr,DC=corp,DC=test"] = map[string][]string{attrSAM: {"svc-hr"}, attrSPN: {"http/HR.corp.test"}}
		}, want: ErrSPNTaken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newFakeDirectory()
			if tt.change != nil {
				tt.change(d)
			}
			tt.a.Name, tt.a.Domain = "GW01", "corp.test"
			if p, err := NewPlan(t.Context(), d, tt.a, tt.ou); !errors.Is(err, tt.want) {
				t.Errorf("%+v, %v, want %v", p, err, tt.want)
			}
			if len(d.writes) > 0 {
				t.Errorf("written: %q", d.writes)
			}
		})
	}
	if _, err := NewPlan(t.Context(), newFakeDirectory(), Account{Name: "GW01", Domain: "other.test"}, ""); err == nil || !strings.Contains(err.Error(), "not of other.test") {
		t.Errorf("controller of another domain: %v", err)
	}
}

// What an administrator is to paste must not run anything else.
func TestAttackCommandToPaste(t *testing.T) {
	t.Parallel()
	got := editCommand(`CN=GW01,OU=O'Brien$(id)`, attrHost, "gw01.corp.test")
	want := `printf '%s\n' 'dn: CN=GW01,OU=O'\''Brien$(id)' 'changetype: modify' 'replace: dNSHostName' 'dNSHostName: gw01.corp.test' | ldbmodify -H /var/lib/samba/private/sam.ldb`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
