//go:build unix

package backend

import (
	"net"
	"syscall"
)

// A probe looks whether the server closed an idle connection, or sent what
// nobody asked for.
type probe struct {
	raw   syscall.RawConn
	peek  func(fd uintptr) bool // kept, so that a look allocates nothing
	quiet bool
}

func (p *probe) init(c net.Conn) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	var b [1]byte
	p.raw = raw
	p.peek = func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		p.quiet = err == syscall.EAGAIN || err == syscall.EINTR
		return true
	}
}

// alive reports whether the connection is open and silent.
func (p *probe) alive() bool {
	return p.raw == nil || p.raw.Read(p.peek) == nil && p.quiet
}
