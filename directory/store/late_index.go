package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"
)

// A lateIndex is one of the table of logins, which may have tens of millions of
// rows when a new version is started. It is made behind the back of what goes on;
// until then what it is for is slow.
type lateIndex struct{ name, on string }

var lateIndexes = []lateIndex{
	{"logins_outcome", "logins (outcome, at, id)"},
	{"logins_ref", "logins (ref, at, id)"},
	{"logins_reason", "logins (reason, at, id)"},
	{"logins_mechanism", "logins (mechanism, at, id)"},
}

const (
	// fewLogins is up to how many logins indexes are made while the store opens.
	fewLogins = 20_000

	// lateLock is what nodes that make indexes wait for each other at.
	lateLock = migrationLock + 1

	// lateTime bounds the making of one.
	lateTime = time.Hour

	// lateRetry is when it is tried again after it failed, or while another node
	// does it.
	lateRetry = time.Minute
)

// missing returns those that are not there, or not whole: PostgreSQL leaves half of
// one where the making ended early.
func (s *Store) missing(ctx context.Context) ([]lateIndex, error) {
	text := "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'logins'"
	if s.turn == nil {
		text = `SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
			WHERE i.indrelid = 'logins'::regclass AND i.indisvalid`
	}
	there := make(map[string]bool)
	if err := eachRow(ctx, s.read, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		there[name] = true
		return err
	}, text); err != nil {
		return nil, err
	}
	var all []lateIndex
	for _, ix := range lateIndexes {
		if !there[ix.name] {
			all = append(all, ix)
		}
	}
	return all, nil
}

// makeIndexes makes what is missing: at once if that is soon done, else behind what
// Open returns.
func (s *Store) makeIndexes(ctx context.Context) error {
	missing, err := s.missing(ctx)
	if err != nil || len(missing) == 0 {
		return s.fail("open", err)
	}
	var n int
	if err := s.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM (SELECT 1 FROM logins LIMIT $1) AS part", fewLogins+1).Scan(&n); err != nil {
		return s.fail("open", err)
	}
	if n <= fewLogins {
		err := s.tx(ctx, lasts, func(ctx context.Context, tx *sql.Tx) error {
			if s.turn == nil {
				if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
					return err
				}
			}
			for _, ix := range missing {
				if _, err := tx.ExecContext(ctx, "CREATE INDEX IF NOT EXISTS "+ix.name+" ON "+ix.on); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			return nil
		}
		// The account may not be one that alters tables. What is missing makes some
		// pages slow, and nothing wrong.
	}
	ctx, s.late.end = context.WithCancel(context.Background())
	s.late.ended = make(chan struct{})
	go s.makeLate(ctx)
	return nil
}

// late is what makes indexes, if there are any to be made.
type late struct {
	end   context.CancelFunc
	ended chan struct{}
}

func (l *late) close() {
	if l.end != nil {
		l.end()
		<-l.ended
	}
}

// errElsewhere means that another node is at it.
var errElsewhere = errors.New("another node does it")

func (s *Store) makeLate(ctx context.Context) {
	defer close(s.late.ended)
	warned := false
	for {
		err := s.makeMissing(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		if !errors.Is(err, errElsewhere) && !warned {
			warned = true
			s.log.WarnContext(ctx, "an index of the table of logins cannot be made; pages that filter the record are slow",
				slog.String("cause", err.Error()), slog.String("hint", "it is tried again; the account of the database must own the tables"))
		}
		select {
		case <-time.After(lateRetry):
		case <-ctx.Done():
			return
		}
	}
}

func (s *Store) makeMissing(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lateTime*time.Duration(len(lateIndexes)))
	defer cancel()
	missing, err := s.missing(ctx)
	if err != nil || len(missing) == 0 {
		return err
	}
	if s.turn != nil {
		return s.makeInFile(ctx, missing)
	}
	// On a connection of its own, which has the lock as long as it is there.
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // back to the pool
	var mine bool
	if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", int64(lateLock)).Scan(&mine); err != nil {
		return err
	}
	if !mine {
		return errElsewhere
	}
	defer func() { // if it fails, the connection is no more, and the lock neither
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(lateLock))
	}()
	for _, ix := range missing {
		began := time.Now()
		// Without a lock that keeps others from writing, hence in no transaction.
		for _, text := range []string{"DROP INDEX CONCURRENTLY IF EXISTS " + ix.name, "CREATE INDEX CONCURRENTLY " + ix.name + " ON " + ix.on} {
			if _, err := conn.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		s.madeIndex(ctx, ix, began)
	}
	return nil
}

// makeInFile makes them in SQLite, one after the other: while one is made nobody
// else writes.
func (s *Store) makeInFile(ctx context.Context, missing []lateIndex) error {
	for _, ix := range missing {
		began := time.Now()
		if err := s.tx(ctx, mayUndo, func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "CREATE INDEX IF NOT EXISTS "+ix.name+" ON "+ix.on)
			return err
		}); err != nil {
			return err
		}
		s.madeIndex(ctx, ix, began)
		select {
		case <-time.After(time.Second): // who waited has a turn
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (s *Store) madeIndex(ctx context.Context, ix lateIndex, began time.Time) {
	s.log.InfoContext(ctx, "made an index of the table of logins", slog.String("index", ix.name), slog.Duration("dur", time.Since(began)))
}
