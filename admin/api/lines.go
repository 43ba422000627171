package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/soapward/soapward/admin/api/wire"
)

// lines are an answer that is written piece by piece. One goroutine at a time
// may use it.
type lines struct {
	c     *call
	media string
	beat  *time.Ticker // when a line is due
	rc    *http.ResponseController
	buf   []byte
}

// Streams and exports that a caller has at a time: a stream asks the store again and
// again, an export as fast as it can.
const (
	maxStreams = 16
	maxExports = 2
)

// writeTime is how long a client may take for a piece.
const writeTime = 30 * time.Second

// flushSize is how much is kept back, in bytes.
const flushSize = 32 << 10

func (c *call) lines() *lines {
	// What is behind the request may come at any time, and a limit for it would
	// count as the client's leaving. A server that has none says so.
	_ = http.NewResponseController(c.w).SetReadDeadline(time.Time{})
	return &lines{c: c, media: c.e.media[0], beat: time.NewTicker(wire.Heartbeat), rc: http.NewResponseController(c.w)}
}

func (l *lines) stop() { l.beat.Stop() }

// write writes a value at once.
func (l *lines) write(v any) error {
	if err := l.put(v); err != nil {
		return err
	}
	return l.flush()
}

// put writes a value, some time before flush returns.
func (l *lines) put(v any) error {
	b, err := encode(v)
	if err != nil {
		return err
	}
	_, err = l.Write(b)
	return err
}

// Write implements io.Writer, for what is no JSON.
func (l *lines) Write(b []byte) (int, error) {
	l.buf = append(l.buf, b...)
	if len(l.buf) < flushSize {
		return len(b), nil
	}
	return len(b), l.flush()
}

// heartbeat says that the stream lives.
func (l *lines) heartbeat() error {
	l.buf = append(l.buf, '\n')
	return l.flush()
}

// flush sends what there is. A server's limit for whole answers does not count
// for those that live.
func (l *lines) flush() error {
	if err := l.rc.SetWriteDeadline(time.Now().Add(writeTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if !l.c.begun {
		l.c.begun = true
		l.c.w.Header().Set("Content-Type", l.media)
		l.c.w.Header().Set("X-Accel-Buffering", "no") // nginx would keep lines back
		l.c.w.WriteHeader(l.c.e.status)
	}
	_, err := l.c.w.Write(l.buf)
	l.buf = l.buf[:0]
	if err != nil {
		return err
	}
	return l.rc.Flush()
}
