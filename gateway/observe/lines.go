package observe

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxPending bounds the lines that wait to be written, in bytes. What is
	// beyond it is dropped and counted: a full disk, or a pipe that nobody reads,
	// holds no request up.
	maxPending = 4 << 20

	flushAt    = 64 << 10               // bytes that are written at once
	flushAfter = 200 * time.Millisecond // that a line waits
	complain   = time.Minute            // between two lines of the log about it
)

// lines writes lines to a file, or to a stream, in the background. It is safe
// for concurrent use.
type lines struct {
	path    string // empty: a stream, which is not closed
	logger  *slog.Logger
	dropped *atomic.Uint64

	mu     sync.Mutex
	buf    []byte
	closed bool

	first, full chan struct{} // something is there, and much
	stop, done  chan struct{}

	outMu sync.Mutex
	out   io.Writer
	told  time.Time // last complaint
}

// newLines begins to write. Exactly one of path and w is set.
func newLines(path string, w io.Writer, logger *slog.Logger, dropped *atomic.Uint64) (*lines, error) {
	l := &lines{
		path: path, out: w, logger: logger, dropped: dropped,
		first: make(chan struct{}, 1), full: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	if path != "" {
		f, err := openAppend(path)
		if err != nil {
			return nil, err
		}
		l.out = f
	}
	go l.run()
	return l, nil
}

// openAppend opens a file to write at its end. It waits for nobody, as opening a
// named pipe would.
func openAppend(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && info.Mode()&os.ModeCharDevice == 0 {
		return nil, fmt.Errorf("observe: access log %s is not a regular file", path)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("observe: access log: %w", err)
	}
	return f, nil
}

// write takes a line, and reports whether l is not closed.
func (l *lines) write(line []byte) bool {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	before := len(l.buf)
	if before+len(line) > maxPending {
		l.mu.Unlock()
		l.dropped.Add(1)
		return true
	}
	l.buf = append(l.buf, line...)
	after := len(l.buf)
	l.mu.Unlock()
	if before == 0 {
		wake(l.first)
	}
	if before < flushAt && after >= flushAt {
		wake(l.full)
	}
	return true
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (l *lines) run() {
	defer close(l.done)
	var spare []byte
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-l.first:
			t.Reset(flushAfter)
			select {
			case <-l.full:
			case <-t.C:
			case <-l.stop:
			}
		case <-l.stop:
			l.flush(spare)
			return
		}
		spare = l.flush(spare)
	}
}

// flush writes what is there. It leaves spare to be filled next, and returns
// what may be filled after that.
func (l *lines) flush(spare []byte) []byte {
	l.mu.Lock()
	b := l.buf
	l.buf = spare[:0]
	l.mu.Unlock()
	if len(b) == 0 {
		return b
	}
	l.outMu.Lock()
	defer l.outMu.Unlock()
	if n, err := l.out.Write(b); err != nil {
		l.dropped.Add(uint64(bytes.Count(b[n:], []byte("\n"))))
		if now := time.Now(); now.Sub(l.told) >= complain {
			l.told = now
			l.logger.Error("access log cannot be written", slog.String("file", l.path), slog.Any("cause", err))
		}
	}
	return b
}

// reopen opens the file again, which may have been renamed. With an error it
// goes on with the one it has.
func (l *lines) reopen() error {
	if l.path == "" {
		return nil
	}
	f, err := openAppend(l.path)
	if err != nil {
		return err
	}
	l.outMu.Lock()
	defer l.outMu.Unlock()
	if old, ok := l.out.(io.Closer); ok {
		_ = old.Close() // what was written is the system's
	}
	l.out = f
	return nil
}

// close writes what is there and takes nothing more.
func (l *lines) close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	l.mu.Unlock()
	close(l.stop)
	<-l.done
	if f, ok := l.out.(io.Closer); ok && l.path != "" {
		_ = f.Close()
	}
}
