// Package inbound takes the requests for the services behind the gateway: which
// service, from where, who, whether he may, and then on to the backend.
//
//   - [New] makes a [Handler] of a configuration and the parts that do the rest:
//     logins, backends, descriptions.
//   - [Handler.Explain] says what would become of a request, and which line of
//     the configuration says so.
//
// # How a request is decided
//
// The path is put into its shortest form first; the policy decides on that, and
// that is what is forwarded. Host and path choose the service. Then in this
// order: the client's network, the login, the rules.
//
// In a SOAP service, one with a WSDL or whose rules name operations, the
// operation is that of the first element in the body, whatever Content-Type and
// SOAPAction say; these must not say anything else. The start of the message is
// read up to that element (soap.max_head), the rest is looked at while it passes:
// where it turns out to hold a second operation it is cut off there, so that the
// server behind never gets all of it. Where rules name operations, what cannot be
// looked at is refused: compressed messages, unknown encodings, multipart
// messages in which it is not plain which part is the envelope. What is no XML,
// and XML without an envelope, has no operation, so that only rules for paths let
// it in; the latter must be allowed as the operation of its root's name, too.
//
// The operation is looked for behind the login, so that nobody sends us messages
// who has not logged in. In a service in which an operation has a login of its
// own it is looked for in front of it, in soap.max_head at most. A leg of a
// handshake may have no message; it takes the login of the service. So such an
// operation should want a method that the service offers as well, or one that
// needs no handshake.
//
// Compatibility: Parts may gain fields whose zero value keeps today's behaviour.
package inbound

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/backend"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/identity"
	"github.com/soapward/soapward/gateway/login"
	"github.com/soapward/soapward/gateway/publish"
	"github.com/soapward/soapward/gateway/realm"
	"github.com/soapward/soapward/gateway/trail"
)

// Parts are what a Handler is made of. They are keyed by the name of the service.
type Parts struct {
	Logins     *login.Set
	Backends   map[string]*backend.Proxy
	Publishers map[string]*publish.Publisher // those of publish.All
	Issuer     *identity.Issuer              // nil: none
	Logger     *slog.Logger

	// Observe is told of what the policy refuses.
	Observe func(ctx context.Context, r *authz.Request, err error)
}

// publisher is a *publish.Publisher.
type publisher interface {
	http.Handler
	Takes(r *http.Request) bool
	Operations() []publish.Operation
}

// parts are Parts as this package needs them.
type parts struct {
	logins interface {
		Handler(spec login.Spec, next http.Handler) (http.Handler, error)
		Pages() http.Handler
	}
	resolver   authz.Resolver
	backends   map[string]http.Handler
	publishers map[string]publisher
	page       func(allowed func(r *http.Request, service string) bool) http.Handler
	keys       http.Handler // may be nil
	describe   func(name string, c *config.Identity, roles *authz.Roles) (func(context.Context, *authn.Identity) (http.Header, error), error)
	logger     *slog.Logger
	observe    func(ctx context.Context, r *authz.Request, err error)
}

// A Handler takes all inbound requests. It is safe for concurrent use.
type Handler struct {
	config   *config.Config
	roles    *authz.Roles
	table    *table
	services map[string]*service
	own      *service // the gateway itself, for its own pages
	logger   *slog.Logger
	observer func(ctx context.Context, r *authz.Request, err error)
	shared   map[string]http.Handler // below /.soapward/, for everybody
	forward  *forwardAuth            // nil: off

	testOnlyBodyTimeout time.Duration // zero: bodyTimeout
}

// service is one that stands behind the gateway.
type service struct {
	name      string
	logger    *slog.Logger
	match     config.Match
	fold      bool
	methods   bool // rules name them
	policy    *authz.Policy
	messages  *messages // nil: it is not SOAP
	backend   http.Handler
	publisher publisher // nil: none
	publish   config.Publishing
	builtIn   map[string]http.Handler

	// describe makes the headers about a caller for another proxy that passes
	// requests on; nil: none does.
	describe func(ctx context.Context, id *authn.Identity) (http.Header, error)
}

// New makes a Handler. An error is a mistake in the configuration, with its place.
func New(c *config.Config, p Parts) (*Handler, error) {
	q := parts{
		logins: p.Logins, backends: map[string]http.Handler{}, publishers: map[string]publisher{},
		logger: p.Logger, observe: p.Observe,
	}
	if r := p.Logins.Resolver(); r != nil {
		q.resolver = r
	}
	for name, b := range p.Backends {
		q.backends[name] = b
	}
	for name, b := range p.Publishers {
		if s := c.Services[name]; s != nil && s.WSDL != "" { // others are for the page only
			q.publishers[name] = b
		}
	}
	q.page = func(allowed func(*http.Request, string) bool) http.Handler {
		return publish.Page(p.Publishers, allowed)
	}
	if p.Issuer != nil {
		q.keys = p.Issuer.Keys()
	}
	q.describe = func(name string, c *config.Identity, roles *authz.Roles) (func(context.Context, *authn.Identity) (http.Header, error), error) {
		return backend.Describe(c, backend.Options{Service: name, Issuer: p.Issuer, Roles: Roles})
	}
	return newHandler(c, q)
}

