package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/soapward/soapward/authn"
)

const (
	// replayMargin is how much longer an authenticator is kept than its time: the
	// clocks of nodes may differ by that.
	replayMargin = time.Minute

	// replayPrune is how often Add forgets what is over.
	replayPrune = time.Minute

	// replayAhead is how far the horizon is set beyond what it must cover, so
	// that it is written once in a while and not each time.
	replayAhead = 5 * time.Second
)

// Replays remembers the Kerberos authenticators that were used, for all nodes
// that share the database. It is a kerberos.ReplayCache: give it to
// kerberos.Mechanism.Replay. It is safe for concurrent use.
//
// After a crash of PostgreSQL, which empties the table (it is unlogged), or a
// loss of power with SQLite, authenticators that may have been used before are
// refused. That is over as soon as clients make newer ones: after some five
// seconds, or longer where a client's clock was ahead. It is the same after a
// node was there whose clock is far ahead, which takes all of them for old.
//
// Of a SQLite that a process has for itself (Config.Exclusive) the process
// remembers them in memory, as a kerberos.MemoryReplayCache does, and writes them
// down every 50 ms. The database has all when the Store is closed. When it is not,
// since the process was killed, it is as after a loss of power. While they cannot
// be written no authenticator is new: Add returns an error after one write that
// failed, or once an entry has waited for Config.Timeout.
type Replays struct {
	s       *Store
	boot    string       // see bootID
	pruned  atomic.Int64 // when Add last did, in microseconds
	journal *journal     // of a process that has the database for itself

	mu     sync.Mutex
	shared *os.File // the lock of one that has not; SQLite
	locked atomic.Bool
}

// Add implements kerberos.ReplayCache. The number of entries is not bounded, and
// nobody has a share: rows that are over are removed, and a database has room. In
// memory both are as with a kerberos.MemoryReplayCache.
func (r *Replays) Add(ctx context.Context, client string, digest [sha256.Size]byte, until time.Time) (fresh bool, err error) {
	if r.journal != nil {
		return r.journal.add(ctx, client, digest, until)
	}
	ctx, cancel := context.WithTimeout(apart(ctx), r.s.timeout) // nobody undoes that it was used
	defer cancel()
	if err := r.share(); err != nil {
		return false, r.s.fail("add replay", err)
	}
	now := r.s.now()
	if last := r.pruned.Load(); micros(now)-last >= replayPrune.Microseconds() && r.pruned.CompareAndSwap(last, micros(now)) {
		if _, err := r.prune(ctx, now); err != nil {
			r.pruned.Store(last)
			return false, err
		}
	}
	return r.add(ctx, digest[:sha256.Size/2], micros(until)+1) // rounded up
}

// share keeps out a process that wants SQLite for itself: it would not know of what
// is added here.
func (r *Replays) share() error {
	if r.s.turn == nil || r.locked.Load() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shared != nil {
		return nil
	}
	f, err := r.s.lock(false)
	if err != nil {
		return err
	}
	r.shared = f
	r.locked.Store(true)
	return nil
}

// add inserts first and asks after that what may have been forgotten. Whoever
// forgets says so before. If a row could be inserted because the same was
// forgotten, the floor that is read here is therefore above it.
func (r *Replays) add(ctx context.Context, digest []byte, until int64) (bool, error) {
	fresh, st, err := r.insert(ctx, digest, until)
	if err == nil && fresh && !st.marked {
		if err = r.raiseFloor(ctx); err == nil {
			st, err = r.state(ctx)
		}
	}
	switch {
	case err != nil:
		return false, r.s.fail("add replay", err)
	case !fresh:
		return false, nil
	case until < st.floor:
		return false, r.s.fail("add replay", errForgotten(st.floor))
	}
	if st.horizon < until {
		// Before the answer, and for good: after a crash it is all that is known.
		if err := r.raiseHorizon(ctx, until+replayAhead.Microseconds()); err != nil {
			return false, err
		}
	}
	return true, nil
}

func errForgotten(floor int64) error {
	return fmt.Errorf("%w: authenticators that are valid until %s may have been used and forgotten, because the database or the gateway crashed or a clock was ahead; newer ones are taken",
		authn.ErrUnavailable, timeOf(floor).Format(time.RFC3339))
}

const (
	insertReplay = "INSERT INTO replays (digest, until) VALUES ($1, $2) ON CONFLICT DO NOTHING"
	selectState  = "SELECT floor, horizon, EXISTS (SELECT 1 FROM replay_mark WHERE boot = $1) FROM replay_state"
)

// insert adds a row, and reads the state after.
func (r *Replays) insert(ctx context.Context, digest []byte, until int64) (fresh bool, st replayState, err error) {
	if r.s.turn == nil {
		return r.insertAtOnce(ctx, digest, until)
	}
	n, err := r.s.exec(ctx, "add replay", mayUndo, insertReplay, digest, until)
	if err != nil || n == 0 {
		return false, st, err
	}
	st, err = r.state(ctx)
	return true, st, err
}

