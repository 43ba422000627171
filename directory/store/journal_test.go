package store_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/kerberos/kerberostest"
	"github.com/soapward/soapward/directory/dirtest"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/internal/testenv"
)

// exclusive is an empty SQLite that one process has for itself.
func exclusive(tb testing.TB) store.Config {
	c := drivers[0].make(tb)
	c.Exclusive, c.Timeout, c.Logger = true, time.Minute, slog.New(slog.DiscardHandler)
	return c
}

// openNow opens a store that the test closes.
func openNow(tb testing.TB, c store.Config) *store.Store {
	tb.Helper()
	s, err := store.Open(tb.Context(), c)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestReplaysExclusive(t *testing.T) {
	t.Parallel()
	kerberostest.TestReplayCache(t, func(t *testing.T, now func() time.Time) []kerberos.ReplayCache {
		c := exclusive(t)
		c.Now = now
		return []kerberos.ReplayCache{open(t, c).Replays()}
	})
}

// The rest of the store is the same, also for another process.
func TestStoreExclusive(t *testing.T) {
	t.Parallel()
	dirtest.Run(t, func(t *testing.T) (a, b dirtest.Store) {
		c := exclusive(t)
		first := open(t, c)
		c.Exclusive = false
		return first, open(t, c)
	})
}

// wantAdd adds an authenticator: new, not new, or an error with a text.
func wantAdd(t *testing.T, r *store.Replays, id string, until time.Time, want string) {
	t.Helper()
	fresh, err := r.Add(t.Context(), "alice", authenticator(id), until)
	got := strconv.FormatBool(fresh)
	if err != nil {
		got = err.Error()
		wantUnavailable(t, err)
		if fresh {
			t.Errorf("%s: new, with error %v", id, err)
		}
	}
	if !strings.Contains(got, want) {
		t.Errorf("%s: %s, want %s", id, got, want)
	}
}

// What was used before a restart is not new, and what was not is taken at once,
// however the one before used the database.
func TestAttackReplayAfterRestart(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		before, after bool
		want          string // of what was not used, from before
	}{
		{"alone, alone", true, true, "true"},
		{"with others, alone", false, true, "true"},
		{"alone, with others", true, false, "forgotten"}, // who do not read the journal
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := exclusive(t)
			until := time.Now().Add(5 * time.Minute)
			c.Exclusive = tt.before
			s := openNow(t, c)
			for i := range 100 {
				wantAdd(t, s.Replays(), fmt.Sprint("used", i), until, "true")
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			for range 2 { // and after one more
				c.Exclusive = tt.after
				s = openNow(t, c)
				for i := range 100 {
					if fresh, err := s.Replays().Add(t.Context(), "alice", authenticator(fmt.Sprint("used", i)), until); fresh {
						t.Fatalf("used%d is new after a restart, %v", i, err)
					}
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			s = open(t, c)
			wantAdd(t, s.Replays(), "from before, not used", until, tt.want)
			wantAdd(t, s.Replays(), "later", until.Add(6*time.Second), "true")
		})
	}
}

// TestReplayChild is the process that others kill. It is no test by itself.
func TestReplayChild(t *testing.T) {
	path := os.Getenv("SOAPWARD_REPLAY_CHILD")
	if path == "" {
		return
	}
	s := openNow(t, store.Config{Driver: "sqlite", DSN: path, Exclusive: true})
	until, err := time.Parse(time.RFC3339Nano, os.Getenv("SOAPWARD_REPLAY_UNTIL"))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		if fresh, err := s.Replays().Add(t.Context(), "alice", authenticator(fmt.Sprint("used", i)), until); !fresh || err != nil {
			t.Fatal(fresh, err)
		}
		fmt.Println("used", i)
	}
}

