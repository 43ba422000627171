package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/internal/pgtest"
	"github.com/soapward/soapward/internal/testenv"
)

// raw opens the database without a store.
func raw(t testing.TB, c store.Config) *sql.DB {
	t.Helper()
	driver := map[string]string{"sqlite": "sqlite", "postgres": "pgx"}[c.Driver]
	db, err := sql.Open(driver, c.DSN)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func execRaw(t testing.TB, c store.Config, text string) {
	t.Helper()
	if _, err := raw(t, c).ExecContext(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

// Nodes that start at the same time make the tables once.
func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			c := d.make(t)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					s, err := store.Open(t.Context(), c)
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := s.Users(t.Context(), directory.UserQuery{}); err != nil {
						t.Error(err)
					}
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			var n, last int
			if err := raw(t, c).QueryRowContext(t.Context(), "SELECT COUNT(*), MAX(version) FROM soapward_schema").Scan(&n, &last); err != nil || n != last {
				t.Errorf("%d migrations were done, %v; want %d", n, err, last)
			}
		})
	}
}

func TestOpenRefused(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name+" of a newer version", func(t *testing.T) {
			t.Parallel()
			c := d.make(t)
			s, err := store.Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			execRaw(t, c, "INSERT INTO soapward_schema VALUES (99)")
			wantRefused(t, c, "version 99", "run the newer program")
		})
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		c    store.Config
		want []string
	}{
		{"no driver", store.Config{}, []string{`want "sqlite" or "postgres"`}},
		{"another driver", store.Config{Driver: "mysql"}, []string{`"mysql"`}},
		{"no path", store.Config{Driver: "sqlite"}, []string{"path of a file"}},
		{"in memory", store.Config{Driver: "sqlite", DSN: ":memory:"}, []string{"path of a file"}},
		{"with options", store.Config{Driver: "sqlite", DSN: "file:x.db?_pragma=foreign_keys(0)"}, []string{"path of a file"}},
		{"a directory", store.Config{Driver: "sqlite", DSN: dir}, []string{"is not a file"}},
		{"no database", store.Config{Driver: "sqlite", DSN: filepath.Join(dir, "text")}, []string{"not a database"}},
		{"another machine without TLS", store.Config{Driver: "postgres", DSN: "postgres://u:hunter2@192.0.2.1/x"}, []string{"sslmode=verify-full"}},
		{"one of two on another machine", store.Config{Driver: "postgres", DSN: "host=127.0.0.1,192.0.2.1 password=hunter2"}, []string{"192.0.2.1", "sslmode=verify-full"}},
		{"the word elsewhere", store.Config{Driver: "postgres", DSN: "host=192.0.2.1 password=hunter2 application_name=no-sslmode"}, []string{"sslmode=verify-full"}},
		{"bad DSN with spaces", store.Config{Driver: "postgres", DSN: "host=127.0.0.1 password = hunter2 sslmode=bogus"}, []string{"sslmode is invalid"}},
		{"bad DSN with an escape", store.Config{Driver: "postgres", DSN: `host=127.0.0.1 password=x\ hunter2 sslmode=bogus`}, []string{"sslmode is invalid"}},
		{"bad DSN", store.Config{Driver: "postgres", DSN: "postgres://u:hunter2@127.0.0.1:x/x"}, nil},
		{"nobody there", store.Config{Driver: "postgres", DSN: "postgres://u:hunter2@127.0.0.1:1/x"}, []string{"127.0.0.1", "connect"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantRefused(t, tt.c, tt.want...)
		})
	}
}

func wantRefused(t *testing.T, c store.Config, want ...string) {
	t.Helper()
	s, err := store.Open(t.Context(), c)
	if err == nil {
		_ = s.Close()
		t.Fatal("opened, want a refusal")
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the password is in %q", err)
	}
}

