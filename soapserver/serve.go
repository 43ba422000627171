package soapserver

import (
	"compress/gzip"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/addressing"
	"github.com/soapward/soapward/soap/wire"
)

const defaultMaxBody = 10 << 20

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		s.post(w, r)
	case http.MethodGet, http.MethodHead:
		s.get(w, r)
	default:
		s.notAllowed(w, r)
	}
}

// notAllowed answers methods that carry no message, such as the GET of somebody
// who looks at the address with a browser.
func (s *Service) notAllowed(w http.ResponseWriter, r *http.Request) {
	allow, text := "POST", "this is a SOAP endpoint: send a POST"
	if s.WSDL != nil {
		allow, text = "GET, HEAD, POST", text+"; its description is at ?wsdl"
	}
	w.Header().Set("Allow", allow)
	http.Error(w, text, http.StatusMethodNotAllowed)
	s.logger().LogAttrs(r.Context(), slog.LevelDebug, "method not allowed",
		slog.String("method", shorten(r.Method)), slog.String("peer", r.RemoteAddr), slog.String("path", r.URL.Path))
}

// notXML answers a request whose body is no SOAP message by its content type.
func (s *Service) notXML(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Accept-Post", "text/xml, application/soap+xml")
	http.Error(w, "the request is not text/xml, application/soap+xml or multipart/related", http.StatusUnsupportedMediaType)
	s.logger().LogAttrs(r.Context(), slog.LevelInfo, "content type not supported",
		slog.String("contentType", shorten(strings.Join(r.Header["Content-Type"], ", "))),
		slog.String("peer", r.RemoteAddr), slog.String("path", r.URL.Path))
}

// shorten bounds what a peer sent for a line of text.
func shorten(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// Call is what a handler can know of the request besides its message, and say
// besides its answer. It is for the goroutine of the handler.
type Call struct {
	Operation *soap.Operation
	Version   soap.Version
	Headers   []soap.Header // of the request

	// Addressing is what the request's header blocks of WS-Addressing say. It is
	// nil if there are none, or they do not count for the operation.
	Addressing *addressing.Message

	// Attachments are the parts of the request behind its envelope, nil if it
	// is not multipart. They can be read until the handler returns. Its Next
	// yields those that the message does not refer to.
	Attachments *soap.Attachments

	reply  []soap.Header
	attach []soap.Attachment
}

// Reply adds a header block to the answer.
func (c *Call) Reply(h soap.Header) { c.reply = append(c.reply, h) }

// Header returns the request's first header block of that name.
func (c *Call) Header(name xml.Name) (*soap.Header, bool) {
	for i := range c.Headers {
		if c.Headers[i].Name == name {
			return &c.Headers[i], true
		}
	}
	return nil, false
}

type callKey struct{}

// FromContext returns the Call that a handler or interceptor serves, nil
// outside of one.
func FromContext(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

// callContext is the context of a request with its Call in it.
type callContext struct {
	context.Context
	call *Call
}

// Value implements context.Context.
func (c *callContext) Value(key any) any {
	if key == (callKey{}) {
		return c.call
	}
	return c.Context.Value(key)
}

// content returns what the request says of its body. It reports false for
// anything but XML, above all for what a page in a browser can send to another
// site without asking it first (text/plain, forms): the browser would add the
// user's Windows credentials by itself.
func content(r *http.Request) (c soap.Content, ok bool) {
	h := r.Header["Content-Type"]
	if len(h) != 1 {
		return soap.Content{Version: soap.V11}, false
	}
	c = soap.ParseContentType(h[0])
	return c, c.IsXML()
}

func (s *Service) post(w http.ResponseWriter, r *http.Request) {
	x := &exchange{s: s, w: w, r: r, begin: time.Now()}
	defer x.survive()
	c, ok := content(r)
	if !ok {
		s.notXML(w, r)
		return
	}
	x.version, x.xop = c.Version, takesXOP(r, c)
	rd, parts, f := s.read(w, r, c)
	if f != nil {
		x.fault(f)
		return
	}
	defer parts.Close()
	m, err := soap.Read(rd)
	if err != nil {
		x.fault(requestFault(err))
		return
	}
	x.version = m.Version
	params := [2]string{c.Action}
	if parts != nil {
		params[1] = parts.Action
	}
	o, f := x.choose(m, r.Header["Soapaction"], params[:])
	if o != nil {
		x.op = o.op
	}
	if f == nil {
		f = x.address(o.op, m.Headers)
	}
	if f != nil {
		x.fault(f)
		return
	}
	if f := s.understand(o.op, m); f != nil {
		x.fault(f)
		return
	}
	m.Encoded = o.op.Encoded
	req := o.new()
	if err := m.Decode(o.op.Input, req); err != nil {
		x.fault(requestFault(err))
		return
	}
	x.call = Call{Operation: o.op, Version: m.Version, Headers: m.Headers, Addressing: x.addressed, Attachments: parts}
	x.ctx = callContext{r.Context(), &x.call}
	fn := o.fn
	for _, ic := range slices.Backward(s.Interceptors) {
		fn = ic(fn)
	}
	res, err := fn(&x.ctx, o.op, req)
	x.handled(res, err)
}

// read reads the envelope of a request under its limits.
func (s *Service) read(w http.ResponseWriter, r *http.Request, c soap.Content) (*wire.Reader, *soap.Attachments, *soap.Fault) {
	o := wire.Options{Limits: s.Limits, Strict: s.Strict}
	o.Limits.Bytes = s.MaxBody
	if o.Limits.Bytes <= 0 {
		o.Limits.Bytes = defaultMaxBody
	}
	most := o.Limits.Bytes
	if c.Multipart() {
		// A little more than OpenParts takes, which says better what is too long.
		most += s.attachments(most) + 64<<10
	}
	tooLarge := func() *soap.Fault {
		return requestFault(&wire.LimitError{Pos: wire.Pos{Line: 1, Column: 1}, Limit: "bytes", Max: most})
	}
	if r.ContentLength > most {
		return nil, nil, tooLarge()
	}
	var body io.Reader = r.Body
	if r.ContentLength < 0 {
		// OpenParts has the same bound, but this also tells the server to give up
		// the connection.
		body = http.MaxBytesReader(w, r.Body, most)
	}
	switch ce := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); ce {
	case "", "identity":
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, nil, unreadable(err)
		}
		body = z // what comes out is bounded by ReadFrom
	default:
		f := soap.Faultf(soap.CodeClient, "content encoding not supported")
		f.Status = http.StatusUnsupportedMediaType
		return nil, nil, f
	}
	rd, parts, err := c.OpenParts(body, o, s.Attachments)
	var (
		tooLong *http.MaxBytesError
		limit   *wire.LimitError
		syntax  *wire.SyntaxError
		multi   *soap.ContentError
	)
	switch {
	case errors.As(err, &tooLong):
		return nil, nil, tooLarge()
	case errors.As(err, &limit), errors.As(err, &syntax), errors.As(err, &multi):
		return nil, nil, requestFault(err)
	case err != nil:
		return nil, nil, unreadable(err)
	}
	return rd, parts, nil
}

