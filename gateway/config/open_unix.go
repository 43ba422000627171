//go:build unix

package config

import (
	"os"
	"syscall"
)

// openFile opens a file to read. A pipe in its place must not block us.
func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}
