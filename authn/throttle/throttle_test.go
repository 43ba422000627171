package throttle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

var start = time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// authority knows users whose password is "right". It stands for a domain
// controller that locks accounts, so what it is asked is what matters.
type authority struct {
	mu    sync.Mutex
	asked int
	err   error // in place of a verdict
	wait  func(ctx context.Context)
}

func (a *authority) VerifyPassword(ctx context.Context, user, password string) (*authn.Identity, error) {
	a.mu.Lock()
	a.asked++
	err, wait := a.err, a.wait
	a.mu.Unlock()
	if wait != nil {
		wait(ctx)
	}
	switch {
	case err != nil:
		return nil, err
	case password == "right":
		return &authn.Identity{Account: user}, nil
	}
	return nil, &authn.RefusedError{Reason: authn.ReasonWrongPassword, User: user}
}

func (a *authority) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// rig is a Limiter in front of an authority.
type rig struct {
	*Limiter
	clock     *clock
	memory    *Memory
	authority *authority
	password  *Password
	log       *bytes.Buffer
}

func newRig(t testing.TB, change ...func(*Limiter)) *rig {
	t.Helper()
	r := &rig{clock: &clock{now: start}, memory: NewMemory(0), authority: &authority{}, log: new(bytes.Buffer)}
	r.Limiter = &Limiter{
		Store: r.memory, Now: r.clock.Now, Logger: slog.New(slog.NewTextHandler(&lockedWriter{w: r.log}, nil)),
		Canonical: Names{Domains: [][]string{{"CORP", "corp.test"}}}.Canonical,
	}
	for _, f := range change {
		f(r.Limiter)
	}
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	r.password = r.Limiter.Password(r.authority)
	return r
}

type lockedWriter struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func from(addr string) context.Context {
	return authn.WithClient(context.Background(), netip.MustParseAddr(addr))
}

// try logs in and returns "ok", "no", or how long the block that refused it is.
func (r *rig) try(addr, user, password string) string {
	id, err := r.password.VerifyPassword(from(addr), user, password)
	var blocked *authn.BlockedError
	switch {
	case err == nil && id != nil:
		return "ok"
	case errors.As(err, &blocked):
		return blocked.Block.String()
	case errors.Is(err, authn.ErrUnavailable):
		return "unavailable"
	case errors.Is(err, authn.ErrOverloaded):
		return "overloaded"
	case errors.Is(err, authn.ErrBadCredentials):
		return "no"
	}
	return err.Error()
}

