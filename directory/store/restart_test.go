package store_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/internal/pgtest"
	"github.com/soapward/soapward/internal/testenv"
)

func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("error %v, want one that is authn.ErrUnavailable", err)
	}
	for _, decision := range []error{directory.ErrNotFound, directory.ErrExists, directory.ErrConflict} {
		if errors.Is(err, decision) {
			t.Errorf("error %v is a decision", err)
		}
	}
}

// TestStoreRestart ends the database under load and starts it again. Each call
// has an answer that is right or authn.ErrUnavailable, and soon after the start
// all are right again.
func TestStoreRestart(t *testing.T) {
	t.Parallel()
	srv := pgtest.Start(t)
	for _, tt := range []struct {
		name string
		end  func(testing.TB)
	}{{"stopped", srv.Stop}, {"killed", srv.Kill}} {
		t.Run(tt.name, func(t *testing.T) { // one after the other
			s := open(t, store.Config{Driver: "postgres", DSN: srv.Database(t)})
			const workers, users = 16, 50
			for i := range users {
				u := &directory.User{Name: fmt.Sprintf(`CORP\u%d`, i), Groups: []authn.Group{{Name: fmt.Sprint("g", i)}}}
				if err := s.CreateUser(t.Context(), u); err != nil {
					t.Fatal(err)
				}
			}
			l := &load{s: s, users: users}
			var wg sync.WaitGroup
			for i := range workers {
				wg.Go(func() { l.run(t, i) })
			}
			l.wait(t, 500) // at work
			tt.end(t)
			ended := time.Now()
			before := l.failed.Load()
			for l.failed.Load() < before+workers { // all have noticed
				l.wait(t, 0)
			}
			srv.Start(t)
			up := time.Now()
			l.upSince.Store(up.UnixNano())
			l.wait(t, 500)
			l.stop.Store(true)
			wg.Wait()
			last := time.Unix(0, l.lastFailure.Load())
			recovery := max(0, last.Sub(up))
			t.Logf("%s: away for %v; %d answers, %d failures; the last failure was %v after it took connections again; the slowest call took %v",
				tt.name, up.Sub(ended).Round(time.Millisecond), l.good.Load(), l.failed.Load(), recovery.Round(time.Millisecond),
				time.Duration(l.slowest.Load()).Round(time.Millisecond))
			if recovery > 3*time.Second {
				t.Errorf("recovered after %v, want 3 s at most", recovery)
			}
		})
	}
}

// load asks and changes all the time.
type load struct {
	s     *store.Store
	users int

	stop                 atomic.Bool
	good, failed         atomic.Int64
	upSince, lastFailure atomic.Int64
	slowest              atomic.Int64
}

func (l *load) run(t *testing.T, worker int) {
	for i := worker; !l.stop.Load() && !t.Failed(); i++ {
		began := time.Now()
		err := l.call(t, i)
		took := int64(time.Since(began))
		for old := l.slowest.Load(); took > old && !l.slowest.CompareAndSwap(old, took); old = l.slowest.Load() {
		}
		if err == nil {
			l.good.Add(1)
			continue
		}
		wantUnavailable(t, err)
		l.failed.Add(1)
		l.lastFailure.Store(time.Now().UnixNano())
	}
}

func (l *load) call(t *testing.T, i int) error {
	n := i % l.users
	switch i % 4 {
	case 0:
		_, err := l.s.AddFailure(t.Context(), time.Now(), time.Now().Add(-time.Minute), fmt.Sprint("address ", n))
		return err
	case 1:
		return l.s.AddLogin(t.Context(), &directory.Login{Time: time.Now(), User: fmt.Sprint(n)})
	}
	u, err := l.s.User(t.Context(), fmt.Sprintf(`corp\U%d`, n))
	if err != nil {
		return err
	}
	if u.Name != fmt.Sprintf(`CORP\u%d`, n) || len(u.Groups) != 1 || u.Groups[0].Name != fmt.Sprint("g", n) {
		t.Errorf("user %d is %q with groups %v", n, u.Name, u.Groups)
	}
	return nil
}

