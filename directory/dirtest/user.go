package dirtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// full is a user with a value in each field. Groups and roles are in the order
// of their names.
func full() *directory.User {
	return &directory.User{
		Realm: "corp", Name: `CORP\Jürgen Groß`, SID: "S-1-5-21-1-2-3-1104", UPN: "juergen@corp.test",
		DN: "CN=Jürgen Groß,OU=Ä \"quoted\",DC=corp,DC=test", DisplayName: "Jürgen Groß <&>\u2028", Email: "j.gross@corp.test",
		Phone: "+49 170 1234567", Password: directory.NewPasswordHash("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"),
		NTHash:       directory.NewNTHash([]byte("16 bytes of hash")),
		SecondFactor: authn.NewSecret("JBSWY3DPEHPK3PXP"), RecoveryCodes: []string{"hash of one", "hash \" of another"},
		Subject:    "https://id.example.com/\x1fsub-ü",
		LocalAdmin: true, State: directory.DisabledByDirectory,
		Groups: []authn.Group{{SID: "S-1-1-0"}, {Name: `CORP\Büro "Nord"`}, {SID: "S-1-5-21-1-2-3-513", Name: `CORP\Domain Users`}},
		Roles:  []string{"payroll", "über"}, Created: start, Refreshed: start.Add(time.Hour), LastLogin: start.Add(2 * time.Hour),
	}
}

// sameUser compares all fields, times by the moment.
func sameUser(t *testing.T, got, want *directory.User) {
	t.Helper()
	g, w := *got, *want
	for _, p := range []struct {
		name      string
		got, want *time.Time
	}{{"Created", &g.Created, &w.Created}, {"Refreshed", &g.Refreshed, &w.Refreshed}, {"LastLogin", &g.LastLogin, &w.LastLogin}} {
		if !p.got.Equal(*p.want) || p.got.IsZero() != p.want.IsZero() {
			t.Errorf("%s = %v, want %v", p.name, *p.got, *p.want)
		}
		*p.got, *p.want = time.Time{}, time.Time{}
	}
	if g.Password.Reveal() != w.Password.Reveal() {
		t.Errorf("password hash %q, want %q", g.Password.Reveal(), w.Password.Reveal())
	}
	if g.NTHash.Reveal() != w.NTHash.Reveal() {
		t.Errorf("NT hash %q, want %q", g.NTHash.Reveal(), w.NTHash.Reveal())
	}
	g.Password, w.Password = directory.PasswordHash{}, directory.PasswordHash{}
	if g.SecondFactor.Reveal() != w.SecondFactor.Reveal() {
		t.Errorf("second factor %q, want %q", g.SecondFactor.Reveal(), w.SecondFactor.Reveal())
	}
	g.NTHash, w.NTHash = directory.NTHash{}, directory.NTHash{}
	g.SecondFactor, w.SecondFactor = authn.Secret{}, authn.Secret{}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("user\n got %+v\nwant %+v", g, w)
	}
}

func userRoundTrip(t *testing.T, a, b Store) {
	for _, tt := range []struct {
		name string
		user *directory.User
	}{
		{"all fields", full()},
		{"name only", &directory.User{Name: "bob"}},
	} {
		u := tt.user
		must(t, a.CreateUser(t.Context(), u))
		if u.ID == 0 || u.Version != 1 || u.Created.IsZero() {
			t.Errorf("%s: ID %d, version %d, created %v", tt.name, u.ID, u.Version, u.Created)
		}
		got, err := b.User(t.Context(), u.Name)
		must(t, err)
		sameUser(t, got, u)
		got, err = b.UserByID(t.Context(), u.ID)
		must(t, err)
		sameUser(t, got, u)

		u.DisplayName, u.State, u.LocalAdmin, u.Refreshed = "changed", directory.DisabledByOperator, false, start.Add(3*time.Hour)
		must(t, b.UpdateUser(t.Context(), u))
		if u.Version != 2 {
			t.Errorf("%s: version %d after the change", tt.name, u.Version)
		}
		got, err = a.UserByID(t.Context(), u.ID)
		must(t, err)
		sameUser(t, got, u)
	}
}

