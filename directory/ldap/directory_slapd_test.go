package ldap

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/internal/slapdtest"
)

var _ password.Verifier = (*Directory)(nil)

// ldif writes an entry. Lines are "name: value".
func ldif(dn string, lines ...string) string {
	var b strings.Builder
	for _, l := range append([]string{"dn: " + dn}, lines...) {
		name, value, _ := strings.Cut(l, ": ")
		fmt.Fprintf(&b, "%s:: %s\n", name, base64.StdEncoding.EncodeToString([]byte(value)))
	}
	return b.String() + "\n"
}

const (
	people = "ou=people," + slapdtest.BaseDN
	far    = "ou=far," + people
	staff  = "ou=groups," + slapdtest.BaseDN

	oddUID = `#m*)(uid=1,"+<ü日`
)

func person(parent, uid, pass string, more ...string) string {
	return ldif(Child("uid", uid, parent), append([]string{
		"objectClass: inetOrgPerson", "uid: " + uid, "cn: " + strings.ToUpper(uid), "sn: x",
		"mail: " + "mail@corp.test", "mobile: +49 1", "userPassword: " + pass,
	}, more...)...)
}

func unit(dn string) string {
	_, name, _ := strings.Cut(dn, "=")
	name, _, _ = strings.Cut(name, ",")
	return ldif(dn, "objectClass: organizationalUnit", "ou: "+name)
}

// startSlapd starts a server with the people and groups that tests use.
func startSlapd(t *testing.T) *slapdtest.Server {
	t.Helper()
	now := time.Now().UTC().Format("20060102150405Z")
	s := slapdtest.Start(t, slapdtest.Config{LDIF: unit(people) + unit(far) + unit(staff) +
		person(people, "reader", "reader-s3cret") +
		person(people, "alice", "alice-s3cret", "uid: alias", "objectClass: posixAccount", "uidNumber: 1", "gidNumber: 700", "homeDirectory: /") +
		person(far, "bob", "bob-s3cret") +
		person(far, oddUID, "odd-s3cret") +
		person(far, "zoë", "zoë-ß-s3cret") +
		person(people, "dave", "dave-s3cret", "pwdAccountLockedTime: 000001010000Z") +
		person(people, "locke", "locke-s3cret", "pwdAccountLockedTime: "+now) +
		person(people, "mike", "mike-s3cret", "pwdReset: TRUE") +
		person(people, "erin", "erin-s3cret", "objectClass: shadowAccount", "shadowExpire: 1") +
		person(people, "twin", "twin-s3cret") + person(far, "twin", "twin-s3cret") +
		ldif("uid=bare,"+people, "objectClass: account", "uid: bare")})
	of := func(uid string) string { return Child("uid", uid, people) }
	group := func(cn, class, attribute string, members ...string) string {
		lines := []string{"objectClass: " + class, "cn: " + cn}
		for _, m := range members {
			lines = append(lines, attribute+": "+m)
		}
		return ldif(Child("cn", cn, staff), lines...)
	}
	in := func(cn string) string { return Child("cn", cn, staff) }
	s.Add(t, group("payroll", "groupOfNames", "member", of("alice"))+
		group("finance", "groupOfNames", "member", in("payroll"))+
		group("auditors", "groupOfUniqueNames", "uniqueMember", in("finance"))+
		ldif(in("primary"), "objectClass: posixGroup", "cn: primary", "gidNumber: 700")+
		ldif(in("unix"), "objectClass: posixGroup", "cn: unix", "gidNumber: 701", "memberUid: alice", "memberUid: bob")+
		group("loop a", "groupOfNames", "member", Child("uid", oddUID, far), in("loop b"))+
		group("loop b", "groupOfNames", "member", in("loop a"))+
		group(`gr,ü+"pp*`, "groupOfNames", "member", Child("uid", oddUID, far)))
	return s
}

func slapdConfig(s *slapdtest.Server) DirectoryConfig {
	return DirectoryConfig{
		Kind: Standard, URLs: []string{s.URL}, BaseDN: people, GroupBase: staff, Filter: "(uid={user})",
		BindUser: "uid=reader," + people, BindPassword: authn.NewSecret("reader-s3cret"), Roots: s.Roots(),
	}
}

