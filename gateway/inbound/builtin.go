package inbound

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/authz/integrated"
	"github.com/soapward/soapward/gateway/config"
)

// ownPrefix is where the gateway's own pages are.
const ownPrefix = "/.soapward/"

var (
	errNoService = errors.New("no service has that host and path")
	errNoBackend = errors.New("the service has no upstream: another proxy passes its requests on")
	errHost      = errors.New("inbound: the header Host is not one name with a port: servers would differ in what it names")
	errNoLogin   = errors.New("no login is configured")
)

// ownPath returns what follows /.soapward/ in what a service's path leaves of a
// path. A service that does not look at the case must not get one in capitals.
func ownPath(rest string, fold bool) (string, bool) {
	if len(rest) < len(ownPrefix) {
		return "", rest == ownPrefix[:len(ownPrefix)-1]
	}
	if prefix := rest[:len(ownPrefix)]; prefix == ownPrefix || fold && strings.EqualFold(prefix, ownPrefix) {
		return rest[len(ownPrefix):], true
	}
	return "", false
}

// newBuiltIn makes what answers the two questions of an application, behind a
// login, by what follows /.soapward/.
func (h *Handler) newBuiltIn(roles *authz.Roles) map[string]http.Handler {
	o := integrated.Options{Roles: roles, Logger: h.logger}
	questions, security := integrated.NewHandler(o), integrated.Service(o)
	at := func(path string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r2 := *r
			r2.URL = new(url.URL)
			*r2.URL = *r.URL
			r2.URL.Path = path
			questions.ServeHTTP(w, &r2)
		})
	}
	return map[string]http.Handler{
		"whoami":             at(integrated.WhoAmIPath),
		"role":               at(integrated.RolePath),
		"IntegratedSecurity": security,
		"security":           security,
	}
}

// newOwn makes the gateway's own pages.
func (h *Handler) newOwn(p parts) error {
	h.shared = map[string]http.Handler{}
	if p.keys != nil {
		h.shared["jwks.json"] = p.keys
	}
	h.shared["login/"] = p.logins.Pages()
	if slices.ContainsFunc(h.config.Defaults.Login, func(l config.Login) bool { return l.Method == config.Custom }) {
		return nil // that is each service's own
	}
	own := &service{name: "gateway", logger: h.logger}
	chains := &chains{h: h, s: own, p: p}
	policy, _, err := newPolicy(h.config, "gateway", nil, h.roles, chains.of)
	if err == nil {
		err = chains.err
	}
	if err != nil {
		return err
	}
	own.policy, own.builtIn = policy, h.newBuiltIn(h.roles)
	if h.config.Publish.Page {
		own.builtIn[""] = p.page(h.maySee)
	}
	h.own = own
	return nil
}

// maySee reports whether the caller of r may know of a service: whether there is
// anything there that he may do, as far as can be said without a request.
func (h *Handler) maySee(r *http.Request, name string) bool {
	s := h.services[name]
	c := callOf(r.Context())
	if s == nil || c == nil || s.publish == config.PublishOff {
		return false
	}
	q := c.req
	q.Host, q.Path, q.Method = s.match.Host, s.match.Path, http.MethodGet
	return s.policy.Admit(&q) == nil && h.mayDoSomething(r.Context(), q.Identity, h.config.Services[name])
}

// mayDoSomething reports whether one of the rules of a service lets a caller in.
// Where nobody could say, it does not.
func (h *Handler) mayDoSomething(ctx context.Context, id *authn.Identity, s *config.Service) bool {
	anonymous := func(l []config.Login) bool { return slices.Contains(l, config.Login{Method: config.None}) }
	rules := s.Allow
	if len(rules) == 0 {
		if anonymous(s.Login) { // which takes the place of inherited rules: see settleRules
			return true
		}
		rules = h.config.Defaults.Allow
	}
	if len(rules) == 0 { // everybody who logged in
		return id != nil || anonymous(h.config.LoginsOf(s))
	}
	for i := range s.Elements {
		e := &s.Elements[i]
		if len(e.Allow) == 0 && anonymous(e.Login) {
			return true
		}
		rules = append(rules[:len(rules):len(rules)], e.Allow...)
	}
	for i := range rules {
		for _, role := range rules[i].Roles {
			if role == authz.Anonymous || role == authz.Any && id != nil {
				return true
			}
			if ok, err := h.roles.Has(ctx, id, role); ok && err == nil {
				return true
			}
		}
	}
	return false
}

// serveShared answers what is the same for all services. It reports false for
// everything else.
func (h *Handler) serveShared(w http.ResponseWriter, r *http.Request, path string) bool {
	name := path[len(ownPrefix):]
	if strings.HasPrefix(name, "login/") {
		name = "login/"
	}
	if name == "auth" && h.forward != nil {
		h.serveForwardAuth(w, r)
		return true
	}
	handler := h.shared[name]
	if handler == nil {
		return false
	}
	if r.URL.Path != path || r.URL.RawPath != "" {
		r2 := *r
		r2.URL = new(url.URL)
		*r2.URL = *r.URL
		r2.URL.Path, r2.URL.RawPath = path, ""
		r = &r2
	}
	handler.ServeHTTP(w, r)
	return true
}
