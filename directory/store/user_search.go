package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/soapward/soapward/directory"
)

const (
	// userPart is how many users are looked at, in the order of their names, for
	// those that a search is for: where they are many, a page is among them.
	userPart = 1000

	// userParts is how many are looked at where other filters leave few.
	userParts = 30_000

	// userFew is up to how many that a search is for are read and sorted in one realm,
	// before the next userWalk of it are looked at for a page of more.
	userFew  = 2000
	userWalk = 7000

	// userTime is after how long UsersPart looks at no more.
	userTime = 10 * time.Millisecond
)

// Users returns a page of users in the order of their folded names, with groups
// and roles. The next page is that after the name of the last one; who was added
// or renamed meanwhile is in it if his name comes later. Where few users are all
// that a query says, it looks at as many as it takes: programs that show pages use
// UsersPart.
func (s *Store) Users(ctx context.Context, q directory.UserQuery) ([]directory.User, error) {
	users, _, err := s.usersUntil(ctx, q, func() bool { return false })
	return users, err
}

// UsersPart is Users for a page that comes quickly: it looks at users for some
// milliseconds, and returns those that fit. The query goes on after next, also where
// there are fewer than Limit, or none. It is empty if there are no more.
func (s *Store) UsersPart(ctx context.Context, q directory.UserQuery) (part []directory.User, next string, err error) {
	began := time.Now()
	return s.usersUntil(ctx, q, func() bool { return time.Since(began) > userTime })
}

