package message

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapclient"
)

// Call sends a request through c, to c.URL in c.Version, and returns the
// content of the answer's body. Errors are those of soapclient: a *soap.Fault,
// a *soapclient.StatusError, or one of the HTTP client. The answer to a one-way
// operation is empty, as that of an operation whose server only accepts.
func (o *Operation) Call(ctx context.Context, c *soapclient.Client, req *Request, opts ...soapclient.CallOption) (wire.Raw, error) {
	op := &soap.Operation{Name: o.Name, Action: o.Action, RPC: true, OneWay: o.Output == nil}
	for _, h := range req.Headers {
		opts = append(opts, soapclient.WithHeader(h))
	}
	if o.Output == nil {
		return wire.Raw{}, soapclient.Send(ctx, c, op, &wire.Any{Content: req.Body}, opts...)
	}
	// Both names are zero: what travels is the body itself.
	res, err := soapclient.Call[wire.Any, wire.Any](ctx, c, op, &wire.Any{Content: req.Body}, opts...)
	if err != nil {
		return wire.Raw{}, err
	}
	return res.Content, nil
}

// declaration is what a document may begin with.
var declaration = regexp.MustCompile(`^\x{FEFF}?\s*(<\?xml[^>]{0,200}\?>)?`)

// Headers takes header blocks apart that were given as XML in UTF-8: one or
// several elements.
func Headers(data []byte) ([]soap.Header, error) {
	data = data[len(declaration.Find(data)):]
	r := wire.NewReader(append(append([]byte("<x>"), data...), "</x>"...), ample(len(data)))
	r.Next()
	var all []soap.Header
	for r.Child() {
		raw := r.Raw()
		if r.Err() != nil {
			break
		}
		all = append(all, soap.Header{Name: raw.Name(), Raw: raw})
	}
	if r.Err() == nil && r.Next() != wire.EOF {
		return nil, errors.New("message: header blocks: more than elements")
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("message: header blocks: %w", err)
	}
	if len(all) == 0 {
		return nil, errors.New("message: header blocks: no element")
	}
	return all, nil
}
