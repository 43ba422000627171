package password

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// The figures of hashes that people have take half a minute.
var fullTiming = flag.Bool("fulltiming", false, "time logins with the default parameters of argon2id")

// kind is a login that is refused.
type kind struct{ name, user, password string }

// timeKinds returns the median time that v takes for each of kinds, and the
// median of how it compares with the other kinds in the same round. In a round
// each kind has its turn, in random order, within some milliseconds, so that
// whatever else the machine does concerns all of them.
func timeKinds(t *testing.T, v Verifier, kinds []kind, rounds, workers int) (medians []time.Duration, relative []float64) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	times, compared := make([][]time.Duration, len(kinds)), make([][]float64, len(kinds))
	for w := range workers {
		wg.Go(func() {
			for range (rounds + w) / workers {
				round := make([]time.Duration, len(kinds))
				for _, i := range rand.Perm(len(kinds)) {
					began := time.Now()
					_, err := v.VerifyPassword(context.Background(), kinds[i].user, kinds[i].password)
					round[i] = time.Since(began)
					if !errors.Is(err, authn.ErrBadCredentials) && !errors.Is(err, authn.ErrNoCredentials) {
						t.Errorf("%s: %v", kinds[i].name, err)
					}
				}
				usual := median(round)
				mu.Lock()
				for i, took := range round {
					times[i] = append(times[i], took)
					compared[i] = append(compared[i], float64(took)/float64(usual))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for i := range kinds {
		medians = append(medians, median(times[i]))
		relative = append(relative, median(compared[i]))
	}
	return medians, relative
}

func median[T cmp.Ordered](xs []T) T {
	sorted := slices.Clone(xs)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}

// TestAttackTimeTells: how long a refusal takes does not tell whether the user
// exists, has a password here, or is disabled: the medians of 500 tries each (less
// in two of the cases) are within 5 %. A difference that is there shows each
// time, so one good measurement out of five on a busy machine is enough. It is
// not parallel, for the time.
func TestAttackTimeTells(t *testing.T) {
	work := Params{Memory: 2048, Time: 1}
	if *fullTiming {
		work = Params{}
	}
	limit, part := 0.05, 1
	if underRace { // then it shows that no work is missing, and no more
		limit, part = 0.5, 10
	}
	kinds := []kind{
		{"unknown user", "nobody", "wrong"},
		{"wrong password", "alice", "wrong"},
		{"disabled, wrong password", "disabled", "wrong"},
		{"disabled, right password", "disabled", secretPassword},
		{"hash of less work", "old", "wrong"},
		{"no password here", `CORP\bob`, "wrong"},
	}
	for _, tt := range []struct {
		name    string
		next    time.Duration // that the second verifier takes; 0: there is none
		least   time.Duration // RefusalTime
		chain   bool
		tries   int
		workers int
	}{
		{name: "internal alone", tries: 500, workers: 1},
		{name: "a chain without a realm", chain: true, least: -1, tries: 200, workers: 1},
		{name: "LDAP that takes 5 ms", chain: true, next: 5 * time.Millisecond, least: 40 * time.Millisecond, tries: 500, workers: 16},
		{name: "LDAP slower than the least time", chain: true, next: 60 * time.Millisecond, least: -1, tries: 100, workers: 32},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, s, r := household(t, work)
			half := c.Internal.Hasher.params()
			half.Memory /= 2
			s.add(directory.User{ID: 9, Name: "old", Password: hashOf(t, &Hasher{Params: half}, secretPassword)})
			r.wait, c.RefusalTime = tt.next, tt.least
			var v Verifier = c
			if tt.next == 0 {
				c.Next = nil
			}
			if !tt.chain {
				v = c.Internal
			}
			workers := tt.workers
			if *fullTiming && workers > 1 {
				workers, c.RefusalTime = 2, max(c.RefusalTime, 200*time.Millisecond) // hashes would wait for each other
			}
			var spread float64
			for range 5 {
				medians, relative := timeKinds(t, v, kinds, tt.tries/part, workers)
				for i, k := range kinds {
					t.Logf("%-26s %-12v %.3f", k.name, medians[i], relative[i])
				}
				spread = slices.Max(relative)/slices.Min(relative) - 1
				t.Logf("difference of the medians %.2f %%", 100*spread)
				if spread < limit {
					return
				}
			}
			t.Errorf("the medians differ by %.1f %%, want less than %.0f %%", 100*spread, 100*limit)
		})
	}
}
