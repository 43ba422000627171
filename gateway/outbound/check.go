package outbound

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/health"
)

// Checks says what the upstreams depend on.
func (s *Set) Checks() []health.Check {
	var cs []health.Check
	for _, u := range s.upstreams {
		cs = append(cs, u.checks()...)
	}
	return cs
}

func (u *upstream) checks() []health.Check {
	var cs []health.Check
	dial := func(what, addr string) {
		cs = append(cs, health.Check{
			Name: fmt.Sprintf("upstream %s: %s %s", u.name, what, addr), Kind: health.Upstream,
			Run: func(ctx context.Context) error {
				c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
				if err == nil {
					_ = c.Close()
				}
				return err
			},
			Remedy: "look whether the server runs, and whether a firewall is in the way",
		})
	}
	switch {
	case u.config.Proxy != nil: // the server is the proxy's to reach
		dial("proxy", authclient.TargetOf(u.config.Proxy.URL.URL).Host)
	case u.config.Mode == config.ModeLocal:
		dial("server", authclient.TargetOf(u.target()).Host)
	}
	for _, a := range u.accounts {
		cs = append(cs, health.Check{
			Name: fmt.Sprintf("upstream %s: %s %s at its KDC", u.name, a.key, a.client.Principal()), Kind: health.KDC,
			Run:    a.client.Login,
			Remedy: "soapward doctor --keytab FILE says what is wrong with a keytab",
		})
	}
	return cs
}

// warnings says which callers of which services cannot be passed on to u.
func (u *upstream) warnings(c *config.Config) []delegation.Warning {
	if u.delegator == nil {
		return nil
	}
	routes := u.routes(c)
	var ws []delegation.Warning
	for _, spn := range u.spns() {
		if len(routes) == 0 {
			ws = append(ws, delegation.Warning{
				Route: "(none)", Mechanism: "no login", Upstream: spn, Reason: delegation.ReasonNoEvidence,
				Remedies: []delegation.Remedy{{What: fmt.Sprintf("nobody can come as a caller: give a service a token, upstream.identity.jwt, or the upstream a login, upstreams.%s.login", u.name)}},
			})
		}
		for _, r := range routes {
			for _, w := range u.delegator.CheckRoute(r.name, r.mechanisms, spn) {
				if u.config.OnDoubleHop == config.DoubleHopNext {
					w.Reason = "" // another acts in their place
				}
				ws = append(ws, w)
			}
		}
	}
	return ws
}

// route is a way by which callers come.
type route struct {
	name       string
	mechanisms []string
}

// routes lists those by which callers may come to u: the services whose backends
// get a token, and a login of its own.
func (u *upstream) routes(c *config.Config) []route {
	var rs []route
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		s := c.Services[name]
		if s.Upstream == nil || s.Upstream.Identity == nil || s.Upstream.Identity.JWT == nil {
			continue
		}
		if len(u.config.Services) > 0 && !slices.Contains(u.config.Services, name) {
			continue // its tokens are not taken
		}
		rs = append(rs, route{"service " + name, mechanismsOf(c, c.LoginsOf(s))})
		for _, e := range s.Elements {
			if len(e.Login) > 0 {
				rs = append(rs, route{"service " + name + " " + e.Operation + e.Path, mechanismsOf(c, e.Login)})
			}
		}
	}
	if len(u.config.Login) > 0 {
		rs = append(rs, route{"upstream " + u.name, mechanismsOf(c, u.config.Login)})
	}
	return rs
}

// mechanismsOf lists what callers may have logged in by, as Identity.Mechanism
// names it.
func mechanismsOf(c *config.Config, logins []config.Login) []string {
	var ms []string
	add := func(m string, can bool) {
		if can && !slices.Contains(ms, m) {
			ms = append(ms, m)
		}
	}
	for _, l := range logins {
		r := c.Realms[l.Realm]
		ntlm := r != nil && (r.NTLM != nil || r.Internal != nil && r.Internal.NTLM)
		switch l.Method {
		case config.Negotiate:
			add(authn.MechanismKerberos, r != nil && r.Kerberos != nil)
			add(authn.MechanismNTLM, ntlm)
		case config.NTLM:
			add(authn.MechanismNTLM, true)
		case config.Basic:
			add("Basic", true)
		case config.Form:
			add("form", true)
		case config.OIDC:
			add("oidc", true)
		case config.Custom:
			add("custom", true)
		}
	}
	return ms
}
