package config

import (
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// check looks at what a part says of others, and at what must be there.
func (d *decoder) check(c *Config) {
	if len(c.Listen) == 0 && len(c.Services) > 0 {
		d.fail(nil, `listen is missing: services need an address, such as listen: [{addr: ":443", tls: {cert: gw.pem, key: gw.key}}]`)
	}
	taken := make(map[Address]string)
	use := func(v any, a Address, path string) {
		if a == "" {
			d.failAt(v, "addr is missing in %s: want an address to listen at, such as :443", path)
		} else if other := taken[a]; other != "" {
			d.failAt(v, "%s listens at %s, as %s does", path, a, other)
		} else {
			taken[a] = path
		}
	}
	for i := range c.Listen {
		l := &c.Listen[i]
		use(l, l.Addr, index("listen", i))
		d.checkTLS(l.TLS, index("listen", i))
		d.checkProxyProtocol(l, index("listen", i))
	}
	if c.Admin != nil {
		use(c.Admin, c.Admin.Addr, "admin")
		d.checkTLS(c.Admin.TLS, "admin")
		d.checkAdmin(c)
	}
	d.checkObserve(c)
	d.checkStore(&c.Store)
	d.checkLimits(c)
	for _, name := range slices.Sorted(maps.Keys(c.Realms)) {
		d.checkRealm(c, name, c.Realms[name])
	}
	for _, name := range slices.Sorted(maps.Keys(c.Roles)) {
		d.checkRoles(c, c.Roles[name].Roles, "roles."+name+".roles")
		for i := range c.Roles[name].Claims {
			if claim := &c.Roles[name].Claims[i]; claim.Realm != "" && c.Realms[claim.Realm] == nil {
				d.failAt(&claim.Realm, "%s.realm: there is no realm %q%s", index("roles."+name+".claims", i), clip(claim.Realm), meant(claim.Realm, slices.Sorted(maps.Keys(c.Realms))))
			}
		}
	}
	d.checkSettings(c, &c.Defaults, nil, "defaults")
	if f := c.ForwardAuth; f != nil && len(f.Proxies) == 0 {
		d.failAt(f, "forward_auth: want proxies, the networks of those that may ask, such as {proxies: [127.0.0.1]}")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		d.checkService(c, c.Services[name], "services."+name)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Upstreams)) {
		u, path := c.Upstreams[name], "upstreams."+name
		use(u, u.Listen, path)
		d.checkUpstream(c, u, path)
	}
}

func (d *decoder) checkStore(s *Store) {
	switch {
	case s.Driver == "" && s.DSN == "":
	case s.Driver == "" || s.DSN == "":
		d.failAt(s, "store: want both driver and dsn, such as {driver: sqlite, dsn: /var/lib/soapward/soapward.db}")
	case s.Driver == SQLite && !s.Password.IsZero():
		d.failAt(s, "store.password is for postgres: a file of SQLite has none")
	case s.Driver == Postgres && dsnPassword(s.DSN):
		d.failAt(&s.DSN, "store.dsn holds a password: take it out, and name a file or an environment variable with it in store.password")
	}
	if s.Driver == SQLite && !strings.HasPrefix(s.DSN, "/") && s.DSN != "" && !strings.Contains(s.DSN, ":") {
		s.DSN = string(d.path(d.node(&s.DSN), s.DSN, "store.dsn"))
	}
}

// dsnPassword reports whether a DSN of PostgreSQL has a password.
func dsnPassword(dsn string) bool {
	if u, err := url.Parse(dsn); err == nil && u.Scheme != "" {
		_, set := u.User.Password()
		return set || u.Query().Has("password")
	}
	return mayHavePassword.MatchString(dsn)
}

// maxFailures is throttle.MaxFailures, with which a test of cmd/soapward compares
// it.
const maxFailures = 256

