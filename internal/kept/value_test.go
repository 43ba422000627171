package kept

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

var errDown, errWrong = errors.New("down"), errors.New("wrong")

func TestValue(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	next, fail, fetched, told := 1, error(nil), 0, 0
	v := Value[int]{
		Lifetime: time.Hour, Stale: 24 * time.Hour, Now: func() time.Time { return now },
		Final:  func(err error) bool { return errors.Is(err, errWrong) },
		Failed: func(context.Context, error, bool) { told++ },
		Fetch:  func(context.Context) (int, error) { fetched++; return next, fail },
	}
	get := func(name string, fit func(int) bool, want int, wantErr error, wantFetched int) {
		t.Helper()
		got, ok, err := v.Get(t.Context(), time.Minute, fit)
		if ok != (want != 0) || ok && got != want || !errors.Is(err, wantErr) || fetched != wantFetched {
			t.Errorf("%s: %d, %v, %v, %d fetches; want %d, %v, %d", name, got, ok, err, fetched, want, wantErr, wantFetched)
		}
	}
	any := func(int) bool { return true }
	two := func(v int) bool { return v == 2 }
	get("first", any, 1, nil, 1)
	get("again", any, 1, nil, 1)
	next = 2
	get("does not fit, a moment ago", two, 0, nil, 1)
	now = now.Add(time.Minute)
	get("does not fit", two, 2, nil, 2)
	fail = errDown
	now = now.Add(time.Hour)
	get("old, and away", any, 2, nil, 3)
	get("a moment later", any, 2, nil, 3)
	get("away, and does not fit", func(int) bool { return false }, 0, errDown, 3)
	now = now.Add(22 * time.Hour)
	get("still away", any, 2, nil, 4)
	now = now.Add(time.Hour)
	get("away for a day", any, 0, errDown, 5)
	get("away for a day, a moment later", any, 0, errDown, 5)
	fail = nil
	now = now.Add(time.Minute)
	get("back", any, 2, nil, 6)
	fail = errWrong
	now = now.Add(time.Hour)
	get("wrong", any, 0, errWrong, 7)
	if told != 4 {
		t.Errorf("told of %d failures, want 4", told)
	}
}

// Whoever comes while the value is fetched waits for it if there was none, and
// takes the one of before if there was.
func TestValueInFlight(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.Unix(1e9, 0)
	begun, end := make(chan int, 10), make(chan int)
	v := Value[int]{
		Lifetime: time.Hour, Stale: 24 * time.Hour, Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now },
		Fetch: func(context.Context) (int, error) { begun <- 1; return <-end, nil },
	}
	get := func(want int) {
		t.Helper()
		if got, ok, err := v.Get(t.Context(), 0, func(int) bool { return true }); got != want || !ok || err != nil {
			t.Errorf("%d, %v, %v; want %d", got, ok, err, want)
		}
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { get(1) })
	}
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok, err := v.Get(ctx, 0, func(int) bool { return true }); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("who does not wait: %v, %v", ok, err)
	}
	end <- 1
	wg.Wait()
	mu.Lock()
	now = now.Add(2 * time.Hour)
	mu.Unlock()
	wg.Go(func() { get(2) })
	<-begun
	get(1)
	end <- 2
	wg.Wait()
	get(2)
	if len(begun) != 0 {
		t.Error("fetched more than once")
	}
}