// requestFault is soap.RequestFault with the field to change in the log.
func requestFault(err error) *soap.Fault {
	f := soap.RequestFault(err)
	var limit *wire.LimitError
	if errors.As(err, &limit) {
		field := "Limits"
		switch {
		case limit.Limit == "bytes":
			field = "MaxBody"
		case limit.Pos == (wire.Pos{}):
			field = "Attachments"
		}
		f.Err = fmt.Errorf("%w (set by soapserver.Service.%s)", err, field)
	}
	return f
}

func unreadable(err error) *soap.Fault {
	f := soap.Faultf(soap.CodeClient, "the request body could not be read")
	f.Err, f.Status = err, http.StatusBadRequest
	return f
}

// understand refuses header blocks that must be understood and are not. SOAP
// 1.1 4.2.3, SOAP 1.2 Part 1 2.4.
func (s *Service) understand(op *soap.Operation, m *soap.Message) *soap.Fault {
	const most = 16 // enough for the peer to see what is wrong
	var not []xml.Name
	for i := range m.Headers {
		h := &m.Headers[i]
		if len(not) == most {
			break
		}
		if h.MustUnderstand && h.ForUs() && !slices.Contains(op.Headers, h.Name) &&
			!slices.Contains(s.Understands, h.Name) && !s.understoodAddressing(op, h) {
			not = append(not, h.Name)
		}
	}
	if len(not) == 0 {
		return nil
	}
	f := soap.Faultf(soap.CodeMustUnderstand, "header block %s is not understood", clark(not[0]))
	f.NotUnderstood = not
	return f
}

// survive turns a panic of a handler, an interceptor or a codec into a fault.
func (x *exchange) survive() {
	p := recover()
	switch {
	case p == nil:
	case p == http.ErrAbortHandler, x.written: // the connection is all that is left to end
		panic(p)
	default:
		x.fault(&panicError{p, debug.Stack()})
	}
}

// panicError is a panic.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("soapserver: panic: %v", e.value) }

