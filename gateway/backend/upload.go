package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what is read of a body that the server did not wait for, so that the
// client sees the answer (RFC 9112 9.6).
const (
	lingerSize  = 256 << 10
	lingerTime  = time.Second
	lingerGrace = 50 * time.Millisecond // for an upload that is about to end
)

// An upload sends a body on while the answer may come already.
type upload struct {
	done    chan struct{}
	trailer []string // names

	// Valid after done.
	toServer   error
	fromClient error

	mu       sync.Mutex
	answered bool
	ending   bool // endUpload says how long the client may take
}

// wait bounds the time until the client sends the next bytes.
func (u *upload) wait(x *exchange) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.ending {
		x.waitForBody(0)
	}
}

func (u *upload) over() bool {
	select {
	case <-u.done:
		return true
	default:
		return false
	}
}

// complete reports whether all was sent.
func (u *upload) complete() bool { return u.over() && u.fromClient == nil && u.toServer == nil }

// endClient ends the client's connection with the answer: what is left of the
// body must not be taken for another request. It is without effect once the
// answer has begun.
func (x *exchange) endClient() {
	if x.r.ProtoMajor == 1 {
		x.w.Header()["Connection"] = []string{"close"}
	}
}

// clientErr is what went wrong with the client, if that is why err came of the
// server's side.
func (u *upload) clientErr(ctx context.Context, err error) error {
	if errors.Is(err, net.ErrClosed) && ctx.Err() == nil {
		<-u.done // which closed it, and is about to end
	}
	if u.over() {
		return u.fromClient
	}
	return nil
}

func (x *exchange) startUpload(c *conn) {
	u := &upload{done: make(chan struct{}), trailer: x.trailer}
	x.upload = u
	_ = x.control().EnableFullDuplex() // HTTP/2 needs it not
	if x.p.timeout > 0 {
		_ = c.SetDeadline(time.Time{}) // counts from when all was sent
	}
	go func() {
		defer close(u.done)
		u.run(x, c)
		if u.fromClient != nil {
			c.kill() // nobody answers half a request
			return
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		if x.p.timeout > 0 && !u.answered {
			_ = c.SetReadDeadline(time.Now().Add(x.p.timeout))
		}
	}()
}

// answered ends the limit on the time to the answer's head.
func (x *exchange) answered(c *conn) {
	if u := x.upload; u != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.answered = true
		_ = c.SetReadDeadline(time.Time{})
		return
	}
	_ = c.SetDeadline(time.Time{})
}

// run sends the body.
func (u *upload) run(x *exchange, c *conn) {
	p, r := x.p, x.r
	space := large.Get().(*[largeSize]byte)
	defer large.Put(space)
	const before, after = 8, 2 // of a chunk: its size and CRLF, and CRLF
	chunked, left := r.ContentLength < 0, r.ContentLength
	for chunked || left > 0 {
		part := space[before : largeSize-after]
		if !chunked && int64(len(part)) > left {
			part = part[:left]
		}
		u.wait(x)
		n, err := r.Body.Read(part)
		if n > 0 {
			out := part[:n]
			if chunked {
				out = frameChunk(space[:before+n+after], before)
			}
			if u.toServer = c.writeWithin(out, p.timeout); u.toServer != nil {
				return
			}
			left -= int64(n)
		}
		switch {
		case errors.Is(err, io.EOF) && chunked:
			u.toServer = c.writeWithin(appendTrailer([]byte("0\r\n"), r, u.trailer), p.timeout)
			return
		case errors.Is(err, io.EOF) && left > 0:
			u.fromClient = io.ErrUnexpectedEOF
			return
		case err != nil && !errors.Is(err, io.EOF):
			u.fromClient = err
			return
		}
	}
}

// frameChunk puts the size in front of a chunk, which begins at before, and CRLF
// after it, where there is room for both. It returns what is to be sent.
func frameChunk(b []byte, before int) []byte {
	size := fmt.Appendf(make([]byte, 0, before), "%x\r\n", len(b)-before-2)
	start := before - len(size)
	copy(b[start:], size)
	b[len(b)-2], b[len(b)-1] = '\r', '\n'
	return b[start:]
}

// endUpload reports whether the body was sent as a whole. Where the server's
// answer did not wait for it, it is given up.
func (x *exchange) endUpload(c *conn) bool {
	u := x.upload
	if !u.over() {
		if x.begun {
			_ = x.control().Flush()
		}
		grace := time.NewTimer(lingerGrace)
		defer grace.Stop()
		select {
		case <-u.done:
		case <-grace.C:
			c.kill()
			u.mu.Lock()
			u.ending = true
			_ = x.control().SetReadDeadline(time.Now().Add(lingerTime)) // the goroutine may wait for the client
			u.mu.Unlock()
			<-u.done
			if u.fromClient == nil {
				_, _ = io.CopyN(io.Discard, x.r.Body, lingerSize)
			}
			return false
		}
	}
	return u.complete()
}

// uploadFailure is what became of a body that the client did not send whole.
func uploadFailure(err error) *failure {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return &failure{http.StatusRequestEntityTooLarge, ReasonRequest, fmt.Errorf("the body is larger than %d bytes", large.Limit)}
	}
	if timedOut(err) {
		return &failure{http.StatusRequestTimeout, ReasonClient, errors.New("the client did not send its body in time")}
	}
	return &failure{http.StatusBadRequest, ReasonClient, fmt.Errorf("the client did not send its whole body: %w", err)}
}

// mayTrail reports whether a field may come after a body: not what says how to
// read the message, who sent it, or what may be done with it (RFC 9110 6.5.1).
func mayTrail(name string) bool {
	switch name {
	case "Authorization", "Cache-Control", "Connection", "Content-Encoding", "Content-Length", "Content-Range", "Content-Type",
		"Cookie", "Expect", "Host", "Keep-Alive", "Location", "Max-Forwards", "Pragma", "Proxy-Authenticate", "Proxy-Authorization",
		"Proxy-Connection", "Range", "Retry-After", "Set-Cookie", "Soapaction", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Vary", "Warning",
		"Www-Authenticate":
		return false
	}
	return !hasPrefixFold(name, "If-")
}

// trailerNames are those of a request's trailer that go on. Before the body was
// read they are what was announced; net/http adds what was not.
func (p *Proxy) trailerNames(r *http.Request) []string {
	if len(r.Trailer) == 0 {
		return nil
	}
	listed := connectionOptions(r.Header)
	var names []string
	for name := range r.Trailer {
		if isToken(name) && mayTrail(name) && !p.filter.drops(name) && !containsFold(listed, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func appendTrailerNames(b []byte, names []string) []byte {
	if len(names) > 0 {
		b = append(append(append(b, "Trailer: "...), strings.Join(names, ", ")...), "\r\n"...)
	}
	return b
}

// appendTrailer writes the trailer, which net/http has read with the end of the
// body, and the empty line.
func appendTrailer(b []byte, r *http.Request, names []string) []byte {
	for _, name := range names {
		for _, v := range r.Trailer[name] {
			if validValue(v) {
				b = append(append(append(append(b, name...), ": "...), v...), "\r\n"...)
			}
		}
	}
	return append(b, "\r\n"...)
}
