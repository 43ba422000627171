package kept

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

// A Digest is of what somebody sent, with a key that this process alone has: the
// memory of a cache does not help to guess at passwords.
type Digest [sha256.Size]byte

// A Cache remembers a bounded number of values for a time. Make one with NewCache.
// It is safe for concurrent use.
type Cache[V any] struct {
	key [32]byte
	max int

	mu sync.Mutex
	m  map[Digest]cached[V]
}

type cached[V any] struct {
	value   V
	expires time.Time
}

// NewCache returns one for up to size values.
func NewCache[V any](size int) *Cache[V] {
	c := &Cache[V]{max: size, m: map[Digest]cached[V]{}}
	_, _ = rand.Read(c.key[:]) // never fails (crypto/rand)
	return c
}

// Digest returns by what a value is remembered.
func (c *Cache[V]) Digest(sent []byte) (d Digest) {
	h := hmac.New(sha256.New, c.key[:])
	h.Write(sent)
	h.Sum(d[:0])
	return d
}

// Get returns what is remembered.
func (c *Cache[V]) Get(d Digest, now time.Time) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.m[d]
	if !ok || !now.Before(e.expires) {
		return v, false
	}
	return e.value, true
}

// Put remembers v until it expires, or until there are too many.
func (c *Cache[V]) Put(d Digest, v V, now, expires time.Time) {
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

// Len is how many values there are.
func (c *Cache[V]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.m)
}
