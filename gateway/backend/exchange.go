package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/gateway/trail"
)

// maxSmall is how large a body may be that is read before a server is asked: a
// slow client keeps no connection to it then, and the request can be repeated.
const maxSmall = 64 << 10

// keepBuffer is how large a buffer is kept for another request.
const keepBuffer = maxSmall + 16<<10

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// An exchange is one request and its answer.
type exchange struct {
	p    *Proxy
	w    http.ResponseWriter
	r    *http.Request
	note *trail.Trail

	buf     []byte   // the request, with a small body
	line    int      // length of what depends on the server
	upgrade string   // that the client asks for
	trailer []string // names in the request's trailer
	private bool     // its connection is nobody else's: it may be logged in
	upload  *upload

	head      head
	body      body
	unflushed bool
	begun     bool // the client has the head
}

func (x *exchange) begin(p *Proxy, w http.ResponseWriter, r *http.Request) {
	x.p, x.w, x.r, x.note = p, w, r, trail.From(r.Context())
}

// control is for what few requests need.
func (x *exchange) control() *http.ResponseController { return http.NewResponseController(x.w) }

func (x *exchange) recycle() {
	buf, fields := x.buf, x.head.fields
	clear(fields)
	if cap(buf) > keepBuffer {
		buf = nil
	}
	*x = exchange{buf: buf[:0], head: head{fields: fields[:0]}}
	exchanges.Put(x)
}

// serve passes the request on. A failure has not been told to the client yet.
func (x *exchange) serve() *failure {
	p, r := x.p, x.r
	switch r.Method {
	case http.MethodConnect, http.MethodTrace: // the answer to TRACE shows who we say the caller is
		return &failure{http.StatusMethodNotAllowed, ReasonRequest, errors.New("the method " + r.Method + " is not passed on")}
	}
	s := p.pick(0)
	if s == nil {
		return &failure{http.StatusServiceUnavailable, ReasonDown, errors.New("no backend is well: all health checks failed")}
	}
	if f := x.build(s); f != nil {
		return f
	}
	var tried set
	again := false
	for {
		x.note.Backend = s.addr
		c, err := s.connect(r.Context(), again)
		if err == nil {
			f, stale := x.try(s, c)
			if stale && !again {
				again = true
				x.note.Retries++
				continue
			}
			return f
		}
		if f := x.notConnected(s, err); f != nil {
			return f
		}
		// Nothing was sent: each of the others is asked once.
		tried = tried.with(s.index)
		next := p.pick(tried)
		if next == nil {
			return x.unreachable(s, err, len(p.servers))
		}
		x.note.Retries++
		if s = next; x.retarget(s) != nil {
			return &failure{http.StatusBadRequest, ReasonRequest, errors.New("the request cannot be passed on")}
		}
	}
}

// notConnected is the failure to get a connection where no other server helps.
func (x *exchange) notConnected(s *server, err error) *failure {
	switch {
	case x.r.Context().Err() != nil:
		return x.clientGone()
	case (errors.Is(err, errBusy) || errors.Is(err, errQueued)) && len(x.p.servers) == 1:
		return x.unreachable(s, err, 1)
	}
	return nil
}

func (x *exchange) unreachable(s *server, err error, servers int) *failure {
	f := &failure{http.StatusBadGateway, ReasonDown, fmt.Errorf("backend %s: %w", s.url, err)}
	switch {
	case errors.Is(err, errBusy), errors.Is(err, errQueued):
		f.status, f.reason = http.StatusServiceUnavailable, ReasonBusy
	case timedOut(err):
		f.status = http.StatusGatewayTimeout
	}
	if servers > 1 {
		f.err = fmt.Errorf("%w, and no other answers", f.err)
	}
	return f
}

func (x *exchange) clientGone() *failure {
	return &failure{StatusClientGone, ReasonClient, errors.New("the client closed its connection before the answer")}
}

// build makes the request, with its body if that is small.
func (x *exchange) build(s *server) *failure {
	p, r := x.p, x.r
	x.upgrade = upgradeOf(r)
	x.private = p.config.KeepAuthorization && slices.ContainsFunc(r.Header["Authorization"], bindsConnection)
	b, err := p.appendLine(x.buf[:0], r, s)
	x.line = len(b)
	if err == nil {
		b, err = p.appendHeader(b, r, x.upgrade)
	}
	if err != nil {
		var bad badRequest
		if errors.As(err, &bad) {
			return &failure{http.StatusBadRequest, ReasonRequest, err}
		}
		return &failure{http.StatusBadGateway, ReasonIdentity, fmt.Errorf("the backend cannot be told who the caller is: %w", err)}
	}
	if r.ContentLength < 0 {
		x.trailer = p.trailerNames(r)
		b = appendTrailerNames(b, x.trailer)
	}
	b = appendLength(b, r)
	x.buf = b
	if !x.small() || r.ContentLength == 0 {
		return nil
	}
	n := len(b)
	b = slices.Grow(b, int(r.ContentLength))[:n+int(r.ContentLength)]
	x.buf = b
	x.waitForBody(r.ContentLength)
	if _, err := io.ReadFull(r.Body, b[n:]); err != nil {
		return uploadFailure(err)
	}
	return nil
}

