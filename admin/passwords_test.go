package admin_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
)

var goodPassword = authn.NewSecret("quiet lamp under the river")

// While administrators log in at a provider, nobody but local administrators gets a
// password, by whatever way.
func TestAttackPasswordBesideProvider(t *testing.T) {
	t.Parallel()
	st := openSQLite(t)
	addUsers(t, st, directory.User{Name: "bob"}, localAdmin("root"), localAdmin("chief"))
	s := newService(st, withProvider())
	ctx := as(t, "alice", admin.Administrator)
	set := func(name string) error {
		_, err := s.SetPassword(ctx, name, admin.NewPassword{Password: goodPassword})
		return err
	}
	add := func(n admin.NewUser) error {
		_, err := s.AddUser(ctx, n)
		return err
	}
	change := func(name string, c admin.UserChange) error {
		_, err := s.ChangeUser(ctx, name, c)
		return err
	}
	for _, tt := range []struct {
		name string
		err  error
		kind admin.Kind
		has  string // user who has a password then
	}{
		{"set", set("bob"), admin.Refused, ""},
		{"add", add(admin.NewUser{Name: "carol", Password: goodPassword}), admin.Refused, ""},
		{"add without one", add(admin.NewUser{Name: "dora"}), "", ""},
		{"set of a local administrator", set("root"), "", "root"},
		{"add a local administrator", add(admin.NewUser{Name: "erna", LocalAdmin: true, Password: goodPassword}), "", "erna"},
	} {
		if e := wantKind(t, tt.name, tt.err, tt.kind); e != nil && (!strings.Contains(e.Text, "local administrators") || e.Remedy == "") {
			t.Errorf("%s: %q, %q; want words that tell why", tt.name, e.Text, e.Remedy)
		}
		if tt.has != "" && stored(t, st, tt.has).Password.IsEmpty() {
			t.Errorf("%s: no password was set", tt.name)
		}
	}
	for _, name := range []string{"bob", "dora"} {
		if !stored(t, st, name).Password.IsEmpty() {
			t.Errorf("%s has a password", name)
		}
	}
	// A way round: make him one, set it, and unmake him.
	wantKind(t, "promote", change("bob", admin.UserChange{LocalAdmin: ptr(true)}), "")
	wantKind(t, "set of one who was promoted", set("bob"), "")
	wantKind(t, "demote", change("bob", admin.UserChange{LocalAdmin: ptr(false)}), "")
	if u := stored(t, st, "bob"); !u.Password.IsEmpty() || !u.NTHash.IsEmpty() {
		t.Error("bob kept the password that he had as a local administrator")
	}
}

// A new password follows the rules of the configuration, works, and has a hash for
// NTLM where the user's realm wants one.
func TestSetPassword(t *testing.T) {
	t.Parallel()
	st := openSQLite(t)
	addUsers(t, st, directory.User{Name: "bob", Realm: "staff"}, directory.User{Name: "carol", Realm: "other"}, directory.User{Name: "dave", Email: "dave.davison@example.com"})
	c := withLocal()
	c.Passwords = config.Passwords{MinLength: 20, MemoryKiB: 8192, Passes: 3}
	s := newService(st, c)
	ctx := as(t, "alice", admin.Administrator)
	for _, tt := range []struct {
		name, user, password string
		kind                 admin.Kind
		says                 string
		nt                   bool
	}{
		{"of a realm with NTLM", "BOB", goodPassword.Reveal(), "", "", true},
		{"of a realm without", "carol", goodPassword.Reveal(), "", "", false},
		{"of no realm", "dave", goodPassword.Reveal(), "", "", true},
		{"too short", "bob", "quiet lamp under th", admin.Invalid, "too short", true},
		{"empty", "bob", "", admin.Invalid, "too short", true},
		{"common", "bob", "passwordpasswordpassword", admin.Invalid, "guessed", true},
		{"his name", "dave", "dave.davison dave.davison", admin.Invalid, "name", true},
		{"nobody's", "nobody", goodPassword.Reveal(), admin.NotFound, "no user nobody", false},
	} {
		_, err := s.SetPassword(ctx, tt.user, admin.NewPassword{Password: authn.NewSecret(tt.password)})
		if e := wantKind(t, tt.name, err, tt.kind); e != nil {
			if !strings.Contains(e.Text, tt.says) || e.Kind == admin.Invalid && e.Field != "password" {
				t.Errorf("%s: %q of field %q, want %q", tt.name, e.Text, e.Field, tt.says)
			}
			continue
		}
		u := stored(t, st, tt.user)
		h := password.Hasher{Params: password.Params{Memory: 8192, Time: 3}}
		if ok, outdated, err := h.Verify(t.Context(), u.Password, tt.password); !ok || outdated || err != nil {
			t.Errorf("%s: the password is right: %v, outdated: %v, %v", tt.name, ok, outdated, err)
		}
		if !u.NTHash.IsEmpty() != tt.nt {
			t.Errorf("%s: a hash for NTLM is kept: %v, want %v", tt.name, !u.NTHash.IsEmpty(), tt.nt)
		}
	}
	if _, err := s.ChangeUser(ctx, "bob", admin.UserChange{Realm: ptr("other")}); err != nil {
		t.Fatal(err)
	}
	if u := stored(t, st, "bob"); !u.NTHash.IsEmpty() || u.Password.IsEmpty() {
		t.Error("in a realm without NTLM the hash for it is kept, or the password is not")
	}
}

