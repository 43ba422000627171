//go:build unix

package gateway

import (
	"fmt"
	"os"
	"syscall"
)

// inode tells files apart that have one name after the other.
func inode(info os.FileInfo) string {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprint(s.Ino)
	}
	return ""
}