// userLong: what may be kept can be, whatever the bounds of an index are.
func userLong(t *testing.T, a, b Store) {
	rnd := rand.New(rand.NewPCG(1, 2))
	text := func(most int) string { // that does not compress, and grows when it is folded
		var s strings.Builder
		for s.Len() < most-4 {
			s.WriteRune([]rune{'Ⱥ', 'Ⱦ', rune('A' + rnd.IntN(26)), rune(0x10000 + rnd.IntN(0x10000))}[rnd.IntN(4)])
		}
		return s.String()
	}
	u := &directory.User{Name: text(512), Realm: text(1024), DisplayName: text(1024), Email: text(1024), Subject: text(1024), Roles: []string{text(512)}}
	must(t, a.CreateUser(t.Context(), u))
	got, err := b.User(t.Context(), u.Name)
	must(t, err)
	sameUser(t, got, u)
	for _, q := range []directory.UserQuery{
		{Search: u.Name}, {Search: u.DisplayName}, {Search: u.Email}, {Realm: u.Realm}, {Role: u.Roles[0]}, {Search: u.DisplayName, Realm: u.Realm, Role: u.Roles[0]},
	} {
		users, err := b.Users(t.Context(), q)
		must(t, err)
		if len(users) != 1 {
			t.Errorf("%.60v: %d users", q, len(users))
		}
	}
	g := newGrant(text(1024), text(1024), text(1024))
	s := newSession("long", text(1024), start)
	s.Grant = g
	must(t, a.PutSession(t.Context(), s))
	n, err := b.DeleteSessionsOfGrant(t.Context(), g.Provider, g.Subject, g.SessionID)
	must(t, err)
	if n != 1 {
		t.Errorf("%d sessions ended", n)
	}
	must(t, a.Audited(t.Context(), &directory.Change{Action: text(512), Actor: text(1024), Target: text(1024)}, func(ctx context.Context) error {
		return a.AddLogin(ctx, &directory.Login{Time: start, User: text(1024), Ref: text(1024), Mechanism: text(1024), Reason: authn.Reason(text(1024)), Peer: text(1024), Outcome: directory.Outcome(text(1024))})
	}))
	must(t, a.AddCounts(t.Context(), []directory.Count{{Time: start, Kind: directory.CountKind(text(1024)), Mechanism: text(1024), Outcome: directory.Outcome(text(1024)), N: 1}}))
}

func userNames(t *testing.T, a, b Store) {
	must(t, a.CreateUser(t.Context(), &directory.User{Name: `CORP\MÜLLER`}))
	must(t, a.CreateUser(t.Context(), &directory.User{Name: "müller"})) // without the domain somebody else
	for _, name := range []string{`CORP\MÜLLER`, `corp\müller`, ` Corp\Müller `} {
		u, err := b.User(t.Context(), name)
		must(t, err)
		if u.Name != `CORP\MÜLLER` {
			t.Errorf("%q is %q", name, u.Name)
		}
		if err := b.CreateUser(t.Context(), &directory.User{Name: name}); !errors.Is(err, directory.ErrExists) {
			t.Errorf("%q is made again: %v", name, err)
		}
	}
	for _, name := range []string{"", " ", `CORP\MULLER`, "nobody", "%", "m_ller", "m\x00", "\xff", strings.Repeat("x", 100_000)} {
		if u, err := b.User(t.Context(), name); u != nil || !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("%.20q: %v, %v; want not found", name, u, err)
		}
	}
}

