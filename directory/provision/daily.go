package provision

import (
	"context"
	"fmt"
	"time"
)

// Daily is a time of day, of the clock on the wall.
type Daily struct {
	Hour, Minute int
	Location     *time.Location   // nil means time.Local
	Now          func() time.Time // nil means time.Now
}

// ParseDaily reads a time of day such as 03:30.
func ParseDaily(s string) (Daily, error) {
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return Daily{}, fmt.Errorf("provision: time of day %q: want hours and minutes, such as 03:30", s)
	}
	return Daily{Hour: t.Hour(), Minute: t.Minute()}, nil
}

// Next returns the first time after t. There is one on each day: where clocks
// go back it is the first of two, and where they go forward over it, it is an
// hour before or after.
func (d Daily) Next(t time.Time) time.Time {
	loc := d.Location
	if loc == nil {
		loc = time.Local
	}
	y, m, day := t.In(loc).Date()
	next := time.Date(y, m, day, d.Hour, d.Minute, 0, 0, loc)
	for !next.After(t) { // a midnight that there is not may be on the day before
		day++
		next = time.Date(y, m, day, d.Hour, d.Minute, 0, 0, loc)
	}
	return next
}

// look is how often the clock on the wall is looked at, which may be set, or
// stand still with the machine.
const look = time.Minute

// Run calls job each day until ctx ends, whose error it returns. job gets the
// time at which it was due. last is when the job was done before, zero if that
// is not known: a job that was missed since, also while the last one took its
// time, is made up for at once.
func (d Daily) Run(ctx context.Context, last time.Time, job func(ctx context.Context, due time.Time)) error {
	if last.IsZero() {
		last = clock(d.Now)
	}
	for {
		due := d.Next(last)
		if err := d.until(ctx, due); err != nil {
			return err
		}
		last = clock(d.Now)
		job(ctx, due)
	}
}

// until waits for a time of the clock on the wall.
func (d Daily) until(ctx context.Context, due time.Time) error {
	for {
		left := due.Round(0).Sub(clock(d.Now).Round(0))
		if left <= 0 {
			return ctx.Err()
		}
		t := time.NewTimer(min(left, look))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}
