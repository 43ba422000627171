package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// UpdateUsers is UpdateUser for many users at once, which is several times as
// fast. All of them are written or none: after an error, which is that of one of
// them, UpdateUser tells which. A few hundred are a good number: Config.Timeout
// is for all.
func (s *Store) UpdateUsers(ctx context.Context, users []*directory.User) error {
	for _, u := range users {
		if err := checkUser(u); err != nil {
			return s.fail("update users", err)
		}
	}
	var groups []authn.Group
	for _, u := range users {
		groups = append(groups, u.Groups...)
	}
	// In an order, so that two who write the same users do not wait crosswise.
	inOrder := slices.SortedFunc(slices.Values(users), func(a, b *directory.User) int { return cmp.Compare(a.ID, b.ID) })
	defer s.changed(ctx, Users)
	err := s.inTx(ctx, "update users", lasts, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.nameGroups(ctx, tx, groups); err != nil {
			return err
		}
		q := &repeated{tx: tx, stmts: make(map[string]*sql.Stmt)}
		defer q.close()
		for _, u := range inOrder {
			if err := s.update(ctx, q, u); err != nil {
				return err
			}
		}
		return s.tell(ctx, tx, Users)
	})
	if err != nil {
		return err
	}
	for _, u := range users {
		u.Version++
		s.ifUndone(ctx, func() { u.Version-- })
	}
	return nil
}

// repeated prepares what it is asked once, for a transaction that does the same
// over and over.
type repeated struct {
	tx    *sql.Tx
	stmts map[string]*sql.Stmt
}

var _ querier = (*repeated)(nil)

func (r *repeated) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if s := r.stmts[query]; s != nil {
		return s, nil
	}
	s, err := r.tx.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	r.stmts[query] = s
	return s, nil
}

func (r *repeated) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := r.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

func (r *repeated) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return r.tx.QueryContext(ctx, query, args...)
}

func (r *repeated) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return r.tx.QueryRowContext(ctx, query, args...)
}

func (r *repeated) close() {
	for _, s := range r.stmts {
		_ = s.Close() // what it did is decided by the transaction
	}
}