func userSID(t *testing.T, a, b Store) {
	const sid = "S-1-5-21-1-2-3-1104"
	must(t, a.CreateUser(t.Context(), &directory.User{Name: "a", SID: sid}))
	must(t, a.CreateUser(t.Context(), &directory.User{Name: "b"}))
	must(t, a.CreateUser(t.Context(), &directory.User{Name: "c"})) // none has no SID twice
	u, err := b.UserBySID(t.Context(), sid)
	must(t, err)
	if u.Name != "a" {
		t.Errorf("%s is %q", sid, u.Name)
	}
	if err := b.CreateUser(t.Context(), &directory.User{Name: "d", SID: sid}); !errors.Is(err, directory.ErrExists) {
		t.Errorf("the same SID again: %v", err)
	}
	if _, err := b.User(t.Context(), "d"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("who could not be made is there: %v", err)
	}
	other, err := b.User(t.Context(), "b")
	must(t, err)
	other.SID = sid
	if err := b.UpdateUser(t.Context(), other); !errors.Is(err, directory.ErrExists) || other.Version != 1 {
		t.Errorf("the same SID by a change: %v, version %d", err, other.Version)
	}
	for _, sid := range []authn.SID{"", "S-1-5-21-1-2-3-110", "S-1-5-21-1-2-3-11040", "\x00"} {
		if u, err := b.UserBySID(t.Context(), sid); u != nil || !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("%q: %v, %v; want not found", sid, u, err)
		}
	}
}

func userConflicts(t *testing.T, a, b Store) {
	u := &directory.User{Name: "alice", Groups: []authn.Group{{Name: "g1"}}}
	must(t, a.CreateUser(t.Context(), u))
	mine, err := a.User(t.Context(), "alice")
	must(t, err)
	theirs, err := b.User(t.Context(), "alice")
	must(t, err)
	mine.State = directory.DisabledByOperator
	must(t, a.UpdateUser(t.Context(), mine))
	theirs.Email, theirs.Groups = "alice@corp.test", []authn.Group{{Name: "g2"}}
	if err := b.UpdateUser(t.Context(), theirs); !errors.Is(err, directory.ErrConflict) || theirs.Version != 1 {
		t.Errorf("change of what was changed: %v, version %d", err, theirs.Version)
	}
	got, err := b.User(t.Context(), "alice")
	must(t, err)
	sameUser(t, got, mine)
	if err := b.UpdateUser(t.Context(), &directory.User{ID: u.ID + 1000, Version: 1, Name: "x"}); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("change of nobody: %v", err)
	}
}

func userRenamed(t *testing.T, a, b Store) {
	u := &directory.User{Name: `CORP\alice`}
	must(t, a.CreateUser(t.Context(), u))
	must(t, a.CreateUser(t.Context(), &directory.User{Name: `CORP\bob`}))
	u.Name = `CORP\bob `
	if err := a.UpdateUser(t.Context(), u); !errors.Is(err, directory.ErrExists) {
		t.Errorf("renamed to who exists: %v", err)
	}
	u.Name = `CORP\ALICE` // her own
	must(t, a.UpdateUser(t.Context(), u))
	u.Name = `CORP\carol`
	must(t, a.UpdateUser(t.Context(), u))
	got, err := b.User(t.Context(), `corp\CAROL`)
	must(t, err)
	if got.ID != u.ID {
		t.Errorf("carol is number %d, want %d", got.ID, u.ID)
	}
	if _, err := b.User(t.Context(), `CORP\alice`); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("the old name: %v", err)
	}
	must(t, b.CreateUser(t.Context(), &directory.User{Name: `CORP\alice`})) // is free
}

func userDeleted(t *testing.T, a, b Store) {
	first := full()
	must(t, a.CreateUser(t.Context(), first))
	must(t, b.DeleteUser(t.Context(), first.ID))
	if _, err := a.User(t.Context(), first.Name); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("deleted, and found: %v", err)
	}
	if err := a.DeleteUser(t.Context(), first.ID); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("deleted again: %v", err)
	}
	if err := a.UpdateUser(t.Context(), first); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("changed after: %v", err)
	}
	again := &directory.User{Name: first.Name, SID: first.SID, Subject: first.Subject}
	must(t, a.CreateUser(t.Context(), again))
	if again.ID == first.ID {
		t.Error("the number of a deleted user is given again")
	}
	got, err := b.User(t.Context(), first.Name)
	must(t, err)
	sameUser(t, got, again) // without groups and roles of the deleted one
}

