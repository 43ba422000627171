package admin_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// Whatever the size of pages, the lists are whole, in order, and have nothing
// twice.
func TestPages(t *testing.T) {
	t.Parallel()
	const n = 23
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			st := openStore(t, d.make(t))
			s := newService(st, withLocal())
			ctx := as(t, "viewer", admin.Viewer)
			now := time.Now().Truncate(time.Second)
			var users, sessions, logins, changes []string // as they are to come
			for i := range n {
				addUsers(t, st, directory.User{Name: fmt.Sprintf(`CORP\user%02d`, i)})
				users = append(users, fmt.Sprintf(`CORP\user%02d`, i))
				at := now.Add(time.Duration(i/3) * time.Second) // some at the same time
				if err := st.PutSession(t.Context(), &directory.Session{ID: directory.SessionID{byte(i + 1)}, User: fmt.Sprint("s", i), Created: at, Seen: at, Expires: at.Add(time.Hour)}); err != nil {
					t.Fatal(err)
				}
				sessions = append(sessions, fmt.Sprint("s", i))
				if err := st.AddLogin(t.Context(), &directory.Login{Time: at, User: fmt.Sprint("l", i), Outcome: directory.Accepted}); err != nil {
					t.Fatal(err)
				}
				logins = append(logins, fmt.Sprint("l", i))
				if err := st.Audited(t.Context(), &directory.Change{Time: at, Action: "user.test", Target: fmt.Sprint("c", i)}, noop); err != nil {
					t.Fatal(err)
				}
				changes = append(changes, fmt.Sprint("c", i))
			}
			for _, newest := range [][]string{sessions, logins, changes} {
				slices.Reverse(newest)
			}
			for _, tt := range []struct {
				name string
				want []string
				page func(after string, limit int) (names []string, next string, err error)
			}{
				{"users", users, func(after string, limit int) (names []string, next string, err error) {
					p, err := s.ListUsers(ctx, admin.UserQuery{After: after, Limit: limit})
					if err != nil {
						return nil, "", err
					}
					for _, u := range p.Users {
						names = append(names, u.Name)
					}
					return names, p.Next, nil
				}},
				{"sessions", sessions, func(after string, limit int) (names []string, next string, err error) {
					p, err := s.ListSessions(ctx, admin.SessionQuery{After: after, Limit: limit})
					if err != nil {
						return nil, "", err
					}
					for _, u := range p.Sessions {
						names = append(names, u.User)
					}
					return names, p.Next, nil
				}},
				{"logins", logins, func(after string, limit int) (names []string, next string, err error) {
					p, err := s.Logins(ctx, admin.LoginQuery{After: after, Limit: limit, Until: now.Add(time.Hour)})
					if err != nil {
						return nil, "", err
					}
					for _, u := range p.Logins {
						names = append(names, u.User)
					}
					return names, p.Next, nil
				}},
				{"changes", changes, func(after string, limit int) (names []string, next string, err error) {
					p, err := s.Changes(ctx, admin.ChangeQuery{After: after, Limit: limit})
					if err != nil {
						return nil, "", err
					}
					for _, u := range p.Changes {
						names = append(names, u.Target)
					}
					return names, p.Next, nil
				}},
			} {
				for _, size := range []int{1, 2, 5, n - 1, n, n + 1, 0, 1000} {
					var got []string
					after, asked := "", 0
					for {
						names, next, err := tt.page(after, size)
						if asked++; err != nil || asked > n {
							t.Fatalf("%s by %d: %v (%v), after %d pages", tt.name, size, err, errors.Unwrap(err), asked)
						}
						if size > 0 && len(names) > size {
							t.Errorf("%s by %d: a page of %d", tt.name, size, len(names))
						}
						got = append(got, names...)
						if after = next; next == "" {
							break
						}
					}
					if !slices.Equal(got, tt.want) {
						t.Errorf("%s by %d: %q, want %q", tt.name, size, got, tt.want)
					}
					if least := (n + size - 1) / max(size, 1); size > 0 && asked != least {
						t.Errorf("%s by %d: %d pages, want %d", tt.name, size, asked, least)
					}
				}
				_, next, err := tt.page("", 1)
				if err != nil {
					t.Fatal(err)
				}
				for _, bad := range []string{"x", "!", strings.Repeat("A", 5000), next + "A", next[:len(next)-2], base64.RawURLEncoding.EncodeToString([]byte(`{"l":"` + tt.name + `","x":1}`)),
					base64.RawURLEncoding.EncodeToString([]byte(`{"l":"others"}`)), base64.RawURLEncoding.EncodeToString([]byte(`{"l":"` + tt.name + `"}{}`)), next + "\n"} {
					_, _, err := tt.page(bad, 1)
					if e := wantKind(t, tt.name+" after "+bad[:min(len(bad), 50)], err, admin.Invalid); e.Field != "after" {
						t.Errorf("%s: the field %q, want after", tt.name, e.Field)
					}
				}
				for _, size := range []int{-1, 1001} {
					_, _, err := tt.page("", size)
					wantKind(t, tt.name+" by many", err, admin.Invalid)
				}
			}
		})
	}
}

