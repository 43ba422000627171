package login

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authn/password/form"
	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/trail"
)

// Below the page of a realm, /.soapward/login/REALM.
const (
	pathBegin       = "/oidc"        // leads to the provider
	pathCallback    = "/callback"    // where that leads back to
	pathDone        = "/done"        // where it leads back to after the end of a session
	pathBackchannel = "/backchannel" // where it posts whose sessions end
)

const (
	maxLogout = 64 << 10 // bytes of what a provider posts

	// askSoon is when the provider is asked again who somebody is who may go on.
	askSoon = time.Minute
)

// Provider returns the OpenID Connect provider of a realm, nil if it has none. It is
// the same after a reload that did not change the realm.
func (s *Set) Provider(name string) *oidc.Provider {
	if r := s.realms[name]; r != nil {
		return r.provider
	}
	return nil
}

// Admit returns whom the provider of a realm vouches for, by a subject of it, as a
// user of the realm: as at a login at a service, a row is made at the first one, and
// brought up to date. The error wraps authn.ErrBadCredentials for who must not log
// in. It is for logins that do not go through the Set, such as administrators'.
func (s *Set) Admit(ctx context.Context, name string, id *authn.Identity, subject string) (*authn.Identity, error) {
	r := s.realms[name]
	if r == nil || r.provider == nil {
		return nil, fmt.Errorf("login: there is no provider %q any more: %w", name, authn.ErrUnavailable)
	}
	return r.admit(ctx, id, subject, true)
}

// provides is what a Set has for logins at the provider of a realm.
type provides struct {
	set      *Set
	realm    *realm
	sessions *session.Manager
	page     *form.Form // what people see who are not led on
	callback http.Handler
}

// makeProviders makes what is behind the pages of those realms whose provider
// somebody may log in at.
func (s *Set) makeProviders() error {
	companions := make(map[string][]string) // the providers that a realm's page leads to
	var errs []error
	for _, at := range loginsOf(s.config) {
		var providers, pages []string
		for _, l := range at.logins {
			switch r := s.realms[l.Realm]; {
			case r == nil || l.Method != config.OIDC && l.Method != config.Form:
				continue
			case l.Method == config.OIDC && r.provider == nil:
				errs = append(errs, fmt.Errorf("%s: %s: the realm has no provider", at.path, l))
				continue
			case l.Method == config.OIDC:
				providers = append(providers, l.Realm)
			}
			pages = append(pages, l.Realm)
		}
		for _, p := range pages {
			for _, to := range providers {
				if !slices.Contains(companions[p], to) {
					companions[p] = append(companions[p], to)
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(companions)) {
		s.links[name] = companions[name]
		for _, to := range companions[name] {
			if s.providers[to] == nil {
				s.providers[to] = &provides{set: s, realm: s.realms[to], sessions: s.manager(s.realms[to], false)}
			}
		}
	}
	return errors.Join(errs...)
}

// makePages makes the pages of providers whose realm has no form for passwords.
func (s *Set) makePages() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.providers)) {
		p := s.providers[name]
		if s.forms[name] == nil {
			f, err := s.pageOf(p.realm, s.links[name])
			if err != nil {
				errs = append(errs, fmt.Errorf("realms.%s: %w", name, err))
				continue
			}
			s.forms[name] = f
		}
		p.page = s.forms[name]
		p.callback = p.newCallback()
	}
	return errors.Join(errs...)
}

// title is what people know the provider of a realm by.
func (r *realm) title() string { return r.made.realm.OIDC.Shown(r.name) }

// pageOf is a page without a password, which leads to some providers.
func (s *Set) pageOf(r *realm, providers []string) (*form.Form, error) {
	return form.New(form.Config{
		Sessions: s.manager(r, false), Path: formsBelow + r.name, Links: s.linksTo(providers), SignOutAt: s.signOutAt(r), Logger: s.log, Observe: s.observe,
	})
}

func (s *Set) linksTo(providers []string) (links []form.Link) {
	for _, name := range providers {
		links = append(links, form.Link{Name: s.realms[name].title(), URL: formsBelow + name + pathBegin})
	}
	return links
}

// serve answers below the page of a realm what is not the form's.
func (p *provides) serve(w http.ResponseWriter, r *http.Request, below string) bool {
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case below == pathBackchannel:
		if r.Method != http.MethodPost {
			notAllowed(w, "POST")
			return true
		}
		p.backchannel(w, r)
	case below != pathBegin && below != pathCallback:
		return false
	case !read:
		notAllowed(w, "GET, HEAD")
	case !p.sessions.Usable(r):
		p.page.Deny(w, r, http.StatusForbidden, authn.Ref(r.Context())) // it says why
	case below == pathBegin:
		p.begin(w, r)
	default:
		p.callback.ServeHTTP(w, r)
	}
	return true
}

func notAllowed(w http.ResponseWriter, allow string) {
	w.Header().Set("Allow", allow)
	http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
}

