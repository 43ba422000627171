// Package outbound calls servers that want a login for programs that have none:
// in the caller's name, as the application, or as a fixed user.
package outbound

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/health"
	"github.com/soapward/soapward/gateway/identity"
	"github.com/soapward/soapward/gateway/login"
)

// Parts are what a Set is made of.
type Parts struct {
	Logins *login.Set       // for upstreams whose callers log in
	Issuer *identity.Issuer // knows the callers again that backends bring; nil: none
	Logger *slog.Logger

	// Observe is told of each decision about a caller.
	Observe func(context.Context, delegation.Decision)
}

// A Set has the upstreams of a configuration. It is safe for concurrent use.
type Set struct{}

// New makes a Set. It asks nobody.
func New(c *config.Config, p Parts) (*Set, error) { panic("not built yet") }

// An Endpoint is where programs on this machine call an upstream.
type Endpoint struct {
	Name    string // of the upstream
	Addr    config.Address
	Handler http.Handler
}

// Endpoints lists them in the order of their names.
func (s *Set) Endpoints() []Endpoint { panic("not built yet") }

// Warnings says which callers cannot be passed on, as the configuration is.
func (s *Set) Warnings() []delegation.Warning { panic("not built yet") }

// Checks says what the upstreams depend on.
func (s *Set) Checks() []health.Check { panic("not built yet") }

// Close ends idle connections.
func (s *Set) Close() error { panic("not built yet") }