func TestListUsers(t *testing.T) {
	t.Parallel()
	st := openSQLite(t)
	addUsers(t, st,
		directory.User{Name: `CORP\alice`, SID: "S-1-5-21-1-2-3-1105", DisplayName: "Alice Ash", Realm: "corp", Roles: []string{"payroll"}, Groups: []authn.Group{{SID: "S-1-5-21-1-2-3-513", Name: `CORP\Domain Users`}}},
		directory.User{Name: `CORP\bob`, Realm: "corp", State: directory.DisabledByDirectory, Email: "zoe@example.com"},
		directory.User{Name: "carol", State: directory.DisabledByOperator, Phone: "+49 170 1"},
		localAdmin("root"))
	s := newService(st, withLocal())
	ctx := as(t, "viewer", admin.Viewer)
	for _, tt := range []struct {
		name string
		q    admin.UserQuery
		want []string
	}{
		{"all", admin.UserQuery{}, []string{"carol", `CORP\alice`, `CORP\bob`, "root"}},
		{"of a realm", admin.UserQuery{Realm: "corp"}, []string{`CORP\alice`, `CORP\bob`}},
		{"of a domain", admin.UserQuery{Domain: true}, []string{`CORP\alice`, `CORP\bob`}},
		{"active", admin.UserQuery{State: "active"}, []string{`CORP\alice`, "root"}},
		{"disabled", admin.UserQuery{State: "disabled"}, []string{"carol"}},
		{"gone", admin.UserQuery{State: "gone"}, []string{`CORP\bob`}},
		{"of a role", admin.UserQuery{Role: "payroll"}, []string{`CORP\alice`}},
		{"local administrators", admin.UserQuery{LocalAdmin: true}, []string{"root"}},
		{"of a prefix", admin.UserQuery{Prefix: `corp\B`}, []string{`CORP\bob`}},
		{"searched by account", admin.UserQuery{Search: "ALI"}, []string{`CORP\alice`}},
		{"searched by e-mail", admin.UserQuery{Search: "zoe"}, []string{`CORP\bob`}},
		{"after a name", admin.UserQuery{AfterName: `corp\ALICE`}, []string{`CORP\bob`, "root"}},
		{"both", admin.UserQuery{Realm: "corp", State: "gone"}, []string{`CORP\bob`}},
	} {
		p, err := s.ListUsers(ctx, tt.q)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var got []string
		for _, u := range p.Users {
			got = append(got, u.Name)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if p.Total < 0 || p.Next != "" {
			t.Errorf("%s: about %d in all, next %q", tt.name, p.Total, p.Next)
		}
	}
	_, err := s.ListUsers(ctx, admin.UserQuery{State: "dead"})
	wantKind(t, "a state that there is not", err, admin.Invalid)
	u, err := s.User(ctx, `corp\ALICE`)
	if err != nil {
		t.Fatal(err)
	}
	if u.Name != `CORP\alice` || u.SID != "S-1-5-21-1-2-3-1105" || u.State != "active" || u.HasPassword || u.LocalAdmin || u.Version != 1 ||
		!slices.Equal(u.Groups, []admin.Group{{SID: "S-1-5-21-1-2-3-513", Name: `CORP\Domain Users`}}) || !slices.Equal(u.Roles, []string{"payroll"}) {
		t.Errorf("%+v", u)
	}
	for _, name := range []string{"nobody", "", "a\x00b", strings.Repeat("x", 2000)} {
		_, err := s.User(ctx, name)
		if e := wantKind(t, "a user who is not", err, admin.NotFound); len(e.Text) > 200 {
			t.Errorf("an answer of %d bytes", len(e.Text))
		}
	}
}

// What cannot be kept is told with its field.
func TestInvalidUsers(t *testing.T) {
	t.Parallel()
	st := openSQLite(t)
	addUsers(t, st, directory.User{Name: "bob"})
	s := newService(st, withLocal())
	ctx := as(t, "alice", admin.Administrator)
	long := strings.Repeat("x", 5000)
	for _, tt := range []struct {
		name  string
		user  admin.NewUser
		kind  admin.Kind
		field string
	}{
		{"no name", admin.NewUser{Name: "  "}, admin.Invalid, "name"},
		{"a name with a control character", admin.NewUser{Name: "a\x1fb"}, admin.Invalid, "name"},
		{"a name of bytes", admin.NewUser{Name: "a\xff"}, admin.Invalid, "name"},
		{"a long name", admin.NewUser{Name: long}, admin.Invalid, "name"},
		{"a long display name", admin.NewUser{Name: "eve", DisplayName: long}, admin.Invalid, "display_name"},
		{"a long address", admin.NewUser{Name: "eve", Email: long}, admin.Invalid, "email"},
		{"a NUL in a number", admin.NewUser{Name: "eve", Phone: "\x00"}, admin.Invalid, "phone"},
		{"no role", admin.NewUser{Name: "eve", Roles: []string{" "}}, admin.Invalid, "roles"},
		{"a long role", admin.NewUser{Name: "eve", Roles: []string{long}}, admin.Invalid, "roles"},
		{"many roles", admin.NewUser{Name: "eve", Roles: strings.Split(strings.TrimSpace(strings.Repeat("r r", 1)+manyRoles()), " ")}, admin.Invalid, "roles"},
		{"a realm that there is not", admin.NewUser{Name: "eve", Realm: "nowhere"}, admin.Invalid, "realm"},
		{"a realm by its other name", admin.NewUser{Name: "eve", Realm: "others"}, "", ""},
		{"somebody who is there", admin.NewUser{Name: "BOB"}, admin.Exists, ""},
	} {
		_, err := s.AddUser(ctx, tt.user)
		if e := wantKind(t, tt.name, err, tt.kind); e != nil && (e.Field != tt.field || strings.Contains(e.Text, "store:")) {
			t.Errorf("%s: field %q (%s), want %q", tt.name, e.Field, e.Text, tt.field)
		}
		if tt.kind == admin.Invalid && tt.field != "name" {
			_, err := s.ChangeUser(ctx, "bob", admin.UserChange{Realm: &tt.user.Realm, DisplayName: &tt.user.DisplayName, Email: &tt.user.Email, Phone: &tt.user.Phone, Roles: &tt.user.Roles})
			if e := wantKind(t, tt.name+", changed", err, admin.Invalid); e.Field != tt.field {
				t.Errorf("%s, changed: field %q, want %q", tt.name, e.Field, tt.field)
			}
		}
	}
	if u := stored(t, st, "bob"); u.Version != 1 {
		t.Errorf("bob was changed: %+v", u)
	}
}

// manyRoles are more than a user may have.
func manyRoles() string {
	var b strings.Builder
	for i := range 1001 {
		fmt.Fprintf(&b, " role%d", i)
	}
	return b.String()
}

func TestLogins(t *testing.T) {
	t.Parallel()
	st := openSQLite(t)
	s := newService(st, withLocal())
	ctx := as(t, "viewer", admin.Viewer)
	now := time.Now()
	for i, l := range []directory.Login{
		{User: "alice", Outcome: directory.Accepted, Mechanism: "Kerberos", Peer: "192.0.2.1", Ref: "r1"},
		{User: "bob", Outcome: directory.Refused, Mechanism: "Basic", Peer: "2001:db8::7", Reason: authn.ReasonWrongPassword, Ref: "r2"},
		{User: "Alice", Outcome: directory.Blocked, Mechanism: "Basic", Peer: "192.0.2.1", Ref: "r3"},
	} {
		l.Time = now.Add(time.Duration(i-10) * time.Minute)
		if err := st.AddLogin(t.Context(), &l); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		q    admin.LoginQuery
		want string
	}{
		{"all", admin.LoginQuery{}, "r3 r2 r1"},
		{"of a user", admin.LoginQuery{User: "ALICE"}, "r3 r1"},
		{"from an address, as others write it", admin.LoginQuery{Peer: "2001:DB8:0::7"}, "r2"},
		{"from an address of IPv4 in IPv6", admin.LoginQuery{Peer: "::ffff:192.0.2.1"}, "r3 r1"},
		{"by outcome", admin.LoginQuery{Outcome: "blocked"}, "r3"},
		{"by mechanism", admin.LoginQuery{Mechanism: "Basic"}, "r3 r2"},
		{"by reason", admin.LoginQuery{Reason: string(authn.ReasonWrongPassword)}, "r2"},
		{"by reference", admin.LoginQuery{Ref: "r1"}, "r1"},
		{"since", admin.LoginQuery{Since: now.Add(-9*time.Minute - 30*time.Second)}, "r3 r2"},
		{"until", admin.LoginQuery{Until: now.Add(-8*time.Minute - 30*time.Second)}, "r2 r1"},
		{"newer ones", admin.LoginQuery{NewerID: 1}, "r2 r3"},
		{"of a part, newer ones", admin.LoginQuery{NewerID: 1, Limit: 1}, "r2"},
		{"none newer", admin.LoginQuery{NewerID: 3}, ""},
	} {
		p, err := s.Logins(ctx, tt.q)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var got []string
		for _, l := range p.Logins {
			got = append(got, l.Ref)
		}
		if strings.Join(got, " ") != tt.want || p.Next != "" {
			t.Errorf("%s: %q, next %q; want %q", tt.name, got, p.Next, tt.want)
		}
	}
	for name, q := range map[string]admin.LoginQuery{
		"outcome": {Outcome: "maybe"}, "newer": {NewerID: -1}, "newer and older": {NewerID: 1, Until: now},
	} {
		_, err := s.Logins(ctx, q)
		wantKind(t, name, err, admin.Invalid)
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	st := openSQLite(t)
	s := newService(st, withLocal())
	now := time.Now()
	for i, c := range []directory.Change{
		{Actor: "alice", Action: "user.disable", Target: "bob", Before: `{"a":1}`, After: "no JSON"},
		{Actor: "ALICE", Action: "config.apply", Target: "gw1"},
		{Actor: "eve", Action: "user.add", Target: "Bob"},
	} {
		c.Time = now.Add(time.Duration(i-10) * time.Minute)
		if err := st.Audited(t.Context(), &c, noop); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		q    admin.ChangeQuery
		want string
	}{
		{"all", admin.ChangeQuery{}, "user.add config.apply user.disable"},
		{"by somebody", admin.ChangeQuery{Actor: "Alice"}, "config.apply user.disable"},
		{"of a kind", admin.ChangeQuery{Action: "user."}, "user.add user.disable"},
		{"one", admin.ChangeQuery{Action: "user.add"}, "user.add"},
		{"of somebody", admin.ChangeQuery{Target: "bob"}, "user.add user.disable"},
		{"since", admin.ChangeQuery{Since: now.Add(-9*time.Minute - 30*time.Second)}, "user.add config.apply"},
	} {
		p, err := s.Changes(as(t, "viewer", admin.Viewer), tt.q)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var got []string
		for _, c := range p.Changes {
			got = append(got, c.Action)
			if c.Action == "user.disable" && (string(c.Before) != `{"a":1}` || string(c.After) != `"no JSON"`) {
				t.Errorf("%s: before %s, after %s", tt.name, c.Before, c.After)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
