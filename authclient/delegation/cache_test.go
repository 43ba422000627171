package delegation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

func TestCache(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ticket, err := w.client("alice").Ticket(t.Context(), backSPN)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	var mu sync.Mutex
	c := newCache(3, func() time.Time { mu.Lock(); defer mu.Unlock(); return now }, func(*kerberos.Ticket) bool { return true })
	fetched := 0
	get := func(name string) {
		t.Helper()
		cred, err := c.get(t.Context(), cacheKey{principal: name}, func(context.Context) (*kerberos.Ticket, error) {
			fetched++
			return ticket, nil
		})
		if err != nil || cred.Ticket != ticket {
			t.Fatal(cred, err)
		}
	}
	step := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	want := func(n int, what string) {
		t.Helper()
		if fetched != n {
			t.Errorf("%s: fetched %d, want %d", what, fetched, n)
		}
		if len(c.entries) > 3 || len(c.entries) != c.used.Len() || len(c.flights) != 0 {
			t.Errorf("%s: %d entries, %d in the list, %d flights", what, len(c.entries), c.used.Len(), len(c.flights))
		}
	}
	get("a")
	get("a")
	want(1, "again")
	step(maxAge - time.Second)
	get("a")
	want(1, "before its age")
	step(time.Second)
	get("a")
	want(2, "after its age")
	for i := range 3 {
		get(fmt.Sprint(i))
	}
	want(5, "others")
	get("a")
	want(6, "pushed out")
	get("1")
	want(6, "kept")

	// Near its end a ticket serves one request and is not kept.
	mu.Lock()
	now = ticket.Expires().Add(-margin)
	mu.Unlock()
	get("z")
	get("z")
	want(8, "about to end")
}

func TestCacheErrors(t *testing.T) {
	t.Parallel()
	c := newCache(0, time.Now, nil)
	boom := errors.New("boom")
	for range 2 { // not remembered
		if _, err := c.get(t.Context(), cacheKey{}, func(context.Context) (*kerberos.Ticket, error) { return nil, boom }); !errors.Is(err, boom) {
			t.Errorf("%v, want boom", err)
		}
	}
	// A panic ended the process.
	_, err := c.get(t.Context(), cacheKey{}, func(context.Context) (*kerberos.Ticket, error) { panic("bang") })
	if err == nil || !strings.Contains(err.Error(), "bang") {
		t.Errorf("%v, want the panic", err)
	}
	// A waiter may leave; the fetch goes on for the others.
	ctx, cancel := context.WithCancel(t.Context())
	started, release := make(chan struct{}), make(chan struct{})
	var calls atomic.Int32
	fetch := func(ctx context.Context) (*kerberos.Ticket, error) {
		if calls.Add(1) == 1 {
			close(started)
		}
		<-release
		return nil, errors.Join(boom, ctx.Err())
	}
	left := make(chan error)
	go func() {
		_, err := c.get(ctx, cacheKey{}, fetch)
		left <- err
	}()
	<-started
	stays := make(chan error)
	go func() {
		_, err := c.get(t.Context(), cacheKey{}, fetch)
		stays <- err
	}()
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the one who left: %v", err)
	}
	close(release)
	if err := <-stays; !errors.Is(err, boom) || errors.Is(err, context.Canceled) {
		t.Errorf("the one who stayed: %v", err)
	}
}

// A ticket that the upstream refused, because its password was changed, was
// used until it ended.
func TestCacheRefusedTicket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.delegator("front", Upstream{SPN: backSPN}, Upstream{SPN: otherSPN})
	var later atomic.Int64
	d.testOnlyNow = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	id := w.kerberosLogin("alice", "front", frontSPN, true)
	get := func(spn string, want Method) *authclient.Ticket {
		t.Helper()
		c, m, err := d.Delegate(t.Context(), id, target(spn))
		if err != nil || m != want {
			t.Fatal(m, err)
		}
		return c.(*authclient.Ticket)
	}
	refused := func(c *authclient.Ticket) bool {
		t.Helper()
		in, err := c.NewInitiator(authclient.SchemeNegotiate, target(otherSPN), nil)
		if err != nil {
			t.Fatal(err)
		}
		return in.(authclient.RefusalObserver).Refused()
	}
	before, constrained := get(otherSPN, Forwarded), get(backSPN, Constrained)
	if refused(before) || get(otherSPN, Forwarded) != before {
		t.Error("a new ticket is replaced")
	}
	later.Store(int64(minRefused))
	if !refused(before) || get(otherSPN, Forwarded) == before {
		t.Error("an old ticket is not replaced")
	}
	if !refused(before) {
		t.Error("one that used the old ticket too is not told to try again")
	}
	if refused(get(otherSPN, Forwarded)) {
		t.Error("the new ticket is replaced")
	}
	if refused(constrained) { // whose clock is not that of the test
		t.Error("Client was not asked whether it has another ticket")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	var r refusals
	now := time.Now()
	boom := errors.New("boom")
	a := r.digest("alice", authn.NewSecret("one"))
	if a != r.digest("alice", authn.NewSecret("one")) || a == r.digest("alice", authn.NewSecret("two")) || a == r.digest("bob", authn.NewSecret("one")) {
		t.Error("digests do not tell name and password apart")
	}
	r.put(a, boom, now, maxAge)
	if err := r.get(a, now.Add(maxAge-time.Second)); !errors.Is(err, boom) {
		t.Errorf("%v, want boom", err)
	}
	if err := r.get(a, now.Add(maxAge)); err != nil {
		t.Errorf("%v after its time", err)
	}
	for i := range maxRefusals + 100 {
		r.put(r.digest(fmt.Sprint(i), authn.Secret{}), boom, now, maxAge)
	}
	if n := len(r.set); n > maxRefusals {
		t.Errorf("%d refusals kept", n)
	}
}