func (s *Store) usersUntil(ctx context.Context, q directory.UserQuery, enough func() bool) (users []directory.User, next string, err error) {
	for _, text := range []string{q.After, q.Prefix, q.Search, q.Realm, q.Role} {
		if err := checkText("text asked for", text, maxText); err != nil {
			return nil, "", s.fail("users", err)
		}
	}
	limit := pageSize(q.Limit)
	err = s.reading(ctx, "users", func(ctx context.Context) (err error) {
		users, next = make([]directory.User, 0, min(limit, 1000)), ""
		search := directory.FoldName(q.Search)
		if search != "" || q.Role != "" && (q.Realm != "" || q.State != nil || q.Local || q.Domain) {
			users, next, err = s.searchUsers(ctx, &userSearch{UserQuery: q, text: search}, limit, users, enough)
			return err
		}
		l := listed(q)
		users, err = s.readUsers(ctx, l.text(s.d.userColumns())+" LIMIT "+l.limit(limit), l.args, users)
		if len(users) == limit {
			next = users[limit-1].Name
		}
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return users, next, nil
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

func listed(q directory.UserQuery) *userList {
	l := &userList{from: "users u", name: "u.name_fold"}
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
		l.terms = append(l.terms, ofDomain("u.name_fold"))
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

// ofDomain demands that a name has a domain.
func ofDomain(column string) string { return "replace(" + column + `, '\', '') <> ` + column }

// text is a query in the order of names.
func (l *userList) text(columns string) string {
	return "SELECT " + columns + " FROM " + l.from + l.where() + " ORDER BY " + l.name
}

// A userSearch is a query, and what it searches for.
type userSearch struct {
	directory.UserQuery
	text string // folded; empty for all

	// only is the realm, if there is one: empty for users who are of none.
	only *string
}

func (q *userSearch) listed() *userList {
	l := listed(q.UserQuery)
	if q.only != nil && *q.only == "" {
		l.add("u.realm = %s", "")
	}
	return l
}

// walked returns those that are looked at, in the order of names, for those that
// fit: all with a role, or else those that all but the text is true of. What remains
// to be true of them usersAmong sees to.
func (q *userSearch) walked() *userList {
	if q.Role == "" {
		return q.listed()
	}
	return listed(directory.UserQuery{Role: q.Role, After: q.After, Prefix: q.Prefix})
}

const walkedColumns = "u.name_fold, u.account_fold, u.display_fold, u.email_fold, u.realm, u.state, u.local_admin"

// of returns the search in one realm.
func (q userSearch) of(realm string) *userSearch {
	q.Realm, q.only = realm, &realm
	return &q
}

// searchUsers returns those whose name, account, display name or e-mail begins with
// a folded text. Either they are many: then a page of them is among the next users
// in the order of names. Or they are few enough for all to be found by what they
// begin with, and sorted. next is as in UsersPart.
func (s *Store) searchUsers(ctx context.Context, q *userSearch, limit int, users []directory.User, enough func() bool) (all []directory.User, next string, err error) {
	most := userPart
	switch {
	case q.Role != "":
		most = math.MaxInt
	case q.Local || q.State != nil && *q.State != directory.Active:
		most = userParts
	}
	found, how, err := s.walkUsers(ctx, q, limit, most, enough)
	if err != nil {
		return nil, "", err
	}
	switch {
	case how == walkBroken:
		next = q.After
	case how == walkEnded:
		rest, err := s.usersBeginning(ctx, q, limit-len(found))
		if err != nil {
			return nil, "", err
		}
		found = append(found, rest...)
	}
	if len(found) == limit {
		next = found[limit-1]
	}
	all, err = s.usersNow(ctx, found, users)
	return all, next, err
}

// How a walk ended.
type walkEnd int

const (
	walkDone   walkEnd = iota // there are enough, or no more
	walkEnded                 // after as many as were to be looked at
	walkBroken                // after it took long enough
)

// walkUsers looks at the next users in the order of names, about so many, for those
// that a search is for. Unless it is done, the search is then that in the rest.
func (s *Store) walkUsers(ctx context.Context, q *userSearch, limit, most int, enough func() bool) (found []string, end walkEnd, err error) {
	largest := 2 * userPart
	if q.Role != "" { // each is looked up in the table of users
		largest = userPart
	}
	for size, seen := userPart, 0; seen < most; size = min(2*size, largest) {
		edge, more, err := s.userEdge(ctx, q, size)
		if err != nil {
			return nil, walkDone, err
		}
		among, err := s.usersAmong(ctx, q, size, limit-len(found))
		if err != nil {
			return nil, walkDone, err
		}
		if found = append(found, among...); len(found) == limit || !more {
			return found, walkDone, nil
		}
		seen += size
		if q.After = edge; enough() {
			return found, walkBroken, nil
		}
	}
	return found, walkEnded, nil
}

// userEdge returns the name of the last of the next so many users, and whether
// there are as many.
func (s *Store) userEdge(ctx context.Context, q *userSearch, size int) (name string, more bool, err error) {
	l := q.walked()
	if q.Role != "" {
		l.from = "user_roles r" // the index has all
	}
	text := l.text(l.name) + " LIMIT 1 OFFSET " + l.list(size-1)
	err = s.reader(ctx).QueryRowContext(ctx, text, s.once(l.args)...).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return name, err == nil, err
}

// usersAmong returns who of the next so many users a search is for, by folded names,
// as those that follow do.
func (s *Store) usersAmong(ctx context.Context, q *userSearch, size, limit int) ([]string, error) {
	l := q.walked()
	part := l.text(walkedColumns) + " LIMIT " + l.list(size)
	fit := []string{"true"}
	if q.text != "" {
		var terms []string
		for _, column := range []string{"name_fold", "account_fold"} {
			terms = append(terms, l.prefix(column, q.text))
		}
		for _, column := range searchedColumns {
			terms = append(terms, l.prefix(column, clean(q.text, maxSearched)))
		}
		fit = append(fit, "("+strings.Join(terms, " OR ")+")")
	}
	if q.Role != "" { // see walked
		if q.Realm != "" {
			fit = append(fit, "realm = "+l.list(q.Realm))
		}
		if q.Domain {
			fit = append(fit, ofDomain("name_fold"))
		}
		if q.State != nil {
			fit = append(fit, "state = "+strconv.Itoa(int(*q.State)))
		}
		if q.Local {
			fit = append(fit, "local_admin")
		}
	}
	return s.readFound(ctx, "SELECT name_fold FROM ("+part+") AS part WHERE "+strings.Join(fit, " AND ")+" ORDER BY name_fold LIMIT "+l.list(limit), l.args)
}

// searchedColumns are those that are not in the order of names.
var searchedColumns = []string{"display_fold", "email_fold"}

// usersBeginning returns the first of all that a search is for.
func (s *Store) usersBeginning(ctx context.Context, q *userSearch, limit int) ([]string, error) {
	found, err := s.usersNamed(ctx, q, q.text, limit)
	if err != nil {
		return nil, err
	}
	domains, err := s.domainsWith(ctx, q.After, q.text)
	if err != nil {
		return nil, err
	}
	accounts := 0
	for _, domain := range domains { // in the order of names, as who is in them
		more, err := s.usersNamed(ctx, q, domain+q.text, limit-accounts)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
		if accounts += len(more); accounts == limit {
			break
		}
	}
	realms := []string{q.Realm}
	if q.Realm == "" {
		if realms, err = s.realms(ctx); err != nil {
			return nil, err
		}
	}
	for _, realm := range realms {
		for _, column := range searchedColumns {
			more, err := s.usersBy(ctx, q.of(realm), column, limit)
			if err != nil {
				return nil, err
			}
			found = append(found, more...)
		}
	}
	slices.Sort(found)
	found = slices.Compact(found)
	return found[:min(len(found), limit)], nil
}

// usersBy returns the first users of a realm with a column that begins as a search
// says. Few are read and sorted. Many are among the next users in the order of
// names, unless they all come late in it.
func (s *Store) usersBy(ctx context.Context, q *userSearch, column string, limit int) ([]string, error) {
	found, all, err := s.usersSorted(ctx, q, column, limit, userFew)
	if err != nil || all {
		return found, err
	}
	found, how, err := s.walkUsers(ctx, q, limit, userWalk, func() bool { return false })
	if err != nil || how == walkDone {
		return found, err
	}
	rest, _, err := s.usersSorted(ctx, q, column, limit-len(found), 0)
	return append(found, rest...), err
}

// usersSorted reads all that there are by an index, which has all that is asked
// for, and returns the first of them in the order of names. If there are more than
// most, unless that is zero, it returns nothing that is of use.
func (s *Store) usersSorted(ctx context.Context, q *userSearch, column string, limit, most int) (found []string, all bool, err error) {
	l := q.listed()
	l.terms = append(l.terms, "u."+column+" <> ''", l.prefix("u."+column, clean(q.text, maxSearched))) // as the index says it
	end := " LIMIT " + s.d.noLimit + " OFFSET 0"                                                       // in the order of names, they could be the last of millions
	if most > 0 {
		end = " ORDER BY u." + column + " LIMIT " + l.list(most+1)
	}
	n := 0
	err = eachRow(ctx, s.reader(ctx), func(scan func(...any) error) error {
		var name string
		err := scan(&name, &n)
		found = append(found, name)
		return err
	}, "WITH part AS (SELECT "+l.name+" AS name_fold FROM "+l.from+l.where()+end+") SELECT name_fold, (SELECT COUNT(*) FROM part) FROM part ORDER BY name_fold LIMIT "+l.list(limit),
		s.once(l.args)...)
	return found, most == 0 || n <= most, err
}

// realms returns those that users are of, from one to the next by the index.
func (s *Store) realms(ctx context.Context) (all []string, err error) {
	return s.readFound(ctx, `WITH RECURSIVE r (realm) AS (SELECT MIN(realm) FROM users
		UNION ALL SELECT (SELECT MIN(realm) FROM users WHERE realm > r.realm) FROM r WHERE r.realm IS NOT NULL)
		SELECT realm FROM r WHERE realm IS NOT NULL`, nil)
}

// usersNamed returns the first whose names begin with something.
func (s *Store) usersNamed(ctx context.Context, q *userSearch, prefix string, limit int) ([]string, error) {
	l := q.listed()
	l.terms = append(l.terms, l.prefix(l.name, prefix))
	return s.readFound(ctx, l.text(l.name)+" LIMIT "+l.list(limit), l.args)
}

// domainsWith returns the domains, each with its backslash, that have accounts which
// begin with something, from that of a name on. It goes from one to the next by the
// index: domains are few.
func (s *Store) domainsWith(ctx context.Context, after, account string) (domains []string, err error) {
	var c conditions
	domain, _, ok := strings.Cut(directory.FoldName(after), `\`)
	if ok {
		domain += `\`
	}
	from := c.list(domain)
	with := "u.name_fold >= domain || " + c.list(account)
	if end := prefixEnd(account); end != "" {
		with += " AND u.name_fold < domain || " + c.list(end)
	} else {
		with += " AND u.name_fold < substr(domain, 1, length(domain) - 1) || ']'" // which follows the backslash
	}
	err = eachRow(ctx, s.reader(ctx), func(scan func(...any) error) error {
		var domain string
		err := scan(&domain)
		domains = append(domains, domain)
		return err
	}, "WITH RECURSIVE d (domain) AS (SELECT MIN("+s.d.domainOf+") FROM users WHERE account_fold <> '' AND "+s.d.domainOf+" >= "+from+
		" UNION ALL SELECT (SELECT MIN("+s.d.domainOf+") FROM users WHERE account_fold <> '' AND "+s.d.domainOf+" > d.domain) FROM d WHERE d.domain IS NOT NULL)"+
		" SELECT domain FROM d WHERE domain IS NOT NULL AND EXISTS (SELECT 1 FROM users u WHERE "+with+") ORDER BY domain", s.once(c.args)...)
	return domains, err
}

func (s *Store) readFound(ctx context.Context, text string, args []any) (names []string, err error) {
	err = eachRow(ctx, s.reader(ctx), func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		names = append(names, name)
		return err
	}, text, s.once(args)...)
	return names, err
}

// usersNow reads users by their folded names.
func (s *Store) usersNow(ctx context.Context, names []string, users []directory.User) ([]directory.User, error) {
	for part := range slices.Chunk(names, 1000) { // databases bound how many arguments there are
		var p params
		var err error
		text := "SELECT " + s.d.userColumns() + " FROM users u WHERE u.name_fold IN (" + p.list(anys(nil, part)...) + ") ORDER BY u.name_fold"
		if users, err = s.readUsers(ctx, text, p.args, users); err != nil {
			return nil, err
		}
	}
	return users, nil
}
