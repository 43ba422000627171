//go:build unix

package computer

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// Of two runs at the same time, the second learns what is in its way.
func TestLocked(t *testing.T) {
	t.Parallel()
	f := SecretFile(filepath.Join(t.TempDir(), "gw01.secret"))
	unlock, err := f.lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.lock(); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), string(f)+".lock is held by another process") {
		t.Errorf("got %v, want ErrLocked", err)
	}
	unlock()
	if unlock, err = f.lock(); err != nil {
		t.Fatalf("after the first: %v", err)
	}
	unlock()
}
