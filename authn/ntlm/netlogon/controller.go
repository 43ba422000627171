package netlogon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	// A controller that is down is tried again after minBackoff, and then after
	// twice the time as before, up to maxBackoff.
	minBackoff = 250 * time.Millisecond
	maxBackoff = 2 * time.Second

	// openTimeout bounds the opening of a channel, which takes some ten
	// milliseconds.
	openTimeout = 5 * time.Second

	// openTries is how often a channel is opened before the controller counts
	// as down: another program that uses our account may come in between.
	openTries = 3
)

// controller is one domain controller: whether it answers, and our channels to
// it. It is safe for concurrent use.
type controller struct {
	v    *Verifier
	name string // as configured or found
	host string
	port string // Netlogon's, where it is fixed

	slots   chan struct{} // one token for each channel that may be in use
	opening chan struct{} // one token; channels are opened one at a time

	mu      sync.Mutex
	idle    []*channel // the one that was used last comes last
	state   state
	since   time.Time
	cause   error // why it is down
	retryAt time.Time
	backoff time.Duration
	probing *probe
	retired bool
	secret  int // index of the password that worked last

	lookup lookup // of names, on a channel of its own
}

type state int

const (
	stateUnknown state = iota // nobody tried it yet
	stateUp
	stateDown
)

// probe is an attempt to open a channel at a controller that is not up. Logins
// wait for it together.
type probe struct {
	done chan struct{}
	err  error // once done is closed
}

func newController(v *Verifier, name string) *controller {
	c := &controller{
		v: v, name: name, host: name,
		slots:   make(chan struct{}, v.cfg.Channels),
		opening: make(chan struct{}, 1),
	}
	if host, port, err := net.SplitHostPort(name); err == nil {
		c.host, c.port = host, port
	}
	c.host = strings.TrimSuffix(c.host, ".")
	return c
}

func (c *controller) isUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == stateUp
}

// Health tells of one domain controller.
type Health struct {
	Controller string
	Up         bool      // a channel could be opened, and nothing failed since
	Since      time.Time // of the last change; zero if nobody tried it yet
	Err        error     // why it is not up
}

// Health returns what is known of each controller, in order of preference. It
// asks none.
func (v *Verifier) Health() []Health {
	v.mu.Lock()
	cs := v.controllers
	v.mu.Unlock()
	hs := make([]Health, 0, len(cs))
	for _, c := range cs {
		c.mu.Lock()
		hs = append(hs, Health{Controller: c.name, Up: c.state == stateUp, Since: c.since, Err: c.cause})
		c.mu.Unlock()
	}
	return hs
}

// Check opens a channel to each controller that has none, and returns what
// went wrong. Programs call it at their start, or on an operator's demand.
func (v *Verifier) Check(ctx context.Context) error {
	cs, err := v.known(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range cs {
		if err := c.ready(ctx, v.cfg.Timeout); err != nil {
			errs = append(errs, fmt.Errorf("netlogon: %s: %w", c.name, explain(err)))
		}
	}
	return errors.Join(errs...)
}

// use gives f a channel for itself. If the channel turns out to be dead, as
// after a restart of the controller, f gets a new one once.
func (c *controller) use(ctx context.Context, patience time.Duration, f func(*channel) error) error {
	until := time.Now().Add(patience)
	if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until = d
	}
	wait, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	if err := c.ready(wait, patience); err != nil {
		return err
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-wait.Done():
		// That may be our own load, and says nothing of the controller.
		return fmt.Errorf("all %d channels are in use: %w", cap(c.slots), context.Cause(wait))
	}
	for {
		ch := c.take()
		old := ch != nil
		if !old {
			var err error
			if ch, err = c.open(wait); err != nil {
				c.failed(err)
				return err
			}
		}
		ch.until(until)
		err := f(ch)
		if isAnswer(err) {
			c.put(ch)
			return err
		}
		ch.close()
		if old && !isTimeout(err) && wait.Err() == nil {
			c.dropIdle() // they are as old
			continue
		}
		c.failed(err)
		return err
	}
}

// isAnswer reports whether the channel is as good as before.
func isAnswer(err error) bool {
	var status *StatusError
	return err == nil || errors.As(err, &status) && !errors.Is(err, ErrAccount)
}

func isTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// ready waits until the controller is known to be up.
func (c *controller) ready(ctx context.Context, patience time.Duration) error {
	if c.isUp() {
		return nil
	}
	p, err := c.probe()
	if p == nil {
		return err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("no answer yet: %w", context.Cause(ctx))
	case <-timer.C:
		return fmt.Errorf("no answer for %v", patience)
	}
}

