// Package gateway is Windows authentication in front of any service, and out of
// any program: the parts below it, put together from a configuration.
//
//		c, err := config.Load(file)
//		...
//		g, err := gateway.New(c, file, gateway.Options{})
//		...
//		err = g.Run(ctx) // until ctx ends
//
//	  - [New] makes all parts and opens the addresses; [Gateway.Run] serves.
//	  - [Gateway.Reload] reads the configuration again, makes a new generation of
//	    parts, and puts it into force in place of the other one. What is wrong
//	    leaves the running one in force. Run does the same when the files change.
//	  - Requests end in the generation that they began in, and listeners that did
//	    not change keep their connections, so that a reload costs no request.
//
// "soapward serve" is this package with a command line.
//
// Compatibility: exported names keep their meaning within a major version, and
// structs may gain fields whose zero value keeps today's behaviour.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/health"
	"github.com/soapward/soapward/gateway/listen"
	"github.com/soapward/soapward/gateway/trail"
)

// Options are what a Gateway needs besides the configuration.
type Options struct {
	Logger *slog.Logger // nil means slog.Default()

	// NoWatch does not look for files that change: only Reload reads them again.
	NoWatch bool

	// Version is that of the program, for those who look after it. Empty means
	// what the build says.
	Version string

	// InForce is told of each configuration that is put into force. Nil tells
	// nobody.
	InForce func(*config.Config)

	testOnlyParts func(*Gateway) parts // in place of the real ones
}

// parts is who makes generations, and sees requests.
type parts interface {
	observer

	// build makes a generation, from what previous has where that did not
	// change. previous is nil at the start.
	build(ctx context.Context, c *config.Config, previous *generation) (*generation, error)

	// close ends what outlives generations. It is called after the last of them
	// was closed.
	close(ctx context.Context) error
}

// A Gateway serves a configuration. New makes it, and Run must be called once
// then, which ends it as well. It is safe for concurrent use.
type Gateway struct {
	file      string
	log       *slog.Logger
	inherited *listen.Inherited
	parts     parts
	watch     bool
	inForce   func(*config.Config)

	current  atomic.Pointer[generation]
	stopping atomic.Bool

	reloading sync.Mutex // held by a reload, and when it stops
	serving   bool       // Run was called
	tried     []string   // files of the configuration that was read last, in force or not
	seen      fingerprints
	// lastClosed is closed when all generations that are not in force were ended.
	lastClosed <-chan struct{}
	ends       sync.WaitGroup
	failed     chan error      // of a server
	quit       context.Context // ends when no request is waited for any more
	endWait    context.CancelFunc

	mu      sync.Mutex // for servers
	servers map[config.Address]*server
	removed map[*server]bool // which still have connections
}

// ErrStopping means that the gateway stops, so that it is not reloaded.
var ErrStopping = errors.New("gateway: it is stopping")

// New makes a Gateway of a configuration that was loaded from a file, and opens
// its addresses. An address that cannot be opened is a *listen.Error.
func New(c *config.Config, file string, o Options) (*Gateway, error) {
	g := &Gateway{file: file, log: o.Logger, watch: !o.NoWatch, inForce: o.InForce, tried: c.Files,
		servers: make(map[config.Address]*server), removed: make(map[*server]bool),
		failed: make(chan error, 1)}
	none := make(chan struct{})
	close(none)
	g.lastClosed = none
	g.quit, g.endWait = context.WithCancel(context.Background())
	if g.log == nil {
		g.log = slog.Default()
	}
	var err error
	g.recoverFiles() // c is what they are then
	if g.inherited, err = listen.Inherit(); err != nil {
		return nil, err
	}
	if o.testOnlyParts != nil {
		g.parts = o.testOnlyParts(g)
	} else if g.parts, err = newComposer(c, g, o.Version); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	if err := g.replace(ctx, c); err != nil {
		return nil, errors.Join(err, g.parts.close(ctx))
	}
	g.seen = g.fingerprints()
	return g, nil
}

// buildTimeout is how long the making of a generation may take, of which only
// the store waits for somebody.
const buildTimeout = time.Minute

