package netlogon

import (
	"context"
	"testing"

	"github.com/oiweiwei/go-msrpc/msrpc/epm/epm/v3"
	"github.com/oiweiwei/go-msrpc/msrpc/lsat/lsarpc/v0"
	"github.com/oiweiwei/go-msrpc/msrpc/nrpc/logon/v1"
	"github.com/oiweiwei/go-msrpc/ndr"
)

// answerOp makes an operation of what decodes its answer.
type answerOp struct {
	ndr.Operation
	ndr.Unmarshaler
}

func (o answerOp) UnmarshalNDRResponse(ctx context.Context, r ndr.Reader) error {
	return o.UnmarshalNDR(ctx, r)
}

// TestPanicInAnswer: a panic in go-msrpc's goroutine would end the program. Two
// pointers of different types with one number make it panic.
func TestPanicInAnswer(t *testing.T) {
	t.Parallel()
	op := &wholeOp{done: make(chan struct{}), Operation: answerOp{Unmarshaler: ndr.UnmarshalNDRFunc(func(ctx context.Context, r ndr.Reader) error {
		var a *logon.Credential
		var b *logon.UserSessionKey
		nothing := ndr.UnmarshalNDRFunc(func(context.Context, ndr.Reader) error { return nil })
		_ = r.ReadPointer(&a, func(p any) { a = *p.(**logon.Credential) }, nothing)
		return r.ReadPointer(&b, func(p any) { b = *p.(**logon.UserSessionKey) }, nothing)
	})}}
	err := op.UnmarshalNDRResponse(t.Context(), ndr.NDR20([]byte{1, 0, 0, 0, 1, 0, 0, 0}))
	<-op.done
	if err == nil || op.err != err {
		t.Errorf("err %v, noted %v; want that of the panic", err, op.err)
	}
}

// FuzzAnswer: whatever a controller answers is decoded or an error, in little
// memory.
func FuzzAnswer(f *testing.F) {
	f.Add(byte(0), make([]byte, 40))
	f.Add(byte(1), []byte{0, 0, 2, 0, 6, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0})
	f.Add(byte(2), make([]byte, 24))
	f.Add(byte(3), []byte{1, 0, 0, 0, 4, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		mapped := new(epm.LookupResponse)
		answers := []ndr.Unmarshaler{mapped, new(logon.SAMLogonExResponse), new(lsarpc.LookupSids3Response), new(logon.EnumerateDomainTrustsResponse)}
		op := &wholeOp{done: make(chan struct{}), Operation: answerOp{Unmarshaler: answers[int(which)%len(answers)]}}
		if op.UnmarshalNDRResponse(t.Context(), ndr.NDR20(b)) != nil {
			return
		}
		var err error
		defer guardPanic(&err) // as lookupPort has it
		for _, e := range mapped.Entries {
			if e != nil && e.Tower != nil {
				_ = e.Tower.Binding()
			}
		}
	})
}
