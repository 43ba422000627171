package store

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/soapward/soapward/internal/atomicfile"
)

var sqliteDialect = dialect{
	name:         "sqlite",
	keepPrepared: true,
	groupsOf: `(SELECT json_group_array(json_array(g.sid, g.name))
		FROM user_groups m JOIN group_names g ON g.id = m.group_id WHERE m.user_id = u.id)`,
	rolesOf:  `(SELECT json_group_array(r.role) FROM user_roles r WHERE r.user_id = u.id)`,
	pairs:    `SELECT value ->> 0 AS sid, value ->> 1 AS name FROM json_each($1)`,
	names:    `SELECT value AS name FROM json_each($1)`,
	domainOf: `substr(name_fold, 1, instr(name_fold, '\'))`,
	noLimit:  "-1",
	taken: func(err error) bool {
		var e *sqlite.Error
		return errors.As(err, &e) && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
	},
	broken: func(error) bool { return false },
	again:  func(error) bool { return false },
}

// openSQLite opens the file thrice: for readers, whom a writer does not disturb
// (WAL), and for writers, of which there is one at a time.
func (s *Store) openSQLite(c Config) error {
	path, err := preparePath(c.DSN)
	if err != nil {
		return err
	}
	s.d, s.path = sqliteDialect, filepath.FromSlash(path)
	if c.Exclusive {
		if s.alone, err = s.lock(true); err != nil {
			return err
		}
	}
	s.turn = make(chan struct{}, 1)
	inMemory := !temporary() // as in a container: large sorts would fail, as an I/O error of the disk
	if inMemory {
		s.log.Info("no directory for temporary files can be written, and SQLite sorts in memory: TMPDIR may name one", "store", s.path)
	}
	open := func(conns int, more url.Values) *sql.DB {
		// How long a writer waits for one of another process, such as the command
		// line. The context of the call ends that as well.
		more.Set("_busy_timeout", strconv.FormatInt(s.timeout.Milliseconds(), 10))
		more.Set("_foreign_keys", "on")
		more.Add("_pragma", "cache_size(-16000)") // KiB
		if inMemory {
			more.Add("_pragma", "temp_store(memory)")
		}
		u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: more.Encode()}
		db, e := sql.Open("sqlite", u.String())
		if e != nil {
			err = e
			return nil
		}
		db.SetMaxOpenConns(conns)
		db.SetMaxIdleConns(conns)
		return db
	}
	s.write = open(1, url.Values{"_txlock": {"immediate"}, "_journal_mode": {"WAL"}, "_synchronous": {"FULL"}})
	s.soft = open(1, url.Values{"_txlock": {"immediate"}, "_journal_mode": {"WAL"}, "_synchronous": {"NORMAL"}})
	s.read = open(c.MaxConns, url.Values{"_query_only": {"on"}})
	return err
}

// preparePath makes the file, for its owner alone, and refuses one that others
// can read or write, or could have put there: it has hashes of passwords.
func preparePath(path string) (string, error) {
	if path == "" || strings.HasPrefix(path, ":") || strings.HasPrefix(path, "file:") || strings.ContainsRune(path, 0) {
		return "", fmt.Errorf("dsn %q: want the path of a file, such as /var/lib/soapward/soapward.db", path)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", notWritable(path, err)
	}
	if err := atomicfile.CheckDir(filepath.Dir(path)); err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return filepath.ToSlash(path), f.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return "", notWritable(path, err)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		fi, err := os.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist) && name != path:
			continue // made with the permissions of the database
		case err != nil:
			return "", err
		case !fi.Mode().IsRegular():
			return "", fmt.Errorf("%s is not a file", name)
		case runtime.GOOS != "windows" && fi.Mode().Perm()&0o077 != 0: // Windows has no such bits
			return "", fmt.Errorf("%s can be read or changed by others (mode %04o): chmod 600 %s", name, fi.Mode().Perm(), name)
		}
	}
	return filepath.ToSlash(path), nil
}

// unwritable says why a database cannot be written, which SQLite has numbers for, if
// an error may be about that: who may write the files that are there may do without
// the directory, and what else is wrong is to be told.
func (s *Store) unwritable(err error) error {
	var e *sqlite.Error
	if s.path == "" || !errors.As(err, &e) {
		return nil
	}
	switch e.Code() & 0xff { // without what extends it
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM:
	default:
		return nil
	}
	for _, path := range []string{s.path, filepath.Dir(s.path)} {
		if err := mayWrite(path); err != nil {
			return notWritable(s.path, &fs.PathError{Op: "open", Path: path, Err: err})
		}
	}
	return nil
}

// notWritable says what a database needs, if that is what is wrong.
func notWritable(path string, err error) error {
	var at *fs.PathError
	if !errors.As(err, &at) || !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) {
		return err
	}
	return fmt.Errorf("%s: %w: SQLite makes files beside the database, so this process must be able to write the directory %s", at.Path, at.Err, filepath.Dir(path))
}
