//go:build !unix

package testenv

import (
	"errors"
	"time"
)

// ProcessorTime fails here.
func ProcessorTime() (time.Duration, error) {
	return 0, errors.New("the system does not tell a process its processor time")
}
