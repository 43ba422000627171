package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// userValues are the arguments that write u, without id, version, created and
// last_login.
func userValues(u *directory.User) []any {
	return []any{
		u.Realm, u.Name, directory.FoldName(u.Name), orNull(string(u.SID)), u.UPN, u.DN, u.DisplayName, u.Email, u.Phone,
		u.Password.Reveal(), u.LocalAdmin, int64(u.State), micros(u.Refreshed), u.NTHash.Reveal(),
		orNull(u.Subject), u.SecondFactor.Reveal(), codesText(u.RecoveryCodes),
		accountFold(directory.FoldName(u.Name)), searchFold(u.DisplayName), searchFold(u.Email),
	}
}

// accountFold is what follows the domain in a folded name, empty if there is none.
func accountFold(name string) string {
	_, account, _ := strings.Cut(name, `\`)
	return account
}

// searchFold is a text as it is searched for.
func searchFold(text string) string { return clean(directory.FoldName(text), maxSearched) }

// codesText is empty for none.
func codesText(codes []string) string {
	if len(codes) == 0 {
		return ""
	}
	b, err := json.Marshal(codes)
	if err != nil {
		panic("store: strings are no JSON: " + err.Error())
	}
	return string(b)
}

// orNull is NULL for none, as those are not compared with each other.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

const insertUser = `INSERT INTO users (realm, name, name_fold, sid, upn, dn, display_name, email, phone,
	password, local_admin, state, refreshed, nt_hash, subject, second_factor, recovery_codes, account_fold, display_fold, email_fold,
	version, created, last_login)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, 1, $21, $22)`

// CreateUser adds a user and fills in ID, Version, and Created unless it is set.
// The error is directory.ErrExists if the name, the SID or the subject is taken.
func (s *Store) CreateUser(ctx context.Context, u *directory.User) error {
	if err := checkUser(u); err != nil {
		return s.fail("create user", err)
	}
	created := u.Created
	if created.IsZero() {
		created = s.now()
	}
	var id int64
	defer s.changed(ctx, Users)
	err := s.inTx(ctx, "create user", lasts, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.nameGroups(ctx, tx, u.Groups); err != nil {
			return err
		}
		args := append(userValues(u), micros(created), micros(u.LastLogin))
		if err := tx.QueryRowContext(ctx, insertUser+" RETURNING id", args...).Scan(&id); err != nil {
			return err
		}
		if err := s.setMemberships(ctx, tx, id, u); err != nil {
			return err
		}
		if err := s.countUsers(ctx, tx, 1); err != nil {
			return err
		}
		return s.tell(ctx, tx, Users)
	})
	if err != nil {
		return err
	}
	before := *u
	u.ID, u.Version, u.Created = id, 1, timeOf(micros(created))
	s.ifUndone(ctx, func() { u.ID, u.Version, u.Created = before.ID, before.Version, before.Created })
	return nil
}

// UpdateUser writes all of u but Created, and LastLogin only if it is later than
// what is kept. It counts u.Version up. The error is directory.ErrConflict if
// somebody else has written since u was read, directory.ErrExists if the new
// name, SID or subject is taken.
func (s *Store) UpdateUser(ctx context.Context, u *directory.User) error {
	if err := checkUser(u); err != nil {
		return s.fail("update user", err)
	}
	defer s.changed(ctx, Users)
	err := s.inTx(ctx, "update user", lasts, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.nameGroups(ctx, tx, u.Groups); err != nil {
			return err
		}
		if err := s.update(ctx, tx, u); err != nil {
			return err
		}
		return s.tell(ctx, tx, Users)
	})
	if err != nil {
		return err
	}
	u.Version++
	s.ifUndone(ctx, func() { u.Version-- })
	return nil
}

// update writes a user whose groups are named.
func (s *Store) update(ctx context.Context, tx querier, u *directory.User) error {
	n, err := affected(tx.ExecContext(ctx, `UPDATE users SET realm = $1, name = $2, name_fold = $3, sid = $4, upn = $5, dn = $6,
		display_name = $7, email = $8, phone = $9, password = $10, local_admin = $11, state = $12, refreshed = $13,
		nt_hash = $14, subject = $15, second_factor = $16, recovery_codes = $17, account_fold = $18, display_fold = $19, email_fold = $20,
		version = version + 1, last_login = CASE WHEN last_login < $21 THEN $21 ELSE last_login END
		WHERE id = $22 AND version = $23`, append(userValues(u), micros(u.LastLogin), u.ID, u.Version)...))
	if err != nil {
		return err
	}
	if n == 0 {
		if err := s.exists(ctx, tx, u.ID); err != nil {
			return err
		}
		return directory.ErrConflict
	}
	return s.setMemberships(ctx, tx, u.ID, u)
}

// TouchLogin notes a login, unless a later one is noted.
func (s *Store) TouchLogin(ctx context.Context, id int64, at time.Time) error {
	return s.inTx(ctx, "touch login", mayUndo, func(ctx context.Context, tx *sql.Tx) error {
		n, err := affected(tx.ExecContext(ctx, "UPDATE users SET last_login = $1 WHERE id = $2 AND last_login < $1", micros(at), id))
		if err != nil || n > 0 {
			return err
		}
		return s.exists(ctx, tx, id)
	})
}

// DeleteUser removes a user. Sessions are not touched; see DeleteSessionsOf.
func (s *Store) DeleteUser(ctx context.Context, id int64) error {
	defer s.changed(ctx, Users)
	return s.inTx(ctx, "delete user", lasts, func(ctx context.Context, tx *sql.Tx) error {
		// First the row of the user, for which others who write wait.
		n, err := affected(tx.ExecContext(ctx, "DELETE FROM users WHERE id = $1", id))
		if err == nil && n == 0 {
			err = directory.ErrNotFound
		}
		if err != nil {
			return err
		}
		if _, err = tx.ExecContext(ctx, "DELETE FROM user_groups WHERE user_id = $1", id); err != nil {
			return err
		}
		if err := s.countUsers(ctx, tx, -1); err != nil {
			return err
		}
		return s.tell(ctx, tx, Users)
	})
}

// setMemberships makes groups, which are named, and roles those of u. What stays
// is not written again.
func (s *Store) setMemberships(ctx context.Context, tx querier, id int64, u *directory.User) error {
	groups, err := groupsJSON(u.Groups)
	if err != nil {
		return err
	}
	ids := "SELECT g.id FROM (" + s.d.pairs + ") p JOIN group_names g ON g.sid = p.sid AND g.name = p.name"
	if _, err := tx.ExecContext(ctx, "DELETE FROM user_groups WHERE user_id = $2 AND group_id NOT IN ("+ids+")", groups, id); err != nil {
		return err
	}
	if len(u.Groups) > 0 {
		_, err := tx.ExecContext(ctx, "INSERT INTO user_groups (group_id, user_id) SELECT i.id, CAST($2 AS BIGINT) FROM ("+ids+") i WHERE true ON CONFLICT DO NOTHING", groups, id)
		if err != nil {
			return err
		}
	}
	roles := slices.Compact(slices.Sorted(slices.Values(u.Roles)))
	b, err := json.Marshal(append([]string{}, roles...))
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM user_roles WHERE user_id = $2 AND role NOT IN ("+s.d.names+")", string(b), id); err != nil {
		return err
	}
	if len(roles) == 0 {
		return nil
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO user_roles (role, user_id, name_fold) SELECT n.name, CAST($2 AS BIGINT), CAST($3 AS TEXT) FROM ("+s.d.names+`) n
		WHERE true ON CONFLICT (user_id, role) DO UPDATE SET name_fold = excluded.name_fold WHERE user_roles.name_fold <> excluded.name_fold`,
		string(b), id, directory.FoldName(u.Name))
	return err
}

// nameGroups adds the groups that nobody was a member of yet. Whoever adds the
// same at the same time waits for the end of this transaction. So that none wait
// crosswise, a transaction does it once, for all of its users, in an order, and
// before it writes a user.
func (s *Store) nameGroups(ctx context.Context, tx querier, groups []authn.Group) error {
	if len(groups) == 0 {
		return nil
	}
	pairs, err := groupsJSON(groups)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO group_names (sid, name) SELECT p.sid, p.name FROM ("+s.d.pairs+`) p
		WHERE NOT EXISTS (SELECT 1 FROM group_names g WHERE g.sid = p.sid AND g.name = p.name) ORDER BY 1, 2 ON CONFLICT DO NOTHING`, pairs)
	return err
}

// groupsJSON is a list of groups for dialect.pairs, each once.
func groupsJSON(groups []authn.Group) (string, error) {
	sorted := slices.Compact(slices.SortedFunc(slices.Values(groups), compareGroups))
	pairs := make([][2]string, len(sorted))
	for i, g := range sorted {
		pairs[i] = [2]string{string(g.SID), g.Name}
	}
	b, err := json.Marshal(pairs)
	return string(b), err
}
