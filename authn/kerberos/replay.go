package kerberos

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
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
	//
	// client is the account that logs in: its SID, or its name with realm where
	// the ticket has none. With it a cache can keep one account from taking the
	// room of all others.
	Add(ctx context.Context, client string, authenticator [sha256.Size]byte, until time.Time) (fresh bool, err error)
}

const (
	// DefaultReplayEntries is how many authenticators a MemoryReplayCache
	// remembers when its Max is zero. They are remembered for the skew, so that
	// this is room for 13,800 logins a second with five minutes. An entry takes
	// 62 bytes, a full cache 260 MB.
	DefaultReplayEntries = 1 << 22

	// replayShares is into how many shares the room is parted by default. It is
	// more than the machine accounts a user of a domain can make, which is ten
	// (ms-DS-MachineAccountQuota).
	replayShares = 16
)

// ErrReplayCacheFull means that there were more logins within the time an
// authenticator is remembered than the cache has room for, in total or for the
// client.
var ErrReplayCacheFull = errors.New("kerberos: replay cache is full (MemoryReplayCache.Max)")

var (
	errReplayShare  = fmt.Errorf("%w for this client, which logs in often: raise MemoryReplayCache.MaxPerClient, or keep its connections logged in (iwa.Authenticator.KerberosPerConnection)", ErrReplayCacheFull)
	errClockSetBack = errors.New("kerberos: the clock was set back, so what was used before is not known any more; restart the service once all clocks are right")
)

// MemoryReplayCache is the ReplayCache of one process. It is empty after a
// restart: who recorded a login in the minutes before, and kept the service
// from seeing another after, can repeat it once. The zero value is ready for
// use. It is safe for concurrent use and must not be copied.
type MemoryReplayCache struct {
	Max          int // entries; zero means DefaultReplayEntries
	MaxPerClient int // entries of one client; zero means a sixteenth of Max

	Logger *slog.Logger     // nil means slog.Default(); told when half is taken
	Now    func() time.Time // nil means time.Now

	mu      sync.Mutex
	seed    maphash.Seed
	seen    map[replayDigest]struct{}
	seconds map[int64][]replayEntry // what seen holds, by the last second it is remembered in
	clients map[uint64]int          // number of entries by hash of the client's name
	swept   int64                   // what was to be remembered until before then is forgotten
	warned  bool
}

// replayDigest is a digest cut to half, which nobody finds two inputs for.
type replayDigest [16]byte

// replayEntry has no pointers, so that the garbage collector does not look at
// millions of them.
type replayEntry struct {
	digest replayDigest
	client uint64
}

var _ ReplayCache = (*MemoryReplayCache)(nil)

// Add implements ReplayCache.
func (c *MemoryReplayCache) Add(_ context.Context, client string, digest [sha256.Size]byte, until time.Time) (bool, error) {
	now := time.Now
	if c.Now != nil {
		now = c.Now
	}
	return c.add(client, digest, until, now(), c.Logger)
}

func (c *MemoryReplayCache) add(client string, digest [sha256.Size]byte, until, now time.Time, log *slog.Logger) (bool, error) {
	fresh, taken, err := c.remember(client, replayDigest(digest[:]), until.Unix(), now.Unix())
	if taken > 0 {
		if log == nil {
			log = slog.Default()
		}
		log.Warn("replay cache is half full; when it is full, logins are refused",
			slog.Int("entries", taken), slog.Int("max", c.max()))
	}
	return fresh, err
}

func (c *MemoryReplayCache) max() int {
	if c.Max > 0 {
		return c.Max
	}
	return DefaultReplayEntries
}

func (c *MemoryReplayCache) maxPerClient() int {
	if c.MaxPerClient > 0 {
		return c.MaxPerClient
	}
	return max(1, c.max()/replayShares)
}

// remember does the work of Add. taken is how many entries there are if that
// is to be warned of, and zero otherwise.
func (c *MemoryReplayCache) remember(client string, digest replayDigest, until, now int64) (fresh bool, taken int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seed = maphash.MakeSeed()
		c.seen = map[replayDigest]struct{}{}
		c.seconds = map[int64][]replayEntry{}
		c.clients = map[uint64]int{}
	}
	c.sweep(now)
	if _, ok := c.seen[digest]; ok {
		return false, 0, nil
	}
	h := maphash.String(c.seed, client)
	switch {
	case until < c.swept:
		return false, 0, errClockSetBack
	case len(c.seen) >= c.max():
		return false, 0, ErrReplayCacheFull
	case c.clients[h] >= c.maxPerClient():
		return false, 0, errReplayShare
	}
	c.seen[digest] = struct{}{}
	c.seconds[until] = append(c.seconds[until], replayEntry{digest, h})
	c.clients[h]++
	if n := len(c.seen); n > c.max()/2 && n > 1 && !c.warned {
		c.warned, taken = true, n
	}
	return true, taken, nil
}

// sweep forgets what is too old to be accepted anyway, once for each second
// that passes. Each entry is looked at once, and there are no more seconds than
// an authenticator can be remembered for.
func (c *MemoryReplayCache) sweep(now int64) {
	if now <= c.swept {
		return
	}
	c.swept = now
	for second, entries := range c.seconds {
		if second >= now {
			continue
		}
		for _, e := range entries {
			delete(c.seen, e.digest)
			if c.clients[e.client]--; c.clients[e.client] == 0 {
				delete(c.clients, e.client)
			}
		}
		delete(c.seconds, second)
	}
	if len(c.seen) <= c.max()/4 {
		c.warned = false
	}
}
