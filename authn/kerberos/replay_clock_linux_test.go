package kerberos

import (
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// threadTime returns how long this thread was at work. What other programs take
// of a busy machine does not count.
func threadTime(tb testing.TB) time.Duration {
	const threadCPU = 3 // CLOCK_THREAD_CPUTIME_ID of clock_gettime(2), which package syscall lacks
	var ts syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadCPU, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		tb.Fatal(errno)
	}
	return time.Duration(ts.Nano())
}
