package soapclient

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/addressing"
	"github.com/soapward/soapward/soap/stdxml"
	"github.com/soapward/soapward/soap/wire"
)

// Doer is what a Client needs of an HTTP client. *http.Client is one.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Client calls one endpoint. Set the fields before the first call; after that
// it is safe for concurrent use.
type Client struct {
	URL     string
	Version soap.Version // zero means SOAP 1.1

	// HTTP sends the requests. Nil means http.DefaultClient. An *http.Client
	// follows only those redirects that send the same message to the same origin
	// again.
	HTTP Doer

	// Limits bound an answer. Zero fields mean 64 MiB, 4194304 elements and
	// otherwise the defaults of wire.Limits.
	Limits wire.Limits

	// Attachments bound what travels beside the envelope of an answer. A zero
	// Total means Limits.Bytes.
	Attachments soap.AttachmentLimits

	// Strict refuses what the schema does not allow in an answer. Without it
	// what is not known is skipped, and a namespace may be wrong where no doubt
	// is left.
	Strict bool

	// Addressing says whether requests carry WS-Addressing, and of which
	// version. Zero means what the description asks for.
	Addressing soap.Addressing

	// Validate checks requests before they are sent, and answers, by their
	// method Validate() error if they have one. Generated types have it where
	// the schema restricts values.
	Validate bool

	// Gzip compresses requests that are larger than a packet. Not every server
	// can read them. Answers may be compressed in any case.
	Gzip bool

	// ExpectAbove is the size in bytes from which a request first asks whether
	// it is welcome (Expect: 100-continue), so that a login or a refusal does not
	// cost sending it in vain. Zero never asks. The http.Transport must have an
	// ExpectContinueTimeout, as http.DefaultTransport does.
	ExpectAbove int64

	// Interceptors wrap each call, the first outermost.
	Interceptors []Interceptor

	// Options apply to every call, before the call's own.
	Options []CallOption
}

// At returns a Client like c that calls url in version v, where c leaves that
// open. Generated code uses it for what the description says.
func (c *Client) At(url string, v soap.Version) *Client {
	d := *c
	if d.URL == "" {
		d.URL = url
	}
	if d.Version == 0 {
		d.Version = v
	}
	return &d
}

const (
	defaultBytes    = 64 << 20
	defaultElements = 1 << 22
)

// A CallOption changes one call.
type CallOption func(*call)

type call struct {
	headers []soap.Header
	http    http.Header
	got     *[]soap.Header

	addressed *addressing.Message // of the request; nil without WS-Addressing

	mtom   bool
	attach []soap.Attachment
	parts  **soap.Attachments
}

// WithHeader adds a header block to the request.
func WithHeader(h soap.Header) CallOption {
	return func(c *call) { c.headers = append(c.headers, h) }
}

// WithHTTPHeader sets an HTTP header of the request.
func WithHTTPHeader(key, value string) CallOption {
	return func(c *call) {
		if c.http == nil {
			c.http = http.Header{}
		}
		c.http.Set(key, value)
	}
}

// ReceiveHeaders stores the header blocks of the answer, that of a fault
// included, in dst.
func ReceiveHeaders(dst *[]soap.Header) CallOption {
	return func(c *call) { c.got = dst }
}

// errNilRequest answers a call before a codec, which could only panic, sees it.
var errNilRequest = errors.New("the request is nil")

// Call sends req and returns the answer. The result is non-nil if and only if
// the error is nil. ctx bounds the whole exchange, the reading of the result's
// wire.Binary fields included: those must be read or closed.
func Call[Req, Res any, In interface {
	*Req
	wire.Marshaler
}, Out interface {
	*Res
	wire.Unmarshaler
}](ctx context.Context, c *Client, op *soap.Operation, req *Req, opts ...CallOption) (*Res, error) {
	if req == nil {
		return nil, fmt.Errorf("soapclient: %s: %w", op.Name, errNilRequest)
	}
	res := new(Res)
	if err := c.do(ctx, op, In(req), Out(res), opts); err != nil {
		return nil, fmt.Errorf("soapclient: %s: %w", op.Name, err)
	}
	return res, nil
}

// CallXML is Call for types with encoding/xml tags. New code uses generated
// types instead.
func CallXML[Req, Res any](ctx context.Context, c *Client, op *soap.Operation, req *Req, opts ...CallOption) (*Res, error) {
	if req == nil {
		return nil, fmt.Errorf("soapclient: %s: %w", op.Name, errNilRequest)
	}
	res := new(Res)
	if err := c.do(ctx, op, &stdxml.Message{V: req}, &stdxml.Message{V: res}, opts); err != nil {
		return nil, fmt.Errorf("soapclient: %s: %w", op.Name, err)
	}
	return res, nil
}

// Send sends req to a one-way operation. A nil error means that the server has
// accepted it.
func Send[Req any, In interface {
	*Req
	wire.Marshaler
}](ctx context.Context, c *Client, op *soap.Operation, req *Req, opts ...CallOption) error {
	if req == nil {
		return fmt.Errorf("soapclient: %s: %w", op.Name, errNilRequest)
	}
	if err := c.do(ctx, op, In(req), nil, opts); err != nil {
		return fmt.Errorf("soapclient: %s: %w", op.Name, err)
	}
	return nil
}

// do makes one call. A nil res expects no answer.
func (c *Client) do(ctx context.Context, op *soap.Operation, req wire.Marshaler, res wire.Unmarshaler, opts []CallOption) error {
	if len(c.Interceptors) == 0 {
		return c.once(ctx, op, req, res, opts)
	}
	fn := func(ctx context.Context, op *soap.Operation, req wire.Marshaler, res wire.Unmarshaler) error {
		return c.once(ctx, op, req, res, opts)
	}
	for _, ic := range slices.Backward(c.Interceptors) {
		fn = ic(fn)
	}
	return fn(ctx, op, req, res)
}

