package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

const (
	// loginPart is how many logins of the one index that is used are looked at for
	// what else a query says. Where all of them are wanted, it grows to loginParts.
	loginPart  = 1000
	loginParts = 50_000

	// partOfPage is how many of them LoginsPart looks at between two looks at the
	// clock. They may be anywhere on the disk.
	partOfPage = 2000

	// partTime is after how long LoginsPart looks at no more.
	partTime = 10 * time.Millisecond

	// followPatience is how long a login that is followed waits for one whose
	// number is less and that is not there yet.
	followPatience = 5 * time.Second
)

// A loginFilter is a column that must have a value.
type loginFilter struct{ column, value string }

// loginFilters are what a query says, in the order of how few logins they usually
// leave.
func loginFilters(q directory.LoginQuery) []loginFilter {
	var all []loginFilter
	for _, f := range []loginFilter{
		{"ref", clean(q.Ref, maxName)},
		{"user_fold", directory.FoldName(clean(q.User, maxText))},
		{"peer", clean(q.Peer, maxName)},
		{"reason", clean(q.Reason, maxName)},
		{"outcome", clean(string(q.Outcome), maxName)},
		{"mechanism", clean(q.Mechanism, maxName)},
	} {
		if f.value != "" {
			all = append(all, f)
		}
	}
	if q.User != "" && directory.FoldName(clean(q.User, maxText)) == "" {
		all = append(all, loginFilter{"user_fold", ""})
	}
	return all
}

// A loginRange is logins by one index: those of a filter, or all. They are in the
// order of time.
type loginRange struct {
	filter   *loginFilter
	before   int64 // time and id of the first one that is not in, from the newest on
	beforeID int64
	since    int64 // time and id of the last one that is
	sinceID  int64
}

func rangeOf(q directory.LoginQuery) loginRange {
	r := loginRange{before: math.MaxInt64, since: math.MinInt64, sinceID: math.MinInt64}
	if !q.Before.IsZero() {
		r.before, r.beforeID = micros(q.Before), q.BeforeID // no ID is zero
	}
	if !q.Since.IsZero() {
		r.since = micros(q.Since)
	}
	return r
}

// where adds the range to c, and order is how it is read. Both name all columns of
// one index, by which no other one serves: a database would take that of times for
// somebody who is frequent on the whole, and read millions where he is not.
func (r *loginRange) where(c *conditions) (order string) {
	if r.filter == nil {
		c.terms = append(c.terms, "(at, id) < ("+c.list(r.before, r.beforeID)+")", "(at, id) >= ("+c.list(r.since, r.sinceID)+")")
		return " ORDER BY at DESC, id DESC"
	}
	columns := "(" + r.filter.column + ", at, id)"
	c.terms = append(c.terms, columns+" < ("+c.list(r.filter.value, r.before, r.beforeID)+")",
		columns+" >= ("+c.list(r.filter.value, r.since, r.sinceID)+")")
	return " ORDER BY " + r.filter.column + " DESC, at DESC, id DESC"
}

// searchLogins returns a page, and how to go on, nil at the end. It looks at a part
// at least, and then at as many as it takes, at most so many at once, or until there
// was enough of it.
func (s *Store) searchLogins(ctx context.Context, q directory.LoginQuery, most int, enough func() bool) (all []directory.Login, next *directory.LoginQuery, err error) {
	filters, limit := loginFilters(q), pageSize(q.Limit)
	if q.NewerID > 0 {
		return s.newerLogins(ctx, q, filters, enough)
	}
	r := rangeOf(q)
	if len(filters) == 1 {
		r.filter = &filters[0]
	}
	if len(filters) > 1 {
		if r.filter, err = s.rarest(ctx, r, filters); err != nil {
			return nil, nil, err
		}
	}
	for size := loginPart; ; size = min(2*size, most) {
		whole, edge := r, false
		if len(filters) > 1 { // not all that are read fit
			if edge, err = s.cut(ctx, &r, size); err != nil {
				return nil, nil, err
			}
		}
		found, err := s.loginsIn(ctx, r, filters, limit-len(all))
		if err != nil {
			return nil, nil, err
		}
		all = append(all, found...)
		whole.before, whole.beforeID = r.since, r.sinceID
		switch {
		case len(all) == limit:
			last := all[limit-1]
			q.Before, q.BeforeID = last.Time, last.ID
			return all, &q, nil
		case !edge:
			return all, nil, nil
		case enough():
			q.Before, q.BeforeID = timeOf(whole.before), whole.beforeID
			return all, &q, nil
		}
		r = whole
	}
}

