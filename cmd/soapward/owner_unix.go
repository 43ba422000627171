//go:build unix

package main

import (
	"io/fs"
	"os"
	"syscall"
)

// isOurs reports whether a file belongs to whoever runs this.
func isOurs(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return !ok || int(st.Uid) == os.Getuid()
}

// openMode has the access of others to a file or directory, as far as modes tell
// it.
func openMode(info fs.FileInfo, mask fs.FileMode) fs.FileMode { return info.Mode().Perm() & mask }
