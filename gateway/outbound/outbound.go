// Package outbound calls servers that want a login for programs that have none:
// in the caller's name, as the application, or as a fixed user.
//
//   - Set has the upstreams of a configuration, and an Endpoint for each.
//   - Who the caller is says a token that a service got from package identity, or
//     a login of its own.
//   - As whom a request goes on decides act_as: the first that can be. Callers
//     who cannot be passed on are refused, with the reason in the log and a
//     reference in the answer, or go on as the next, with a warning.
//
// A request goes to its server with its path, query, header and body, and the
// answer comes back, but for what belongs to the login, and for addresses of the
// server, in whose place is the local one.
package outbound

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"

	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/identity"
	"github.com/soapward/soapward/gateway/login"
	"github.com/soapward/soapward/gateway/realm"
)

// Parts are what a Set is made of.
type Parts struct {
	Logins *login.Set       // for upstreams whose callers log in
	Issuer *identity.Issuer // knows the callers again that backends bring; nil: none
	Logger *slog.Logger

	// Previous is the Set of the configuration before, nil for none. Accounts that
	// did not change keep their tickets, so that a reload while no KDC is there
	// ends nothing.
	Previous *Set

	// Observe is told of each decision about a caller.
	Observe func(context.Context, delegation.Decision)
}

// logins is what is used of a login.Set.
type logins interface {
	Handler(spec login.Spec, next http.Handler) (http.Handler, error)
	Resolver() authz.Resolver
}

// A Set has the upstreams of a configuration. It is safe for concurrent use.
type Set struct {
	upstreams []*upstream // in the order of their names
	warnings  []delegation.Warning
}

// New makes a Set. It asks nobody: accounts log in when they are first needed.
func New(c *config.Config, p Parts) (*Set, error) {
	if p.Logins == nil {
		return newSet(c, p, nil)
	}
	return newSet(c, p, p.Logins)
}

func newSet(c *config.Config, p Parts, l logins) (*Set, error) {
	if p.Logger == nil {
		p.Logger = slog.Default()
	}
	s := &Set{}
	if len(c.Upstreams) == 0 {
		return s, nil
	}
	var resolver authz.Resolver
	if l != nil {
		resolver = l.Resolver()
	}
	rs, err := realm.Roles(c, resolver, p.Logger)
	if err != nil {
		return nil, fmt.Errorf("outbound: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Upstreams)) {
		u, err := newUpstream(name, c, p, l, rs)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("outbound: upstreams.%s: %w", name, err), s.Close())
		}
		s.upstreams = append(s.upstreams, u)
		s.warnings = append(s.warnings, u.warnings(c)...)
	}
	return s, nil
}

// An Endpoint is where programs on this machine call an upstream.
type Endpoint struct {
	Name    string // of the upstream
	Addr    config.Address
	Handler http.Handler
}

// Endpoints lists them in the order of their names.
func (s *Set) Endpoints() []Endpoint {
	es := make([]Endpoint, len(s.upstreams))
	for i, u := range s.upstreams {
		es[i] = Endpoint{u.name, u.config.Listen, u}
	}
	return es
}

// Warnings says which callers cannot be passed on, as the configuration is.
func (s *Set) Warnings() []delegation.Warning { return s.warnings }

// Close ends idle connections. Requests that are on their way end as they would.
func (s *Set) Close() error {
	for _, u := range s.upstreams {
		u.transport.CloseIdleConnections()
	}
	return nil
}
