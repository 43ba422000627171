package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// gun is a connection of a load generator that costs little, so that what is
// measured is left with the processors: all guns are served by one thread, what
// they send is ready, and of an answer they read what HTTP/1.1 needs.
type gun struct {
	fd  int
	buf []byte // of an answer that is not whole yet
}

// answer is what a gun keeps of one.
type answer struct {
	status int
	header []string
}

func newGun(addr string) (*gun, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }() // the copy stays, of which Go's own poller knows nothing
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	g := new(gun)
	if ctlErr := raw.Control(func(fd uintptr) { g.fd, err = syscall.Dup(int(fd)) }); ctlErr != nil || err != nil {
		return nil, errors.Join(ctlErr, err)
	}
	syscall.CloseOnExec(g.fd)
	minute := syscall.Timeval{Sec: 60}
	err = errors.Join(syscall.SetNonblock(g.fd, false),
		syscall.SetsockoptTimeval(g.fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &minute),
		syscall.SetsockoptTimeval(g.fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &minute))
	if err != nil {
		g.close()
	}
	return g, err
}

func (g *gun) close() {
	if g.fd >= 0 {
		_ = syscall.Close(g.fd)
		g.fd = -1
	}
}

// send writes a request, which is small enough for the socket's buffer.
func (g *gun) send(request []byte) error {
	n, err := syscall.Write(g.fd, request)
	if err == nil && n < len(request) {
		err = io.ErrShortWrite
	}
	return err
}

// fire sends a request and returns the answer, while no other gun is served.
func (g *gun) fire(request []byte) (answer, error) {
	if err := g.send(request); err != nil {
		return answer{}, err
	}
	for {
		a, ok, err := g.receive(true)
		if ok || err != nil {
			return a, err
		}
	}
}

// receive reads what is there, and reports whether the answer is whole.
func (g *gun) receive(keep bool) (a answer, ok bool, err error) {
	g.buf = slices.Grow(g.buf, 16<<10)
	n, err := syscall.Read(g.fd, g.buf[len(g.buf):cap(g.buf)])
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		return a, false, nil
	case err != nil:
		return a, false, err
	case n == 0:
		return a, false, io.ErrUnexpectedEOF
	}
	g.buf = g.buf[:len(g.buf)+n]
	a, size, err := parseAnswer(g.buf, keep)
	if err != nil || size == 0 {
		return a, false, err
	}
	if size != len(g.buf) {
		return a, false, errors.New("more than an answer came")
	}
	g.buf = g.buf[:0]
	return a, true, nil
}

// parseAnswer returns the answer at the beginning of b and its size, which is zero
// while it is not whole.
func parseAnswer(b []byte, keep bool) (a answer, size int, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return a, 0, nil
	}
	length, chunked := -1, false
	for rest, first := b[:end], true; len(rest) > 0; first = false {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		switch {
		case first:
			if len(line) < 12 {
				return a, 0, fmt.Errorf("status line %q", line)
			}
			if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return a, 0, err
			}
		case hasPrefixFold(line, "content-length:"):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[15:]))); err != nil {
				return a, 0, err
			}
		case hasPrefixFold(line, "transfer-encoding:"):
			chunked = true
		}
		if keep && !first {
			a.header = append(a.header, string(line))
		}
	}
	size = end + 4
	switch {
	case chunked:
		return a, size + chunks(b[size:], size), nil
	case length < 0:
		return a, 0, errors.New("answer without length")
	case len(b) < size+length:
		return a, 0, nil
	}
	return a, size + length, nil
}

// chunks returns the size of a chunked body, and what makes the sum with head zero
// while it is not whole.
func chunks(b []byte, head int) int {
	for size := 0; ; {
		line, _, ok := bytes.Cut(b[size:], []byte("\r\n"))
		n, err := strconv.ParseInt(string(line), 16, 32)
		if !ok || err != nil {
			return -head
		}
		if size += len(line) + 2 + int(n) + 2; size > len(b) {
			return -head
		}
		if n == 0 {
			return size
		}
	}
}

func hasPrefixFold(line []byte, prefix string) bool {
	return len(line) >= len(prefix) && bytes.EqualFold(line[:len(prefix)], []byte(prefix))
}

// value returns the first value of a header, without a prefix that it must have.
func (a answer) value(name, prefix string) (string, bool) {
	for _, line := range a.header {
		k, v, _ := strings.Cut(line, ":")
		if v = strings.TrimSpace(v); strings.EqualFold(k, name) && strings.HasPrefix(v, prefix) {
			return v[len(prefix):], true
		}
	}
	return "", false
}

// volley is what a load came to.
type volley struct {
	perSecond float64
	p50, p99  time.Duration
}

// hammer has each gun send the requests that are its own, one after the other.
// Each must be answered with 200.
func hammer(tb testing.TB, guns []*gun, requests func(gun int) [][]byte) volley {
	tb.Helper()
	all := make([][][]byte, len(guns))
	total := 0
	for i := range guns {
		all[i] = requests(i)
		total += len(all[i])
	}
	took, starts, next := make([]time.Duration, 0, total), make([]time.Time, len(guns)), make([]int, len(guns))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ep, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = syscall.Close(ep) }()
	for i, g := range guns {
		event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(i)}
		if err := errors.Join(syscall.SetNonblock(g.fd, true), syscall.EpollCtl(ep, syscall.EPOLL_CTL_ADD, g.fd, &event)); err != nil {
			tb.Fatal(err)
		}
		defer func() { _ = syscall.SetNonblock(g.fd, false) }()
	}
	begin := time.Now()
	for i, g := range guns {
		starts[i] = time.Now()
		if err := g.send(all[i][0]); err != nil {
			tb.Fatal(err)
		}
	}
	events := make([]syscall.EpollEvent, len(guns))
	for len(took) < total {
		n, err := syscall.EpollWait(ep, events, 60_000)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			tb.Fatalf("after %d answers: no more for a minute, %v", len(took), err)
		}
		for _, e := range events[:n] {
			i := int(e.Fd)
			a, ok, err := guns[i].receive(false)
			if err == nil && ok && a.status != 200 {
				err = fmt.Errorf("status %d", a.status)
			}
			if err != nil {
				tb.Fatalf("connection %d, request %d: %v", i, next[i], err)
			}
			if !ok {
				continue
			}
			now := time.Now()
			took = append(took, now.Sub(starts[i]))
			if next[i]++; next[i] < len(all[i]) {
				starts[i] = now
				if err := guns[i].send(all[i][next[i]]); err != nil {
					tb.Fatal(err)
				}
			}
		}
	}
	clock := time.Since(begin)
	slices.Sort(took)
	return volley{float64(total) / clock.Seconds(), took[total/2], took[total*99/100]}
}
