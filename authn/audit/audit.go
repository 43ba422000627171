package audit

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// A Store keeps logins, such as *store.Store. One that is a Counter is also told
// how often something happened.
type Store interface {
	AddLogin(ctx context.Context, l *directory.Login) error
}

// Defaults of Config.
const (
	defaultQueue   = 1024
	defaultTimeout = 10 * time.Second
)

// reportEvery is how often at most the log says that logins were lost.
const reportEvery = time.Minute

// Config is what a Recorder needs. Store must be set.
type Config struct {
	Store Store
	Realm string // noted with each login; may be empty

	// Queue is how many decisions may wait to be written. Zero means 1024.
	Queue int

	// Timeout is how long the store may take for one. Zero means 10 s.
	Timeout time.Duration

	Logger *slog.Logger // nil means slog.Default()
}

// Recorder writes decisions into a store. New makes it, and Close must end it.
// It is safe for concurrent use.
type Recorder struct {
	c     Config
	queue chan *directory.Login
	stop  chan struct{} // closed when nothing more is taken
	done  chan struct{} // closed when the last one was written
	abort context.CancelFunc

	mu      sync.RWMutex // held for writing to close
	closed  bool
	flood   flood
	counter Counter // nil: nobody wants to know
	counts  counts
	dropped atomic.Uint64
	failed  atomic.Uint64
}

// New starts a Recorder.
func New(c Config) *Recorder {
	if c.Queue <= 0 {
		c.Queue = defaultQueue
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Recorder{
		c: c, queue: make(chan *directory.Login, c.Queue),
		stop: make(chan struct{}), done: make(chan struct{}), abort: cancel,
	}
	r.counter, _ = c.Store.(Counter)
	go r.run(ctx)
	return r
}

// Observe takes a decision and returns at once. All of them are counted, also those
// that are too many to be recorded. It fits the field Observe of
// authn.Middleware.
func (r *Recorder) Observe(_ context.Context, d *authn.Decision) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		r.dropped.Add(1)
		return
	}
	if r.counter != nil {
		r.counts.decision(d)
	}
	if !r.flood.takes(d) {
		r.dropped.Add(1)
		return
	}
	select {
	case r.queue <- loginOf(d, r.c.Realm):
	default:
		r.dropped.Add(1)
	}
}

// DoubleHop counts a caller who could not be passed on for want of delegation.
func (r *Recorder) DoubleHop() {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.counter != nil && !r.closed {
		r.counts.add(time.Now(), directory.CountDoubleHop, "", "", 1)
	}
}

// Lost returns how many decisions are not in the store: those for which the
// queue had no room, or of whose kind a client had too many, and those that the
// store did not take.
func (r *Recorder) Lost() (dropped, failed uint64) { return r.dropped.Load(), r.failed.Load() }

// Close takes no more decisions and waits until those in the queue, and what was
// counted, are written, or until ctx ends, whose error it returns then. It may be
// called more than once.
func (r *Recorder) Close(ctx context.Context) error {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.stop)
	}
	r.mu.Unlock()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		r.abort()
		<-r.done
		return ctx.Err()
	}
}

func (r *Recorder) run(ctx context.Context) {
	defer close(r.done)
	defer r.abort()
	report := lossReport{logger: r.c.Logger}
	ticker := time.NewTicker(reportEvery)
	defer ticker.Stop()
	counting := time.NewTicker(countEvery)
	defer counting.Stop()
	for {
		select {
		case l := <-r.queue:
			r.write(ctx, &report, l)
		case <-ticker.C:
		case <-counting.C:
			r.count(ctx)
		case <-r.stop:
			for len(r.queue) > 0 {
				r.write(ctx, &report, <-r.queue)
			}
			r.count(ctx)
			report.say(time.Time{}, r.dropped.Load(), r.failed.Load())
			return
		}
		report.say(time.Now(), r.dropped.Load(), r.failed.Load())
	}
}

func (r *Recorder) write(ctx context.Context, report *lossReport, l *directory.Login) {
	ctx, cancel := context.WithTimeout(ctx, r.c.Timeout)
	defer cancel()
	if err := r.c.Store.AddLogin(ctx, l); err != nil {
		r.failed.Add(1)
		report.err = err
	}
}

// count writes what was counted. What the store does not take waits for the next
// time. If it took it without being able to say so, it counts twice.
func (r *Recorder) count(ctx context.Context) {
	all, missed := r.counts.take()
	if missed > 0 {
		r.c.Logger.LogAttrs(ctx, slog.LevelWarn, "counts are missing from the charts", slog.Uint64("missed", missed),
			slog.String("hint", "the store was away for long; the record of logins says by itself what it misses"))
	}
	if len(all) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, r.c.Timeout)
	defer cancel()
	if err := r.counter.AddCounts(ctx, all); err != nil {
		r.counts.giveBack(all)
		r.c.Logger.LogAttrs(ctx, slog.LevelDebug, "counts wait to be written", slog.Int("counts", len(all)), slog.String("cause", err.Error()))
	}
}

// lossReport logs what was lost, at once and then at intervals.
type lossReport struct {
	logger          *slog.Logger
	last            time.Time
	dropped, failed uint64 // said already
	err             error
}

// say logs what is new. The zero time has no interval to wait for.
func (r *lossReport) say(now time.Time, dropped, failed uint64) {
	if dropped == r.dropped && failed == r.failed || !now.IsZero() && now.Sub(r.last) < reportEvery {
		return
	}
	as := []slog.Attr{
		slog.Uint64("dropped", dropped-r.dropped), slog.Uint64("failed", failed-r.failed),
		slog.String("hint", "the store is slow or away, or somebody was refused without end; the log has these logins"),
	}
	if r.err != nil {
		as = append(as, slog.String("cause", r.err.Error()))
	}
	r.logger.LogAttrs(context.Background(), slog.LevelError, "logins are missing from the record", as...)
	r.last, r.dropped, r.failed, r.err = now, dropped, failed, nil
}

// addressOf is the address of a client without its port, which is another one
// each time, so that the logins from one client can be found.
func addressOf(peer string) string {
	if p, err := netip.ParseAddrPort(peer); err == nil {
		return p.Addr().Unmap().WithZone("").String()
	}
	return peer
}

// loginOf is a decision as a store keeps it.
func loginOf(d *authn.Decision, realm string) *directory.Login {
	l := &directory.Login{
		Time: d.Time, Ref: d.Ref, Realm: realm, User: d.User, Mechanism: d.Mechanism,
		Peer: addressOf(d.Peer), UserAgent: d.UserAgent,
		Outcome: directory.Outcome(d.Outcome), // the same words
		Reason:  d.Reason, Detail: d.Detail,
	}
	if d.Identity != nil {
		l.SID = d.Identity.SID
	}
	return l
}