func (d *decoder) checkLimits(c *Config) {
	for _, t := range []struct {
		rules []ThrottleRule
		path  string
	}{{c.Throttle.User, "throttle.user"}, {c.Throttle.Address, "throttle.address"}} {
		for i := range t.rules {
			r := &t.rules[i]
			switch {
			case r.Failures < 1 || r.Block <= 0:
				d.failAt(r, "%s: want failures and block, such as {failures: 3, block: 30s}", index(t.path, i))
			case r.Failures > maxFailures:
				d.failAt(r, "%s.failures is %d: want at most %d", index(t.path, i), r.Failures, maxFailures)
			case i > 0 && r.Failures <= t.rules[i-1].Failures:
				d.failAt(r, "%s.failures is %d: want more than in the rule before, %d", index(t.path, i), r.Failures, t.rules[i-1].Failures)
			}
		}
	}
	switch s := &c.Sessions; {
	case s.Idle > s.Absolute:
		d.failAt(s, "sessions.idle is longer than sessions.absolute")
	case s.TLSAtProxy && len(c.TrustedProxies) == 0:
		d.failAt(&s.TLSAtProxy, "sessions.tls_at_proxy wants trusted_proxies: the addresses of the proxy that ends TLS")
	}
	switch p := &c.Passwords; {
	case p.MinLength < 8 || p.MinLength > 128:
		d.failAt(&p.MinLength, "passwords.min_length is %d: want 8 to 128", p.MinLength)
	case p.MemoryKiB < 8<<10 || p.MemoryKiB > 64<<10: // what authn/password takes
		d.failAt(&p.MemoryKiB, "passwords.memory_kib is %d: want 8192 to 65536", p.MemoryKiB)
	case p.Passes < 1 || p.Passes > 16:
		d.failAt(&p.Passes, "passwords.passes is %d: want 1 to 16", p.Passes)
	}
}

// ofConsole are names whose sessions would have the cookies of the console, and be
// its sessions.
var ofConsole = []string{"admin", "admin-form", "admin-login", "admin-code"}

func (d *decoder) checkRealm(c *Config, name string, r *Realm) {
	path := "realms." + name
	if slices.Contains(ofConsole, name) {
		d.failAt(r, "%s: the console has the cookies that sessions of the realm would have: give it another name", path)
	}
	if r.AD != nil && r.LDAP != nil {
		d.failAt(r.LDAP, "%s has both ad and ldap: want one directory in a realm", path)
	}
	if r.Kerberos == nil && r.NTLM == nil && r.AD == nil && r.LDAP == nil && r.Internal == nil && r.OIDC == nil {
		d.failAt(r, "%s says of no way to prove a login: want kerberos, ntlm, ad, ldap, internal or oidc", path)
	}
	for i := range r.Aliases {
		if c.Realms[r.Aliases[i]] != nil {
			d.failAt(&r.Aliases[i], "%s: %q is a realm of its own", index(path+".aliases", i), clip(r.Aliases[i]))
		}
	}
	need := func(v any, ok bool, format string, args ...any) {
		if !ok {
			d.failAt(v, format, args...)
		}
	}
	if k := r.Kerberos; k != nil {
		need(k, k.Realm != "" && k.Keytab != "", "%s.kerberos: want realm and keytab, such as {realm: CORP.TEST, keytab: gw.keytab}", path)
	}
	if n := r.NTLM; n != nil {
		need(n, n.Verifier != "", "%s.ntlm: want verifier: netlogon, or winbind", path)
		need(n, n.Verifier != Netlogon || n.Computer != "" && !n.Secret.IsZero(),
			"%s.ntlm: netlogon wants computer and secret, which soapward join makes: {verifier: netlogon, computer: GW01$, secret: {file: GW01.secret}}", path)
	}
	if a := r.AD; a != nil {
		d.checkAD(a, path+".ad")
	}
	if l := r.LDAP; l != nil {
		d.checkLDAP(l, path+".ldap")
	}
	if o := r.OIDC; o != nil {
		need(o, o.Issuer.URL != nil && o.ClientID != "", "%s.oidc: want issuer and client_id", path)
		need(o, o.Issuer.URL == nil || o.Issuer.Scheme == "https" || loopback(o.Issuer.Hostname()), "%s.oidc.issuer: want https", path)
		need(o, o.Issuer.URL == nil || o.Issuer.Scheme == "https" || o.Proxy.URL.URL == nil, "%s.oidc.proxy: want an issuer at https: the proxy would read what is secret, and this machine is not behind it", path)
		need(&o.Title, isTitle(o.Title), "%s.oidc.title: want up to %d characters that can be seen, such as Contoso", path, maxTitle)
		d.checkProviderNames(c, name, r)
	}
}

// maxTitle is how much of a title fits a button, in characters.
const maxTitle = 64