// exchange is one request being answered.
type exchange struct {
	s       *Service
	w       http.ResponseWriter
	r       *http.Request
	op      *soap.Operation
	version soap.Version
	xop     bool // the peer understands MTOM
	begin   time.Time
	written bool
	call    Call
	ctx     callContext // holds call

	addressed *addressing.Message // of the request; may be nil
}

// writers holds Writers with their buffers.
var writers = sync.Pool{New: func() any { return wire.NewWriter(make([]byte, 0, 4096)) }}

func release(w *wire.Writer) {
	const keep = 1 << 20 // larger buffers are not worth their memory
	if w.Cap() <= keep {
		w.Reset()
		writers.Put(w)
	}
}

func (x *exchange) answer(res any) {
	headers, wanted := x.replyHeaders(&x.call)
	if x.op.OneWay || !wanted {
		if err := x.call.Attachments.Drain(); err != nil {
			x.fault(requestFault(err))
			return
		}
		x.accepted()
		return
	}
	body, ok := res.(wire.Marshaler)
	if !ok {
		x.fault(fmt.Errorf("soapserver: an interceptor returned %T for %s", res, x.op.Name))
		return
	}
	ww := writers.Get().(*wire.Writer)
	defer release(ww)
	b, pk, err := x.encode(ww, headers, body)
	lost := x.call.Attachments.Drain()
	switch {
	case lost != nil: // whatever the handler has read, the request was not what it seemed
		pk.Close()
		x.fault(requestFault(lost))
		return
	case err != nil:
		x.fault(fmt.Errorf("soapserver: answer of %s: %w", x.op.Name, err))
		return
	case pk != nil:
		x.stream(pk)
	default:
		x.write(http.StatusOK, b)
	}
	if l := x.s.logger(); l.Enabled(x.r.Context(), slog.LevelDebug) {
		l.LogAttrs(x.r.Context(), slog.LevelDebug, "operation served",
			slog.String("op", x.op.String()), slog.String("peer", x.r.RemoteAddr),
			slog.Duration("dur", time.Since(x.begin)))
	}
}

func (x *exchange) write(status int, b []byte) {
	x.written = true
	h := x.w.Header()
	values := [...]string{x.version.ContentType(""), strconv.Itoa(len(b)), "nosniff"} // as Set does it, but all at once
	h["Content-Type"], h["Content-Length"], h["X-Content-Type-Options"] = values[0:1:1], values[1:2:2], values[2:3:3]
	x.w.WriteHeader(status)
	_, _ = x.w.Write(b) // a peer that has gone away is told nothing
}

// fault answers with what the peer may know of err and logs the rest.
func (x *exchange) fault(err error) {
	f := soap.AsFault(err)
	x.written = true
	status := http.StatusAccepted
	if headers, wanted := x.faultHeaders(f); wanted {
		status = writeFault(x.w, x.version, headers, f)
	} else {
		x.accepted()
	}
	level := slog.LevelInfo
	as := []slog.Attr{
		slog.String("ref", f.Ref), slog.Int("status", status),
		slog.String("peer", x.r.RemoteAddr), slog.String("path", x.r.URL.Path),
		slog.Duration("dur", time.Since(x.begin)), slog.Any("fault", f),
	}
	if x.op != nil {
		as = append(as, slog.String("op", x.op.String()))
	}
	if f.Internal() && x.r.Context().Err() == nil { // else the client has given up
		level = slog.LevelError
	}
	var p *panicError
	if errors.As(err, &p) {
		as = append(as, slog.String("stack", string(p.stack)))
	}
	x.s.logger().LogAttrs(x.r.Context(), level, "operation failed", as...)
}

// WriteFault answers a request with a fault, in the SOAP version of the
// request. It is for middleware in front of a Service that refuses requests,
// such as an authentication, and wants to do so in the client's language.
// Headers already set in w are kept; the status is that of f.HTTPStatus.
func WriteFault(w http.ResponseWriter, r *http.Request, f *soap.Fault) {
	c, _ := content(r)
	writeFault(w, c.Version, nil, f)
}

// writeFault answers with a fault and returns the status.
func writeFault(w http.ResponseWriter, v soap.Version, headers []soap.Header, f *soap.Fault) int {
	ww := writers.Get().(*wire.Writer)
	defer release(ww)
	soap.WriteFault(ww, v, headers, f)
	b, err := ww.Bytes()
	if err != nil { // a text that XML cannot carry
		ww.Reset()
		soap.WriteFault(ww, v, nil, &soap.Fault{Code: f.Code, Reason: "error (reference " + f.Ref + ")"})
		b, _ = ww.Bytes()
	}
	x := exchange{w: w, version: v}
	status := f.HTTPStatus(v)
	x.write(status, b)
	return status
}
