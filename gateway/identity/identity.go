// Package identity tells backends who a caller is, by a signed token (RFC 7519),
// and knows the caller again when a backend calls out in his name.
package identity

import (
	"context"
	"net/http"

	"github.com/soapward/soapward/authn"
)

// An Issuer signs tokens and knows them again. It is safe for concurrent use.
type Issuer struct{}

// Token returns a token about id for a service.
func (i *Issuer) Token(ctx context.Context, id *authn.Identity, service string) (string, error) {
	panic("not built yet")
}

// Identity returns the caller a token is about, with the evidence of his login
// where this process still has it. An error is authn.ErrBadCredentials.
func (i *Issuer) Identity(ctx context.Context, token string) (*authn.Identity, error) {
	panic("not built yet")
}

// Keys answers with the public keys, as a JWK set (RFC 7517).
func (i *Issuer) Keys() http.Handler { panic("not built yet") }