func userMemberships(t *testing.T, a, b Store) {
	alice, bob := full(), &directory.User{Name: "bob", Groups: full().Groups[:2]}
	must(t, a.CreateUser(t.Context(), alice))
	must(t, b.CreateUser(t.Context(), bob))
	// The directory renamed a group, others came and went; one is named twice.
	renamed := authn.Group{SID: "S-1-5-21-1-2-3-513", Name: `CORP\Domänen-Benutzer`}
	alice.Groups = []authn.Group{renamed, {Name: `CORP\New`}, renamed}
	alice.Roles = []string{"z", "a", "z"}
	must(t, a.UpdateUser(t.Context(), alice))
	alice.Groups, alice.Roles = []authn.Group{renamed, {Name: `CORP\New`}}, []string{"a", "z"}
	for _, want := range []*directory.User{alice, bob} {
		got, err := b.UserByID(t.Context(), want.ID)
		must(t, err)
		sameUser(t, got, want)
	}
	alice.Groups, alice.Roles = nil, nil
	must(t, b.UpdateUser(t.Context(), alice))
	got, err := a.UserByID(t.Context(), alice.ID)
	must(t, err)
	sameUser(t, got, alice)

	many := &directory.User{Name: "many"}
	for i := range 1500 { // a token of Windows has 1,024 at most
		many.Groups = append(many.Groups, authn.Group{SID: authn.SID(fmt.Sprintf("S-1-5-21-1-2-3-%d", i)), Name: fmt.Sprintf(`CORP\g%04d`, i)})
	}
	must(t, a.CreateUser(t.Context(), many))
	got, err = b.User(t.Context(), "many")
	must(t, err)
	sameUser(t, got, many)
}

func userLastLogin(t *testing.T, a, b Store) {
	u := &directory.User{Name: "alice"}
	must(t, a.CreateUser(t.Context(), u))
	must(t, b.TouchLogin(t.Context(), u.ID, start))
	must(t, a.TouchLogin(t.Context(), u.ID, start.Add(-time.Hour))) // a node was slow
	must(t, a.UpdateUser(t.Context(), u))                           // has read before the login
	got, err := a.User(t.Context(), "alice")
	must(t, err)
	if !got.LastLogin.Equal(start) || got.Version != 2 {
		t.Errorf("last login %v, want %v; version %d", got.LastLogin, start, got.Version)
	}
	if err := a.TouchLogin(t.Context(), u.ID+1000, start); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("login of nobody: %v", err)
	}
}

// usersPaged reads pages while users before, within and after are changed.
func usersPaged(t *testing.T, a, b Store) {
	var want []string
	for i := range 25 {
		name := fmt.Sprintf(`CORP\user%02d`, i)
		if i%2 == 0 {
			name = strings.ToUpper(name)
		}
		must(t, a.CreateUser(t.Context(), &directory.User{Name: name, Groups: []authn.Group{{Name: "g"}}, Roles: []string{"r"}}))
		want = append(want, directory.FoldName(name))
	}
	var got []string
	after := ""
	for page := range 100 {
		users, err := b.Users(t.Context(), directory.UserQuery{After: after, Limit: 10})
		must(t, err)
		if len(users) == 0 {
			break
		}
		for _, u := range users {
			got = append(got, directory.FoldName(u.Name))
			if len(u.Groups) != 1 || len(u.Roles) != 1 {
				t.Errorf("%s has groups %v and roles %v", u.Name, u.Groups, u.Roles)
			}
		}
		after = users[len(users)-1].Name
		if page == 0 {
			must(t, a.CreateUser(t.Context(), &directory.User{Name: `CORP\user00a`}))                                                           // before: not seen
			must(t, a.CreateUser(t.Context(), &directory.User{Name: `CORP\user15a`, Groups: []authn.Group{{Name: "g"}}, Roles: []string{"r"}})) // after: seen
			gone, err := a.User(t.Context(), `CORP\user09`)                                                                                     // the border itself
			must(t, err)
			must(t, a.DeleteUser(t.Context(), gone.ID))
		}
	}
	want = slices.Insert(want, 16, `corp\user15a`)
	if !slices.Equal(got, want) {
		t.Errorf("pages gave\n%q, want\n%q", got, want)
	}
}

