package netlogon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oiweiwei/go-msrpc/dcerpc"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/internal/testenv"
)

// nowhere is a Dialer that reaches nobody. It counts, and waits if it has a
// channel to wait for.
type nowhere struct {
	dials atomic.Int64
	wait  chan struct{}
}

var errNowhere = errors.New("nobody is there")

func (n *nowhere) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	n.dials.Add(1)
	if n.wait != nil {
		select {
		case <-n.wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, errNowhere
}

// syncBuffer may be written by one and read by another goroutine.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// upController is a controller that is up, with an idle channel each for its
// slots. Nothing is behind them.
func upController(t *testing.T, d Dialer, change func(*Config)) (c *controller, log *syncBuffer) {
	t.Helper()
	log = new(syncBuffer)
	cfg := Config{
		Account: "GW01", Secrets: Password(authn.NewSecret("x")), Domain: "CORP", Controllers: []string{"dc1"},
		Dialer: d, Logger: slog.New(slog.NewTextHandler(log, nil)),
		Timeout: 5 * time.Second, Patience: 200 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	v, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	c = v.controllers[0]
	for range cap(c.slots) {
		c.put(idleChannel(t))
	}
	c.cameUp()
	return c, log
}

func idleChannel(t *testing.T) *channel {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = theirs.Close() })
	ch := &channel{conn: &guardConn{Conn: ours}, detach: func() bool { return true }}
	ch.ctx, ch.cancel = context.WithCancel(context.Background())
	var err error
	if ch.rpc, err = dcerpc.Dial(ch.ctx, nobody); err != nil {
		t.Fatal(err)
	}
	return ch
}

func isClosed(ch *channel) bool { return ch.ctx.Err() != nil }

// TestCallOutcome: what a client can bring about says nothing of the controller,
// and takes nothing from others.
func TestCallOutcome(t *testing.T) {
	t.Parallel()
	fault := func(code uint32) func(*channel) error {
		return func(ch *channel) error {
			ch.conn.fault.Store(code)
			return fmt.Errorf("fault %#x", code)
		}
	}
	status := func(code uint32) func(*channel) error {
		return func(*channel) error { return logonStatus(code) }
	}
	failure := func(err error) func(*channel) error { return func(*channel) error { return err } }
	for _, tt := range []struct {
		name  string
		f     func(*channel) error
		calls int  // before the new channel, which cannot be opened
		up    bool // afterwards
		idle  int  // of two
		dials bool
	}{
		{"answer", failure(nil), 1, true, 2, false},
		{"wrong password", status(0xC000006A), 1, true, 2, false},
		{"no logon server for the domain", status(0xC000005E), 1, true, 2, false},
		// Of a trusted domain, that is; our own channel works.
		{"no trust account", status(0xC000018B), 1, true, 2, false},
		// What the controller cannot read. The others' channels are as good as
		// before, and nothing is asked twice.
		{"bad stub data", fault(0x6F7), 1, true, 1, false},
		{"no such operation", fault(0x1C010002), 1, true, 1, false},
		// It forgot us, so that nothing was done: once more, on a new channel.
		{"access denied", status(0xC0000022), 1, false, 0, true},
		{"security package error", fault(0x721), 1, false, 0, true},
		{"connection closed", failure(errors.New("EOF")), 1, false, 0, true},
		// It has to show whether it is up, and is not asked again.
		{"silence", failure(os.ErrDeadlineExceeded), 1, false, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := new(nowhere)
			c, _ := upController(t, d, nil)
			calls := 0
			_ = c.use(t.Context(), time.Second, func(ch *channel) error { calls++; return tt.f(ch) })
			c.v.work.Wait()
			if calls != tt.calls {
				t.Errorf("%d calls, want %d", calls, tt.calls)
			}
			if c.isUp() != tt.up {
				t.Errorf("up %v, want %v", c.isUp(), tt.up)
			}
			if n := len(c.idle); n != tt.idle {
				t.Errorf("%d idle channels, want %d", n, tt.idle)
			}
			if (d.dials.Load() > 0) != tt.dials {
				t.Errorf("%d dials, want some %v", d.dials.Load(), tt.dials)
			}
		})
	}
}

