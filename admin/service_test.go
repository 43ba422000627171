package admin_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// drivers are the databases, each with a maker of empty ones.
var drivers = []struct {
	name string
	make func(tb testing.TB) store.Config
}{
	{"sqlite", func(tb testing.TB) store.Config {
		return store.Config{Driver: "sqlite", DSN: filepath.Join(tb.TempDir(), "soapward.db")}
	}},
	{"postgres", func(tb testing.TB) store.Config {
		return store.Config{Driver: "postgres", DSN: pgtest.Database(tb), MaxConns: 8}
	}},
}

func openStore(tb testing.TB, c store.Config) *store.Store {
	tb.Helper()
	c.Logger, c.Timeout = slog.New(slog.DiscardHandler), time.Minute // all tests run at once, on a machine that may be slow
	st, err := store.Open(tb.Context(), c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := st.Close(); err != nil {
			tb.Error(err)
		}
	})
	return st
}

// openSQLite opens an empty store.
func openSQLite(tb testing.TB) *store.Store {
	tb.Helper()
	return openStore(tb, drivers[0].make(tb))
}

// withProvider is a configuration whose administrators log in at a provider.
func withProvider() *config.Config {
	return &config.Config{
		Admin: &config.Admin{
			Login: []string{"it"},
			Roles: config.AdminRoles{Operator: []string{"helpdesk"}, Administrator: []string{"chiefs"}},
		},
		Realms: map[string]*config.Realm{"it": {}, "staff": {Internal: &config.Internal{NTLM: true}}, "other": {Aliases: []string{"others"}, Internal: &config.Internal{}}},
	}
}

// withLocal is a configuration whose administrators are local ones.
func withLocal() *config.Config {
	c := withProvider()
	c.Admin.Login = nil
	return c
}

func newService(st *store.Store, c *config.Config) *admin.Service {
	return admin.New(admin.Options{
		Store: func() *store.Store { return st }, Config: func() *config.Config { return c }, Logger: slog.New(slog.DiscardHandler),
	})
}

// as is a context of somebody who asks.
func as(tb testing.TB, name string, role admin.Role) context.Context {
	return admin.NewContext(authn.WithRef(tb.Context(), "ref-"+name), &admin.Caller{Name: name, Role: role, Peer: "192.0.2.1"})
}

// addUsers adds users to a store.
func addUsers(tb testing.TB, st *store.Store, users ...directory.User) {
	tb.Helper()
	for i := range users {
		if err := st.CreateUser(tb.Context(), &users[i]); err != nil {
			tb.Fatal(err)
		}
	}
}

// A hash as one of ours, whose text a test looks for. Nobody has its password.
const markedHash = "$argon2id$v=19$m=19456,t=2,p=1$TUFSS0VEU0FMVA$TUFSS0VESEFTSE1BUktFREhBU0g"

// localAdmin is a local administrator who can sign in.
func localAdmin(name string) directory.User {
	return directory.User{Name: name, LocalAdmin: true, Password: directory.NewPasswordHash(markedHash)}
}

// wantKind checks that an error is an *admin.Error of a kind, "" for none at all.
func wantKind(t *testing.T, what string, err error, kind admin.Kind) *admin.Error {
	t.Helper()
	var e *admin.Error
	switch {
	case kind == "" && err != nil:
		t.Fatalf("%s: %v", what, err)
	case kind == "":
		return nil
	case !errors.As(err, &e):
		t.Fatalf("%s: %v, want an error of kind %s", what, err, kind)
	case e.Kind != kind:
		t.Fatalf("%s: %s (%v), want %s", what, e.Kind, err, kind)
	case e.Text == "":
		t.Fatalf("%s: an error without a text", what)
	}
	return e
}

// records returns all changes, the newest first.
func records(tb testing.TB, st *store.Store) []directory.Change {
	tb.Helper()
	all, err := st.Changes(tb.Context(), directory.ChangeQuery{Limit: 10_000})
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// stored returns a user as he is in the store.
func stored(tb testing.TB, st *store.Store, name string) *directory.User {
	tb.Helper()
	u, err := st.User(tb.Context(), name)
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

func ptr[T any](v T) *T { return &v }
