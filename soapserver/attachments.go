package soapserver

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
)

// Attach adds an attachment to the answer, beside what the message refers to
// (SOAP Messages with Attachments). It is read, and closed, while the answer is
// sent.
func (c *Call) Attach(a soap.Attachment) { c.attach = append(c.attach, a) }

// attachments is the limit of all that travels beside an envelope.
func (s *Service) attachments(envelope int64) int64 {
	if s.Attachments.Total > 0 {
		return s.Attachments.Total
	}
	return envelope
}

// takesXOP reports whether the sender of a request understands MTOM.
func takesXOP(r *http.Request, c soap.Content) bool {
	return c.IsXOP() || strings.Contains(strings.ToLower(strings.Join(r.Header["Accept"], ",")), "application/xop+xml")
}

// handled answers with what a handler returned. First it reads what is left of
// the request, which the peer may still be sending.
func (x *exchange) handled(res any, err error) {
	if lost := x.call.Attachments.Err(); err != nil && lost != nil && errors.Is(err, lost) {
		x.fault(requestFault(err)) // it could not read the request
		return
	}
	if err != nil {
		_ = x.call.Attachments.Drain() // the fault is to be told either way
		x.fault(err)
		return
	}
	x.answer(res)
}

// encode writes an answer. What it returns first is valid until the Writer is
// released.
func (x *exchange) encode(ww *wire.Writer, headers []soap.Header, body wire.Marshaler) (b []byte, pk *soap.Package, err error) {
	p := &soap.Parts{XOP: x.xop || x.op.MTOMRequired}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	ww.SetAttacher(p)
	soap.Write(ww, x.version, x.op, headers, x.op.Output, body)
	for _, a := range x.call.attach {
		if err := p.Add(a); err != nil {
			return nil, nil, err
		}
	}
	if b, err = ww.Bytes(); err != nil {
		return nil, nil, err
	}
	if err = p.Keep(x.call.Attachments); err != nil {
		return nil, nil, err
	}
	if x.op.MTOMRequired || p.Multipart() {
		pk, err = p.Package(x.version, "", b)
	}
	return b, pk, err
}

// stream sends a multipart answer. Trouble on the way ends the connection, so
// that the peer does not take what it has for the whole.
func (x *exchange) stream(pk *soap.Package) {
	x.written = true
	body := &sent{ReadCloser: pk.Open()}
	defer body.Close()
	h := x.w.Header()
	h.Set("Content-Type", pk.ContentType)
	if pk.Length >= 0 {
		h.Set("Content-Length", strconv.FormatInt(pk.Length, 10))
	}
	h.Set("X-Content-Type-Options", "nosniff")
	x.w.WriteHeader(http.StatusOK)
	_, err := io.Copy(x.w, body)
	if err == nil {
		return
	}
	level := slog.LevelDebug // the peer has gone away
	if body.err != nil && x.r.Context().Err() == nil {
		level = slog.LevelError
	}
	x.s.logger().LogAttrs(context.WithoutCancel(x.r.Context()), level, "answer cut off",
		slog.String("op", x.op.String()), slog.String("peer", x.r.RemoteAddr),
		slog.Duration("dur", time.Since(x.begin)), slog.String("error", cmp.Or(body.err, err).Error()))
	panic(http.ErrAbortHandler)
}

// sent remembers what reading failed with.
type sent struct {
	io.ReadCloser
	err error
}

func (s *sent) Read(b []byte) (int, error) {
	n, err := s.ReadCloser.Read(b)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
