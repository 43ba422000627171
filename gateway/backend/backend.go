// Package backend passes requests on to the servers behind the gateway.
//
// A Proxy takes the requests of one service, whose callers are known by then. It
// tells the server who the caller is (see config.Identity), and lets nothing of
// what the client says of itself pass for that. It speaks HTTP/1.1 to servers,
// over TCP, TLS or a Unix socket, and keeps connections for further requests.
//
// It does not stand on http.Transport: a request uses its connection from the
// goroutine of its handler. A second goroutine is there only for bodies that are
// large or of unknown length, and for protocols that take a connection over, such
// as WebSocket. What comes of a server must be HTTP to the letter (RFC 9112), or
// the client gets 502: two programs that understand one message in two ways are
// what smuggling is made of.
//
// The ResponseWriter of a Proxy must be that of net/http, or unwrap to it
// (http.ResponseController). Where an answer breaks off, ServeHTTP panics with
// http.ErrAbortHandler, so that the client does not take it for whole.
package backend

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/health"
	"github.com/soapward/soapward/gateway/identity"
)

// Why a request was not passed on, or not answered: trail.Trail.Refusal.
const (
	ReasonDown     = "backend-down"     // nobody answers there: 502 or 503
	ReasonBusy     = "backend-busy"     // max_connections: 503
	ReasonTimeout  = "backend-timeout"  // 504
	ReasonProtocol = "backend-protocol" // what it answers is not HTTP, or breaks off: 502
	ReasonClient   = "client-gone"      // 499, which nobody sees but the log
	ReasonRequest  = "bad-request"      // 400, 405 or 413
	ReasonIdentity = "identity"         // the caller could not be described: 502
)

// StatusClientGone is what an access log has of a client that did not wait for
// the answer.
const StatusClientGone = 499

// Options are what a Proxy needs besides the configuration.
type Options struct {
	Service string
	Issuer  *identity.Issuer // nil: no tokens
	Logger  *slog.Logger     // nil: slog.Default()

	// Deny writes status and body of what the Proxy refuses: 400, 405, 413, 502,
	// 503, 504. It belongs to whoever knows whether the client speaks SOAP. Nil
	// writes a line of plain text.
	Deny func(w http.ResponseWriter, r *http.Request, status int, ref string)

	// Roles are what the server is told of the caller's. Nil means Identity.Roles.
	Roles func(ctx context.Context, id *authn.Identity) []string

	// OwnCookie reports whether a cookie is of our sessions: it does not go on, and
	// a server cannot set it. Nil means that there are none.
	OwnCookie func(name string) bool
}

// A Proxy passes the requests of a service on, with the caller that
// authn.FromContext finds in them. It notes in the trail where they went. It is
// safe for concurrent use.
type Proxy struct {
	config  *config.Backend
	options Options
	logger  *slog.Logger
	servers []*server
	turn    atomic.Uint32
	teller  *teller
	filter  *filter
	strip   string // without a slash at its end
	timeout time.Duration
	tunnel  time.Duration // without a byte

	testOnlyClientIdle time.Duration // zero: see patience

	watch sync.Once
	stop  context.CancelFunc
	life  context.Context
}

// New makes a Proxy. It connects to nobody.
func New(c *config.Backend, o Options) (*Proxy, error) {
	var issuer tokens
	if o.Issuer != nil {
		issuer = o.Issuer
	}
	return newProxy(c, o, issuer)
}

func newProxy(c *config.Backend, o Options, issuer tokens) (*Proxy, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	p := &Proxy{
		config: c, options: o,
		strip:   strings.TrimRight(c.StripPrefix, "/"),
		timeout: c.Timeout.Std(),
		tunnel:  orDefault(c.UpgradeIdleTimeout, 10*time.Minute),
	}
	p.logger = o.Logger.With("service", o.Service)
	for i, u := range c.Servers() {
		s, err := newServer(i, u, c, p.logger)
		if err != nil {
			return nil, err
		}
		p.servers = append(p.servers, s)
	}
	if n := len(p.servers); n == 0 || n > 64 {
		return nil, errors.New("backend: want 1 to 64 servers")
	}
	var err error
	if p.teller, err = newTeller(c.Identity, o, issuer); err != nil {
		return nil, err
	}
	names := p.teller.names
	if p.teller.token != "" {
		names = append(names, p.teller.token)
	}
	for _, n := range names {
		if len(n) > maxFolded || !isToken(n) {
			return nil, errors.New("backend: the header " + n + " has no name that can be sent")
		}
	}
	p.filter = newFilter(names...)
	p.life, p.stop = context.WithCancel(context.Background())
	return p, nil
}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.config.Health != nil {
		p.watch.Do(func() { go p.watchHealth(p.life) })
	}
	ctx, end := authn.StartSpan(r.Context(), authn.SpanUpstream, slog.String("service", p.options.Service))
	if ctx != r.Context() {
		r = r.WithContext(ctx)
		authn.SetSpanHeader(ctx, r.Header) // the server's own copy, which goes on
	}
	err := error(http.ErrAbortHandler) // if serve does not return
	defer func() { end(err) }()
	x := exchanges.Get().(*exchange)
	x.begin(p, w, r)
	defer x.recycle()
	f := x.serve()
	if f == nil {
		err = nil
		return
	}
	err = f.err
	p.refuse(x, f)
}

// A failure is why the client gets an answer of ours.
type failure struct {
	status int
	reason string
	err    error
}

func (p *Proxy) refuse(x *exchange, f *failure) {
	x.tell("request not passed on", f.reason, f.err.Error())
	if f.status == StatusClientGone {
		x.w.WriteHeader(f.status)
		return
	}
	if x.r.Close && x.upload == nil && x.r.Body != nil {
		// net/http would close the connection with the body unread, which has the
		// client's system forget the answer. It reads as much where the
		// connection goes on.
		_, _ = io.CopyN(io.Discard, x.r.Body, lingerSize)
	}
	if f.status == http.StatusServiceUnavailable {
		x.w.Header().Set("Retry-After", "1")
	}
	ref := authn.Ref(x.r.Context())
	if p.options.Deny != nil {
		p.options.Deny(x.w, x.r, f.status, ref)
		return
	}
	http.Error(x.w, http.StatusText(f.status)+" (reference "+ref+")", f.status)
}

// tell notes why a request got no answer of a server, or not all of it.
func (x *exchange) tell(message, reason, cause string) {
	x.note.Refuse(reason, cause)
	level := slog.LevelWarn
	if reason == ReasonClient || reason == ReasonRequest {
		level = slog.LevelInfo
	}
	ctx := x.r.Context()
	x.p.logger.LogAttrs(ctx, level, message, slog.String("ref", authn.Ref(ctx)), slog.String("reason", reason), slog.String("cause", cause))
}

// Checks says what the proxy depends on.
func (p *Proxy) Checks() []health.Check {
	checks := make([]health.Check, len(p.servers))
	for i, s := range p.servers {
		checks[i] = health.Check{
			Name:   "service " + p.options.Service + ": backend " + s.url,
			Kind:   health.Backend,
			Run:    func(ctx context.Context) error { return s.check(ctx, p.config.Health) },
			Remedy: "start the server, or correct services." + p.options.Service + ".upstream",
		}
	}
	return checks
}

// Close ends idle connections, and others when they become idle.
func (p *Proxy) Close() error {
	p.stop()
	for _, s := range p.servers {
		s.pool.close()
	}
	return nil
}

var _ http.Handler = (*Proxy)(nil)
