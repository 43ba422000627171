package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/internal/pgtest"
)

// Secrets that no record and no answer may have.
var marked = []string{
	"MARKED-new-password", "MARKED", "TUFSS0VE", // in base64
	"4d41524b45444e5448415348", "JVAVES2FIRKE6VCQ", "$argon2id",
}

// putMarked puts users with all secrets that a user may have into a store.
func putMarked(t *testing.T, st *store.Store) {
	t.Helper()
	now := time.Now()
	secrets := func(u directory.User) directory.User {
		u.Password = directory.NewPasswordHash(markedHash)
		u.NTHash = directory.NTHash{Secret: authn.NewSecret("4d41524b45444e54484153484d41524b")}
		u.SecondFactor = authn.NewSecret("JVAVES2FIRKE6VCQ")
		u.RecoveryCodes = []string{"MARKED-CODE"}
		return u
	}
	addUsers(t, st, secrets(directory.User{Name: "bob"}), secrets(directory.User{Name: "carol"}), secrets(directory.User{Name: "dave"}),
		secrets(localAdmin("root")), secrets(localAdmin("chief")))
	for i, user := range []string{"bob", "bob", "carol", "root"} {
		if err := st.PutSession(t.Context(), &directory.Session{
			ID: directory.SessionID{byte(i + 1)}, User: user, Data: []byte("MARKED-DATA"), Created: now, Seen: now, Expires: now.Add(time.Hour),
			Grant: &directory.Grant{Provider: "it", Subject: "sub", SessionID: "sid", Sealed: []byte("MARKED-SEALED")},
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"user bob at 192.0.2.7", "address 192.0.2.8"} {
		if err := st.SetBlock(t.Context(), directory.Block{Key: key, Failures: 3, From: now, Until: now.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
}

// Each change leaves exactly one record of who, what, of whom, before and after; a
// change of nothing leaves none; and none has a secret in it.
func TestAttackChangeUnrecorded(t *testing.T) {
	t.Parallel()
	st := openSQLite(t)
	putMarked(t, st)
	c := withLocal()
	s := newService(st, c)
	ctx := as(t, `it\alice`, admin.Administrator)
	session := fmt.Sprintf("%064x", 1)
	session = session[62:] + session[:62] // ID 1
	newPassword := authn.NewSecret("MARKED-new-password of many words")
	changing := map[string]bool{}
	for _, tt := range []struct {
		name, method string
		do           func() error
		action       string // empty: there is no record
		target       string
		before       string // in it
		after        string
	}{
		{"add", "AddUser", func() error {
			_, err := s.AddUser(ctx, admin.NewUser{Name: " eve ", Roles: []string{"payroll"}, Password: newPassword})
			return err
		}, "user.add", "eve", "", `"roles":["payroll"]`},
		{"import", "ImportUsers", func() error {
			_, err := s.ImportUsers(ctx, admin.UserImport{Source: "users.csv", Users: []admin.ImportUser{{Name: "bob"}, {Name: "fred", PasswordHash: authn.NewSecret(markedHash)}}})
			return err
		}, "user.import", "users.csv", "", `{"created":1,"existed":1}`},
		{"import of those who are there", "ImportUsers", func() error {
			_, err := s.ImportUsers(ctx, admin.UserImport{Source: "users.csv", Users: []admin.ImportUser{{Name: "fred"}}})
			return err
		}, "", "", "", ""},
		{"change", "ChangeUser", func() error {
			_, err := s.ChangeUser(ctx, "BOB", admin.UserChange{DisplayName: ptr("Bob"), Roles: &[]string{"auditor"}})
			return err
		}, "user.change", "bob", `"name":"bob"`, `"display_name":"Bob"`},
		{"change to what it is", "ChangeUser", func() error {
			_, err := s.ChangeUser(ctx, "bob", admin.UserChange{DisplayName: ptr("Bob"), Roles: &[]string{" auditor", "AUDITOR"}, Disabled: ptr(false), LocalAdmin: ptr(false)})
			return err
		}, "", "", "", ""},
		{"disable", "ChangeUser", func() error {
			_, err := s.ChangeUser(ctx, "carol", admin.UserChange{Disabled: ptr(true)})
			return err
		}, "user.disable", "carol", `"state":"active"`, `"sessions_ended":1`},
		{"disable again", "ChangeUser", func() error {
			_, err := s.ChangeUser(ctx, "carol", admin.UserChange{Disabled: ptr(true)})
			return err
		}, "", "", "", ""},
		{"enable", "ChangeUser", func() error {
			_, err := s.ChangeUser(ctx, "carol", admin.UserChange{Disabled: ptr(false)})
			return err
		}, "user.enable", "carol", `"state":"disabled"`, `"state":"active"`},
		{"end a session", "EndSession", func() error { return s.EndSession(ctx, session) }, "session.end", "bob", `"provider":"it"`, ""},
		{"password", "SetPassword", func() error {
			_, err := s.SetPassword(ctx, "bob", admin.NewPassword{Password: newPassword})
			return err
		}, "user.password", "bob", `"has_password":true`, `"sessions_ended":1`},
		{"second factor", "ClearSecondFactor", func() error { return s.ClearSecondFactor(ctx, "root") }, "user.reset-second-factor", "root", `"second_factor":true`, `"second_factor":false`},
		{"second factor again", "ClearSecondFactor", func() error { return s.ClearSecondFactor(ctx, "root") }, "", "", "", ""},
		{"sessions", "EndSessions", func() error {
			_, err := s.EndSessions(ctx, "ROOT")
			return err
		}, "session.end-all", "root", "", `"sessions_ended":0`},
		{"unblock", "Unblock", func() error {
			_, err := s.Unblock(ctx, "bob")
			return err
		}, "block.lift", "bob", `"key":"user bob at 192.0.2.7"`, ""},
		{"delete", "DeleteUser", func() error { return s.DeleteUser(ctx, "dave") }, "user.delete", "dave", `"name":"dave"`, ""},
		{"passwords", "ClearPasswords", func() error {
			n, err := s.ClearPasswords(ctx)
			if n != 4 {
				t.Errorf("%d passwords were taken, want 4", n)
			}
			return err
		}, "user.clear-passwords", "all but local administrators", `{"passwords":4}`, `{"passwords":0}`},
		{"passwords again", "ClearPasswords", func() error {
			_, err := s.ClearPasswords(ctx)
			return err
		}, "", "", "", ""},
	} {
		changing[tt.method] = true
		before := len(records(t, st))
		if err := tt.do(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		all := records(t, st)
		if tt.action == "" {
			if len(all) != before {
				t.Errorf("%s: recorded although nothing was changed: %+v", tt.name, all[0])
			}
			continue
		}
		if len(all) != before+1 {
			t.Errorf("%s: %d records, want one", tt.name, len(all)-before)
			continue
		}
		r := all[0]
		if r.Actor != `it\alice` || r.Peer != "192.0.2.1" || r.Ref != `ref-it\alice` || r.Action != tt.action || r.Target != tt.target || time.Since(r.Time) > time.Minute {
			t.Errorf("%s: %+v, want %s of %s by the caller", tt.name, r, tt.action, tt.target)
		}
		for _, part := range []struct{ got, want string }{{r.Before, tt.before}, {r.After, tt.after}} {
			if !strings.Contains(part.got, part.want) || (part.want == "") != (part.got == "") {
				t.Errorf("%s: recorded %q, want %q in it", tt.name, part.got, part.want)
			}
		}
	}
	for _, area := range []reflect.Type{reflect.TypeFor[admin.Users](), reflect.TypeFor[admin.Sessions](), reflect.TypeFor[admin.Blocks](), reflect.TypeFor[admin.Audit]()} {
		for i := range area.NumMethod() {
			if name := area.Method(i).Name; rights[name] != admin.Viewer && !changing[name] {
				t.Errorf("no case is of %s", name)
			}
		}
	}
	answers := fmt.Sprintf("%+v", records(t, st)) + allAnswers(t, s, as(t, "viewer", admin.Viewer))
	for _, secret := range marked {
		if strings.Contains(answers, secret) {
			t.Errorf("%s is in the record, or in what a viewer sees", secret)
		}
	}
}

// allAnswers is all that can be seen of users, sessions, blocks and the record.
func allAnswers(t *testing.T, s *admin.Service, ctx context.Context) string {
	t.Helper()
	var b strings.Builder
	add := func(v any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %+v\n", text, v)
	}
	add(s.ListUsers(ctx, admin.UserQuery{}))
	add(s.User(ctx, "root"))
	add(s.ListSessions(ctx, admin.SessionQuery{}))
	add(s.ListBlocks(ctx))
	add(s.Logins(ctx, admin.LoginQuery{}))
	add(s.Changes(ctx, admin.ChangeQuery{}))
	return b.String()
}

// What cannot be recorded is not done.
func TestAttackChangeWithoutRecord(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	dsn := server.Database(t)
	st := openStore(t, store.Config{Driver: "postgres", DSN: dsn})
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	session := &directory.Session{ID: directory.SessionID{1}, User: "bob", Created: now, Seen: now, Expires: now.Add(time.Hour)}
	if err := st.PutSession(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	addUsers(t, st, directory.User{Name: "bob", Password: directory.NewPasswordHash(markedHash)})
	server.Exec(t, strings.TrimPrefix(u.Path, "/"), "ALTER TABLE changes RENAME TO elsewhere")
	s := newService(st, withLocal())
	ctx := as(t, "alice", admin.Administrator)
	_, err = s.ChangeUser(ctx, "bob", admin.UserChange{Disabled: ptr(true)})
	wantKind(t, "disable", err, admin.Unavailable)
	wantKind(t, "delete", s.DeleteUser(ctx, "bob"), admin.Unavailable)
	_, err = s.ClearPasswords(ctx)
	wantKind(t, "clear passwords", err, admin.Unavailable)
	_, err = s.AddUser(ctx, admin.NewUser{Name: "eve"})
	wantKind(t, "add", err, admin.Unavailable)
	wantKind(t, "end a session", s.EndSession(ctx, fmt.Sprintf("%x", session.ID)), admin.Unavailable)
	server.Exec(t, strings.TrimPrefix(u.Path, "/"), "ALTER TABLE elsewhere RENAME TO changes")
	if u := stored(t, st, "bob"); u.State != directory.Active || u.Password.IsEmpty() || u.Version != 1 {
		t.Errorf("bob is %v, version %d; want nothing changed", u.State, u.Version)
	}
	if _, err := st.User(t.Context(), "eve"); err == nil {
		t.Error("eve was added without a record")
	}
	if _, err := st.Session(t.Context(), session.ID); err != nil {
		t.Errorf("the session ended without a record: %v", err)
	}
}
