package throttle

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// TestAttackConcurrentGuesses: guesses that come at the same time are no more
// than the rules say.
func TestAttackConcurrentGuesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.authority.wait = func(context.Context) { time.Sleep(5 * time.Millisecond) } // of the bubble's clock
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() { r.try("192.0.2.7", "alice", fmt.Sprint("guess ", i)) })
		}
		wg.Wait()
		if got := r.authority.count(); got != 3 {
			t.Errorf("of 100 guesses for one user %d were judged, want 3", got)
		}
	})
}

// TestAttackConcurrentSpray: one password for many users.
func TestAttackConcurrentSpray(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var judged, most atomic.Int64
		r.authority.wait = func(context.Context) {
			most.Store(max(most.Load(), judged.Add(1)))
			time.Sleep(5 * time.Millisecond)
			judged.Add(-1)
		}
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() { r.try("192.0.2.7", fmt.Sprint("user", i), "Winter2026!") })
		}
		wg.Wait()
		if got := r.authority.count(); got > 20+defaultMaxConcurrent-1 || most.Load() > defaultMaxConcurrent {
			t.Errorf("of 200 guesses %d were judged, %d at a time", got, most.Load())
		}
		expect(t, "the address then", r.try("192.0.2.7", "alice", "right"), "5m0s")
	})
}

// TestSamePasswordAtOnce: a program that sends its password with each of many
// requests is one try, whether the password is right or not.
func TestSamePasswordAtOnce(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"right", "outdated"} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.authority.wait = func(context.Context) { time.Sleep(5 * time.Millisecond) }
			want := map[string]string{"right": "ok", "outdated": "no"}[password]
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() { expect(t, password, r.try("192.0.2.7", "alice", password), want) })
			}
			wg.Wait()
			if got := r.authority.count(); got != 1 {
				t.Errorf("%s: the authority was asked %d times, want once", password, got)
			}
			expect(t, "a try later", r.try("192.0.2.7", "alice", "other"), "no")
			expect(t, "and the right one", r.try("192.0.2.7", "alice", "right"), "ok")
		})
	}
}

// TestWaiting: who waits for too long is told that the server is busy, and who
// goes away does not wait.
func TestWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.authority.wait = func(context.Context) { time.Sleep(20 * time.Second) }
		var wg sync.WaitGroup
		wg.Go(func() { expect(t, "the first", r.try("192.0.2.7", "alice", "right"), "ok") })
		synctest.Wait()
		began := time.Now()
		expect(t, "another password", r.try("192.0.2.7", "alice", "other"), "overloaded")
		if got := time.Since(began); got != 10*time.Second {
			t.Errorf("waited %v, want 10s", got)
		}
		ctx, cancel := context.WithCancel(from("192.0.2.7"))
		cancel()
		if _, err := r.password.VerifyPassword(ctx, "alice", "another"); !errors.Is(err, context.Canceled) {
			t.Errorf("gone: %v", err)
		}
		wg.Wait()
		if len(r.gate.flights) != 0 || len(r.gate.lanes) != 0 {
			t.Errorf("left in the gate: %v, %v", r.gate.flights, r.gate.lanes)
		}
	})
}

// TestTooManyWait bounds what waits for one address.
func TestTooManyWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.authority.wait = func(context.Context) { time.Sleep(time.Second) }
		var overloaded atomic.Int64
		var wg sync.WaitGroup
		for i := range defaultMaxConcurrent + maxWaiting + 10 {
			wg.Go(func() {
				if r.try("192.0.2.7", fmt.Sprint("user", i), "right") == "overloaded" {
					overloaded.Add(1)
				}
			})
		}
		synctest.Wait()
		if got := overloaded.Load(); got != 10 {
			t.Errorf("%d were turned away at once, want 10", got)
		}
		wg.Wait()
	})
}

// TestAttackClientGoesAway: a guess counts although its client did not wait for
// the verdict, since the authority counts it as well.
func TestAttackClientGoesAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 3 {
		ctx, cancel := context.WithCancel(from("192.0.2.7"))
		r.authority.wait = func(ctx context.Context) {
			cancel()
			if ctx.Err() != nil {
				r.authority.err = ctx.Err()
			}
		}
		_, err := r.password.VerifyPassword(ctx, "alice", fmt.Sprint("guess ", i))
		if !errors.Is(err, authn.ErrBadCredentials) {
			t.Errorf("guess %d: %v", i, err)
		}
	}
	r.authority.wait = nil
	expect(t, "then", r.try("192.0.2.7", "alice", "right"), "30s")
}

// TestAttackBlockTellsPassword: if the right password of a disabled account did
// not count, the block that does not come would tell that it was right.
func TestAttackBlockTellsPassword(t *testing.T) {
	t.Parallel()
	for _, reason := range []authn.Reason{
		authn.ReasonWrongPassword, authn.ReasonUnknownUser, authn.ReasonDisabled, authn.ReasonLockedOut,
		authn.ReasonAccountExpired, authn.ReasonPasswordExpired, authn.ReasonRestricted, authn.ReasonPolicy,
	} {
		r := newRig(t)
		r.authority.err = &authn.RefusedError{Reason: reason}
		expect(t, string(reason), r.wrong("192.0.2.7", "alice", 4), "no no no 30s")
	}
	r := newRig(t)
	r.authority.err = authn.ErrNoCredentials // a chain that has no such user
	_ = r.wrong("192.0.2.7", "alice", 3)
	expect(t, "nobody's user", r.try("192.0.2.7", "alice", "right"), "30s")
}

