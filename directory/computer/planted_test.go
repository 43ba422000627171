//go:build unix

package computer

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/testenv"
)

// plant gives f what another user left beside it, or in its place.
func plant(t *testing.T, f SecretFile, suffix string) {
	t.Helper()
	path := string(f) + suffix
	if err := os.WriteFile(path, []byte("kn0wn-to-somebody-else\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 4321, 4321); err != nil {
		t.Fatal(err)
	}
}

// A password that another user left beside the file must neither become the
// account's nor be one that a controller may prove itself by.
func TestAttackPlantedPassword(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		testenv.Skip(t, "only root can make files of other users")
	}
	const want = "belongs to user 4321"
	t.Run("create", func(t *testing.T) {
		t.Parallel()
		d, f := newFakeDirectory(), newSecretPath(t)
		plant(t, f, ".new")
		_, err := joiner(t, d, f).Create(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || len(d.writes) > 0 {
			t.Errorf("got %v, wrote %q; want refused", err, d.writes)
		}
	})
	t.Run("rotate", func(t *testing.T) {
		t.Parallel()
		f, d := newFile(t, "first"), &fakeDomain{inForce: "first"}
		plant(t, f, ".new")
		_, err := (&Rotation{Account: gw01, File: f, Channel: d}).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || d.inForce != "first" {
			t.Errorf("got %v, in force %q; want refused", err, d.inForce)
		}
	})
	for _, suffix := range []string{".new", ".old"} {
		t.Run("read "+suffix, func(t *testing.T) {
			t.Parallel()
			f := newFile(t, "first")
			plant(t, f, suffix)
			if _, err := f.Secrets(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want refused", err)
			}
		})
	}
	t.Run("of the service", func(t *testing.T) { // to which root gave the file
		t.Parallel()
		f := newFile(t, "first")
		if err := os.Chown(string(f), 4321, 4321); err != nil {
			t.Fatal(err)
		}
		plant(t, f, ".new")
		if got := reveal(t, f); len(got) != 2 {
			t.Errorf("got %d passwords, want both", len(got))
		}
	})
}

// Where everybody can make files, anybody can plant the file itself, a lock or
// a link. Nothing is written there.
func TestAttackSecretInOpenDirectory(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o777, 0o777 | os.ModeSticky} {
		dir := t.TempDir()
		f := SecretFile(filepath.Join(dir, "gw01.secret"))
		if err := f.write(string(f), authn.NewSecret("first")); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		c := &fakeDomain{inForce: "first"}
		if _, err := (&Rotation{Account: gw01, File: f, Channel: c}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "everybody") || c.inForce != "first" {
			t.Errorf("rotate: got %v, in force %q; want refused", err, c.inForce)
		}
		d := newFakeDirectory()
		if _, err := joiner(t, d, SecretFile(filepath.Join(dir, "other"))).Create(t.Context()); err == nil || !strings.Contains(err.Error(), "everybody") || len(d.writes) > 0 {
			t.Errorf("create: got %v, wrote %q; want refused", err, d.writes)
		}
		if got, _ := os.ReadDir(dir); len(got) != 1 {
			t.Errorf("%d files, want the one", len(got))
		}
	}
}

// A pipe in the place of a file must not hold us for ever.
func TestAttackSecretIsPipe(t *testing.T) {
	t.Parallel()
	f := newFile(t, "first")
	if err := syscall.Mkfifo(string(f)+".new", 0o600); err != nil {
		t.Skip(err)
	}
	done := make(chan error, 1)
	go func() { _, err := f.Secrets(); done <- err }()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("got %v, want refused", err)
		}
	case <-time.After(10 * time.Second):
		w, err := os.OpenFile(string(f)+".new", os.O_RDWR, 0) // lets it go
		if err == nil {
			_ = w.Close()
		}
		t.Error("waits for somebody to write into the pipe")
	}
}
