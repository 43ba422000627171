package authz

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/soapward/soapward/authn"
)

// A Guard asks a Policy about each request:
//
//	h = guard.Admit(login.Wrap(guard.Wrap(service)))
//
// Admit, in front of the login, refuses bad paths and foreign networks. Wrap,
// behind it, asks the rules. Wrap alone does both. The fields must not change
// after the first request. It is safe for concurrent use.
type Guard struct {
	Policy *Policy // must be set

	// SOAP leaves the rules to Authorize, which is asked for each operation,
	// once it is known. Set it for a SOAP service, and give Authorize to it.
	SOAP bool

	// Client returns the address of the client, as proxies that are trusted tell
	// it. Nil means authn.ClientAddr: what authn.Proxies in front said, else
	// RemoteAddr.
	Client func(*http.Request) netip.Addr

	// Deny writes status and body of a refusal, as in authn.Middleware. Nil
	// writes a line of plain text.
	Deny func(w http.ResponseWriter, r *http.Request, status int, ref string)

	// Observe is told of each refusal, for audit and metrics: a *DeniedError, a
	// *PathError, ErrMethod, or that nobody could say. It must be safe for concurrent use; the
	// client waits for it. Nil: nobody is told.
	Observe func(ctx context.Context, r *Request, err error)

	Logger *slog.Logger // nil means slog.Default()
}

// ErrMethod is why a request is refused with 400 whose method has small letters:
// rules name methods by capitals, and what is behind may not look at the case.
var ErrMethod = errors.New("authz: method refused: it is not in capitals")

// scope is what a Guard knows of a request when its operation becomes known.
type scope struct {
	guard *Guard
	req   Request
}

type scopeKey struct{}

// Admit returns next behind the checks that need no login. next gets the
// request with the path as CleanPath returns it.
func (g *Guard) Admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r, ok := g.enter(w, r); ok {
			next.ServeHTTP(w, r)
		}
	})
}

// Wrap returns next behind the policy. next finds the roles with IsInRole, and
// gets the request with the path as CleanPath returns it.
func (g *Guard) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, _ := r.Context().Value(scopeKey{}).(*scope)
		if s == nil || s.guard != g {
			var ok bool
			if r, ok = g.enter(w, r); !ok {
				return
			}
			s, _ = r.Context().Value(scopeKey{}).(*scope)
		}
		// Path and method may have been changed since, such as by StripPrefix:
		// the policy is about the request as it came.
		s.req.Identity = authn.FromContext(r.Context())
		if !g.SOAP {
			if err := g.Policy.Decide(r.Context(), &s.req); err != nil {
				g.refuse(w, r, s, true, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// enter does what Admit is for.
func (g *Guard) enter(w http.ResponseWriter, r *http.Request) (*http.Request, bool) {
	s := &scope{guard: g, req: Request{Client: g.client(r), Host: r.Host, Method: r.Method}}
	path, err := CleanPath(r.URL)
	if err == nil && strings.ToUpper(r.Method) != r.Method {
		err = ErrMethod
	}
	if err != nil {
		s.req.Path = r.URL.Path
		g.refuse(w, r, s, false, err)
		return nil, false
	}
	s.req.Path = path
	if err := g.Policy.Admit(&s.req); err != nil {
		g.refuse(w, r, s, false, err)
		return nil, false
	}
	ctx := NewContext(context.WithValue(r.Context(), scopeKey{}, s), g.Policy.roles)
	r = r.WithContext(ctx)
	if path != r.URL.Path || r.URL.RawPath != "" {
		u := new(url.URL)
		*u = *r.URL
		u.Path, u.RawPath = path, ""
		r.URL = u
	}
	return r, true
}

// AllowsAnonymous fits authn.Middleware.AllowAnonymous, behind Admit: who sends
// no credentials is let in without any where the policy has no need of them, and
// is asked for them elsewhere. A SOAP service, whose operation is not known yet,
// is open only where each of its rules is.
func (g *Guard) AllowsAnonymous(r *http.Request) bool {
	s, _ := r.Context().Value(scopeKey{}).(*scope)
	return s != nil && s.guard == g && g.Policy.AllowsAnonymous(&s.req)
}

// errNoGuard is a bug in the calling program.
var errNoGuard = errors.New("authz: Authorize needs Guard.Wrap around the service")

// Authorize decides about a SOAP operation, in Clark notation, of the request
// whose context it is. It returns what Policy.Decide does, and fits
// soapserver.Authorize:
//
//	soapserver.Authorize(func(ctx context.Context, op *soap.Operation) error {
//		return guard.Authorize(ctx, op.String())
//	})
func (g *Guard) Authorize(ctx context.Context, operation string) error {
	s, _ := ctx.Value(scopeKey{}).(*scope)
	if s == nil || s.guard != g {
		return errNoGuard
	}
	r := s.req
	r.Operation, r.Identity = operation, authn.FromContext(ctx)
	err := g.Policy.Decide(ctx, &r)
	if err != nil && g.Observe != nil {
		g.Observe(ctx, &r, err)
	}
	return err
}

func (g *Guard) client(r *http.Request) netip.Addr {
	if g.Client != nil {
		return g.Client(r)
	}
	return authn.ClientAddr(r) // the zero address is in no network
}

// refuse answers for an error of the policy. asked: it is known who calls.
func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, s *scope, asked bool, err error) {
	status, ref := StatusOf(err), authn.Ref(r.Context())
	g.log(r.Context(), &s.req, asked, status, ref, err)
	if g.Observe != nil {
		g.Observe(r.Context(), &s.req, err)
	}
	w.Header().Set("Cache-Control", "no-store")
	if g.Deny != nil {
		g.Deny(w, r, status, ref)
		return
	}
	http.Error(w, http.StatusText(status)+" (reference "+ref+")", status)
}

// log writes one line for a refusal: who, what, by which rule.
func (g *Guard) log(ctx context.Context, r *Request, asked bool, status int, ref string, err error) {
	l := g.Logger
	if l == nil {
		l = slog.Default()
	}
	level, msg := slog.LevelInfo, "access denied"
	switch status {
	case http.StatusBadRequest:
		if msg = "path refused"; errors.Is(err, ErrMethod) {
			msg = "method refused"
		}
	case http.StatusServiceUnavailable:
		level, msg = slog.LevelError, "access not decided"
	}
	if !l.Enabled(ctx, level) {
		return
	}
	as := make([]slog.Attr, 0, 9)
	as = append(as, slog.String("ref", ref), slog.Int("status", status))
	if asked {
		as = append(as, slog.Any("user", r.Identity))
	}
	as = append(as, slog.String("peer", address(r.Client)), slog.String("method", clip(r.Method)), slog.String("path", clip(r.Path)))
	var d *DeniedError
	if errors.As(err, &d) {
		as = append(as, slog.String("element", d.Element), slog.String("rule", d.Rule), slog.String("source", d.Source))
	} else {
		as = append(as, slog.String("cause", err.Error()))
	}
	l.LogAttrs(ctx, level, msg, as...)
}

// clip bounds a text that a client chose.
func clip(s string) string {
	if len(s) > 256 {
		return s[:256] + "..."
	}
	return s
}

// Wrap returns next with the roles in its context, for IsInRole. It refuses
// nobody. A Guard does it as well.
func (rs *Roles) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), rs)))
	})
}