// TestAttackOwnAccount: whoever has an account cannot use it to have the
// failures of others forgotten.
func TestAttackOwnAccount(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 20 {
		if i%2 == 1 {
			expect(t, "own account", r.try("192.0.2.7", "mallory", "right"), "ok")
		}
		expect(t, "guess", r.try("192.0.2.7", fmt.Sprint("user", i), "wrong"), "no")
	}
	expect(t, "address", r.try("192.0.2.7", "mallory", "right"), "5m0s")

	r = newRig(t)
	_ = r.wrong("192.0.2.7", `CORP\alice`, 2)
	expect(t, "namesake", r.try("192.0.2.7", `OTHER\alice`, "right"), "ok")
	expect(t, "third guess", r.wrong("192.0.2.7", `CORP\alice`, 2), "no 30s")

	r = newRig(t)
	_ = r.wrong("192.0.2.7", `CORP\alice`, 2)
	expect(t, "alice herself", r.try("192.0.2.7", "alice", "right"), "ok")
	expect(t, "her count begins again", r.wrong("192.0.2.7", "alice", 4), "no no no 30s")
}

// TestAttackManyNames: guesses with a spelling for each.
func TestAttackManyNames(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, name := range []string{`CORP\alice`, "ALICE@corp.test", " àlice "} {
		expect(t, name, r.try("192.0.2.7", name, "wrong"), "no")
	}
	expect(t, "the fourth", r.try("192.0.2.7", "alice", "right"), "30s")
	r = newRig(t)
	for _, addr := range []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::"} {
		expect(t, addr, r.try(addr, "alice", "wrong"), "no")
	}
	expect(t, "the fourth address", r.try("2001:db8::4", "alice", "right"), "30s")
	expect(t, "another network", r.try("2001:db8:0:1::4", "alice", "right"), "ok")
}

// TestAttackMemoryFlood: names and addresses without end take bounded memory,
// and do not end a block.
func TestAttackMemoryFlood(t *testing.T) {
	t.Parallel()
	m := NewMemory(100)
	ctx := context.Background()
	block := directory.Block{Key: "user alice at 192.0.2.7", From: start, Until: start.Add(time.Hour)}
	if err := m.SetBlock(ctx, block); err != nil {
		t.Fatal(err)
	}
	for i := range 10_000 {
		key := fmt.Sprint("user u", i, " at 192.0.2.7")
		if _, err := m.AddFailure(ctx, start, start.Add(-time.Hour), key); err != nil {
			t.Fatal(err)
		}
		err := m.SetBlock(ctx, directory.Block{Key: key, From: start, Until: start.Add(30 * time.Second)})
		if want := i >= 99; want != errors.Is(err, authn.ErrUnavailable) {
			t.Fatalf("block %d: %v", i, err)
		}
	}
	if len(m.failures) > 100 || m.order.Len() != len(m.failures) || len(m.blocks) > 100 {
		t.Errorf("%d keys, %d places, %d blocks; want at most 100", len(m.failures), m.order.Len(), len(m.blocks))
	}
	if b, err := m.BlockOf(ctx, start, block.Key); err != nil || b == nil || !b.Until.Equal(block.Until) {
		t.Errorf("the block is now %+v, %v", b, err)
	}
	// Blocks that ended make room.
	later := start.Add(time.Minute)
	if err := m.SetBlock(ctx, directory.Block{Key: "new", From: later, Until: later.Add(time.Minute)}); err != nil {
		t.Errorf("after blocks ended: %v", err)
	}
	if b, _ := m.BlockOf(ctx, later, block.Key); b == nil {
		t.Error("the block that lasts was swept")
	}
	// Old failures make room as well, without the table being full.
	if _, err := m.AddFailure(ctx, start.Add(2*time.Hour), start.Add(time.Hour), "fresh"); err != nil || len(m.failures) != 1 {
		t.Errorf("%d keys, %v; want the new one alone", len(m.failures), err)
	}
	// One key alone does not grow either.
	for range 3 * MaxFailures {
		if _, err := m.AddFailure(ctx, later, start, "one"); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(m.failures["one"].Value.(*failures).at); got != MaxFailures+1 {
		t.Errorf("%d times of one key, want %d", got, MaxFailures+1)
	}
}

// TestMemoryCountsDiffer: no two callers see the same count, so that a rule
// cannot be jumped over.
func TestMemoryCountsDiffer(t *testing.T) {
	t.Parallel()
	m := NewMemory(0)
	var seen sync.Map
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			counts, err := m.AddFailure(context.Background(), start, start.Add(-time.Hour), "a", "b")
			if err != nil || counts[0] != counts[1] {
				t.Errorf("counts %v, %v", counts, err)
				return
			}
			if _, twice := seen.LoadOrStore(counts[0], true); twice {
				t.Errorf("count %d twice", counts[0])
			}
		})
	}
	wg.Wait()
}

// TestShorterBlock: a block is not made shorter by another one.
func TestShorterBlock(t *testing.T) {
	t.Parallel()
	m := NewMemory(0)
	ctx := context.Background()
	for _, d := range []time.Duration{time.Minute, time.Hour, time.Second} {
		if err := m.SetBlock(ctx, directory.Block{Key: "k", From: start, Until: start.Add(d)}); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := m.BlockOf(ctx, start, "other", "k"); err != nil || b == nil || b.Until.Sub(start) != time.Hour {
		t.Errorf("block %+v, %v", b, err)
	}
	if b, err := m.BlockOf(ctx, start.Add(time.Hour), "k"); b != nil || err != nil {
		t.Errorf("block %+v, %v after its end", b, err)
	}
}
