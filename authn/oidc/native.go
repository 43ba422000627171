package oidc

import (
	"context"

	"github.com/soapward/soapward/authn"
)

// A Native is a program on somebody's own machine: it has no secret (RFC 8252).
type Native struct {
	Provider *Provider // ClientID is that of the program

	// OpenBrowser opens a URL. An error is no failure: the URL is shown in any case.
	OpenBrowser func(url string) error

	// Show tells the user where to go, and which code to type there, if any.
	Show func(url, code string)
}

// Loopback logs in with the system's browser, which is led back to a random port
// on this machine.
func (n *Native) Loopback(ctx context.Context) (id authn.Secret, t *Tokens, err error) {
	panic("not built yet")
}

// Device logs in with a browser anywhere (RFC 8628).
func (n *Native) Device(ctx context.Context) (id authn.Secret, t *Tokens, err error) {
	panic("not built yet")
}
