package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"

	"github.com/soapward/soapward/directory"
)

const (
	// userPart is how many users are looked at, in the order of their names, for
	// those that a search is for: where they are many, a page is among them.
	userPart = 2000

	// userParts is how many are looked at where other filters leave few.
	userParts = 30_000
)

// Users returns a page of users in the order of their folded names, with groups
// and roles. The next page is that after the name of the last one; who was added
// or renamed meanwhile is in it if his name comes later.
func (s *Store) Users(ctx context.Context, q directory.UserQuery) ([]directory.User, error) {
	for _, text := range []string{q.After, q.Prefix, q.Search, q.Realm, q.Role} {
		if err := checkText("text asked for", text, maxText); err != nil {
			return nil, s.fail("users", err)
		}
	}
	limit := pageSize(q.Limit)
	var users []directory.User
	err := s.reading(ctx, "users", func(ctx context.Context) (err error) {
		users = make([]directory.User, 0, min(limit, 1000))
		if search := directory.FoldName(q.Search); search != "" {
			users, err = s.searchUsers(ctx, q, search, limit, users)
			return err
		}
		l := listed(q, params{})
		users, err = s.readUsers(ctx, l.text(s.d.userColumns(), "")+" LIMIT "+l.limit(limit), l.args, users)
		return err
	})
	if err != nil {
		return nil, err
	}
	return users, nil
}

func (s *Store) readUsers(ctx context.Context, text string, args []any, users []directory.User) ([]directory.User, error) {
	err := eachRow(ctx, s.reader(ctx), func(scan func(...any) error) error {
		u, err := scanUser(scan)
		if err == nil {
			users = append(users, *u)
		}
		return err
	}, text, s.once(args)...)
	return users, err
}

// A userList is what a query says but for Search, as conditions on users u. Those
// with a role come from the table of roles, which has them in the order of names.
type userList struct {
	conditions
	from, name string
}

// listed adds the arguments to p.
func listed(q directory.UserQuery, p params) *userList {
	l := &userList{conditions: conditions{params: p}, from: "users u", name: "u.name_fold"}
	if q.Role != "" {
		l.from, l.name = "user_roles r JOIN users u ON u.id = r.user_id", "r.name_fold"
		l.add("r.role = %s", q.Role)
	}
	if q.After != "" {
		l.add(l.name+" > %s", directory.FoldName(q.After))
	}
	if prefix := directory.FoldName(q.Prefix); prefix != "" {
		l.terms = append(l.terms, l.prefix(l.name, prefix))
	}
	if q.Realm != "" {
		l.add("u.realm = %s", q.Realm)
	}
	if q.Domain {
		l.terms = append(l.terms, `replace(u.name_fold, '\', '') <> u.name_fold`)
	}
	if q.State != nil {
		l.terms = append(l.terms, "u.state = "+strconv.Itoa(int(*q.State)))
		if *q.State != directory.Active {
			l.terms = append(l.terms, "u.state <> 0") // as the index says it
		}
	}
	if q.Local {
		l.terms = append(l.terms, "u.local_admin")
	}
	return l
}

// text is a query in the order of names. order, if not empty, is another way to say
// that order, which no index has.
func (l *userList) text(columns, order string) string {
	if order == "" {
		order = l.name
	}
	return "SELECT " + columns + " FROM " + l.from + l.where() + " ORDER BY " + order
}

// searchUsers returns those whose name, account, display name or e-mail begins with
// a folded text. Either they are many: then a page of them is among the next users
// in the order of names. Or they are few enough for all to be found by what they
// begin with, and sorted.
func (s *Store) searchUsers(ctx context.Context, q directory.UserQuery, search string, limit int, users []directory.User) ([]directory.User, error) {
	most := userPart
	if q.Role != "" || q.Local || q.State != nil && *q.State != directory.Active {
		most = userParts
	}
	var ids []int64
	for size, seen := userPart, 0; seen < most; size *= 2 {
		edge, more, err := s.userEdge(ctx, q, size)
		if err != nil {
			return nil, err
		}
		found, err := s.usersAmong(ctx, q, search, size, limit-len(ids))
		if err != nil {
			return nil, err
		}
		if ids = append(ids, found...); len(ids) == limit || !more {
			return s.usersByID(ctx, ids, users)
		}
		seen += size
		q.After = edge
	}
	found, err := s.usersBeginning(ctx, q, search, limit-len(ids))
	if err != nil {
		return nil, err
	}
	return s.usersByID(ctx, append(ids, found...), users)
}

// userEdge returns the name of the last of the next so many users, and whether
// there are as many.
func (s *Store) userEdge(ctx context.Context, q directory.UserQuery, size int) (name string, more bool, err error) {
	l := listed(q, params{})
	text := l.text(l.name, "") + " LIMIT 1 OFFSET " + l.list(size-1)
	err = s.reader(ctx).QueryRowContext(ctx, text, s.once(l.args)...).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return name, err == nil, err
}

// searched are the columns of a search, and what their indexes are for.
var searched = []struct{ column, indexed string }{
	{"account_fold", "account_fold <> ''"}, {"display_fold", "display_fold <> ''"}, {"email_fold", "email_fold <> ''"},
}

// usersAmong returns who of the next so many users a search is for.
func (s *Store) usersAmong(ctx context.Context, q directory.UserQuery, search string, size, limit int) (ids []int64, err error) {
	l := listed(q, params{})
	part := l.text("u.id, u.name_fold, u.account_fold, u.display_fold, u.email_fold", "") + " LIMIT " + l.list(size)
	terms := []string{l.prefix("name_fold", search)}
	for _, f := range searched {
		terms = append(terms, l.prefix(f.column, search))
	}
	return s.readIDs(ctx, "SELECT id FROM ("+part+") AS part WHERE "+strings.Join(terms, " OR ")+" ORDER BY name_fold LIMIT "+l.list(limit), l.args)
}

// usersBeginning returns the first of all that a search is for.
func (s *Store) usersBeginning(ctx context.Context, q directory.UserQuery, search string, limit int) ([]int64, error) {
	var all params
	var parts []string
	add := func(l *userList, order string) {
		part := l.text("u.id, u.name_fold", order) + " LIMIT " + l.list(limit)
		parts = append(parts, "SELECT * FROM ("+part+") AS part"+strconv.Itoa(len(parts)))
		all = l.params
	}
	l := listed(q, params{})
	l.terms = append(l.terms, l.prefix(l.name, search))
	add(l, "")
	for _, f := range searched {
		l := listed(q, all)
		l.terms = append(l.terms, "u."+f.indexed, l.prefix("u."+f.column, search))
		add(l, l.name+" || ''")
	}
	return s.readIDs(ctx, "SELECT id FROM ("+strings.Join(parts, " UNION ")+") AS parts ORDER BY name_fold LIMIT "+all.list(limit), all.args)
}

func (s *Store) readIDs(ctx context.Context, text string, args []any) (ids []int64, err error) {
	err = eachRow(ctx, s.reader(ctx), func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		ids = append(ids, id)
		return err
	}, text, s.once(args)...)
	return ids, err
}

func (s *Store) usersByID(ctx context.Context, ids []int64, users []directory.User) ([]directory.User, error) {
	if len(ids) == 0 {
		return users, nil
	}
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = strconv.FormatInt(id, 10)
	}
	return s.readUsers(ctx, "SELECT "+s.d.userColumns()+" FROM users u WHERE u.id IN ("+strings.Join(list, ", ")+") ORDER BY u.name_fold", nil, users)
}
