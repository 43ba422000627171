package throttle

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/authn"
)

// maxWaiting is how many tries of one address may wait to be judged.
const maxWaiting = 256

// gate lets one guess for a user at an address be judged at a time, and so many
// of an address. The zero value is ready; it is safe for concurrent use.
type gate struct {
	// failures changes with each failure that is counted. As long as it stays
	// the same, no new block came from this node.
	failures atomic.Uint64

	mu      sync.Mutex
	flights map[string]*flight   // by key of the user
	lanes   map[netip.Addr]*lane // by client
}

// flight is a guess that is being judged.
type flight struct {
	guess string
	done  chan struct{} // closed when id and err are set
	id    *authn.Identity
	err   error
}

// lane is the tries of one address.
type lane struct {
	slots chan struct{}
	refs  int // in it or waiting
}

// enter waits until no other guess for key is being judged. leads is false if
// the same guess was, and f then has what came of it.
func (g *gate) enter(ctx context.Context, key, guess string, wait time.Duration) (f *flight, leads bool, err error) {
	var timeout <-chan time.Time
	for {
		g.mu.Lock()
		f := g.flights[key]
		if f == nil {
			if g.flights == nil {
				g.flights = map[string]*flight{}
			}
			f = &flight{guess: guess, done: make(chan struct{})}
			g.flights[key] = f
			g.mu.Unlock()
			return f, true, nil
		}
		g.mu.Unlock()
		if timeout == nil {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-f.done:
			if guess != "" && f.guess == guess {
				return f, false, nil
			}
		case <-ctx.Done():
			return nil, false, ctx.Err()
		case <-timeout:
			return nil, false, fmt.Errorf("%w: other logins of the same user and address are being judged for more than %v", authn.ErrOverloaded, wait)
		}
	}
}

// leave ends f, which key's user led.
func (g *gate) leave(key string, f *flight) {
	g.mu.Lock()
	delete(g.flights, key)
	g.mu.Unlock()
	close(f.done)
}

// slot waits for one of limit places of a client.
func (g *gate) slot(ctx context.Context, c client, limit int, wait time.Duration) (release func(), err error) {
	g.mu.Lock()
	l := g.lanes[c.addr]
	if l == nil {
		if g.lanes == nil {
			g.lanes = map[netip.Addr]*lane{}
		}
		l = &lane{slots: make(chan struct{}, limit)}
		g.lanes[c.addr] = l
	}
	if l.refs >= limit+maxWaiting {
		g.mu.Unlock()
		return nil, fmt.Errorf("%w: %d logins of %s wait to be judged", authn.ErrOverloaded, maxWaiting, c.key())
	}
	l.refs++
	g.mu.Unlock()
	unref := func() {
		g.mu.Lock()
		if l.refs--; l.refs == 0 {
			delete(g.lanes, c.addr)
		}
		g.mu.Unlock()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case l.slots <- struct{}{}:
		return func() { <-l.slots; unref() }, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = fmt.Errorf("%w: logins of %s are being judged for more than %v", authn.ErrOverloaded, c.key(), wait)
	}
	unref()
	return nil, err
}