// wait returns after so many more answers.
func (l *load) wait(t *testing.T, answers int64) {
	t.Helper()
	for end := l.good.Load() + answers; l.good.Load() < end; {
		select {
		case <-t.Context().Done():
			t.Fatal("no more answers")
		case <-time.After(time.Millisecond):
		}
	}
}

func authenticator(s string) [sha256.Size]byte { return sha256.Sum256([]byte(s)) }

// TestAttackReplayAfterCrash: a crash of the database empties the table of used
// authenticators. What was in it is not new after.
func TestAttackReplayAfterCrash(t *testing.T) {
	t.Parallel()
	srv := pgtest.Start(t)
	c := store.Config{Driver: "postgres", DSN: srv.Database(t)}
	var log bytes.Buffer
	c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	a, b := open(t, c).Replays(), open(t, c).Replays()
	until := time.Now().Add(5 * time.Minute)
	add := func(r *store.Replays, id string, until time.Time) (bool, error) {
		// A connection from before fails once, which is an answer as well.
		var fresh bool
		var err error
		for range 20 {
			if fresh, err = r.Add(t.Context(), "alice", authenticator(id), until); err == nil || strings.Contains(err.Error(), "forgotten") {
				break
			}
		}
		return fresh, err
	}
	if fresh, err := add(a, "used", until); !fresh || err != nil {
		t.Fatalf("new: %v, %v", fresh, err)
	}
	srv.Stop(t)
	srv.Start(t)
	if fresh, err := add(b, "used", until); fresh || err != nil {
		t.Errorf("after it was stopped and started: %v, %v; want false, as it is remembered", fresh, err)
	}
	if fresh, err := add(b, "other", until); !fresh || err != nil {
		t.Errorf("another one: %v, %v", fresh, err)
	}
	srv.Kill(t)
	srv.Start(t)
	for _, node := range []*store.Replays{b, a, b} {
		if fresh, err := add(node, "used", until); fresh {
			t.Errorf("after a crash: %v, %v; want no", fresh, err)
		}
	}
	fresh, err := add(a, "not used, but who knows", until.Add(-time.Second))
	if fresh || !errors.Is(err, authn.ErrUnavailable) || !strings.Contains(err.Error(), "crashed") {
		t.Errorf("one from before the crash: %v, %v", fresh, err)
	}
	if fresh, err := add(b, "newer", until.Add(6*time.Second)); !fresh || err != nil {
		t.Errorf("one that was made six seconds later: %v, %v", fresh, err)
	}
	if n := strings.Count(log.String(), "may have forgotten"); n != 1 {
		t.Errorf("the log tells it %d times: %s", n, &log)
	}
}

// TestAttackReplayAfterPowerLoss: SQLite writes used authenticators to the disk
// when it likes. After another boot, what may have been there is not new.
func TestAttackReplayAfterPowerLoss(t *testing.T) {
	t.Parallel()
	c := drivers[0].make(t)
	until := time.Now().Add(5 * time.Minute)
	if fresh, err := open(t, c).Replays().Add(t.Context(), "alice", authenticator("used"), until); !fresh || err != nil {
		t.Fatalf("new: %v, %v", fresh, err)
	}
	r := open(t, c).Replays() // another process
	if fresh, err := r.Add(t.Context(), "alice", authenticator("other"), until); !fresh || err != nil {
		t.Errorf("another one, without another boot: %v, %v", fresh, err)
	}
	execRaw(t, c, "DELETE FROM replays; UPDATE replay_mark SET boot = 'the one before'")
	if fresh, err := r.Add(t.Context(), "alice", authenticator("used"), until); fresh || !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("after another boot: %v, %v; want an error", fresh, err)
	}
	if fresh, err := r.Add(t.Context(), "alice", authenticator("newer"), until.Add(6*time.Second)); !fresh || err != nil {
		t.Errorf("one that was made six seconds later: %v, %v", fresh, err)
	}
}

