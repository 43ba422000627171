package soak

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/e2e/gateway/rig"
)

// sample is what the process has at a moment.
type sample struct {
	at                     time.Duration // since the begin
	goroutines, rss, files float64
	heap                   float64 // at which the collector begins: twice what lives
	inFlight               float64
	reloads                float64
}

func take(ctx context.Context, n *rig.Node, begin time.Time) (sample, error) {
	m, err := n.Metrics(ctx)
	if err != nil {
		return sample{}, err
	}
	return sample{
		at: time.Since(begin), goroutines: m["go_goroutines"], rss: m["process_resident_memory_bytes"], files: m["process_open_fds"],
		heap:     m["go_memstats_next_gc_bytes"],
		inFlight: m[`soapward_requests_in_flight{direction="inbound"}`] + m[`soapward_requests_in_flight{direction="outbound"}`],
		reloads:  m[`soapward_reloads_total{result="done"}`],
	}, nil
}

// bound says how much of something may be more after the last two thirds of a run
// than before, by the straight line that fits best: a part of the mean, and what
// comes on top because a run is short or the numbers are small.
type bound struct {
	name  string
	value func(sample) float64
	part  float64
	plus  float64
	unit  float64
}

var bounds = []bound{
	{"goroutines", func(s sample) float64 { return s.goroutines }, 0.10, 10, 1},
	{"goal of the heap, MiB", func(s sample) float64 { return s.heap }, 0.10, 8 << 20, 1 << 20},
	{"resident memory, MiB", func(s sample) float64 { return s.rss }, 0.10, 8 << 20, 1 << 20},
	{"open files", func(s sample) float64 { return s.files }, 0.10, 8, 1},
}

// judgedFrom is how long a run has to be for its growth to be judged: in a shorter
// one caches fill.
const judgedFrom = 10 * time.Minute

// grown fits a straight line through what b's value was in the last two thirds,
// and returns by how much it rose and by how much it may.
func (b *bound) grown(samples []sample) (mean, rise, most float64) {
	samples = samples[len(samples)/3:]
	if len(samples) < 2 {
		return 0, 0, b.plus
	}
	var n, sx, sy, sxx, sxy float64
	for _, s := range samples {
		x, y := s.at.Seconds(), b.value(s)
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	mean = sy / n
	if d := n*sxx - sx*sx; d != 0 {
		rise = (n*sxy - sx*sy) / d * (samples[len(samples)-1].at - samples[0].at).Seconds()
	}
	return mean, rise, b.part*mean + b.plus
}

func (b *bound) String(samples []sample) string {
	mean, rise, most := b.grown(samples)
	return fmt.Sprintf("%s: %.1f in the mean of the last two thirds, %+.1f by the line that fits best, at most %+.1f", b.name, mean/b.unit, rise/b.unit, most/b.unit)
}

// The judge of growth sees some, and takes noise for none.
func TestGrown(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		at   func(i int) float64
		want bool
	}{
		{"constant", func(int) float64 { return 100 }, false},
		{"saw", func(i int) float64 { return 100 + float64(i%10)*5 }, false},
		{"grows at first", func(i int) float64 { return 100 + 10*float64(min(i, 60)) }, false},
		{"grows", func(i int) float64 { return 100 + float64(i) }, true},
		{"grows in steps", func(i int) float64 { return 100 + float64(i/30)*30 }, true},
		{"shrinks", func(i int) float64 { return 1000 - float64(i) }, false},
	} {
		var samples []sample
		for i := range 300 {
			samples = append(samples, sample{at: time.Duration(i) * time.Second, goroutines: tt.at(i)})
		}
		if _, rise, most := bounds[0].grown(samples); (rise > most) != tt.want {
			t.Errorf("%s: %.1f of %.1f, want growth %v", tt.name, rise, most, tt.want)
		}
	}
}