func TestStandard(t *testing.T) {
	t.Parallel()
	s := startSlapd(t)
	startTLS := slapdConfig(s)
	startTLS.URLs = []string{s.Plain}
	plain := startTLS
	plain.AllowInsecurePlain = true
	anonymous := slapdConfig(s)
	anonymous.BindUser, anonymous.BindPassword = "", authn.Secret{}
	for name, cfg := range map[string]DirectoryConfig{"ldaps": slapdConfig(s), "StartTLS": startTLS, "plain": plain, "anonymous": anonymous} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDirectory(t, cfg)
			for _, tt := range []struct {
				user, password, want string
				reason               authn.Reason
			}{
				{"alice", "alice-s3cret", "alice", ""},
				{"ALICE", "alice-s3cret", "alice", ""},
				{"alias", "alice-s3cret", "alice", ""},
				{"bob", "bob-s3cret", "bob", ""},
				{"zoë", "zoë-ß-s3cret", "zoë", ""},
				{oddUID, "odd-s3cret", oddUID, ""},
				{"alice", "wrong", "", authn.ReasonWrongPassword},
				{"nobody", "wrong", "", authn.ReasonUnknownUser},
				{`CORP\alice`, "alice-s3cret", "", authn.ReasonUnknownUser},
				{"dave", "dave-s3cret", "", authn.ReasonLockedOut},
				{"locke", "locke-s3cret", "", authn.ReasonLockedOut},
				{"mike", "mike-s3cret", "", authn.ReasonPasswordExpired},
				{"erin", "erin-s3cret", "", authn.ReasonAccountExpired},
				{"twin", "twin-s3cret", "", authn.ReasonPolicy},
				{"bare", "x", "", authn.ReasonWrongPassword},
			} {
				id, err := d.VerifyPassword(t.Context(), tt.user, tt.password)
				if tt.reason != "" {
					if id != nil {
						t.Errorf("%s: logged in", tt.user)
					}
					wantRefused(t, err, tt.reason)
					continue
				}
				if err != nil || id.String() != tt.want {
					t.Errorf("%s: %v, %v, want %s", tt.user, id, err, tt.want)
				}
			}
			id, err := d.VerifyPassword(t.Context(), "alice", "alice-s3cret")
			if err != nil {
				t.Fatal(err)
			}
			if got, want := names(id.Groups), []string{"auditors", "finance", "payroll", "primary", "unix"}; !slices.Equal(got, want) || id.DisplayName != "ALICE" {
				t.Errorf("groups %q of %+v, want %q", got, id, want)
			}
		})
	}
}

func TestStandardAccounts(t *testing.T) {
	t.Parallel()
	s := startSlapd(t)
	refs := []directory.AccountRef{{Name: "alice"}, {Name: "nobody"}, {Name: `CORP\Bob`}, {Name: oddUID}, {Name: "dave"}, {Name: "erin"}, {Name: `OTHER\bob`}, {Name: "ALIAS"}, {Name: "al*"}}
	for name, lookup := range map[string]GroupLookup{"search": GroupsAuto, "memberOf": GroupsByMemberOf} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := slapdConfig(s)
			cfg.Groups, cfg.DefaultDomain = lookup, "CORP"
			d := newDirectory(t, cfg)
			many, err := d.Accounts(t.Context(), refs)
			if err != nil {
				t.Fatal(err)
			}
			for i, ref := range refs {
				one, err := d.Account(t.Context(), ref)
				if i == 1 || i == 6 || i == 8 {
					if !errors.Is(err, directory.ErrNotFound) || many[i] != nil {
						t.Errorf("%v: %v, %v", ref, many[i], err)
					}
					continue
				}
				if err != nil || many[i] == nil || one.Name != many[i].Name || !slices.Equal(one.Groups, many[i].Groups) {
					t.Errorf("%v: %+v, %+v, %v", ref, one, many[i], err)
				}
			}
			if a := many[3]; a == nil || a.Name != `CORP\`+oddUID || a.Email != "mail@corp.test" || a.Phone != "+49 1" || a.Disabled {
				t.Errorf("account %+v", a)
			} else if got, want := names(a.Groups), []string{`CORP\gr,ü+"pp*`, `CORP\loop a`, `CORP\loop b`}; !slices.Equal(got, want) {
				t.Errorf("groups %q, want %q", got, want)
			}
			if a := many[0]; a != nil && !slices.Contains(names(a.Groups), `CORP\finance`) {
				t.Errorf("groups %q", names(a.Groups))
			}
			if !many[4].Disabled || many[5].Expires.IsZero() || many[5].Usable(time.Now()) || many[7].Name != `CORP\alice` {
				t.Errorf("accounts %+v, %+v, %+v", many[4], many[5], many[7])
			}
			if _, err := d.Accounts(t.Context(), []directory.AccountRef{{Name: "twin"}}); !errors.Is(err, errAmbiguous) {
				t.Errorf("two entries: %v", err)
			}
			for _, what := range []string{`CORP\finance`, "FINANCE", "CN=Finance, OU=groups, " + slapdtest.BaseDN} {
				if g, err := d.Group(t.Context(), what); err != nil || g.Name != `CORP\finance` {
					t.Errorf("%s: %+v, %v", what, g, err)
				}
			}
		})
	}
}

