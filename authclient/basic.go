package authclient

import (
	"context"
	"errors"
	"strings"

	"github.com/soapward/soapward/authn"
)

// Basic logs in by HTTP Basic (RFC 7617). Its fields must not change once it
// is in use; it is safe for concurrent use then.
type Basic struct {
	User     string
	Password authn.Secret

	// AllowInsecureHTTP sends the password over plain HTTP too, where anybody
	// on the way can read it.
	AllowInsecureHTTP bool

	key lazyKey
}

var _ Credential = (*Basic)(nil)

// Key implements Credential.
func (b *Basic) Key() string {
	return b.key.get(func() string { return "basic:" + b.User + ":" + fingerprint(b.Password) })
}

// Schemes implements Credential.
func (b *Basic) Schemes() []string { return []string{SchemeBasic} }

// NewInitiator implements Credential.
func (b *Basic) NewInitiator(_ string, t Target, _ authn.ChannelBinding) (authn.Initiator, error) {
	if t.Scheme != "https" && !b.AllowInsecureHTTP {
		return nil, errors.New("authclient: Basic over plain HTTP would show the password to everybody on the way; use https, or set AllowInsecureHTTP")
	}
	if b.User == "" || b.Password.IsEmpty() || strings.Contains(b.User, ":") {
		return nil, errors.New("authclient: Basic needs a password and a user name without a colon")
	}
	return basicInitiator{b}, nil
}

// basicInitiator makes user:password, which the transport sends in base64 as
// it does with every token.
type basicInitiator struct{ b *Basic }

func (i basicInitiator) Step(_ context.Context, token []byte) ([]byte, bool, error) {
	if len(token) > 0 {
		return nil, false, errors.New("authclient: token in a Basic challenge")
	}
	return []byte(i.b.User + ":" + i.b.Password.Reveal()), true, nil
}
