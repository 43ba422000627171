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
// safe for concurrent use. Package kerberostest tests implementations.
type ReplayCache interface {
	// Add remembers an authenticator until the given time, that included, and
	// reports whether it is new. Of all calls with the same digest, at whichever
	// node, one is told true, and from then on every node says false. Digests
	// alone count: the client and the time may differ. A digest may be cut to 16
	// bytes.
	//
	// After the time a cache may forget, or may take its time to. What it may
	// have forgotten is not new: where until lies before that point, as it does
	// once a clock was set back, the answer is false or an error. The time
	// follows from the client's clock, and a node whose own is behind takes the
	// authenticator for as much longer; a cache of several nodes therefore keeps
	// it for a minute more, or for as much as their clocks can differ.
	//
	// An error means that the cache cannot tell, and goes with false. It refuses
	// the login with status 503, and the log has its text. That is the answer
	// also when the cache is full, when what it is made of cannot be reached,
	// and when ctx ends first, which it does after five seconds at the latest.
	// Whether the authenticator is remembered after an error does not matter: a
	// client that tries again makes another.
	//
	// client is the account that logs in: its SID, or its name with realm where
	// the ticket has none. With it a cache can keep one account from taking the
	// room of all others.
	Add(ctx context.Context, client string, authenticator [sha256.Size]byte, until time.Time) (fresh bool, err error)
}

// replayTimeout is how long a login waits for Mechanism.Replay.
const replayTimeout = 5 * time.Second

const (
	// DefaultReplayEntries is how many authenticators a MemoryReplayCache
	// remembers when its Max is zero. They are remembered for the skew, so that
	// this is room for 13,800 logins a second with five minutes. An entry takes
	// 61 bytes, a full cache 255 MB.
	DefaultReplayEntries = 1 << 22

	// replayShares is into how many shares the room is parted by default. It is
	// more than the machine accounts a user of a domain can make, which is ten
	// (ms-DS-MachineAccountQuota).
	replayShares = 16

	// replaySweep is how many entries whose time is over a call forgets. More
	// than one, so that they get fewer with each call, and few, so that no call
	// takes long.
	replaySweep = 32

	// replayShareSweep is that number for a client that has used up its share,
	// if some of what counts against it may be over.
	replayShareSweep = 1024
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
// from seeing another after, can repeat it once. No call takes long, whatever
// the number of entries and however many of them end at the same time. The
// zero value is ready for use. It is safe for concurrent use and must not be
// copied.
type MemoryReplayCache struct {
	Max          int // entries; zero means DefaultReplayEntries
	MaxPerClient int // entries of one client; zero means a sixteenth of Max

	Logger *slog.Logger     // nil means slog.Default(); told when half is taken
	Now    func() time.Time // nil means time.Now

	mu      sync.Mutex
	seed    maphash.Seed
	seen    map[replayDigest]struct{} // grows piece by piece (Go 1.24 and later)
	ends    replaySeconds             // what seen holds, by when it ends
	clients map[uint64]int            // number of entries by hash of the client's name
	latest  int64                     // the latest time at a call: what ended before may be forgotten
	warned  bool
}

// replayDigest is a digest cut to half, which nobody finds two inputs for.
type replayDigest [16]byte

var _ ReplayCache = (*MemoryReplayCache)(nil)

// Add implements ReplayCache. It does not wait, so ctx does not matter.
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
		c.clients = map[uint64]int{}
	}
	c.latest = max(c.latest, now)
	c.sweep(replaySweep)
	if _, ok := c.seen[digest]; ok {
		return false, 0, nil
	}
	h := maphash.String(c.seed, client)
	switch {
	case until < c.latest:
		return false, 0, errClockSetBack
	case len(c.seen) >= c.max():
		// sweep would have made room if there were entries to forget.
		return false, 0, ErrReplayCacheFull
	case c.clients[h] >= c.maxPerClient() && !c.mayHaveShare(h):
		return false, 0, errReplayShare
	}
	c.seen[digest] = struct{}{}
	c.ends.add(until, replayEntry{digest, h})
	c.clients[h]++
	if n := len(c.seen); n > c.max()/2 && n > 1 && !c.warned {
		c.warned, taken = true, n
	}
	return true, taken, nil
}

// sweep forgets up to limit entries that are too old to be accepted anyway. It
// reports whether some are left.
func (c *MemoryReplayCache) sweep(limit int) (more bool) {
	for range limit {
		e, ok := c.ends.takeBefore(c.latest)
		if !ok {
			break
		}
		delete(c.seen, e.digest)
		if c.clients[e.client]--; c.clients[e.client] == 0 {
			delete(c.clients, e.client)
		}
	}
	if len(c.seen) <= c.max()/4 {
		c.warned = false
	}
	return c.ends.anyBefore(c.latest)
}

// mayHaveShare decides about a client that seems to have used up its share.
// While entries wait to be forgotten, nobody knows how many of them are this
// client's, and it is let in: a share is about fairness, Max bounds the whole.
// Of a million that wait, it gets a thousandth above its share by that.
func (c *MemoryReplayCache) mayHaveShare(client uint64) bool {
	more := c.sweep(replayShareSweep)
	return more || c.clients[client] < c.maxPerClient()
}