func newHandler(c *config.Config, p parts) (*Handler, error) {
	h := &Handler{config: c, logger: p.logger, observer: p.observe, services: map[string]*service{}}
	if h.logger == nil {
		h.logger = slog.Default()
	}
	var err error
	if h.roles, err = realm.Roles(c, p.resolver, h.logger); err != nil {
		return nil, fmt.Errorf("inbound: %w", err)
	}
	var all []*service
	for _, name := range names(c.Services) {
		s, err := h.newService(name, c.Services[name], p)
		if err != nil {
			return nil, err
		}
		h.services[name] = s
		all = append(all, s)
	}
	if h.table, err = newTable(all); err != nil {
		return nil, err
	}
	if err := h.newOwn(p); err != nil {
		return nil, err
	}
	h.newForwardAuth(c)
	return h, nil
}

func (h *Handler) newService(name string, c *config.Service, p parts) (*service, error) {
	s := &service{name: name, logger: h.logger, match: c.Match, fold: c.CaseInsensitivePaths, backend: p.backends[name], publisher: p.publishers[name]}
	s.publish = c.Publish
	chains := &chains{h: h, s: s, p: p, custom: c.Custom, asked: c.ForwardAuth}
	policy, b, err := newPolicy(h.config, name, c, h.roles, chains.of)
	if err == nil {
		err = chains.err
	}
	if err != nil {
		return nil, err
	}
	s.policy, s.methods = policy, b.methods
	if c.ForwardAuth {
		if s.describe, err = p.describe(name, identityOf(c), policy.Roles()); err != nil {
			return nil, fmt.Errorf("inbound: service %s: %w", name, err)
		}
	}
	var described []publish.Operation
	if s.publisher != nil {
		described = s.publisher.Operations()
	}
	s.messages = newMessages(c.SOAP, b.rules, b.early, described, s.publisher != nil)
	s.builtIn = h.newBuiltIn(policy.Roles())
	return s, nil
}

// call is what is known of a request on its way.
type call struct {
	context.Context
	service *service
	req     authz.Request
	found
	looked bool
	next   http.Handler // what answers behind the login: nil is the backend, with the rules
	asked  *asked       // set if another proxy asks
	cut    atomic.Pointer[messageError]
}

type callKey struct{}

// Value implements context.Context.
func (c *call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, err := authz.CleanPath(r.URL)
	if err == nil && strings.ToUpper(r.Method) != r.Method {
		err = authz.ErrMethod
	}
	if err == nil && !validHost(r.Host) {
		err = errHost
	}
	if err != nil {
		c := &call{Context: r.Context(), req: authz.Request{Client: authn.ClientAddr(r), Host: r.Host, Method: r.Method, Path: r.URL.Path}}
		h.observe(r.Context(), c, err)
		h.refuse(w, r, c, refusalOf(err))
		return
	}
	if strings.HasPrefix(path, ownPrefix) && h.serveShared(w, r, path) {
		return
	}
	s, built := h.route(r.Host, path)
	if s == nil {
		h.refuse(w, r, nil, refusal{status: http.StatusNotFound, code: noService, text: "not found", cause: errNoService})
		return
	}
	c := &call{Context: r.Context(), service: s, next: built}
	c.req = authz.Request{Client: authn.ClientAddr(r), Host: r.Host, Method: r.Method, Path: path}
	h.enter(w, r, c)
}

// route returns the service of a request, nil if there is none, and what answers
// in place of it behind its login, if that is one of our own pages.
func (h *Handler) route(host, path string) (s *service, built http.Handler) {
	s, n := h.table.find(host, path)
	if s != nil {
		name, ours := ownPath(path[n:], s.fold)
		if !ours {
			return s, nil
		}
		if built = s.builtIn[name]; built != nil {
			return s, built
		}
	}
	// What a service at the root of the host does not have may be the gateway's.
	if name, ours := ownPath(path, false); ours && h.own != nil {
		if built = h.own.builtIn[name]; built != nil {
			return h.own, built
		}
	}
	return nil, nil
}