// Reload reads the configuration again and puts it into force. After an error
// the running one is in force as before. It may be called before Run.
func (g *Gateway) Reload() error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	return g.reloadHeld()
}

// Replace calls change, which may change the files of the configuration, and
// reloads. Nobody else reloads, or looks at the files, meanwhile. If change fails
// nothing else is done; if the configuration is refused, undo is called, and the
// files are read again.
func (g *Gateway) Replace(change func() (undo func() error, err error)) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	if g.stopping.Load() {
		return ErrStopping
	}
	undo, err := change()
	if err != nil {
		return err
	}
	if err = g.reloadHeld(); err == nil {
		return nil
	}
	if failed := undo(); failed != nil {
		return errors.Join(err, fmt.Errorf("gateway: the files of before were not put back: %w", failed))
	}
	_ = g.reloadHeld() // which says what was wrong before
	return err
}

// reloadHeld is Reload with g.reloading held.
func (g *Gateway) reloadHeld() error {
	if g.stopping.Load() {
		return ErrStopping
	}
	g.notify(stateReloading())
	begin, before := time.Now(), g.fingerprints()
	err := g.reload()
	seen := g.fingerprints().since(before, begin)
	if err != nil {
		seen.certificates = g.seen.certificates // which may be right, and are read on their own
	}
	g.seen = seen
	g.parts.Reloaded(err)
	if g.serving {
		g.notify(stateReady)
	}
	return err
}

// recoverFiles ends a change of the configuration's files that was interrupted. If
// it cannot, the configuration is read as it says all the same, or refused.
func (g *Gateway) recoverFiles() {
	done, err := config.Recover(g.file)
	switch {
	case err != nil:
		g.log.Warn("applying a configuration was interrupted, and that could not be ended", slog.String("cause", err.Error()))
	case done == nil:
	case done.Finished:
		g.log.Warn("applying a configuration was interrupted, and is finished now", slog.Any("files", done.Files))
	default:
		g.log.Warn("applying a configuration was interrupted, and is taken back now", slog.Any("files", done.Files))
	}
}

func (g *Gateway) reload() error {
	g.recoverFiles()
	c, err := config.Load(g.file)
	if err != nil {
		if many, ok := errors.AsType[*config.Errors](err); ok {
			g.tried = many.Files
		}
		return err
	}
	g.tried = c.Files
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	return g.replace(ctx, c)
}

// replace puts a configuration into force, or leaves everything as it is.
func (g *Gateway) replace(ctx context.Context, c *config.Config) error {
	old := g.current.Load()
	next, err := g.parts.build(ctx, c, old)
	if err != nil {
		return err
	}
	change, err := g.prepare(next)
	if err != nil {
		next.close(old)
		return err
	}
	if old != nil {
		if err := g.parts.Reconfigure(c); err != nil {
			change.abandon()
			next.close(old)
			return err
		}
	}
	change.commit(next)
	if next.inForce != nil {
		next.inForce()
	}
	if g.inForce != nil {
		g.inForce(c)
	}
	if old != nil {
		for _, w := range next.warnings { // the first ones are for whoever calls New
			g.log.Warn("configuration", slog.String("warning", w))
		}
		// In order: what a generation has of the one before is not ended while
		// that one has requests.
		drained, before, closed := old.retire(), g.lastClosed, make(chan struct{})
		g.lastClosed = closed
		g.ends.Go(func() {
			defer close(closed)
			for _, c := range []<-chan struct{}{drained, before} {
				select {
				case <-c:
				case <-g.quit.Done():
				}
			}
			old.close(next)
		})
	}
	return nil
}

