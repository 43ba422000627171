package admin

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

// TestSlots has many ask at once: each administrator gets as many as there are, has
// them again when they are free, and leaves nothing behind.
func TestSlots(t *testing.T) {
	t.Parallel()
	s := &Slots{Most: 2, Of: "exports"}
	vera, bob := NewContext(t.Context(), &Caller{Name: "vera"}), NewContext(t.Context(), &Caller{Name: "bob"})
	for range 3 {
		var (
			wait  sync.WaitGroup
			got   atomic.Int32
			frees = make(chan func(), 100)
		)
		for range 100 {
			wait.Go(func() {
				free, err := s.Take(vera)
				if err == nil {
					got.Add(1)
					frees <- free
					return
				}
				if e := (*Error)(nil); !errors.As(err, &e) || e.Kind != TooMany || e.Text == "" || e.Remedy == "" {
					t.Errorf("one more: %v", err)
				}
			})
		}
		wait.Wait()
		if got.Load() != 2 {
			t.Errorf("%d at a time, want 2", got.Load())
		}
		free, err := s.Take(bob)
		if err != nil {
			t.Fatalf("somebody else: %v", err)
		}
		free()
		close(frees)
		for free := range frees {
			free()
		}
	}
	if len(s.taken) != 0 {
		t.Errorf("left behind: %v", s.taken)
	}
}