// insertAtOnce does it in one round trip. Each of the statements sees what was
// committed when it began (read committed).
func (r *Replays) insertAtOnce(ctx context.Context, digest []byte, until int64) (fresh bool, st replayState, err error) {
	conn, err := r.s.write.Conn(ctx)
	if err != nil {
		return false, st, err
	}
	defer func() { _ = conn.Close() }() // back to the pool
	err = conn.Raw(func(c any) error {
		var b pgx.Batch
		b.Queue(insertReplay, digest, until)
		b.Queue(selectState, r.boot)
		results := c.(*stdlib.Conn).Conn().SendBatch(ctx, &b)
		tag, err := results.Exec()
		if err == nil {
			fresh = tag.RowsAffected() > 0
			err = results.QueryRow().Scan(&st.floor, &st.horizon, &st.marked)
		}
		return errors.Join(err, results.Close()) // which commits
	})
	return fresh, st, err
}

// replayState is what is known of what was forgotten.
type replayState struct {
	floor   int64 // what ends before may have been forgotten
	horizon int64 // nothing that was remembered ends after
	marked  bool  // nothing else was forgotten
}

func (r *Replays) state(ctx context.Context) (st replayState, err error) {
	row, err := r.s.row(ctx, selectState, r.boot)
	if err != nil {
		return st, err
	}
	return st, row.Scan(&st.floor, &st.horizon, &st.marked)
}

// bootID is the boot of the machine where that matters and is known: the file of
// SQLite belongs to one machine, whose last writes a loss of power takes away.
func (s *Store) bootID() string {
	if s.turn == nil {
		return ""
	}
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return fmt.Sprintf("process %d of %d", os.Getpid(), time.Now().UnixNano()) // elsewhere a process must do
	}
	return strings.TrimSpace(string(b))
}

// raiseFloor says that whatever was remembered is forgotten.
func (r *Replays) raiseFloor(ctx context.Context) error {
	var floor int64
	raised := false
	err := r.s.tx(ctx, lasts, func(ctx context.Context, tx *sql.Tx) error {
		raised = false
		// The row is locked by being written, so that one node does it.
		if err := tx.QueryRowContext(ctx, "UPDATE replay_state SET horizon = horizon RETURNING horizon").Scan(&floor); err != nil {
			return err
		}
		var marked bool
		if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM replay_mark WHERE boot = $1)", r.boot).Scan(&marked); err != nil || marked {
			return err
		}
		raised = true
		if _, err := tx.ExecContext(ctx, "UPDATE replay_state SET floor = $1 WHERE floor < $1", floor+1); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM replay_mark"); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO replay_mark (boot) VALUES ($1)", r.boot)
		return err
	})
	if err == nil && raised && floor > 0 {
		r.warnForgotten(ctx, floor)
	}
	return err
}

func (r *Replays) warnForgotten(ctx context.Context, floor int64) {
	r.s.log.WarnContext(ctx, "the database may have forgotten which Kerberos authenticators were used; those from before are refused",
		slog.Time("until", timeOf(floor)))
}

func (r *Replays) raiseHorizon(ctx context.Context, to int64) error {
	return r.s.inTx(ctx, "add replay", lasts, func(ctx context.Context, tx *sql.Tx) error {
		if r.s.turn == nil { // whatever the server's default is
			if _, err := tx.ExecContext(ctx, "SET LOCAL synchronous_commit = on"); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "UPDATE replay_state SET horizon = $1 WHERE horizon < $1", to)
		return err
	})
}

// prune forgets what is over at a time.
func (r *Replays) prune(ctx context.Context, now time.Time) (n int, err error) {
	// Beyond the horizon there is nothing to forget. So a node whose clock is far
	// ahead does not have all nodes refuse what clients make until that time comes.
	const raise = "UPDATE replay_state SET floor = CASE WHEN horizon < $1 THEN horizon + 1 ELSE $1 END WHERE floor <= horizon AND floor < $1"
	// Said first, and committed, before anything is gone. See add.
	if _, err := r.s.exec(ctx, "prune replays", mayUndo, raise, micros(now.Add(-replayMargin))); err != nil {
		return 0, err
	}
	st, err := r.state(ctx)
	if err != nil {
		return 0, r.s.fail("prune replays", err)
	}
	before := min(st.floor, micros(now.Add(-replayMargin)))
	err = r.s.prune(ctx, &n, "DELETE FROM replays WHERE digest IN (SELECT digest FROM replays WHERE until < $1 LIMIT $2)", before)
	if err != nil || r.s.turn == nil {
		return n, err
	}
	rows := 0 // each of many
	return n, r.s.prune(ctx, &rows, "DELETE FROM replay_journal WHERE id IN (SELECT id FROM replay_journal WHERE until < $1 LIMIT $2)", before)
}
