// Package observe tells what the gateway does: the access log, metrics, traces,
// and whether it is healthy.
package observe

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/health"
	"github.com/soapward/soapward/gateway/trail"
)

// Options are what an Observer needs besides the configuration.
type Options struct {
	Logger *slog.Logger // for operators; the access log is the configuration's

	// Checks lists what the gateway depends on now.
	Checks func() []health.Check
}

// An Observer sees each request and each decision. It is safe for concurrent use,
// and outlives a reload.
type Observer struct{}

// New makes an Observer.
func New(c *config.Config, o Options) (*Observer, error) { panic("not built yet") }

// Wrap returns next within a trail and a trace: it begins them, gives the request
// its reference (authn.WithRef), and writes the access log.
func (o *Observer) Wrap(d trail.Direction, listener string, next http.Handler) http.Handler {
	panic("not built yet")
}

// Login is authn.Middleware.Observe.
func (o *Observer) Login(ctx context.Context, d *authn.Decision) { panic("not built yet") }

// Denied is authz.Guard.Observe.
func (o *Observer) Denied(ctx context.Context, r *authz.Request, err error) { panic("not built yet") }

// Delegation is delegation.Delegator.Observe.
func (o *Observer) Delegation(ctx context.Context, d delegation.Decision) { panic("not built yet") }

// Reloaded is told how a reload ended.
func (o *Observer) Reloaded(err error) { panic("not built yet") }

// Admin answers on the admin listener: /healthz, /readyz, /metrics.
func (o *Observer) Admin() http.Handler { panic("not built yet") }

// Close sends what is not yet sent.
func (o *Observer) Close(ctx context.Context) error { panic("not built yet") }
