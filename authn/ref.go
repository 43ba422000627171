package authn

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

type refKey struct{}

// WithRef returns ctx carrying the reference of a request, which all log lines
// and answers about it have in common.
func WithRef(ctx context.Context, ref string) context.Context {
	return context.WithValue(ctx, refKey{}, ref)
}

// Ref returns the reference that ctx carries, or a new one. Middleware and
// whatever else refuses requests gives it to the client and to the log.
func Ref(ctx context.Context) string {
	if ref, ok := ctx.Value(refKey{}).(string); ok {
		return ref
	}
	return NewRef()
}

// NewRef returns what tells one request from others. It is no secret, and one
// from crypto/rand would cost a system call.
func NewRef() string {
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], rand.Uint64())
	return hex.EncodeToString(b[:5])
}
