// Package client is package admin over the network: it calls the API of a
// gateway. A Client is what commands use with --server, in place of an
// admin.Service.
package client

import (
	"context"
	"net/http"

	"github.com/soapward/soapward/authn"
)

// A Client calls the API of one gateway. It is safe for concurrent use.
type Client struct {
	// URL is that of the admin listener: https://gw.corp.test:9180. Plain HTTP is
	// for this machine.
	URL string

	// Token returns the bearer token, a new one if renew is set because the last
	// one was refused.
	Token func(ctx context.Context, renew bool) (authn.Secret, error)

	HTTP *http.Client // nil: one that follows no redirects
}
