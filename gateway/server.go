package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/listen"
	"github.com/soapward/soapward/gateway/trail"
)

// A side is what a server is for: a trail.Direction, or the admin.
type side string

const (
	inboundSide  = side(trail.Inbound)
	outboundSide = side(trail.Outbound)
	adminSide    = side("")
)

// A server takes the requests of one address.
type server struct {
	kind     side
	name     string // of the upstream
	addr     config.Address
	listener *listen.Listener
	http     *http.Server

	// pinned is the generation of a server that is being removed: the next one
	// does not have its address.
	pinned atomic.Pointer[generation]

	conns    sync.Map // net.Conn -> *connection; not those that were upgraded
	upgrades sync.Map // *connection -> context.CancelFunc
	ending   atomic.Bool
	started  bool
	done     chan struct{} // closed when it does not accept any more
}

// A connection knows whether it was upgraded.
type connection struct {
	conn     net.Conn
	upgraded atomic.Bool
}

type (
	connectionKey struct{}
	generationKey struct{}
)

func (g *Gateway) newServer(kind side, name string, addr config.Address, l *listen.Listener) *server {
	s := &server{kind: kind, name: name, addr: addr, listener: l, done: make(chan struct{})}
	var h http.Handler
	if kind == adminSide {
		h = g.parts.Admin()
	} else {
		observed := g.parts.Wrap(trail.Direction(kind), string(addr), http.HandlerFunc(s.dispatch))
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.enter(s, observed, w, r) })
	}
	s.http = iwa.Server(h)
	s.http.ErrorLog = slog.NewLogLogger(serverLog{g.log.With(slog.String("listener", string(addr))).Handler()}, slog.LevelInfo)
	connContext, connState := s.http.ConnContext, s.http.ConnState
	s.http.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		conn := &connection{conn: c}
		s.conns.Store(c, conn)
		return connContext(context.WithValue(ctx, connectionKey{}, conn), c)
	}
	s.http.ConnState = func(c net.Conn, state http.ConnState) {
		switch state {
		case http.StateHijacked:
			if conn, ok := s.conns.LoadAndDelete(c); ok {
				conn := conn.(*connection)
				conn.upgraded.Store(true)
				if s.ending.Load() {
					s.endUpgrade(conn)
				}
			}
		case http.StateClosed:
			s.conns.Delete(c)
		}
		connState(c, state)
	}
	return s
}

// enter takes a request into the generation in force, where it stays.
func (g *Gateway) enter(s *server, next http.Handler, w http.ResponseWriter, r *http.Request) {
	gen := g.generationFor(s)
	defer gen.leave()
	r, done := patient(r, unanswered)
	defer done()
	ctx := context.WithValue(r.Context(), generationKey{}, gen)
	ctx = authn.WithClient(ctx, gen.proxies.Client(r))
	if len(r.Header["Upgrade"]) > 0 {
		conn, _ := ctx.Value(connectionKey{}).(*connection)
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		s.upgrades.Store(conn, cancel)
		defer func() {
			s.upgrades.Delete(conn)
			cancel()
		}()
	}
	serveLingering(next, w, r.WithContext(ctx))
}

func (s *server) dispatch(w http.ResponseWriter, r *http.Request) {
	gen := r.Context().Value(generationKey{}).(*generation)
	gen.handlers[s.addr].ServeHTTP(w, r)
}

// generationFor returns a generation that the caller must leave.
func (g *Gateway) generationFor(s *server) *generation {
	for {
		if gen := s.pinned.Load(); gen != nil {
			gen.join() // the server is in it
			return gen
		}
		gen := g.current.Load()
		if !gen.enter() {
			continue // another one is in force by now
		}
		if s.pinned.Load() == nil {
			return gen // which has the address: servers are pinned before the next is in force
		}
		gen.leave()
	}
}

// endUpgrade ends a connection that was upgraded: its handler by its context,
// and what does not look at that by the connection.
func (s *server) endUpgrade(c *connection) {
	if cancel, ok := s.upgrades.Load(c); ok {
		cancel.(context.CancelFunc)()
		_ = c.conn.Close()
	}
}

func (s *server) endUpgrades() {
	s.ending.Store(true)
	s.upgrades.Range(func(c, _ any) bool {
		if c := c.(*connection); c.upgraded.Load() {
			s.endUpgrade(c)
		}
		return true
	})
}