// isTitle reports whether a text, or none, can stand on a button.
func isTitle(s string) bool {
	return s == strings.TrimSpace(s) && utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxTitle &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// checkProviderNames sees to it that no name that a provider gives, which has the
// realm's own in front, is one of a domain, or of users whom others know.
func (d *decoder) checkProviderNames(c *Config, name string, r *Realm) {
	path := "realms." + name
	if r.Kerberos != nil || r.NTLM != nil || r.AD != nil || r.LDAP != nil || r.Internal != nil {
		d.failAt(r.OIDC, "%s.oidc: want a realm of its own: users whom the provider names must not be taken for those of a domain, or of ours", path)
	}
	for _, other := range slices.Sorted(maps.Keys(c.Realms)) {
		o := c.Realms[other]
		if other == name || o == nil {
			continue
		}
		names := append([]string{other}, o.Aliases...)
		if o.Kerberos != nil {
			names = append(names, o.Kerberos.Realm)
		}
		if o.NTLM != nil {
			names = append(names, o.NTLM.Domain)
		}
		if o.AD != nil {
			names = append(append(names, o.AD.Domain, o.AD.DefaultDomain), o.AD.Domains...)
		}
		if o.LDAP != nil {
			names = append(names, o.LDAP.DefaultDomain)
		}
		for _, mine := range append([]string{name}, r.Aliases...) {
			if slices.ContainsFunc(names, func(n string) bool { return n != "" && strings.EqualFold(n, mine) }) {
				d.failAt(r.OIDC, "%s.oidc: users of the provider would be named %s\\..., as those of realms.%s: give the realm another name", path, mine, other)
			}
		}
	}
}

func (d *decoder) checkAD(a *AD, path string) {
	if len(a.URL) == 0 && a.Domain == "" {
		d.failAt(a, "%s: want url, or domain for controllers that DNS names, such as {domain: corp.test, default_domain: CORP}", path)
	}
	for i := range a.URL {
		u := a.URL[i]
		if u.Base() != "" {
			d.failAt(&a.URL, "%s.url: %s names a base DN: write it as base", path, u)
		}
		if a.Sealed && u.Scheme == "ldaps" {
			d.failAt(&a.URL, "%s.url: sealed is for ldap://, %s has TLS", path, u)
		}
	}
	if strings.ContainsAny(a.DefaultDomain, `\/@. `) {
		d.failAt(&a.DefaultDomain, "%s.default_domain is %q: want the short name, such as CORP", path, clip(a.DefaultDomain))
	}
	if len(a.Domains) == 0 && a.DefaultDomain == "" && !a.Sync.Disabled {
		d.failAt(a, "%s: the daily job does not know whose users it is for: want default_domain, the short name, such as CORP, or domains; or sync: {disabled: true}", path)
	}
	d.checkBind(a, a.BindUser, a.BindPassword, path)
}

func (d *decoder) checkBind(v any, user string, password Secret, path string) {
	if (user == "") != password.IsZero() {
		d.failAt(v, "%s: want both bind_user and bind_password, or none", path)
	}
}

func (d *decoder) checkLDAP(l *LDAP, path string) {
	if len(l.URL) == 0 {
		d.failAt(l, "%s.url is missing: want ldaps://SERVER/BASE, such as ldaps://ldap.example.com/dc=example,dc=com", path)
		return
	}
	base := l.URL[0].Base()
	for _, u := range l.URL[1:] {
		if u.Base() != base {
			d.failAt(&l.URL, "%s.url: all servers want the same base DN", path)
		}
	}
	switch {
	case l.Base == "":
		l.Base = base
	case base != "" && base != l.Base:
		d.failAt(&l.Base, "%s.base is another than that of the url, %q", path, clip(base))
	}
	switch {
	case l.Base == "":
		d.failAt(l, "%s: want a base DN, in the url or as base", path)
	case l.Filter != "" && !strings.Contains(l.Filter, "{user}"):
		d.failAt(&l.Filter, "%s.filter: want {user} in it, where the user's name goes, such as (uid={user})", path)
	case l.Filter != "" && (!strings.HasPrefix(l.Filter, "(") || !strings.HasSuffix(l.Filter, ")")):
		d.failAt(&l.Filter, "%s.filter: want parentheses around it, such as (uid={user})", path)
	case l.Filter != "" && l.BindName != "":
		d.failAt(&l.BindName, "%s: filter and bind_name exclude each other: with a filter, the entry that it finds binds", path)
	case l.BindName != "" && !strings.Contains(l.BindName, "{user}"):
		d.failAt(&l.BindName, "%s.bind_name: want {user} in it, where the user's name goes", path)
	case l.Style == StyleAD && l.Filter != "":
		d.failAt(&l.Filter, "%s.filter is for style: standard", path)
	case l.Groups == GroupsChain:
		d.failAt(&l.Groups, "%s.groups: chain is for ad", path)
	}
	for i := range l.URL {
		if l.AllowInsecurePlain && l.URL[i].Scheme == "ldaps" {
			d.failAt(&l.AllowInsecurePlain, "%s.allow_insecure_plain is for ldap://: %s has TLS", path, l.URL[i].Server())
		}
	}
	d.checkBind(l, l.BindUser, l.BindPassword, path)
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
