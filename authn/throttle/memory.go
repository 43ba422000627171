package throttle

import (
	"container/list"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// defaultMemory is how many keys a Memory has. With short names it takes some
// 30 MB then.
const defaultMemory = 100_000

// Memory is a Store of one process. It is safe for concurrent use. NewMemory
// makes it.
//
// It keeps the failures of a bounded number of keys, and makes room for a new one
// by forgetting the one that failed longest ago. To have it forget the failures
// of one user takes as many failures of others as it has keys, each of which
// counts for an address. Blocks are apart and are never forgotten before they
// end: if there are that many, the error wraps authn.ErrUnavailable, and a
// Limiter lets nobody in until there is room.
type Memory struct {
	limit int

	mu       sync.Mutex
	failures map[string]*list.Element // of *failures
	order    list.List                // the one that failed longest ago first
	blocks   map[string]directory.Block
	swept    time.Time
}

var _ Store = (*Memory)(nil)

// failures are those of one key, in ascending order and not more than a rule
// may count.
type failures struct {
	key string
	at  []time.Time
}

// NewMemory returns a Memory for so many keys. Zero means 100,000.
func NewMemory(keys int) *Memory {
	if keys <= 0 {
		keys = defaultMemory
	}
	return &Memory{limit: keys, failures: map[string]*list.Element{}, blocks: map[string]directory.Block{}}
}

// AddFailure implements Store.
func (m *Memory) AddFailure(_ context.Context, at, since time.Time, keys ...string) ([]int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := make([]int, len(keys))
	for i, key := range keys {
		counts[i] = m.add(key, at, since)
	}
	return counts, nil
}

func (m *Memory) add(key string, at, since time.Time) int {
	place := m.failures[key]
	if place == nil {
		for first := m.order.Front(); first != nil && (m.order.Len() >= m.limit || old(first, since)); first = m.order.Front() {
			m.remove(first)
		}
		place = m.order.PushBack(&failures{key: key})
		m.failures[key] = place
	}
	m.order.MoveToBack(place)
	f := place.Value.(*failures)
	begin := 0
	for begin < len(f.at) && !f.at[begin].After(since) {
		begin++
	}
	f.at = slices.Delete(f.at, 0, begin)
	if len(f.at) > MaxFailures { // more than the last rule counts
		f.at = slices.Delete(f.at, 0, 1)
	}
	i := len(f.at) // a failure that was owed comes late
	for i > 0 && f.at[i-1].After(at) {
		i--
	}
	f.at = slices.Insert(f.at, i, at)
	return len(f.at)
}

// old reports whether all failures of a key are too old to count.
func old(place *list.Element, since time.Time) bool {
	at := place.Value.(*failures).at
	return !at[len(at)-1].After(since)
}

func (m *Memory) remove(place *list.Element) {
	delete(m.failures, place.Value.(*failures).key)
	m.order.Remove(place)
}

// SetBlock implements Store.
func (m *Memory) SetBlock(_ context.Context, b directory.Block) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if other, ok := m.blocks[b.Key]; ok {
		if !b.Until.After(other.Until) {
			return nil
		}
	} else if len(m.blocks) >= m.limit {
		m.sweep(b.From)
		if len(m.blocks) >= m.limit {
			return fmt.Errorf("throttle: %d blocks at a time, no room for another one: %w", m.limit, authn.ErrUnavailable)
		}
	}
	m.blocks[b.Key] = b
	return nil
}

// sweep forgets blocks that ended. When there is no room it runs for each block
// at most once a second.
func (m *Memory) sweep(now time.Time) {
	if now.Sub(m.swept).Abs() < time.Second {
		return
	}
	m.swept = now
	for key, b := range m.blocks {
		if !b.Until.After(now) {
			delete(m.blocks, key)
		}
	}
}

// BlockOf implements Store.
func (m *Memory) BlockOf(_ context.Context, at time.Time, keys ...string) (*directory.Block, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var longest *directory.Block
	for _, key := range keys {
		b, ok := m.blocks[key]
		switch {
		case !ok:
		case !b.Until.After(at):
			delete(m.blocks, key)
		case longest == nil || b.Until.After(longest.Until):
			longest = &b
		}
	}
	return longest, nil
}

// Blocks returns those that hold at a time, in the order of their keys.
func (m *Memory) Blocks(_ context.Context, at time.Time) ([]directory.Block, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var bs []directory.Block
	for _, b := range m.blocks {
		if b.Until.After(at) {
			bs = append(bs, b)
		}
	}
	slices.SortFunc(bs, func(a, b directory.Block) int { return strings.Compare(a.Key, b.Key) })
	return bs, nil
}

// Unblock ends the block of a key and forgets its failures. It reports whether
// there was a block.
func (m *Memory) Unblock(_ context.Context, key string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.blocks[key]
	delete(m.blocks, key)
	m.forget(key)
	return ok, nil
}

// ForgetFailures implements Store.
func (m *Memory) ForgetFailures(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(key)
	return nil
}

func (m *Memory) forget(key string) {
	if place := m.failures[key]; place != nil {
		m.remove(place)
	}
}
