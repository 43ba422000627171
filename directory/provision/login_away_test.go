package provision

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// TestAttackDisabledBesideSlowDirectory: while one request of a user waits for the
// directory, others go on with what is known, unless the user was disabled.
func TestAttackDisabledBesideSlowDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.login(t, aliceIdentity())
	w.clock.add(time.Minute)
	w.dir.err = fmt.Errorf("ldap: %w", authn.ErrUnavailable)
	beside, asked := 0, 0
	w.dir.late = func() {
		asked++
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // nobody waits for the directory
		if _, err := w.Provision(ctx, aliceIdentity()); err != nil {
			t.Errorf("beside a slow directory: %v", err)
		}
		u := w.store.user(t, `CORP\alice`)
		u.State = directory.DisabledByOperator
		if err := w.store.UpdateUser(t.Context(), u); err != nil {
			t.Error(err)
		}
		if _, err := w.Provision(ctx, aliceIdentity()); err == nil {
			beside++
		}
	}
	_, _ = w.Provision(t.Context(), aliceIdentity()) // it began before
	if asked == 0 || beside > 0 {
		t.Errorf("the directory was asked %d times, and %d requests of a disabled user passed", asked, beside)
	}
}

func TestDirectoryAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.login(t, aliceIdentity())
	w.dir.err = fmt.Errorf("ldap: %w", authn.ErrUnavailable)
	w.dir.late = func() { w.clock.add(slow) }
	for i := range 5 {
		w.clock.add(time.Minute)
		if id := w.login(t, aliceIdentity()); len(id.Groups) != 2 {
			t.Errorf("groups = %v, want those of the last answer", id.Groups)
		}
		// While it is away, others do not wait for it.
		w.login(t, &authn.Identity{Account: fmt.Sprintf("user%d", i), Domain: "CORP", SID: sid(2000 + i), DisplayName: "U"})
	}
	if n := w.log.count("does not answer"); n != 1 {
		t.Errorf("%d warnings, want 1", n)
	}
	if w.dir.asked != 6 {
		t.Errorf("asked %d times, want 6: the first login, and once a minute", w.dir.asked)
	}
	if u := w.store.user(t, `CORP\user3`); u.DisplayName != "U" || !u.Refreshed.IsZero() {
		t.Errorf("user made while the directory is away: %+v", u)
	}
	w.dir.err = nil
	w.clock.add(time.Minute)
	w.login(t, aliceIdentity())
	if n := w.log.count("answers again"); n != 1 {
		t.Errorf("%d lines about its return, want 1", n)
	}
}

// A directory that takes its time is waited for by one request, and only so
// long.
func TestSlowDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.login(t, aliceIdentity())
	w.dir.wait = make(chan struct{})
	w.Timeout = time.Hour
	w.clock.add(59 * time.Second)
	w.login(t, aliceIdentity())
	w.clock.add(2 * time.Second)
	slow := make(chan error)
	go func() {
		_, err := w.Provision(t.Context(), aliceIdentity())
		slow <- err
	}()
	e := w.entry(aliceIdentity())
	for len(e.sem) == 0 { // it is at work
		select {
		case err := <-slow:
			t.Fatalf("ended with %v", err)
		default:
		}
	}
	w.login(t, aliceIdentity())
	close(w.dir.wait)
	if err := <-slow; err != nil {
		t.Error(err)
	}

	w.dir.wait, w.Timeout = make(chan struct{}), time.Millisecond
	w.clock.add(time.Hour)
	w.login(t, aliceIdentity())
}

func TestStoreAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.down = true
	if id, err := w.Provision(t.Context(), aliceIdentity()); id != nil || !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, authn.ErrBadCredentials) {
		t.Errorf("login without a store: %v, %v, want ErrUnavailable", id, err)
	}
	w.store.down = false
	w.login(t, aliceIdentity())
}
