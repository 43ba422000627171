package store

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// userColumns are read in the order of scanUser.
func (d *dialect) userColumns() string {
	return `u.id, u.version, u.realm, u.name, COALESCE(u.sid, ''), u.upn, u.dn, u.display_name, u.email, u.phone,
		u.password, u.nt_hash, u.local_admin, u.state, u.created, u.refreshed, u.last_login,
		COALESCE(u.subject, ''), u.second_factor, u.recovery_codes, ` + d.groupsOf + ", " + d.rolesOf
}

// User returns the user of a name, without regard to case.
func (s *Store) User(ctx context.Context, name string) (*directory.User, error) {
	if checkName(name) != nil {
		return nil, s.fail("user", directory.ErrNotFound) // nobody is called that
	}
	return s.user(ctx, "name_fold", directory.FoldName(name))
}

// UserBySID returns the user with a SID.
func (s *Store) UserBySID(ctx context.Context, sid authn.SID) (*directory.User, error) {
	if sid == "" || checkText("SID", string(sid), maxName) != nil {
		return nil, s.fail("user", directory.ErrNotFound)
	}
	return s.user(ctx, "sid", string(sid))
}

// UserBySubject returns the user whom an external provider knows by a subject; see
// directory.User.Subject.
func (s *Store) UserBySubject(ctx context.Context, subject string) (*directory.User, error) {
	if subject == "" || checkText("subject", subject, maxText) != nil {
		return nil, s.fail("user", directory.ErrNotFound)
	}
	return s.user(ctx, "subject", subject)
}

// UserByID returns the user with the number that the store gave.
func (s *Store) UserByID(ctx context.Context, id int64) (*directory.User, error) {
	return s.user(ctx, "id", id)
}

func (s *Store) user(ctx context.Context, column string, value any) (u *directory.User, err error) {
	err = s.reading(ctx, "user", func(ctx context.Context) error {
		row, err := s.row(ctx, "SELECT "+s.d.userColumns()+" FROM users u WHERE u."+column+" = $1", value)
		if err != nil {
			return err
		}
		u, err = scanUser(row.Scan)
		return err
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

// scanUser reads what userColumns names.
func scanUser(scan func(...any) error) (*directory.User, error) {
	var (
		u                        directory.User
		password, nt             string
		factor, codes            string
		groups, roles            string
		created, refreshed, last int64
		pairs                    [][2]string
	)
	if err := scan(&u.ID, &u.Version, &u.Realm, &u.Name, &u.SID, &u.UPN, &u.DN, &u.DisplayName, &u.Email, &u.Phone,
		&password, &nt, &u.LocalAdmin, &u.State, &created, &refreshed, &last,
		&u.Subject, &factor, &codes, &groups, &roles); err != nil {
		return nil, err
	}
	u.Created, u.Refreshed, u.LastLogin = timeOf(created), timeOf(refreshed), timeOf(last)
	if password != "" {
		u.Password = directory.NewPasswordHash(password)
	}
	if nt != "" {
		u.NTHash = directory.NTHash{Secret: authn.NewSecret(nt)}
	}
	if factor != "" {
		u.SecondFactor = authn.NewSecret(factor)
	}
	if codes != "" {
		if err := json.Unmarshal([]byte(codes), &u.RecoveryCodes); err != nil {
			return nil, err
		}
	}
	if groups != "[]" {
		if err := json.Unmarshal([]byte(groups), &pairs); err != nil {
			return nil, err
		}
		u.Groups = make([]authn.Group, len(pairs))
		for i, p := range pairs {
			u.Groups[i] = authn.Group{SID: authn.SID(p[0]), Name: p[1]}
		}
		slices.SortFunc(u.Groups, compareGroups)
	}
	if roles != "[]" {
		if err := json.Unmarshal([]byte(roles), &u.Roles); err != nil {
			return nil, err
		}
		slices.Sort(u.Roles)
	}
	return &u, nil
}

func compareGroups(a, b authn.Group) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(string(a.SID), string(b.SID)))
}

// eachRow calls f for each row of a query.
func eachRow(ctx context.Context, q querier, f func(scan func(...any) error) error, text string, args ...any) error {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err has told
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// exists makes an error of a change that met no row.
func (s *Store) exists(ctx context.Context, tx querier, id int64) error {
	var one int
	return tx.QueryRowContext(ctx, "SELECT 1 FROM users WHERE id = $1", id).Scan(&one)
}
