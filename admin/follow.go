package admin

import (
	"context"
	"slices"
	"time"
)

const (
	followPage = 1000

	// followMark is after how long what has a smaller number than the newest login
	// is there, if it ever will be: a store waits for it for less.
	followMark = 10 * time.Second
)

// A Follower returns logins as they come, each once, the oldest first. NewFollower
// makes it. One goroutine at a time may use it.
type Follower struct {
	audit Audit
	q     LoginQuery
	begun bool

	// mark is the newest login of anybody at a time. What is asked for need not be
	// looked for again before it: else who follows somebody who rarely comes would
	// have all that came since read each time.
	mark   int64
	marked time.Time // zero: there is none
}

// NewFollower returns one of the logins that q asks for after q.NewerID, or, if that
// is zero, of those from the first call of Next on. What q says of pages and times
// does not count.
func NewFollower(a Audit, q LoginQuery) *Follower {
	q.After, q.Since, q.Until, q.Limit = "", time.Time{}, time.Time{}, followPage
	return &Follower{audit: a, q: q}
}

// Next returns what came, which may be nothing, and whether there is more already.
func (f *Follower) Next(ctx context.Context) (logins []Login, more bool, err error) {
	now := time.Now()
	if f.marked.IsZero() {
		newest, err := f.audit.Logins(ctx, LoginQuery{Limit: 1})
		if err != nil {
			return nil, false, err
		}
		f.mark, f.marked = 0, now
		if len(newest.Logins) > 0 {
			f.mark = newest.Logins[0].ID
		}
	}
	if !f.begun && f.q.NewerID == 0 {
		f.q.NewerID = f.mark
	}
	f.begun = true
	page, err := f.audit.Logins(ctx, f.q)
	if err != nil {
		return nil, false, err
	}
	logins = page.Logins
	if f.q.NewerID == 0 { // there was none at all, so that all are new; the newest come first
		slices.Reverse(logins)
	}
	for i := range logins {
		f.q.NewerID = max(f.q.NewerID, logins[i].ID)
	}
	if more = len(logins) == f.q.Limit; !more && now.Sub(f.marked) >= followMark {
		f.q.NewerID, f.marked = max(f.q.NewerID, f.mark), time.Time{}
	}
	return logins, more, nil
}
