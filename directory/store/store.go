package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/soapward/soapward/authn"
)

// Defaults of Config.
const (
	DefaultTimeout    = 5 * time.Second
	DefaultMaxConns   = 16
	DefaultKeepLogins = 90 * 24 * time.Hour
)

// Config says which database a Store is in, and how it is used. It does not
// print DSN, which may have a password in it.
type Config struct {
	// Driver is "sqlite" or "postgres".
	Driver string

	// DSN is the path of the file for SQLite. For PostgreSQL it is a URL such as
	// postgres://soapward@db.corp.test/soapward?sslmode=verify-full, or the same
	// in keywords (host=... dbname=...), with what libpq's environment variables
	// and password file have. A server on another machine needs an sslmode in
	// it. Behind a pgbouncer that hands out connections by transaction, add
	// default_query_exec_mode=exec.
	DSN string

	// Password is that for PostgreSQL, if it is not in the DSN.
	Password authn.Secret

	Logger *slog.Logger // nil means slog.Default()

	// Timeout bounds each call. Zero means DefaultTimeout.
	Timeout time.Duration

	// MaxConns bounds the connections of this Store. Zero means DefaultMaxConns.
	// With SQLite it counts readers; there is one writer at a time.
	MaxConns int

	// KeepLogins is how long Prune keeps logins. Zero means DefaultKeepLogins.
	KeepLogins time.Duration

	// Exclusive says that this process is the only one that logs users in with a
	// SQLite database, which makes Kerberos logins much faster: see Replays. Open
	// takes a lock beside the file, DSN.lock, until Close, and returns ErrInUse if
	// another process has it. Programs that do not log in by Kerberos may use the
	// database meanwhile. It has no meaning for PostgreSQL.
	Exclusive bool

	// Now is the clock of Created and of Replays. Nil means time.Now.
	Now func() time.Time
}

// String returns the driver.
func (c Config) String() string { return "store in " + c.Driver }

// GoString implements fmt.GoStringer.
func (c Config) GoString() string { return c.String() }

// MarshalJSON implements json.Marshaler.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

// LogValue implements slog.LogValuer.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// A Store keeps what package directory has types for. It is made by Open and
// safe for concurrent use.
type Store struct {
	d       dialect
	read    *sql.DB // for what changes nothing
	write   *sql.DB // for what must survive a loss of power
	soft    *sql.DB // for what need not, such as when a session was last seen
	turn    chan struct{}
	stmts   sync.Map // from prepared to *sql.Stmt
	timeout time.Duration
	keep    atomic.Int64 // in nanoseconds
	now     func() time.Time
	log     *slog.Logger
	replays *Replays
	path    string   // of SQLite
	alone   *os.File // the lock of Config.Exclusive
	changes changes
	late    late

	listener *pgx.ConnConfig // PostgreSQL
}

// Open opens the database and brings its tables up to date. The SQLite file is
// made if there is none, with its directory, and only its owner can read it; one
// that others can read is refused. A database that a newer version has altered
// is refused.
func Open(ctx context.Context, c Config) (*Store, error) {
	s := &Store{timeout: c.Timeout, now: c.Now, log: c.Logger}
	if s.timeout <= 0 {
		s.timeout = DefaultTimeout
	}
	s.KeepLogins(c.KeepLogins)
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if c.MaxConns <= 0 {
		c.MaxConns = DefaultMaxConns
	}
	var err error
	switch c.Driver {
	case "sqlite":
		err = s.openSQLite(c)
	case "postgres":
		err = s.openPostgres(c)
	default:
		err = fmt.Errorf(`driver %q: want "sqlite" or "postgres"`, c.Driver)
	}
	if err != nil {
		if s.alone != nil {
			_ = unlock(s.alone) // the first error tells more
		}
		return nil, fmt.Errorf("store: open: %w", err)
	}
	s.replays = &Replays{s: s, boot: s.bootID()}
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // another node may alter the tables
	defer cancel()
	err = s.migrate(ctx)
	if err == nil {
		err = s.makeIndexes(ctx)
	}
	if err != nil {
		_ = s.Close() // the first error tells more
		if why := s.unwritable(err); why != nil {
			return nil, fmt.Errorf("store: open: %w", why) // which tells most
		}
		return nil, err
	}
	if s.alone != nil {
		s.replays.journal = s.replays.openJournal(ctx)
	}
	return s, nil
}

// Close writes what is not yet written and ends the connections. No other method
// may be called after it.
func (s *Store) Close() error {
	s.changes.close()
	s.late.close()
	var first error
	if j := s.replays.journal; j != nil {
		first = j.close()
	}
	for _, db := range []*sql.DB{s.read, s.write, s.soft} { // PostgreSQL's is thrice the same, which does no harm
		if db == nil {
			continue
		}
		if err := db.Close(); err != nil && first == nil {
			first = fmt.Errorf("store: close: %w", err)
		}
	}
	for _, f := range []*os.File{s.alone, s.replays.shared} {
		if f != nil {
			_ = unlock(f) // nothing is in it
		}
	}
	return first
}

// KeepLogins changes Config.KeepLogins. Zero means DefaultKeepLogins.
func (s *Store) KeepLogins(d time.Duration) {
	if d <= 0 {
		d = DefaultKeepLogins
	}
	s.keep.Store(int64(d))
}