// once sends one request.
func (c *Client) once(ctx context.Context, op *soap.Operation, req wire.Marshaler, res wire.Unmarshaler, opts []CallOption) error {
	if err := c.validate("request", req); err != nil {
		return err
	}
	var k call
	for _, o := range c.Options {
		o(&k)
	}
	for _, o := range opts {
		o(&k)
	}
	c.address(op, &k)
	hr, err := c.request(ctx, op, req, &k)
	if err != nil {
		return err
	}
	resp, err := c.doer().Do(hr)
	if err != nil {
		return err
	}
	if err := decompress(resp); err != nil {
		_ = resp.Body.Close()
		return err
	}
	parts, err := c.answer(resp, op, res, &k)
	if err == nil && res != nil {
		err = c.validate("answer", res)
	}
	if parts == nil || err != nil || res == nil {
		_ = parts.Close() // what it still held counts no more
		_ = resp.Body.Close()
		return err
	}
	k.hold(ctx, resp, parts)
	return nil
}

// request encodes the message. The request can be replayed, which
// authentication over several legs needs: NewRequest sets GetBody, or multipart
// does if the binaries allow it.
func (c *Client) request(ctx context.Context, op *soap.Operation, req wire.Marshaler, k *call) (*http.Request, error) {
	v := c.Version
	if v == 0 {
		v = soap.V11
	}
	b, pk, err := k.encode(v, op, req)
	if err != nil {
		return nil, err
	}
	encoding := ""
	if pk == nil { // binaries hardly get smaller
		if b, encoding, err = c.compress(b); err != nil {
			return nil, err
		}
	}
	hr, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	if encoding != "" {
		hr.Header.Set("Content-Encoding", encoding)
	}
	if c.ExpectAbove > 0 && (pk != nil || int64(len(b)) >= c.ExpectAbove) {
		hr.Header.Set("Expect", "100-continue")
	}
	hr.Header.Set("Content-Type", v.ContentType(op.ActionFor(v)))
	hr.Header.Set("Accept", "text/xml, application/soap+xml, multipart/related, application/xop+xml")
	if pk != nil {
		multipart(hr, pk)
	}
	if v == soap.V11 {
		hr.Header.Set("SOAPAction", soap.QuoteAction(op.ActionFor(v)))
	}
	for key, vs := range k.http {
		hr.Header[key] = vs
	}
	return hr, nil
}

// answer judges a response. What it returns may still be read from resp.Body.
func (c *Client) answer(resp *http.Response, op *soap.Operation, res wire.Unmarshaler, k *call) (*soap.Attachments, error) {
	ct := soap.ParseContentType(resp.Header.Get("Content-Type"))
	ok := resp.StatusCode >= 200 && resp.StatusCode < 300
	silent := ok && (res == nil || op.Output == xml.Name{}) // an empty answer will do
	switch {
	case ok && res == nil && resp.StatusCode != http.StatusOK:
		return nil, drain(resp.Body) // WS-I Basic Profile 1.1 R1112: 202
	case silent && resp.ContentLength == 0: // whatever its type: Mono 6.8's ASP.NET says text/html
		return nil, nil
	case !ct.IsXML():
		return nil, statusError(resp, nil)
	}
	r, parts, err := ct.OpenParts(resp.Body, c.wireOptions(), c.Attachments)
	if err != nil {
		return parts, fmt.Errorf("read answer: %w", err)
	}
	if silent && r.Document() == "" && r.Err() == nil {
		return parts, nil
	}
	m, err := soap.Read(r)
	if err != nil {
		if !ok {
			return parts, excerptError(resp, []byte(r.Document()), nil)
		}
		return parts, fmt.Errorf("read answer: %w", err)
	}
	if k.got != nil {
		*k.got = m.Headers
	}
	switch {
	case m.IsFault():
		f, err := m.Fault(op)
		if err != nil {
			return parts, fmt.Errorf("read fault: %w", err)
		}
		if needsLogin(resp.StatusCode) {
			return parts, statusError(resp, f)
		}
		return parts, f
	case !ok:
		return parts, statusError(resp, errors.New("the answer is a SOAP message, but no fault"))
	}
	if err := c.checkAddressing(m.Headers, k); err != nil {
		return parts, fmt.Errorf("read answer: %w", err)
	}
	if res == nil {
		_, err := m.Raw()
		return parts, err
	}
	m.Encoded = op.Encoded
	if err := m.Decode(c.outputName(op, m), res); err != nil {
		return parts, fmt.Errorf("read answer: %w", err)
	}
	return parts, nil
}

// wireOptions says how an answer is read.
func (c *Client) wireOptions() wire.Options {
	o := wire.Options{Limits: c.Limits, Strict: c.Strict}
	if o.Limits.Bytes == 0 {
		o.Limits.Bytes = defaultBytes
	}
	if o.Limits.Elements == 0 {
		o.Limits.Elements = defaultElements
	}
	return o
}

// outputName returns the name under which the answer's element is accepted.
// The element of an rpc-style answer may have any name (SOAP 1.1 7.1); servers
// that get only its namespace wrong are forgiven.
func (c *Client) outputName(op *soap.Operation, m *soap.Message) xml.Name {
	if m.Body.Local != "" && op.Output.Local != "" && (op.RPC || !c.Strict && m.Body.Local == op.Output.Local) {
		return m.Body
	}
	return op.Output
}

// drain reads the rest of a short body, so that the connection can be used
// again.
func drain(r io.Reader) error {
	_, _ = io.Copy(io.Discard, io.LimitReader(r, 4096)) // nothing in it counts
	return nil
}
