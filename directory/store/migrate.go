package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

//go:embed migrations
var migrationFiles embed.FS

// migrationLock is what nodes that start at the same time wait for each other
// at. It is any number that nobody else takes.
const migrationLock = 0x736f6170_77617264

// A migration is the step to version number.
type migration struct {
	number int
	name   string
	text   string
}

// migrations returns the steps of a dialect, 1 to n.
func migrations(d dialect) ([]migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/"+d.name+"/*.sql")
	if err != nil {
		return nil, err
	}
	var ms []migration
	for _, name := range names { // sorted
		digits, rest, _ := strings.Cut(strings.TrimSuffix(path.Base(name), ".sql"), "_")
		n, err := strconv.Atoi(digits)
		if err != nil || n != len(ms)+1 {
			return nil, fmt.Errorf("migration %s is not number %d", name, len(ms)+1)
		}
		text, err := fs.ReadFile(migrationFiles, name)
		if err != nil {
			return nil, err
		}
		ms = append(ms, migration{n, rest, string(text)})
	}
	return ms, nil
}

// migrate brings the tables up to date, in one transaction, at one node at a
// time.
func (s *Store) migrate(ctx context.Context) error {
	ms, err := migrations(s.d)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if s.turn == nil {
		if err := s.checkDatabase(ctx); err != nil {
			return s.fail("open", err)
		}
	}
	// Without a lock first: the account may not be one that alters tables.
	version, err := s.version(ctx, s.read)
	if err == nil && version == len(ms) {
		return nil
	}
	return s.fail("bring the tables up to date", s.tx(ctx, lasts, func(ctx context.Context, tx *sql.Tx) error {
		if s.turn == nil {
			if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS soapward_schema (version INTEGER NOT NULL)"); err != nil {
			return err
		}
		version, err := s.version(ctx, tx)
		if err != nil {
			return err
		}
		if version > len(ms) {
			return refusal(fmt.Sprintf("the tables are of version %d, and this program knows those up to %d: run the newer program that altered them", version, len(ms)))
		}
		for _, m := range ms[version:] {
			if _, err := tx.ExecContext(ctx, m.text); err != nil {
				return fmt.Errorf("to version %d: %w", m.number, err)
			}
			if m.name == "administration" {
				if err := s.fillFolded(ctx, tx); err != nil {
					return fmt.Errorf("to version %d: %w", m.number, err)
				}
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO soapward_schema VALUES ($1)", m.number); err != nil {
				return err
			}
		}
		return nil
	}))
}

// fillFolded fills in the columns in which users are searched for. What is ASCII,
// which is most of it, the database does at once.
func (s *Store) fillFolded(ctx context.Context, tx *sql.Tx) error {
	lower := func(column string) string { return fmt.Sprintf("substr(lower(trim(%s)), 1, %d)", column, maxSearched) } // of ASCII alone
	account := `substr(name_fold, instr(name_fold, '\') + 1)`
	hasDomain := `instr(name_fold, '\') > 0`
	other := "length(CAST(display_name AS BLOB)) <> length(display_name) OR length(CAST(email AS BLOB)) <> length(email)"
	if s.turn == nil {
		lower = func(column string) string {
			return fmt.Sprintf(`left(lower(btrim(%s) COLLATE "C"), %d)`, column, maxSearched)
		}
		account = `substr(name_fold, strpos(name_fold, '\') + 1)`
		hasDomain = `strpos(name_fold, '\') > 0`
		other = "octet_length(display_name) <> length(display_name) OR octet_length(email) <> length(email)"
	}
	if _, err := tx.ExecContext(ctx, "UPDATE users SET account_fold = CASE WHEN "+hasDomain+" THEN "+account+" ELSE '' END, display_fold = "+
		lower("display_name")+", email_fold = "+lower("email")); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE user_roles SET name_fold = (SELECT u.name_fold FROM users u WHERE u.id = user_roles.user_id)"); err != nil {
		return err
	}
	// The rest a thousand at a time, since it cannot be written while it is read.
	q := &repeated{tx: tx, stmts: make(map[string]*sql.Stmt)}
	defer q.close()
	type row struct {
		id             int64
		display, email string
	}
	for last := int64(0); ; {
		var rows []row
		if err := eachRow(ctx, tx, func(scan func(...any) error) error {
			var r row
			err := scan(&r.id, &r.display, &r.email)
			rows = append(rows, r)
			return err
		}, "SELECT id, display_name, email FROM users WHERE id > $1 AND ("+other+") ORDER BY id LIMIT 1000", last); err != nil || len(rows) == 0 {
			return err
		}
		for _, r := range rows {
			last = r.id
			if _, err := q.ExecContext(ctx, "UPDATE users SET display_fold = $1, email_fold = $2 WHERE id = $3",
				searchFold(r.display), searchFold(r.email), r.id); err != nil {
				return err
			}
		}
	}
}

func (s *Store) version(ctx context.Context, q querier) (n int, err error) {
	err = q.QueryRowContext(ctx, "SELECT COALESCE(MAX(version), 0) FROM soapward_schema").Scan(&n)
	return n, err
}

// checkDatabase refuses a PostgreSQL database that cannot keep all names, or
// whose transactions would not see what others wrote while they waited: failures
// would be counted wrong, and used authenticators pass for new.
func (s *Store) checkDatabase(ctx context.Context) error {
	var enc, isolation string
	err := s.read.QueryRowContext(ctx, "SELECT current_setting('server_encoding'), current_setting('default_transaction_isolation')").Scan(&enc, &isolation)
	switch {
	case err != nil:
		return err
	case enc != "UTF8":
		return refusal("the database is encoded in " + enc + ": make one with CREATE DATABASE soapward ENCODING 'UTF8' TEMPLATE template0")
	case isolation != "read committed":
		return refusal("transactions of the database are " + isolation + ": ALTER ROLE soapward SET default_transaction_isolation = 'read committed', soapward being who logs in")
	}
	return nil
}
