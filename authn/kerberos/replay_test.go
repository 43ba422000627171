package kerberos

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

func digestOf(i int) [sha256.Size]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
}

func TestMemoryReplayCache(t *testing.T) {
	t.Parallel()
	now := fixedNow
	c := &MemoryReplayCache{Max: 2000, Now: func() time.Time { return now }}
	add := func(i int) bool {
		t.Helper()
		fresh, err := c.Add(t.Context(), digestOf(i), now.Add(10*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		return fresh
	}
	// One login a second for an hour: everything within ten minutes is known,
	// nothing older is kept.
	for i := range 3600 {
		if !add(i) {
			t.Fatalf("%d is new and called old", i)
		}
		for _, back := range []int{0, 1, 300, 600} {
			if i >= back && add(i-back) {
				t.Fatalf("%d was forgotten after %d s", i-back, back)
			}
		}
		now = now.Add(time.Second)
	}
	if n := len(c.seen); n > 602 {
		t.Errorf("%d entries kept for 600 s of one a second", n)
	}
	if n := len(c.queue); n > 2*602 {
		t.Errorf("queue of %d", n)
	}
	now = now.Add(time.Hour)
	if !add(1) || len(c.seen) != 1 || len(c.queue)-c.head != 1 {
		t.Errorf("%d entries and a queue of %d after an hour of rest", len(c.seen), len(c.queue)-c.head)
	}
}

func TestMemoryReplayCacheFull(t *testing.T) {
	t.Parallel()
	now := fixedNow
	c := &MemoryReplayCache{Max: 2, Now: func() time.Time { return now }}
	for i := range 2 {
		if fresh, err := c.Add(t.Context(), digestOf(i), now.Add(time.Minute)); !fresh || err != nil {
			t.Fatal(fresh, err)
		}
	}
	if fresh, err := c.Add(t.Context(), digestOf(2), now.Add(time.Minute)); fresh || !errors.Is(err, ErrReplayCacheFull) {
		t.Errorf("full: %v, %v", fresh, err)
	}
	if fresh, err := c.Add(t.Context(), digestOf(0), now.Add(time.Minute)); fresh || err != nil {
		t.Errorf("a known one when full: %v, %v", fresh, err)
	}
	now = now.Add(2 * time.Minute)
	if fresh, err := c.Add(t.Context(), digestOf(2), now.Add(time.Minute)); !fresh || err != nil {
		t.Errorf("room again: %v, %v", fresh, err)
	}
}

func TestMemoryReplayCacheZero(t *testing.T) {
	t.Parallel()
	var c MemoryReplayCache
	until := time.Now().Add(time.Minute)
	if fresh, err := c.Add(t.Context(), digestOf(0), until); !fresh || err != nil {
		t.Errorf("first: %v, %v", fresh, err)
	}
	if fresh, err := c.Add(t.Context(), digestOf(0), until); fresh || err != nil {
		t.Errorf("second: %v, %v", fresh, err)
	}
}

func BenchmarkMemoryReplayCache(b *testing.B) {
	now := fixedNow
	c := &MemoryReplayCache{Now: func() time.Time { return now }}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%1000 == 0 {
			now = now.Add(time.Second)
		}
		if fresh, err := c.Add(b.Context(), digestOf(i), now.Add(time.Minute)); !fresh || err != nil {
			b.Fatal(fresh, err)
		}
	}
}
