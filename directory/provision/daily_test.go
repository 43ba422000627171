package provision

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

func TestParseDaily(t *testing.T) {
	t.Parallel()
	if d, err := ParseDaily("03:30"); err != nil || d.Hour != 3 || d.Minute != 30 {
		t.Errorf("%+v, %v", d, err)
	}
	for _, s := range []string{"", "3:30", "24:00", "03:60", "03:30:00", "half past three"} {
		if _, err := ParseDaily(s); err == nil {
			t.Errorf("%q is a time of day", s)
		}
	}
}

// Each day of two years has the job once, about a day apart, whatever the clocks
// do.
func TestDailyNext(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			testenv.Skip(t, "no time zones here: "+err.Error())
		}
		for _, at := range []string{"00:00", "00:30", "01:30", "02:00", "02:30", "03:00", "23:59"} {
			d, err := ParseDaily(at)
			if err != nil {
				t.Fatal(err)
			}
			d.Location = loc
			last := time.Date(2025, 12, 31, 23, 59, 59, 0, loc)
			for day := range 730 {
				next := d.Next(last)
				if gap := next.Sub(last); day > 0 && (gap < 22*time.Hour || gap > 26*time.Hour) {
					t.Errorf("%s %s: %v after %v", zone, at, next, last)
				}
				want := time.Date(2000, 1, 1, d.Hour, d.Minute, 0, 0, time.UTC)
				got := time.Date(2000, 1, 1, next.Hour(), next.Minute(), 0, 0, time.UTC)
				if off := want.Sub(got).Abs(); off > time.Hour && off != 23*time.Hour {
					t.Errorf("%s %s: at %v", zone, at, next)
				}
				last = next.Add(time.Minute)
			}
			if want := time.Date(2027, 12, 29, 0, 0, 0, 0, loc); last.Before(want) || last.After(want.AddDate(0, 0, 4)) {
				t.Errorf("%s %s: 730 days end at %v", zone, at, last)
			}
		}
	}
}

func TestDailyRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // from midnight of 2000-01-01, UTC
		ctx, cancel := context.WithCancel(t.Context())
		d := Daily{Hour: 3, Minute: 30, Location: time.UTC}
		var at []string
		err := d.Run(ctx, time.Time{}, func(_ context.Context, due time.Time) {
			at = append(at, due.Format("02T15:04 ")+time.Now().UTC().Format("02T15:04"))
			time.Sleep(26 * time.Hour) // longer than a day
			if len(at) == 2 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) || len(at) != 2 || at[0] != "01T03:30 01T03:30" || at[1] != "02T03:30 02T05:30" {
			t.Errorf("%v: run at %q", err, at)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var late time.Duration
		began := time.Now()
		_ = Daily{Hour: 3, Location: time.UTC}.Run(ctx, began.Add(-22*time.Hour), func(context.Context, time.Time) {
			late = time.Since(began)
			cancel()
		})
		if late > look {
			t.Errorf("a job that was missed is made up for after %v", late)
		}
	})
}
