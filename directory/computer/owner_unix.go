//go:build unix

package computer

import (
	"fmt"
	"os"
	"syscall"
)

// openSecret opens a file to read. A pipe that somebody put into its place must
// not block us.
func openSecret(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// checkOwner refuses a file beside f that is somebody else's: neither ours, nor
// root's, nor of the owner of f, whom whoever gave him that trusts.
func (f SecretFile) checkOwner(path string, info os.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 || int(st.Uid) == os.Geteuid() {
		return nil
	}
	if of, err := os.Stat(string(f)); err == nil {
		if own, ok := of.Sys().(*syscall.Stat_t); ok && own.Uid == st.Uid {
			return nil
		}
	}
	return fmt.Errorf("computer: password file %s belongs to user %d, and this is user %d: finish as that user what it was begun as, or look who that is and remove it",
		path, st.Uid, os.Geteuid())
}