func usersAskedFor(t *testing.T, a, b Store) {
	for _, u := range []directory.User{
		{Name: `CORP\anna`, Realm: "corp"}, {Name: `CORP\änne`, Realm: "corp", State: directory.DisabledByOperator},
		{Name: `Corp\anton`, Realm: "corp"}, {Name: "anna", Realm: "staff"}, {Name: "zoë"}, {Name: `ZURICH\a%b_c`, Realm: "corp"},
	} {
		must(t, a.CreateUser(t.Context(), &u))
	}
	disabled, active := directory.DisabledByOperator, directory.Active
	for _, tt := range []struct {
		name string
		q    directory.UserQuery
		want []string
	}{
		{"all", directory.UserQuery{}, []string{"anna", `CORP\anna`, `Corp\anton`, `CORP\änne`, "zoë", `ZURICH\a%b_c`}},
		{"prefix", directory.UserQuery{Prefix: `corp\AN`}, []string{`CORP\anna`, `Corp\anton`}},
		{"prefix beyond ASCII", directory.UserQuery{Prefix: `CORP\Ä`}, []string{`CORP\änne`}},
		{"prefix is no pattern", directory.UserQuery{Prefix: "%"}, nil},
		{"realm", directory.UserQuery{Realm: "staff"}, []string{"anna"}},
		{"with a domain", directory.UserQuery{Domain: true}, []string{`CORP\anna`, `Corp\anton`, `CORP\änne`, `ZURICH\a%b_c`}},
		{"disabled", directory.UserQuery{State: &disabled}, []string{`CORP\änne`}},
		{"all of it", directory.UserQuery{Prefix: `corp\`, Realm: "corp", Domain: true, State: &active, After: `corp\anna`, Limit: 1}, []string{`Corp\anton`}},
		{"none", directory.UserQuery{After: "\U0010FFFF"}, nil},
	} {
		users, err := b.Users(t.Context(), tt.q)
		must(t, err)
		var got []string
		for _, u := range users {
			got = append(got, u.Name)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// usersChangedAtOnce: of many who change the same user, each change that is not
// refused is in the end result, and no reader sees half of one.
func usersChangedAtOnce(t *testing.T, a, b Store) {
	u := &directory.User{Name: "alice", DisplayName: "0", Groups: []authn.Group{{Name: "g0"}}, Roles: []string{"r0"}}
	must(t, a.CreateUser(t.Context(), u))
	const changes = 20
	var wg sync.WaitGroup
	for i := range 4 {
		st := []Store{a, b}[i%2]
		wg.Go(func() {
			for done := 0; done < changes; {
				u, err := st.UserByID(t.Context(), u.ID)
				if err != nil {
					t.Error(err)
					return
				}
				if n := fmt.Sprint(u.Version - 1); u.DisplayName != n || len(u.Groups) != 1 || u.Groups[0].Name != "g"+n || len(u.Roles) != 1 || u.Roles[0] != "r"+n {
					t.Errorf("version %d: %q, groups %v, roles %v", u.Version, u.DisplayName, u.Groups, u.Roles)
					return
				}
				n := fmt.Sprint(u.Version)
				u.DisplayName, u.Groups, u.Roles = n, []authn.Group{{Name: "g" + n}}, []string{"r" + n}
				switch err := st.UpdateUser(t.Context(), u); {
				case err == nil:
					done++
				case !errors.Is(err, directory.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	got, err := b.User(t.Context(), "alice")
	must(t, err)
	if got.Version != 1+4*changes {
		t.Errorf("version %d after %d changes", got.Version, 4*changes)
	}
}

func valuesRefused(t *testing.T, a, _ Store) {
	long := strings.Repeat("x", 100_000)
	for _, tt := range []struct {
		name string
		user directory.User
	}{
		{"no name", directory.User{}},
		{"space for a name", directory.User{Name: " \t"}},
		{"long name", directory.User{Name: long}},
		{"NUL in the name", directory.User{Name: "a\x00b"}},
		{"line break in the name", directory.User{Name: "a\nb"}},
		{"name is not UTF-8", directory.User{Name: "m\xfcller"}},
		{"long SID", directory.User{Name: "a", SID: authn.SID(long)}},
		{"long UPN", directory.User{Name: "a", UPN: long}},
		{"long DN", directory.User{Name: "a", DN: long}},
		{"NUL in the DN", directory.User{Name: "a", DN: "\x00"}},
		{"long display name", directory.User{Name: "a", DisplayName: long}},
		{"long e-mail", directory.User{Name: "a", Email: long}},
		{"long phone", directory.User{Name: "a", Phone: long}},
		{"long subject", directory.User{Name: "a", Subject: long}},
		{"NUL in the subject", directory.User{Name: "a", Subject: "a\x00"}},
		{"long second factor", directory.User{Name: "a", SecondFactor: authn.NewSecret(long)}},
		{"long recovery code", directory.User{Name: "a", RecoveryCodes: []string{long}}},
		{"100,000 recovery codes", directory.User{Name: "a", RecoveryCodes: make([]string, 100_000)}},
		{"long hash", directory.User{Name: "a", Password: directory.NewPasswordHash(long)}},
		{"unknown state", directory.User{Name: "a", State: 77}},
		{"long group", directory.User{Name: "a", Groups: []authn.Group{{Name: long}}}},
		{"NUL in a group", directory.User{Name: "a", Groups: []authn.Group{{Name: "g\x00"}}}},
		{"empty group", directory.User{Name: "a", Groups: []authn.Group{{}}}},
		{"long role", directory.User{Name: "a", Roles: []string{long}}},
		{"empty role", directory.User{Name: "a", Roles: []string{""}}},
		{"100,000 groups", directory.User{Name: "a", Groups: make([]authn.Group, 100_000)}},
	} {
		u := tt.user
		if err := a.CreateUser(t.Context(), &u); !errors.Is(err, directory.ErrInvalid) || u.ID != 0 {
			t.Errorf("%s: %v, ID %d", tt.name, err, u.ID)
		}
		if err := a.UpdateUser(t.Context(), &u); !errors.Is(err, directory.ErrInvalid) {
			t.Errorf("%s, by a change: %v", tt.name, err)
		}
	}
	s := directory.Session{User: "a", Data: make([]byte, 64<<10+1)}
	if err := a.PutSession(t.Context(), &s); !errors.Is(err, directory.ErrInvalid) {
		t.Errorf("session with too much data: %v", err)
	}
	if err := a.PutSession(t.Context(), &directory.Session{User: long}); !errors.Is(err, directory.ErrInvalid) {
		t.Errorf("session of a long name: %v", err)
	}
	if err := a.SetNote(t.Context(), long, "x"); !errors.Is(err, directory.ErrInvalid) {
		t.Errorf("note with a long key: %v", err)
	}
	if users, err := a.Users(t.Context(), directory.UserQuery{}); err != nil || len(users) > 0 {
		t.Errorf("users %v, %v; want none", users, err)
	}
}
