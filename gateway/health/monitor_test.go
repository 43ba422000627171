package health

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// part is something to look at, that tests switch on and off.
type part struct {
	down, hang atomic.Bool
	asked      atomic.Int32
}

func (p *part) check(name string, essential bool) Check {
	return Check{Name: name, Kind: KDC, Essential: essential, Remedy: "start " + name, Run: func(ctx context.Context) error {
		p.asked.Add(1)
		if p.hang.Load() {
			<-ctx.Done()
			return ctx.Err()
		}
		if p.down.Load() {
			return errors.New("connection refused")
		}
		return nil
	}}
}

func TestMonitor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		needed, other := new(part), new(part)
		m := &Monitor{
			Checks: func() []Check { return []Check{other.check("b", false), needed.check("a", true)} },
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		}
		if r := m.Report(); r.Ready || !strings.HasPrefix(r.Why, "starting") {
			t.Errorf("before the first look: %+v", r)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go m.Run(ctx)
		begin := time.Now()
		want := func(ready bool, why, text string) {
			t.Helper()
			synctest.Wait()
			r := m.Report()
			got := ""
			for _, c := range r.Checks {
				got += fmt.Sprintf("%s %s since %v %s %s; ", c.Name, c.State, c.Since.Sub(begin), c.Error, c.Remedy)
			}
			if r.Ready != ready || r.Why != why || strings.Join(strings.Fields(got), " ") != text {
				t.Errorf("after %v: ready %v %q, %s; want %v %q, %s", time.Since(begin), r.Ready, r.Why, got, ready, why, text)
			}
		}
		want(true, "", "a up since 0s ; b up since 0s ;")
		other.down.Store(true)
		want(true, "", "a up since 0s ; b up since 0s ;") // nobody looked
		time.Sleep(10 * time.Second)
		want(true, "", "a up since 0s ; b down since 10s connection refused start b;")
		needed.down.Store(true)
		m.Kick()
		want(false, "a is down", "a down since 10s connection refused start a; b down since 10s connection refused start b;")
		other.down.Store(false)
		time.Sleep(20 * time.Second)
		want(false, "a is down", "a down since 10s connection refused start a; b up since 20s ;")
		needed.down.Store(false)
		time.Sleep(10 * time.Second)
		want(true, "", "a up since 40s ; b up since 20s ;")
		needed.hang.Store(true)
		time.Sleep(10 * time.Second)
		want(true, "", "a up since 40s ; b up since 20s ;")
		time.Sleep(5 * time.Second)
		want(false, "a is down", "a down since 55s context deadline exceeded start a; b up since 20s ;")
		m.Drain()
		if r := m.Report(); r.Ready || !strings.HasPrefix(r.Why, "draining") {
			t.Errorf("draining: %+v", r)
		}
		asked := needed.asked.Load()
		time.Sleep(time.Minute)
		if needed.asked.Load() != asked {
			t.Error("it looks on after Drain, when the gateway ends what there is to look at")
		}
		before := needed.asked.Load()
		for range 100 {
			m.Report()
		}
		if n := needed.asked.Load(); n != before {
			t.Errorf("reports asked %d times, want never", n-before)
		}
		cancel()
		synctest.Wait()
		for _, line := range []string{
			`level=WARN msg="dependency is down" name=b kind=kdc essential=false cause="connection refused" remedy="start b"`,
			`level=ERROR msg="dependency is down" name=a`, `level=INFO msg="dependency is back" name=b kind=kdc after=10s`,
		} {
			if n := strings.Count(log.String(), line); n < 1 {
				t.Errorf("%q is not in the log:\n%s", line, &log)
			}
		}
		if n := strings.Count(log.String(), "\n"); n != 5 {
			t.Errorf("%d lines, want those of 5 changes:\n%s", n, &log)
		}
	})
}

// A check that does not end holds nobody up, and is not begun again.
func TestMonitorEndless(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var begun atomic.Int32
		m := &Monitor{Logger: slog.New(slog.DiscardHandler), Checks: func() []Check {
			return []Check{{Name: "endless", Run: func(context.Context) error {
				begun.Add(1)
				<-release
				return nil
			}}}
		}}
		m.Look(t.Context())
		if got := m.Report().Checks[0]; got.State != Down || got.Error != "no answer within 5s" {
			t.Errorf("%+v, want down for want of an answer", got)
		}
		m.Look(t.Context())
		if got := m.Report().Checks[0]; begun.Load() != 1 || got.Error != "the check before does not end" {
			t.Errorf("begun %d times, %+v", begun.Load(), got)
		}
		close(release)
		synctest.Wait()
		m.Look(t.Context())
		if got := m.Report().Checks[0]; got.State != Up || begun.Load() != 2 {
			t.Errorf("begun %d times, %+v; want up", begun.Load(), got)
		}
	})
}

// What a reload took away is not in the report any more, and a long error is cut.
func TestMonitorReload(t *testing.T) {
	t.Parallel()
	p := new(part)
	checks := []Check{p.check("a", true), {Name: "b", Run: func(context.Context) error { return errors.New(strings.Repeat("x", 10_000)) }}}
	m := &Monitor{Checks: func() []Check { return checks }, Logger: slog.New(slog.DiscardHandler)}
	m.Look(t.Context())
	if b := m.Report().Checks[1]; len(b.Error) > maxError+3 {
		t.Errorf("an error of %d bytes", len(b.Error))
	}
	checks = checks[1:]
	m.Look(t.Context())
	r := m.Report()
	if len(r.Checks) != 1 || r.Checks[0].Name != "b" {
		t.Errorf("%+v, want b alone", r.Checks)
	}
	text, err := json.Marshal(Report{Why: "w", Checks: []Result{{Name: "n", Kind: KDC, State: Unknown}}})
	if want := `{"ready":false,"why":"w","checks":[{"name":"n","kind":"kdc","state":"unknown","essential":false}]}`; err != nil || string(text) != want {
		t.Errorf("JSON %s, %v, want %s", text, err, want)
	}
}
