// Package kept keeps what was fetched from elsewhere, or verified with effort.
//
//   - Value is one thing that is fetched when it is needed, such as the keys of an
//     issuer.
//   - Cache remembers many, by what somebody sent.
package kept

import (
	"context"
	"sync/atomic"
	"time"
)

// A Value is fetched at the first use, again when it is old or does not fit, and by
// one caller at a time. While it is being fetched anew, or cannot be, the one of
// before stays in use for a time. The fields must not change after the first Get. It is safe for
// concurrent use.
type Value[T any] struct {
	// Fetch returns a new one. Its context has the values of a caller, and does not
	// end with it: the value is for all who come after.
	Fetch func(ctx context.Context) (T, error)

	Lifetime time.Duration // how old it may become before it is fetched again
	Stale    time.Duration // how old it may become if that fails

	// Final reports whether an error says that the value of before is of no use any
	// more. Nil means that none does.
	Final func(error) bool

	// Failed is told of each fetch that failed. Nil tells nobody.
	Failed func(ctx context.Context, err error, kept bool)

	Now func() time.Time // nil means time.Now

	state atomic.Pointer[state[T]]
	turn  turn
}

// state is what was fetched, and when.
type state[T any] struct {
	value T
	good  time.Time // when it was fetched; zero: never
	tried time.Time // when it was asked for last
	err   error     // of that
}

// Get returns the value if it is there and fits. If it is too old or does not fit,
// it is fetched, unless the last time was less than pause ago.
//
// fits reports whether the value returned is one that fits. If it is not, err is
// why the last fetch failed, and nil if it did not fail.
func (v *Value[T]) Get(ctx context.Context, pause time.Duration, fit func(T) bool) (value T, fits bool, err error) {
	now := time.Now()
	if v.Now != nil {
		now = v.Now()
	}
	s := v.state.Load()
	if s != nil && now.Before(s.good.Add(v.Lifetime)) && fit(s.value) {
		return s.value, true, nil
	}
	if s != nil && v.turn.taken() && now.Before(s.good.Add(v.Stale)) && fit(s.value) {
		return s.value, true, nil
	}
	s, err = v.refresh(ctx, now, pause, s)
	if err != nil {
		return value, false, err
	}
	if !s.good.IsZero() && fit(s.value) {
		return s.value, true, nil
	}
	return s.value, false, s.err
}

// refresh fetches the value unless somebody did so since seen, or did it a moment
// ago.
func (v *Value[T]) refresh(ctx context.Context, now time.Time, pause time.Duration, seen *state[T]) (*state[T], error) {
	done, err := v.turn.take(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	s := v.state.Load()
	if s != nil && (s != seen || now.Before(s.tried.Add(pause))) {
		return s, nil
	}
	n := &state[T]{tried: now}
	if n.value, n.err = v.Fetch(context.WithoutCancel(ctx)); n.err == nil {
		n.good = now
	} else {
		var none T
		n.value = none
		kept := s != nil && now.Before(s.good.Add(v.Stale)) && (v.Final == nil || !v.Final(n.err))
		if kept {
			n.value, n.good = s.value, s.good
		}
		if v.Failed != nil {
			v.Failed(ctx, n.err, kept)
		}
	}
	v.state.Store(n)
	return n, nil
}

// turn lets one in at a time. The zero value is ready.
type turn struct{ busy atomic.Pointer[chan struct{}] }

// taken reports whether somebody has the turn.
func (t *turn) taken() bool { return t.busy.Load() != nil }

// take waits until nobody has the turn, or ctx ends.
func (t *turn) take(ctx context.Context) (done func(), err error) {
	mine := make(chan struct{})
	for {
		if t.busy.CompareAndSwap(nil, &mine) {
			return func() {
				t.busy.Store(nil)
				close(mine)
			}, nil
		}
		other := t.busy.Load()
		if other == nil {
			continue
		}
		select {
		case <-*other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
