package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/access"
	"github.com/soapward/soapward/admin/api"
	"github.com/soapward/soapward/admin/api/wire"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/console"
	"github.com/soapward/soapward/console/ui"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/health"
	"github.com/soapward/soapward/gateway/listen"
)

// Where the parts of the admin listener are.
const (
	consolePrefix = "/console/"
	staticPrefix  = "/console/static/"
)

// Bounds of requests of administrators. A configuration may be larger than all
// else but an import: 1 MiB, of which forms and JSON make some times as much.
const (
	maxAdminBody   = 1 << 20
	maxConfigBody  = 8 << 20
	adminBodyTime  = 30 * time.Second // for a body to arrive
	buildTestLimit = buildTimeout
)

// administration is the console and the API. It outlives reloads, and takes what it
// needs from the generation in force.
type administration struct {
	gateway *Gateway
	parts   *composer
	service *admin.Service
	pages   func() http.Handler // made when somebody comes first
	keeping sync.WaitGroup      // who keeps versions of the configuration

	bodyTime time.Duration // adminBodyTime, but in tests
}

func newAdministration(g *Gateway, p *composer) *administration {
	a := &administration{gateway: g, parts: p, bodyTime: adminBodyTime}
	a.service = admin.New(admin.Options{Store: a.store, Config: g.Config, Running: asRunning{a}, Logger: g.log})
	a.pages = sync.OnceValue(a.newPages)
	return a
}

// made returns the parts in force.
func (a *administration) made() *made { return a.gateway.current.Load().own.(*made) }

func (a *administration) store() *store.Store { return a.made().sharedStore() }

func (a *administration) newPages() http.Handler {
	who := access.New(access.Options{
		Parts: func() access.Parts { return a.made().access }, Logger: a.parts.log,
		Observe: func(ctx context.Context, d *authn.Decision) { a.parts.login(a.made().store)(ctx, d) },
		Provision: func(ctx context.Context, realm string, id *authn.Identity, t *oidc.Tokens) (*authn.Identity, error) {
			return a.made().logins.Admit(ctx, realm, id, t.Subject)
		},
	})
	calls := api.New(a.service)
	calls.Logger = a.parts.log
	mux := http.NewServeMux()
	mux.Handle(staticPrefix, ui.Static())
	mux.Handle(consolePrefix, who.Wrap(console.New(console.Options{Areas: a.service, CSRF: who.CSRF, Logger: a.parts.log})))
	mux.Handle(api.Prefix, who.Wrap(calls))
	mux.Handle(api.DocumentPath, calls)
	mux.Handle("/{$}", http.RedirectHandler(consolePrefix, http.StatusFound))
	return mux
}

// Admin answers on the admin listener: what an Observer does there, and, where
// there is a store, console and API in place of its page.
func (p *composer) Admin() http.Handler {
	status := p.Status()
	return p.Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz", "/readyz", "/metrics":
			status.ServeHTTP(w, r)
			return
		}
		p.admin.serve(status, w, r)
	}))
}

// withoutStore tells who looks for the console what it lacks.
func withoutStore(status http.Handler, w http.ResponseWriter, r *http.Request) {
	const text, remedy = "this gateway has no store, and without one neither console nor admin API", "add store to its configuration"
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, api.Prefix):
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(&admin.Error{Kind: wire.NoEndpoint, Text: text, Remedy: remedy}) // the client is gone
	case strings.HasPrefix(path, consolePrefix):
		http.Error(w, text+": "+remedy, http.StatusNotFound)
	default:
		status.ServeHTTP(w, r)
	}
}

// serve answers with pages, or with status where no store is configured.
func (a *administration) serve(status http.Handler, w http.ResponseWriter, r *http.Request) {
	gen := a.gateway.current.Load()
	if !gen.enter() {
		if gen = a.gateway.current.Load(); !gen.enter() { // not by a reload: it is the end
			http.Error(w, "the gateway stops", http.StatusServiceUnavailable)
			return
		}
	}
	defer gen.leave()
	if gen.config.Store.Driver == "" {
		withoutStore(status, w, r)
		return
	}
	ref := authn.NewRef()
	ctx := authn.WithRef(authn.WithClient(r.Context(), gen.proxies.Client(r)), ref)
	r = r.WithContext(ctx)
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'") // pages have their own
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // with none at all, browsers hide the Origin of a form, too
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if r.Body != nil && r.Body != http.NoBody {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(a.bodyTime)) // a test's may have none
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit(r.URL.Path))
	}
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v == any(http.ErrAbortHandler) {
			panic(v)
		}
		a.parts.log.LogAttrs(ctx, slog.LevelError, "a request of an administrator failed", slog.String("ref", ref), slog.String("method", r.Method),
			slog.String("path", clipPath(r.URL.Path)), slog.Any("cause", v), slog.String("stack", string(debug.Stack())))
		http.Error(w, "internal error, reference "+ref, http.StatusInternalServerError)
	}()
	a.pages().ServeHTTP(w, r)
}

func clipPath(path string) string { return strings.ToValidUTF8(path[:min(len(path), 200)], "") }

