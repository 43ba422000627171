package hook

import (
	"encoding/binary"
	"testing"
	"time"
)

// Whatever is put into it, a cache stays small, and forgets what is old first.
func TestAttackHookCacheFlood(t *testing.T) {
	t.Parallel()
	c := newCache[int](100)
	now := time.Unix(1e9, 0)
	name := func(i int) digest { return c.digest(binary.BigEndian.AppendUint64(nil, uint64(i))) }
	for i := range 50 {
		c.put(name(i), i, now, now.Add(time.Hour))
	}
	for i := range 50 {
		c.put(name(1000+i), i, now, now.Add(time.Second))
	}
	later := now.Add(time.Second)
	c.put(name(2000), 7, later, later.Add(time.Hour))
	for i := range 50 {
		if v, ok := c.get(name(i), later); !ok || v != i {
			t.Fatalf("%d was forgotten, though others were old", i)
		}
	}
	if _, ok := c.get(name(1000), later); ok {
		t.Error("what is old is still there")
	}
	for i := range 10_000 {
		c.put(name(5000+i), i, later, later.Add(time.Hour))
		if v, ok := c.get(name(5000+i), later); !ok || v != i {
			t.Fatalf("%d is not there", i)
		}
	}
	if n := c.size(); n > 100 {
		t.Errorf("%d values, want up to 100", n)
	}
	c.put(name(1), 1, later, later)
	if newCache[int](1).digest(nil) == c.digest(nil) {
		t.Error("two caches have the same digests")
	}
}
