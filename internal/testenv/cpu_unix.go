//go:build unix

package testenv

import (
	"syscall"
	"time"
)

// ProcessorTime returns how much of it, user and system, this process took.
func ProcessorTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
