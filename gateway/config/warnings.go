package config

import (
	"fmt"
	"maps"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
)

// A Warning is about something that is allowed, and that its operator may not
// have meant.
type Warning struct {
	Key      string // "services.hr.login"
	Position string // where that is written, file:line
	Text     string
	Remedy   string
}

// Warnings tells what is dangerous, or cannot work, in a configuration that is
// valid. What depends on how its parts work together, such as callers who cannot
// be passed on, those parts know.
func (c *Config) Warnings() []Warning {
	w := &warner{c: c}
	w.unfinished()
	w.allowed(reflect.ValueOf(c).Elem(), "")
	w.listeners()
	w.admin()
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		w.service(name, c.Services[name])
	}
	w.sameMatch()
	for _, name := range slices.Sorted(maps.Keys(c.Upstreams)) {
		w.upstream(name, c.Upstreams[name])
	}
	w.unused()
	return w.list
}

// String is the warning in a line, with its place and what to do.
func (w Warning) String() string {
	text := w.Key + ": " + w.Text + ": " + w.Remedy
	if w.Position != "" {
		return w.Position + ": " + text
	}
	return text
}

const remedyInterrupted = "let the gateway end that, as it does when it starts or reloads; its log says if it cannot"

// interrupted says what is read while changes are not finished.
func (r *Reader) interrupted() string {
	if r.finish {
		return "a configuration is being applied, or that was interrupted: this is the new one, whose files are not all in their places"
	}
	return "applying a configuration was interrupted: this is the one of before"
}

// unfinished warns of a change of files that was interrupted, until it is ended.
func (w *warner) unfinished() {
	r := w.c.unfinished
	if r == nil {
		return
	}
	journal := Journal(r.pending.main)
	if _, err := os.Lstat(journal); err == nil {
		w.list = append(w.list, Warning{Key: journal, Text: r.interrupted(), Remedy: remedyInterrupted})
	}
}

type warner struct {
	c    *Config
	list []Warning
}

func (w *warner) add(key, remedy, format string, args ...any) {
	w.list = append(w.list, Warning{key, w.c.position(key), fmt.Sprintf(format, args...), remedy})
}

// dangers are what the keys mean that weaken a check.
var dangers = map[string]string{
	"allow_insecure_http":         "cookies and passwords go over plain HTTP: everybody on the way can take them",
	"allow_insecure_plain":        "passwords go to the directory over plain LDAP: everybody on the way can read them",
	"allow_many_gone":             "the daily job disables everybody if the base of the directory is wrong",
	"allow_evidence":              "tickets and passwords of callers stay in memory while their sessions last",
	"allow_forwarded":             "NTLM is taken from connections that proxies forward on: one that sends several clients over one mixes them up",
	"allow_any_action":            "a SOAPAction need not name the operation in the body: a server that goes by it does another one than was allowed",
	"allow_multiref":              "more elements may follow the first in the body: a server that does each of them does what no rule was asked about",
	"allow_ntlm":                  "accounts log in by NTLM where Kerberos cannot be: who keeps a KDC from answering gets the weaker proof",
	"allow_unverified_email":      "whoever may enter an address at the provider gets in under the name of its owner",
	"allow_without_second_factor": "a password alone lets in to change everything",
	"allow_basic":                 "accounts send the password itself to the server",
	"keep_authorization":          "the server behind gets the callers' credentials: whoever reads them there can be that user elsewhere",
	"insecure_skip_verify":        "any certificate is taken: whoever is on the way can read and change everything",
}

// allowed warns of each key that is named allow_... or insecure_..., and the like,
// and set.
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
			switch weak := strings.HasPrefix(key, "allow_") || strings.HasPrefix(key, "insecure_") || key == "keep_authorization"; {
			case inline:
				w.allowed(v.Field(i), path)
			case key == "" || !f.IsExported():
			case weak && isTrue(v.Field(i)):
				text := dangers[key]
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

func isTrue(v reflect.Value) bool {
	if v.Kind() == reflect.Pointer {
		v = v.Elem() // the zero Value of nil
	}
	return v.Kind() == reflect.Bool && v.Bool()
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
	return strings.HasPrefix(string(a), "unix:") || err == nil && loopback(host)
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
	if u := s.Upstream; u != nil && u.Identity != nil && u.Identity.Header != "" && u.Identity.JWT == nil {
		for _, server := range u.Servers() {
			if server.Scheme != "unix" && !loopback(server.Hostname()) {
				w.add(path+".upstream.identity", "let only the gateway reach that server, by a firewall or TLS; or add jwt, a signed token", "whoever reaches %s past the gateway can write %s himself, and is anybody there", server.Host, u.Identity.Header)
				break
			}
		}
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
	if set.ChannelBinding == BindingRequired && plain != "" && len(set.ChannelBindingHash)+len(s.ChannelBindingHash)+len(w.c.Defaults.ChannelBindingHash) == 0 {
		w.add(path+".channel_binding", "add tls to the listener; or channel_binding_hash, the certificate of a load balancer; or take it out", "it is required, and cannot be met at %s, which has no TLS: nobody logs in there", plain)
	}
	for _, m := range []struct {
		method       Method
		words, taken string
		refused      string
	}{
		{Basic, "Basic sends passwords", "read them", "which are not taken"}, {Form, "the login form sends passwords", "read them", "which are not taken"},
		{OIDC, "a login at a provider begins a session", "take it over", "which none does"},
	} {
		if plain == "" || w.c.Sessions.TLSAtProxy || !slices.ContainsFunc(logins, func(l Login) bool { return l.Method == m.method }) {
			continue
		}
		if w.c.Sessions.AllowInsecureHTTP {
			w.add(path+".login", "add tls to the listener, and take allow_insecure_http out", "%s, and %s is plain HTTP: everybody on the way can %s", m.words, plain, m.taken)
			continue
		}
		w.add(path+".login", "add tls to the listener; behind a proxy that has TLS, sessions: {tls_at_proxy: true}", "%s, %s over plain HTTP: nobody logs in so at %s", m.words, m.refused, plain)
	}
	if len(w.c.TrustedProxies) > 0 {
		session := w.on(func(s *Settings) *bool { return s.Session }, set, &s.Settings)
		forwarded := w.on(func(s *Settings) *bool { return s.AllowForwarded }, set, &s.Settings)
		if !session && !forwarded && slices.ContainsFunc(logins, w.ntlm) {
			w.add(path+".login", "add session: true, for clients with cookies; or take Kerberos (negotiate, in a realm without ntlm); or have the proxy pass TCP on, not HTTP",
				"NTLM, also within Negotiate, belongs to a connection: through trusted_proxies, which may share connections between clients, it is refused")
		}
	}
}

// on returns a setting that is in force: that of the first that has it, else of
// the defaults.
func (w *warner) on(get func(*Settings) *bool, of ...*Settings) bool {
	for _, s := range append(of, &w.c.Defaults) {
		if v := get(s); v != nil {
			return *v
		}
	}
	return false
}

// ntlm reports whether NTLM can come by a login.
func (w *warner) ntlm(l Login) bool {
	r := w.c.Realms[l.Realm]
	return l.Method == NTLM || l.Method == Negotiate && r != nil && (r.NTLM != nil || r.Internal != nil && r.Internal.NTLM)
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
	others := slices.ContainsFunc(u.Networks, func(n Network) bool { return !n.Addr().IsLoopback() })
	if own && others && !local(u.Listen) && len(u.AllowedRoles)+len(u.Login) == 0 {
		w.add(path+".networks", "name allowed_roles or a login", "everybody in these networks who reaches %s calls %s as %s", u.Listen, name, w.account(u))
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