func (x *exchange) small() bool { return x.r.ContentLength >= 0 && x.r.ContentLength <= maxSmall }

// retarget rewrites the request for another server.
func (x *exchange) retarget(s *server) error {
	b, err := x.p.appendLine(nil, x.r, s)
	if err != nil {
		return err
	}
	line := len(b)
	x.buf, x.line = append(b, x.buf[x.line:]...), line
	return nil
}

// try sends the request over a connection and passes the answer on. stale means
// that the server had closed the connection before it took the request, which
// may be sent again.
func (x *exchange) try(s *server, c *conn) (f *failure, stale bool) {
	reuse := false
	stop := context.AfterFunc(x.r.Context(), c.kill)
	defer func() {
		if x.upload != nil && !x.endUpload(c) {
			x.endClient()
			reuse = false
		}
		reuse = stop() && reuse
		if clean := c.in.end(); clean && reuse {
			s.pool.put(c, x.head.idle)
		} else {
			c.kill()
		}
		s.pool.leave()
	}()

	began := time.Now()
	if x.p.timeout > 0 {
		_ = c.SetDeadline(began.Add(x.p.timeout)) // fails as what comes next does
	}
	c.in.begin()
	sent, sendErr := c.Write(x.buf)
	if sendErr == nil && !x.small() {
		x.startUpload(c)
	}
	// Where it could not be sent there may be an answer that says why.
	h := &x.head
	if err := x.readHead(c); err != nil {
		if sendErr != nil && !c.in.got {
			err = sendErr
		}
		stale = c.used && !c.in.got && x.upload == nil && x.r.Context().Err() == nil && !timedOut(err) &&
			(sent == 0 || isIdempotent(x.r.Method))
		return x.noAnswer(s, err), stale
	}
	x.note.BackendTime = time.Since(began)
	if h.status == http.StatusSwitchingProtocols {
		return x.tunnel(s, c), false
	}
	if x.p.timeout > 0 {
		x.answered(c)
	}
	if err := x.deliver(c); err != nil {
		x.broken(s, err)
		return nil, false
	}
	reuse = sendErr == nil && h.reusable() && !x.private && x.body.framing != byClose
	return nil, false
}

// readHead reads the head of the answer, and passes interim ones on.
func (x *exchange) readHead(c *conn) error {
	h := &x.head
	for range maxInterim {
		if err := h.read(&c.in); err != nil {
			return err
		}
		switch {
		case h.status >= 200 || h.status == http.StatusSwitchingProtocols:
			return nil
		case h.status == http.StatusContinue || !x.r.ProtoAtLeast(1, 1):
			continue // net/http tells the client itself (RFC 9110 10.1.1)
		}
		header := x.w.Header()
		before := maps.Clone(header)
		clear(header)
		x.copyFields(header)
		x.w.WriteHeader(h.status)
		clear(header)
		maps.Copy(header, before)
	}
	return protocolError("it sends one interim answer after another")
}

// noAnswer is the failure where no answer was read.
func (x *exchange) noAnswer(s *server, err error) *failure {
	var bad protocolError
	switch {
	case x.upload != nil && x.upload.clientErr(x.r.Context(), err) != nil:
		return uploadFailure(x.upload.fromClient)
	case x.r.Context().Err() != nil:
		return x.clientGone()
	case errors.As(err, &bad):
		return &failure{http.StatusBadGateway, ReasonProtocol, fmt.Errorf("backend %s: its answer is refused: %w", s.url, err)}
	case timedOut(err):
		return &failure{http.StatusGatewayTimeout, ReasonTimeout, fmt.Errorf("backend %s: no answer in %v", s.url, x.p.timeout)}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &failure{http.StatusBadGateway, ReasonProtocol, fmt.Errorf("backend %s: it closed the connection before its answer was complete", s.url)}
	}
	return &failure{http.StatusBadGateway, ReasonProtocol, fmt.Errorf("backend %s: no answer: %w", s.url, err)}
}

