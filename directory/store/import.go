package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// Imported is what Import did with how many users.
type Imported struct {
	Created int
	Existed int // were left as they are
}

const (
	// importBatch is how many users are written in one transaction.
	importBatch = 5000

	// importTime bounds that.
	importTime = time.Minute
)

// Import adds many users with their groups and roles, quickly. One whose name or
// SID is taken is left as it is and counted. IDs and versions of the users given
// are ignored, and not filled in. Users are written in portions of 5,000: after
// an error those before are there, and the same call again goes on from there.
// Others can write between portions.
//
// An error among users ends the import and is returned as it is. report, if not
// nil, is told what was done after each portion.
func (s *Store) Import(ctx context.Context, users iter.Seq2[*directory.User, error], report func(Imported)) (done Imported, err error) {
	im := &importer{s: s, groups: map[authn.Group]int64{}}
	flush := func() error {
		if len(im.batch) == 0 {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, importTime)
		defer cancel()
		created, err := im.write(ctx)
		if err != nil {
			return s.fail("import", err)
		}
		done.Created += created
		done.Existed += len(im.batch) - created
		im.batch = im.batch[:0]
		if report != nil {
			report(done)
		}
		return nil
	}
	for u, err := range users {
		if err != nil {
			return done, err
		}
		if err := checkUser(u); err != nil {
			return done, s.fail("import", fmt.Errorf("%q: %w", clean(u.Name, 64), err))
		}
		if im.batch = append(im.batch, u); len(im.batch) == importBatch {
			if err := flush(); err != nil {
				return done, err
			}
		}
	}
	if err := flush(); err != nil {
		return done, err
	}
	return done, s.fail("import", s.analyze(ctx, done.Created))
}

// analyze lets PostgreSQL know at once that the tables have grown. It would
// notice after a minute, and plan as for small ones until then.
func (s *Store) analyze(ctx context.Context, created int) error {
	if created < importBatch || s.turn != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, importTime)
	defer cancel()
	_, err := s.write.ExecContext(ctx, "ANALYZE users, group_names, user_groups, user_roles")
	return err
}

type importer struct {
	s      *Store
	batch  []*directory.User
	groups map[authn.Group]int64 // that are known to be named; they are never removed

	existed bool // some of the last batch did
}

func (im *importer) write(ctx context.Context) (created int, err error) {
	if err := im.nameGroups(ctx); err != nil {
		return 0, err
	}
	if im.s.joined(ctx) != nil && im.s.turn == nil {
		return im.create(ctx)
	}
	if im.s.turn == nil {
		err = im.s.retried(ctx, func() (err error) {
			created, err = im.copy(ctx)
			return err
		})
		return created, err
	}
	err = im.s.tx(ctx, lasts, func(ctx context.Context, tx *sql.Tx) (err error) {
		created, err = im.insert(ctx, tx)
		return err
	})
	return created, err
}

// create writes the batch within a transaction that COPY takes no part in.
func (im *importer) create(ctx context.Context) (created int, err error) {
	for _, u := range im.batch {
		u := *u
		if u.Created.IsZero() {
			u.Created = im.s.now()
		}
		switch err := im.s.CreateUser(ctx, &u); {
		case err == nil:
			created++
		case !errors.Is(err, directory.ErrExists):
			return created, err
		}
	}
	return created, nil
}

