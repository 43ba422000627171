package password

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

var (
	_ Users      = (*store.Store)(nil)
	_ LoginNoter = (*store.Store)(nil)
)

// TestInternalInStore: passwords in a database, and an old hash that is replaced
// there with nothing else of the user.
func TestInternalInStore(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, err := store.Open(ctx, store.Config{Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "soapward.db"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	u := directory.User{Name: "alice", DisplayName: "Alice A.", Groups: []authn.Group{{SID: "S-1-5-21-1-2-3-513", Name: `CORP\Staff`}}, Roles: []string{"auditor"}}
	if err := s.CreateUser(ctx, &u); err != nil {
		t.Fatal(err)
	}
	login := func(p Params, name, password string) error {
		t.Helper()
		in := &Internal{Users: s, Hasher: Hasher{Params: p}, Logger: slog.New(slog.DiscardHandler)}
		id, err := (&Chain{Internal: in, RefusalTime: -1}).VerifyPassword(ctx, name, password)
		if err == nil && (id.Account != "alice" || len(id.Groups) != 1) {
			t.Errorf("identity %+v", id)
		}
		return err
	}
	in := &Internal{Users: s, Hasher: Hasher{Params: quick}}
	if err := login(quick, "alice", "violet tractor lagoon"); err == nil {
		t.Error("a login before there is a password")
	}
	if err := in.SetPassword(ctx, &u, "violet tractor lagoon"); err != nil {
		t.Fatal(err)
	}
	stronger := Params{Memory: 128, Time: 1}
	for _, p := range []Params{quick, stronger, stronger} {
		if err := login(p, " ALICE ", "violet tractor lagoon"); err != nil {
			t.Error(err)
		}
		if err := login(p, "alice", "violet tractor"); err == nil {
			t.Error("a wrong password passes")
		}
	}
	// The time of the login is noted, and not again within a minute.
	var times []time.Time
	noon := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for _, after := range []time.Duration{0, 59 * time.Second, 61 * time.Second} {
		in := &Internal{Users: s, Hasher: Hasher{Params: stronger}, Now: func() time.Time { return noon.AddDate(10, 0, 0).Add(after) }}
		if _, err := in.VerifyPassword(ctx, "alice", "violet tractor lagoon"); err != nil {
			t.Fatal(err)
		}
		if _, err := in.VerifyPassword(ctx, "alice", "wrong"); err == nil {
			t.Fatal("a wrong password passes")
		}
		u, err := s.User(ctx, "alice")
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, u.LastLogin)
	}
	if first := noon.AddDate(10, 0, 0); !times[0].Equal(first) || !times[1].Equal(first) || !times[2].Equal(first.Add(61*time.Second)) {
		t.Errorf("last logins %v", times)
	}
	got, err := s.User(ctx, "alice")
	if err != nil || got.Version != u.Version+1 || len(got.Groups) != 1 || len(got.Roles) != 1 || got.DisplayName != "Alice A." {
		t.Errorf("user %+v, %v; want one more version and the rest as it was", got, err)
	}
	if !strings.HasPrefix(got.Password.Reveal(), "$argon2id$v=19$m=128,") {
		t.Errorf("hash %.30s", got.Password.Reveal())
	}
}