// enter is the way of a request whose service is known, in front of the login.
func (h *Handler) enter(w http.ResponseWriter, r *http.Request, c *call) {
	s := c.service
	trail.From(c.Context).Service = s.name
	r = r.WithContext(c)
	if r.URL.Path != c.req.Path || r.URL.RawPath != "" {
		u := new(url.URL)
		*u = *r.URL
		u.Path, u.RawPath = c.req.Path, ""
		r.URL = u
	}
	if err := s.policy.Admit(&c.req); err != nil {
		f := refusalOf(err)
		f.code = noNetwork
		h.observe(c, c, err)
		h.refuse(w, r, c, f)
		return
	}
	if s.methods && overridesMethod(r.Header) {
		h.observe(c, c, errOverride)
		h.refuse(w, r, c, refusalOf(errOverride))
		return
	}
	// Where nobody gets the description, the publisher says so: that of the server
	// behind has the server's address in it.
	if c.next == nil && c.asked == nil && s.publisher != nil && isGet(r) && s.publisher.Takes(r) {
		if s.publish == config.PublishOpen {
			s.publisher.ServeHTTP(w, r)
			return
		}
		c.next = s.publisher
	}
	if c.next == nil && s.backend == nil && c.asked == nil {
		h.refuse(w, r, c, refusal{status: http.StatusNotFound, code: noService, text: "not found", cause: errNoBackend})
		return
	}
	if c.next == nil && s.messages != nil && s.messages.early && !h.look(w, r, c) {
		return
	}
	ch, _ := s.policy.Setting(&c.req, settingChain).(*chain)
	switch {
	case ch != nil:
		ch.ServeHTTP(w, r)
	case s == h.own:
		h.refuse(w, r, c, refusal{status: http.StatusNotFound, code: noService, text: "not found", cause: errNoLogin, hint: "defaults.login says how callers log in there"})
	default:
		h.refuse(w, r, c, refusal{status: http.StatusForbidden, code: denied, cause: errNoLogin})
	}
}

// look finds out the operation, once.
func (h *Handler) look(w http.ResponseWriter, r *http.Request, c *call) bool {
	if c.looked {
		return true
	}
	c.looked = true
	h.waitForBody(w, r)
	f, err := c.service.messages.look(r, func(err error) { h.cutOff(c, err) })
	c.found, c.req.Operation = f, f.operation
	trail.From(c.Context).Operation = f.operation
	if err != nil {
		h.observe(c, c, err)
		h.refuse(w, r, c, refusalOf(err))
		return false
	}
	return true
}

// bodyTimeout is how long a client may take for what is read of its body here.
const bodyTimeout = 30 * time.Second

// waitForBody bounds the time in which the client sends it. net/http ends that
// with the body, and the backend goes on with a bound of its own.
func (h *Handler) waitForBody(w http.ResponseWriter, r *http.Request) {
	if !hasBody(r) {
		return
	}
	d := bodyTimeout
	if h.testOnlyBodyTimeout > 0 {
		d = h.testOnlyBodyTimeout
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d)) // a test's may have none
}

// cutOff tells of a message whose rest is not passed on. It runs where the body is
// read, which may be another goroutine than the handler's.
func (h *Handler) cutOff(c *call, err error) {
	bad := &messageError{cause: err}
	c.cut.Store(bad)
	h.observe(c, c, bad)
	h.logger.LogAttrs(c, slog.LevelWarn, "message cut off",
		slog.String("ref", authn.Ref(c)), slog.String("reason", badMessage), slog.String("peer", c.req.Client.String()),
		slog.String("service", c.service.name), slog.String("op", clip(c.found.operation)), slog.Any("user", c.req.Identity),
		slog.String("cause", err.Error()), slog.String("hint", "the server behind got its beginning only"))
}

// admitted is the way of a request behind the login.
func (h *Handler) admitted(w http.ResponseWriter, r *http.Request) {
	c := callOf(r.Context())
	s := c.service
	c.req.Identity = authn.FromContext(r.Context())
	tr := trail.From(c.Context)
	tr.Identity = c.req.Identity
	if c.next != nil {
		h.waitForBody(w, r)
		c.next.ServeHTTP(w, r)
		return
	}
	if m := s.messages; m != nil && c.asked == nil {
		if !h.look(w, r, c) {
			return
		}
		if m.rules && c.found.operation == "" && unquote(r.Header.Get("Soapaction")) != "" {
			h.refuse(w, r, c, refusalOf(&messageError{cause: errNoMessage}))
			return
		}
	}
	err := s.policy.Decide(r.Context(), &c.req)
	if bare := c.found.bare; err == nil && bare != "" {
		q := c.req // a rule for paths lets it in, but not as something else
		q.Operation = bare
		err = s.policy.Decide(r.Context(), &q)
	}
	if err != nil {
		h.observe(r.Context(), c, err)
		h.refuse(w, r, c, refusalOf(err))
		return
	}
	if c.asked != nil {
		h.allow(w, r, c)
		return
	}
	if s.messages != nil {
		defer func() { // whatever the backend makes of it
			if bad := c.cut.Load(); bad != nil {
				tr.Refuse(badMessage, bad.Error())
			}
		}()
	}
	s.backend.ServeHTTP(w, r)
}

// errOverride is why a request is refused that may be another one for who is
// behind: the rules are for the method that it says.
var errOverride = fmt.Errorf("%w: a header names another method, and rules name methods", authz.ErrMethod)

// overridesMethod reports whether a header is there that frameworks take for the
// method, in any spelling that CGI takes for it.
func overridesMethod(h http.Header) bool {
	for name := range h {
		if n := len(name); n < len("X-Http-Method") || n > len("X-Http-Method-Override") || name[0]|0x20 != 'x' {
			continue
		}
		switch foldName(name) {
		case "x-http-method", "x-http-method-override", "x-method-override":
			return true
		}
	}
	return false
}

// foldName returns a header's name with any sign for a hyphen.
func foldName(name string) string {
	return strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			return c
		}
		return '-'
	}, strings.ToLower(name))
}

func isGet(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }
