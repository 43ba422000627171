package admin

import (
	"context"
	"fmt"
	"sync"
)

// Slots bound how many of something each administrator has open at a time, so that
// who took over a session of one gets no more of the store than he. They are safe
// for concurrent use.
type Slots struct {
	Most int    // for each administrator
	Of   string // what they are for, in the plural: exports

	mu    sync.Mutex
	taken map[string]int // by the name of a Caller
}

// Take takes a slot of the caller in ctx, until free is called, once. The error is
// one of TooMany if he has none left.
func (s *Slots) Take(ctx context.Context) (free func(), err error) {
	who := ""
	if c := FromContext(ctx); c != nil {
		who = c.Name
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[who] >= s.Most {
		return nil, &Error{Kind: TooMany, Text: fmt.Sprintf("you have %d %s open, and may have no more at a time", s.Most, s.Of), Remedy: "end one, or wait until one is over"}
	}
	if s.taken == nil {
		s.taken = map[string]int{}
	}
	s.taken[who]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.taken[who]--; s.taken[who] == 0 {
			delete(s.taken, who)
		}
	}, nil
}
