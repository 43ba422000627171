// Package access finds out which administrator sends a request: by a session of
// the console, which began at an OpenID Connect provider or with the password and
// second factor of a local administrator, or by a token of the command line.
//
//   - Access.Wrap puts the admin.Caller into the context of requests.
//   - Access itself serves the pages for signing in, below /console/login,
//     /console/logout, and the exchange of tokens, /admin/v1/login and
//     /admin/v1/token. Wrap passes those on, so that it can stand in front of all
//     that is below /console/ and /admin/v1/ but static files.
//
// Local administrators depend on nothing but the store: whatever a provider does,
// they can sign in.
package access

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/console/ui"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
)

// Paths of what an Access serves.
const (
	home        = "/console/"
	loginPath   = "/console/login"
	localPath   = "/console/login/local"
	codePath    = "/console/login/local/code"
	setupPath   = "/console/login/local/setup"
	logoutPath  = "/console/logout"
	apiPrefix   = "/admin/v1/"
	waysPath    = "/admin/v1/login"
	tokenPath   = "/admin/v1/token"
	callbackEnd = "/callback"
)

// LocalName is what no realm of admin.login may be called: its page has the place.
const LocalName = "local"

// CookieName is that of the console's sessions, after __Host- under TLS.
const CookieName = "soapward-admin"

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

	// Provision makes or refreshes the user of a realm in the store, at each
	// sign-in by its provider and when that is asked again, and returns the identity
	// with the user's name. A refusal wraps authn.ErrBadCredentials.
	Provision func(ctx context.Context, realm string, id *authn.Identity, t *oidc.Tokens) (*authn.Identity, error)
}

// Access knows administrators. It is safe for concurrent use.
type Access struct {
	o   Options
	log *slog.Logger
	mux *http.ServeMux

	mu      sync.Mutex
	current *core

	testOnlyProviders  map[string]provider
	testOnlyWatchEvery time.Duration // watchEvery, but in tests
}

// New returns an Access. Parts must be set.
func New(o Options) *Access {
	a := &Access{o: o, log: o.Logger, testOnlyWatchEvery: watchEvery}
	if a.log == nil {
		a.log = slog.Default()
	}
	m := http.NewServeMux()
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request, *core){
		"GET " + loginPath:  a.choose,
		"GET " + localPath:  a.localPage,
		"POST " + localPath: a.localPassword,
		"GET " + codePath:   a.codePage,
		"POST " + codePath:  a.codeTyped,
		"GET " + setupPath:  a.setupPage,
		"POST " + setupPath: a.setupTyped,

		"GET " + loginPath + "/{provider}":               a.begin,
		"GET " + loginPath + "/{provider}" + callbackEnd: a.callback,
		"POST " + loginPath + "/{provider}/backchannel":  a.backchannel,

		"POST " + logoutPath:         a.logout,
		"POST " + loginPath + "/out": a.logout,

		"GET " + waysPath:     a.ways,
		"POST " + tokenPath:   a.giveToken,
		"DELETE " + tokenPath: a.takeToken,
	} {
		m.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, serve) })
	}
	m.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.serve(w, r, func(w http.ResponseWriter, r *http.Request, _ *core) {
			a.problem(w, r, http.StatusNotFound, "There is no such page")
		})
	})
	a.mux = m
	return a
}

// ServeHTTP serves the pages for signing in and the exchange of tokens.
func (a *Access) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// serve calls a handler with the parts in force and the request's reference.
func (a *Access) serve(w http.ResponseWriter, r *http.Request, next func(http.ResponseWriter, *http.Request, *core)) {
	r = withRef(r)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	c := a.core()
	if c == nil {
		a.unavailable(w, r, errNoStore)
		return
	}
	next(w, r, c)
}

// serves reports whether a path is one of ServeHTTP's.
func serves(path string) bool {
	switch path {
	case loginPath, logoutPath, waysPath, tokenPath:
		return true
	}
	return strings.HasPrefix(path, loginPath+"/")
}

func withRef(r *http.Request) *http.Request {
	return r.WithContext(authn.WithRef(r.Context(), authn.Ref(r.Context())))
}

func (a *Access) now() time.Time {
	if a.o.Now != nil {
		return a.o.Now()
	}
	return time.Now()
}

// render writes a page of this package.
func (a *Access) render(w http.ResponseWriter, r *http.Request, status int, p *ui.Page) {
	p.Ref = authn.Ref(r.Context())
	ui.Render(w, r, status, p)
}
