package ldap

import (
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
)

// maxCached bounds the groups that are remembered. A group takes about 300
// bytes.
const maxCached = 50_000

// A group is what the directory says of one, or of any other object that a name
// or SID may be of.
type group struct {
	dn      string
	asked   string // key that it was found by, if that is not one of the others
	sid     authn.SID
	name    string   // DOMAIN\name
	counts  bool     // as a group: no distribution list
	parents []string // DNs of the groups that it is in, as far as memberOf or a search tells
}

// A cache remembers groups by their folded keys. It is safe for concurrent use.
type cache struct {
	life time.Duration
	now  func() time.Time

	mu    sync.Mutex
	items map[string]cached
}

// cached is a group, or nil for one that the directory does not have.
type cached struct {
	group *group
	until time.Time
}

func newCache(life time.Duration, now func() time.Time) *cache {
	return &cache{life: life, now: now, items: map[string]cached{}}
}

func (c *cache) get(key string) (g *group, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.items[key]
	if !ok || !c.now().Before(e.until) {
		return nil, false
	}
	return e.group, true
}

func (c *cache) put(g *group, keys ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.items)+len(keys) > maxCached {
		clear(c.items) // rare, and the directory has all of them still
	}
	for _, key := range keys {
		c.items[key] = cached{g, c.now().Add(c.life)}
	}
}