// Replays returns the authenticators that were used, at all nodes. There is one
// for a Store.
func (s *Store) Replays() *Replays { return s.replays }

// querier is what reads: a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

var (
	_ querier = (*sql.DB)(nil)
	_ querier = (*sql.Tx)(nil)
)

// reading runs f, which changes nothing, and once more if the connection broke
// under it, as it does when the database was started anew.
func (s *Store) reading(ctx context.Context, op string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := f(ctx)
	if err != nil && ctx.Err() == nil && s.joined(ctx) == nil && s.d.broken(err) {
		err = f(ctx)
	}
	return s.fail(op, err)
}

// A prepared statement is of one database.
type prepared struct {
	db   *sql.DB
	text string
}

// stmt returns a statement that is kept prepared, or nil where the driver does
// that. The texts must be few.
func (s *Store) stmt(ctx context.Context, db *sql.DB, text string) (*sql.Stmt, error) {
	if !s.d.keepPrepared {
		return nil, nil
	}
	st, ok := s.stmts.Load(prepared{db, text})
	if !ok {
		made, err := db.PrepareContext(ctx, text)
		if err != nil {
			return nil, err
		}
		var lost bool
		if st, lost = s.stmts.LoadOrStore(prepared{db, text}, made); lost {
			_ = made.Close() // another one is as good
		}
	}
	return st.(*sql.Stmt), nil
}

// reader returns what to read from: the transaction of ctx, if it has one.
func (s *Store) reader(ctx context.Context) querier {
	if j := s.joined(ctx); j != nil {
		return j.tx
	}
	return s.read
}

// row reads one row.
func (s *Store) row(ctx context.Context, text string, args ...any) (*sql.Row, error) {
	if j := s.joined(ctx); j != nil {
		return j.tx.QueryRowContext(ctx, text, args...), nil
	}
	st, err := s.stmt(ctx, s.read, text)
	switch {
	case err != nil:
		return nil, err
	case st == nil:
		return s.read.QueryRowContext(ctx, text, args...), nil
	}
	return st.QueryRowContext(ctx, args...), nil
}

// lasting says what becomes of a change when the machine loses power.
type lasting bool

const (
	lasts   lasting = true
	mayUndo lasting = false // the last ones may be undone, with SQLite
)

// writer returns the database to write to. done must be called after.
func (s *Store) writer(ctx context.Context, l lasting) (db *sql.DB, done func(), err error) {
	db = s.write
	if l == mayUndo {
		db = s.soft
	}
	if s.turn == nil {
		return db, func() {}, nil
	}
	select { // in turn, where SQLite would try again and again
	case s.turn <- struct{}{}:
		return db, func() { <-s.turn }, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// exec runs one statement and returns how many rows it changed.
func (s *Store) exec(ctx context.Context, op string, l lasting, text string, args ...any) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if j := s.joined(ctx); j != nil {
		var n int
		err := j.part(ctx, func() (err error) {
			n, err = affected(j.tx.ExecContext(ctx, text, args...))
			return err
		})
		return n, s.fail(op, err)
	}
	db, done, err := s.writer(ctx, l)
	if err != nil {
		return 0, s.fail(op, err)
	}
	defer done()
	st, err := s.stmt(ctx, db, text)
	if err != nil {
		return 0, s.fail(op, err)
	}
	var n int
	err = s.retried(ctx, func() (err error) {
		if st != nil {
			n, err = affected(st.ExecContext(ctx, args...))
		} else {
			n, err = affected(db.ExecContext(ctx, text, args...))
		}
		return err
	})
	return n, s.fail(op, err)
}

// What can succeed if it is done again is done so often, after pauses that grow to
// maxPause: of several who wait crosswise the database undoes all but one, and
// without pauses they would meet again.
const (
	tries      = 10
	firstPause = 10 * time.Millisecond
	maxPause   = 500 * time.Millisecond
)

// retried runs f, and again as long as the database says that it was undone
// for others.
func (s *Store) retried(ctx context.Context, f func() error) error {
	for i := 1; ; i++ {
		err := f()
		if err == nil || i == tries || !s.d.again(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(rand.N(min(firstPause<<i, maxPause))):
		}
	}
}

func affected(r sql.Result, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	n, err := r.RowsAffected()
	return int(n), err
}

// inTx runs f in a transaction, and again in another one where the database
// undid it for others. Of several in SQLite one runs at a time. Where ctx has a
// transaction, f is a part of that.
func (s *Store) inTx(ctx context.Context, op string, l lasting, f func(context.Context, *sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.fail(op, s.tx(ctx, l, f))
}

func (s *Store) tx(ctx context.Context, l lasting, f func(context.Context, *sql.Tx) error) error {
	if j := s.joined(ctx); j != nil {
		return j.part(ctx, func() error { return f(ctx, j.tx) })
	}
	db, done, err := s.writer(ctx, l)
	if err != nil {
		return err
	}
	defer done()
	return s.retried(ctx, func() error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if err := f(ctx, tx); err != nil {
			_ = tx.Rollback() // the first error tells more
			return err
		}
		return tx.Commit()
	})
}

// micros is a time as the database has it.
func micros(t time.Time) int64 { return t.UnixMicro() }

// timeOf is the opposite. The zero time comes back as it was.
func timeOf(us int64) time.Time { return time.UnixMicro(us).UTC() }
