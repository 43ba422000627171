package config

import (
	"slices"
	"strings"
)

func (d *decoder) checkUpstream(c *Config, u *Upstream, path string) {
	d.checkMode(u, path)
	if len(u.ActAs) == 0 {
		d.failAt(u, "%s: want act_as, a list of caller, service and fixed: the first that can be is taken", path)
	}
	for i := range u.ActAs {
		as := &u.ActAs[i]
		switch {
		case slices.Contains(u.ActAs[:i], *as):
			d.failAt(as, "%s: %s is there twice", index(path+".act_as", i), *as)
		case *as == AsService && u.Service == nil, *as == AsFixed && u.Fixed == nil:
			d.failAt(as, "%s: %s wants an account: %s.%s", index(path+".act_as", i), *as, path, *as)
		}
	}
	if u.OnDoubleHop == DoubleHopNext && len(u.ActAs) == 1 {
		d.failAt(&u.OnDoubleHop, "%s.on_double_hop: next wants another in act_as", path)
	}
	d.checkRoles(c, u.AllowedRoles, path+".allowed_roles")
	for i := range u.Login {
		l, at := &u.Login[i], index(path+".login", i)
		if l.Realm == "" || l.Method == Form || l.Method == OIDC {
			d.failAt(l, "%s: %s is not for programs that call an upstream: want negotiate, ntlm or basic of a realm", at, l)
			continue
		}
		d.checkLogin(c, l, at)
	}
	if !headerName.MatchString(u.IdentityHeader) {
		d.failAt(&u.IdentityHeader, "%s.identity_header is %q: want the name of a header, such as X-Identity", path, clip(u.IdentityHeader))
	}
	for i := range u.Services {
		name := &u.Services[i]
		s := c.Services[*name]
		switch {
		case s == nil:
			d.failAt(name, "%s: there is no service %q", index(path+".services", i), clip(*name))
		case s.Upstream == nil || s.Upstream.Identity == nil || s.Upstream.Identity.JWT == nil:
			d.failAt(name, "%s: service %s gets no tokens: give it upstream.identity.jwt", index(path+".services", i), *name)
		}
	}
	d.checkDelegation(u, path)
	d.checkAccount(u.Service, path+".service")
	d.checkAccount(u.Fixed, path+".fixed")
	if p := u.Proxy; p != nil {
		if p.URL.URL == nil {
			d.failAt(p, "%s.proxy: want url, such as http://proxy.corp.test:3128", path)
		}
		d.checkAccount(p.Account, path+".proxy.account")
	}
	if r := &u.Replay; r.Memory > 64<<20 {
		d.failAt(&r.Memory, "%s.replay.memory is more than 64MiB for each request: give disk more in its place", path)
	}
}

// checkMode looks at what only one of the modes has.
func (d *decoder) checkMode(u *Upstream, path string) {
	if u.Mode == ModeLocal {
		if u.URL.URL == nil {
			d.failAt(u, "%s: want url", path)
		}
		if len(u.Hosts) > 0 {
			d.failAt(&u.Hosts, "%s.hosts is for mode: forward_proxy; otherwise url says which server is called", path)
		}
		return
	}
	if len(u.Hosts) == 0 {
		d.failAt(u, "%s: forward_proxy wants hosts, which may be called through it", path)
	}
	if u.URL.URL != nil {
		d.failAt(&u.URL, "%s.url is for mode: local; a forward proxy is told by its clients whom to call", path)
	}
	if u.SPN != "" {
		d.failAt(&u.SPN, "%s.spn is for mode: local; a forward proxy makes it of the host's name", path)
	}
	if len(u.Login) > 0 {
		d.failAt(&u.Login, "%s.login is for mode: local; callers of a forward proxy are known by %s", path, u.IdentityHeader)
	}
	for i := range u.Hosts {
		if strings.Contains(string(u.Hosts[i]), "*") && slices.Contains(u.ActAs, AsCaller) {
			d.failAt(&u.Hosts[i], "%s: callers are passed on only to servers that are named: want names without *, or act_as without caller", index(path+".hosts", i))
		}
	}
}

func (d *decoder) checkDelegation(u *Upstream, path string) {
	if a := u.Delegation; a != nil {
		d.checkAccount(a, path+".delegation")
		if a.User != "" {
			d.failAt(a, "%s.delegation: want principal in place of user: it is a KDC that is asked", path)
		}
	}
	asks := u.Delegation != nil || u.Service != nil && u.Service.Principal != ""
	if u.ProtocolTransition && !asks {
		d.failAt(&u.ProtocolTransition, "%s.protocol_transition wants delegation, the account that asks the KDC: {principal: svc-gw@CORP.TEST, keytab: svc-gw.keytab}", path)
	}
	for i := range u.Methods {
		switch m := &u.Methods[i]; {
		case slices.Contains(u.Methods[:i], *m):
			d.failAt(m, "%s: %s is there twice", index(path+".methods", i), *m)
		case *m == MethodTransition && !u.ProtocolTransition:
			d.failAt(m, "%s: transition wants protocol_transition: true", index(path+".methods", i))
		}
	}
}

func (d *decoder) checkAccount(a *Account, path string) {
	switch {
	case a == nil:
	case (a.Principal == "") == (a.User == ""):
		d.failAt(a, "%s: an account wants one of principal and user", path)
	case (a.Keytab == "") == a.Password.IsZero():
		d.failAt(a, "%s: an account wants one of keytab and password", path)
	case a.User != "" && a.Keytab != "":
		d.failAt(a, "%s: a keytab wants a principal in place of user", path)
	}
}
