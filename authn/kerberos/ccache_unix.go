//go:build unix

package kerberos

import (
	"fmt"
	"os"
	"syscall"
)

// openFile opens a credential cache or a keytab. A pipe that somebody put into its place
// must not block us.
func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// checkOwner refuses a file of another user than ourselves and root. In /tmp,
// where caches are by default, anybody can make one that has us log in as
// somebody else.
func checkOwner(path string, info os.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 || int(st.Uid) == os.Geteuid() {
		return nil
	}
	return fmt.Errorf("kerberos: credential cache %s belongs to user %d, and this is user %d: remove it or change its owner, then run kinit",
		path, st.Uid, os.Geteuid())
}