// The user binds by what was typed, and the server says whose entry that is.
func TestStandardTyped(t *testing.T) {
	t.Parallel()
	s := startSlapd(t)
	for _, tt := range []struct {
		name, bindName, user, password, want string
		reason                               authn.Reason
	}{
		{"DN", "", "UID=Alice, " + people, "alice-s3cret", "alice", ""},
		{"DN, wrong password", "", "uid=alice," + people, "wrong", "", authn.ReasonWrongPassword},
		{"no DN", "", "alice", "alice-s3cret", "", authn.ReasonUnknownUser},
		{"template", "uid={user}," + people, "alice", "alice-s3cret", "alice", ""},
		{"template, odd name", "uid={user}," + far, oddUID, "odd-s3cret", oddUID, ""},
		{"template, another entry", "uid={user}," + people, "bob,ou=far", "bob-s3cret", "", authn.ReasonWrongPassword},
		{"outside of the base", "", slapdtest.AdminDN, slapdtest.AdminPassword, "", authn.ReasonPolicy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := slapdConfig(s)
			cfg.Filter, cfg.BindName = "", tt.bindName
			id, err := newDirectory(t, cfg).VerifyPassword(t.Context(), tt.user, tt.password)
			if tt.reason != "" {
				wantRefused(t, err, tt.reason)
			} else if err != nil || id.String() != tt.want {
				t.Errorf("got %v, %v, want %s", id, err, tt.want)
			}
		})
	}
}

// More than the server gives at once come in pages; 1100 in three.
func TestStandardPages(t *testing.T) {
	t.Parallel()
	var content strings.Builder
	for i := range 1100 {
		content.WriteString(ldif(fmt.Sprintf("cn=d%d,%s", i, slapdtest.BaseDN), "objectClass: device", fmt.Sprintf("cn: d%d", i)))
	}
	s := slapdtest.Start(t, slapdtest.Config{LDIF: content.String()})
	c, err := Dial(t.Context(), Config{URL: s.URL, Roots: s.Roots()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Bind(t.Context(), slapdtest.AdminDN, authn.NewSecret(slapdtest.AdminPassword)); err != nil {
		t.Fatal(err)
	}
	search := Search{Base: slapdtest.BaseDN, Filter: Equal("objectClass", "device"), Attributes: []string{"cn"}}
	seen := map[string]bool{}
	if err := c.SearchPages(t.Context(), search, func(e Entry) error { seen[e.Value("cn")] = true; return nil }); err != nil || len(seen) != 1101 {
		t.Errorf("%d entries, %v, want 1101", len(seen), err)
	}
	enough := errors.New("enough")
	n := 0
	if err := c.SearchPages(t.Context(), search, func(Entry) error {
		if n++; n == 3 {
			return enough
		}
		return nil
	}); err != enough || n != 3 {
		t.Errorf("%d entries, %v, want that the callback ends it", n, err)
	}
	search.Limit = 600
	if err := c.SearchPages(t.Context(), search, func(Entry) error { return nil }); !errors.Is(err, ErrTooMany) {
		t.Errorf("got %v, want that there are too many", err)
	}
	if err := c.SearchPages(context.Background(), Search{Base: "dc=nowhere"}, func(Entry) error { return nil }); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want that there is no base", err)
	}
}

// More groups, or deeper ones, than we follow are an error: one that would be
// left out may be one that forbids something.
func TestStandardGroupBounds(t *testing.T) {
	t.Parallel()
	var content strings.Builder
	content.WriteString(unit(people) + unit(staff) + person(people, "deep", "x") + person(people, "wide", "x") + person(people, "fine", "x"))
	member := "uid=deep," + people
	for i := range maxDepth + 1 {
		dn := fmt.Sprintf("cn=d%d,%s", i, staff)
		content.WriteString(ldif(dn, "objectClass: groupOfNames", fmt.Sprintf("cn: d%d", i), "member: "+member))
		member = dn
	}
	for i := range maxGroups + 1 {
		lines := []string{"objectClass: groupOfNames", fmt.Sprintf("cn: w%d", i), "member: uid=wide," + people}
		if i < 600 { // more than the server gives at once
			lines = append(lines, "member: uid=fine,"+people)
		}
		content.WriteString(ldif(fmt.Sprintf("cn=w%d,%s", i, staff), lines...))
	}
	s := slapdtest.Start(t, slapdtest.Config{LDIF: content.String()})
	cfg := slapdConfig(s)
	cfg.BindUser, cfg.BindPassword = slapdtest.AdminDN, authn.NewSecret(slapdtest.AdminPassword)
	d := newDirectory(t, cfg)
	for _, name := range []string{"deep", "wide"} {
		a, err := d.Account(t.Context(), directory.AccountRef{Name: name})
		if a != nil || !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, directory.ErrNotFound) {
			t.Errorf("%s: %v, %v, want an error", name, a != nil, err)
		}
	}
	if a, err := d.Account(t.Context(), directory.AccountRef{Name: "fine"}); err != nil || len(a.Groups) != 600 {
		t.Errorf("fine: %v, want 600 groups", err)
	}
}
