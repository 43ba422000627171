package backend

import (
	"context"
	"net/http"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
)

// Describe returns what makes the headers about a caller that a Proxy sends, for
// whoever passes a request on in another way. Of o, Service, Issuer and Roles
// count. What it returns is safe for concurrent use.
func Describe(c *config.Identity, o Options) (func(ctx context.Context, id *authn.Identity) (http.Header, error), error) {
	var issuer tokens
	if o.Issuer != nil {
		issuer = o.Issuer
	}
	t, err := newTeller(c, o, issuer)
	if err != nil {
		return nil, err
	}
	return t.header, nil
}

// header returns the headers about a caller.
func (t *teller) header(ctx context.Context, id *authn.Identity) (http.Header, error) {
	b, err := t.appendHeaders(ctx, nil, id)
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	for line := range strings.SplitSeq(string(b), "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			h.Set(name, value)
		}
	}
	return h, nil
}