// secure reports whether the browser sees TLS.
func (s *Set) secure(r *http.Request) bool { return r.TLS != nil || s.config.Sessions.TLSAtProxy }

// origin is the address of this host as its users know it. Each is registered at the
// provider, which leads nobody to another.
func (s *Set) origin(r *http.Request) string {
	if s.secure(r) {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func (p *provides) at(r *http.Request, below string) string {
	return p.set.origin(r) + formsBelow + p.realm.name + below
}

// begin leads a browser to the provider. Who is logged in already goes on.
func (p *provides) begin(w http.ResponseWriter, r *http.Request) {
	back := form.SafeTarget(r.URL.Query().Get("return"))
	if back == "" || strings.HasPrefix(back, formsBelow) {
		back = "/"
	}
	if !navigates(r) { // a login begins where somebody sees it
		plain(w, r, http.StatusForbidden, authn.Ref(r.Context()))
		return
	}
	if res, err := p.sessions.Authenticate(r); err == nil && res.Identity != nil {
		p.goOn(w, back)
		return
	}
	to, l, err := p.realm.provider.Begin(r.Context(), p.at(r, pathCallback), back)
	if err == nil {
		err = p.set.memory.states.put(w, r, l, p.set.secure(r), l.Begun)
	}
	if err != nil {
		p.set.log.LogAttrs(r.Context(), slog.LevelError, "login cannot begin at the provider", slog.String("ref", authn.Ref(r.Context())),
			slog.String("realm", p.realm.name), slog.String("cause", err.Error()))
		trail.From(r.Context()).Refuse("unavailable", err.Error())
		p.page.Failed(w, r, http.StatusServiceUnavailable, authn.Ref(r.Context()), back)
		return
	}
	p.goOn(w, to)
}

// navigates reports whether a browser opens a page of its own, and not a part of
// another one (Fetch Metadata). One that does not say so counts as if it did.
func navigates(r *http.Request) bool {
	mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	return (mode == "" || mode == "navigate") && (dest == "" || dest == "document")
}

func (p *provides) goOn(w http.ResponseWriter, to string) {
	h := w.Header()
	h.Set("Location", to)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusSeeOther)
}

// ended is a login on its way through the authenticators.
type ended struct {
	login  *oidc.Login
	tokens *oidc.Tokens
}

type endedKey struct{}

// newCallback is the end of a login: decided, logged and told of like each other.
func (p *provides) newCallback() http.Handler {
	back := func(r *http.Request) string {
		if e, ok := r.Context().Value(endedKey{}).(*ended); ok {
			return e.login.Return
		}
		return ""
	}
	mw := &authn.Middleware{
		Authenticators: []authn.Authenticator{p.realm.limited(p)}, Logger: p.set.log, Observe: p.set.observe,
		Deny: func(w http.ResponseWriter, r *http.Request, status int, ref string) {
			p.page.Failed(w, r, status, ref, back(r))
		},
	}
	decided := mw.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e, id := r.Context().Value(endedKey{}).(*ended), *authn.FromContext(r.Context())
		id.Expires = time.Time{} // of the ID token: a session has its own limits
		if err := p.sessions.StartGranted(w, r, &id, false, p.grant(e.tokens)); err != nil {
			p.set.log.LogAttrs(r.Context(), slog.LevelError, "session could not begin",
				slog.String("ref", authn.Ref(r.Context())), slog.Any("user", &id), slog.String("cause", err.Error()))
			p.page.Failed(w, r, http.StatusServiceUnavailable, authn.Ref(r.Context()), e.login.Return)
			return
		}
		trail.From(r.Context()).Identity = &id
		p.goOn(w, e.login.Return)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l, err := p.set.memory.states.take(w, r, r.URL.Query().Get("state"), p.set.secure(r), time.Now())
		if err == nil && l.Provider != p.realm.name {
			err = errors.New("login: it began at another provider")
		}
		if err != nil {
			status := http.StatusForbidden
			if errors.Is(err, authn.ErrUnavailable) {
				status = http.StatusServiceUnavailable
			}
			p.set.log.LogAttrs(r.Context(), slog.LevelInfo, "end of a login refused", slog.String("ref", authn.Ref(r.Context())),
				slog.String("realm", p.realm.name), slog.String("peer", authn.ClientAddr(r).String()), slog.String("cause", err.Error()))
			trail.From(r.Context()).Refuse("login-not-begun", err.Error())
			p.page.Failed(w, r, status, authn.Ref(r.Context()), "")
			return
		}
		decided.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), endedKey{}, &ended{login: l})))
	})
}

var _ authn.Authenticator = (*provides)(nil)

// Authenticate implements authn.Authenticator, for the request with which the
// provider sends a browser back.
func (p *provides) Authenticate(r *http.Request) (*authn.Result, error) {
	e, ok := r.Context().Value(endedKey{}).(*ended)
	if !ok {
		return nil, authn.ErrNoCredentials
	}
	id, t, err := p.realm.provider.Callback(r.Context(), e.login, r)
	if err != nil {
		return nil, err
	}
	e.tokens = t
	return &authn.Result{Identity: id, Fresh: true}, nil
}

