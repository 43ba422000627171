//go:build !linux

package listen

import "syscall"

func narrow(string, string, syscall.RawConn) error { return nil }
