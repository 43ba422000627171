package soapclient

import (
	"context"
	"io"
	"net/http"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
)

// MTOM sends the call as an MTOM message: binary elements longer than two
// kilobytes get a part of their own instead of becoming base64. Operations whose
// description says that the service takes MTOM need no option. Answers are
// understood in any case.
//
// A request that is sent more than once, as a login of several legs or a
// redirect may need, must be made of Binaries that are Replayable. Otherwise it
// fails with authclient.ErrBodyNotReplayable, unless it is short.
func MTOM() CallOption { return func(c *call) { c.mtom = true } }

// WithAttachment adds an attachment to the request, beside what the message
// refers to (SOAP Messages with Attachments).
func WithAttachment(a soap.Attachment) CallOption {
	return func(c *call) { c.attach = append(c.attach, a) }
}

// ReceiveAttachments stores the parts of the answer behind its envelope in dst,
// nil if it has none or is a fault. Its Next yields those that the message does
// not refer to. Close it: until then, or the end of the call's context, the
// connection stays in use.
func ReceiveAttachments(dst **soap.Attachments) CallOption {
	return func(c *call) { c.parts = dst }
}

// encode writes the message and says how it travels.
func (k *call) encode(v soap.Version, op *soap.Operation, req wire.Marshaler) (b []byte, pk *soap.Package, err error) {
	p := &soap.Parts{XOP: k.mtom || op.MTOM || op.MTOMRequired}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	w := wire.NewWriter(make([]byte, 0, 1024))
	w.SetAttacher(p)
	soap.Write(w, v, op, k.headers, op.Input, req)
	for _, a := range k.attach {
		if err := p.Add(a); err != nil {
			return nil, nil, err
		}
	}
	if b, err = w.Bytes(); err != nil {
		return nil, nil, err
	}
	if k.mtom || op.MTOMRequired || p.Multipart() {
		pk, err = p.Package(v, op.ActionFor(v), b)
	}
	return b, pk, err
}

// multipart makes pk the body of hr.
func multipart(hr *http.Request, pk *soap.Package) {
	hr.Body = pk.Open()
	hr.ContentLength = pk.Length // -1: chunked
	hr.GetBody = nil
	if pk.Replayable {
		hr.GetBody = func() (io.ReadCloser, error) { return pk.Open(), nil }
	}
	hr.Header.Set("Content-Type", pk.ContentType)
}

// hand over the open answer to who reads its binaries.
func (k *call) hold(ctx context.Context, resp *http.Response, parts *soap.Attachments) {
	stop := context.AfterFunc(ctx, func() { _ = parts.Close() }) // nobody is there to be told
	if k.parts != nil {
		*k.parts = parts
	}
	parts.CloseWhenRead(func() {
		stop()
		_ = drain(resp.Body)
		_ = resp.Body.Close()
	}, k.parts != nil)
}
