package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// roomyHeap is the least that the heap may grow by between two collections of
// garbage. A gateway's live heap is a few megabytes: by the default of Go, which
// lets it double, a busy one would collect thirty times a second.
const roomyHeap = 32 << 20

// giveHeapRoom sets the garbage collector so that the heap grows by roomyHeap, or
// doubles if that is more, unless the environment says (GOGC) what it shall do. What
// it returns ends the watching.
func giveHeapRoom() (end func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	r := &heapRoom{percent: 100}
	r.adjust()
	r.watch()
	return func() { r.ended.Store(true) }
}

// heapRoom adjusts the collector after each collection, when cleanups run.
type heapRoom struct {
	percent int // touched by one cleanup after the other
	ended   atomic.Bool
}

// watch has adjust called after the next collection.
func (r *heapRoom) watch() {
	runtime.AddCleanup(new([16]byte), func(r *heapRoom) {
		if r.ended.Load() {
			return
		}
		r.adjust()
		r.watch()
	}, r)
}

func (r *heapRoom) adjust() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	live := max(sample[0].Value.Uint64(), 1<<20)
	want := max(100, int(100*roomyHeap/live))
	// Each change stops the world for a moment.
	if want > r.percent+r.percent/4 || want < r.percent-r.percent/4 || want == 100 && r.percent != 100 {
		r.percent = want
		debug.SetGCPercent(want)
	}
}
