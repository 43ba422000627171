package provision

import (
	"slices"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// An account was deleted, and one of the same name was made for somebody else.
func TestAttackNameUsedAgain(t *testing.T) {
	t.Parallel()
	for _, withSID := range []bool{true, false} { // of the mechanism
		old := directory.User{Realm: "corp", Name: `CORP\alice`, SID: sid(500), Roles: []string{"payroll"}, Email: "old@example.com", Password: directory.NewPasswordHash("$x")}
		w := newWorld(t, old)
		id := aliceIdentity()
		if !withSID {
			id.SID = ""
		}
		w.login(t, id)
		u := w.store.user(t, `CORP\alice`)
		if u.ID == 1 || u.SID != sid(1104) || len(u.Roles) != 0 || u.Email != "alice@example.com" || !u.Password.IsEmpty() {
			t.Errorf("the new person is %+v", u)
		}
		former := w.store.user(t, `CORP\alice:`+string(sid(500)))
		if former.ID != 1 || former.State == directory.Active || len(former.Roles) != 1 {
			t.Errorf("the old person is %+v", former)
		}
		if !slices.Contains(w.store.ended, `CORP\alice`) {
			t.Error("sessions of the old person go on")
		}
	}
}

// The user was deleted by an operator, but a session of the name is left.
func TestAttackSessionOfFormerUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.login(t, aliceIdentity())
	if !slices.Contains(w.store.ended, `CORP\alice`) {
		t.Error("sessions of a former user of that name go on")
	}
}

// The administrator of one realm's directory makes an account that has the name,
// or even the SID, of a user of another.
func TestAttackUserOfAnotherRealm(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		user directory.User
		id   authn.Identity
	}{
		{"name of an internal user", directory.User{Name: "admin", Password: directory.NewPasswordHash("$x")}, authn.Identity{Account: "admin"}},
		{"name of an internal user, with SID", directory.User{Name: "admin", Password: directory.NewPasswordHash("$x")}, authn.Identity{Account: "admin", SID: sid(1)}},
		{"name of an administrator", directory.User{Name: `CORP\root`, LocalAdmin: true}, authn.Identity{Account: "root", Domain: "CORP"}},
		{"name of another realm", directory.User{Realm: "staff", Name: `STAFF\bob`}, authn.Identity{Account: "bob", Domain: "STAFF", SID: sid(2)}},
		{"name of another realm, with another SID", directory.User{Realm: "staff", Name: `STAFF\bob`, SID: sid(3)}, authn.Identity{Account: "bob", Domain: "STAFF", SID: sid(2)}},
		{"SID of another realm", directory.User{Realm: "staff", Name: `STAFF\bob`, SID: sid(2)}, authn.Identity{Account: "eve", Domain: "CORP", SID: sid(2)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.user)
			w.refused(t, &tt.id, authn.ReasonPolicy)
			if w.store.writes != 0 || len(w.store.ended) != 0 {
				t.Errorf("it changed something: %q", w.store.names())
			}
			// The directory's word is not the login's, but is worth no more.
			w.Source = answerAlways{&directory.Account{Name: tt.user.Name, SID: tt.user.SID}}
			w.refused(t, &authn.Identity{Account: "mallory", Domain: "CORP"}, authn.ReasonPolicy)
		})
	}
}

// Space around a name does not count when names are compared, and whoever chose
// the name was somebody else of the same realm.
func TestAttackSpaceAroundName(t *testing.T) {
	t.Parallel()
	for _, account := range []string{"admin ", " admin", "admin\u00a0", "\u2003admin"} {
		w := newWorld(t, directory.User{Realm: "corp", Name: "admin", Roles: []string{"root"}})
		w.refused(t, &authn.Identity{Account: account}, authn.ReasonPolicy)
		w.Source = answerAlways{&directory.Account{Name: account}}
		w.refused(t, &authn.Identity{Account: "mallory"}, authn.ReasonPolicy)
		if w.store.writes != 0 {
			t.Errorf("%+q changed something: %q", account, w.store.names())
		}
	}
}

// An account is renamed to the name that a user of another realm has.
func TestAttackRenamedToAnotherRealm(t *testing.T) {
	t.Parallel()
	w := newWorld(t,
		directory.User{Realm: "corp", Name: `CORP\alice`, SID: sid(1104)},
		directory.User{Name: "admin", Password: directory.NewPasswordHash("$x"), Roles: []string{"root"}},
		directory.User{Realm: "staff", Name: `STAFF\bob`, SID: sid(7)})
	for _, name := range []string{"admin", `STAFF\bob`} {
		w.dir.accounts[0].Name = name
		if out := w.login(t, aliceIdentity()); out.String() != `CORP\alice` {
			t.Errorf("renamed to %s", out)
		}
		w.clock.add(time.Hour)
	}
	if u := w.store.user(t, "admin"); u.SID != "" || len(u.Roles) != 1 || u.Version != 1 {
		t.Errorf("admin is %+v", u)
	}
}

// A directory that answers about another account than it was asked for changes
// nobody.
func TestAttackAnswerAboutAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, directory.User{Realm: "corp", Name: `CORP\alice`, SID: sid(1104)})
	bob := aliceAccount()
	bob.SID, bob.Email, bob.Disabled = sid(1105), "bob@example.com", true
	w.Source = answerAlways{bob}
	w.login(t, aliceIdentity())
	if u := w.store.user(t, `CORP\alice`); u.Email != "" || u.State != directory.Active || u.SID != sid(1104) {
		t.Errorf("user is %+v", u)
	}
}
