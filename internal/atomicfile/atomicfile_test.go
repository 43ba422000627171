package atomicfile

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes are not what protects files there")
	}
	for _, tt := range []struct {
		name      string
		old, want os.FileMode // old 0: there is none
	}{
		{"new", 0, 0o600},
		{"owner", 0o600, 0o600},
		{"group may read", 0o640, 0o640},
		{"others may read", 0o644, 0o640},
		{"everybody may write", 0o666, 0o640},
		{"read only", 0o400, 0o600},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "key")
			if tt.old != 0 {
				if err := os.WriteFile(path, []byte("old and longer"), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(path, tt.old); err != nil {
					t.Fatal(err)
				}
			}
			if err := Write(path, []byte("new")); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode() != tt.want {
				t.Errorf("mode %v, %v, want %v", info.Mode(), err, tt.want)
			}
			if b, err := os.ReadFile(path); string(b) != "new" {
				t.Errorf("content %q, %v", b, err)
			}
			onlyFile(t, path)
		})
	}
}

// What cannot be replaced stays, and nothing is left beside it.
func TestWriteRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err)
	}
	if err := Write(link, []byte("new")); err == nil {
		t.Error("a symbolic link was replaced")
	}
	if b, _ := os.ReadFile(target); string(b) != "old" {
		t.Errorf("the file behind the link has %q", b)
	}
	if got, _ := os.ReadDir(dir); len(got) != 2 {
		t.Errorf("%d files, want 2", len(got))
	}
	if err := Write(filepath.Join(dir, "absent", "key"), nil); err == nil {
		t.Error("wrote into a directory that does not exist")
	}
	if err := Write(filepath.Join(target, "key"), nil); err == nil {
		t.Error("wrote below a file")
	}
}

// In /tmp, whoever was there first would be given the secrets.
func TestWriteWhereEverybodyMay(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes are not what protects files there")
	}
	for _, mode := range []os.FileMode{0o777, 0o777 | os.ModeSticky, 0o702} {
		dir := t.TempDir()
		path := filepath.Join(dir, "key")
		if err := os.WriteFile(path, []byte("planted"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if err := Write(path, []byte("new")); err == nil {
			t.Errorf("wrote into a directory of mode %v", mode)
		}
		if b, _ := os.ReadFile(path); string(b) != "planted" {
			t.Errorf("mode %v: the file has %q", mode, b)
		}
		onlyFile(t, path)
	}
}

// Root's replacement of a file stays the file of the program that reads it.
func TestWriteKeepsOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		testenv.Skip(t, "only root can give files away")
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 4321, 8765); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if uid, gid := owner(t, path); uid != 4321 || gid != 8765 {
		t.Errorf("owner %d:%d, want 4321:8765", uid, gid)
	}
}

func onlyFile(t *testing.T, path string) {
	t.Helper()
	all, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(all) != 1 {
		t.Errorf("directory has %v, %v, want the file only", all, err)
	}
}
