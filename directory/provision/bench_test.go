package provision

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

// everybody is a directory that has each user, made up when it is asked.
type everybody struct{ display string }

func (e *everybody) Accounts(_ context.Context, refs []directory.AccountRef) ([]*directory.Account, error) {
	out := make([]*directory.Account, len(refs))
	for i, ref := range refs {
		out[i] = &directory.Account{
			Name: ref.Name, SID: ref.SID, DisplayName: e.display, Email: strings.TrimPrefix(ref.Name, `CORP\`) + "@example.com",
			Groups: []authn.Group{{SID: "S-1-5-21-1-2-3-513", Name: `CORP\Domain Users`}, {SID: "S-1-1-0", Name: "Everyone"}},
		}
	}
	return out, nil
}

// BenchmarkSync is the daily job for 100,000 users in SQLite: when all of them
// are new to it, and on a day on which nothing changed. What it keeps in memory
// does not grow with their number.
func BenchmarkSync(b *testing.B) {
	const users, most = 100_000, 8 << 20
	s, err := store.Open(b.Context(), store.Config{Driver: "sqlite", DSN: filepath.Join(b.TempDir(), "users.db"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	done, err := s.Import(b.Context(), func(yield func(*directory.User, error) bool) {
		for i := range users {
			if !yield(&directory.User{Realm: "corp", Name: fmt.Sprintf(`CORP\user%06d`, i), SID: sid(10_000 + i)}, nil) {
				return
			}
		}
	}, nil)
	if err != nil || done.Created != users {
		b.Fatalf("%+v, %v", done, err)
	}
	dir := &everybody{}
	run := func(b *testing.B, changed bool) {
		for b.Loop() {
			if changed {
				dir.display += "x"
			}
			var first, last uint64
			job := &Sync{Realm: "corp", Domains: []string{"CORP"}, Store: s, Source: dir, Logger: slog.New(slog.DiscardHandler)}
			job.Progress = func(sum Summary) {
				if sum.Seen%10_000 != 0 {
					return
				}
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				if last = m.HeapAlloc; first == 0 {
					first = last
				}
			}
			sum, err := job.Run(b.Context())
			if err != nil || sum.Seen != users || changed != (sum.Refreshed == users) || changed == (sum.Unchanged == users) {
				b.Fatalf("%+v, %v", sum, err)
			}
			grown := int64(last) - int64(first)
			if grown > most {
				b.Errorf("the heap grew by %d bytes from 10,000 users to %d, want %d at most", grown, users, most)
			}
			b.ReportMetric(float64(users)/sum.Took.Seconds(), "users/s")
			b.ReportMetric(float64(grown)/1024, "KiB-grown")
		}
	}
	b.Run("changed", func(b *testing.B) { run(b, true) })
	b.Run("unchanged", func(b *testing.B) { run(b, false) })
}
