package store_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/kerberos/kerberostest"
	"github.com/soapward/soapward/directory/dirtest"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

var (
	_ dirtest.Store        = (*store.Store)(nil)
	_ kerberos.ReplayCache = (*store.Replays)(nil)
)

// drivers are the databases, each with a maker of empty ones.
var drivers = []struct {
	name string
	make func(tb testing.TB) store.Config
}{
	{"sqlite", func(tb testing.TB) store.Config {
		return store.Config{Driver: "sqlite", DSN: filepath.Join(tb.TempDir(), "new", "soapward.db")}
	}},
	{"postgres", func(tb testing.TB) store.Config {
		return store.Config{Driver: "postgres", DSN: pgtest.Database(tb), MaxConns: 8}
	}},
}

// open opens a store that is closed at the end of the test.
func open(tb testing.TB, c store.Config) *store.Store {
	tb.Helper()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Timeout == 0 {
		c.Timeout = time.Minute // all tests run at once, on a machine that may be slow
	}
	s, err := store.Open(tb.Context(), c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			dirtest.Run(t, func(t *testing.T) (a, b dirtest.Store) {
				c := d.make(t)
				return open(t, c), open(t, c)
			})
		})
	}
}

func TestReplays(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			kerberostest.TestReplayCache(t, func(t *testing.T, now func() time.Time) []kerberos.ReplayCache {
				c := d.make(t)
				c.Now = now
				return []kerberos.ReplayCache{open(t, c).Replays(), open(t, c).Replays()}
			})
		})
	}
}
