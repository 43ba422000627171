//go:build unix

package computer

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the lock that ends with the file's closing, or the process. The
// error is ErrLocked if another process has it.
func tryLock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

// releaseLock gives the lock back. Closing the file would not, for a moment: a child
// of this process has all its files between its fork and its program's start.
func releaseLock(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
