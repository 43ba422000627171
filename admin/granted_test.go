package admin

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
)

// TestGranted: who grants a role sees it counted; what another node does is seen
// after a minute.
func TestGranted(t *testing.T) {
	t.Parallel()
	st, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "new", "s.db"), Logger: slog.New(slog.DiscardHandler), Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	now := time.Now()
	s := New(Options{Store: func() *store.Store { return st }, Config: func() *config.Config { return nil }, Now: func() time.Time { return now }})
	ctx := NewContext(context.Background(), &Caller{Name: "root", Role: Administrator, Local: true})
	want := func(what string, n int64) {
		t.Helper()
		of, err := s.granted.in(t.Context(), st, s.now())
		if err != nil || of["payroll"] != n {
			t.Errorf("%s: %v, %v; want %d", what, of, err, n)
		}
		of["payroll"] = 99 // is the caller's
	}
	want("nobody", 0)
	if _, err := s.AddUser(ctx, NewUser{Name: "alice", Roles: []string{"payroll"}}); err != nil {
		t.Fatal(err)
	}
	want("one", 1)
	if err := st.CreateUser(t.Context(), &directory.User{Name: "bob", Roles: []string{"payroll"}}); err != nil {
		t.Fatal(err)
	}
	want("at once", 1)
	now = now.Add(grantedAge)
	want("after a minute", 2)
	if _, err := s.ChangeUser(ctx, "bob", UserChange{Roles: &[]string{}}); err != nil {
		t.Fatal(err)
	}
	want("taken away", 1)
	now = now.Add(-time.Hour) // a clock that was set back
	if err := st.CreateUser(t.Context(), &directory.User{Name: "carol", Roles: []string{"payroll"}}); err != nil {
		t.Fatal(err)
	}
	want("earlier", 2)
}
