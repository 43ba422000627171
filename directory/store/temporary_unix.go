//go:build unix

package store

import (
	"os"
	"syscall"
)

// temporary reports whether SQLite can make temporary files: it looks at the same
// places, in the same way (unixTempFileDir in os_unix.c).
func temporary() bool {
	for _, dir := range []string{os.Getenv("SQLITE_TMPDIR"), os.Getenv("TMPDIR"), "/var/tmp", "/usr/tmp", "/tmp", "."} {
		if info, err := os.Stat(dir); err == nil && info.IsDir() && mayWrite(dir) == nil {
			return true
		}
	}
	return false
}

// mayWrite asks whether this process may write a file, or make others in a
// directory.
func mayWrite(path string) error {
	const write, search = 2, 1 // W_OK and X_OK of access(2)
	mode := uint32(write)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		mode |= search
	}
	return syscall.Access(path, mode)
}
