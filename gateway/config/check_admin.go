package config

import (
	"maps"
	"slices"
	"strings"
)

// adminLocal stands for local administrators where others have the name of a
// realm: access.LocalName.
const adminLocal = "local"

// checkAdmin looks at how administrators sign in, and at who may do what.
func (d *decoder) checkAdmin(c *Config) {
	a := c.Admin
	if a == nil {
		return
	}
	for i, name := range a.Login {
		at := index("admin.login", i)
		switch r := c.Realms[name]; {
		case r == nil && strings.HasSuffix(name, "/oidc"):
			d.failAt(&a.Login[i], "%s: want the realm alone, %s", at, clip(strings.TrimSuffix(name, "/oidc")))
		case r == nil:
			d.failAt(&a.Login[i], "%s: there is no realm %q%s", at, clip(name), meant(name, slices.Sorted(maps.Keys(c.Realms))))
		case name == adminLocal:
			d.failAt(&a.Login[i], "%s: the page of local administrators is there: give the realm another name", at)
		case r.OIDC == nil:
			d.failAt(&a.Login[i], "%s: administrators sign in at providers: want oidc in realms.%s", at, name)
		case slices.Contains(a.Login[:i], name):
			d.failAt(&a.Login[i], "%s: %s is there twice", at, name)
		}
	}
	if len(a.Login) > 0 && a.URL.URL == nil {
		d.failAt(&a.Login, "admin.login wants admin.url, where providers lead browsers back to, such as https://gw-admin.corp.test")
	}
	if len(a.Login) > 0 && c.Store.Driver == "" {
		d.failAt(&a.Login, "admin.login wants a store, where sessions are, such as store: {driver: sqlite, dsn: /var/lib/soapward/soapward.db}")
	}
	if u := a.URL.URL; u != nil {
		switch {
		case u.Scheme != "https" && !loopback(u.Hostname()):
			d.failAt(&a.URL, "admin.url: want https, or http on this machine: whoever is on the way could take the session of an administrator")
		case strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
			d.failAt(&a.URL, "admin.url: want scheme and host alone, such as https://gw-admin.corp.test: the console is below /console/ there")
		}
	}
	for _, list := range a.Roles.lists() {
		for i, name := range list.names {
			known := append(slices.Sorted(maps.Keys(c.Roles)), "any")
			if !slices.Contains(known, name) && !looksLikeGroup(name) {
				d.failAt(&list.names[i], "%s: there is no role %q%s", index("admin.roles."+list.key, i), clip(name), meant(name, known))
			}
		}
	}
	d.checkAdminClaims(c)
}

// checkAdminClaims sees to it that where several providers know administrators, none
// of them names those whom another one is to name.
func (d *decoder) checkAdminClaims(c *Config) {
	a := c.Admin
	if len(a.Login) < 2 {
		return
	}
	seen := make(map[string]bool)
	var look func(name string)
	look = func(name string) {
		r := c.Roles[name]
		if r == nil || seen[name] {
			return
		}
		seen[name] = true
		for i := range r.Claims {
			if claim := &r.Claims[i]; claim.Realm == "" {
				d.failAt(claim, "%s: the role is one of administrators, and each of the providers %s could say that somebody has it: want realm: one of them", index("roles."+name+".claims", i), strings.Join(a.Login, ", "))
			}
		}
		for _, in := range r.Roles {
			look(in)
		}
	}
	for _, list := range a.Roles.lists() {
		for _, name := range list.names {
			look(name)
		}
	}
}

// adminList are who has one of the roles of administrators.
type adminList struct {
	key   string
	names []string
}

func (r *AdminRoles) lists() []adminList {
	return []adminList{{"viewer", r.Viewer}, {"operator", r.Operator}, {"administrator", r.Administrator}}
}

// looksLikeGroup reports whether a name is that of a group and no role: a SID, a
// name with its domain, or a distinguished name.
func looksLikeGroup(name string) bool {
	return strings.ContainsAny(name, `\=`) || strings.HasPrefix(strings.ToUpper(name), "S-1-")
}

// admin warns of administrators who cannot come in, or of others who can.
func (w *warner) admin() {
	a := w.c.Admin
	if a == nil {
		return
	}
	if len(a.Login) > 0 && len(a.Roles.Administrator) == 0 {
		w.add("admin.roles", "name roles or groups in admin.roles.administrator", "nobody whom a provider knows is administrator: only local administrators change anything")
	}
	for _, list := range a.Roles.lists() {
		if len(a.Login) > 0 && list.key != "viewer" && slices.ContainsFunc(list.names, w.everybody) {
			w.add("admin.roles."+list.key, "name a role of those who are meant", "everybody whom a provider knows is %s", list.key)
		}
		if len(a.Login) == 0 && len(list.names) > 0 {
			w.add("admin.roles."+list.key, "add admin.login, or take it out", "local administrators have all roles, and nobody else signs in, so that it does nothing")
		}
	}
	switch {
	case a.Local.Disabled && len(a.Login) == 0 && w.c.Store.Driver != "":
		w.add("admin.local.disabled", "take it out, or add admin.login", "there is no provider either: nobody can sign in")
	case a.Local.Disabled && len(a.Login) > 0:
		w.add("admin.local.disabled", "take it out, and keep one local administrator's password in a safe", "while the provider does not work nobody can sign in")
	}
}

// everybody reports whether whoever a provider knows has a role: by its built-in
// name, or by a group of Windows in which everybody is who is somebody.
func (w *warner) everybody(role string) bool {
	is := func(group string) bool {
		switch strings.ToLower(strings.TrimSpace(group)) {
		case "everyone", "authenticated users", `nt authority\authenticated users`, "s-1-1-0", "s-1-5-11":
			return true
		}
		return false
	}
	r := w.c.Roles[role]
	return role == "any" || is(role) || r != nil && slices.ContainsFunc(r.Groups, is)
}

// usesOIDC reports whether somebody signs in at the provider of a realm.
func (w *warner) usesOIDC(realm string) bool {
	if w.c.Admin != nil && slices.Contains(w.c.Admin.Login, realm) {
		return true
	}
	login := Login{Realm: realm, Method: OIDC}
	lists := [][]Login{w.c.Defaults.Login}
	for _, s := range w.c.Services {
		lists = append(lists, s.Login)
		for i := range s.Elements {
			lists = append(lists, s.Elements[i].Login)
		}
	}
	for _, u := range w.c.Upstreams {
		lists = append(lists, u.Login)
	}
	return slices.ContainsFunc(lists, func(l []Login) bool { return slices.Contains(l, login) })
}
