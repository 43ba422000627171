// Package observe tells what the gateway does: the access log, metrics, traces,
// and whether it is healthy.
//
//   - [Observer.Wrap] is around all that answers requests. It begins the trail of
//     a request (package trail), and when the request is over makes a line of the
//     access log, metrics and a span of it.
//   - [Observer.Login], [Observer.Denied], [Observer.Delegation] and
//     [Observer.Reloaded] are told of decisions, wherever they are made.
//   - [Observer.Admin] answers people and machines who look after the gateway:
//     /healthz, /readyz, /metrics, and a page. [Observer.Guard] keeps others out.
//
// Compatibility: names and labels of metrics, keys of the access log, and names
// in the JSON of /readyz keep their meaning within a major version, and there
// may be more.
package observe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/health"
)

// Options are what an Observer needs besides the configuration.
type Options struct {
	Logger *slog.Logger // for operators; the access log is the configuration's

	// Checks lists what the gateway depends on now.
	Checks func() []health.Check

	// Pools lists the connections that are kept to others, for metrics. It may be
	// nil.
	Pools func() []Pool

	// Version is that of the program. Empty means what the build says.
	Version string
}

// A Pool is the connections to one backend or upstream.
type Pool struct {
	Name string // as configured
	Kind health.Kind

	Active int // with a request on them; below zero: not known
	Idle   int // without
}

// An Observer sees each request and each decision. It is safe for concurrent use,
// and outlives a reload.
type Observer struct {
	logger  *slog.Logger
	version string
	begun   time.Time
	metrics *metrics
	monitor *health.Monitor

	stop func() // the monitor
	done chan struct{}

	set      atomic.Pointer[settings]
	mu       sync.Mutex // of who changes set
	closed   bool
	reloaded atomic.Pointer[reload]
}

// settings are what a reload changes.
type settings struct {
	config *config.Config
	access *lines  // nil: off, or lines of the log
	tracer *tracer // nil: off
}

// reload is how the last one ended.
type reload struct {
	at      time.Time
	err     error     // nil: the configuration is in force
	inForce time.Time // since when that which is in force is
}

// New makes an Observer, opens the access log, and begins to look at what the
// gateway depends on, in the background. Close ends it.
func New(c *config.Config, o Options) (*Observer, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Checks == nil {
		o.Checks = func() []health.Check { return nil }
	}
	ob := &Observer{
		logger: o.Logger, version: o.Version, begun: time.Now(), done: make(chan struct{}),
		monitor: &health.Monitor{Checks: o.Checks, Logger: o.Logger},
	}
	if ob.version == "" {
		ob.version = buildVersion()
	}
	ob.metrics = newMetrics(ob, o.Pools)
	ob.reloaded.Store(&reload{at: ob.begun, inForce: ob.begun})
	if err := ob.Reconfigure(c); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ob.stop = cancel
	go func() {
		defer close(ob.done)
		ob.monitor.Run(ctx)
	}()
	return ob, nil
}

func buildVersion() string {
	if bi, ok := debug.ReadBuildInfo(); ok && bi.Main.Version != "" {
		return bi.Main.Version
	}
	return "unknown"
}

// Reconfigure puts a configuration in force. With an error, the one before stays.
// It opens the file of the access log again, as after it was renamed, so it is
// called with the same configuration too, on SIGHUP.
func (o *Observer) Reconfigure(c *config.Config) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return errClosed
	}
	old := o.set.Load()
	if old == nil {
		old = new(settings)
	}
	next := &settings{config: c, access: old.access, tracer: old.tracer}
	newTracer := old.config == nil || !reflect.DeepEqual(old.config.Tracing, c.Tracing)
	if newTracer {
		var err error
		if next.tracer, err = o.openTracer(c.Tracing); err != nil {
			return err
		}
	}
	var err error
	if old.access != nil && old.config.AccessLog.File == c.AccessLog.File {
		err = old.access.reopen()
	} else {
		next.access, err = o.openAccess(c.AccessLog.File)
	}
	if err != nil {
		if newTracer {
			next.tracer.close(context.Background())
		}
		return err
	}
	o.set.Store(next)
	if old.access != nil && old.access != next.access {
		old.access.close()
	}
	if newTracer && old.tracer != nil {
		go func() { // a collector may be silent
			ctx, cancel := context.WithTimeout(context.Background(), exportTimeout)
			defer cancel()
			old.tracer.close(ctx)
		}()
	}
	return nil
}

var errClosed = errors.New("observe: closed")

// Reloaded is told how a reload ended. err is why the configuration was refused,
// and the one before is in force.
func (o *Observer) Reloaded(err error) {
	now := time.Now()
	inForce := now
	if err != nil {
		inForce = o.reloaded.Load().inForce
	}
	o.reloaded.Store(&reload{at: now, err: err, inForce: inForce})
	o.metrics.reload(err)
	if err != nil {
		o.logger.LogAttrs(context.Background(), slog.LevelError, "reload refused: the configuration before stays in force",
			slog.String("cause", clip(err.Error(), 4096)))
		return
	}
	o.logger.LogAttrs(context.Background(), slog.LevelInfo, "configuration reloaded")
	o.monitor.Kick()
}

// Recheck looks at what the gateway depends on now, without waiting for the next
// time: when the first configuration is in force.
func (o *Observer) Recheck() { o.monitor.Kick() }

// Drain makes /readyz answer 503, so that balancers send no more requests. It is
// called some time before the listeners are closed.
func (o *Observer) Drain() { o.monitor.Drain() }

// Close sends what is not yet sent, and ends what runs in the background. It may
// be called more than once.
func (o *Observer) Close(ctx context.Context) error {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return nil
	}
	o.closed = true
	o.mu.Unlock()
	o.stop()
	s := o.set.Load()
	if s.access != nil {
		s.access.close()
	}
	err := s.tracer.close(ctx)
	select {
	case <-o.done:
	case <-ctx.Done(): // a check that does not end
	}
	if err != nil {
		return fmt.Errorf("observe: %w", err)
	}
	return nil
}
