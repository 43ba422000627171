package kept

import (
	"encoding/binary"
	"testing"
	"time"
)

// Whatever is put into it, a cache stays small, and forgets what is old first.
func TestAttackHookCacheFlood(t *testing.T) {
	t.Parallel()
	c := NewCache[int](100)
	now := time.Unix(1e9, 0)
	name := func(i int) Digest { return c.Digest(binary.BigEndian.AppendUint64(nil, uint64(i))) }
	for i := range 50 {
		c.Put(name(i), i, now, now.Add(time.Hour))
	}
	for i := range 50 {
		c.Put(name(1000+i), i, now, now.Add(time.Second))
	}
	later := now.Add(time.Second)
	c.Put(name(2000), 7, later, later.Add(time.Hour))
	for i := range 50 {
		if v, ok := c.Get(name(i), later); !ok || v != i {
			t.Fatalf("%d was forgotten, though others were old", i)
		}
	}
	if _, ok := c.Get(name(1000), later); ok {
		t.Error("what is old is still there")
	}
	for i := range 10_000 {
		c.Put(name(5000+i), i, later, later.Add(time.Hour))
		if v, ok := c.Get(name(5000+i), later); !ok || v != i {
			t.Fatalf("%d is not there", i)
		}
	}
	if n := c.Len(); n > 100 {
		t.Errorf("%d values, want up to 100", n)
	}
	c.Put(name(1), 1, later, later)
	if NewCache[int](1).Digest(nil) == c.Digest(nil) {
		t.Error("two caches have the same digests")
	}
}
