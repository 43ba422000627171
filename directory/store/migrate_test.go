package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/internal/testenv"
)

// before makes a database as the version before administration made it.
func before(tb testing.TB, c store.Config) *sql.DB {
	tb.Helper()
	if c.Driver == "sqlite" {
		if err := os.MkdirAll(filepath.Dir(c.DSN), 0o700); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(c.DSN, nil, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	names, err := filepath.Glob("migrations/" + c.Driver + "/*.sql")
	if err != nil {
		tb.Fatal(err)
	}
	db := raw(tb, c)
	text := "CREATE TABLE soapward_schema (version INTEGER NOT NULL);"
	for i, name := range names { // sorted
		if strings.HasSuffix(name, "_administration.sql") {
			break
		}
		b, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		text += string(b) + fmt.Sprintf("; INSERT INTO soapward_schema VALUES (%d);", i+1)
	}
	if _, err := db.ExecContext(tb.Context(), text); err != nil {
		tb.Fatal(err)
	}
	return db
}

// rowsBefore adds users, roles, a session and so many logins.
func rowsBefore(tb testing.TB, c store.Config, db *sql.DB, logins int) {
	tb.Helper()
	no, blob, series := "false", `'\x00'::bytea`, fmt.Sprintf("SELECT i::bigint AS i FROM generate_series(1, %d) AS i", logins)
	if c.Driver == "sqlite" {
		no, blob = "0", "x'00'"
		series = fmt.Sprintf("WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d) SELECT i FROM c", logins)
	}
	exec := func(text string) {
		tb.Helper()
		if _, err := db.ExecContext(tb.Context(), text); err != nil {
			tb.Fatalf("%.200s: %v", text, err)
		}
	}
	for i, u := range []struct{ name, display, email string }{
		{`CORP\Anna`, "Anna Blume", "Anna@corp.test"}, {`CORP\Änne`, " ÄNNE ", "x@corp.test"}, {"bob", "Bob", "BÖB@corp.test"}, {`back\sl\ash`, "", ""},
	} {
		exec(fmt.Sprintf(`INSERT INTO users (id, version, realm, name, name_fold, upn, dn, display_name, email, phone, password, local_admin, state, created, refreshed, last_login)
			VALUES (%d, 3, 'corp', '%s', '%s', '', '', '%s', '%s', '', '', %s, 0, 0, 0, 0)`, i+1, u.name, directory.FoldName(u.name), u.display, u.email, no))
	}
	exec("INSERT INTO user_roles VALUES (1, 'payroll')")
	exec("INSERT INTO user_roles VALUES (3, 'payroll')")
	exec(fmt.Sprintf("INSERT INTO sessions VALUES (%s, 'bob', 'bob', %s, %d, %d, %d, 0, %s, '', '')", blob, blob,
		time.Now().UnixMicro(), time.Now().UnixMicro(), time.Now().Add(time.Hour).UnixMicro(), no))
	exec(`INSERT INTO logins (at, ref, realm, user_name, user_fold, sid, mechanism, peer, user_agent, outcome, reason, detail)
		SELECT i, 'r' || i, '', 'bob', 'bob', '', 'NTLM', '', '', CASE WHEN i % 1000 = 1 THEN 'blocked' ELSE 'accepted' END, '', '' FROM (` + series + ") AS a")
}

// TestMigrate: a database of the version before, with what is in it, is one of this
// version after Open.
func TestMigrate(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			c := d.make(t)
			rowsBefore(t, c, before(t, c), 2000)
			s := open(t, c)
			for search, want := range map[string][]string{
				"anna": {`CORP\Anna`}, "anna b": {`CORP\Anna`}, "änne": {`CORP\Änne`}, "böb@": {"bob"}, "x@": {`CORP\Änne`},
				`sl\a`: {`back\sl\ash`}, "back": {`back\sl\ash`}, "nobody": nil,
			} {
				users, err := s.Users(t.Context(), directory.UserQuery{Search: search})
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, u := range users {
					got = append(got, u.Name)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%q finds %q, want %q", search, got, want)
				}
			}
			granted, err := s.Users(t.Context(), directory.UserQuery{Role: "payroll"})
			if err != nil || len(granted) != 2 || granted[0].Name != "bob" || granted[1].Name != `CORP\Anna` {
				t.Errorf("with a role: %+v, %v", granted, err)
			}
			if n, err := s.CountUsers(t.Context()); err != nil || n != 4 {
				t.Errorf("%d users, %v", n, err)
			}
			u := &granted[0]
			u.Subject, u.RecoveryCodes = "sub", []string{"code"}
			if err := s.UpdateUser(t.Context(), u); err != nil || u.Version != 4 {
				t.Errorf("%v, version %d", err, u.Version)
			}
			sessions, err := s.Sessions(t.Context(), time.Now(), directory.SessionQuery{})
			if err != nil || len(sessions) != 1 || sessions[0].Grant != nil {
				t.Errorf("sessions %+v, %v", sessions, err)
			}
			wantIndexes(t, c) // few logins: at once
			if got, err := s.Logins(t.Context(), directory.LoginQuery{Outcome: directory.Blocked, Ref: "r1001"}); err != nil || len(got) != 1 {
				t.Errorf("logins %+v, %v", got, err)
			}
		})
	}
}