func TestOpenEncoding(t *testing.T) {
	t.Parallel()
	srv := pgtest.Start(t)
	srv.Exec(t, "postgres", "CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
	wantRefused(t, store.Config{Driver: "postgres", DSN: srv.DSN("ascii")}, "SQL_ASCII", "ENCODING 'UTF8'")
}

// A transaction of another isolation sees what was there when it began to wait,
// so that failures at the same time would not count each other.
func TestOpenIsolation(t *testing.T) {
	t.Parallel()
	for _, isolation := range []string{"repeatable read", "serializable"} {
		dsn := pgtest.Database(t) + "&default_transaction_isolation=" + url.PathEscape(isolation)
		wantRefused(t, store.Config{Driver: "postgres", DSN: dsn}, isolation, "'read committed'")
	}
}

// TestAttackDatabaseReadByOthers: hashes of passwords and sessions are for the
// owner of the file alone.
func TestAttackDatabaseReadByOthers(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		testenv.Skip(t, "files have no such permissions here")
	}
	dir := filepath.Join(t.TempDir(), "a b?c%41", "new")
	c := store.Config{Driver: "sqlite", DSN: filepath.Join(dir, "soapward.db")}
	s := open(t, c)
	if err := s.CreateUser(t.Context(), &directory.User{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{dir: 0o700, c.DSN: 0o600, c.DSN + "-wal": 0o600, c.DSN + "-shm": 0o600} {
		fi, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm() != want {
			t.Errorf("%s has mode %04o, want %04o", filepath.Base(name), fi.Mode().Perm(), want)
		}
	}
	for _, name := range []string{c.DSN, c.DSN + "-wal"} {
		for _, mode := range []os.FileMode{0o640, 0o604, 0o620} {
			if err := os.Chmod(name, mode); err != nil {
				t.Fatal(err)
			}
			wantRefused(t, c, "chmod 600 "+name, fmt.Sprintf("%04o", mode))
		}
		if err := os.Chmod(name, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAttackDatabaseInOpenDirectory: where everybody can make files, somebody's
// database, which he reads, is where ours will be.
func TestAttackDatabaseInOpenDirectory(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		testenv.Skip(t, "files have no such permissions here")
	}
	dir := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c := store.Config{Driver: "sqlite", DSN: filepath.Join(dir, "soapward.db")}
	for _, planted := range []bool{false, true} {
		if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, c, "everybody can make files in "+dir)
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if !planted {
			open(t, c)
		}
	}
}

func TestConfigDoesNotPrint(t *testing.T) {
	t.Parallel()
	c := store.Config{Driver: "postgres", DSN: "postgres://soapward:hunter2@db/soapward"}
	var out bytes.Buffer
	for _, v := range []any{c, &c, []store.Config{c}, struct{ C store.Config }{c}} {
		fmt.Fprintf(&out, "%v %+v %#v %s\n", v, v, v, v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("store", slog.Any("config", v))
		slog.New(slog.NewJSONHandler(&out, nil)).Info("store", slog.Any("config", v))
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Errorf("the password is in %s", &out)
	}
}

// A call that takes too long ends, as one that could not find out.
func TestTimeout(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			c := d.make(t)
			c.Timeout = 200 * time.Millisecond
			s := open(t, c)
			db := raw(t, c)
			conn, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			lock := "BEGIN IMMEDIATE"
			if c.Driver == "postgres" {
				lock = "BEGIN; LOCK TABLE users, sessions"
			}
			if _, err := conn.ExecContext(t.Context(), lock); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			err = s.CreateUser(t.Context(), &directory.User{Name: "alice"})
			wantUnavailable(t, err)
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("took %v", took)
			}
			if _, err := conn.ExecContext(context.WithoutCancel(t.Context()), "ROLLBACK"); err != nil {
				t.Fatal(err)
			}
			if err := s.CreateUser(t.Context(), &directory.User{Name: "alice"}); err != nil {
				t.Errorf("after the lock was given back: %v", err)
			}
		})
	}
}
