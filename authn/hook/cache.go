package hook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

// digest is of what somebody sent, with a key that this process alone has: the
// memory of a cache does not help to guess at passwords.
type digest [sha256.Size]byte

// cache remembers a bounded number of values for a time. Make one with newCache.
// It is safe for concurrent use.
type cache[V any] struct {
	key [32]byte
	max int

	mu sync.Mutex
	m  map[digest]cached[V]
}

type cached[V any] struct {
	value   V
	expires time.Time
}

func newCache[V any](size int) *cache[V] {
	c := &cache[V]{max: size, m: map[digest]cached[V]{}}
	_, _ = rand.Read(c.key[:]) // never fails (crypto/rand)
	return c
}

func (c *cache[V]) digest(sent []byte) (d digest) {
	h := hmac.New(sha256.New, c.key[:])
	h.Write(sent)
	h.Sum(d[:0])
	return d
}

func (c *cache[V]) get(d digest, now time.Time) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.m[d]
	if !ok || !now.Before(e.expires) {
		return v, false
	}
	return e.value, true
}

func (c *cache[V]) put(d digest, v V, now, expires time.Time) {
	if !now.Before(expires) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.m[d]; !ok && len(c.m) >= c.max {
		for k, e := range c.m {
			if !now.Before(e.expires) {
				delete(c.m, k)
			}
		}
		for k := range c.m { // in no order, which nobody can foresee
			if len(c.m) < c.max-c.max/8 {
				break
			}
			delete(c.m, k)
		}
	}
	c.m[d] = cached[V]{v, expires}
}

// size is how many values there are.
func (c *cache[V]) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.m)
}
