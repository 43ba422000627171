package backend

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// Bounds of what a backend sends around its bodies.
const (
	bufferSize    = 8 << 10  // of an idle connection
	largeSize     = 64 << 10 // while a body passes
	maxHead       = 1 << 20
	maxFields     = 1000
	maxChunkLine  = 4 << 10 // size and extensions
	maxTrailer    = 64 << 10
	maxInterim    = 16 // 1xx before an answer
	maxHeadLength = 18 // digits of Content-Length
	maxOptions    = 64 // names in Connection, which are compared with all fields
)

// A protocolError is how an answer is not HTTP as it should be.
type protocolError string

func (e protocolError) Error() string { return string(e) }

// A waiter is told before a read that may wait.
type waiter interface{ flush() }

// A reader has what came of a backend and was not taken yet. One goroutine uses
// it.
type reader struct {
	src  io.Reader
	buf  []byte // own or large
	r, w int    // buf[r:w] was not taken
	own  []byte // of bufferSize
	got  bool   // something came since begin

	waiter waiter // nil: nobody cares
}

var large = sync.Pool{New: func() any { return new([largeSize]byte) }}

func (b *reader) init(src io.Reader) {
	b.src, b.own = src, make([]byte, bufferSize)
	b.buf = b.own
}

// begin prepares for the answer to another request.
func (b *reader) begin() { b.got, b.waiter = false, nil }

func (b *reader) buffered() int { return b.w - b.r }

// fill reads once. It makes room first if there is none: up to limit bytes.
func (b *reader) fill(limit int) error {
	if b.r == b.w {
		b.r, b.w = 0, 0
	}
	if b.w == len(b.buf) {
		switch {
		case b.r > 0:
			b.w = copy(b.buf, b.buf[b.r:b.w])
			b.r = 0
		case len(b.buf) >= limit:
			return protocolError("too large")
		default:
			grown := make([]byte, min(2*len(b.buf), limit))
			copy(grown, b.buf)
			b.setBuffer(grown)
		}
	}
	if b.waiter != nil {
		b.waiter.flush()
	}
	for range 100 {
		n, err := b.src.Read(b.buf[b.w:])
		b.w += n
		if n > 0 {
			b.got = true
			return nil // an error comes again
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// widen takes a large buffer, for a body. There must be nothing in the other one.
func (b *reader) widen() {
	if b.r == b.w && len(b.buf) < largeSize {
		b.buf, b.r, b.w = large.Get().(*[largeSize]byte)[:], 0, 0
	}
}

// setBuffer replaces the buffer by one with the same contents.
func (b *reader) setBuffer(buf []byte) {
	if len(b.buf) == largeSize && cap(b.buf) == largeSize {
		large.Put((*[largeSize]byte)(b.buf))
	}
	b.buf = buf
}

// end goes back to the connection's own buffer. It reports whether nothing was
// left over.
func (b *reader) end() bool {
	clean := b.r == b.w
	b.setBuffer(b.own)
	b.r, b.w, b.waiter = 0, 0, nil
	return clean
}

// line returns the next line without its end, which must be CRLF. It is valid
// until the next call.
func (b *reader) line(limit int) ([]byte, error) {
	seen := 0
	for {
		if i := bytes.IndexByte(b.buf[b.r+seen:b.w], '\n'); i >= 0 {
			end := b.r + seen + i
			if end == b.r || b.buf[end-1] != '\r' {
				return nil, protocolError("a line ends without CR")
			}
			line := b.buf[b.r : end-1]
			b.r = end + 1
			if len(line) > limit {
				return nil, protocolError("a line is too long")
			}
			return line, nil
		}
		if seen = b.buffered(); seen > limit+1 {
			return nil, protocolError("a line is too long")
		}
		if err := b.fill(max(2*limit, len(b.buf))); err != nil {
			return nil, unexpected(err)
		}
	}
}

// block returns everything up to an empty line, which is taken too. An empty
// block has only that.
func (b *reader) block(limit int) (string, error) {
	seen, start := 0, 0 // of the line that is being looked at
	for {
		for {
			i := bytes.IndexByte(b.buf[b.r+seen:b.w], '\n')
			if i < 0 {
				seen = b.buffered()
				break
			}
			end := seen + i
			if end == start || b.buf[b.r+end-1] != '\r' {
				return "", protocolError("a line ends without CR")
			}
			if end-1 == start {
				s := string(b.buf[b.r : b.r+start])
				b.r += end + 1
				return s, nil
			}
			seen, start = end+1, end+1
		}
		if seen > limit {
			return "", protocolError("the header is too large")
		}
		if err := b.fill(limit + bufferSize); err != nil {
			return "", unexpected(err)
		}
	}
}

// unexpected is an end where there should be more.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