// TestAttackReplayAfterKill: of the process that has the database for itself, the
// last of what it remembers is nowhere when it is killed. It is not new after.
func TestAttackReplayAfterKill(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{true, false} { // the next one has it for itself, too
		c := exclusive(t)
		until := time.Now().Add(5 * time.Minute)
		if err := openNow(t, c).Close(); err != nil { // the directory
			t.Fatal(err)
		}
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestReplayChild$", "-test.v")
		child.Env = append(os.Environ(), "SOAPWARD_REPLAY_CHILD="+c.DSN, "SOAPWARD_REPLAY_UNTIL="+until.Format(time.RFC3339Nano))
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		last := -1
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if n, ok := strings.CutPrefix(lines.Text(), "used "); ok {
				if last, err = strconv.Atoi(n); err != nil {
					t.Fatal(err)
				}
			}
			if last == 2000 { // some written, some not
				_ = child.Process.Kill()
			}
		}
		_ = child.Wait()
		if last < 2000 {
			t.Fatalf("the child ended after %d", last)
		}
		var log bytes.Buffer
		c.Exclusive, c.Logger = after, slog.New(slog.NewTextHandler(&log, nil))
		s := openNow(t, c)
		for i := range last + 1 {
			fresh, err := s.Replays().Add(t.Context(), "alice", authenticator(fmt.Sprint("used", i)), until)
			if fresh || !errors.Is(err, authn.ErrUnavailable) {
				t.Fatalf("used%d of %d after a kill: %v, %v", i, last, fresh, err)
			}
		}
		wantAdd(t, s.Replays(), "from before, not used", until, "crashed")
		wantAdd(t, s.Replays(), "later", until.Add(8*time.Second), "true")
		if n := strings.Count(log.String(), "may have forgotten"); n != 1 {
			t.Errorf("the log tells it %d times: %s", n, &log)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Another gateway on the same file is refused with words, and commands are not.
func TestExclusiveLock(t *testing.T) {
	t.Parallel()
	c := exclusive(t)
	first := openNow(t, c)
	link := c
	link.DSN += "-link"
	if err := os.Symlink(c.DSN, link.DSN); err != nil {
		t.Fatal(err)
	}
	for _, second := range []store.Config{c, link} {
		if s, err := store.Open(t.Context(), second); !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), "postgres") || !strings.Contains(err.Error(), c.DSN+".lock") {
			if err == nil {
				_ = s.Close()
			}
			t.Errorf("a second one: %v", err)
		}
	}
	shared := c
	shared.Exclusive = false
	command := open(t, shared)
	if _, err := command.Prune(t.Context(), time.Now()); err != nil {
		t.Errorf("a command beside it: %v", err)
	}
	until := time.Now().Add(time.Minute)
	wantAdd(t, command.Replays(), "used", until, "locked by a gateway")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	wantAdd(t, command.Replays(), "used", until, "true")
	other := open(t, shared)
	wantAdd(t, other.Replays(), "used", until, "false") // several may, without being alone
	if _, err := store.Open(t.Context(), c); !errors.Is(err, store.ErrInUse) {
		t.Errorf("alone beside one that logs in: %v", err)
	}
}

// While entries cannot be written, no login is let through: at most those of the
// moment before it showed.
func TestReplayJournalFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		breaks     func(*testing.T, *sql.DB)
		mend, want string
	}{
		{"a write fails", func(t *testing.T, db *sql.DB) {
			if _, err := db.ExecContext(t.Context(), "CREATE TRIGGER full BEFORE INSERT ON replay_journal BEGIN SELECT RAISE(FAIL, 'disk is full'); END"); err != nil {
				t.Fatal(err)
			}
		}, "DROP TRIGGER full", "disk is full"},
		{"somebody has the database", func(t *testing.T, db *sql.DB) {
			if _, err := db.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
				t.Fatal(err)
			}
		}, "ROLLBACK", "written down"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := exclusive(t)
			c.Timeout = 300 * time.Millisecond
			var log lockedBuffer
			c.Logger = slog.New(slog.NewTextHandler(&log, nil))
			s := openNow(t, c)
			r, until := s.Replays(), time.Now().Add(time.Minute)
			wantAdd(t, r, "before", until, "true")
			db := raw(t, c)
			db.SetMaxOpenConns(1)
			tt.breaks(t, db)
			n := 0
			add := func() error {
				n++
				_, err := r.Add(t.Context(), "alice", authenticator(fmt.Sprint(n)), until)
				return err
			}
			began := time.Now()
			err := testenv.Poll(t.Context(), func() error {
				if add() == nil {
					return errors.New("still let through")
				}
				return nil
			})
			if took := time.Since(began); err != nil || took > 30*time.Second {
				t.Fatalf("after %v: %v", took, err)
			}
			if err := add(); !errors.Is(err, authn.ErrUnavailable) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
			// Logins are refused before the write gives up.
			if err := testenv.Poll(t.Context(), func() error {
				if !strings.Contains(log.String(), "level=ERROR") {
					return errors.New("no error in the log")
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
			if _, err := db.ExecContext(t.Context(), tt.mend); err != nil {
				t.Fatal(err)
			}
			if err := testenv.Poll(t.Context(), add); err != nil {
				t.Errorf("does not recover: %v", err)
			}
			last := n
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if out := log.String(); !strings.Contains(out, "level=ERROR") || !strings.Contains(out, "are written down again") {
				t.Errorf("log: %s", out)
			}
			wantAdd(t, open(t, c).Replays(), fmt.Sprint(last), until, "false")
		})
	}
}

