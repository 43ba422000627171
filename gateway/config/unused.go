package config

import (
	"maps"
	"slices"
)

// unused warns of what is written and does nothing, since nothing else in the
// configuration makes use of it.
func (w *warner) unused() {
	for _, name := range slices.Sorted(maps.Keys(w.c.Realms)) {
		if w.c.Realms[name].OIDC != nil && !w.usesOIDC(name) {
			w.add("realms."+name+".oidc", "add it to admin.login, or "+name+"/oidc to a login, or take it out", "nobody signs in there, so that it does nothing")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.c.Services)) {
		if s := w.c.Services[name]; s.Custom != nil && !w.usesCustom(s) {
			w.add("services."+name+".custom", "add custom to its login, or take it out", "neither login nor a part of the service has custom, so that it does nothing")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.c.Upstreams)) {
		w.unusedOf("upstreams."+name, w.c.Upstreams[name])
	}
}

func (w *warner) usesCustom(s *Service) bool {
	custom := Login{Method: Custom}
	return slices.Contains(w.c.LoginsOf(s), custom) ||
		slices.ContainsFunc(s.Elements, func(e Element) bool { return slices.Contains(e.Login, custom) })
}

func (w *warner) unusedOf(path string, u *Upstream) {
	caller, service := slices.Contains(u.ActAs, AsCaller), slices.Contains(u.ActAs, AsService)
	asks := caller && u.Delegation == nil && u.Service != nil && u.Service.Principal != ""
	logsIn := func(fits func(*Account) bool) bool {
		var proxy *Account
		if u.Proxy != nil {
			proxy = u.Proxy.Account
		}
		return slices.ContainsFunc([]*Account{u.Service, u.Fixed, proxy}, func(a *Account) bool { return a != nil && fits(a) })
	}
	for _, one := range []struct {
		key    string
		unused bool
		why    string
	}{
		{"service", u.Service != nil && !service && !asks, "act_as does not have service, and the account does not ask the KDC for callers either"},
		{"fixed", u.Fixed != nil && !slices.Contains(u.ActAs, AsFixed), "act_as does not have fixed"},
		{"delegation", u.Delegation != nil && !caller, "act_as does not have caller"},
		{"methods", len(u.Methods) > 0 && !caller, "act_as does not have caller"},
		{"protocol_transition", u.ProtocolTransition && !caller, "act_as does not have caller"},
		{"on_double_hop", u.OnDoubleHop == DoubleHopNext && !caller, "act_as does not have caller"},
		{"allow_ntlm", u.AllowNTLM && !logsIn(func(a *Account) bool { return a.Principal != "" && a.Keytab == "" }), "no account has principal and password"},
		{"allow_basic", u.AllowBasic && !logsIn(func(a *Account) bool { return a.User != "" }), "no account has a user"},
		{"names", len(u.Names) > 0 && (u.Mode == ModeForwardProxy || len(u.Login) > 0), "it is for mode: local without a login"},
	} {
		if one.unused {
			w.add(path+"."+one.key, "take it out", "%s, so that it does nothing", one.why)
		}
	}
}
