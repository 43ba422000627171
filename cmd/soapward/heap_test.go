package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// The heap of a gateway grows by roomyHeap between collections while it is small,
// and doubles once it is large.
func TestHeapRoom(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	end := giveHeapRoom()
	defer end()
	percent := func() int {
		p := debug.SetGCPercent(100)
		debug.SetGCPercent(p)
		return p
	}
	reach := func(what string, ok func(int) bool) {
		t.Helper()
		for begin := time.Now(); ; {
			runtime.GC()
			p := percent()
			if ok(p) {
				return
			}
			if time.Since(begin) > 10*time.Second {
				t.Fatalf("%s: the heap grows by %d %%", what, p)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	large := make([]byte, 200<<20)
	reach("a large heap", func(p int) bool { return p == 100 })
	runtime.KeepAlive(large)
	large = nil
	reach("a small heap", func(p int) bool { return p > 150 })
}
