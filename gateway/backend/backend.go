// Package backend passes requests on to the servers behind the gateway.
package backend

import (
	"log/slog"
	"net/http"

	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/health"
	"github.com/soapward/soapward/gateway/identity"
)

// Options are what a Proxy needs besides the configuration.
type Options struct {
	Service string
	Issuer  *identity.Issuer // nil: no tokens
	Logger  *slog.Logger
}

// A Proxy passes the requests of a service on, with the caller that
// authn.FromContext finds in them. It notes in the trail where they went. It is
// safe for concurrent use.
type Proxy struct{}

// New makes a Proxy. It connects to nobody.
func New(c *config.Backend, o Options) (*Proxy, error) { panic("not built yet") }

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) { panic("not built yet") }

// Checks says what the proxy depends on.
func (p *Proxy) Checks() []health.Check { panic("not built yet") }

// Close ends idle connections, and others when they become idle.
func (p *Proxy) Close() error { panic("not built yet") }