func bodyLimit(path string) int64 {
	switch {
	case strings.HasPrefix(path, api.Prefix+"config"), strings.HasPrefix(path, consolePrefix+"config"):
		return maxConfigBody
	case path == api.Prefix+"import":
		return wire.MaxImport
	}
	return maxAdminBody
}

// wait returns when no version is being kept.
func (a *administration) wait() { a.keeping.Wait() }

// keepVersion keeps the configuration in force, in the background.
func (a *administration) keepVersion() {
	gen := a.gateway.current.Load()
	if gen == nil || gen.config.Store.Driver == "" || !gen.enter() {
		return
	}
	a.keeping.Go(func() {
		defer gen.leave()
		ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
		defer cancel()
		if err := admin.KeepVersion(ctx, a.service); err != nil {
			a.parts.log.LogAttrs(ctx, slog.LevelWarn, "the configuration was not kept as a version", slog.String("cause", err.Error()))
		}
	})
}

// Reloaded implements observer.
func (p *composer) Reloaded(err error) {
	p.Observer.Reloaded(err)
	if err == nil {
		p.admin.keepVersion()
	}
}

// Recheck implements observer: the first configuration is in force.
func (p *composer) Recheck() {
	p.Observer.Recheck()
	p.admin.keepVersion()
}

// accessParts are what tells administrators from others.
func (m *made) accessParts(c *config.Config) access.Parts {
	parts := access.Parts{Config: c, Store: m.sharedStore(), Roles: m.inbound.Roles(), Providers: map[string]*oidc.Provider{}}
	if c.Admin == nil {
		return parts
	}
	for _, name := range c.Admin.Login {
		if p := m.logins.Provider(name); p != nil {
			parts.Providers[name] = p
		}
	}
	return parts
}

// look makes the parts of a configuration beside those in force, and throws them
// away. It opens no address, and no store.
func (a *administration) look(ctx context.Context, c *config.Config) (warnings []string, err error) {
	gen := a.gateway.current.Load()
	if !gen.enter() { // so that what is taken over from it stays open
		return nil, ErrStopping
	}
	defer gen.leave()
	ctx, cancel := context.WithTimeout(ctx, buildTestLimit)
	defer cancel()
	var errs []error
	for _, l := range c.Listen {
		_, err := listen.Certificates(l.TLS)
		errs = append(errs, err)
	}
	if c.Admin != nil {
		_, err := listen.Certificates(c.Admin.TLS)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	next, err := a.parts.make(ctx, c, gen, true)
	if err != nil {
		return nil, err
	}
	defer next.close(gen)
	if c.Store != gen.config.Store && c.Store.Driver != "" {
		next.warnings = append(next.warnings, "the store is another one: whether it can be opened is found out when the configuration is applied")
	}
	return next.warnings, nil
}

// asRunning is the gateway as package admin sees it.
type asRunning struct{ *administration }

var _ admin.Running = asRunning{}

// Config implements admin.Running.
func (r asRunning) Config() *config.Config { return r.gateway.Config() }

// File implements admin.Running.
func (r asRunning) File() string { return r.gateway.file }

// Reload implements admin.Running.
func (r asRunning) Reload() error { return r.gateway.Reload() }

// Replace implements admin.Running.
func (r asRunning) Replace(change func() (func() error, error)) error {
	return r.gateway.Replace(change)
}

// Warnings implements admin.Running.
func (r asRunning) Warnings() []string { return r.gateway.Warnings() }

// Policies implements admin.Running.
func (r asRunning) Policies() map[string][]authz.ElementPolicy { return r.made().inbound.Policies() }

// Roles implements admin.Running.
func (r asRunning) Roles() *authz.Roles { return r.made().inbound.Roles() }

// Operations implements admin.Running.
func (r asRunning) Operations() map[string][]string { return r.made().operations }

// Explain implements admin.Running.
func (r asRunning) Explain(ctx context.Context, method string, u *url.URL, operation string, id *authn.Identity, anybody bool) *authz.Explanation {
	return r.made().inbound.Explain(ctx, method, u, operation, id, anybody)
}

// Report implements admin.Running.
func (r asRunning) Report() health.Report { return r.parts.Report() }

// Loaded implements admin.Running.
func (r asRunning) Loaded() (time.Time, error) { return r.parts.Loaded() }

// Version implements admin.Running.
func (r asRunning) Version() string { return r.parts.Version() }

// Started implements admin.Running.
func (r asRunning) Started() time.Time { return r.parts.Started() }

// Build implements admin.Running.
func (r asRunning) Build(ctx context.Context, c *config.Config) ([]string, error) {
	return r.look(ctx, c)
}

// Listens implements admin.Running.
func (r asRunning) Listens() (out []admin.Listen) {
	for _, l := range r.gateway.Listening() {
		direction := string(l.Direction)
		if direction == "" {
			direction = "admin"
		}
		out = append(out, admin.Listen{Addr: string(l.Addr), Direction: direction, Upstream: l.Upstream, TLS: l.TLS})
	}
	return out
}
