package login

import (
	"context"
	"sync"
	"time"

	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/directory"
)

// cachedSessions remembers rows of sessions for a moment, so that each picture of
// a page does not cost a look into the store. What ends here ends at once; what
// ends at another node, or by a command, may go on for as long as rows count. It
// is safe for concurrent use.
type cachedSessions struct {
	session.Store

	mu    sync.RWMutex
	known map[directory.SessionID]cachedSession
	ended uint64 // counts what ended, so that no row that was read before is kept

	testOnlyNow func() time.Time
}

type cachedSession struct {
	row   *directory.Session
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
	now := c.now()
	c.mu.RLock()
	k, ok := c.known[id]
	ended := c.ended
	c.mu.RUnlock()
	if ok && now.Before(k.until) {
		row := *k.row // its Data is read only
		return &row, nil
	}
	row, err := c.Store.Session(ctx, id)
	if err != nil {
		c.drop(id)
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
	c.known[id] = cachedSession{&kept, now.Add(reread)}
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
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.known = nil
		c.ended++
	}()
	return c.Store.DeleteSessionsOf(ctx, user)
}

func (c *cachedSessions) drop(id directory.SessionID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, id)
	c.ended++
}
