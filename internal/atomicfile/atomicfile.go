// Package atomicfile replaces files that hold secrets: a reader finds the old
// content or the new one, whole, also after a crash, and nobody else can read
// either.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Write gives the file at path this content. It refuses directories that
// CheckDir does. A new file is readable by its owner only. One that is replaced keeps its
// group's right to read, and its owner and group where this process may give files
// away; no rights of others are kept. When Write returns, the content is on the disk.
func Write(path string, content []byte) error { return WriteLike(path, path, content) }

// WriteLike is Write for a file whose mode and owner come from another one, if
// that is there.
func WriteLike(path, like string, content []byte) error {
	s, err := stage(path, like, content)
	if err != nil {
		return err
	}
	return s.Commit()
}

// Staged is new content of a file that is on the disk, and not in its place yet:
// what can fail has been done, but for the last step. Commit must be called, once, or
// the file at Name be renamed or removed.
type Staged struct{ temp, path string }

// Stage is Write without its last step, for who replaces several files.
func Stage(path string, content []byte) (*Staged, error) { return stage(path, path, content) }

func stage(path, like string, content []byte) (*Staged, error) {
	if err := CheckDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+staged+"*") // O_EXCL, 0600
	if err != nil {
		return nil, err
	}
	err = fill(f, like, content)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return nil, err
	}
	return &Staged{f.Name(), path}, nil
}

// Commit puts the content into the place of the file.
func (s *Staged) Commit() error {
	err := Rename(s.temp, s.path)
	if err != nil {
		_ = os.Remove(s.temp) // gone already if only the directory could not be written
	}
	return err
}

// Name is that of the file in which the content is until Commit: it is beside the
// other one.
func (s *Staged) Name() string { return s.temp }

// StagedFor returns the file that a Staged one is for, by its name.
func StagedFor(name string) (path string, ok bool) {
	dir, base := filepath.Split(name)
	i := strings.LastIndex(base, staged)
	if i < 2 || base[0] != '.' {
		return "", false
	}
	random := base[i+len(staged):]
	return filepath.Join(dir, base[1:i]), random != "" && strings.Trim(random, "0123456789") == ""
}

// staged is between the name of a file and what os.CreateTemp adds.
const staged = ".tmp-"

// CheckDir refuses a directory where everybody can make files, such as /tmp:
// what is found there may be anybody's, who would own what replaces it.
func CheckDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	case info.Mode().Perm()&0o002 != 0 && runtime.GOOS != "windows": // access lists there
		return fmt.Errorf("everybody can make files in %s, so that others could put theirs in the place of ours: choose another directory, or take that right away (chmod o-w)", dir)
	}
	return nil
}

// fill gives f the content, and mode and owner of another file.
func fill(f *os.File, like string, content []byte) error {
	old, err := os.Lstat(like)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !old.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", like)
	default:
		if err := f.Chmod(0o600 | old.Mode().Perm()&0o040); err != nil {
			return err
		}
		if err := keepOwner(f, old); err != nil {
			return err
		}
	}
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Sync()
}

// Rename gives a file another name, in the same directory, in place of what has
// it. When it returns, the disk has the change.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

// SyncDir brings the names in a directory to the disk.
func SyncDir(dir string) error { return syncDir(dir) }

// Remove removes a file. When it returns, the disk has the change.
func Remove(path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
