package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

const (
	// journalEvery is how long entries wait to be written, together with those
	// that come meanwhile. After a write that failed it is journalAgain. Logins are
	// refused once one has waited for Config.Timeout.
	journalEvery = 50 * time.Millisecond
	journalAgain = 250 * time.Millisecond

	// maxLoaded is how many entries Open reads back: 55 logins a second of five
	// minutes for each thousand. More, and it is as after a crash.
	maxLoaded = 1 << 20

	// maxRow is how many entries one row has.
	maxRow = 1 << 15

	entrySize = sha256.Size/2 + 8

	// markClean is the mark of a process that had the database for itself and wrote
	// all down. It is no boot, so that others, who do not read the journal, take
	// what is in it for forgotten.
	markClean = "clean"
)

// A journal remembers the authenticators of a process that has the database for
// itself. It decides in memory and writes down behind that, which is enough:
//
//   - A mark is taken away before the first decision, and put back when all is
//     written. Whoever opens the database without it refuses what may have been
//     used, up to the horizon.
//   - The horizon is above what was remembered, for good, before anybody is told
//     that it is new.
//
// So what was not yet written when the process was killed is not new after.
type journal struct {
	r      *Replays
	memory kerberos.MemoryReplayCache

	starting chan struct{} // a turn: begun
	begun    atomic.Bool
	floor    atomic.Int64  // as in replayState
	raising  chan struct{} // a turn
	horizon  atomic.Int64

	mu      sync.Mutex
	pending []journalEntry // not written
	oldest  time.Time      // when the first of them came
	failure error          // of the last write
	closed  bool

	wake, stop, done chan struct{}
}

type journalEntry struct {
	digest [sha256.Size / 2]byte
	until  int64
}

// openJournal begins, if it can: with a disk that is full the rest of the database
// can be used, and logins wait until this can begin too.
func (r *Replays) openJournal(ctx context.Context) *journal {
	j := &journal{
		r: r, memory: kerberos.MemoryReplayCache{Logger: r.s.log, Now: r.s.now},
		starting: make(chan struct{}, 1), raising: make(chan struct{}, 1),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	if err := j.begin(ctx); err != nil {
		r.s.log.WarnContext(ctx, "Kerberos logins wait until used authenticators can be written down", slog.String("cause", err.Error()))
	}
	go j.run()
	return j
}

// begin reads what is remembered, or raises the floor over it, and takes the mark
// away.
func (j *journal) begin(ctx context.Context) error {
	select {
	case j.starting <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-j.starting }()
	if j.begun.Load() {
		return nil
	}
	var floor, horizon int64
	var whole bool
	var known []journalEntry
	err := j.r.s.tx(ctx, lasts, func(ctx context.Context, tx *sql.Tx) (err error) {
		if err := tx.QueryRowContext(ctx, "SELECT floor, horizon FROM replay_state").Scan(&floor, &horizon); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM replay_mark WHERE boot IN ($1, $2))", j.r.boot, markClean).Scan(&whole); err != nil {
			return err
		}
		if whole {
			if known, err = loadReplays(ctx, tx, micros(j.r.s.now().Add(-time.Second))); err != nil {
				return err
			}
			whole = len(known) <= maxLoaded
		}
		if !whole {
			floor, known = max(floor, horizon+1), nil
			if _, err := tx.ExecContext(ctx, "UPDATE replay_state SET floor = $1 WHERE floor < $1", floor); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM replay_mark")
		return err
	})
	if err != nil {
		return err
	}
	for i, e := range known {
		// Their clients are not known: they take nobody's share.
		var digest [sha256.Size]byte
		copy(digest[:], e.digest[:])
		_, _ = j.memory.Add(ctx, "\x00"+strconv.Itoa(i%64), digest, timeOf(e.until)) // those that are over are refused in any case
	}
	if !whole && horizon > 0 {
		j.r.warnForgotten(ctx, floor)
	}
	j.floor.Store(floor)
	j.horizon.Store(horizon)
	j.begun.Store(true)
	return nil
}

