//go:build unix

package adtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

// endHelpers ends what still runs with a configuration file. Winbindd starts a
// samba-dcerpcd when it needs one, in a session of its own, which stays when
// winbindd ends, starts others, and need not have written its process id yet.
func endHelpers(conf string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return testenv.Poll(ctx, func() error {
		left := processesWith("--configfile=" + conf)
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
		}
		if len(left) > 0 {
			return fmt.Errorf("adtest: processes %v of %s do not end", left, conf)
		}
		return nil
	})
}

// processesWith returns the processes that have an argument, where the system
// shows them as files.
func processesWith(arg string) []int {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var pids []int
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil || !slices.ContainsFunc(bytes.Split(b, []byte{0}), func(a []byte) bool { return string(a) == arg }) {
			continue // ended, or another's
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f))); err == nil && pid > 1 {
			pids = append(pids, pid)
		}
	}
	return pids
}
