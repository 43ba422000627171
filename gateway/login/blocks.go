package login

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/directory"
)

// heedBlocks is how soon a block counts that another node made, if that is not heard
// of before.
const heedBlocks = time.Second

// addressKey begins the keys of addresses (directory.Block.Key).
const addressKey = "address "

// cachedBlocks remembers for a moment that an address is not blocked, which is
// asked with each ticket, as long as nobody makes a block. Users are not
// remembered: a guess of a password is judged by what the store says at the time.
// It is safe for concurrent use.
type cachedBlocks struct {
	throttle.Store
	version version

	mu   sync.RWMutex
	free map[string]unblocked
	made uint64 // counts blocks, so that no answer from before one is kept

	testOnlyNow func() time.Time
}

type unblocked struct {
	as    reading
	until time.Time // when that counts no more
}

var _ throttle.Store = (*cachedBlocks)(nil)

func (c *cachedBlocks) now() time.Time {
	if c.testOnlyNow != nil {
		return c.testOnlyNow()
	}
	return time.Now()
}

// BlockOf implements throttle.Store.
func (c *cachedBlocks) BlockOf(ctx context.Context, at time.Time, keys ...string) (*directory.Block, error) {
	if len(keys) != 1 || !strings.HasPrefix(keys[0], addressKey) {
		return c.Store.BlockOf(ctx, at, keys...)
	}
	now, as := c.now(), c.version.now()
	c.mu.RLock()
	free, ok := c.free[keys[0]]
	made := c.made
	c.mu.RUnlock()
	if ok && as.fits(free.as) && now.Before(free.until) {
		return nil, nil
	}
	b, err := c.Store.BlockOf(ctx, at, keys...)
	if err != nil || b != nil {
		return b, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made == made {
		if c.free == nil || len(c.free) >= maxCached {
			c.free = make(map[string]unblocked)
		}
		c.free[keys[0]] = unblocked{as, now.Add(heedBlocks)}
	}
	return nil, nil
}

// SetBlock implements throttle.Store.
func (c *cachedBlocks) SetBlock(ctx context.Context, b directory.Block) error {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.free, b.Key)
		c.made++
	}()
	return c.Store.SetBlock(ctx, b)
}
