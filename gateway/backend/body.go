package backend

import (
	"io"
	"net/http"
)

// framing is how the end of a body is known (RFC 9112 6.3).
type framing int

const (
	noBody  framing = iota
	byCount         // Content-Length
	byChunks
	byClose
)

// framing of the answer to a request by method.
func (h *head) framing(method string) framing {
	switch {
	case method == http.MethodHead, h.status < 200, h.status == http.StatusNoContent, h.status == http.StatusNotModified:
		return noBody
	case h.chunked:
		return byChunks
	case h.length == 0:
		return noBody
	case h.length > 0:
		return byCount
	}
	return byClose
}

// A body is that of an answer while it passes.
type body struct {
	in      *reader
	framing framing
	left    int64 // of the body, or of the chunk
	chunks  bool  // one has begun
	trailer []field
}

// next returns what comes next of the body, which is valid until the next call,
// or io.EOF at its end.
func (b *body) next() ([]byte, error) {
	switch b.framing {
	case byCount, byChunks:
		if b.left == 0 {
			if b.framing == byCount {
				return nil, io.EOF
			}
			if err := b.chunk(); err != nil {
				return nil, err
			}
		}
	case byClose:
	default:
		return nil, io.EOF
	}
	if b.in.buffered() == 0 {
		b.in.widen()
		if err := b.in.fill(largeSize); err != nil {
			if b.framing == byClose {
				return nil, err
			}
			return nil, unexpected(err)
		}
	}
	n := b.in.buffered()
	if b.framing != byClose {
		n = int(min(int64(n), b.left))
		b.left -= int64(n)
	}
	p := b.in.buf[b.in.r : b.in.r+n]
	b.in.r += n
	return p, nil
}

// chunk reads what stands between chunks (RFC 9112 7.1).
func (b *body) chunk() error {
	b.in.widen()
	if b.chunks {
		if _, err := b.in.line(0); err != nil {
			return err
		}
	}
	b.chunks = true
	line, err := b.in.line(maxChunkLine)
	if err != nil {
		return err
	}
	n, ok := parseChunkLine(line)
	if !ok {
		return protocolError("a chunk has no length")
	}
	if b.left = n; n > 0 {
		return nil
	}
	text, err := b.in.block(maxTrailer)
	if err != nil {
		return err
	}
	if b.trailer, err = parseFields(b.trailer[:0], text); err != nil {
		return err
	}
	for _, f := range b.trailer {
		switch f.name {
		case "Content-Length", "Transfer-Encoding", "Trailer":
			return protocolError("a trailer says how long the body is")
		}
	}
	b.framing = noBody
	return io.EOF
}

// parseChunkLine reads the size of a chunk, and skips extensions.
func parseChunkLine(line []byte) (n int64, ok bool) {
	i := 0
	for ; i < len(line) && i < 15; i++ {
		d := unhex(line[i])
		if d < 0 {
			break
		}
		n = n<<4 | int64(d)
	}
	digits := i
	for i < len(line) && (line[i] == ' ' || line[i] == '\t') { // some pad sizes with spaces
		i++
	}
	if digits == 0 || i < len(line) && line[i] != ';' {
		return 0, false
	}
	for _, c := range line[i:] {
		if c < ' ' && c != '\t' || c == 0x7f {
			return 0, false
		}
	}
	return n, true
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
