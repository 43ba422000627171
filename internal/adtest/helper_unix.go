//go:build unix

package adtest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// stopGroup ends the process group whose leader wrote its id to a file, if
// there is one. Winbindd starts a samba-dcerpcd when it needs one, in a session
// of its own, which stays when winbindd ends.
func stopGroup(pidFile string) error {
	b, err := os.ReadFile(pidFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimRight(string(b), "\x00")))
	if err != nil || pid <= 1 {
		return fmt.Errorf("%s holds no process id: %q", pidFile, b)
	}
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end process group %d: %w", pid, err)
	}
	return nil
}
