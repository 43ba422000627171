package oidc

import (
	"crypto/sha256"
	"errors"
	"maps"
	"sync"
	"time"
)

const maxUsed = 100_000

var errMemoryFull = errors.New("too many were used in a short time")

// memory knows what was used. Unlike a cache it forgets nothing before its time:
// when it is full, it says so. The zero value is empty.
type memory struct {
	mu    sync.Mutex
	m     map[[sha256.Size]byte]time.Time
	swept time.Time
}

func (m *memory) use(digest [sha256.Size]byte, now, until time.Time) (fresh bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.m == nil {
		m.m = map[[sha256.Size]byte]time.Time{}
	}
	if len(m.m) >= maxUsed || now.Sub(m.swept) >= time.Minute {
		if now.Sub(m.swept) >= time.Second { // a flood does not make it sweep each time
			maps.DeleteFunc(m.m, func(_ [sha256.Size]byte, until time.Time) bool { return !now.Before(until) })
			m.swept = now
		}
	}
	if end, ok := m.m[digest]; ok && now.Before(end) {
		return false, nil
	}
	if len(m.m) >= maxUsed {
		return false, errMemoryFull
	}
	m.m[digest] = until
	return true, nil
}
