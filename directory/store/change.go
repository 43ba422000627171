package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A Topic is what somebody may keep in memory of what is in the database.
type Topic int

// Topics.
const (
	Sessions Topic = iota // that ended, or whose grant was renewed
	Users                 // that were made, changed or deleted; not when they logged in last
	Blocks                // that were made or lifted

	topics = iota
)

const (
	// changeChannel is PostgreSQL's, on which nodes tell each other.
	changeChannel = "soapward"

	// changeSilence is after how long without a word a connection to PostgreSQL
	// is asked whether it still is one.
	changeSilence = 2 * time.Second

	// changeRetry is when another connection is tried after one was lost.
	changeRetry = 500 * time.Millisecond

	// changePoll is how often the file of SQLite is asked whether another process
	// wrote to it.
	changePoll = 100 * time.Millisecond
)

// changes are what a Store knows of what was written, here and elsewhere.
type changes struct {
	versions [topics]atomic.Uint64
	hears    atomic.Bool // also of what others write
	begin    sync.Once
	end      context.CancelFunc
	ended    chan struct{}
}

// Version returns a number that changes when somebody writes what a topic is
// about, and whether this Store hears of all who do. What was read under a version
// may be used again while the version is the same and ok is true.
//
// This Store's own changes count before the call that makes them returns. Those of
// other nodes count as soon as PostgreSQL has told of them, some milliseconds after
// they were made; with SQLite, those of other processes within a tenth of a
// second. A node that is cut off from PostgreSQL knows so after four seconds at the
// latest, and ok is false while it is. It is false for ever behind a pgbouncer that
// hands out connections by transaction.
//
// The first call begins to listen: its ok is false.
func (s *Store) Version(t Topic) (version uint64, ok bool) {
	s.changes.begin.Do(func() {
		ctx, cancel := context.WithCancel(context.Background())
		s.changes.end, s.changes.ended = cancel, make(chan struct{})
		go func() {
			defer close(s.changes.ended)
			if s.turn != nil {
				s.pollFile(ctx)
			} else {
				s.listen(ctx)
			}
		}()
	})
	ok = s.changes.hears.Load()
	return s.changes.versions[t].Load(), ok
}

// close ends the listening.
func (c *changes) close() {
	c.begin.Do(func() {}) // nobody begins any more
	if c.end != nil {
		c.end()
		<-c.ended
	}
}

// changed says that a topic was, or may have been, written here. In a transaction
// that ctx has, it is said at the end.
func (s *Store) changed(ctx context.Context, t Topic) {
	if j := s.joined(ctx); j != nil {
		j.topics[t].Store(true)
		return
	}
	s.changes.versions[t].Add(1)
}

// changedAll is for times of which nobody knows what was written in them.
func (s *Store) changedAll() {
	for t := range s.changes.versions {
		s.changes.versions[t].Add(1)
	}
}

// tell has PostgreSQL tell all nodes when tx is committed.
func (s *Store) tell(ctx context.Context, tx querier, t Topic) error {
	if s.turn != nil {
		return nil
	}
	_, err := tx.ExecContext(ctx, "SELECT pg_notify($1, $2)", changeChannel, strconv.Itoa(int(t)))
	return err
}

// telling is exec for what all nodes are told of.
func (s *Store) telling(ctx context.Context, op string, t Topic, text string, args ...any) (n int, err error) {
	defer s.changed(ctx, t)
	if s.turn != nil {
		return s.exec(ctx, op, lasts, text, args...)
	}
	err = s.inTx(ctx, op, lasts, func(ctx context.Context, tx *sql.Tx) error {
		if n, err = affected(tx.ExecContext(ctx, text, args...)); err != nil || n == 0 {
			return err
		}
		return s.tell(ctx, tx, t)
	})
	return n, err
}

// pollFile asks SQLite for the number that other connections' writes change. Those
// of this Store change it too.
func (s *Store) pollFile(ctx context.Context) {
	defer s.changes.hears.Store(false)
	tick := time.NewTicker(changePoll)
	defer tick.Stop()
	last := int64(-1)
	for {
		conn, err := s.read.Conn(ctx) // the number is of a connection
		for err == nil {
			var version int64
			if err = conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version); err != nil {
				break
			}
			if version != last {
				last = version
				s.changedAll()
			}
			s.changes.hears.Store(true)
			select {
			case <-tick.C:
			case <-ctx.Done():
				_ = conn.Close() // back to the pool
				return
			}
		}
		s.changes.hears.Store(false)
		last = -1
		if conn != nil {
			_ = conn.Close() // nothing was written over it
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// errDeaf means that what is told on other connections does not come to this one.
var errDeaf = errors.New("what nodes tell each other (NOTIFY) does not arrive: the dsn must lead to PostgreSQL itself, or to a pooler by session")

// listen hears what other nodes tell, and connects again when that ends.
func (s *Store) listen(ctx context.Context) {
	warned := false
	for ctx.Err() == nil {
		err := s.hear(ctx)
		s.changes.hears.Store(false)
		if ctx.Err() != nil {
			return
		}
		if deaf := errors.Is(err, errDeaf); deaf && !warned {
			warned = true
			s.log.WarnContext(ctx, "each session and user is read at each request", slog.String("cause", err.Error()))
		} else if !deaf {
			s.log.DebugContext(ctx, "changes of other nodes are not heard of", slog.String("cause", err.Error()))
		}
		wait := changeRetry
		if warned {
			wait = time.Minute
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// hear listens on one connection until that ends.
func (s *Store) hear(ctx context.Context) error {
	connect, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(connect, s.listener.Copy())
	if err != nil {
		return err
	}
	defer func() {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(bye) // it may be broken
	}()
	if _, err := conn.Exec(connect, "LISTEN "+changeChannel); err != nil {
		return err
	}
	// What is told on another connection must arrive.
	token := "are you there " + strconv.FormatInt(time.Now().UnixNano(), 36)
	if _, err := s.write.ExecContext(connect, "SELECT pg_notify($1, $2)", changeChannel, token); err != nil {
		return err
	}
	for heard := false; ; {
		n, err := s.nextChange(ctx, conn)
		switch {
		case err != nil:
			return err
		case n != nil && n.Payload == token:
			heard = true
			s.changedAll() // of what went by before
			s.changes.hears.Store(true)
		case n == nil && !heard:
			return errDeaf
		case n == nil: // silence
		default:
			if t, err := strconv.Atoi(n.Payload); err == nil && t >= 0 && t < topics {
				s.changed(ctx, Topic(t))
			}
		}
	}
}

// nextChange returns what is told next, nil after a silence in which the
// connection was found to be well.
func (s *Store) nextChange(ctx context.Context, conn *pgx.Conn) (*pgconn.Notification, error) {
	wait, cancel := context.WithTimeout(ctx, changeSilence)
	defer cancel()
	n, err := conn.WaitForNotification(wait)
	if err == nil || ctx.Err() != nil || wait.Err() == nil {
		return n, err
	}
	ping, cancel := context.WithTimeout(ctx, changeSilence)
	defer cancel()
	return nil, conn.Ping(ping)
}
