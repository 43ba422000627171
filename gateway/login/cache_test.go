package login

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/directory"
)

// counting is a store of sessions that counts how often it is asked for one.
type counting struct {
	*session.Memory
	asked int
	then  func() // before it answers
}

func (c *counting) Session(ctx context.Context, id directory.SessionID) (*directory.Session, error) {
	c.asked++
	s, err := c.Memory.Session(ctx, id)
	if c.then != nil {
		c.then()
	}
	return s, err
}

// TestAttackGatewaySessionEnded: a session that was ended here is over at once,
// also if its row was being read meanwhile; one that was ended at another node as
// soon as that is heard of, and within moments in any case.
func TestAttackGatewaySessionEnded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	under := &counting{Memory: session.NewMemory(0)}
	c := &cachedSessions{Store: under, testOnlyNow: func() time.Time { return now }}
	id := directory.SessionID{1}
	begin := func() {
		t.Helper()
		if err := c.PutSession(t.Context(), &directory.Session{ID: id, User: "dora", Created: now, Seen: now, Expires: now.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := c.Session(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
	}
	gone := func(what string) {
		t.Helper()
		if _, err := c.Session(t.Context(), id); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("%s: %v, want that it is gone", what, err)
		}
	}
	begin()
	if under.asked != 1 {
		t.Errorf("the store was asked %d times, want once", under.asked)
	}
	if err := c.DeleteSession(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	gone("after a logout")
	begin()
	if _, err := c.DeleteSessionsOf(t.Context(), "dora"); err != nil {
		t.Fatal(err)
	}
	gone("after all of a user ended")

	begin()
	now = now.Add(reread)
	under.then = func() { // between the read and its end
		under.then = nil
		if err := c.DeleteSession(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Session(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	gone("ended while it was read")

	begin()
	if err := under.DeleteSession(t.Context(), id); err != nil { // another node
		t.Fatal(err)
	}
	now = now.Add(reread)
	gone("ended at another node")

	// If the store tells of it, at once; and while it cannot, nothing is remembered.
	heard, hears := uint64(1), true
	c.version = func() (uint64, bool) { return heard, hears }
	begin()
	if err := under.DeleteSession(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	heard++
	gone("ended at another node, which told")
	hears = false
	if err := under.PutSession(t.Context(), &directory.Session{ID: id, User: "dora", Created: now, Seen: now, Expires: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Session(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := under.DeleteSession(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	gone("ended while nothing is heard")
}

// TestAttackGatewaySessionMadeUp: made-up cookies have each of their own looked for,
// and no others: rows that are read at the same time are remembered.
func TestAttackGatewaySessionMadeUp(t *testing.T) {
	t.Parallel()
	now := time.Now()
	under := &counting{Memory: session.NewMemory(0)}
	c := &cachedSessions{Store: under, testOnlyNow: func() time.Time { return now }}
	id := directory.SessionID{1}
	if err := c.PutSession(t.Context(), &directory.Session{ID: id, User: "dora", Created: now, Seen: now, Expires: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	under.then = func() {
		under.then = nil
		for i := range 10 {
			if _, err := c.Session(t.Context(), directory.SessionID{2, byte(i)}); !errors.Is(err, directory.ErrNotFound) {
				t.Error(err)
			}
		}
	}
	for range 3 {
		if _, err := c.Session(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if under.asked != 11 || len(c.known) != 1 {
		t.Errorf("the store was asked %d times, want 11, and %d rows are known", under.asked, len(c.known))
	}
}

// TestAttackGatewayBlockHeeded: a block of an address counts at once where it was
// made, and within a moment at other nodes; for users it always does.
func TestAttackGatewayBlockHeeded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	under := throttle.NewMemory(0)
	c := &cachedBlocks{Store: under, testOnlyNow: func() time.Time { return now }}
	blocked := func(keys ...string) bool {
		t.Helper()
		b, err := c.BlockOf(t.Context(), now, keys...)
		if err != nil {
			t.Fatal(err)
		}
		return b != nil
	}
	block := func(s throttle.Store, key string) {
		t.Helper()
		if err := s.SetBlock(t.Context(), directory.Block{Key: key, From: now, Until: now.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	const here, there, user = "address 192.0.2.1", "address 192.0.2.2", "user dora at 192.0.2.2"
	if blocked(here) || blocked(there) {
		t.Fatal("blocked from the beginning")
	}
	if block(c, here); !blocked(here) {
		t.Error("a block that was made here does not count at once")
	}
	_ = blocked(user) // of a client without an address
	if block(under, user); !blocked(there, user) || !blocked(user) {
		t.Error("the block of a user does not count at once")
	}
	block(under, there)
	if now = now.Add(heedBlocks); !blocked(there) {
		t.Error("a block of another node does not count after a moment")
	}
	heard := uint64(1)
	c.version = func() (uint64, bool) { return heard, true }
	const told = "address 192.0.2.3"
	if blocked(told) {
		t.Fatal("blocked from the beginning")
	}
	block(under, told)
	if heard++; !blocked(told) {
		t.Error("a block of another node, which told, does not count at once")
	}
	if _, err := under.Unblock(t.Context(), there); err != nil || blocked(there) {
		t.Errorf("a block that was lifted still counts, %v", err)
	}
}
