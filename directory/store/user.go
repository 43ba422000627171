package store

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// userColumns are read in the order of scanUser.
func (d *dialect) userColumns() string {
	return `u.id, u.version, u.realm, u.name, COALESCE(u.sid, ''), u.upn, u.dn, u.display_name, u.email, u.phone,
		u.password, u.nt_hash, u.local_admin, u.state, u.created, u.refreshed, u.last_login, ` + d.groupsOf + ", " + d.rolesOf
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
		groups, roles            string
		created, refreshed, last int64
		pairs                    [][2]string
	)
	if err := scan(&u.ID, &u.Version, &u.Realm, &u.Name, &u.SID, &u.UPN, &u.DN, &u.DisplayName, &u.Email, &u.Phone,
		&password, &nt, &u.LocalAdmin, &u.State, &created, &refreshed, &last, &groups, &roles); err != nil {
		return nil, err
	}
	u.Created, u.Refreshed, u.LastLogin = timeOf(created), timeOf(refreshed), timeOf(last)
	if password != "" {
		u.Password = directory.NewPasswordHash(password)
	}
	if nt != "" {
		u.NTHash = directory.NTHash{Secret: authn.NewSecret(nt)}
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

// maxPage bounds UserQuery.Limit and LoginQuery.Limit.
const maxPage = 10_000

func pageSize(limit int) int {
	if limit <= 0 {
		return 100
	}
	return min(limit, maxPage)
}

// conditions collects what a query demands, and its arguments.
type conditions struct {
	terms []string
	args  []any
}

// add adds a term with one argument, which stands where %s is.
func (c *conditions) add(term string, arg any) {
	c.args = append(c.args, arg)
	c.terms = append(c.terms, strings.ReplaceAll(term, "%s", "$"+strconv.Itoa(len(c.args))))
}

func (c *conditions) where() string {
	if len(c.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.terms, " AND ")
}

// Users returns a page of users in the order of their folded names, with groups
// and roles. The next page is that after the name of the last one; who was added
// or renamed meanwhile is in it if his name comes later.
func (s *Store) Users(ctx context.Context, q directory.UserQuery) ([]directory.User, error) {
	for _, text := range []string{q.After, q.Prefix, q.Realm} {
		if err := checkText("text asked for", text, maxText); err != nil {
			return nil, s.fail("users", err)
		}
	}
	var c conditions
	if q.After != "" {
		c.add("u.name_fold > %s", directory.FoldName(q.After))
	}
	if prefix := directory.FoldName(q.Prefix); prefix != "" {
		c.add("u.name_fold >= %s", prefix)
		c.add("u.name_fold < %s", prefix+"\U0010FFFF")
	}
	if q.Realm != "" {
		c.add("u.realm = %s", q.Realm)
	}
	if q.Domain {
		c.terms = append(c.terms, `replace(u.name_fold, '\', '') <> u.name_fold`)
	}
	if q.State != nil {
		c.add("u.state = %s", int64(*q.State))
	}
	limit := pageSize(q.Limit)
	c.args = append(c.args, limit)
	text := "SELECT " + s.d.userColumns() + " FROM users u" + c.where() + " ORDER BY u.name_fold LIMIT $" + strconv.Itoa(len(c.args))
	var users []directory.User
	err := s.reading(ctx, "users", func(ctx context.Context) error {
		users = make([]directory.User, 0, min(limit, 1000))
		return eachRow(ctx, s.read, func(scan func(...any) error) error {
			u, err := scanUser(scan)
			if err == nil {
				users = append(users, *u)
			}
			return err
		}, text, c.args...)
	})
	if err != nil {
		return nil, err
	}
	return users, nil
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