// rarest returns a filter that leaves few logins if there is one, else the first
// one.
func (s *Store) rarest(ctx context.Context, r loginRange, filters []loginFilter) (*loginFilter, error) {
	best, least := 0, loginPart
	for i := range filters {
		r.filter = &filters[i]
		var c conditions
		order := r.where(&c)
		var n int
		if err := s.reader(ctx).QueryRowContext(ctx, "SELECT COUNT(*) FROM (SELECT 1 FROM logins"+c.where()+order+" LIMIT "+c.list(least)+") AS part",
			s.once(c.args)...).Scan(&n); err != nil {
			return nil, err
		}
		if n < least {
			best, least = i, n
		}
		if least == 0 {
			break
		}
	}
	return &filters[best], nil
}

// cut ends a range after so many, unless it has no more.
func (s *Store) cut(ctx context.Context, r *loginRange, size int) (bool, error) {
	var c conditions
	order := r.where(&c)
	err := s.reader(ctx).QueryRowContext(ctx, "SELECT at, id FROM logins"+c.where()+order+" LIMIT 1 OFFSET "+c.list(size-1), s.once(c.args)...).
		Scan(&r.since, &r.sinceID)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// loginsIn returns those of a range that fit all filters.
func (s *Store) loginsIn(ctx context.Context, r loginRange, filters []loginFilter, limit int) ([]directory.Login, error) {
	var c conditions
	order := r.where(&c)
	for i := range filters {
		if &filters[i] != r.filter {
			c.add("+"+filters[i].column+" = %s", filters[i].value)
		}
	}
	if s.turn == nil {
		for i, term := range c.terms {
			c.terms[i] = strings.TrimPrefix(term, "+") // which has SQLite not use an index
		}
	}
	return s.readLogins(ctx, c.where()+order+" LIMIT "+c.list(limit), c.args)
}

// newerLogins returns those whose ID is greater, the oldest first. With PostgreSQL
// a number may be seen before one that is less: what was given the number before has
// not ended. Those after a gap wait for it for a moment, so that nobody who follows
// misses one.
func (s *Store) newerLogins(ctx context.Context, q directory.LoginQuery, filters []loginFilter, enough func() bool) (all []directory.Login, next *directory.LoginQuery, err error) {
	limit := pageSize(q.Limit)
	for {
		last, more, err := s.settled(ctx, q.NewerID)
		if err != nil || last == q.NewerID {
			return all, nil, err
		}
		var c conditions
		c.add("id > %s", q.NewerID)
		c.add("id <= %s", last)
		for _, f := range filters {
			c.add("+"+f.column+" = %s", f.value)
		}
		if !q.Since.IsZero() {
			c.add("+at >= %s", micros(q.Since))
		}
		if s.turn == nil {
			for i, term := range c.terms {
				c.terms[i] = strings.TrimPrefix(term, "+")
			}
		}
		found, err := s.readLogins(ctx, c.where()+" ORDER BY id LIMIT "+c.list(limit-len(all)), c.args)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, found...)
		if q.NewerID = last; len(all) == limit {
			q.NewerID = all[limit-1].ID
			return all, &q, nil
		}
		if !more {
			return all, nil, nil
		}
		if enough() {
			return all, &q, nil
		}
	}
}

// settled returns up to which ID all logins after one are there, and whether there
// may be more.
func (s *Store) settled(ctx context.Context, after int64) (last int64, more bool, err error) {
	last, n := after, 0
	waiting := micros(s.now().Add(-followPatience))
	open := false
	err = eachRow(ctx, s.reader(ctx), func(scan func(...any) error) error {
		var id, at int64
		if err := scan(&id, &at); err != nil {
			return err
		}
		if s.turn == nil && id != last+1 && at > waiting {
			open = true
		}
		if !open {
			last, n = id, n+1
		}
		return nil
	}, "SELECT id, at FROM logins WHERE id > $1 ORDER BY id LIMIT $2", s.once([]any{after, loginPart})...)
	return last, n == loginPart, err
}

func (s *Store) readLogins(ctx context.Context, rest string, args []any) (all []directory.Login, err error) {
	err = eachRow(ctx, s.reader(ctx), func(scan func(...any) error) error {
		var l directory.Login
		var at int64
		var sid, outcome, reason string
		if err := scan(&l.ID, &at, &l.Ref, &l.Realm, &l.User, &sid, &l.Mechanism, &l.Peer, &l.UserAgent, &outcome, &reason, &l.Detail); err != nil {
			return err
		}
		l.Time, l.SID, l.Outcome, l.Reason = timeOf(at), authn.SID(sid), directory.Outcome(outcome), authn.Reason(reason)
		all = append(all, l)
		return nil
	}, "SELECT id, at, ref, realm, user_name, sid, mechanism, peer, user_agent, outcome, reason, detail FROM logins"+rest, s.once(args)...)
	return all, err
}
