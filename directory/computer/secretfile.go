package computer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/atomicfile"
)

// A SecretFile is the path of the file with an account's password: one line of
// text. Beside it may lie FILE.new, a password that was made but not proven
// yet, FILE.old, the one before, and FILE.lock. Its methods are safe for
// concurrent use, also by several processes.
type SecretFile string

// ErrNoSecret means that there is no password file.
var ErrNoSecret = errors.New("computer: there is no password file")

// ErrLocked means that another process changes the password at the moment.
var ErrLocked = errors.New("computer: the password is being changed")

// maxSecretFile bounds what is read of a file.
const maxSecretFile = 4096

func (f SecretFile) next() string     { return string(f) + ".new" }
func (f SecretFile) previous() string { return string(f) + ".old" }

// Secrets returns the passwords that may be in force, the likeliest first: that
// of the file, one that a rotation was interrupted with, and the one before. It
// is made for netlogon.Config.Secrets. It refuses files that users outside of
// their owner and group can read, and FILE.new and FILE.old of another user. The
// error wraps ErrNoSecret where there is no file.
func (f SecretFile) Secrets() ([]authn.Secret, error) {
	// FILE.new before FILE, which it may become meanwhile; then it is found
	// under one of the names.
	next, errNext := f.read(f.next())
	current, err := f.read(string(f))
	previous, errPrevious := f.read(f.previous())
	var out []authn.Secret
	for _, c := range []struct {
		secret authn.Secret
		err    error
	}{{current, err}, {next, errNext}, {previous, errPrevious}} {
		switch {
		case errors.Is(c.err, ErrNoSecret):
		case c.err != nil:
			return nil, c.err
		case !contains(out, c.secret):
			out = append(out, c.secret)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s: run soapward join to make the account, or with --reset to set a new password", ErrNoSecret, f)
	}
	return out, nil
}

func contains(list []authn.Secret, s authn.Secret) bool {
	for _, o := range list {
		if o.Reveal() == s.Reveal() {
			return true
		}
	}
	return false
}

// Changed returns when the password was made, which is the time of the file.
func (f SecretFile) Changed() (time.Time, error) {
	info, err := os.Stat(string(f))
	if err != nil {
		return time.Time{}, noSecret(string(f), err)
	}
	return info.ModTime(), nil
}

func noSecret(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrNoSecret, path)
	}
	return fmt.Errorf("computer: password file: %w", err)
}

// read returns the password in f, or in one of those beside it.
func (f SecretFile) read(path string) (authn.Secret, error) {
	file, err := openSecret(path)
	if err != nil {
		return authn.Secret{}, noSecret(path, err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return authn.Secret{}, noSecret(path, err)
	}
	if !info.Mode().IsRegular() {
		return authn.Secret{}, fmt.Errorf("computer: password file %s is not a regular file", path)
	}
	if perm := info.Mode().Perm(); perm&0o027 != 0 && runtime.GOOS != "windows" {
		return authn.Secret{}, fmt.Errorf("computer: password file %s has mode %04o, so others could read or replace it: run chmod %04o %s",
			path, perm, perm&0o640, path)
	}
	if path != string(f) {
		if err := f.checkOwner(path, info); err != nil {
			return authn.Secret{}, err
		}
	}
	b, err := io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	if err != nil {
		return authn.Secret{}, fmt.Errorf("computer: password file: %w", err)
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if line == "" || len(b) > maxSecretFile || strings.ContainsAny(line, "\r\n\x00") {
		return authn.Secret{}, fmt.Errorf("computer: password file %s: want one line of text, the password", path)
	}
	return authn.NewSecret(line), nil
}

// exists reports whether there is a file of any kind at path.
func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// pending returns the password that an earlier run made and did not prove, or a
// new one. It is on the disk then, so that it can be told to the controller.
func (f SecretFile) pending(a Account) (s authn.Secret, leftover bool, err error) {
	s, err = f.read(f.next())
	if !errors.Is(err, ErrNoSecret) {
		return s, err == nil, err
	}
	s = NewPassword(a)
	if err := f.write(f.next(), s); err != nil {
		return authn.Secret{}, false, err
	}
	return s, false, nil
}

// write makes a file with a password. It gets the owner and mode of the file
// that it is to replace one day, so that the same programs can read it.
func (f SecretFile) write(path string, s authn.Secret) error {
	if err := atomicfile.WriteLike(path, string(f), []byte(s.Reveal()+"\n")); err != nil {
		return fmt.Errorf("computer: write password file: %w", err)
	}
	return nil
}

// keepOld copies the password that is in force aside. It is a copy, because
// there must be a file under the first name at any time.
func (f SecretFile) keepOld() error {
	s, err := f.read(string(f))
	if errors.Is(err, ErrNoSecret) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.write(f.previous(), s)
}

// adopt makes the pending password the one of the file.
func (f SecretFile) adopt() error {
	if err := atomicfile.Rename(f.next(), string(f)); err != nil {
		return fmt.Errorf("computer: password file: %w", err)
	}
	return nil
}

// discard removes a pending password that the controller never heard of.
func (f SecretFile) discard() error {
	if err := atomicfile.Remove(f.next()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("computer: password file: %w", err)
	}
	return nil
}

// lock keeps other processes from changing the password until unlock is called.
// It refuses a directory where somebody else could have made the files.
func (f SecretFile) lock() (unlock func(), err error) {
	if err := atomicfile.CheckDir(filepath.Dir(string(f))); err != nil {
		return nil, fmt.Errorf("computer: password file: %w", err)
	}
	l, err := os.OpenFile(string(f)+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("computer: lock: %w", err)
	}
	if err := tryLock(l); err != nil {
		_ = l.Close()
		if errors.Is(err, ErrLocked) {
			return nil, fmt.Errorf("%w: %s is held by another process", err, l.Name())
		}
		return nil, fmt.Errorf("computer: lock %s: %w", l.Name(), err)
	}
	return func() {
		releaseLock(l)
		_ = l.Close()
	}, nil
}
