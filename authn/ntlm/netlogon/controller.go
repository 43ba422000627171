package netlogon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

const (
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
	foreign chan struct{} // one for each that logins of other domains may use
	opening chan struct{} // one token; channels are opened one at a time

	mu      sync.Mutex
	idle    []*channel // the one that was used last comes last
	state   state
	since   time.Time
	cause   error // why it is down
	retryAt time.Time
	backoff time.Duration
	spareAt time.Time // as retryAt, where another controller is up
	spare   time.Duration
	suspect time.Time // it comes after the others until then
	probing *probe
	retired bool
	secret  int // index of the password that worked last

	lookup lookup // of names, on a channel of its own
}

func newController(v *Verifier, name string) *controller {
	c := &controller{
		v: v, name: name, host: name,
		slots:   make(chan struct{}, v.cfg.Channels),
		foreign: make(chan struct{}, max(1, v.cfg.Channels-1)),
		opening: make(chan struct{}, 1),
	}
	if host, port, err := net.SplitHostPort(name); err == nil {
		c.host, c.port = host, port
	}
	c.host = strings.TrimSuffix(c.host, ".")
	return c
}

// errBusy says that we are the ones who are late, and nothing of the controller.
var errBusy = errors.New("all is in use")

// statusAccessDenied is how a controller answers on a channel that it forgot.
const statusAccessDenied = 0xC0000022

// use gives f a channel for itself. It waits for one as long as patience says,
// and f has the same time again. If the channel turns out to be dead, as after a
// restart of the controller, f gets a new one once.
//
// Whose login it is can go away meanwhile, which disturbs nothing: the channel
// is worth more than the time.
func (c *controller) use(ctx context.Context, patience time.Duration, f func(*channel) error) error {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := c.ready(wait, patience); err != nil {
		return err
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-wait.Done():
		return fmt.Errorf("%w: %d channels: %w", errBusy, cap(c.slots), context.Cause(wait))
	}
	until := time.Now().Add(patience)
	if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until = d
	}
	// With little of the time that it may take, nothing can be said of it.
	fair := time.Until(until) >= c.v.cfg.Patience/2
	work, cancel := context.WithDeadline(context.WithoutCancel(ctx), until)
	defer cancel()
	ch := c.take()
	for old := ch != nil; ; old = false {
		if !old {
			var err error
			if ch, err = c.open(work); err != nil {
				if fair || !isTimeout(err) {
					c.failed(err)
				}
				return err
			}
		}
		ch.until(until)
		err := f(ch)
		switch ch.verdict(err) {
		case channelGood:
			c.trust(err)
			c.put(ch)
			return err
		case channelForgotten:
			ch.close()
			if !old {
				c.mistrust(err)
				return err
			}
		case channelRefused:
			ch.close()
			c.mistrust(err)
			return err
		case channelDead:
			ch.close()
			if old && !isTimeout(err) && work.Err() == nil {
				c.dropIdle() // they are as old
				continue
			}
			if fair || !isTimeout(err) {
				c.doubt(err)
			}
			return err
		}
	}
}

// useForeign is use for a login that the controller asks another domain's about.
// That one may be silent, and every client can name its domain, so that one
// channel is kept from them.
func (c *controller) useForeign(ctx context.Context, patience time.Duration, f func(*channel) error) error {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case c.foreign <- struct{}{}:
		defer func() { <-c.foreign }()
	case <-wait.Done():
		return fmt.Errorf("%w: %d channels for other domains: %w", errBusy, cap(c.foreign), context.Cause(wait))
	}
	return c.use(ctx, patience, f)
}

// verdict is what a call tells of its channel.
type verdict int

const (
	channelGood      verdict = iota
	channelForgotten         // the controller lives and does not know the channel; nothing was done
	channelRefused           // the controller lives and does not do that
	channelDead              // nothing was heard
)

// verdict judges the outcome of a call.
func (ch *channel) verdict(err error) verdict {
	var status *StatusError
	fault := ch.conn.fault.Load()
	switch {
	case errors.As(err, &status) && status.Code == statusAccessDenied, fault == rpcSecPkgError, fault == rpcAccessDenied:
		return channelForgotten
	case err == nil, status != nil:
		return channelGood
	case fault != 0:
		return channelRefused
	}
	return channelDead
}

func isTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
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
		return nil, fmt.Errorf("%w: another channel is being opened: %w", errBusy, context.Cause(ctx))
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
