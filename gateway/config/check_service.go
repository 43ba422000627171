package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// checkSettings looks at settings of an element. s is its service, nil for the
// defaults.
func (d *decoder) checkSettings(c *Config, set *Settings, s *Service, path string) {
	for i := range set.Login {
		l := &set.Login[i]
		at := index(path+".login", i)
		switch {
		case slices.Contains(set.Login[:i], *l):
			d.failAt(l, "%s: %s is there twice", at, l)
		case l.Method == None && len(set.Login) > 1:
			d.failAt(l, "%s: none stands alone: who may come without a login is not asked for one", at)
		case l.Method == Custom && s != nil && s.Custom == nil:
			d.failAt(l, "%s: custom wants a custom section in the service, such as custom: {call: URL}", at)
		case l.Realm != "":
			d.checkLogin(c, l, at)
		}
	}
	for i := range set.Allow {
		r, at := &set.Allow[i], index(path+".allow", i)
		if (r.Operation == "") == (r.Path == "") {
			d.failAt(r, "%s: want one of operation and path", at)
		}
		if len(r.Roles) == 0 {
			d.failAt(r, "%s: want roles, such as [any] for everybody who is logged in", at)
		}
		d.checkPath(&r.Path, r.Path, at+".path")
		d.checkRoles(c, r.Roles, at+".roles")
		for j := range r.Methods {
			if !httpMethod.MatchString(r.Methods[j]) {
				d.failAt(&r.Methods[j], "%s is %q: want a method of HTTP in capitals, such as GET", index(at+".methods", j), clip(r.Methods[j]))
			}
		}
	}
	if n := set.NotNegotiate; n != nil && len(n.Networks)+len(n.UserAgents) == 0 {
		d.failAt(n, "%s.not_negotiate: want networks or user_agents", path)
	}
}

var httpMethod = regexp.MustCompile(`^[A-Z]{1,20}$`)

// checkLogin looks whether a realm can take a login.
func (d *decoder) checkLogin(c *Config, l *Login, path string) {
	r := c.Realms[l.Realm]
	if r == nil {
		d.failAt(l, "%s: there is no realm %q%s", path, clip(l.Realm), meant(l.Realm, slices.Sorted(maps.Keys(c.Realms))))
		return
	}
	ntlm := r.NTLM != nil || r.Internal != nil && r.Internal.NTLM
	can, want := true, ""
	switch l.Method {
	case Negotiate:
		can, want = r.Kerberos != nil || ntlm, "kerberos or ntlm"
	case NTLM:
		can, want = ntlm, "ntlm, or internal: {ntlm: true}"
	case Basic, Form:
		can, want = r.AD != nil || r.LDAP != nil || r.Internal != nil, "ad, ldap or internal"
	case OIDC:
		can, want = r.OIDC != nil, "oidc"
	}
	if !can {
		d.failAt(l, "%s: %s wants %s in realms.%s", path, l, want, l.Realm)
	}
}

// builtIn are roles that need not be listed.
var builtIn = []string{"any", "anonymous"}

func (d *decoder) checkRoles(c *Config, roles []string, path string) {
	for i := range roles {
		if name := roles[i]; c.Roles[name] == nil && !slices.Contains(builtIn, name) {
			known := append(slices.Sorted(maps.Keys(c.Roles)), builtIn...)
			d.failAt(&roles[i], "%s: there is no role %q%s", index(path, i), clip(name), meant(name, known))
		}
	}
}

func (d *decoder) checkPath(v any, path, at string) {
	if path != "" && !strings.HasPrefix(path, "/") {
		d.failAt(v, "%s is %q: want a path that begins with /", at, clip(path))
	}
}

func (d *decoder) checkService(c *Config, s *Service, path string) {
	if s.Match.Host == "" && s.Match.Path == "" {
		d.failAt(s, "%s: want match: {host: NAME, path: /PATH/}, with one or both", path)
	}
	if strings.ContainsAny(s.Match.Host, "/: ") {
		d.failAt(&s.Match.Host, "%s.match.host is %q: want the name of a host, without port", path, clip(s.Match.Host))
	}
	d.checkPath(&s.Match.Path, s.Match.Path, path+".match.path")
	d.checkSettings(c, &s.Settings, s, path)
	for i := range s.Elements {
		e, at := &s.Elements[i], index(path+".elements", i)
		if (e.Operation == "") == (e.Path == "") {
			d.failAt(e, "%s: want one of operation and path", at)
		}
		d.checkPath(&e.Path, e.Path, at+".path")
		d.checkElementPath(s, e, at)
		d.checkSettings(c, &e.Settings, s, at)
	}
	d.checkPublish(s, path)
	if s.Custom != nil {
		d.checkCustom(s.Custom, path+".custom")
	}
	if len(s.Login) == 0 && len(c.Defaults.Login) == 0 {
		d.failAt(s, "%s: want login, here or in defaults: nobody could log in; none lets everybody in", path)
	}
	if len(s.Login) == 0 && s.Custom == nil && slices.Contains(c.Defaults.Login, Login{Method: Custom}) {
		d.failAt(s, "%s: custom, which defaults.login has, wants a custom section in the service, such as custom: {call: URL}; or give it a login", path)
	}
	d.checkForwardAuth(c, s, path)
	switch {
	case s.Upstream == nil && s.ForwardAuth:
	case s.Upstream == nil:
		d.failAt(s, "%s: want upstream: {url: URL}", path)
	default:
		d.checkBackend(s.Upstream, s.ForwardAuth, path+".upstream")
	}
}