// broken ends an answer that the client has a part of: it must not take that for
// all.
func (x *exchange) broken(s *server, err error) {
	var gone clientError
	switch {
	case errors.As(err, &gone), x.r.Context().Err() != nil:
		x.tell("answer broke off", ReasonClient, "the client closed its connection within the answer")
	default:
		x.tell("answer broke off", ReasonProtocol, fmt.Sprintf("backend %s: its answer breaks off: %v", s.url, err))
	}
	panic(http.ErrAbortHandler)
}

// A clientError is one of writing to the client.
type clientError struct{ error }

// deliver passes the answer on.
func (x *exchange) deliver(c *conn) error {
	h, method := &x.head, x.r.Method
	header := x.w.Header()
	x.copyFields(header)
	x.body = body{in: &c.in, framing: h.framing(method), left: 0, trailer: x.body.trailer}
	switch {
	case x.body.framing == byCount:
		x.body.left = h.length
		fallthrough
	case x.body.framing == noBody && h.length >= 0 && h.status >= 200 && h.status != http.StatusNoContent:
		header["Content-Length"] = []string{strconv.FormatInt(h.length, 10)}
	case x.body.framing == byChunks:
		x.announceTrailer(header)
	}
	if _, ok := header["Content-Type"]; !ok && x.body.framing != noBody {
		header["Content-Type"] = nil // net/http shall not guess
	}
	if x.upload != nil && !x.upload.complete() {
		x.endClient()
	}
	x.begun = true
	x.waitForClient(0)
	x.w.WriteHeader(h.status)
	if x.body.framing == noBody {
		return nil
	}
	defer x.waitForClient(0) // for the end of it, which net/http writes
	x.unflushed = x.body.framing != byCount || h.eventStream
	c.in.waiter = x
	if err := x.copyBody(c); err != nil {
		return err
	}
	for _, f := range x.body.trailer {
		if slices.Contains(h.trailer, f.name) {
			header[f.name] = append(header[f.name], f.value)
		}
	}
	return nil
}

// flush sends what the client did not get yet, before we wait for more.
func (x *exchange) flush() {
	if x.unflushed {
		x.unflushed = false
		x.waitForClient(0)
		_ = x.control().Flush() // what cannot flush is no connection
	}
}

// spliceFrom is how long the rest of a body must be to leave it to the kernel.
const spliceFrom = 128 << 10

// splicePiece is how much of it passes at once: it must come and be taken in the
// time that it has.
const splicePiece = 4 << 20

func (x *exchange) copyBody(c *conn) error {
	for {
		p, err := x.body.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		x.waitForClient(0)
		if _, err := x.w.Write(p); err != nil {
			return clientError{err}
		}
		x.unflushed = true
		if x.body.framing == byCount && x.body.left >= spliceFrom && c.in.buffered() == 0 && c.Conn == c.plain {
			if rf, ok := x.w.(io.ReaderFrom); ok {
				return x.splice(c.plain, rf)
			}
		}
	}
}

// splice passes the rest of a body on, from one socket to the other where both
// are plain.
func (x *exchange) splice(from net.Conn, to io.ReaderFrom) error {
	for x.body.left > 0 {
		piece := min(x.body.left, splicePiece)
		x.waitForClient(piece)
		n, err := to.ReadFrom(&io.LimitedReader{R: from, N: piece})
		x.body.left -= n
		switch {
		case err != nil:
			return err
		case n < piece:
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}

// notForClients are fields of an answer that concern the connection, or that are
// set anew.
func notForClients(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Content-Length", "Persistent-Auth":
		return true
	}
	return false
}

// copyFields adds the answer's fields to header.
func (x *exchange) copyFields(header http.Header) {
	h := &x.head
	values := make([]string, len(h.fields))
	for i := range h.fields {
		f := &h.fields[i]
		if notForClients(f.name) || len(h.options) > 0 && h.names(f.name) || f.name == "Set-Cookie" && x.p.ownCookie(f.value) {
			continue
		}
		if old := header[f.name]; old != nil {
			header[f.name] = append(old, f.value)
			continue
		}
		values[i] = f.value
		header[f.name] = values[i : i+1 : i+1]
	}
}

// announceTrailer has net/http send those fields after the body that the server
// announced, and that may be there.
func (x *exchange) announceTrailer(header http.Header) {
	kept := x.head.trailer[:0]
	for _, name := range x.head.trailer {
		if isToken(name) && mayTrail(name) && header[name] == nil {
			kept = append(kept, name)
		}
	}
	x.head.trailer = kept
	if len(kept) > 0 {
		header["Trailer"] = []string{strings.Join(kept, ", ")}
	}
}

// isIdempotent reports whether a request may be sent twice (RFC 9110 9.2.2).
func isIdempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}
