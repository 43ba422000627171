//go:build unix

package admin

import "syscall"

// canWrite asks whether this process may make files in a directory. A file system
// that is read-only says no as well.
func canWrite(dir string) error {
	const writeAndSearch = 2 | 1 // W_OK and X_OK of access(2)
	return syscall.Access(dir, writeAndSearch)
}
