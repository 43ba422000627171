package netlogon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

const (
	// A controller that is down is tried again after minBackoff, and then after
	// twice the time as before, up to maxBackoff.
	minBackoff = 250 * time.Millisecond
	maxBackoff = 2 * time.Second

	// maxSpareBackoff is the same where no login waits for it, since another
	// controller is up. Many a domain has some that are never in reach.
	maxSpareBackoff = time.Minute

	// suspicion is how long a controller that left a call without an answer
	// comes after the others.
	suspicion = 30 * time.Second
)

type state int

const (
	stateUnknown state = iota // nobody tried it yet, or a call had no answer: a probe will tell
	stateUp
	stateDown
)

// probe is an attempt to open a channel at a controller that is not up. Logins
// wait for it together.
type probe struct {
	done chan struct{}
	err  error // once done is closed
}

func (c *controller) isUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == stateUp
}

// Health tells of one domain controller.
type Health struct {
	Controller string
	Up         bool      // a channel could be opened, and no call was left without an answer since
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
	for _, c := range cs { // all at once
		_, _ = c.probe()
	}
	for _, c := range cs {
		if err := c.ready(ctx, v.cfg.Timeout); err != nil {
			errs = append(errs, fmt.Errorf("netlogon: %s: %w", c.name, explain(err)))
		}
	}
	return errors.Join(errs...)
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
	c.state, c.cause = stateUp, nil
	c.backoff, c.retryAt, c.spare, c.spareAt = 0, time.Time{}, 0, time.Time{}
	if was != stateUp {
		c.since = c.v.cfg.testOnlyNow()
	}
	c.mu.Unlock()
	if was == stateDown {
		c.v.cfg.logger().Info("domain controller is back", slog.String("controller", c.name))
	}
}

// failed notes that no channel could be opened.
func (c *controller) failed(err error) {
	if errors.Is(err, errBusy) || errors.Is(err, context.Canceled) || c.v.ctx.Err() != nil { // the verifier was closed
		return
	}
	c.dropIdle()
	c.mu.Lock()
	was, now := c.state, c.v.cfg.testOnlyNow()
	if !now.Before(c.retryAt) { // several that failed together count once
		c.backoff = min(max(2*c.backoff, minBackoff), maxBackoff)
		c.spare = min(max(2*c.spare, minBackoff), maxSpareBackoff)
		c.retryAt, c.spareAt = now.Add(c.backoff), now.Add(c.spare)
	}
	c.state, c.cause = stateDown, err
	if was != stateDown {
		c.since = now
	}
	c.mu.Unlock()
	if was != stateDown {
		c.v.cfg.logger().Error("domain controller cannot be used", slog.String("controller", c.name),
			slog.String("account", c.v.cfg.accountName()), slog.String("cause", explain(err).Error()))
	}
}

// doubt notes that a call had no answer. That may be the call's fault: the
// controller may wait for the one of a trusted domain, which every client can
// name. So a new channel has to show whether the controller is up.
func (c *controller) doubt(err error) {
	c.mistrust(err)
	c.mu.Lock()
	doubted := c.state == stateUp
	if doubted {
		c.state, c.cause, c.since = stateUnknown, err, c.v.cfg.testOnlyNow()
	}
	c.mu.Unlock()
	if doubted {
		_, _ = c.probe()
	}
}

// mistrust notes that a call had no answer that it should have, so that the
// other controllers are asked first for a while.
func (c *controller) mistrust(err error) {
	c.mu.Lock()
	now := c.v.cfg.testOnlyNow()
	fresh := !now.Before(c.suspect)
	c.suspect = now.Add(suspicion)
	c.mu.Unlock()
	if fresh {
		c.v.cfg.logger().Warn("domain controller did not answer a call", slog.String("controller", c.name),
			slog.String("cause", explain(err).Error()))
	}
}

// trust ends the suspicion after an answer.
func (c *controller) trust(err error) {
	if err == nil || answered(err) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.suspect = time.Time{}
	}
}

// rank is the place of a controller among the others: the lower, the earlier.
func (c *controller) rank() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state != stateUp:
		return rankNotUp
	case c.v.cfg.testOnlyNow().Before(c.suspect):
		return rankSuspect
	}
	return rankUp
}

const (
	rankUp = iota
	rankSuspect
	rankNotUp
)

// revive tries a controller that is not up again, beside the logins, which
// another one judges.
func (c *controller) revive() {
	c.mu.Lock()
	due := !c.v.cfg.testOnlyNow().Before(c.spareAt)
	c.mu.Unlock()
	if due {
		_, _ = c.probe()
	}
}
