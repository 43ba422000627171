package gateway

import (
	"context"
	"math"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/health"
)

// A generation has the parts that were made of one configuration.
type generation struct {
	config   *config.Config
	proxies  *authn.Proxies
	inbound  http.Handler
	outbound []endpoint
	warnings []string

	checks     func() []health.Check     // may be nil
	background func(ctx context.Context) // until ctx ends; may be nil
	end        func(next *generation)    // ends what next did not take over; may be nil
	inForce    func()                    // is called when it is put into force; may be nil
	own        any                       // of who built it

	handlers map[config.Address]http.Handler // of inbound and outbound

	users   atomic.Int64 // requests in it; far below zero once it is retired
	drained chan struct{}
	once    sync.Once
	mu      sync.Mutex
	stopRun context.CancelFunc // of background
	closed  bool
	ran     sync.WaitGroup
}

// An endpoint is where an upstream is called.
type endpoint struct {
	name    string
	addr    config.Address
	handler http.Handler
}

const retired = math.MinInt64 / 2

// ready completes a generation that was built.
func (g *generation) ready() {
	g.drained = make(chan struct{})
	g.handlers = make(map[config.Address]http.Handler)
	for _, l := range g.config.Listen {
		g.handlers[l.Addr] = g.inbound
	}
	for _, e := range g.outbound {
		g.handlers[e.addr] = e.handler
	}
}

// enter counts a request, and reports false if the generation is retired.
func (g *generation) enter() bool {
	if g.users.Add(1) > 0 {
		return true
	}
	g.leave()
	return false
}

// join is enter for whoever knows that a request is in it.
func (g *generation) join() { g.users.Add(1) }

func (g *generation) leave() {
	if g.users.Add(-1) == retired {
		g.drain()
	}
}

func (g *generation) drain() { g.once.Do(func() { close(g.drained) }) }

// retire lets no more requests in and returns what is closed when the last one
// has left. It is called once, and ends what runs in the background.
func (g *generation) retire() <-chan struct{} {
	g.mu.Lock()
	if g.stopRun != nil {
		g.stopRun()
	}
	g.closed = true
	g.mu.Unlock()
	if g.users.Add(retired) == retired {
		g.drain()
	}
	return g.drained
}

// start runs what is to be done in the background, until ctx ends or the
// generation is retired.
func (g *generation) start(ctx context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.background == nil || g.stopRun != nil || g.closed {
		return
	}
	ctx, g.stopRun = context.WithCancel(ctx)
	g.ran.Go(func() { g.background(ctx) })
}

// close ends what next did not take over.
func (g *generation) close(next *generation) {
	g.mu.Lock()
	if g.stopRun != nil {
		g.stopRun()
	}
	g.closed = true
	g.mu.Unlock()
	g.ran.Wait()
	if g.end != nil {
		g.end(next)
	}
}
