// Package login makes the logins of a configuration: who may come to a service,
// and how he shows who he is.
package login

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/health"
)

// Options are what a Set needs besides the configuration.
type Options struct {
	Store   *store.Store // nil: none is configured
	Logger  *slog.Logger
	Observe func(ctx context.Context, d *authn.Decision) // each login and refusal
}

// A Set has the realms of a configuration. It is safe for concurrent use.
type Set struct{}

// New opens the realms. It asks nobody: a domain controller that is away is found
// out at the first login, or by Checks. Realms that are in previous and did not
// change are taken over, with the logins of their connections.
func New(c *config.Config, o Options, previous *Set) (*Set, error) { panic("not built yet") }

// A Spec is how callers log in to an element: its settings, inherited ones
// included.
type Spec struct {
	Logins       []config.Login
	Binding      config.Binding
	NotNegotiate *config.Clients
	Custom       *config.CallOut
	Session      bool // a session begins at the login

	// AllowAnonymous and Deny are those of authn.Middleware.
	AllowAnonymous func(*http.Request) bool
	Deny           func(w http.ResponseWriter, r *http.Request, status int, ref string)
}

// Handler returns next behind the logins. Two specs that do not differ in their
// logins share what a connection logged in as.
func (s *Set) Handler(spec Spec, next http.Handler) (http.Handler, error) { panic("not built yet") }

// Pages are the login forms, below /.soapward/login/.
func (s *Set) Pages() http.Handler { panic("not built yet") }

// Resolver finds groups in all directories. It is nil without one.
func (s *Set) Resolver() authz.Resolver { panic("not built yet") }

// Checks says what the realms depend on.
func (s *Set) Checks() []health.Check { panic("not built yet") }

// Run does what is to be done in the background, such as the daily job, until ctx
// ends.
func (s *Set) Run(ctx context.Context) { panic("not built yet") }

// Close ends what is not in next, the set that took over, which may be nil.
func (s *Set) Close(next *Set) error { panic("not built yet") }
