package login

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/password/form"
	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/directory/store"
)

// These begin the names of all our cookies, after __Host- under TLS.
const (
	cookiePrefix = "soapward-"
	boundPrefix  = "soapward+" // of logins that are bound to their connection
)

// formsBelow is where the login forms are.
const formsBelow = "/.soapward/login/"

// IsCookie reports whether a cookie is one of a Set's, that no backend needs to
// see or may set.
func IsCookie(name string) bool {
	name = strings.TrimPrefix(name, "__Host-")
	return strings.HasPrefix(name, cookiePrefix) || strings.HasPrefix(name, boundPrefix)
}

// manager returns the sessions of a realm. Each realm has a cookie of its own, so
// that a session counts only where its users may log in, and another for logins
// that were bound to their TLS connection.
func (s *Set) manager(r *realm, bound bool) *session.Manager {
	name := cookiePrefix + r.name
	if bound {
		name = boundPrefix + r.name
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.managers[name]; m != nil {
		return m
	}
	c := s.config.Sessions
	m := &session.Manager{
		Store: s.memory.sessions, Name: name, Idle: c.Idle.Std(), Absolute: c.Absolute.Std(), Remember: c.Remember.Std(),
		TLSAtProxy: c.TLSAtProxy, AllowInsecureHTTP: c.AllowInsecureHTTP, AllowEvidence: c.AllowEvidence, Logger: s.log,
	}
	if r.provider != nil {
		m.Granter = r
	}
	if s.o.Store != nil {
		m.Store = &cachedSessions{Store: s.o.Store, version: of(s.o.Store, store.Sessions)}
		m.Check = session.CheckUser(&cachedUsers{users: r.users, version: of(s.o.Store, store.Users)})
	}
	s.managers[name] = m
	return m
}

// sessionLogin takes the sessions of a Manager that began in one of some ways: a
// session that a password began is none where only tickets are taken.
type sessionLogin struct {
	*session.Manager
	mechanisms []string
	schemes    []string // of HTTP, that the element takes itself
}

var _ authn.Authenticator = (*sessionLogin)(nil)

func takes(l *sessionLogin, m *session.Manager, mechanisms ...string) *sessionLogin {
	if l == nil {
		l = &sessionLogin{Manager: m}
	}
	l.mechanisms = append(l.mechanisms, mechanisms...)
	return l
}

// Authenticate implements authn.Authenticator. Credentials that the element takes
// count before a cookie: whoever sends them says who he is now.
func (l *sessionLogin) Authenticate(r *http.Request) (*authn.Result, error) {
	if scheme, _, ok := authn.Authorization(r); ok && slices.ContainsFunc(l.schemes, func(s string) bool { return strings.EqualFold(s, scheme) }) {
		return nil, authn.ErrNoCredentials
	}
	res, err := l.Manager.Authenticate(r)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(l.mechanisms, res.Identity.Mechanism) {
		return nil, authn.ErrNoCredentials
	}
	foundOf(r.Context()).session = true
	return res, nil
}

// starter begins sessions.
type starter struct{ *session.Manager }

// start begins one, unless the client has one of the same caller. A client that
// came by plain HTTP gets none: its next request has to log in again.
func (s *starter) start(w http.ResponseWriter, r *http.Request, id *authn.Identity) error {
	if !s.Usable(r) {
		return nil
	}
	if len(r.CookiesNamed(s.CookieName(r))) > 0 {
		res, err := s.Authenticate(r)
		if err == nil && res.Identity.String() == id.String() && res.Identity.Mechanism == id.Mechanism {
			return nil
		}
	}
	if err := s.Start(w, r, id, false); err != nil {
		s.Logger.LogAttrs(r.Context(), slog.LevelError, "no session after a login", slog.String("ref", authn.Ref(r.Context())),
			slog.Any("user", id), slog.String("cause", err.Error()))
		return fmt.Errorf("no session: %w", err)
	}
	return nil
}

// makeForms makes the pages of those realms whose form somebody may use.
func (s *Set) makeForms() error {
	var errs []error
	for _, at := range loginsOf(s.config) {
		for _, l := range at.logins {
			r := s.realms[l.Realm]
			if l.Method != "form" || r == nil || s.forms[l.Realm] != nil {
				continue
			}
			if r.passwords == nil {
				errs = append(errs, fmt.Errorf("%s: %s: nobody has a password in the realm", at.path, l))
				continue
			}
			f, err := form.New(form.Config{
				Verifier: r.passwords, Sessions: s.manager(r, false), Path: formsBelow + l.Realm, Links: s.linksTo(s.links[l.Realm]),
				Guard:  func(a authn.Authenticator) authn.Authenticator { return r.limit.Authenticator(a) },
				Logger: s.log, Observe: s.observe,
			})
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %s: %w", at.path, l, err))
				continue
			}
			s.forms[l.Realm] = f
		}
	}
	return errors.Join(errs...)
}
