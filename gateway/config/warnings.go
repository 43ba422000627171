package config

import (
	"fmt"
	"maps"
	"net"
	"reflect"
	"slices"
	"strings"
)

// A Warning is about something that is allowed, and that its operator may not
// have meant.
type Warning struct {
	Key    string // "services.hr.login"
	Text   string
	Remedy string
}

// Warnings tells what is dangerous, or cannot work, in a configuration that is
// valid. What depends on how its parts work together, such as callers who cannot
// be passed on, those parts know.
func (c *Config) Warnings() []Warning {
	w := &warner{c: c}
	w.allowed(reflect.ValueOf(c).Elem(), "")
	w.listeners()
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		w.service(name, c.Services[name])
	}
	w.sameMatch()
	for _, name := range slices.Sorted(maps.Keys(c.Upstreams)) {
		w.upstream(name, c.Upstreams[name])
	}
	return w.list
}

type warner struct {
	c    *Config
	list []Warning
}

func (w *warner) add(key, remedy, format string, args ...any) {
	w.list = append(w.list, Warning{key, fmt.Sprintf(format, args...), remedy})
}

// dangers are what the keys mean that weaken a check, where the name does not say
// it all. Others are told in general words.
var dangers = map[string]string{
	"sessions.allow_insecure_http": "cookies go over plain HTTP: everybody on the way can take the session, and passwords with it",
	"ldap.allow_insecure_plain":    "passwords go to the directory over plain LDAP: everybody on the way can read them",
	"sync.allow_many_gone":         "the daily job disables everybody if the base of the directory is wrong",
}

// allowed warns of each key that is named allow_... or insecure_... and set.
func (w *warner) allowed(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			w.allowed(v.Elem(), path)
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			w.allowed(v.MapIndex(k), join(path, k.String()))
		}
	case reflect.Slice:
		for i := range v.Len() {
			w.allowed(v.Index(i), index(path, i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			key, inline := keyOf(f)
			at := join(path, key)
			switch weak := strings.HasPrefix(key, "allow_") || strings.HasPrefix(key, "insecure_"); {
			case inline:
				w.allowed(v.Field(i), path)
			case key == "" || !f.IsExported():
			case weak && f.Type.Kind() == reflect.Bool && v.Field(i).Bool():
				words := strings.Split(at, ".")
				text := dangers[strings.Join(words[max(len(words)-2, 0):], ".")]
				if text == "" {
					text = "a protection is switched off; the reference of the configuration says what that allows"
				}
				w.add(at, "take the line out", "%s", text)
			default:
				w.allowed(v.Field(i), at)
			}
		}
	}
}

// plain returns the listeners that others than this machine reach without TLS.
func (w *warner) plain() (addrs []string) {
	for i := range w.c.Listen {
		if l := &w.c.Listen[i]; l.TLS == nil && !local(l.Addr) {
			addrs = append(addrs, string(l.Addr))
		}
	}
	return addrs
}

// local reports whether only this machine reaches an address.
func local(a Address) bool {
	host, _, err := net.SplitHostPort(string(a))
	return err != nil || loopback(host) // what is no host and port is a file
}

func (w *warner) listeners() {
	if a := w.c.Admin; a != nil && a.TLS == nil && !local(a.Addr) {
		w.add("admin", "listen at 127.0.0.1, or add tls", "it is reached from other machines at %s, over plain HTTP", a.Addr)
	}
	for i, n := range w.c.TrustedProxies {
		if n.Bits() == 0 {
			w.add(index("trusted_proxies", i), "name the addresses of the proxies", "everybody is trusted to say for whom he asks: blocks and networks can be got round")
		}
	}
	if w.c.Store.Driver == SQLite && len(w.c.TrustedProxies) > 0 {
		w.add("store", "with several gateways, take postgres; with one, leave it", "sqlite is for one gateway: behind a load balancer with several, each counts failed logins and knows sessions for itself")
	}
}

// in returns logins in force: those of the first that has any.
func (w *warner) in(of ...[]Login) []Login {
	for _, l := range append(of, w.c.Defaults.Login) {
		if len(l) > 0 {
			return l
		}
	}
	return nil
}

func (w *warner) service(name string, s *Service) {
	path := "services." + name
	w.settings(path, &s.Settings, s, w.in(s.Login), true)
	for i := range s.Elements {
		e := &s.Elements[i]
		w.settings(index(path+".elements", i), &e.Settings, s, w.in(e.Login, s.Login), len(e.Login) > 0)
	}
	if u := s.Upstream; u != nil && u.Identity != nil && u.Identity.Header != "" && u.Identity.JWT == nil && u.URL.URL != nil && !loopback(u.URL.Hostname()) {
		w.add(path+".upstream.identity", "let only the gateway reach that server, by a firewall or TLS; or add jwt, a signed token", "whoever reaches %s past the gateway can write %s himself, and is anybody there", u.URL.Host, u.Identity.Header)
	}
}