// Run serves until ctx ends, and then stops: it takes no more requests, gives
// those in flight the time of shutdown.grace, and ends connections that were
// upgraded, such as WebSockets. It returns nil after that, and an error if a
// listener failed or requests had to be cut off.
func (g *Gateway) Run(ctx context.Context) error {
	g.reloading.Lock()
	g.serving = true
	g.mu.Lock()
	for _, s := range g.servers {
		g.serve(s)
	}
	g.mu.Unlock()
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	g.current.Load().start(background)
	g.reloading.Unlock()
	g.parts.Recheck()
	g.notify(stateReady)
	g.ends.Go(func() { g.feedWatchdog(background) })
	if g.watch {
		g.ends.Go(func() { g.watchFiles(background) })
	}
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-g.failed:
	}
	g.parts.Drain()
	g.notify(stateStopping)
	g.log.Info("stopping", slog.String("grace", g.Config().Shutdown.Grace.Std().String()))
	// A reload that has begun ends, and no other begins. The lock is not held any
	// longer: who looks at the files takes it, and is waited for.
	g.reloading.Lock()
	g.stopping.Store(true)
	g.reloading.Unlock()
	return errors.Join(failure, g.stop(context.WithoutCancel(ctx), cancel))
}

// closeTimeout is how long it may take to write what is not yet written.
const closeTimeout = 10 * time.Second

func (g *Gateway) stop(ctx context.Context, endBackground func()) error {
	grace, cancel := context.WithTimeout(ctx, g.Config().Shutdown.Grace.Std())
	defer cancel()
	err := g.stopServers(grace, func(s *server) bool { return s.kind != adminSide })
	endBackground()
	last := g.current.Load()
	select {
	case <-last.retire():
	case <-grace.Done():
	case <-time.After(time.Second): // what was upgraded is ending
	}
	g.endWait()
	<-g.lastClosed
	last.close(nil)
	ctx, cancel = context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	err = errors.Join(err, g.stopServers(ctx, func(*server) bool { return true })) // that of administrators, too
	g.ends.Wait()
	return errors.Join(err, g.parts.close(ctx))
}

// Config returns the configuration in force.
func (g *Gateway) Config() *config.Config { return g.current.Load().config }

// Warnings says what an operator should know of the configuration in force: what
// is dangerous or does nothing, and callers who cannot be passed on. Those of a
// reload are in the log as well.
func (g *Gateway) Warnings() []string { return g.current.Load().warnings }

// Checks says what the gateway depends on.
func (g *Gateway) Checks() []health.Check {
	checks := []health.Check{{
		Name: "gateway", Kind: health.Process, Essential: true, Remedy: "none: it stops",
		Run: func(context.Context) error {
			if g.stopping.Load() {
				return ErrStopping
			}
			return nil
		},
	}}
	gen := g.current.Load()
	if gen == nil { // it is being made
		return checks
	}
	if gen.checks != nil {
		checks = append(checks, gen.checks()...)
	}
	return append(checks, g.certificateChecks()...)
}

// expiresSoon is before when a certificate should have been replaced.
const expiresSoon = 7 * 24 * time.Hour

func (g *Gateway) certificateChecks() (checks []health.Check) {
	seen := make(map[string]bool)
	for _, l := range g.Listening() {
		for _, cert := range l.Certificates {
			if seen[cert.File] {
				continue
			}
			seen[cert.File] = true
			checks = append(checks, health.Check{
				Name: "certificate " + cert.File, Kind: health.File, Remedy: "put a new certificate into the file: it is read as soon as it changes",
				Run: func(context.Context) error {
					if time.Until(cert.NotAfter) < expiresSoon {
						return fmt.Errorf("gateway: the certificate ends at %s", cert.NotAfter.Format(time.RFC3339))
					}
					return nil
				},
			})
		}
	}
	return checks
}

// A Listening is an address that is open.
type Listening struct {
	Addr         config.Address
	Local        net.Addr
	Direction    trail.Direction // empty: the admin listener
	Upstream     string          // outbound: which one is called there
	TLS          bool
	Certificates []listen.Certificate
}

// Listening lists the open addresses: those of services, of upstreams, and that
// of administrators.
func (g *Gateway) Listening() []Listening {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []Listening
	for _, s := range g.servers {
		l := Listening{Addr: s.addr, Local: s.listener.Addr(), Upstream: s.name, Certificates: s.listener.Certificates()}
		l.TLS = l.Certificates != nil
		if s.kind != adminSide {
			l.Direction = trail.Direction(s.kind)
		}
		out = append(out, l)
	}
	sortListening(out)
	return out
}
