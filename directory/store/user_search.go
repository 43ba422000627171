package store

import (
	"context"
	"strconv"

	"github.com/soapward/soapward/directory"
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
	var c conditions
	s.userConditions(&c, q)
	if search := directory.FoldName(q.Search); search != "" {
		c.terms = append(c.terms, "("+c.prefix("u.name_fold", search)+" OR "+c.prefix("u.account_fold", search)+" OR "+
			c.prefix("u.display_fold", search)+" OR "+c.prefix("u.email_fold", search)+")")
	}
	limit := pageSize(q.Limit)
	text := "SELECT " + s.d.userColumns() + " FROM users u" + c.where() + " ORDER BY u.name_fold LIMIT " + c.limit(limit)
	var users []directory.User
	err := s.reading(ctx, "users", func(ctx context.Context) error {
		users = make([]directory.User, 0, min(limit, 1000))
		return eachRow(ctx, s.reader(ctx), func(scan func(...any) error) error {
			u, err := scanUser(scan)
			if err == nil {
				users = append(users, *u)
			}
			return err
		}, text, s.once(c.args)...)
	})
	if err != nil {
		return nil, err
	}
	return users, nil
}

// userConditions are those of a query but for Search.
func (s *Store) userConditions(c *conditions, q directory.UserQuery) {
	if q.After != "" {
		c.add("u.name_fold > %s", directory.FoldName(q.After))
	}
	if prefix := directory.FoldName(q.Prefix); prefix != "" {
		c.terms = append(c.terms, c.prefix("u.name_fold", prefix))
	}
	if q.Realm != "" {
		c.add("u.realm = %s", q.Realm)
	}
	if q.Domain {
		c.terms = append(c.terms, `replace(u.name_fold, '\', '') <> u.name_fold`)
	}
	if q.State != nil {
		// In words that say so to a partial index.
		c.terms = append(c.terms, "u.state = "+strconv.Itoa(int(*q.State)))
		if *q.State != 0 {
			c.terms = append(c.terms, "u.state <> 0")
		}
	}
	if q.Role != "" {
		c.add("EXISTS (SELECT 1 FROM user_roles r WHERE r.user_id = u.id AND r.role = %s)", q.Role)
	}
	if q.Local {
		c.terms = append(c.terms, "u.local_admin")
	}
}
