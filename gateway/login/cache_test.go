package login

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/session"
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
// also if its row was being read meanwhile; one that was ended at another node
// within moments.
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
}