// Passwords are taken in batches, and all of it is there to do again after an
// interruption; local administrators keep theirs.
func TestClearPasswords(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			st := openStore(t, d.make(t))
			const n = 1203
			users := make([]directory.User, n)
			for i := range users {
				users[i] = directory.User{Name: fmt.Sprintf("user%04d", i)}
				if i%3 != 0 {
					users[i].Password = directory.NewPasswordHash(markedHash)
				}
				if i%3 == 2 {
					users[i].NTHash = directory.NTHash{Secret: authn.NewSecret("4d41524b45444e54484153484d41524b")}
				}
			}
			if _, err := st.Import(t.Context(), func(yield func(*directory.User, error) bool) {
				for i := range users {
					if !yield(&users[i], nil) {
						return
					}
				}
			}, nil); err != nil {
				t.Fatal(err)
			}
			addUsers(t, st, localAdmin("root"))
			now := time.Now()
			for i, name := range []string{"user0000", "user0001", "user1202", "root"} {
				if err := st.PutSession(t.Context(), &directory.Session{ID: directory.SessionID{byte(i + 1)}, User: name, Created: now, Seen: now, Expires: now.Add(time.Hour)}); err != nil {
					t.Fatal(err)
				}
			}
			// It is interrupted among the users of the second batch.
			ctx, cancel := context.WithCancel(as(t, "alice", admin.Administrator))
			defer cancel()
			calls := 0
			interrupted := admin.New(admin.Options{Store: func() *store.Store { return st }, Config: withProvider, Now: func() time.Time {
				if calls++; calls == 700 {
					cancel()
				}
				return time.Now()
			}})
			done, err := interrupted.ClearPasswords(ctx)
			if err == nil || done != 500 {
				t.Fatalf("%d passwords were taken by one that was interrupted (%v), want 500", done, err)
			}
			left, err := st.CountPasswords(t.Context())
			if err != nil || left != 302 {
				t.Fatalf("%d passwords are left (%v), want 302", left, err)
			}
			s := newService(st, withProvider())
			rest, err := s.ClearPasswords(as(t, "alice", admin.Administrator))
			if err != nil || rest != int(left) {
				t.Fatalf("%d more, %v; want %d", rest, err, left)
			}
			for i := range users {
				if u := stored(t, st, users[i].Name); !u.Password.IsEmpty() || !u.NTHash.IsEmpty() {
					t.Fatalf("%s has a password", u.Name)
				}
			}
			if stored(t, st, "root").Password.IsEmpty() {
				t.Error("a local administrator lost the password")
			}
			page, err := s.ListSessions(as(t, "alice", admin.Administrator), admin.SessionQuery{})
			if err != nil || len(page.Sessions) != 2 {
				t.Errorf("%+v, %v; want the sessions of those who had no password, or keep it", page, err)
			}
			all := records(t, st)
			if len(all) != 2 || all[1].Before != `{"passwords":802}` {
				t.Errorf("%+v, want two records, the first of 802 passwords", all)
			}
		})
	}
}

// Somebody who changes one of those of a batch meanwhile does not make it the last.
func TestClearPasswordsWhileOthersWrite(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			st := openStore(t, d.make(t))
			users := make([]directory.User, 1100)
			for i := range users {
				users[i] = directory.User{Name: fmt.Sprintf("user%04d", i), Password: directory.NewPasswordHash(markedHash)}
			}
			if _, err := st.Import(t.Context(), func(yield func(*directory.User, error) bool) {
				for i := range users {
					if !yield(&users[i], nil) {
						return
					}
				}
			}, nil); err != nil {
				t.Fatal(err)
			}
			writing, ended := make(chan struct{}), make(chan error)
			var once sync.Once
			go func() {
				ended <- st.Audited(t.Context(), &directory.Change{Action: "x"}, func(ctx context.Context) error {
					u, err := st.User(ctx, "user0100")
					if err != nil {
						return err
					}
					u.LocalAdmin = true
					if err := st.UpdateUser(ctx, u); err != nil {
						return err
					}
					once.Do(func() { close(writing) })
					// Until the other one waits for this; if it is sooner, no harm is done.
					<-time.After(300 * time.Millisecond)
					return nil
				})
			}()
			<-writing
			n, err := newService(st, withProvider()).ClearPasswords(as(t, "alice", admin.Administrator))
			if e := <-ended; e != nil {
				t.Fatal(e)
			}
			if left, e := st.CountPasswords(t.Context()); n != 1099 || err != nil || e != nil || left != 0 {
				t.Errorf("%d were taken (%v), %d are left (%v)", n, err, left, e)
			}
		})
	}
}
