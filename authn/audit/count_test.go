package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

// abacus is a table that counts, too.
type abacus struct {
	table
	mu     sync.Mutex
	counts map[directory.Count]int64
	calls  int
	away   bool
}

func (a *abacus) AddCounts(_ context.Context, counts []directory.Count) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.calls++; a.away {
		return errors.New("nobody there")
	}
	if a.counts == nil {
		a.counts = make(map[directory.Count]int64)
	}
	for _, c := range counts {
		n := c.N
		c.N = 0
		a.counts[c] += n
	}
	return nil
}

type ticket bool

func (t ticket) RC4() bool          { return bool(t) }
func (ticket) EvidenceKind() string { return "test" }

func accepted(e authn.Evidence) *authn.Decision {
	return decided(authn.OutcomeAccepted, "Kerberos", e)
}

func refused(mech string) *authn.Decision { return decided(authn.OutcomeRefused, mech, nil) }

func decided(o authn.Outcome, mech string, evidence authn.Evidence) *authn.Decision {
	d := &authn.Decision{Time: time.Now(), Outcome: o, Mechanism: mech, Peer: "192.0.2.7"}
	if o == authn.OutcomeAccepted {
		d.Identity = &authn.Identity{Account: "alice", Evidence: evidence}
	}
	return d
}

// TestCounts: each decision is counted by the five minutes it was in, also when it
// is one of too many for the record.
func TestCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // at midnight
		s := &abacus{}
		rec := New(Config{Store: s, Queue: 1 << 16, Logger: slog.New(slog.DiscardHandler)})
		begin := time.Now().UTC()
		for range 3 {
			rec.Observe(t.Context(), accepted(ticket(true)))
		}
		rec.Observe(t.Context(), accepted(ticket(false)))
		rec.Observe(t.Context(), accepted(nil))
		rec.Observe(t.Context(), decided(authn.OutcomeAccepted, authn.MechanismLogout, nil)) // the end of a session was an accepted login in the overview
		for range 1000 {
			rec.Observe(t.Context(), refused("NTLM"))
		}
		rec.DoubleHop()
		if s.mu.Lock(); s.calls != 0 {
			t.Errorf("written %d times at once", s.calls)
		}
		s.mu.Unlock()
		time.Sleep(countEvery + time.Second)
		synctest.Wait()
		key := func(at time.Time, kind directory.CountKind, mech string, o directory.Outcome) directory.Count {
			return directory.Count{Time: at, Kind: kind, Mechanism: mech, Outcome: o}
		}
		want := map[directory.Count]int64{
			key(begin, directory.CountLogin, "Kerberos", directory.Accepted): 5,
			key(begin, directory.CountLogin, "NTLM", directory.Refused):      1000,
			key(begin, directory.CountRC4, "", ""):                           3,
			key(begin, directory.CountDoubleHop, "", ""):                     1,
		}
		check := func() {
			t.Helper()
			s.mu.Lock()
			defer s.mu.Unlock()
			if !maps.Equal(s.counts, want) {
				t.Errorf("counts\n got %v\nwant %v", s.counts, want)
			}
		}
		check()

		// While the store is away nothing is lost, and the next steps are others.
		s.mu.Lock()
		s.away = true
		s.mu.Unlock()
		rec.DoubleHop()
		time.Sleep(6 * time.Minute)
		rec.Observe(t.Context(), refused("NTLM"))
		time.Sleep(time.Minute)
		s.mu.Lock()
		s.away = false
		s.mu.Unlock()
		if err := rec.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		want[key(begin, directory.CountDoubleHop, "", "")]++
		want[key(begin.Add(5*time.Minute), directory.CountLogin, "NTLM", directory.Refused)] = 1
		check()

		rec.DoubleHop() // after the end: nothing
		rec.Observe(t.Context(), refused("NTLM"))
		check()
	})
}

// TestAttackCountsFillMemory: names of mechanisms that never end, and a store that
// is away, take bounded memory.
func TestAttackCountsFillMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &abacus{away: true}
		rec := New(Config{Store: s, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		for i := range 1000 {
			rec.Observe(t.Context(), refused(fmt.Sprintf("m%d", i)))
		}
		if n := len(rec.counts.n); n != maxMechanisms+1 {
			t.Errorf("%d mechanisms are told apart, want %d and one", n, maxMechanisms)
		}
		for i := range maxCounts / maxMechanisms * 2 {
			for m := range maxMechanisms {
				d := refused(fmt.Sprintf("m%d", m))
				d.Time = d.Time.Add(time.Duration(i) * directory.CountStep)
				rec.Observe(t.Context(), d)
			}
		}
		if n := len(rec.counts.n); n > maxCounts {
			t.Errorf("%d counts wait, want %d at most", n, maxCounts)
		}
		if err := rec.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(log.String(), "counts are missing from the charts") {
			t.Errorf("the log does not say what is missing: %s", &log)
		}
	})
}

// TestCountsInStore: the store of the gateway is a Counter.
func TestCountsInStore(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "new", "s.db"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	rec := New(Config{Store: s})
	rec.Observe(t.Context(), refused("NTLM"))
	if err := rec.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := s.Counts(t.Context(), directory.CountQuery{Step: time.Hour})
	if err != nil || len(got) != 1 || got[0].N != 1 || got[0].Mechanism != "NTLM" || got[0].Outcome != directory.Refused {
		t.Errorf("counts %+v, %v", got, err)
	}
}
