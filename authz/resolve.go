package authz

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/authn"
)

// A Resolver finds the SID of a group or user. Roles ask it where a name or a
// distinguished name was written and the caller's groups are known by SID only,
// as after Kerberos. It must be safe for concurrent use.
type Resolver interface {
	// ResolveSID returns the SID of the object with a distinguished name or a
	// name such as CORP\Payroll. It returns no SID and no error if there is no
	// such object, and an error that wraps authn.ErrUnavailable if it could not
	// find out.
	ResolveSID(ctx context.Context, name string) (authn.SID, error)
}

const (
	defaultLifetime  = 15 * time.Minute
	unknownLifetime  = time.Minute     // of "there is no such object"
	failureLifetime  = 5 * time.Second // of "could not find out"
	maxLookups       = 1024            // of names that no role has, but somebody asked for
	maxResolverCalls = 16              // at a time, for names in the table
	maxAskedCalls    = 4               // at a time, for names that callers choose
)

// A lookup is a name and what the Resolver said of it last. It is safe for
// concurrent use.
type lookup struct {
	ref    ref
	asked  bool // somebody asked for it: no role has it
	answer atomic.Pointer[answer]
	turn   chan struct{} // holds one token: who has it asks
}

type answer struct {
	sid     authn.SID // empty: there is no such object
	err     error
	expires time.Time
}

func newLookup(r ref) *lookup {
	l := &lookup{ref: r, turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	return l
}

func (l *lookup) fresh(now time.Time) *answer {
	if a := l.answer.Load(); a != nil && now.Before(a.expires) {
		return a
	}
	return nil
}

// resolve returns the SID, from memory if what is there is fresh.
func (rs *Roles) resolve(ctx context.Context, l *lookup) (authn.SID, error) {
	if a := l.fresh(rs.now()); a != nil {
		return a.sid, a.err
	}
	select { // one asks for all who want to know
	case <-l.turn:
	case <-ctx.Done():
		return "", unavailable(l.ref.text, ctx.Err())
	}
	defer func() { l.turn <- struct{}{} }()
	if a := l.fresh(rs.now()); a != nil {
		return a.sid, a.err
	}
	calls := rs.calls
	if l.asked {
		calls = rs.askedCalls
	}
	select {
	case calls <- struct{}{}:
	case <-ctx.Done():
		return "", unavailable(l.ref.text, ctx.Err())
	}
	sid, err := rs.resolver.ResolveSID(ctx, l.ref.text)
	<-calls
	a := &answer{sid: sid}
	switch {
	case err != nil && ctx.Err() != nil: // the caller went away, which says nothing about the name
		return "", unavailable(l.ref.text, err)
	case err != nil:
		a.sid, a.err, a.expires = "", unavailable(l.ref.text, err), rs.now().Add(failureLifetime)
	case sid == "":
		a.expires = rs.now().Add(min(unknownLifetime, rs.lifetime))
		rs.warnUnknown(ctx, l.ref.text, "the directory has no such group or user")
	default:
		a.expires = rs.now().Add(rs.lifetime)
	}
	l.answer.Store(a)
	return a.sid, a.err
}

// unavailable makes an error that wraps authn.ErrUnavailable.
func unavailable(name string, err error) error {
	return fmt.Errorf("authz: find the SID of %.200q: %w: %w", name, authn.ErrUnavailable, err)
}

// lookups is a bounded memory of lookups of names that no role has. It is safe
// for concurrent use.
type lookups struct {
	mu sync.Mutex
	m  map[string]*lookup
}

func (c *lookups) get(r ref, now time.Time) *lookup {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l, ok := c.m[r.key]; ok {
		return l
	}
	if len(c.m) >= maxLookups {
		c.makeRoom(now)
	}
	l := newLookup(r)
	l.asked = true
	if c.m == nil {
		c.m = map[string]*lookup{}
	}
	c.m[r.key] = l
	return l
}

// makeRoom drops what has expired or names nothing, or else anything.
func (c *lookups) makeRoom(now time.Time) {
	for k, l := range c.m {
		if a := l.answer.Load(); a == nil || a.sid == "" || !now.Before(a.expires) {
			delete(c.m, k)
		}
	}
	for k := range c.m {
		if len(c.m) < maxLookups {
			return
		}
		delete(c.m, k)
	}
}
