package api

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
)

// TestRoles has the service, which decides, asked by who has the role that the
// document says, and by who has the one below.
func TestRoles(t *testing.T) {
	t.Parallel()
	quiet := slog.New(slog.DiscardHandler)
	s, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "s.db"), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	a := New(admin.New(admin.Options{
		Store: func() *store.Store { return s }, Config: func() *config.Config { return nil }, Logger: quiet,
	}))
	a.Logger = quiet
	for i := range endpoints {
		e := &endpoints[i]
		if e.role == admin.NoRole || e.serve == nil || e.path == "/logins/follow" {
			continue
		}
		u := &directory.User{Name: "17"}
		if err := s.CreateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		_, body := sample(t, e)
		target := Prefix + braces.ReplaceAllString(e.path[1:], "17")
		if e.method == http.MethodPatch {
			body = `{"disabled":true}`
		}
		for _, tt := range []struct {
			role admin.Role
			may  bool
		}{{e.role - 1, false}, {e.role, true}} {
			r := do(t, a, &admin.Caller{Name: "root", Role: tt.role, Local: true, Peer: "127.0.0.1"}, e.method, target, body)
			if got := text(t, r); (r.StatusCode != http.StatusForbidden) != tt.may || r.StatusCode == http.StatusBadRequest {
				t.Errorf("%s %s as %s: %s %s", e.method, target, tt.role, r.Status, got)
			}
		}
		if err := s.DeleteUser(t.Context(), u.ID); err != nil && e.method != http.MethodDelete {
			t.Fatal(err)
		}
	}
}
