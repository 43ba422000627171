package backend

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxIdle is how many idle connections are kept for a server.
const maxIdle = 256

// queueFactor times max_connections requests wait for a connection.
const queueFactor = 4

// defaultQueueTimeout is for how long, without a timeout of the service.
const defaultQueueTimeout = 10 * time.Second

var (
	errBusy   = errors.New("it has as many requests as it may get, and the queue is full")
	errQueued = errors.New("it has as many requests as it may get, and none ended in time")
)

// A pool has the connections to one server. It is safe for concurrent use.
type pool struct {
	connectTimeout, idleTimeout, queueTimeout time.Duration
	max                                       int // requests at once; 0: no limit

	busy atomic.Int32 // requests that have a connection, or wait for one

	mu      sync.Mutex
	idle    []*conn // the one used last comes last
	taken   int
	waiting []chan struct{} // closed when its turn has come
	sweep   *time.Timer     // runs while there are idle connections
	closed  bool
}

// enter waits until the server may get another request.
func (p *pool) enter(ctx context.Context) error {
	p.busy.Add(1)
	if p.max == 0 {
		return nil
	}
	p.mu.Lock()
	if p.taken < p.max {
		p.taken++
		p.mu.Unlock()
		return nil
	}
	if len(p.waiting) >= queueFactor*p.max {
		p.mu.Unlock()
		p.busy.Add(-1)
		return errBusy
	}
	turn := make(chan struct{})
	p.waiting = append(p.waiting, turn)
	p.mu.Unlock()

	late := time.NewTimer(p.queueTimeout)
	defer late.Stop()
	err := errQueued
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-late.C:
	}
	p.mu.Lock()
	if i := slices.Index(p.waiting, turn); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		p.mu.Unlock()
		p.busy.Add(-1)
		return err
	}
	p.mu.Unlock()
	p.leave() // its turn came in the meantime
	return err
}

// leave undoes enter.
func (p *pool) leave() {
	p.busy.Add(-1)
	if p.max == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) > 0 {
		close(p.waiting[0])
		p.waiting = slices.Delete(p.waiting, 0, 1)
		return
	}
	p.taken--
}

// take returns an idle connection that is open, or nil.
func (p *pool) take() *conn {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if c.fresh(time.Now()) {
			return c
		}
		c.kill()
	}
}

// put keeps a connection for another request. The server keeps it for idle, if
// that is not zero; we stay below it, so that no request meets its end.
func (p *pool) put(c *conn, idle time.Duration) {
	c.used, c.since, c.limit = true, time.Now(), p.idleTimeout
	if idle > 0 {
		c.limit = min(c.limit, idle*3/4)
	}
	p.mu.Lock()
	if p.closed || len(p.idle) >= maxIdle {
		p.mu.Unlock()
		c.kill()
		return
	}
	p.idle = append(p.idle, c)
	if p.sweep == nil {
		p.sweep = time.AfterFunc(p.sweepTime(), p.expire)
	}
	p.mu.Unlock()
}

func (p *pool) sweepTime() time.Duration { return max(p.idleTimeout/2, 10*time.Millisecond) }

// expire closes what was idle for too long, and what servers closed.
func (p *pool) expire() {
	now := time.Now()
	p.mu.Lock()
	gone := slices.DeleteFunc(slices.Clone(p.idle), func(c *conn) bool { return c.fresh(now) })
	p.idle = slices.DeleteFunc(p.idle, func(c *conn) bool { return slices.Contains(gone, c) })
	if len(p.idle) > 0 && !p.closed {
		p.sweep.Reset(p.sweepTime())
	} else {
		p.sweep = nil
	}
	p.mu.Unlock()
	for _, c := range gone {
		c.kill()
	}
}

// fresh reports whether an idle connection can be used.
func (c *conn) fresh(now time.Time) bool { return now.Sub(c.since) < c.limit && c.probe.alive() }

// close ends idle connections, and others when they are put back.
func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	if p.sweep != nil {
		p.sweep.Stop()
		p.sweep = nil
	}
	p.mu.Unlock()
	for _, c := range idle {
		c.kill()
	}
}
