//go:build unix

package main

import (
	"errors"
	"syscall"
)

// processLives reports whether there is a process with a number.
func processLives(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