// nameGroups makes im.groups have all groups of the batch.
func (im *importer) nameGroups(ctx context.Context) error {
	var unknown []authn.Group
	for _, u := range im.batch {
		for _, g := range u.Groups {
			if _, ok := im.groups[g]; !ok {
				im.groups[g] = 0
				unknown = append(unknown, g)
			}
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	pairs, err := groupsJSON(unknown)
	if err != nil {
		return err
	}
	return im.s.tx(ctx, lasts, func(ctx context.Context, tx *sql.Tx) error {
		if err := im.s.nameGroups(ctx, tx, unknown); err != nil {
			return err
		}
		return eachRow(ctx, tx, func(scan func(...any) error) error {
			var id int64
			var g authn.Group
			err := scan(&id, &g.SID, &g.Name)
			im.groups[g] = id
			return err
		}, "SELECT g.id, g.sid, g.name FROM ("+im.s.d.pairs+") p JOIN group_names g ON g.sid = p.sid AND g.name = p.name", pairs)
	})
}

// manyRows is how many rows one statement of SQLite inserts.
const manyRows = 200

// insert writes the batch to SQLite.
func (im *importer) insert(ctx context.Context, tx *sql.Tx) (created int, err error) {
	user, err := tx.PrepareContext(ctx, insertUser+" ON CONFLICT DO NOTHING")
	if err != nil {
		return 0, err
	}
	defer func() { _ = user.Close() }() // at the end of the transaction at the latest
	now := micros(im.s.now())
	groups := &rowInserter{tx: tx, into: "user_groups (user_id, group_id)", columns: 2}
	roles := &rowInserter{tx: tx, into: "user_roles (user_id, role, name_fold)", columns: 3}
	for _, u := range im.batch {
		r, err := user.ExecContext(ctx, append(userValues(u), importCreated(u, now), micros(u.LastLogin))...)
		n, err := affected(r, err)
		if err != nil {
			return 0, err
		}
		if n == 0 {
			continue
		}
		created++
		id, err := r.LastInsertId()
		if err != nil {
			return 0, err
		}
		for _, g := range u.Groups {
			if err := groups.add(ctx, id, im.groups[g]); err != nil {
				return 0, err
			}
		}
		for _, role := range u.Roles {
			if err := roles.add(ctx, id, role, directory.FoldName(u.Name)); err != nil {
				return 0, err
			}
		}
	}
	if err := groups.flush(ctx); err != nil {
		return 0, err
	}
	if err := im.s.countUsers(ctx, tx, created); err != nil {
		return 0, err
	}
	return created, roles.flush(ctx)
}

func importCreated(u *directory.User, now int64) int64 {
	if u.Created.IsZero() {
		return now
	}
	return micros(u.Created)
}

// rowInserter inserts rows, many with a statement.
type rowInserter struct {
	tx      *sql.Tx
	into    string
	columns int
	full    *sql.Stmt // for manyRows
	args    []any
}

func (r *rowInserter) text() string {
	// Without numbers, which SQLite would look up one by one.
	row := "(" + strings.Repeat("?, ", r.columns-1) + "?), "
	rows := strings.Repeat(row, len(r.args)/r.columns)
	return "INSERT INTO " + r.into + " VALUES " + strings.TrimSuffix(rows, ", ") + " ON CONFLICT DO NOTHING"
}

func (r *rowInserter) add(ctx context.Context, row ...any) (err error) {
	if r.args = append(r.args, row...); len(r.args) < r.columns*manyRows {
		return nil
	}
	if r.full == nil {
		if r.full, err = r.tx.PrepareContext(ctx, r.text()); err != nil {
			return err
		}
	}
	_, err = r.full.ExecContext(ctx, r.args...)
	r.args = r.args[:0]
	return err
}

func (r *rowInserter) flush(ctx context.Context) error {
	if r.full != nil {
		defer func() { _ = r.full.Close() }() // at the end of the transaction at the latest
	}
	if len(r.args) == 0 {
		return nil
	}
	_, err := r.tx.ExecContext(ctx, r.text(), r.args...)
	return err
}

// copy writes the batch to PostgreSQL, by COPY.
func (im *importer) copy(ctx context.Context) (created int, err error) {
	conn, err := im.s.write.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }() // back to the pool
	err = conn.Raw(func(c any) error {
		return pgx.BeginFunc(ctx, c.(*stdlib.Conn).Conn(), func(tx pgx.Tx) error {
			ids, err := im.copyUsers(ctx, tx)
			created = len(ids)
			if err != nil {
				return err
			}
			return im.copyMemberships(ctx, tx, ids)
		})
	})
	return created, err
}

var userColumnNames = []string{
	"realm", "name", "name_fold", "sid", "upn", "dn", "display_name", "email", "phone",
	"password", "local_admin", "state", "refreshed", "nt_hash", "subject", "second_factor", "recovery_codes",
	"account_fold", "display_fold", "email_fold", "version", "created", "last_login", "id",
}

// copyUsers returns the ids of those who are new, by their place in the batch.
// Where some are not, users go to a table of this transaction, and from there
// those who are.
func (im *importer) copyUsers(ctx context.Context, tx pgx.Tx) (map[int]int64, error) {
	rows, err := tx.Query(ctx, "SELECT nextval(pg_get_serial_sequence('users', 'id')) FROM generate_series(1, $1)", len(im.batch))
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, err
	}
	now := micros(im.s.now())
	all := make(map[int]int64, len(ids))
	for i, id := range ids {
		all[i] = id
	}
	copyTo := func(tx pgx.Tx, table string) error {
		_, err := tx.CopyFrom(ctx, pgx.Identifier{table}, userColumnNames, pgx.CopyFromSlice(len(ids), func(i int) ([]any, error) {
			u := im.batch[i]
			return append(userValues(u), int64(1), importCreated(u, now), micros(u.LastLogin), ids[i]), nil
		}))
		return err
	}
	// Straight to the table, which is faster, unless some exist.
	if !im.existed {
		err := pgx.BeginFunc(ctx, tx, func(savepoint pgx.Tx) error { return copyTo(savepoint, "users") })
		switch {
		case err == nil:
			return all, nil
		case !im.s.d.taken(err):
			return nil, err
		}
	}
	if _, err := tx.Exec(ctx, "CREATE TEMPORARY TABLE new_users (LIKE users) ON COMMIT DROP"); err != nil {
		return nil, err
	}
	if err := copyTo(tx, "new_users"); err != nil {
		return nil, err
	}
	columns := strings.Join(userColumnNames, ", ")
	rows, err = tx.Query(ctx, "INSERT INTO users ("+columns+") SELECT "+columns+" FROM new_users ORDER BY id ON CONFLICT DO NOTHING RETURNING id")
	if err != nil {
		return nil, err
	}
	added, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, err
	}
	im.existed = len(added) < len(ids)
	if !im.existed {
		return all, nil
	}
	isNew := make(map[int64]bool, len(added))
	for _, id := range added {
		isNew[id] = true
	}
	maps.DeleteFunc(all, func(_ int, id int64) bool { return !isNew[id] })
	return all, nil
}

func (im *importer) copyMemberships(ctx context.Context, tx pgx.Tx, ids map[int]int64) error {
	var groups, roles [][]any
	for i, u := range im.batch {
		id, ok := ids[i]
		if !ok {
			continue
		}
		for _, g := range slices.Compact(slices.SortedFunc(slices.Values(u.Groups), compareGroups)) {
			groups = append(groups, []any{id, im.groups[g]})
		}
		for _, r := range slices.Compact(slices.Sorted(slices.Values(u.Roles))) {
			roles = append(roles, []any{id, r, directory.FoldName(u.Name)})
		}
	}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"user_groups"}, []string{"user_id", "group_id"}, pgx.CopyFromRows(groups)); err != nil {
		return err
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"user_roles"}, []string{"user_id", "role", "name_fold"}, pgx.CopyFromRows(roles))
	return err
}