// TestCallWithoutAnswer: a controller that leaves a call without an answer, as
// one does that waits for another domain's, is up while a channel can be opened.
// It counts as down only after that failed.
func TestCallWithoutAnswer(t *testing.T) {
	t.Parallel()
	d := &nowhere{wait: make(chan struct{})}
	c, log := upController(t, d, nil)
	if err := c.use(t.Context(), time.Second, func(*channel) error { return os.ErrDeadlineExceeded }); !isTimeout(err) {
		t.Errorf("err %v", err)
	}
	if c.state != stateUnknown || c.rank() != rankNotUp || strings.Contains(log.String(), "does not answer") {
		t.Errorf("state %v, rank %v, log %s", c.state, c.rank(), log)
	}
	// The channel that shows it.
	c.put(idleChannel(t))
	c.cameUp()
	if c.rank() != rankSuspect {
		t.Errorf("rank %v, want it after the others", c.rank())
	}
	if err := c.use(t.Context(), time.Second, func(*channel) error { return nil }); err != nil || c.rank() != rankUp {
		t.Errorf("%v, rank %v after an answer", err, c.rank())
	}
	close(d.wait)
}

// TestAttackLoginThatGoesAway: a client that closes its connection in the middle
// of a login must not make the controller count as down for everybody.
func TestAttackLoginThatGoesAway(t *testing.T) {
	t.Parallel()
	d := &nowhere{wait: make(chan struct{})}
	c, log := upController(t, d, nil)
	c.dropIdle()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.use(ctx, 5*time.Second, func(*channel) error { return nil }) }()
	poll(t, func() bool { return d.dials.Load() > 0 })
	cancel()
	select {
	case err := <-done:
		t.Fatalf("the opening of a channel was broken off: %v", err)
	default:
	}
	if !c.isUp() || log.String() != "" {
		t.Errorf("up %v, log %s", c.isUp(), log)
	}
	close(d.wait)
	<-done
}

func poll(t *testing.T, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := testenv.Poll(ctx, func() error {
		if !cond() {
			return errors.New("not yet")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestBusy: our own load is not the controller's failure, neither for want of a
// channel, nor of time, nor because another channel is being opened.
func TestBusy(t *testing.T) {
	t.Parallel()
	d := &nowhere{wait: make(chan struct{})}
	c, log := upController(t, d, func(c *Config) { c.Channels = 1 })
	release := make(chan struct{})
	held := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = c.use(t.Context(), 5*time.Second, func(*channel) error { close(held); <-release; return nil })
	})
	<-held
	if err := c.use(t.Context(), 50*time.Millisecond, func(*channel) error { return nil }); !errors.Is(err, errBusy) {
		t.Errorf("err %v, want errBusy", err)
	}
	close(release)
	wg.Wait()
	late, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.use(late, time.Second, func(*channel) error { return os.ErrDeadlineExceeded }); !isTimeout(err) {
		t.Errorf("err %v, want a timeout", err)
	}
	c.opening <- struct{}{} // as for a channel for names
	if err := c.use(t.Context(), 300*time.Millisecond, func(*channel) error { return nil }); !errors.Is(err, errBusy) {
		t.Errorf("err %v, want errBusy", err)
	}
	<-c.opening
	if !c.isUp() || log.String() != "" {
		t.Errorf("up %v, log %s", c.isUp(), log)
	}
	close(d.wait)
}

// TestAttackSlowDomain: logins for a trusted domain whose controllers are silent
// leave a channel to those of our own.
func TestAttackSlowDomain(t *testing.T) {
	t.Parallel()
	c, _ := upController(t, new(nowhere), nil)
	release, held := make(chan struct{}), make(chan struct{}, 10)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			_ = c.useForeign(t.Context(), time.Second, func(*channel) error { held <- struct{}{}; <-release; return nil })
		})
	}
	<-held
	for range 10 {
		if err := c.use(t.Context(), time.Second, func(*channel) error { return nil }); err != nil {
			t.Error(err)
		}
	}
	if n := len(held); n > 0 {
		t.Errorf("%d more channels for another domain", n)
	}
	if err := c.useForeign(t.Context(), time.Millisecond, func(*channel) error { return nil }); !errors.Is(err, errBusy) || !c.isUp() {
		t.Errorf("err %v, up %v; want errBusy", err, c.isUp())
	}
	close(release)
	wg.Wait()
}

