package admin

import (
	"context"
	"slices"
	"time"
)

const followPage = 1000

// A Follower returns logins as they come, each once, the oldest first. NewFollower
// makes it. One goroutine at a time may use it.
type Follower struct {
	audit Audit
	q     LoginQuery
	begun bool
}

// NewFollower returns one of the logins that q asks for after q.NewerID, or, if that
// is zero, of those from the first call of Next on. What q says of pages and times
// does not count.
func NewFollower(a Audit, q LoginQuery) *Follower {
	q.After, q.Since, q.Until, q.Limit = "", time.Time{}, time.Time{}, followPage
	return &Follower{audit: a, q: q}
}

// Next returns what came, which may be nothing, and whether there may be more
// already.
func (f *Follower) Next(ctx context.Context) (logins []Login, more bool, err error) {
	first := false
	if f.q.NewerID == 0 {
		newest, err := f.audit.Logins(ctx, LoginQuery{Limit: 1}) // whoever it is of
		if err != nil {
			return nil, false, err
		}
		// Where there was none at all, the first ones are behind no other.
		first = f.begun
		f.begun = true
		if len(newest.Logins) == 0 {
			return nil, false, nil
		}
		if id := newest.Logins[0].ID; !first {
			f.q.NewerID = id
		} else {
			defer func() { f.q.NewerID = max(f.q.NewerID, id) }()
		}
	}
	page, err := f.audit.Logins(ctx, f.q)
	if err != nil {
		return nil, false, err
	}
	logins = page.Logins
	if first {
		slices.Reverse(logins)
	}
	for i := range logins {
		f.q.NewerID = max(f.q.NewerID, logins[i].ID)
	}
	f.q.NewerID = max(f.q.NewerID, page.NewerID)
	return logins, page.NewerID > 0 || len(logins) == f.q.Limit, nil
}
