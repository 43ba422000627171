//go:build unix

package computer

import (
	"os"
	"syscall"
)

// tryLock takes the lock that ends with the file's closing, or the process.
func tryLock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