// loadReplays reads the entries that are not over at a time, up to one more than
// maxLoaded.
func loadReplays(ctx context.Context, tx *sql.Tx, from int64) (all []journalEntry, err error) {
	add := func(digest []byte, until int64) {
		if until >= from && len(digest) == sha256.Size/2 && len(all) <= maxLoaded {
			all = append(all, journalEntry{[sha256.Size / 2]byte(digest), until})
		}
	}
	var a, b sql.RawBytes
	var until int64
	for _, q := range []struct {
		text string
		row  func()
	}{
		{"SELECT digest, until FROM replays WHERE until >= $1 LIMIT $2", func() { add(a, until) }},
		{"SELECT entries, until FROM replay_journal WHERE until >= $1 LIMIT $2", func() {
			for b = a; len(b) >= entrySize; b = b[entrySize:] {
				add(b[:entrySize-8], int64(binary.BigEndian.Uint64(b[entrySize-8:])))
			}
		}},
	} {
		rows, err := tx.QueryContext(ctx, q.text, from, maxLoaded+1)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			if err := rows.Scan(&a, &until); err != nil {
				_ = rows.Close() // the first error tells more
				return nil, err
			}
			q.row()
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// add is Replays.Add.
func (j *journal) add(ctx context.Context, client string, digest [sha256.Size]byte, until time.Time) (bool, error) {
	ctx = apart(ctx)
	e := journalEntry{[sha256.Size / 2]byte(digest[:]), micros(until) + 1} // rounded up
	if err := j.ready(ctx, e.until); err != nil {
		return false, j.r.s.fail("add replay", err)
	}
	fresh, err := j.memory.Add(ctx, client, digest, until)
	if err != nil {
		return false, j.r.s.fail("add replay", fmt.Errorf("%w: %w", authn.ErrUnavailable, err))
	}
	if !fresh {
		return false, nil
	}
	return j.keep(e)
}

// keep has e written.
func (j *journal) keep(e journalEntry) (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return false, j.r.s.fail("add replay", errClosed)
	}
	if len(j.pending) == 0 {
		j.oldest = time.Now()
		select {
		case j.wake <- struct{}{}:
		default:
		}
	}
	j.pending = append(j.pending, e)
	return true, nil
}

var errClosed = errors.New("the store is closed")

// ready returns nil once an authenticator that is valid until a time may be
// remembered.
func (j *journal) ready(ctx context.Context, until int64) error {
	if !j.begun.Load() {
		if err := j.begin(ctx); err != nil {
			return err
		}
	}
	if floor := j.floor.Load(); until < floor {
		return errForgotten(floor)
	}
	if err := j.writable(); err != nil {
		return err
	}
	if until <= j.horizon.Load() {
		return nil
	}
	return j.raise(ctx, until)
}

// writable tells of entries that could not be written. Those after them would not
// be either.
func (j *journal) writable() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return errClosed
	case j.failure != nil:
		return fmt.Errorf("used authenticators cannot be written down: %w", j.failure)
	case len(j.pending) > 0 && time.Since(j.oldest) > j.r.s.timeout:
		return fmt.Errorf("used authenticators have not been written down for %s", j.r.s.timeout)
	}
	return nil
}

// raise moves the horizon above until.
func (j *journal) raise(ctx context.Context, until int64) error {
	select {
	case j.raising <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-j.raising }()
	if until <= j.horizon.Load() {
		return nil // by another one
	}
	to := until + replayAhead.Microseconds()
	if err := j.r.raiseHorizon(ctx, to); err != nil {
		return err
	}
	j.horizon.Store(to)
	return nil
}

// run writes until stop is closed, and then what is left.
func (j *journal) run() {
	defer close(j.done)
	pause := time.NewTimer(0)
	for stop := false; !stop; {
		select {
		case <-j.wake:
		case <-j.stop:
			stop = true
		}
		wait := journalEvery
		for more := true; more && !stop; {
			pause.Reset(wait)
			select {
			case <-pause.C:
			case <-j.stop:
				stop = true
			}
			more, wait = j.write() != nil, journalAgain
		}
	}
	_ = j.write() // close tells of what failed
}

// write writes what is pending. What fails stays so.
func (j *journal) write() error {
	j.mu.Lock()
	batch, began := j.pending, time.Now()
	j.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	err := j.writeRows(batch)
	j.mu.Lock()
	defer j.mu.Unlock()
	if (err == nil) != (j.failure == nil) {
		level, text := slog.LevelInfo, "used authenticators are written down again"
		attrs := []slog.Attr{slog.Int("entries", len(batch))}
		if err != nil {
			level, text = slog.LevelError, "used authenticators cannot be written down; Kerberos logins are refused"
			attrs = append(attrs, slog.String("cause", err.Error()))
		}
		j.r.s.log.LogAttrs(context.Background(), level, text, attrs...)
	}
	if j.failure = err; err != nil {
		return err
	}
	// What came meanwhile is moved to the front: the room is used again.
	rest := copy(j.pending, j.pending[len(batch):])
	if j.pending = j.pending[:rest]; rest > 0 {
		j.oldest = began
		select {
		case j.wake <- struct{}{}:
		default:
		}
	}
	if cap(j.pending) > 4*maxRow {
		j.pending = append([]journalEntry(nil), j.pending...)
	}
	return nil
}

// writeRows writes a batch in one transaction. The horizon is raised here in good
// time, so that logins seldom wait for it.
func (j *journal) writeRows(batch []journalEntry) error {
	ctx, cancel := context.WithTimeout(context.Background(), j.r.s.timeout)
	defer cancel()
	latest := int64(0)
	err := j.r.s.tx(ctx, mayUndo, func(ctx context.Context, tx *sql.Tx) error {
		for rest := batch; len(rest) > 0; {
			part := rest[:min(len(rest), maxRow)]
			rest = rest[len(part):]
			row, until := make([]byte, 0, len(part)*entrySize), part[0].until
			for _, e := range part {
				row = binary.BigEndian.AppendUint64(append(row, e.digest[:]...), uint64(e.until))
				until = max(until, e.until)
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO replay_journal (until, entries) VALUES ($1, $2)", until, row); err != nil {
				return err
			}
			latest = max(latest, until)
		}
		return nil
	})
	if err == nil && latest+replayAhead.Microseconds()/2 > j.horizon.Load() {
		err = j.raise(ctx, latest+replayAhead.Microseconds()/2)
	}
	return err
}

// close writes what is left, and that this is all.
func (j *journal) close() error {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	close(j.stop)
	<-j.done
	ctx, cancel := context.WithTimeout(context.Background(), j.r.s.timeout)
	defer cancel()
	switch {
	case !j.begun.Load(): // the mark is as it was
		return nil
	case j.failure != nil:
		return fmt.Errorf("store: close: %d used authenticators were not written down; after the next start some logins are refused for seconds: %w", len(j.pending), j.failure)
	}
	return j.r.s.inTx(ctx, "close", lasts, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO replay_mark (boot) VALUES ($1)", markClean)
		return err
	})
}