// A store that ends while nothing can be written says so, and it is as after a
// crash.
func TestAttackReplayNotWritten(t *testing.T) {
	t.Parallel()
	c := exclusive(t)
	s := openNow(t, c)
	until := time.Now().Add(time.Minute)
	wantAdd(t, s.Replays(), "first", until, "true")
	execRaw(t, c, "CREATE TRIGGER full BEFORE INSERT ON replay_journal BEGIN SELECT RAISE(FAIL, 'disk is full'); END")
	_, _ = s.Replays().Add(t.Context(), "alice", authenticator("used"), until)
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "not written down") {
		t.Errorf("Close: %v", err)
	}
	execRaw(t, c, "DROP TRIGGER full")
	s = open(t, c)
	wantAdd(t, s.Replays(), "used", until, "forgotten")
	wantAdd(t, s.Replays(), "later", until.Add(8*time.Second), "true")
}

// A database that cannot be written to can be opened for the rest, and logins by
// Kerberos wait for it.
func TestExclusiveReadOnly(t *testing.T) {
	t.Parallel()
	c := exclusive(t)
	until := time.Now().Add(time.Minute)
	s := openNow(t, c)
	wantAdd(t, s.Replays(), "used", until, "true")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	execRaw(t, c, "CREATE TRIGGER full BEFORE DELETE ON replay_mark BEGIN SELECT RAISE(FAIL, 'disk is full'); END")
	s = open(t, c)
	wantAdd(t, s.Replays(), "new", until, "disk is full")
	execRaw(t, c, "DROP TRIGGER full")
	wantAdd(t, s.Replays(), "used", until, "false")
	wantAdd(t, s.Replays(), "new", until, "true")
}

// Rows of the journal go when they are over, and not before.
func TestReplayJournalPruned(t *testing.T) {
	t.Parallel()
	c := exclusive(t)
	var ahead atomic.Int64
	now := time.Now()
	c.Now = func() time.Time { return now.Add(time.Duration(ahead.Load())) }
	s := openNow(t, c)
	wantAdd(t, s.Replays(), "short", now.Add(time.Minute), "true")
	written := func(want int) {
		t.Helper()
		db := raw(t, c)
		if err := testenv.Poll(t.Context(), func() error {
			var n int
			err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM replay_journal").Scan(&n)
			if err == nil && n != want {
				err = fmt.Errorf("%d rows, want %d", n, want)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	written(1)
	wantAdd(t, s.Replays(), "long", now.Add(time.Hour), "true")
	written(2)
	ahead.Store(int64(10 * time.Minute))
	if _, err := s.Prune(t.Context(), c.Now()); err != nil {
		t.Fatal(err)
	}
	written(1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ahead.Store(0) // set back
	r := open(t, c).Replays()
	wantAdd(t, r, "short", now.Add(time.Minute), "forgotten")
	wantAdd(t, r, "long", now.Add(time.Hour), "false")
	wantAdd(t, r, "later", now.Add(20*time.Minute), "true")
}

// Of many callers with one authenticator one is told that it is new, while rows
// are written, and all of that is there after a restart.
func TestAttackReplayRaceExclusive(t *testing.T) {
	t.Parallel()
	c := exclusive(t)
	s := openNow(t, c)
	const digests, callers = 3000, 8
	until := time.Now().Add(5 * time.Minute)
	var yes [digests]atomic.Int32
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := range digests {
				fresh, err := s.Replays().Add(context.Background(), "alice", authenticator(fmt.Sprint(i)), until.Add(time.Duration(i)*time.Millisecond))
				if err != nil {
					t.Errorf("%d: %v", i, err)
				}
				if fresh {
					yes[i].Add(1)
				}
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	r := open(t, c).Replays()
	for i := range digests {
		if n := yes[i].Load(); n != 1 {
			t.Errorf("%d was new %d times", i, n)
		}
		wantAdd(t, r, fmt.Sprint(i), until.Add(time.Duration(i)*time.Millisecond), "false")
	}
}

// lockedBuffer is a buffer for the log of several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
