package testenv

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// readOnly makes the file systems that temporary files could be on read-only for
// the program that follows, and leaves it one directory.
const readOnly = `set -e
mount --bind "$0" "$0"
for at in /tmp /var/tmp; do
	mount -o remount,bind,ro $at 2>/dev/null || : # a part of /
done
mount -o remount,bind,ro /
exec "$@"`

// ReadOnly returns a command for which nothing on the disks can be written but what
// is below a directory. It skips the test where that takes rights that it has not.
func ReadOnly(tb testing.TB, writable, program string, args ...string) *exec.Cmd {
	tb.Helper()
	if os.Geteuid() != 0 {
		Skip(tb, "needs root for a read-only file system")
	}
	if out, err := readOnlyCommand(writable, "true").CombinedOutput(); err != nil {
		Skip(tb, "cannot have a read-only file system here: "+err.Error()+" "+string(out))
	}
	return readOnlyCommand(writable, program, args...)
}

func readOnlyCommand(writable, program string, args ...string) *exec.Cmd {
	cmd := exec.Command("sh", append([]string{"-c", readOnly, writable, program}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS} // which keeps mounts to itself
	return cmd
}