var (
	errNoIndex = errors.New("an index is missing")
	errNotSaid = errors.New("the log does not say what is slow")
)

// wantIndexes asks the database which indexes of logins are there and whole.
func wantIndexes(t *testing.T, c store.Config) {
	t.Helper()
	if n := indexes(t, c); n != 8 && c.Driver == "postgres" || n != 7 && c.Driver == "sqlite" {
		t.Errorf("%d indexes of logins", n)
	}
}

func indexes(tb testing.TB, c store.Config) (n int) {
	tb.Helper()
	text := "SELECT COUNT(*) FROM sqlite_master WHERE type = 'index' AND tbl_name = 'logins'"
	if c.Driver == "postgres" {
		text = "SELECT COUNT(*) FROM pg_index WHERE indrelid = 'logins'::regclass AND indisvalid"
	}
	db := raw(tb, c)
	if err := db.QueryRowContext(tb.Context(), text).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	_ = db.Close() // it is asked often
	return n
}

// TestLateIndexes: with many logins the store opens at once, nodes that start
// together make each index once, and half of one is made anew.
func TestLateIndexes(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			c := d.make(t)
			rowsBefore(t, c, before(t, c), 30_000)
			for round := range 2 {
				stores := []*store.Store{open(t, c), open(t, c)}
				if err := stores[0].AddLogin(t.Context(), &directory.Login{Time: time.Now(), User: "meanwhile"}); err != nil {
					t.Error(err)
				}
				if got, err := stores[1].Logins(t.Context(), directory.LoginQuery{Ref: "r7", Outcome: directory.Accepted}); err != nil || len(got) != 1 {
					t.Errorf("round %d: %+v, %v", round, got, err) // with or without them
				}
				if err := testenv.Poll(t.Context(), func() error {
					if n := indexes(t, c); n < 7 || n < 8 && c.Driver == "postgres" {
						return errNoIndex
					}
					return nil
				}); err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
				wantIndexes(t, c)
				if c.Driver == "sqlite" {
					return
				}
				// As after a start that ended early.
				execRaw(t, c, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'logins_ref'::regclass")
			}
		})
	}
}

// TestLateIndexesRefused: where the account may not make indexes the store works,
// and the log says what is slow.
func TestLateIndexesRefused(t *testing.T) {
	t.Parallel()
	c := drivers[1].make(t)
	if err := func() error { s, err := store.Open(context.Background(), c); return errors.Join(err, s.Close()) }(); err != nil {
		t.Fatal(err)
	}
	role := "r" + fmt.Sprint(time.Now().UnixNano())
	execRaw(t, c, "DROP INDEX logins_ref; CREATE ROLE "+role+" LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "+role+"; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO "+role)
	t.Cleanup(func() {
		_, _ = raw(t, c).ExecContext(context.Background(), "DROP OWNED BY "+role+"; DROP ROLE "+role)
	})
	var log testenv.Log
	other := c
	other.DSN = strings.Replace(c.DSN, "soapward@", role+"@", 1)
	if other.DSN == c.DSN {
		t.Fatalf("no other account in %s", c.DSN)
	}
	other.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s, err := store.Open(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddLogin(t.Context(), &directory.Login{Time: time.Now(), Ref: "x"}); err != nil {
		t.Error(err)
	}
	if got, err := s.Logins(t.Context(), directory.LoginQuery{Ref: "x"}); err != nil || len(got) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if err := testenv.Poll(t.Context(), func() error {
		if !strings.Contains(log.String(), "the account of the database must own the tables") {
			return errNotSaid
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// BenchmarkMigrate is how long Open takes for a database of the version before, and
// how long indexes are made after, with as many logins as SOAPWARD_BENCH_MIGRATE
// says: 10,000,000 need 4 GB of disk.
func BenchmarkMigrate(b *testing.B) {
	var logins int
	if _, err := fmt.Sscan(os.Getenv("SOAPWARD_BENCH_MIGRATE"), &logins); err != nil {
		b.Skip("SOAPWARD_BENCH_MIGRATE is not set")
	}
	for _, d := range drivers {
		b.Run(d.name, func(b *testing.B) {
			for b.Loop() {
				c := d.make(b)
				rowsBefore(b, c, before(b, c), logins)
				began := time.Now()
				s := open(b, c)
				opened := time.Since(began)
				var worst time.Duration
				for n := 0; n < 7 || n < 8 && c.Driver == "postgres"; n = indexes(b, c) {
					at := time.Now()
					if err := s.AddLogin(b.Context(), &directory.Login{Time: at}); err != nil {
						b.Error(err)
					}
					worst = max(worst, time.Since(at))
					time.Sleep(20 * time.Millisecond)
				}
				b.ReportMetric(opened.Seconds(), "open-s")
				b.ReportMetric(time.Since(began).Seconds(), "indexes-s")
				b.ReportMetric(worst.Seconds(), "worst-write-s")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}