// wrong tries n wrong passwords and returns what came of each.
func (r *rig) wrong(addr, user string, n int) string {
	var out []string
	for i := range n {
		out = append(out, r.try(addr, user, fmt.Sprintf("wrong %d", i)))
	}
	return strings.Join(out, " ")
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// TestUserRules: 3 failures block for 30 s, 6 for 1800 s, over 60 minutes.
func TestUserRules(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	expect(t, "up to the first rule", r.wrong("192.0.2.7", "alice", 5), "no no no 30s 30s")
	expect(t, "right password while blocked", r.try("192.0.2.7", "alice", "right"), "30s")
	expect(t, "another address", r.try("192.0.2.8", "alice", "right"), "ok")
	expect(t, "another user", r.try("192.0.2.7", "bob", "right"), "ok")
	r.clock.move(30*time.Second - 1)
	expect(t, "a moment before the end", r.try("192.0.2.7", "alice", "right"), "30s")
	r.clock.move(1)
	expect(t, "up to the second rule", r.wrong("192.0.2.7", "alice", 5), "no no no 30m0s 30m0s")
	r.clock.move(30*time.Minute - 1)
	expect(t, "a moment before the end", r.try("192.0.2.7", "alice", "right"), "30m0s")
	r.clock.move(1)
	expect(t, "beyond the last rule", r.wrong("192.0.2.7", "alice", 3), "no 30m0s 30m0s")
	r.clock.move(time.Hour)
	expect(t, "after all failures are old", r.wrong("192.0.2.7", "alice", 4), "no no no 30s")
	if got := r.authority.count(); got != 12 {
		t.Errorf("the authority was asked %d times, want 12: it must not see tries of who is blocked", got)
	}
	if !strings.Contains(r.log.String(), `key="user corp\\alice at 192.0.2.7" failures=3`) {
		t.Errorf("log: %s", r.log)
	}
}

// TestAddressRules: 20 failures block for 300 s, 50 for 3600 s.
func TestAddressRules(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	next := 0
	spray := func(n int) string { // a user for each try, so that only the address counts
		counts := map[string]int{}
		for range n {
			next++
			counts[r.try("192.0.2.7", fmt.Sprintf("user%d", next), "wrong")]++
		}
		return fmt.Sprint(counts)
	}
	expect(t, "up to the first rule", spray(22), "map[5m0s:2 no:20]")
	expect(t, "right password while blocked", r.try("192.0.2.7", "alice", "right"), "5m0s")
	expect(t, "another address", r.try("192.0.2.8", "alice", "right"), "ok")
	r.clock.move(5 * time.Minute)
	expect(t, "after the block", r.try("192.0.2.7", "alice", "right"), "ok")
	expect(t, "up to the second rule", spray(32), "map[1h0m0s:2 no:30]")
	r.clock.move(time.Hour)
	expect(t, "after the long block", r.try("192.0.2.7", "alice", "right"), "ok")
}

func TestFailuresGetOld(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	expect(t, "two", r.wrong("192.0.2.7", "alice", 2), "no no")
	r.clock.move(time.Hour)
	expect(t, "an hour later", r.wrong("192.0.2.7", "alice", 3), "no no no")
	expect(t, "then", r.try("192.0.2.7", "alice", "right"), "30s")
}

func TestSettings(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(l *Limiter) {
		l.User, l.Address, l.Window = []Rule{{1, time.Minute}}, []Rule{}, time.Minute
	})
	expect(t, "own rule", r.wrong("192.0.2.7", "alice", 2), "no 1m0s")
	for i := range 60 {
		expect(t, "no rule for addresses", r.try("192.0.2.7", fmt.Sprint("u", i), "wrong"), "no")
	}
	for _, tt := range []struct {
		name string
		l    *Limiter
	}{
		{"no store", &Limiter{}},
		{"falling", &Limiter{Store: r.memory, User: []Rule{{3, 1}, {3, 1}}}},
		{"zero", &Limiter{Store: r.memory, Address: []Rule{{0, 1}}}},
		{"too many", &Limiter{Store: r.memory, Address: []Rule{{MaxFailures + 1, 1}}}},
		{"no time", &Limiter{Store: r.memory, Address: []Rule{{3, 0}}}},
	} {
		if err := tt.l.Check(); err == nil {
			t.Errorf("%s: no error", tt.name)
		}
	}
}

// TestNotCounted: what nobody judged is no failure.
func TestNotCounted(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		fmt.Errorf("dial: %w", authn.ErrUnavailable), authn.ErrOverloaded, authn.ErrConnState, errors.New("disk full"), context.Canceled,
	} {
		r := newRig(t)
		r.authority.err = err
		r.wrong("192.0.2.7", "alice", 30)
		r.authority.err = nil
		expect(t, err.Error(), r.try("192.0.2.7", "alice", "right"), "ok")
	}
	r := newRig(t)
	for range 30 {
		expect(t, "empty password", r.try("192.0.2.7", "alice", ""), "no")
	}
	if got := r.authority.count(); got != 0 {
		t.Errorf("the authority was asked %d times for an empty password", got)
	}
	expect(t, "after empty passwords", r.try("192.0.2.7", "alice", "right"), "ok")
}