// A node whose clock is a day ahead forgets what was used, as if it was old. What
// it forgot is not new then, and what clients make later is, at all nodes.
func TestReplayClockAhead(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			c := d.make(t)
			right, now := open(t, c).Replays(), time.Now()
			c.Now = func() time.Time { return now.Add(24 * time.Hour) }
			ahead := open(t, c).Replays()
			until := now.Add(5 * time.Minute)
			if fresh, err := right.Add(t.Context(), "alice", authenticator("used"), until); !fresh || err != nil {
				t.Fatalf("new: %v, %v", fresh, err)
			}
			if fresh, err := ahead.Add(t.Context(), "alice", authenticator("used"), until); fresh {
				t.Errorf("new again at the node that is ahead: %v", err)
			}
			for _, node := range []*store.Replays{right, ahead} {
				if fresh, err := node.Add(t.Context(), "alice", authenticator("used"), until); fresh {
					t.Errorf("new again: %v", err)
				}
			}
			if fresh, err := right.Add(t.Context(), "alice", authenticator("later"), until.Add(6*time.Second)); !fresh || err != nil {
				t.Errorf("one that was made six seconds later: %v, %v", fresh, err)
			}
		})
	}
}

// Many rows that are over go at once, and others stay.
func TestReplayPrune(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			c := d.make(t)
			var ahead atomic.Int64
			now := time.Now()
			c.Now = func() time.Time { return now.Add(time.Duration(ahead.Load())) }
			s := open(t, c)
			r := s.Replays()
			add := func(id string, until time.Time) {
				t.Helper()
				if fresh, err := r.Add(t.Context(), "alice", authenticator(id), until); !fresh || err != nil {
					t.Fatalf("%s: %v, %v", id, fresh, err)
				}
			}
			add("short", now.Add(time.Minute))
			add("long", now.Add(time.Hour))
			make := "INSERT INTO replays (digest, until) SELECT decode(md5(i::text), 'hex'), 1 FROM generate_series(1, 6000) i"
			if c.Driver == "sqlite" {
				make = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) INSERT INTO replays (digest, until) SELECT CAST(i AS TEXT), 1 FROM n"
			}
			execRaw(t, c, make)
			ahead.Store(int64(10 * time.Minute))
			add("later", now.Add(20*time.Minute))
			var n int
			if err := raw(t, c).QueryRowContext(t.Context(), "SELECT COUNT(*) FROM replays").Scan(&n); err != nil || n != 2 {
				t.Errorf("%d are kept, %v; want 2", n, err)
			}
			if fresh, err := r.Add(t.Context(), "alice", authenticator("long"), now.Add(time.Hour)); fresh || err != nil {
				t.Errorf("one that is not over: %v, %v", fresh, err)
			}
		})
	}
}

// What the database undid because somebody waited crosswise is done again.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	c := drivers[1].make(t)
	s := open(t, c)
	users := []*directory.User{{Name: "a"}, {Name: "b"}}
	for _, u := range users {
		if err := s.CreateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	db := raw(t, c)
	db.SetMaxOpenConns(2)
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	exec := func(text string, args ...any) {
		t.Helper()
		if _, err := tx.ExecContext(t.Context(), text, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("SET LOCAL deadlock_timeout = '1h'") // it is the other one that notices
	const lock = "UPDATE users SET realm = 'raw' WHERE id = $1"
	exec(lock, users[1].ID)
	updated := make(chan error, 1)
	go func() { updated <- s.UpdateUsers(t.Context(), users) }()
	err = testenv.Poll(t.Context(), func() error {
		var waits bool
		err := db.QueryRowContext(t.Context(), "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')").Scan(&waits)
		if err == nil && !waits {
			err = errors.New("nobody waits")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	exec(lock, users[0].ID)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-updated; err != nil {
		t.Errorf("after a deadlock: %v", err)
	}
	if u, err := s.User(t.Context(), "b"); err != nil || u.Version != 2 || u.Realm != "" {
		t.Errorf("the user is %+v, %v", u, err)
	}
}