// TestClosedMeanwhile: what is put back after the end is closed.
func TestClosedMeanwhile(t *testing.T) {
	t.Parallel()
	c, _ := upController(t, new(nowhere), nil)
	ch, names := c.take(), idleChannel(t)
	_ = c.v.Close()
	c.put(ch)
	c.lookup.put(names)
	if !isClosed(ch) || !isClosed(names) || len(c.idle) > 0 || c.lookup.ch != nil {
		t.Error("a channel is left")
	}
}

// TestAttackNamesOutOfReach: two hundred users log in at once while the names of
// groups cannot be had. Each waits as long as one does, nobody asks again soon,
// and a login that goes away takes the names from nobody.
func TestAttackNamesOutOfReach(t *testing.T) {
	t.Parallel()
	d := &nowhere{wait: make(chan struct{})} // silence
	c, log := upController(t, d, nil)
	gone, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var slowest atomic.Int64
	for i := range 200 {
		wg.Go(func() {
			ctx := t.Context()
			if i%2 == 0 {
				ctx = gone
			}
			start := time.Now()
			id := &authn.Identity{Groups: []authn.Group{{SID: "S-1-5-21-1-2-3-513"}}}
			c.v.nameGroups(ctx, id)
			for took := int64(time.Since(start)); ; {
				old := slowest.Load()
				if took <= old || slowest.CompareAndSwap(old, took) {
					break
				}
			}
		})
	}
	poll(t, func() bool { return d.dials.Load() > 0 })
	cancel()
	if c.v.names.paused(time.Now()) {
		t.Error("a login that went away begins a pause")
	}
	wg.Wait()
	if took := time.Duration(slowest.Load()); took > lookupPatience+2*time.Second {
		t.Errorf("a login took %v for names", took)
	}
	if n := d.dials.Load(); n > 2 {
		t.Errorf("%d dials for one question", n)
	}
	if n := strings.Count(log.String(), "groups have no names"); n != 1 || !c.isUp() {
		t.Errorf("%d warnings, up %v; want one, and a controller that is up", n, c.isUp())
	}
	close(d.wait)
}

// TestAttackUnknownDomains: a login that names a domain nobody knows asks one
// controller, and the list of trusts is asked for once, even if nobody tells it.
func TestAttackUnknownDomains(t *testing.T) {
	t.Parallel()
	c, _ := upController(t, new(nowhere), func(c *Config) { c.DNSDomain = "corp.test" })
	noLogonServer := &StatusError{Code: statusNoLogonServers}
	c.v.trusts.set(map[string]bool{"SALES": true, "SALES.TEST": true}, time.Now())
	for _, tt := range []struct {
		domain, user string
		unknown      bool
	}{
		{"EVIL", "alice", true}, {"evil.test", "alice", true}, {"", "alice@evil.test", true},
		{"", "alice@sales.test@evil.test", true}, {"", "alice@evil.test@sales.test", false},
		{"sales", "alice", false}, {"sales.test", "alice", false}, {"north.sales.test", "alice", false},
		{"notsales.test", "alice", true}, {"corp", "alice", false}, {"CORP.test", "alice", false},
		{"", "alice", false}, {"", "alice@corp.test", false},
	} {
		got := c.v.unknownDomain(t.Context(), noLogonServer, &ntlm.Attempt{Domain: tt.domain, User: tt.user})
		if got != tt.unknown {
			t.Errorf("%q in %q: unknown %v, want %v", tt.user, tt.domain, got, tt.unknown)
		}
	}
	d := new(nowhere)
	down, log := upController(t, d, nil)
	down.dropIdle()
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if down.v.unknownDomain(t.Context(), noLogonServer, &ntlm.Attempt{Domain: "EVIL", User: "alice"}) {
				t.Error("an unknown domain, without a list")
			}
		})
	}
	wg.Wait()
	if n := d.dials.Load(); n > 2 || strings.Count(log.String(), "trusted domains are not known") != 1 {
		t.Errorf("%d dials, log %s", n, log)
	}
}

// TestRevive: a controller that is down while another is up is tried ever less
// often.
func TestRevive(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	d := new(nowhere)
	c, _ := upController(t, d, func(c *Config) { c.testOnlyNow = func() time.Time { return now } })
	c.failed(errNowhere)
	tried := 0
	for range 10 * 60 {
		now = now.Add(time.Second)
		before := d.dials.Load()
		c.revive()
		c.v.work.Wait()
		if d.dials.Load() > before {
			tried++
		}
	}
	if tried < 10 || tried > 25 {
		t.Errorf("tried %d times in ten minutes", tried)
	}
}
