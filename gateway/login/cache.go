package login

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

// version is of what somebody remembers: see store.Store.Version. Nil is that of
// what nobody else writes.
type version func() (n uint64, ok bool)

// reading is a version at a time, which is taken before what is remembered is read.
type reading struct {
	n  uint64
	ok bool
}

func (v version) now() reading {
	if v == nil {
		return reading{0, true}
	}
	n, ok := v()
	return reading{n, ok}
}

// fits reports whether what was read then still is so.
func (r reading) fits(then reading) bool { return r.ok && then.ok && r.n == then.n }

// of is the version of a topic of a store.
func of(s *store.Store, t store.Topic) version {
	return func() (uint64, bool) { return s.Version(t) }
}

// cachedSessions remembers rows of sessions for a moment, so that each picture of
// a page does not cost a look into the store. What ends, here or elsewhere, is
// forgotten with all others at once. It is safe for concurrent use.
type cachedSessions struct {
	session.Store
	version version

	mu    sync.RWMutex
	known map[directory.SessionID]cachedSession
	ended uint64 // counts what ended, so that no row that was read before is kept

	testOnlyNow func() time.Time
}

type cachedSession struct {
	row   *directory.Session
	as    reading
	until time.Time
}

func (c *cachedSessions) now() time.Time {
	if c.testOnlyNow != nil {
		return c.testOnlyNow()
	}
	return time.Now()
}

// Session implements session.Store.
func (c *cachedSessions) Session(ctx context.Context, id directory.SessionID) (*directory.Session, error) {
	now, as := c.now(), c.version.now()
	c.mu.RLock()
	k, ok := c.known[id]
	ended := c.ended
	c.mu.RUnlock()
	if ok && as.fits(k.as) && now.Before(k.until) {
		row := *k.row // its Data is read only
		return &row, nil
	}
	row, err := c.Store.Session(ctx, id)
	if err != nil {
		if ok { // else whoever makes cookies up would keep rows from being remembered
			c.drop(id)
		}
		return nil, err
	}
	kept := *row
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != ended {
		return row, nil
	}
	if c.known == nil || len(c.known) >= maxCached {
		c.known = make(map[directory.SessionID]cachedSession)
	}
	c.known[id] = cachedSession{&kept, as, now.Add(reread)}
	return row, nil
}

// TouchSession implements session.Store.
func (c *cachedSessions) TouchSession(ctx context.Context, id directory.SessionID, seen time.Time) error {
	defer c.drop(id)
	return c.Store.TouchSession(ctx, id, seen)
}

// DeleteSession implements session.Store.
func (c *cachedSessions) DeleteSession(ctx context.Context, id directory.SessionID) error {
	defer c.drop(id)
	return c.Store.DeleteSession(ctx, id)
}

// DeleteSessionsOf implements session.Store.
func (c *cachedSessions) DeleteSessionsOf(ctx context.Context, user string) (int, error) {
	defer c.forget()
	return c.Store.DeleteSessionsOf(ctx, user)
}

// ClaimGrant implements session.GrantStore. Whoever claims reads the row again.
func (c *cachedSessions) ClaimGrant(ctx context.Context, id directory.SessionID, now, until time.Time) (bool, error) {
	g, err := c.grants()
	if err != nil {
		return false, err
	}
	defer c.drop(id)
	return g.ClaimGrant(ctx, id, now, until)
}

// PutGrant implements session.GrantStore.
func (c *cachedSessions) PutGrant(ctx context.Context, id directory.SessionID, grant *directory.Grant, data []byte) error {
	g, err := c.grants()
	if err != nil {
		return err
	}
	defer c.drop(id)
	return g.PutGrant(ctx, id, grant, data)
}

// DeleteSessionsOfGrant implements session.GrantStore.
func (c *cachedSessions) DeleteSessionsOfGrant(ctx context.Context, provider, subject, sessionID string) (int, error) {
	g, err := c.grants()
	if err != nil {
		return 0, err
	}
	defer c.forget()
	return g.DeleteSessionsOfGrant(ctx, provider, subject, sessionID)
}

var _ session.GrantStore = (*cachedSessions)(nil)

func (c *cachedSessions) grants() (session.GrantStore, error) {
	g, ok := c.Store.(session.GrantStore)
	if !ok {
		return nil, errors.New("login: the store keeps no grants")
	}
	return g, nil
}

// forget drops all.
func (c *cachedSessions) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = nil
	c.ended++
}

func (c *cachedSessions) drop(id directory.SessionID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, id)
	c.ended++
}
