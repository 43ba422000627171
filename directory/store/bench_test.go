package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

// BenchmarkUser loads 1,000 and 1,000,000 users with five groups each, and asks
// for users by name and by SID, one after the other. p99 may be 1 ms more with a
// million than with a thousand.
func BenchmarkUser(b *testing.B) {
	for _, d := range drivers {
		b.Run(d.name, func(b *testing.B) {
			small := map[string]time.Duration{} // p99 of the thousand
			for _, n := range []int{1000, 1_000_000} {
				b.Run(fmt.Sprint(n), func(b *testing.B) {
					s := openMany(b, d.make(b), n)
					for _, by := range []string{"name", "SID"} {
						b.Run("by "+by, func(b *testing.B) {
							p99 := askMany(b, s, n, by)
							if n == 1000 {
								small[by] = p99
							} else if base, ok := small[by]; ok && p99 > base+time.Millisecond {
								b.Errorf("p99 %v with %d users, %v with 1,000: want at most 1 ms more", p99, n, base)
							}
						})
					}
				})
			}
		})
	}
}

// askMany asks for users anywhere among n, and reports how long that took. Of
// five rounds that counts in which others used the machine least.
func askMany(b *testing.B, s *store.Store, n int, by string) (p99 time.Duration) {
	const rounds, asked = 5, 5000
	rnd := rand.New(rand.NewPCG(1, 2))
	var p50 time.Duration
	for b.Loop() {
		p50, p99 = time.Hour, time.Hour
		for range rounds {
			took := make([]time.Duration, asked)
			for k := range took {
				took[k] = askOne(b, s, rnd.IntN(n), by)
			}
			slices.Sort(took)
			p50, p99 = min(p50, took[asked/2]), min(p99, took[asked*99/100])
		}
	}
	b.ReportMetric(float64(p50.Microseconds()), "p50-µs")
	b.ReportMetric(float64(p99.Microseconds()), "p99-µs")
	b.ReportMetric(0, "ns/op") // of so many calls
	return p99
}

func askOne(b *testing.B, s *store.Store, i int, by string) time.Duration {
	var u *directory.User
	var err error
	name, sid := fmt.Sprintf(`corp\USER%07d`, i), sidOf(i)
	began := time.Now()
	if by == "SID" {
		u, err = s.UserBySID(b.Context(), sid)
	} else {
		u, err = s.User(b.Context(), name)
	}
	took := time.Since(began)
	if err != nil || u.SID != sid || len(u.Groups) != 5 {
		b.Fatalf("user %d: %+v, %v", i, u, err)
	}
	return took
}

// openMany loads users. It is measured, and bounded by a minute.
func openMany(b *testing.B, c store.Config, n int) *store.Store {
	b.Helper()
	s := open(b, c)
	began := time.Now()
	if done, err := s.Import(b.Context(), manyUsers(n, nil), nil); err != nil || done.Created != n {
		b.Fatalf("%+v, %v", done, err)
	}
	took := time.Since(began)
	b.Logf("%d users loaded in %v", n, took.Round(time.Millisecond))
	if took > time.Minute {
		b.Errorf("%d users took %v to load, want a minute at most", n, took)
	}
	return s
}
