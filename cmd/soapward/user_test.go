package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

// userCommand runs a command line and returns what it printed.
func userCommand(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	root := newRootCommand()
	root.SetOut(&out)
	root.SetErr(&errs)
	code = execute(t.Context(), root, args)
	return code, out.String(), errs.String()
}

// TestUserHistory shows what a gateway has written.
func TestUserHistory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users.db")
	s, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: path, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	now := time.Now()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.CreateUser(t.Context(), &directory.User{Name: `CORP\alice`}))
	must(s.CreateUser(t.Context(), &directory.User{Name: "bob"}))
	must(s.PutSession(t.Context(), &directory.Session{ID: directory.SessionID{9}, User: "bob", Created: now, Seen: now, Expires: now.Add(time.Hour)}))
	for i, expires := range []time.Duration{time.Hour, 2 * time.Hour, -time.Hour} {
		must(s.PutSession(t.Context(), &directory.Session{
			ID: directory.SessionID{byte(i)}, User: `CORP\alice`, Data: []byte("SECRET-DATA"), Created: now.Add(-2 * time.Hour), Seen: now,
			Expires: now.Add(expires), Peer: "192.0.2.7", UserAgent: "Mozilla \x1b[31m " + strings.Repeat("x", 200),
		}))
	}
	for _, l := range []directory.Login{
		{Time: now, Ref: "ab12", User: "mallory\x1b[2J", Mechanism: "Basic", Peer: "192.0.2.9", Outcome: directory.Refused, Reason: authn.ReasonWrongPassword, Detail: "of nobody"},
		{Time: now.Add(-47 * time.Hour), Ref: "ef56", User: "bob", Peer: "2001:db8::7", Outcome: directory.Blocked, Detail: "authn: user bob is blocked"},
		{Time: now.Add(-48 * time.Hour), Ref: "cd34", User: `CORP\alice`, Mechanism: "Kerberos", Outcome: directory.Accepted},
	} {
		must(s.AddLogin(t.Context(), &l))
	}
	for _, key := range []string{`user corp\alice at 192.0.2.7`, `user corp\alice at 192.0.2.8`, "user bob at 192.0.2.7", "address 192.0.2.7", "address 2001:db8::/64",
		`user corp\bjorn at 2001:db8:1::/64`, `user *\eve at 192.0.2.7`, `user corp\eve2 at 192.0.2.7`, "address 198.51.100.7", "address 2001:db8:2::/64"} {
		must(s.SetBlock(t.Context(), directory.Block{Key: key, Failures: 3, From: now, Until: now.Add(time.Hour)}))
	}
	at := []string{"--store", "sqlite:" + path}
	for _, tt := range []struct {
		name      string
		args      []string
		code      int
		want, not []string
	}{
		{"sessions", []string{"sessions", `corp\ALICE`}, 0, []string{"192.0.2.7", "Mozilla"}, []string{"SECRET", "\x1b"}},
		{"sessions as JSON", []string{"sessions", `corp\alice`, "--json"}, 0, []string{`"user_agent": "Mozilla \u001b[31m`}, []string{"SECRET", "\x1b"}},
		{"logins", []string{"logins"}, 0, []string{"refused", "wrong-password: of", "ab12", "cd34", "mallory"}, []string{"\x1b"}},
		{"logins of a user", []string{"logins", "-u", `corp\alice`, "--json"}, 0, []string{`"ref": "cd34"`}, []string{"ab12"}},
		{"logins of a day", []string{"logins", "--since", "24h"}, 0, []string{"ab12"}, []string{"cd34"}},
		{"logins that were accepted", []string{"logins", "--outcome", "accepted"}, 0, []string{"cd34"}, []string{"ab12"}},
		{"logins from an address", []string{"logins", "--peer", "::ffff:192.0.2.9"}, 0, []string{"ab12"}, []string{"cd34", "ef56"}},
		{"logins that were blocked", []string{"logins", "--peer", "2001:DB8::7"}, 0, []string{"  user bob is blocked"}, []string{": user", "authn"}},
		{"blocks", []string{"unblock"}, 0, []string{"BLOCKED", "user bob at 192.0.2.7", "address 2001:db8::/64"}, nil},
		{"blocks as JSON", []string{"unblock", "--json"}, 0, []string{`"key": "user bob at 192.0.2.7"`, `"failures": 3`}, nil},
		{"unblock a user", []string{"unblock", "Alice"}, 0, []string{`user corp\alice at 192.0.2.7 is not blocked any more`, "192.0.2.8"}, []string{"bob"}},
		{"unblock it again, and an address", []string{"unblock", `CORP\alice`, "192.0.2.7"}, 1, []string{"address 192.0.2.7 is not", `not blocked: CORP\alice`}, nil},
		{"unblock a key", []string{"unblock", "address 2001:db8::/64"}, 0, []string{"2001"}, nil},
		{"unblock an address in its network", []string{"unblock", "2001:db8:2::7", "::ffff:198.51.100.7"}, 0, []string{"address 2001:db8:2::/64 is not", "address 198.51.100.7 is not"}, nil},
		{"unblock as users write a name", []string{"unblock", `corp\Bjørn`}, 0, []string{`user corp\bjorn at 2001:db8:1::/64 is not`}, nil},
		{"unblock a user of a domain that is not known", []string{"unblock", `other\EVE`}, 0, []string{`user *\eve at 192.0.2.7 is not`}, []string{"eve2"}},
		{"unblock a user of another domain", []string{"unblock", `other\eve2`}, 1, []string{"not blocked"}, nil},
		{"unblock the user", []string{"unblock", `eve2`}, 0, []string{"eve2 at"}, nil},
		{"the one that is left", []string{"unblock"}, 0, []string{"user bob"}, []string{"alice", "address"}},
		{"disable", []string{"disable", `CORP\alice`}, 0, []string{`CORP\alice is disabled; 3 sessions were ended`}, nil},
		{"delete", []string{"delete", "bob"}, 0, []string{"bob was deleted; 1 session was ended"}, nil},
		{"no sessions", []string{"sessions", `CORP\alice`}, 0, []string{"no sessions"}, nil},
	} {
		code, stdout, stderr := userCommand(t, append(append([]string{"user"}, tt.args...), at...)...)
		out := stdout + stderr
		if code != tt.code {
			t.Errorf("%s: exit code %d, want %d; %s", tt.name, code, tt.code, out)
		}
		for _, w := range tt.want {
			if !strings.Contains(out, w) {
				t.Errorf("%s does not say %q:\n%s", tt.name, w, out)
			}
		}
		for _, w := range tt.not {
			if strings.Contains(out, w) {
				t.Errorf("%s says %q:\n%s", tt.name, w, out)
			}
		}
	}
}

