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
	HTTP    Doer         // nil means http.DefaultClient
	Version soap.Version // zero means SOAP 1.1

	// Limits bound an answer. Zero fields mean 64 MiB, 4194304 elements and
	// otherwise the defaults of wire.Limits.
	Limits wire.Limits

	// Strict refuses what the schema does not allow in an answer.
	Strict bool

	// Addressing says whether requests carry WS-Addressing, and of which
	// version. Zero means what the description asks for.
	Addressing soap.Addressing

	// Validate checks requests before they are sent, and answers, by their
	// method Validate() error if they have one. Generated types have it where
	// the schema restricts values.
	Validate bool

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
// the error is nil. ctx bounds the whole exchange.
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
	var d Doer = http.DefaultClient
	if c.HTTP != nil {
		d = c.HTTP
	}
	resp, err := d.Do(hr)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := c.answer(resp, op, res, &k); err != nil {
		return err
	}
	if res == nil {
		return nil
	}
	return c.validate("answer", res)
}

// request encodes the message. The request can be replayed, which
// authentication over several legs needs: NewRequest sets GetBody.
func (c *Client) request(ctx context.Context, op *soap.Operation, req wire.Marshaler, k *call) (*http.Request, error) {
	v := c.Version
	if v == 0 {
		v = soap.V11
	}
	w := wire.NewWriter(make([]byte, 0, 1024))
	soap.Write(w, v, op, k.headers, op.Input, req)
	b, err := w.Bytes()
	if err != nil {
		return nil, err
	}
	hr, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	hr.Header.Set("Content-Type", v.ContentType(op.ActionFor(v)))
	hr.Header.Set("Accept", "text/xml, application/soap+xml, multipart/related")
	if v == soap.V11 {
		hr.Header.Set("SOAPAction", soap.QuoteAction(op.ActionFor(v)))
	}
	for key, vs := range k.http {
		hr.Header[key] = vs
	}
	return hr, nil
}

// answer judges a response.
func (c *Client) answer(resp *http.Response, op *soap.Operation, res wire.Unmarshaler, k *call) error {
	ct := soap.ParseContentType(resp.Header.Get("Content-Type"))
	ok := resp.StatusCode >= 200 && resp.StatusCode < 300
	silent := ok && (res == nil || op.Output == xml.Name{}) // an empty answer will do
	switch {
	case ok && res == nil && resp.StatusCode != http.StatusOK:
		return drain(resp.Body) // WS-I Basic Profile 1.1 R1112: 202
	case silent && ct.Type == "" && resp.ContentLength == 0:
		return nil
	case !ct.IsXML():
		return statusError(resp, nil)
	}
	o := wire.Options{Limits: c.Limits, Strict: c.Strict}
	if o.Limits.Bytes == 0 {
		o.Limits.Bytes = defaultBytes
	}
	if o.Limits.Elements == 0 {
		o.Limits.Elements = defaultElements
	}
	r, err := ct.Open(resp.Body, o)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if silent && r.Document() == "" && r.Err() == nil {
		return nil
	}
	m, err := soap.Read(r)
	if err != nil {
		if !ok {
			return excerptError(resp, []byte(r.Document()), nil)
		}
		return fmt.Errorf("read answer: %w", err)
	}
	if k.got != nil {
		*k.got = m.Headers
	}
	switch {
	case m.IsFault():
		f, err := m.Fault(op)
		if err != nil {
			return fmt.Errorf("read fault: %w", err)
		}
		if needsLogin(resp.StatusCode) {
			return statusError(resp, f)
		}
		return f
	case !ok:
		return statusError(resp, errors.New("the answer is a SOAP message, but no fault"))
	}
	if err := c.checkAddressing(m.Headers, k); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if res == nil {
		_, err := m.Raw()
		return err
	}
	m.Encoded = op.Encoded
	if err := m.Decode(c.outputName(op, m), res); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
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
