package gateway

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/observe"
	"github.com/soapward/soapward/gateway/trail"
)

// observer is what the gateway needs of an *observe.Observer.
type observer interface {
	Wrap(d trail.Direction, listener string, next http.Handler) http.Handler
	Login(ctx context.Context, d *authn.Decision)
	Denied(ctx context.Context, r *authz.Request, err error)
	Delegation(ctx context.Context, d delegation.Decision)
	Reloaded(err error)
	Admin() http.Handler
	Close(ctx context.Context) error
}

var _ observer = (*observe.Observer)(nil)

// composer puts the real parts together.
type composer struct {
	observer
	log *slog.Logger
}

func newComposer(c *config.Config, g *Gateway) (*composer, error) {
	o, err := observe.New(c, observe.Options{Logger: g.log, Checks: g.Checks})
	if err != nil {
		return nil, err
	}
	return &composer{observer: o, log: g.log}, nil
}

func (p *composer) build(ctx context.Context, c *config.Config, previous *generation) (*generation, error) {
	panic("not built yet")
}

func (p *composer) close(ctx context.Context) error { return p.Close(ctx) }
