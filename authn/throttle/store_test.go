package throttle

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"

	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/internal/pgtest"
)

var _ Store = (*store.Store)(nil)

// TestStores: the rules over databases, with two nodes that share one.
func TestStores(t *testing.T) {
	t.Parallel()
	for _, driver := range []string{"sqlite", "postgres"} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			c := store.Config{Driver: driver, DSN: filepath.Join(t.TempDir(), "soapward.db"), Logger: slog.New(slog.DiscardHandler)}
			if driver == "postgres" {
				c.DSN = pgtest.Start(t).Database(t)
			}
			open := func() *store.Store {
				s, err := store.Open(context.Background(), c)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				return s
			}
			clock := &clock{now: start}
			node := func(s *store.Store) *rig {
				r := newRig(t, func(l *Limiter) { l.Store, l.Now = s, clock.Now })
				r.clock = clock
				return r
			}
			s := open()
			a, b := node(s), node(open())
			expect(t, "two at one node", a.wrong("192.0.2.7", "alice", 2), "no no")
			expect(t, "one at the other", b.wrong("192.0.2.7", `CORP\Alice`, 2), "no 30s")
			expect(t, "the first", a.try("192.0.2.7", "alice", "right"), "30s")
			clock.move(a.rulesFor(1)[0].Block)
			expect(t, "after the block", b.try("192.0.2.7", "alice", "right"), "ok")
			expect(t, "the count began again", a.wrong("192.0.2.7", "alice", 4), "no no no 30s")

			// Guesses at both nodes at once: the rule, and as much again for the other,
			// which may count three more while the first one's block is being written.
			before := a.authority.count() + b.authority.count()
			var wg sync.WaitGroup
			for i := range 50 {
				for _, r := range []*rig{a, b} {
					wg.Go(func() { r.try("192.0.2.9", "bob", fmt.Sprintf("guess %d at %p", i, r)) })
				}
			}
			wg.Wait()
			if judged := a.authority.count() + b.authority.count() - before; judged < 3 || judged > 6 {
				t.Errorf("of 100 guesses at two nodes %d were judged, want 3 up to 6", judged)
			}
			bs, err := s.Blocks(context.Background(), clock.Now())
			if err != nil || len(bs) != 2 {
				t.Errorf("blocks %+v, %v", bs, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if got := a.try("192.0.2.10", "carol", "right"); got != "unavailable" {
				t.Errorf("without the database: %s", got)
			}
		})
	}
}