// probe begins to open a channel, in the background, unless that is under way
// or was tried a moment ago. It returns the attempt, or why there is none; both
// are nil if the controller is up.
func (c *controller) probe() (*probe, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state == stateUp:
		return nil, nil
	case c.probing != nil:
		return c.probing, nil
	case c.v.cfg.testOnlyNow().Before(c.retryAt):
		return nil, c.cause
	}
	p := &probe{done: make(chan struct{})}
	if !c.v.background(func(ctx context.Context) { c.runProbe(ctx, p) }) {
		return nil, errClosed
	}
	c.probing = p
	return p, nil
}

func (c *controller) runProbe(ctx context.Context, p *probe) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	ch, err := c.open(ctx)
	if err != nil {
		p.err = err
		c.failed(err)
	} else {
		c.put(ch)
		c.cameUp()
	}
	c.mu.Lock()
	c.probing = nil
	c.mu.Unlock()
	close(p.done)
}

func (c *controller) cameUp() {
	c.mu.Lock()
	was := c.state
	c.state, c.cause, c.backoff, c.retryAt = stateUp, nil, 0, time.Time{}
	if was != stateUp {
		c.since = c.v.cfg.testOnlyNow()
	}
	c.mu.Unlock()
	if was == stateDown {
		c.v.cfg.logger().Info("domain controller is back", slog.String("controller", c.name))
	}
}

// failed notes that the controller gave no answer.
func (c *controller) failed(err error) {
	if errors.Is(err, context.Canceled) || c.v.ctx.Err() != nil { // the caller went away, or the verifier was closed
		return
	}
	c.dropIdle()
	c.mu.Lock()
	was, now := c.state, c.v.cfg.testOnlyNow()
	c.backoff = min(max(2*c.backoff, minBackoff), maxBackoff)
	c.state, c.cause, c.retryAt = stateDown, err, now.Add(c.backoff)
	if was != stateDown {
		c.since = now
	}
	c.mu.Unlock()
	if was != stateDown {
		c.v.cfg.logger().Error("domain controller cannot be used", slog.String("controller", c.name),
			slog.String("account", c.v.cfg.accountName()), slog.String("cause", explain(err).Error()))
	}
}

// take returns an idle channel, or nil. The one that was used last is the
// likeliest to live.
func (c *controller) take() *channel {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.idle)
	if n == 0 {
		return nil
	}
	ch := c.idle[n-1]
	c.idle = c.idle[:n-1]
	return ch
}

func (c *controller) put(ch *channel) {
	c.mu.Lock()
	keep := !c.retired && len(c.idle) < cap(c.slots)
	if keep {
		c.idle = append(c.idle, ch)
	}
	c.mu.Unlock()
	if !keep {
		ch.close()
	}
}

func (c *controller) dropIdle() {
	c.mu.Lock()
	idle := c.idle
	c.idle = nil
	c.mu.Unlock()
	for _, ch := range idle {
		ch.close()
	}
}

// retire closes the channels; those in use are closed when they are put back.
// No request gets the controller any more.
func (c *controller) retire() {
	c.mu.Lock()
	c.retired = true
	c.mu.Unlock()
	c.dropIdle()
	c.lookup.close()
}

func (c *controller) close() { c.retire() }

// open opens a channel. Only one is opened at a time: a controller remembers
// one key of an account, so that two who negotiate at once undo each other's
// (it answers the second step with RPC fault 0x721 then).
func (c *controller) open(ctx context.Context) (*channel, error) {
	return c.openWith(ctx, bindLogon)
}

// openWith opens a channel for one of the interfaces, with the first of the
// account's passwords that the controller takes.
func (c *controller) openWith(ctx context.Context, bind binder) (*channel, error) {
	select {
	case c.opening <- struct{}{}:
		defer func() { <-c.opening }()
	case <-ctx.Done():
		return nil, fmt.Errorf("another channel is being opened: %w", context.Cause(ctx))
	}
	secrets, err := c.v.cfg.Secrets()
	if err != nil {
		return nil, fmt.Errorf("password of the computer account: %w", err)
	}
	if len(secrets) == 0 {
		return nil, errors.New("no password for the computer account")
	}
	first := 0
	c.mu.Lock()
	if c.secret < len(secrets) {
		first = c.secret
	}
	c.mu.Unlock()
	for try := 1; ; try++ {
		var ch *channel
		for i := range secrets {
			n := (first + i) % len(secrets)
			if ch, err = openChannel(ctx, &c.v.cfg, c.host, c.port, secrets[n], bind); err == nil {
				c.mu.Lock()
				c.secret = n
				c.mu.Unlock()
				return ch, nil
			}
			if !errors.Is(err, ErrAccount) || errors.Is(err, errKeyReplaced) {
				break
			}
		}
		if !errors.Is(err, errKeyReplaced) {
			return nil, err
		}
		if try == openTries {
			return nil, fmt.Errorf("%w; does another program use the account %s? Each needs its own", err, c.v.cfg.accountName())
		}
	}
}