// settings warns of the settings of an element. logins are those in force, and
// own whether they are to be looked at here.
func (w *warner) settings(path string, set *Settings, s *Service, logins []Login, own bool) {
	for i := range set.Networks {
		if set.Networks[i].Bits() == 0 {
			w.add(index(path+".networks", i), "name the networks that are meant, or leave networks out", "%s is everybody", set.Networks[i])
		}
	}
	anonymous := slices.ContainsFunc(logins, func(l Login) bool { return l.Method == None })
	if anonymous {
		w.anonymous(path, set, s, own)
		return
	}
	if !own {
		return
	}
	plain := strings.Join(w.plain(), ", ")
	if set.ChannelBinding == BindingRequired && plain != "" {
		w.add(path+".channel_binding", "add tls to the listener, or take it out", "it is required, and cannot be met at %s, which has no TLS: nobody logs in there", plain)
	}
	for _, m := range []struct {
		method Method
		words  string
	}{{Basic, "Basic sends"}, {Form, "the login form sends"}} {
		if plain != "" && slices.ContainsFunc(logins, func(l Login) bool { return l.Method == m.method }) {
			w.add(path+".login", "add tls to the listener; behind a proxy that has TLS, listen at an address that only the proxy reaches", "%s passwords, and %s is plain HTTP: everybody on the way can read them", m.words, plain)
		}
	}
	if len(w.c.TrustedProxies) > 0 {
		if names := w.ntlm(logins); len(names) > 0 {
			w.add(path+".login", "take Kerberos (negotiate without ntlm in the realm), or Basic over TLS; or have the proxy pass TCP on (a stream, not HTTP)",
				"%s may log in by NTLM, which belongs to a connection: behind trusted_proxies that share connections between clients it is refused", strings.Join(names, ", "))
		}
	}
}

// ntlm returns the logins that NTLM can come by.
func (w *warner) ntlm(logins []Login) (names []string) {
	for _, l := range logins {
		r := w.c.Realms[l.Realm]
		if l.Method == NTLM || l.Method == Negotiate && r != nil && (r.NTLM != nil || r.Internal != nil && r.Internal.NTLM) {
			names = append(names, l.String())
		}
	}
	return names
}

// anonymous warns of an element that asks for no login.
func (w *warner) anonymous(path string, set *Settings, s *Service, own bool) {
	networks := len(set.Networks) > 0 || len(s.Networks) > 0 || len(w.c.Defaults.Networks) > 0
	if own && !networks {
		w.add(path+".login", "name a login; or networks, from where it may be called", "none: everybody who reaches the gateway may call it")
	}
	if u := s.Upstream; own && u != nil && u.Identity != nil && path[len(path)-1] != ']' {
		w.add(path+".upstream.identity", "take it out, or name a login", "with login: [none] nobody is known, so that the server is told of nobody")
	}
	for i := range set.Allow {
		if r := &set.Allow[i]; !slices.Contains(r.Roles, "anonymous") {
			w.add(index(path+".allow", i), "roles: [anonymous], or name a login", "with login: [none] nobody has the roles %s, so that the rule lets nobody in", strings.Join(r.Roles, ", "))
		}
	}
}

// sameMatch warns of services that the same requests are for.
func (w *warner) sameMatch() {
	first := make(map[Match]string)
	for _, name := range slices.Sorted(maps.Keys(w.c.Services)) {
		m := w.c.Services[name].Match
		m.Host = strings.ToLower(m.Host)
		if other := first[m]; other != "" {
			w.add("services."+name+".match", "give them different hosts or paths", "it is that of services.%s, so that one of them gets no requests", other)
			continue
		}
		first[m] = name
	}
}

func (w *warner) upstream(name string, u *Upstream) {
	path := "upstreams." + name
	own := slices.ContainsFunc(u.ActAs, func(a ActAs) bool { return a != AsCaller })
	if own && !local(u.Listen) && len(u.AllowedRoles) == 0 {
		w.add(path+".listen", "listen at 127.0.0.1, or name allowed_roles", "everybody who reaches %s calls %s as %s", u.Listen, u.URL, w.account(u))
	}
}

// account names whom an upstream is called as.
func (w *warner) account(u *Upstream) string {
	for _, a := range []*Account{u.Service, u.Fixed} {
		if a != nil && a.Principal+a.User != "" {
			return a.Principal + a.User
		}
	}
	return "the application"
}
