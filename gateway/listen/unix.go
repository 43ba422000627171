package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// socketMode is that of a Unix socket: whoever may write it may connect.
const socketMode = 0o660

// openUnix makes a Unix socket. One that is left over from a program that is
// gone makes room for it.
func openUnix(path string) (*socket, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{Control: narrow}
	l, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // socketFile does
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(path))
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &socket{Listener: l, file: &socketFile{path: path, info: info, users: 1}}, nil
}

// removeStale takes away a socket that nobody listens at.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there, and no socket: %w", path, syscall.EADDRINUSE)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		return errors.Join(fmt.Errorf("another program listens there: %w", syscall.EADDRINUSE), c.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// A socketFile is the file of a Unix socket. Nil is none.
type socketFile struct {
	path string
	info os.FileInfo // of ours

	mu    sync.Mutex
	users int
}

func (f *socketFile) hold() {
	if f != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.users++
	}
}

// release takes the file away when nobody uses it any more, unless another
// program put its own in the place.
func (f *socketFile) release() error {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.users--; f.users > 0 {
		return nil
	}
	if info, err := os.Lstat(f.path); err != nil || !os.SameFile(info, f.info) {
		return nil
	}
	return os.Remove(f.path)
}