func TestUnblock(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.wrong("192.0.2.7", `CORP\Alice`, 3)
	ctx := context.Background()
	bs, err := r.memory.Blocks(ctx, r.clock.Now())
	if err != nil || len(bs) != 1 || bs[0].Key != UserKey(`corp\alice`, netip.MustParseAddr("192.0.2.7")) || bs[0].Failures != 3 {
		t.Fatalf("blocks %+v, %v", bs, err)
	}
	if ok, err := r.memory.Unblock(ctx, bs[0].Key); !ok || err != nil {
		t.Errorf("Unblock = %v, %v", ok, err)
	}
	if ok, err := r.memory.Unblock(ctx, bs[0].Key); ok || err != nil {
		t.Errorf("Unblock again = %v, %v", ok, err)
	}
	expect(t, "after unblocking", r.wrong("192.0.2.7", "alice", 4), "no no no 30s")
}

// TestNoClient: without the client's address all clients would be one.
func TestNoClient(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.password.VerifyPassword(context.Background(), "alice", "right")
	if !errors.Is(err, authn.ErrUnavailable) || !strings.Contains(err.Error(), "authn.Proxies.Wrap") || r.authority.count() != 0 {
		t.Errorf("error %v, asked %d times", err, r.authority.count())
	}
	if _, err := (&Limiter{}).Password(r.authority).VerifyPassword(from("192.0.2.7"), "alice", "right"); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("without a store: %v", err)
	}
}

// faulty is a Memory of which an operation fails while it is told to.
type faulty struct {
	*Memory
	mu   sync.Mutex
	down map[string]error
}

func (f *faulty) fail(op string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = map[string]error{op: err}
}

func (f *faulty) get(op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.down[op]
}

func (f *faulty) AddFailure(ctx context.Context, at, since time.Time, keys ...string) ([]int, error) {
	if err := f.get("AddFailure"); err != nil {
		return nil, err
	}
	return f.Memory.AddFailure(ctx, at, since, keys...)
}

func (f *faulty) SetBlock(ctx context.Context, b directory.Block) error {
	if err := f.get("SetBlock"); err != nil {
		return err
	}
	return f.Memory.SetBlock(ctx, b)
}

func (f *faulty) BlockOf(ctx context.Context, at time.Time, keys ...string) (*directory.Block, error) {
	if err := f.get("BlockOf"); err != nil {
		return nil, err
	}
	return f.Memory.BlockOf(ctx, at, keys...)
}

func (f *faulty) ForgetFailures(ctx context.Context, key string) error {
	if err := f.get("ForgetFailures"); err != nil {
		return err
	}
	return f.Memory.ForgetFailures(ctx, key)
}

// TestAttackStoreAway: while failures cannot be counted nobody can guess, and
// one that was judged before that showed is counted later.
func TestAttackStoreAway(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"BlockOf", "AddFailure", "SetBlock"} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			f := &faulty{Memory: NewMemory(0)}
			r := newRig(t, func(l *Limiter) { l.Store = f })
			expect(t, "before", r.wrong("192.0.2.7", "alice", 2), "no no")
			f.fail(op, errors.New("disk full"))
			expect(t, "guesses while the store is away", r.wrong("192.0.2.7", "alice", 5), strings.TrimSpace(strings.Repeat("unavailable ", 5)))
			expect(t, "right password", r.try("192.0.2.7", "alice", "right"), "unavailable")
			expect(t, "somebody else", r.try("192.0.2.8", "bob", "right"), "unavailable")
			asked := 3 // the one that could not be counted was judged
			if op == "BlockOf" {
				asked = 2
			}
			if got := r.authority.count(); got != asked {
				t.Errorf("the authority was asked %d times, want %d", got, asked)
			}
			f.fail("", nil)
			want := "30s"
			if op == "BlockOf" {
				want = "ok"
			}
			expect(t, "when the store is back", r.try("192.0.2.7", "alice", "right"), want)
		})
	}
	f := &faulty{Memory: NewMemory(0)}
	r := newRig(t, func(l *Limiter) { l.Store = f })
	f.fail("ForgetFailures", errors.New("disk full"))
	expect(t, "success that cannot be noted", r.try("192.0.2.7", "alice", "right"), "unavailable")
}
