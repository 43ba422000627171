package kerberos

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// A ReplayCache remembers the authenticators that were used to log in, so that
// none is used twice. Nodes that share a service account share one. It must be
// safe for concurrent use.
type ReplayCache interface {
	// Add remembers an authenticator until the given time and reports whether
	// it is new. Of several calls with the same digest exactly one is told
	// true. An error means that the cache cannot tell; the login is refused.
	Add(ctx context.Context, authenticator [sha256.Size]byte, until time.Time) (fresh bool, err error)
}

// DefaultReplayEntries is how many logins a MemoryReplayCache remembers when
// its Max is zero. One takes about 100 bytes.
const DefaultReplayEntries = 1 << 20

// ErrReplayCacheFull means that there were more logins within the time an
// authenticator is remembered than the cache has room for.
var ErrReplayCacheFull = errors.New("kerberos: replay cache is full")

// MemoryReplayCache is the ReplayCache of one process. The zero value is ready
// for use. It is safe for concurrent use.
type MemoryReplayCache struct {
	Max int              // entries; zero means DefaultReplayEntries
	Now func() time.Time // nil means time.Now

	mu    sync.Mutex
	seen  map[[sha256.Size]byte]struct{}
	queue []replayEntry // what seen holds, oldest first
	head  int           // start of the queue
}

type replayEntry struct {
	digest [sha256.Size]byte
	until  int64
}

var _ ReplayCache = (*MemoryReplayCache)(nil)

// Add implements ReplayCache.
func (c *MemoryReplayCache) Add(_ context.Context, digest [sha256.Size]byte, until time.Time) (bool, error) {
	now := time.Now
	if c.Now != nil {
		now = c.Now
	}
	return c.add(digest, until, now())
}

func (c *MemoryReplayCache) add(digest [sha256.Size]byte, until, now time.Time) (bool, error) {
	limit := c.Max
	if limit <= 0 {
		limit = DefaultReplayEntries
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire(now.Unix())
	if _, ok := c.seen[digest]; ok {
		return false, nil
	}
	if len(c.seen) >= limit {
		return false, ErrReplayCacheFull
	}
	if c.seen == nil {
		c.seen = make(map[[sha256.Size]byte]struct{})
	}
	c.seen[digest] = struct{}{}
	c.queue = append(c.queue, replayEntry{digest, until.Unix()})
	return true, nil
}

// expire forgets what is too old to be accepted anyway. An acceptor asks for
// times that only grow, so the queue is in order; an entry out of order is
// remembered longer than needed, never shorter.
func (c *MemoryReplayCache) expire(now int64) {
	for c.head < len(c.queue) && c.queue[c.head].until < now {
		delete(c.seen, c.queue[c.head].digest)
		c.head++
	}
	switch {
	case c.head == len(c.queue):
		c.queue, c.head = c.queue[:0], 0
	case c.head > len(c.queue)/2:
		n := copy(c.queue, c.queue[c.head:])
		c.queue, c.head = c.queue[:n], 0
	}
}
