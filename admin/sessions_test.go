package admin_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

func noop(context.Context) error { return nil }

// sealedLogin begins a session that is sealed into a cookie, and returns what tells
// whether it is one still at a time.
func sealedLogin(t *testing.T, st *store.Store, user string) func(at time.Time) error {
	t.Helper()
	now := time.Now()
	m := &session.Manager{
		Store: st, Keys: []session.Key{session.NewKey()}, AllowInsecureHTTP: true, Remember: 90 * 24 * time.Hour, Now: func() time.Time { return now },
	}
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	if err := m.Start(w, r, &authn.Identity{Account: user, Mechanism: "form"}, true); err != nil {
		t.Fatal(err)
	}
	cookies := w.Result().Cookies()
	return func(at time.Time) error {
		now = at
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		_, err := m.Authenticate(r)
		return err
	}
}

// The sessions of a user end with what ends them, sealed ones too, and stay ended
// for as long as one may last.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(s *admin.Service, ctx context.Context) error
		ends bool
	}{
		{"sessions ended", func(s *admin.Service, ctx context.Context) error { _, err := s.EndSessions(ctx, "BOB"); return err }, true},
		{"disabled", func(s *admin.Service, ctx context.Context) error {
			_, err := s.ChangeUser(ctx, "bob", admin.UserChange{Disabled: ptr(true)})
			return err
		}, true},
		{"deleted", func(s *admin.Service, ctx context.Context) error { return s.DeleteUser(ctx, "bob") }, true},
		{"new password", func(s *admin.Service, ctx context.Context) error {
			_, err := s.SetPassword(ctx, "bob", admin.NewPassword{Password: goodPassword})
			return err
		}, true},
		{"passwords taken", func(s *admin.Service, ctx context.Context) error { _, err := s.ClearPasswords(ctx); return err }, true},
		{"demoted", func(s *admin.Service, ctx context.Context) error {
			if _, err := s.ChangeUser(ctx, "bob", admin.UserChange{LocalAdmin: ptr(true)}); err != nil {
				return err
			}
			_, err := s.ChangeUser(ctx, "bob", admin.UserChange{LocalAdmin: ptr(false)})
			return err
		}, true},
		{"new password, and sessions kept", func(s *admin.Service, ctx context.Context) error {
			_, err := s.SetPassword(ctx, "bob", admin.NewPassword{Password: goodPassword, KeepSessions: true})
			return err
		}, false},
		{"a role", func(s *admin.Service, ctx context.Context) error {
			_, err := s.ChangeUser(ctx, "bob", admin.UserChange{Roles: &[]string{"payroll"}})
			return err
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			st := openSQLite(t)
			addUsers(t, st, directory.User{Name: "bob", Password: directory.NewPasswordHash(markedHash)}, localAdmin("root"))
			s, ctx := newService(st, withLocal()), as(t, "alice", admin.Administrator)
			sealed := sealedLogin(t, st, "bob")
			other := sealedLogin(t, st, "carol")
			now := time.Now()
			if err := st.PutSession(t.Context(), &directory.Session{ID: directory.SessionID{1}, User: "bob", Created: now, Seen: now, Expires: now.Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
			if err := sealed(now); err != nil {
				t.Fatal(err)
			}
			if err := tt.do(s, ctx); err != nil {
				t.Fatal(err)
			}
			p, err := s.ListSessions(ctx, admin.SessionQuery{})
			if err != nil || (len(p.Sessions) == 0) != tt.ends {
				t.Errorf("%+v, %v; want the session ended: %v", p, err, tt.ends)
			}
			for _, at := range []time.Duration{time.Minute, 80 * 24 * time.Hour} {
				if _, err := st.Prune(t.Context(), now.Add(at)); err != nil {
					t.Fatal(err)
				}
				if err := sealed(now.Add(at)); (err != nil) != tt.ends {
					t.Errorf("after %v: %v, want the sealed session ended: %v", at, err, tt.ends)
				}
			}
			if err := other(now.Add(time.Minute)); err != nil {
				t.Errorf("the session of another user: %v", err)
			}
		})
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	st := openSQLite(t)
	addUsers(t, st, directory.User{Name: "bob"}, directory.User{Name: "idle"})
	s, ctx := newService(st, withLocal()), as(t, "op", admin.Operator)
	now := time.Now().Truncate(time.Microsecond)
	for i, n := range []directory.Session{
		{User: "bob", Created: now, Expires: now.Add(time.Hour), Peer: "192.0.2.7", UserAgent: "Mozilla", Remember: true, Grant: &directory.Grant{Provider: "it"}},
		{User: "Bob", Created: now.Add(-time.Minute), Expires: now.Add(time.Hour)},
		{User: "bob", Created: now.Add(-2 * time.Hour), Expires: now.Add(-time.Hour)},
		{User: `CORP\rowless`, Created: now.Add(-time.Second), Expires: now.Add(time.Hour)},
	} {
		n.ID, n.Seen = directory.SessionID{byte(i + 1)}, n.Created
		if err := st.PutSession(t.Context(), &n); err != nil {
			t.Fatal(err)
		}
	}
	p, err := s.ListSessions(ctx, admin.SessionQuery{User: "BOB"})
	if err != nil || len(p.Sessions) != 2 {
		t.Fatalf("%+v, %v; want two live ones", p, err)
	}
	first := p.Sessions[0]
	if first.Present || first.User != "bob" || !first.Created.Equal(now) || !first.Remember || first.Peer != "192.0.2.7" || first.UserAgent != "Mozilla" || first.Provider != "it" {
		t.Errorf("%+v", first)
	}
	by := *admin.FromContext(ctx)
	by.Session = p.Sessions[1].ID
	p, err = s.ListSessions(admin.NewContext(ctx, &by), admin.SessionQuery{})
	if err != nil || len(p.Sessions) != 3 {
		t.Fatalf("%+v, %v; want three", p, err)
	}
	for _, n := range p.Sessions {
		if n.Present != (n.ID == by.Session) {
			t.Errorf("%+v, asked for with %s", n, by.Session)
		}
	}
	wantKind(t, "end", s.EndSession(ctx, first.ID), "")
	wantKind(t, "end it again", s.EndSession(ctx, first.ID), admin.NotFound)
	over := directory.SessionID{3}
	wantKind(t, "end one that is over", s.EndSession(ctx, hex.EncodeToString(over[:])), admin.NotFound)
	for _, id := range []string{"", "x", first.ID + "00", first.ID[:10]} {
		wantKind(t, "end "+id, s.EndSession(ctx, id), admin.Invalid)
	}
	for _, tt := range []struct {
		user string
		n    int
		kind admin.Kind
	}{{"bob", 2, ""}, {"idle", 0, ""}, {`corp\ROWLESS`, 1, ""}, {`corp\ROWLESS`, 0, admin.NotFound}, {"bobby", 0, admin.NotFound}, {"", 0, admin.NotFound}} {
		n, err := s.EndSessions(ctx, tt.user)
		wantKind(t, "end those of "+tt.user, err, tt.kind)
		if n != tt.n {
			t.Errorf("%d sessions of %s ended, want %d", n, tt.user, tt.n)
		}
	}
}

// Rows that say which sealed sessions ended are no sessions: who could end those
// would bring the sessions back.
func TestAttackSessionBroughtBack(t *testing.T) {
	t.Parallel()
	st := openSQLite(t)
	addUsers(t, st, directory.User{Name: "bob"})
	s, ctx := newService(st, withLocal()), as(t, "op", admin.Administrator)
	sealed := sealedLogin(t, st, "bob")
	if _, err := s.EndSessions(ctx, "bob"); err != nil {
		t.Fatal(err)
	}
	p, err := s.ListSessions(ctx, admin.SessionQuery{})
	if err != nil || len(p.Sessions) != 0 {
		t.Errorf("%+v, %v; want nothing", p, err)
	}
	mark := sha256.Sum256([]byte("ended user\x00bob")) // as package session has it
	if n, err := st.Session(t.Context(), mark); err != nil || n.User != "\x1fended" {
		t.Fatalf("the test is wrong about the row: %+v, %v", n, err)
	}
	wantKind(t, "end the row", s.EndSession(ctx, hex.EncodeToString(mark[:])), admin.NotFound)
	for _, name := range []string{"\x1fended", " \x1fENDED ", "\x1f"} {
		_, err = s.EndSessions(ctx, name)
		wantKind(t, "end the rows", err, admin.NotFound)
		p, err := s.ListSessions(ctx, admin.SessionQuery{User: name})
		if err != nil || len(p.Sessions) != 0 {
			t.Errorf("%+v, %v; want nothing", p, err)
		}
		_, err = s.AddUser(ctx, admin.NewUser{Name: name})
		wantKind(t, "a user of that name", err, admin.Invalid)
	}
	if sealed(time.Now().Add(time.Second)) == nil {
		t.Error("a session that ended is one again")
	}
}

// 37f. An operator who has an administrator's password lifts the blocks of the second
// factor, or of guesses at the password, whenever there is one.
func TestAttackUnblockedGuesses(t *testing.T) {
	t.Parallel()
	st := openSQLite(t)
	s, now := newService(st, withLocal()), time.Now()
	own := []string{`user console\root at 192.0.2.7`, `user console code\root at 192.0.2.7`, "console address 192.0.2.7", "second factor of root"}
	for _, key := range append(own, "address 192.0.2.7") {
		if err := st.SetBlock(t.Context(), directory.Block{Key: key, Failures: 3, From: now, Until: now.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	op := as(t, "op", admin.Operator)
	for _, who := range append(own, "root", `console code\root`) {
		_, err := s.Unblock(op, who)
		wantKind(t, who, err, admin.Forbidden)
	}
	if got, err := s.Unblock(op, "192.0.2.7"); err != nil || !slices.Equal(got, []string{"address 192.0.2.7"}) {
		t.Errorf("an address: %q, %v", got, err)
	}
	if blocks, err := st.Blocks(t.Context(), now); err != nil || len(blocks) != len(own) {
		t.Errorf("%+v, %v; want the %d of administrators", blocks, err, len(own))
	}
	boss := as(t, "boss", admin.Administrator)
	for _, who := range []string{"root", "192.0.2.7", "second factor of root"} {
		if _, err := s.Unblock(boss, who); err != nil {
			t.Errorf("an administrator, %s: %v", who, err)
		}
	}
	if blocks, err := st.Blocks(t.Context(), now); err != nil || len(blocks) != 0 {
		t.Errorf("%+v, %v; want none", blocks, err)
	}
}

func TestUnblock(t *testing.T) {
	t.Parallel()
	st := openSQLite(t)
	s, ctx := newService(st, withLocal()), as(t, "op", admin.Operator)
	now := time.Now()
	for _, key := range []string{`user corp\alice at 192.0.2.7`, `user corp\alice at 192.0.2.8`, "user bob at 192.0.2.7", "address 192.0.2.7", "address 2001:db8::/64", `user *\eve at 192.0.2.7`} {
		if err := st.SetBlock(t.Context(), directory.Block{Key: key, Failures: 3, From: now, Until: now.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		who  string
		want []string
		kind admin.Kind
	}{
		{"Alice", []string{`user corp\alice at 192.0.2.7`, `user corp\alice at 192.0.2.8`}, ""},
		{"alice", nil, admin.NotFound},
		{"2001:db8::99", []string{"address 2001:db8::/64"}, ""},
		{"::ffff:192.0.2.7", []string{"address 192.0.2.7"}, ""},
		{`x\eve`, []string{`user *\eve at 192.0.2.7`}, ""},
		{"user bob at 192.0.2.7", []string{"user bob at 192.0.2.7"}, ""},
		{"", nil, admin.NotFound},
		{string(make([]byte, 2000)), nil, admin.Invalid},
	} {
		got, err := s.Unblock(ctx, tt.who)
		wantKind(t, tt.who, err, tt.kind)
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.who, got, tt.want)
		}
	}
	if blocks, err := s.ListBlocks(ctx); err != nil || len(blocks) != 0 {
		t.Errorf("%+v, %v; want none", blocks, err)
	}
	if n := len(records(t, st)); n != 5 {
		t.Errorf("%d records, want 5", n)
	}
}
