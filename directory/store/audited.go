package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/directory"
)

// auditedTime bounds a call of Audited. In SQLite nobody else writes meanwhile.
const auditedTime = time.Minute

// joined is a transaction that calls with a context take part in.
type joined struct {
	s      *Store
	tx     *sql.Tx
	over   atomic.Bool
	topics [topics]atomic.Bool // of which is to be told
	undo   []func()            // what callers have in memory
}

type joinedKey struct{}

// joined returns the transaction of a context, nil if it has none. After its end
// calls are on their own again.
func (s *Store) joined(ctx context.Context) *joined {
	if j, _ := ctx.Value(joinedKey{}).(*joined); j != nil && j.s == s && !j.over.Load() {
		return j
	}
	return nil
}

// apart is ctx for what must not be undone with others' work.
func apart(ctx context.Context) context.Context {
	return context.WithValue(ctx, joinedKey{}, (*joined)(nil))
}

// part runs f as a part of the transaction that is undone by itself if it fails,
// as it would be alone.
func (j *joined) part(ctx context.Context, f func() error) error {
	if _, err := j.tx.ExecContext(ctx, "SAVEPOINT part"); err != nil {
		return err
	}
	undo := len(j.undo)
	err := f()
	end := "RELEASE SAVEPOINT part"
	if err != nil {
		j.undoFrom(undo)
		end = "ROLLBACK TO SAVEPOINT part; " + end
	}
	// The time of f may be over, and that of the transaction not.
	for _, text := range strings.Split(end, "; ") {
		if _, e := j.tx.ExecContext(context.WithoutCancel(ctx), text); err == nil {
			err = e
		}
	}
	return err
}

// undoFrom makes what callers have as it was.
func (j *joined) undoFrom(n int) {
	for i := len(j.undo) - 1; i >= n; i-- {
		j.undo[i]()
	}
	j.undo = j.undo[:n]
}

// ifUndone has f called if the transaction of ctx does not end well. f takes back
// what a call has written into its arguments.
func (s *Store) ifUndone(ctx context.Context, f func()) {
	if j := s.joined(ctx); j != nil {
		j.undo = append(j.undo, f)
	}
}

// doError tells an error of do from those of the store.
type doError struct{ error }

func (e doError) Unwrap() error { return e.error }

// Audited calls do, and writes c in the transaction of what do writes by calls
// with the context that it gets: either all of it is kept, or nothing. Those calls
// also read what was written. c may be completed by do; its ID is set here, and
// Time if it is not.
//
// An error of do is returned as it is. do may be called again where the database
// undid all of it for others; what UpdateUser and others write into their arguments
// is undone as well. All of it may take a minute. Only one goroutine at a time may
// use the context; after the end of Audited it is one without a transaction.
//
// Two things take no part. What is done with another context in SQLite, where one
// writes at a time, waits for the end in vain. And Replays, who must not forget.
func (s *Store) Audited(ctx context.Context, c *directory.Change, do func(ctx context.Context) error) error {
	err := s.together(ctx, func(ctx context.Context, j *joined) error {
		if err := do(ctx); err != nil {
			return doError{err}
		}
		return s.addChange(ctx, j, c)
	})
	if own := (doError{}); errors.As(err, &own) {
		return own.error
	}
	return s.fail("audited", err)
}

// together runs f in a transaction that calls with its context take part in, or as
// a part of the one that ctx has.
func (s *Store) together(ctx context.Context, f func(ctx context.Context, j *joined) error) error {
	if j := s.joined(ctx); j != nil {
		return j.part(ctx, func() error { return f(ctx, j) })
	}
	ctx, cancel := context.WithTimeout(ctx, auditedTime)
	defer cancel()
	var j *joined
	err := s.tx(ctx, lasts, func(ctx context.Context, tx *sql.Tx) error {
		j = &joined{s: s, tx: tx}
		err := f(context.WithValue(ctx, joinedKey{}, j), j)
		j.over.Store(true)
		if err != nil {
			j.undoFrom(0)
		}
		return err
	})
	if err != nil && j != nil {
		j.undoFrom(0)
	}
	if j != nil {
		for t := range j.topics {
			if j.topics[t].Load() { // also after an error: the end of the transaction may not be known
				s.changed(ctx, Topic(t))
			}
		}
	}
	return err
}

// maxChange bounds each of Change.Before and After. A user with all groups that he
// may have fits.
const maxChange = 16 << 20

func (s *Store) addChange(ctx context.Context, j *joined, c *directory.Change) error {
	for _, text := range []string{c.Before, c.After} {
		if err := checkText("record of a change", text, maxChange); err != nil {
			return err
		}
	}
	if c.Action == "" {
		return invalid("a change without action")
	}
	at := c.Time
	if at.IsZero() {
		at = s.now()
	}
	actor, target, action := clean(c.Actor, maxText), clean(c.Target, maxText), clean(c.Action, maxName)
	area, _, _ := strings.Cut(action, ".")
	var id int64
	if err := j.tx.QueryRowContext(ctx, `INSERT INTO changes
		(at, ref, actor, actor_fold, peer, action, area, target, target_fold, before, after)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id`,
		micros(at), clean(c.Ref, maxName), actor, directory.FoldName(actor), clean(c.Peer, maxName), action, area,
		target, directory.FoldName(target), c.Before, c.After).Scan(&id); err != nil {
		return err
	}
	before := *c
	c.ID, c.Time = id, timeOf(micros(at))
	j.undo = append(j.undo, func() { c.ID, c.Time = before.ID, before.Time })
	return nil
}

// Changes returns what administrators did, the newest first. The next page is that
// before time and ID of the last one.
func (s *Store) Changes(ctx context.Context, q directory.ChangeQuery) ([]directory.Change, error) {
	var c conditions
	if q.Actor != "" {
		c.add("actor_fold = %s", directory.FoldName(clean(q.Actor, maxText)))
	}
	if q.Target != "" {
		c.add("target_fold = %s", directory.FoldName(clean(q.Target, maxText)))
	}
	if action := clean(q.Action, maxName); strings.HasSuffix(action, ".") {
		area, _, _ := strings.Cut(action, ".")
		c.add("area = %s", area)
		if action != area+"." {
			c.terms = append(c.terms, c.prefix("action", action))
		}
	} else if action != "" {
		c.add("action = %s", action)
	}
	c.times(q.Before, q.BeforeID, q.Since)
	text := "SELECT id, at, ref, actor, peer, action, target, before, after FROM changes" + c.where() +
		" ORDER BY at DESC, id DESC LIMIT " + c.limit(q.Limit)
	var all []directory.Change
	err := s.reading(ctx, "changes", func(ctx context.Context) error {
		all = nil
		return eachRow(ctx, s.reader(ctx), func(scan func(...any) error) error {
			var n directory.Change
			var at int64
			if err := scan(&n.ID, &at, &n.Ref, &n.Actor, &n.Peer, &n.Action, &n.Target, &n.Before, &n.After); err != nil {
				return err
			}
			n.Time = timeOf(at)
			all = append(all, n)
			return nil
		}, text, s.once(c.args)...)
	})
	return all, err
}
