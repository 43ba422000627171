package netlogon

import (
	"context"
	"fmt"

	"github.com/oiweiwei/go-msrpc/dcerpc"
	"github.com/oiweiwei/go-msrpc/ndr"
)

// maxElements bounds what a controller says of the length of an array or a
// string. The longest that is asked for is a list of some thousand names.
const maxElements = 64 << 10

// wholeConn is a connection that answers with all of what was asked for, or
// with an error. go-msrpc 1.5.2 decodes an answer in a goroutine of its own,
// where a panic would end the program, drops that goroutine's error, and takes
// an answer that ends too early for a whole one. Somebody on the way can make
// it end early: how much padding it has is outside of the signature.
type wholeConn struct {
	dcerpc.Conn
}

// Bind implements dcerpc.Conn.
func (c wholeConn) Bind(ctx context.Context, opts ...dcerpc.Option) (dcerpc.Conn, error) {
	bound, err := c.Conn.Bind(ctx, opts...)
	if err != nil {
		return nil, err
	}
	return wholeConn{bound}, nil
}

// Invoke implements dcerpc.Conn.
func (c wholeConn) Invoke(ctx context.Context, op dcerpc.Operation, opts ...dcerpc.CallOption) error {
	whole := &wholeOp{Operation: op, done: make(chan struct{})}
	if err := c.Conn.Invoke(ctx, whole, opts...); err != nil {
		return err
	}
	<-whole.done // reading fails from here on, so that this is at once
	if whole.err != nil {
		return fmt.Errorf("%s: answer: %w", op.OpName(), whole.err)
	}
	return nil
}

// wholeOp notes whether the answer to a call was decoded to its end.
type wholeOp struct {
	dcerpc.Operation
	done chan struct{}
	err  error // once done is closed
}

// UnmarshalNDRResponse implements dcerpc.Operation.
func (o *wholeOp) UnmarshalNDRResponse(ctx context.Context, r ndr.Reader) (err error) {
	defer close(o.done)
	defer func() { o.err = err }()
	defer guardPanic(&err)
	if err := o.Operation.UnmarshalNDRResponse(ctx, boundedReader{r}); err != nil {
		return err
	}
	return r.Err()
}

// boundedReader refuses lengths that no controller means. go-msrpc compares
// them with what it was told of the size of the answer, and allocates whatever
// they say where it was told nothing.
type boundedReader struct {
	ndr.Reader
}

// ReadSize implements ndr.Reader.
func (r boundedReader) ReadSize(n *uint64) error {
	if err := r.Reader.ReadSize(n); err != nil {
		return err
	}
	if *n > maxElements {
		return r.SetErr(fmt.Errorf("%d elements, more than %d", *n, maxElements))
	}
	return nil
}

// ReadPointer implements ndr.Reader. What is read later is bounded as well.
func (r boundedReader) ReadPointer(p ndr.Pointer, set func(any), later ...ndr.Unmarshaler) error {
	bounded := make([]ndr.Unmarshaler, len(later))
	for i, u := range later {
		bounded[i] = ndr.UnmarshalNDRFunc(func(ctx context.Context, _ ndr.Reader) error { return u.UnmarshalNDR(ctx, r) })
	}
	return r.Reader.ReadPointer(p, set, bounded...)
}
