package soak

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/e2e/gateway/rig"
	"github.com/soapward/soapward/internal/pgtest"
	"github.com/soapward/soapward/internal/testenv"
)

var (
	duration = flag.Duration("duration", 20*time.Second, "how long the load goes on")
	pause    = flag.Duration("pause", 40*time.Millisecond, "between two requests of a kind, in the mean")
	out      = flag.String("out", "", "directory for the table (soak.txt) and the lines of the log that tell something (gateway.log)")
)

func TestMain(m *testing.M) {
	code := adtest.Main(m)
	if err := errors.Join(pgtest.Stop(), rig.Remove()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// soak is one run.
type soak struct {
	world     *rig.World
	node      *rig.Node
	port      int
	upstreams map[string]int
	pause     time.Duration
	plain     *http.Client // without a login
	journal   *journal
	ledger    *ledger
	report    io.Writer
	text      string // of the configuration

	pg              *pgtest.Server
	backend, apache *rig.Server
	down            string // what is away now
	samples         []sample
	faults, reloads int
}

const upstreamsConfig = `upstreams:
  caller: {listen: "127.0.0.1:%[1]d", url: "http://127.0.0.1:%[4]d", spn: HTTP/backend.corp.test, act_as: [caller], delegation: {principal: svc-web@CORP.TEST, keytab: "%[5]s"}}
  service: {listen: "127.0.0.1:%[2]d", url: "http://127.0.0.1:%[4]d", spn: HTTP/backend.corp.test, act_as: [service], service: {principal: svc-web@CORP.TEST, keytab: "%[5]s"}}
  fixed: {listen: "127.0.0.1:%[3]d", url: "http://127.0.0.1:%[4]d", spn: HTTP/backend.corp.test, act_as: [fixed], fixed: {principal: bob@CORP.TEST, password: {file: bob.secret}}}
`

func TestSoak(t *testing.T) {
	s := set(t)
	ctx := t.Context()
	kinds := s.kinds(t)
	// Each works before the load begins, so that all that goes wrong later is new.
	for _, k := range kinds {
		a, err := k.send(ctx)
		if v := k.judge(a, err); v != right && (v != refused || !k.fault) {
			t.Fatalf("%s does not work: %+v, %v", k.name, a, err)
		}
	}
	before, err := take(ctx, s.node, s.ledger.begin)
	if err != nil {
		t.Fatal(err)
	}
	s.say("Soak of %v, begun at %s.\n", *duration, s.ledger.begin.Format(time.RFC3339))
	stop := s.start(ctx, kinds)
	s.run(t)
	s.recover(t, kinds)
	stop()
	s.settle(t, before)
	s.judge(t)
}

// set starts everything.
func set(t *testing.T) *soak {
	t.Helper()
	for _, program := range []string{"nginx", "apache2"} {
		testenv.Need(t, program)
	}
	dc := adtest.Start(t)
	s := &soak{pause: *pause, pg: pgtest.Start(t), backend: rig.Backend(t), report: t.Output(), upstreams: make(map[string]int),
		plain: &http.Client{Transport: &http.Transport{IdleConnTimeout: 20 * time.Second}, Timeout: 30 * time.Second}}
	t.Cleanup(s.plain.CloseIdleConnections)
	s.apache = rig.Apache(t, dc, rig.Backend(t).Port)
	s.world = rig.NewWorld(t, dc, s.pg.Database(t), s.backend.Port, "carol", "dora", "emil", "fred")
	var log io.Writer
	if *out != "" {
		log = create(t, "gateway.log")
		s.report = io.MultiWriter(s.report, create(t, "soak.txt"))
	}
	s.journal = newJournal(log, rig.Password, adtest.Password(t, adtest.Alice), adtest.Password(t, adtest.Bob), adtest.Password(t, adtest.GW09),
		adtest.Password(t, adtest.Jill), s.world.Key.Reveal())
	s.port = rig.Port(t)
	admin := rig.Port(t)
	ports := []int{s.port}
	for _, name := range []string{"caller", "service", "fixed"} {
		s.upstreams[name] = rig.Port(t)
		ports = append(ports, s.upstreams[name])
	}
	text, files := s.world.Config(t, rig.NodeConfig{
		Port: s.port, Admin: admin, Computer: adtest.GW09,
		More: fmt.Sprintf(upstreamsConfig, ports[1], ports[2], ports[3], s.apache.Port, dc.Keytab(adtest.Web)),
	})
	s.text = text
	s.node = rig.NewNode(t, "soak", text, files, admin, ports...)
	s.node.Output = s.journal
	s.node.Start(t)
	s.ledger = newLedger(s.journal)
	return s
}

func create(t *testing.T, name string) io.Writer {
	t.Helper()
	if err := os.MkdirAll(*out, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(*out, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// say writes for those who read the report afterwards.
func (s *soak) say(format string, args ...any) {
	fmt.Fprintf(s.report, format, args...)
}

// fault ends something as a crash would, and starts it again.
type fault struct {
	name       string
	end, start func(*testing.T)
}

func (s *soak) allFaults() []fault {
	return []fault{
		{"PostgreSQL", func(t *testing.T) { s.pg.Kill(t) }, func(t *testing.T) { s.pg.Start(t) }},
		{"server behind", func(t *testing.T) { s.backend.Kill(t) }, func(t *testing.T) { s.backend.Start(t) }},
		{"domain controller", func(t *testing.T) { s.world.DC.Kill(t) }, func(t *testing.T) { s.world.DC.Restart(t) }},
		{"protected server", func(t *testing.T) { s.apache.Kill(t) }, func(t *testing.T) { s.apache.Start(t) }},
	}
}

// run ends and starts things, reloads, takes samples, and writes the table, until
// the time is over.
func (s *soak) run(t *testing.T) {
	short := *duration < 3*time.Minute
	between, away, reload, look, line := 15*time.Second, 4*time.Second, 20*time.Second, 2*time.Second, time.Minute
	if short {
		between, away, reload, look, line = *duration/12, *duration/20, *duration/6, *duration/20, *duration/3
	}
	s.say("%-8s %9s %8s %7s %6s %11s %9s %11s %9s %8s %6s %8s %7s  %s\n", "time", "requests", "right", "refused", "wrong", "unexplained", "slowest", "goroutines", "heap MiB", "RSS MiB", "files", "reloads", "faults", "status")
	faults := s.allFaults()
	end := s.ledger.begin.Add(*duration)
	nextFault, nextReload, nextLook, nextLine := time.Now().Add(between), time.Now().Add(reload), time.Now(), time.Now().Add(line)
	var current *fault
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for now := range tick.C {
		if !now.Before(end) && s.faults >= len(faults) { // all of them, however slow the machine
			break
		}
		if now.After(nextFault) {
			if current == nil {
				current = &faults[s.faults%len(faults)]
				s.down = current.name
				current.end(t)
				nextFault = time.Now().Add(away)
			} else {
				current.start(t)
				s.faults++
				s.down, current = "", nil
				nextFault = time.Now().Add(between)
			}
		}
		if now.After(nextReload) {
			nextReload = now.Add(reload)
			s.reload(t)
		}
		if now.After(nextLook) {
			nextLook = now.Add(look)
			s.ledger.explain()
			m, err := take(t.Context(), s.node, s.ledger.begin)
			if err != nil {
				s.ledger.complain("metrics: %v", err)
			} else if current == nil { // what waits for something that is away is no growth
				s.samples = append(s.samples, m)
			}
		}
		if now.After(nextLine) {
			nextLine = now.Add(line)
			s.line()
		}
	}
	if current != nil {
		current.start(t)
		s.faults++
	}
	s.line()
}

// reload has the gateway read another configuration each time, which keeps some
// of its parts and not others.
func (s *soak) reload(t *testing.T) {
	s.reloads++
	text := s.text
	if s.reloads%2 == 1 {
		text = strings.Replace(text, "services:\n", fmt.Sprintf("services:\n  more: {match: {path: /more/}, login: [none], upstream: {url: \"http://%s\"}}\n", rig.Addr(s.backend.Port)), 1)
	}
	if s.reloads%3 == 0 {
		text = strings.ReplaceAll(text, "connect_timeout: 1s", "connect_timeout: 900ms")
	}
	s.node.Write(t, "gw.yaml", text)
	if err := s.node.Reload(t.Context()); err != nil {
		s.ledger.complain("reload %d: %v", s.reloads, err)
	}
}

// line writes one of the table.
func (s *soak) line() {
	t := s.ledger.nextMinute()
	var m sample
	if len(s.samples) > 0 {
		m = s.samples[len(s.samples)-1]
	}
	refused := 0
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusTooManyRequests} {
		refused += t.status[status]
	}
	s.say("%-8v %9d %8d %7d %6d %11d %9v %11.0f %9.1f %8.1f %6.0f %8d %7d  %s\n", time.Since(s.ledger.begin).Round(time.Second), t.requests, t.ok, refused, t.wrong, t.unexplained,
		t.slowest.Round(time.Millisecond), m.goroutines, m.heap/(1<<20), m.rss/(1<<20), m.files, s.reloads, s.faults, t.statuses())
}

// backAfter is how soon after the last fault everything works.
const backAfter = 15 * time.Second

func (s *soak) recover(t *testing.T, kinds []*kind) {
	ctx, cancel := context.WithTimeout(t.Context(), backAfter)
	defer cancel()
	begin := time.Now()
	for _, k := range kinds {
		err := testenv.Poll(ctx, func() error {
			a, err := k.send(context.WithoutCancel(ctx))
			switch v := k.judge(a, err); {
			case v == right, v == refused && k.fault:
				return nil
			case err != nil:
				return err
			}
			return fmt.Errorf("status %d, reference %s", a.Status, a.Ref())
		})
		if err != nil {
			s.ledger.complain("%s does not work again: %v", k.name, err)
		}
	}
	s.say("\nEverything worked %v after the last fault.\n", time.Since(begin).Round(time.Millisecond))
}

// settle waits until the gateway has no more than before the load.
func (s *soak) settle(t *testing.T, before sample) {
	s.plain.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var m sample
	err := testenv.Poll(ctx, func() (err error) {
		if m, err = take(ctx, s.node, s.ledger.begin); err != nil {
			return err
		}
		if m.inFlight > 0 || m.goroutines > before.goroutines+15 || m.files > before.files+15 {
			return fmt.Errorf("%.0f requests in flight, %.0f goroutines (%.0f before), %.0f open files (%.0f before)", m.inFlight, m.goroutines, before.goroutines, m.files, before.files)
		}
		return nil
	})
	if err != nil {
		s.ledger.complain("something is left when the load is over: %v", err)
	}
	s.say("After the load: %.0f goroutines (%.0f before), %.0f open files (%.0f before), RSS %.1f MiB (%.1f before).\n",
		m.goroutines, before.goroutines, m.files, before.files, m.rss/(1<<20), before.rss/(1<<20))
	err = testenv.Poll(ctx, func() error {
		page, err := s.node.Page(ctx, "/readyz")
		if err != nil {
			return err
		}
		var report struct {
			Ready  bool
			Checks []struct{ Name, Kind, State, Error string }
		}
		if err := json.Unmarshal([]byte(page), &report); err != nil {
			return err
		}
		if !report.Ready {
			return errors.New(page)
		}
		for _, c := range report.Checks {
			if c.State != "up" && c.Kind != "file" { // the certificate of the test is good for a day
				return fmt.Errorf("%s is %s: %s", c.Name, c.State, c.Error)
			}
		}
		return nil
	})
	if err != nil {
		s.ledger.complain("the gateway is not ready in the end: %v", err)
	}
	for s.ledger.explain() > 0 { // which gives up by itself
		time.Sleep(100 * time.Millisecond)
	}
}

// stopWithin is how long the gateway may take to stop, of which 3 s are its grace.
// Not long after it is killed.
const stopWithin = 4500 * time.Millisecond

// judge writes the summary, and fails the test by what went wrong.
func (s *soak) judge(t *testing.T) {
	judged := *duration >= judgedFrom
	for _, b := range bounds {
		if _, rise, most := b.grown(s.samples); judged && rise > most {
			s.ledger.complain("growth: %s", b.String(s.samples))
		}
		s.say("%s\n", b.String(s.samples))
	}
	if !judged {
		s.say("(growth is judged in runs of %v or more)\n", judgedFrom)
	}
	began := time.Now()
	if err := s.node.Stop(); err != nil {
		s.ledger.complain("the end of the gateway: %v", err)
	}
	if took := time.Since(began); took > stopWithin {
		s.ledger.complain("the gateway took %v to stop", took.Round(time.Millisecond))
	}
	leaks, panics := s.journal.found()
	for _, l := range leaks {
		s.ledger.complain("a secret in the log: %s", short(l))
	}
	for _, l := range panics {
		s.ledger.complain("a panic: %s", short(l))
	}
	s.say("%d lines of log, %d reloads, %d faults. Lines at ERROR, by message: %v\n\n", s.journal.lines, s.reloads, s.faults, s.journal.errors)
	s.ledger.summary(s.report)
	if s.ledger.bad > 0 {
		t.Errorf("%d things went wrong", s.ledger.bad)
	}
	if s.faults < 4 || s.reloads < 2 {
		t.Errorf("%d faults and %d reloads in %v", s.faults, s.reloads, *duration)
	}
}