// Challenges implements authn.Authenticator. A browser is asked for nothing: it is
// led to the provider.
func (p *provides) Challenges(*http.Request) []authn.Challenge { return nil }

// grant is what a session keeps of tokens.
func (p *provides) grant(t *oidc.Tokens) *session.Grant { return p.realm.grant(t) }

func (r *realm) grant(t *oidc.Tokens) *session.Grant {
	g := &session.Grant{Provider: r.name, Subject: t.Subject, SessionID: t.SessionID, Refresh: t.Refresh, IDToken: t.IDToken, Due: t.Expires}
	return g
}

// gave reports whether a grant is of the realm's provider. The realm may have got
// another one meanwhile, which is shown nothing.
func (r *realm) gave(g *session.Grant) bool {
	iss := issuerOf(g.IDToken.Reveal())
	return g.Provider == r.name && (iss == "" || iss == r.made.realm.OIDC.Issuer.String())
}

// Refresh implements session.Granter.
func (r *realm) Refresh(ctx context.Context, g *session.Grant) (*authn.Identity, *session.Grant, error) {
	if !r.gave(g) {
		return nil, nil, &authn.RefusedError{Mechanism: oidc.Mechanism, Reason: authn.ReasonPolicy, Err: errors.New("the session began at another provider")}
	}
	id, t, err := r.provider.Refresh(ctx, &oidc.Tokens{Refresh: g.Refresh, IDToken: g.IDToken, Subject: g.Subject, SessionID: g.SessionID})
	if err == nil && id != nil {
		id, err = r.admit(ctx, id, t.Subject, false)
	}
	switch {
	case err == nil:
		return id, r.grant(t), nil
	case t == nil || !errors.Is(err, authn.ErrUnavailable):
		return nil, nil, err
	}
	// The user may go on, and the token that said so is used up: the next one is kept.
	r.limit.Logger.LogAttrs(ctx, slog.LevelWarn, "a session goes on, but it is not known as who now", slog.String("ref", authn.Ref(ctx)),
		slog.String("realm", r.name), slog.String("cause", err.Error()))
	next := r.grant(t)
	next.Due = time.Now().Add(askSoon)
	return nil, next, nil
}

var _ session.Granter = (*realm)(nil)

// signOutAt is form.Config.SignOutAt of a realm, nil if it has no provider. It is asked
// when the session is to end: what the provider gave to go on with is taken back there.
func (s *Set) signOutAt(r *realm) func(*http.Request) form.Link {
	if r.provider == nil {
		return nil
	}
	return func(req *http.Request) form.Link {
		g, err := s.manager(r, false).GrantOf(req)
		if err != nil || g == nil || g.Provider != r.name {
			return form.Link{} // the session ends here in any case
		}
		if r.gave(g) {
			r.provider.RevokeLater(req.Context(), &oidc.Tokens{Refresh: g.Refresh, IDToken: g.IDToken, Subject: g.Subject})
		}
		return form.Link{Name: r.title(), URL: r.provider.LogoutURL(req.Context(),
			&oidc.Tokens{IDToken: g.IDToken, Subject: g.Subject, SessionID: g.SessionID}, s.origin(req)+formsBelow+r.name+pathDone)}
	}
}

// backchannel ends the sessions that the provider says are over.
func (p *provides) backchannel(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store") // OpenID Connect Back-Channel Logout 2.8
	r.Body = http.MaxBytesReader(w, r.Body, maxLogout)
	subject, sid, err := p.realm.provider.BackchannelLogout(r.Context(), r)
	n := 0
	if err == nil {
		n, err = p.sessions.EndGranted(r.Context(), p.realm.name, subject, sid)
	}
	line := []slog.Attr{slog.String("ref", authn.Ref(r.Context())), slog.String("realm", p.realm.name), slog.String("peer", authn.ClientAddr(r).String())}
	switch {
	case errors.Is(err, authn.ErrBadCredentials):
		p.set.log.LogAttrs(r.Context(), slog.LevelInfo, "logout by the provider refused", append(line, slog.String("cause", err.Error()))...)
		trail.From(r.Context()).Refuse("logout-token", err.Error())
		http.Error(w, `{"error":"invalid_request"}`, http.StatusBadRequest)
	case err != nil:
		p.set.log.LogAttrs(r.Context(), slog.LevelError, "logout by the provider failed", append(line, slog.String("cause", err.Error()))...)
		trail.From(r.Context()).Refuse("unavailable", err.Error())
		http.Error(w, `{"error":"temporarily_unavailable"}`, http.StatusServiceUnavailable)
	default:
		p.set.log.LogAttrs(r.Context(), slog.LevelInfo, "logout by the provider", append(line, slog.Int("sessions", n))...)
		w.WriteHeader(http.StatusOK)
	}
}
