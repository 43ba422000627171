//go:build unix

package observe

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A named pipe that nobody reads would have the gateway wait for ever.
func TestLinesPipe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "a.log"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(parse(t, dir, `access_log: {file: a.log}`), Options{}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("error %v", err)
	}
}
