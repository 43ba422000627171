package oidc

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

func TestAttackOIDCMemoryFlood(t *testing.T) {
	t.Parallel()
	var m memory
	now := time.Unix(1e9, 0)
	name := func(i int) (d [sha256.Size]byte) {
		binary.BigEndian.PutUint64(d[:], uint64(i))
		return d
	}
	use := func(i int, now time.Time, life time.Duration, want bool, wantErr error) {
		t.Helper()
		if fresh, err := m.use(name(i), now, now.Add(life)); fresh != want || !errors.Is(err, wantErr) {
			t.Fatalf("%d: %v, %v; want %v, %v", i, fresh, err, want, wantErr)
		}
	}
	use(0, now, time.Hour, true, nil)
	for i := 1; i < maxUsed; i++ {
		use(i, now, time.Minute, true, nil)
	}
	use(0, now, time.Hour, false, nil) // nothing was forgotten
	use(maxUsed, now, time.Hour, false, errMemoryFull)
	use(0, now, time.Hour, false, nil)
	if len(m.m) != maxUsed {
		t.Errorf("%d entries, want %d", len(m.m), maxUsed)
	}
	later := now.Add(time.Minute)
	use(maxUsed, later, time.Hour, true, nil)
	use(0, later, time.Hour, false, nil)
	if len(m.m) != 2 {
		t.Errorf("%d entries are left, want 2", len(m.m))
	}
	use(0, now.Add(time.Hour), time.Hour, true, nil)
}