// What programs read of a login has no number, and what is empty as it was first.
func TestLoginJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 8, 30, 0, 0, time.UTC)
	for want, l := range map[string]admin.Login{
		`{"time":"2026-11-26T08:30:00Z","outcome":"accepted","user":"","mechanism":"","peer":"","user_agent":"","ref":""}`: {ID: 7, Time: at, Outcome: "accepted"},
		`{"time":"2026-11-26T08:30:00Z","outcome":"refused","user":"a","sid":"b","realm":"c","mechanism":"d","peer":"e","user_agent":"f","reason":"g","detail":"h","ref":"i"}`: {
			ID: 7, Time: at, Outcome: "refused", User: "a", SID: "b", Realm: "c", Mechanism: "d", Peer: "e", UserAgent: "f", Reason: "g", Detail: "h", Ref: "i",
		},
	} {
		if got, err := json.Marshal(loginJSON{Login: &l}); err != nil || string(got) != want {
			t.Errorf("%s, %v\nwant %s", got, err, want)
		}
	}
}

func TestShare(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		done, total int
		want        string
	}{
		{0, 0, "[--------------------] 0 of 0 users, 0 %"},
		{5, 10, "[##########----------] 5 of 10 users, 50 %"},
		{10, 10, "[####################] 10 of 10 users, 100 %"},
		{11, 10, "[####################] 11 of 10 users, 110 %"},
	} {
		if got := share(tt.done, tt.total); got != tt.want {
			t.Errorf("%d of %d: %s, want %s", tt.done, tt.total, got, tt.want)
		}
	}
}

// The hash for NTLM is kept of those whose realm wants it, and goes with the
// password that it is of.
func TestUserNTHash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	db, pw := filepath.Join(dir, "users.db"), write("pw", "a long password of hers\n")
	with := write("with.yaml", "store: {driver: sqlite, dsn: users.db}\nrealms: {staff: {internal: {ntlm: true}}, other: {internal: {}}}\n")
	without := write("without.yaml", "store: {driver: sqlite, dsn: users.db}\nrealms: {staff: {internal: {}}}\n")
	s, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: db, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, tt := range []struct {
		args []string
		user string
		want bool
	}{
		{[]string{"add", "dora", "--realm", "staff", "-c", with}, "dora", true},
		{[]string{"add", "root", "-c", with}, "root", true},
		{[]string{"add", "otto", "--realm", "other", "-c", with}, "otto", false},
		{[]string{"passwd", "dora", "-c", without}, "dora", false},
		{[]string{"passwd", "dora", "-c", with}, "dora", true},
		{[]string{"passwd", "dora", "--store", "sqlite:" + db}, "dora", false},
	} {
		code, out, errs := userCommand(t, append(append([]string{"user"}, tt.args...), "--password-file", pw)...)
		if code != 0 {
			t.Fatalf("%q: %d, %s%s", tt.args, code, out, errs)
		}
		u, err := s.User(t.Context(), tt.user)
		if err != nil || !u.NTHash.IsEmpty() != tt.want {
			t.Errorf("%q: a hash is kept: %v, %v; want %v", tt.args, !u.NTHash.IsEmpty(), err, tt.want)
		}
	}
}

// A second factor that was lost is forgotten, and its user has to log in anew.
func TestUserResetSecondFactor(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users.db")
	s, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: path, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.CreateUser(t.Context(), &directory.User{Name: "dora", LocalAdmin: true, SecondFactor: authn.NewSecret("JVAVES2FIRKE6VCQ"), RecoveryCodes: []string{"MARKED"}}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if err := s.PutSession(t.Context(), &directory.Session{ID: directory.SessionID{1}, User: "dora", Created: now, Seen: now, Expires: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	code, out, errs := userCommand(t, "user", "reset-second-factor", "DORA", "--store", "sqlite:"+path)
	if code != 0 || out != "dora sets up a new second factor at the next login\n" {
		t.Fatalf("%d, %q, %s", code, out, errs)
	}
	u, err := s.User(t.Context(), "dora")
	if err != nil || !u.SecondFactor.IsEmpty() || len(u.RecoveryCodes) > 0 {
		t.Errorf("a second factor is there: %v, codes %d, %v", !u.SecondFactor.IsEmpty(), len(u.RecoveryCodes), err)
	}
	if left, err := s.SessionsOf(t.Context(), "dora"); err != nil || len(left) > 0 {
		t.Errorf("%d sessions are left, %v", len(left), err)
	}
}
