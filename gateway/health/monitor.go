package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Defaults of a Monitor.
const (
	defaultInterval = 10 * time.Second
	defaultTimeout  = 5 * time.Second
)

// maxAtOnce is how many Checks run at the same time.
const maxAtOnce = 16

// maxError bounds what an error is shown as, in bytes.
const maxError = 512

// A State says whether what a Check is about is there.
type State string

// States.
const (
	Up      State = "up"
	Down    State = "down"
	Unknown State = "unknown" // nobody looked yet
)

// A Result is what a Check last said. Its JSON is what the admin listener
// answers with.
type Result struct {
	Name      string    `json:"name"`
	Kind      Kind      `json:"kind"`
	State     State     `json:"state"`
	Essential bool      `json:"essential"`
	Since     time.Time `json:"since,omitzero"` // in this state
	Checked   time.Time `json:"checked,omitzero"`
	Error     string    `json:"error,omitempty"`
	Remedy    string    `json:"remedy,omitempty"` // of what is down
}

// A Report is what is known of all Checks, in order of their names.
type Report struct {
	Ready  bool     `json:"ready"`
	Why    string   `json:"why,omitempty"` // not
	Checks []Result `json:"checks"`
}

// A Monitor runs Checks again and again in the background, so that whoever asks
// is answered at once, and costs what is depended on nothing. It logs what goes
// away and what comes back. Its fields must not change after Run began. It is
// safe for concurrent use.
type Monitor struct {
	// Checks lists what there is to look at now. It must be set.
	Checks func() []Check

	Interval time.Duration // between two looks; zero means 10 s
	Timeout  time.Duration // of a Check; zero means 5 s
	Logger   *slog.Logger  // nil means slog.Default()

	looking sync.Mutex // one Look at a time

	mu       sync.Mutex
	results  map[string]Result
	running  map[string]bool // Checks that have not come back
	looked   bool            // at all of them, once
	draining bool
	kick     chan struct{}
}

// Run looks until ctx ends.
func (m *Monitor) Run(ctx context.Context) {
	kick := m.kicker()
	t := time.NewTicker(cmp.Or(m.Interval, defaultInterval))
	defer t.Stop()
	for {
		m.Look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-kick:
		}
	}
}

// Kick has Run look soon, such as after a change of what there is to look at.
func (m *Monitor) Kick() {
	select {
	case m.kicker() <- struct{}{}:
	default: // somebody did
	}
}

func (m *Monitor) kicker() chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kick == nil {
		m.kick = make(chan struct{}, 1)
	}
	return m.kick
}

// Drain makes the reports not ready, so that balancers send no more requests, and
// ends the looking: what the gateway ends itself is not down.
func (m *Monitor) Drain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.draining = true
}

// Look runs all Checks once and returns when each has said something or its
// time is over.
func (m *Monitor) Look(ctx context.Context) {
	m.looking.Lock()
	defer m.looking.Unlock()
	if m.isDraining() {
		return
	}
	checks := m.Checks()
	m.keep(checks)
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxAtOnce)
	for _, c := range checks {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			err := m.run(ctx, c)
			if ctx.Err() == nil { // else nobody knows
				m.note(c, err)
			}
		})
	}
	wg.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.looked = m.looked || ctx.Err() == nil
}

// run runs a Check. One that does not end when its time is over is left behind,
// and not begun again before it ends.
func (m *Monitor) run(parent context.Context, c Check) error {
	m.mu.Lock()
	if m.running[c.Name] {
		m.mu.Unlock()
		return errors.New("the check before does not end")
	}
	m.running[c.Name] = true
	m.mu.Unlock()
	timeout := cmp.Or(m.Timeout, defaultTimeout)
	ctx, cancel := context.WithTimeoutCause(parent, timeout, fmt.Errorf("no answer within %v", timeout))
	done := make(chan error, 1)
	go func() {
		defer cancel()
		err := c.Run(ctx)
		m.mu.Lock()
		delete(m.running, c.Name)
		m.mu.Unlock()
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done: // it knows better what did not answer
		return err
	case <-time.After(100 * time.Millisecond):
		return context.Cause(ctx)
	}
}

func (m *Monitor) isDraining() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.draining
}

// keep forgets what is no more looked at, and has what was not looked at yet.
func (m *Monitor) keep(checks []Check) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.results == nil {
		m.results, m.running = make(map[string]Result), make(map[string]bool)
	}
	names := make(map[string]bool, len(checks))
	for _, c := range checks {
		names[c.Name] = true
		if r, ok := m.results[c.Name]; !ok || r.Kind != c.Kind || r.Essential != c.Essential {
			m.results[c.Name] = Result{Name: c.Name, Kind: c.Kind, Essential: c.Essential, State: Unknown}
		}
	}
	for name := range m.results {
		if !names[name] {
			delete(m.results, name)
		}
	}
}

// note takes what a Check said, and logs it if it is news.
func (m *Monitor) note(c Check, err error) {
	now := time.Now()
	m.mu.Lock()
	if m.draining {
		m.mu.Unlock()
		return
	}
	before := m.results[c.Name]
	r := Result{Name: c.Name, Kind: c.Kind, Essential: c.Essential, State: Up, Since: before.Since, Checked: now}
	if err != nil {
		r.State, r.Error, r.Remedy = Down, clip(err.Error()), c.Remedy
	}
	if r.State != before.State {
		r.Since = now
	}
	m.results[c.Name] = r
	m.mu.Unlock()

	l := m.Logger
	if l == nil {
		l = slog.Default()
	}
	ctx := context.Background()
	switch {
	case r.State == before.State:
	case r.State == Down:
		level := slog.LevelWarn
		if c.Essential {
			level = slog.LevelError
		}
		as := []slog.Attr{slog.String("name", r.Name), slog.String("kind", string(r.Kind)), slog.Bool("essential", r.Essential), slog.String("cause", r.Error)}
		if r.Remedy != "" {
			as = append(as, slog.String("remedy", r.Remedy))
		}
		l.LogAttrs(ctx, level, "dependency is down", as...)
	case before.State == Down:
		l.LogAttrs(ctx, slog.LevelInfo, "dependency is back",
			slog.String("name", r.Name), slog.String("kind", string(r.Kind)), slog.Duration("after", now.Sub(before.Since)))
	}
}

// Report returns what is known now. The gateway is ready when each Check was
// made once, none that is Essential misses what it is about, and nobody called Drain.
func (m *Monitor) Report() Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := Report{Ready: true, Checks: make([]Result, 0, len(m.results))}
	for _, one := range m.results {
		r.Checks = append(r.Checks, one)
	}
	slices.SortFunc(r.Checks, func(a, b Result) int { return cmp.Compare(a.Name, b.Name) })
	missing := 0
	for _, one := range r.Checks {
		if one.Essential && one.State == Down { // what a reload brought is not yet known, and no reason to send nobody
			if missing++; missing == 1 {
				r.Why = one.Name + " is down"
			}
		}
	}
	if missing > 1 {
		r.Why += fmt.Sprintf(", and %d more", missing-1)
	}
	switch {
	case m.draining:
		r.Why = "draining: the gateway is about to stop"
	case !m.looked:
		r.Why = "starting: not everything was looked at yet"
	}
	r.Ready = r.Why == ""
	return r
}

// clip bounds what somebody else wrote.
func clip(s string) string {
	if len(s) > maxError {
		return s[:maxError] + "..."
	}
	return s
}
