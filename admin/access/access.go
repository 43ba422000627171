// Package access finds out which administrator sends a request: by a session of
// the console, which began at an OpenID Connect provider or with the password and
// second factor of a local administrator, or by a token of the command line.
//
//   - Access.Wrap puts the admin.Caller into the context of requests.
//   - Access itself serves the pages for signing in, below /console/login, and the
//     exchange of tokens, /admin/v1/login and /admin/v1/token.
//
// Local administrators depend on nothing but the store: whatever a provider does,
// they can sign in.
package access

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
)

// Parts are those in force. A reload makes new ones.
type Parts struct {
	Config    *config.Config
	Store     *store.Store
	Providers map[string]*oidc.Provider // by realm, those of admin.login
	Roles     *authz.Roles
}

// Options are what an Access is made of.
type Options struct {
	Parts   func() Parts
	Logger  *slog.Logger
	Observe func(ctx context.Context, d *authn.Decision) // each sign-in and refusal, for the audit record
	Now     func() time.Time
}

// Access knows administrators. It is safe for concurrent use.
type Access struct{ o Options }

// New returns an Access.
func New(o Options) *Access { return &Access{o} }

// ServeHTTP serves the pages for signing in and the exchange of tokens.
func (a *Access) ServeHTTP(w http.ResponseWriter, r *http.Request) { panic("not built yet") }

// Wrap returns next for requests of administrators. The request of a browser
// without one is led to the page for signing in, others get 401; requests that
// change something must carry the token of their session (see CSRF).
func (a *Access) Wrap(next http.Handler) http.Handler { panic("not built yet") }

// CSRF returns what a form of the console puts into its hidden field "csrf".
func (a *Access) CSRF(r *http.Request) string { panic("not built yet") }
