// Package inbound takes the requests for the services behind the gateway: which
// service, from where, who, whether he may, and then on to the backend.
package inbound

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/backend"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/identity"
	"github.com/soapward/soapward/gateway/login"
	"github.com/soapward/soapward/gateway/publish"
)

// Parts are what a Handler is made of. They are keyed by the name of the service.
type Parts struct {
	Logins     *login.Set
	Backends   map[string]*backend.Proxy
	Publishers map[string]*publish.Publisher // of services with a WSDL
	Issuer     *identity.Issuer              // nil: none
	Logger     *slog.Logger

	// Observe is told of what the policy refuses.
	Observe func(ctx context.Context, r *authz.Request, err error)
}

// A Handler takes all inbound requests. It is safe for concurrent use.
type Handler struct{}

// New makes a Handler.
func New(c *config.Config, p Parts) (*Handler, error) { panic("not built yet") }

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { panic("not built yet") }

// Explain says which policy is in force for a request, and how it decides for
// id, or for nobody in particular with anybody set.
func (h *Handler) Explain(ctx context.Context, method string, u *url.URL, operation string, id *authn.Identity, anybody bool) *authz.Explanation {
	panic("not built yet")
}
