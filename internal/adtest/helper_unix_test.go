//go:build unix

package adtest

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
)

// What winbindd started was left behind when it had not written its process id
// in time.
func TestEndHelpers(t *testing.T) {
	t.Parallel()
	testenv.NeedFile(t, "/proc/self/cmdline")
	conf := filepath.Join(t.TempDir(), "smb.conf")
	start := func(conf string) (end func() error) {
		cmd := exec.Command(testenv.Need(t, "sh"), "-c", "read line", "sh", "--configfile="+conf)
		in, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		return func() error { _ = in.Close(); return cmd.Wait() }
	}
	helper, other := start(conf), start(conf+".other")
	if err := endHelpers(conf); err != nil {
		t.Error(err)
	}
	if err := helper(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("the helper: %v, want that it was killed", err)
	}
	if err := other(); err == nil || err.Error() == "signal: killed" {
		t.Errorf("a process of another configuration: %v, want that it ended by itself", err)
	}
}
