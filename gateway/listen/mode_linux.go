package listen

import "syscall"

// narrow sets the mode that bind makes the file of a Unix socket with (Linux), so
// that nobody else connects before it is set again.
func narrow(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) { failed = syscall.Fchmod(int(fd), socketMode) })
	if err != nil {
		return err
	}
	return failed
}