// waitUpgrades returns when no connection is upgraded any more, or ctx ends.
func (s *server) waitUpgrades(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for some := true; some; {
		some = false
		s.upgrades.Range(func(any, any) bool {
			some = true
			return false
		})
		if !some {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// serve begins to accept.
func (g *Gateway) serve(s *server) {
	if s.started {
		return
	}
	s.started = true
	g.ends.Go(func() {
		err := s.http.Serve(s.listener)
		close(s.done)
		if !errors.Is(err, http.ErrServerClosed) {
			select {
			case g.failed <- fmt.Errorf("gateway: %s: %w", s.addr, err):
			default:
			}
		}
	})
}

// shutdown takes no more connections, and ends those that are there when their
// request has ended, or when ctx has.
func (s *server) shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if !s.started { // the server does not know its listener
		err = errors.Join(err, s.listener.Close())
	}
	if err != nil {
		err = fmt.Errorf("gateway: %s: requests were cut off: %w", s.addr, err)
		_ = s.http.Close()
	}
	return err
}

// stopServers stops some servers at the same time.
func (g *Gateway) stopServers(ctx context.Context, which func(*server) bool) error {
	g.mu.Lock()
	var stop []*server
	for addr, s := range g.servers {
		if which(s) {
			stop = append(stop, s)
			delete(g.servers, addr)
		}
	}
	for s := range g.removed {
		stop = append(stop, s)
	}
	g.mu.Unlock()
	errs := make([]error, len(stop))
	var wg sync.WaitGroup
	for i, s := range stop {
		wg.Go(func() {
			s.endUpgrades()
			errs[i] = s.shutdown(ctx)
			s.endUpgrades()
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// A change is what a configuration does to the servers.
type change struct {
	g       *Gateway
	added   []*server
	removed []*server
	apply   []func()
	keep    map[config.Address]*server
}

// prepare opens what is new. It changes nothing that serves.
func (g *Gateway) prepare(next *generation) (_ *change, err error) {
	next.ready()
	c := &change{g: g, keep: make(map[config.Address]*server)}
	defer func() {
		if err != nil {
			c.abandon()
		}
	}()
	want := func(kind side, name string, l config.Listener) error {
		old := g.serverOf(l.Addr)
		if old != nil && old.kind == kind && old.name == name {
			apply, err := old.listener.Prepare(l)
			if err == nil {
				c.apply = append(c.apply, apply)
				c.keep[l.Addr] = old
				return nil
			}
			if !errors.Is(err, listen.ErrReopen) {
				return err
			}
		}
		var opened *listen.Listener
		var err error
		if old != nil {
			opened, err = old.listener.Reopen(l)
		} else {
			opened, err = listen.Open(l, listen.Options{Inherited: g.inherited, Logger: g.log})
		}
		if err != nil {
			return err
		}
		s := g.newServer(kind, name, l.Addr, opened)
		c.added = append(c.added, s)
		c.keep[l.Addr] = s
		return nil
	}
	var errs []error
	for _, l := range next.config.Listen {
		errs = append(errs, want(inboundSide, "", l))
	}
	for _, e := range next.outbound {
		errs = append(errs, want(outboundSide, e.name, config.Listener{Addr: e.addr}))
	}
	if a := next.config.Admin; a != nil {
		errs = append(errs, want(adminSide, "", config.Listener{Addr: a.Addr, TLS: a.TLS}))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for addr, s := range g.servers {
		if c.keep[addr] != s {
			c.removed = append(c.removed, s)
		}
	}
	return c, nil
}

// abandon closes what was opened.
func (c *change) abandon() {
	for _, s := range c.added {
		_ = s.listener.Close()
	}
}

func (g *Gateway) serverOf(a config.Address) *server {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.servers[a]
}

// commit puts next into force.
func (c *change) commit(next *generation) {
	g := c.g
	old := g.current.Load()
	for _, s := range c.removed {
		old.join() // it is in force, so not retired
		s.pinned.Store(old)
	}
	for _, apply := range c.apply {
		apply()
	}
	g.current.Store(next)
	g.mu.Lock()
	g.servers = c.keep
	for _, s := range c.removed {
		g.removed[s] = true
	}
	g.mu.Unlock()
	for _, s := range c.added {
		if g.serving {
			g.serve(s)
		}
	}
	if g.serving {
		next.start(context.Background())
	}
	for _, s := range c.removed {
		if s.started {
			defer func() { <-s.done }() // so that the address can be opened again
		}
		g.ends.Go(func() {
			// What is in flight takes its time, as it would without a reload, but
			// does not hold up the stop of the process.
			if err := s.shutdown(g.quit); err != nil {
				g.log.Warn("requests at a listener that was removed", slog.String("cause", err.Error()))
			}
			s.waitUpgrades(g.quit)
			old.leave()
			g.mu.Lock()
			defer g.mu.Unlock()
			delete(g.removed, s)
		})
	}
}

func sortListening(l []Listening) {
	rank := map[trail.Direction]int{trail.Inbound: 0, trail.Outbound: 1}
	of := func(l Listening) int {
		if r, ok := rank[l.Direction]; ok {
			return r
		}
		return 2
	}
	slices.SortFunc(l, func(a, b Listening) int {
		return cmp.Or(cmp.Compare(of(a), of(b)), cmp.Compare(a.Upstream, b.Upstream), cmp.Compare(a.Addr, b.Addr))
	})
}

// serverLog gives the lines of net/http a message that is constant, and a level.
type serverLog struct{ slog.Handler }

// Enabled implements slog.Handler.
func (serverLog) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (l serverLog) Handle(ctx context.Context, r slog.Record) error {
	level := slog.LevelWarn
	switch text := r.Message; {
	case strings.HasPrefix(text, "http: panic serving"):
		level = slog.LevelError
	case strings.HasPrefix(text, "http: TLS handshake error"): // anybody can cause it
		level = slog.LevelDebug
	}
	if !l.Handler.Enabled(ctx, level) {
		return nil
	}
	out := slog.NewRecord(r.Time, level, "the HTTP server says", 0)
	out.AddAttrs(slog.String("text", r.Message))
	return l.Handler.Handle(ctx, out)
}
