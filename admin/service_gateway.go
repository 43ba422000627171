package admin

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/gateway/config"
)

// running returns the gateway and its configuration.
func (s *Service) running() (Running, *config.Config, error) {
	if s.o.Running == nil {
		return nil, nil, &Error{
			Kind: Refused, Text: "this program is not the gateway",
			Remedy: "ask the gateway, at its admin listener",
		}
	}
	return s.o.Running, s.o.Running.Config(), nil
}

// Bounds of an overview, and how many steps it has at most.
const (
	shortestOverview = 2 * time.Hour
	longestOverview  = 90 * 24 * time.Hour
	usualOverview    = 24 * time.Hour
	mostSteps        = 96
)

// steps of charts. Each is a multiple of directory.CountStep, and at most four
// times the one before, so that a chart has 24 steps or more.
var steps = []time.Duration{
	directory.CountStep, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

// stepOf returns the shortest step of which a time has not too many.
func stepOf(since time.Duration) time.Duration {
	for _, step := range steps {
		if since <= mostSteps*step {
			return step
		}
	}
	return steps[len(steps)-1]
}

// Overview implements Gateway.
func (s *Service) Overview(ctx context.Context, since time.Duration) (*Overview, error) {
	if _, err := need(ctx, Viewer); err != nil {
		return nil, err
	}
	r, _, err := s.running()
	if err != nil {
		return nil, err
	}
	if since <= 0 {
		since = usualOverview
	}
	since = min(max(since, shortestOverview), longestOverview)
	step, now := stepOf(since), s.now()
	o := &Overview{
		Version: r.Version(), Go: runtime.Version(), Started: r.Started(), Report: r.Report(), Listens: r.Listens(), Warning: r.Warnings(),
		Since: now.Add(step - since).Truncate(step), Step: int(step / time.Second), Logins: []LoginCount{},
	}
	var refused error
	if o.Loaded, refused = r.Loaded(); refused != nil {
		o.Refused = clip(refused.Error(), maxText)
	}
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	if o.Users, err = st.CountUsers(ctx); err != nil {
		return nil, failed("users", err)
	}
	counts, err := st.Counts(ctx, directory.CountQuery{Since: o.Since, Step: step})
	if err != nil {
		return nil, failed("counts", err)
	}
	for _, c := range counts {
		switch c.Kind {
		case directory.CountLogin:
			o.Logins = append(o.Logins, LoginCount{Time: c.Time, Mechanism: c.Mechanism, Outcome: string(c.Outcome), N: c.N})
		case directory.CountDoubleHop:
			o.DoubleHops += c.N
		case directory.CountRC4:
			o.RC4 += c.N
		}
	}
	return o, nil
}

// maxText bounds texts of errors that are shown.
const maxText = 4096

func clip(text string, most int) string {
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// Services implements Gateway.
func (s *Service) Services(ctx context.Context) (*Services, error) {
	if _, err := need(ctx, Viewer); err != nil {
		return nil, err
	}
	r, c, err := s.running()
	if err != nil {
		return nil, err
	}
	out := &Services{Services: []ServiceInfo{}, Upstreams: []Upstream{}}
	policies, operations := r.Policies(), r.Operations()
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		sv := c.Services[name]
		one := ServiceInfo{
			Name: name, Host: sv.Match.Host, Path: sv.Match.Path, Logins: texts(c.LoginsOf(sv)),
			Operations: operations[name], Elements: elementsOf(policies[name]), Source: c.Position(sv),
		}
		if sv.Upstream != nil {
			for _, u := range sv.Upstream.Servers() {
				one.Backends = append(one.Backends, placeOfURL(u.URL))
			}
		}
		out.Services = append(out.Services, one)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Upstreams)) {
		u := c.Upstreams[name]
		one := Upstream{Name: name, Listen: string(u.Listen), URL: placeOfURL(u.URL.URL), ActAs: []string{}, Source: c.Position(u)}
		for _, as := range u.ActAs {
			one.ActAs = append(one.ActAs, string(as))
		}
		out.Upstreams = append(out.Upstreams, one)
	}
	return out, nil
}

// elementsOf leaves out the root, which is what the service inherits.
func elementsOf(all []authz.ElementPolicy) []Policy {
	out := []Policy{}
	for _, e := range all[min(1, len(all)):] {
		out = append(out, Policy{Name: e.Name, Match: e.Match, Source: e.Source, Settings: e.Settings, Rules: e.Rules})
	}
	return out
}

func texts[T fmt.Stringer](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = v.String()
	}
	return out
}

// placeOfURL is a URL without its query, in which somebody may have put a key.
func placeOfURL(u *url.URL) string {
	switch {
	case u == nil:
		return ""
	case u.Scheme == "unix":
		return "unix:" + u.Path
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}

// Explain implements Gateway.
func (s *Service) Explain(ctx context.Context, q ExplainQuery) (*authz.Explanation, error) {
	if _, err := need(ctx, Viewer); err != nil {
		return nil, err
	}
	r, _, err := s.running()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(q.URL)
	switch {
	case err != nil || u.User != nil || u.Opaque != "" || (u.Scheme == "") != (u.Host == "") || u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https":
		return nil, invalid("url", "that is no address", "such as https://hr.corp.test/hr/, or /hr/ alone")
	case u.Path == "" && u.Host != "":
		u.Path = "/"
	case !strings.HasPrefix(u.Path, "/"):
		return nil, invalid("url", "a path begins with /", "such as https://hr.corp.test/hr/, or /hr/ alone")
	}
	if q.User != "" && q.Anonymous {
		return nil, invalid("user", "nobody and a user at once", "leave one of them out")
	}
	if q.Method = strings.ToUpper(q.Method); strings.Trim(q.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return nil, invalid("method", "that is no method of HTTP", "such as GET or POST")
	}
	var client netip.Addr // not that of the administrator
	if q.Client != "" {
		if client, err = netip.ParseAddr(q.Client); err != nil {
			return nil, invalid("client", "that is no address", "such as 10.9.1.2")
		}
	}
	var id *authn.Identity
	if q.User != "" {
		st, err := s.store()
		if err != nil {
			return nil, err
		}
		user, err := st.User(ctx, q.User)
		if err != nil {
			return nil, failed("user "+q.User, err)
		}
		id = user.Identity()
	}
	return r.Explain(authn.WithClient(ctx, client), q.Method, u, q.Operation, id, q.User == "" && !q.Anonymous), nil
}

// Roles implements Gateway.
func (s *Service) Roles(ctx context.Context) ([]RoleInfo, error) {
	if _, err := need(ctx, Viewer); err != nil {
		return nil, err
	}
	r, c, err := s.running()
	if err != nil {
		return nil, err
	}
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	granted, err := s.granted.in(ctx, st, s.now())
	if err != nil {
		return nil, failed("roles", err)
	}
	used := usesOfRoles(c, r.Policies())
	out := []RoleInfo{}
	for _, name := range slices.Sorted(maps.Keys(c.Roles)) {
		role := c.Roles[name]
		one := RoleInfo{
			Name: name, Groups: role.Groups, Users: role.Users, Roles: role.Roles,
			UsedBy: used[directory.FoldName(name)], Source: c.Position(role),
		}
		for _, claim := range role.Claims {
			text := claim.Name + "=" + claim.Value
			if claim.Realm != "" {
				text += " of " + claim.Realm
			}
			one.Claims = append(one.Claims, text)
		}
		out = append(out, one)
	}
	// Whom an operator granted what the configuration has no more still has it, for
	// rules that name it again later.
	for _, name := range slices.Sorted(maps.Keys(granted)) {
		i := slices.IndexFunc(out, func(o RoleInfo) bool { return directory.FoldName(o.Name) == directory.FoldName(name) })
		if i < 0 {
			i, out = len(out), append(out, RoleInfo{Name: name})
		}
		out[i].Granted += granted[name]
	}
	return out, nil
}

// usesOfRoles says where each role is named, by its name in one case.
func usesOfRoles(c *config.Config, policies map[string][]authz.ElementPolicy) map[string][]string {
	used := make(map[string][]string)
	use := func(role, by string) {
		role = directory.FoldName(role)
		if !slices.Contains(used[role], by) {
			used[role] = append(used[role], by)
		}
	}
	for _, service := range slices.Sorted(maps.Keys(policies)) {
		for _, e := range policies[service] {
			for _, rule := range e.Rules {
				for _, role := range rule.Roles {
					use(role, "service "+service)
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Upstreams)) {
		for _, role := range c.Upstreams[name].AllowedRoles {
			use(role, "upstream "+name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Roles)) {
		for _, role := range c.Roles[name].Roles {
			use(role, "role "+name)
		}
	}
	if c.Admin != nil {
		for _, list := range adminLists(c.Admin) {
			for _, role := range list.names {
				use(role, "administrators: "+list.role.String())
			}
		}
	}
	return used
}

type adminList struct {
	role  Role
	names []string
}

func adminLists(a *config.Admin) []adminList {
	return []adminList{{Viewer, a.Roles.Viewer}, {Operator, a.Roles.Operator}, {Administrator, a.Roles.Administrator}}
}

// Realms implements Gateway.
func (s *Service) Realms(ctx context.Context) ([]Realm, error) {
	if _, err := need(ctx, Viewer); err != nil {
		return nil, err
	}
	r, c, err := s.running()
	if err != nil {
		return nil, err
	}
	checks := r.Report().Checks
	out := []Realm{}
	for _, name := range slices.Sorted(maps.Keys(c.Realms)) {
		realm := c.Realms[name]
		one := Realm{Name: name, Source: c.Position(realm)}
		one.Methods, one.Tests = waysOf(realm)
		one.Details = detailsOf(realm)
		if realm.OIDC != nil {
			one.Details = append(one.Details, redirectsOf(c, name)...)
		}
		for _, check := range checks {
			if strings.HasPrefix(check.Name, "realm "+name+": ") {
				one.Checks = append(one.Checks, check)
			}
		}
		if realm.AD != nil {
			if one.Sync, err = s.syncState(ctx, name, realm); err != nil {
				return nil, err
			}
		}
		out = append(out, one)
	}
	return out, nil
}

// waysOf says how logins at a realm are proved, and what of it can be tried.
func waysOf(r *config.Realm) (methods []string, tests []TestKind) {
	methods, tests = []string{}, []TestKind{}
	for _, w := range []struct {
		is     bool
		method string
		test   TestKind
	}{
		{r.Kerberos != nil, "kerberos", TestTicket},
		{r.NTLM != nil, "ntlm", TestNetlogon},
		{r.AD != nil, "ad", TestBind},
		{r.LDAP != nil, "ldap", TestBind},
		{r.Internal != nil, "internal", TestInternal},
		{r.OIDC != nil, "oidc", TestProvider},
	} {
		if w.is {
			methods, tests = append(methods, w.method), append(tests, w.test)
		}
	}
	return methods, tests
}

// redirectsOf are the addresses that have to be registered at a provider.
func redirectsOf(c *config.Config, name string) (out []Detail) {
	if c.Admin != nil && c.Admin.URL.URL != nil && slices.Contains(c.Admin.Login, name) {
		out = append(out, Detail{"redirect URI of the console", c.Admin.URL.JoinPath("console", "login", name, "callback").String()})
	}
	return append(out, Detail{"redirect URI of services", "https://HOST/.soapward/login/" + name + "/callback, for each of their hosts"})
}

func detailsOf(r *config.Realm) (out []Detail) {
	add := func(name string, values ...string) {
		if text := strings.Join(values, ", "); text != "" {
			out = append(out, Detail{name, text})
		}
	}
	if k := r.Kerberos; k != nil {
		add("Kerberos realm", k.Realm)
		add("KDC", cmp.Or(strings.Join(k.KDC, ", "), "those that DNS names"))
		add("keytab", string(k.Keytab))
		add("service names", k.SPN...)
	}
	if n := r.NTLM; n != nil {
		add("NTLM is verified by", string(n.Verifier))
		add("computer account", n.Computer)
	}
	servers := func(urls config.ServerURLs) (list []string) {
		for _, u := range urls {
			list = append(list, u.Server())
		}
		return list
	}
	if a := r.AD; a != nil {
		add("domain", a.Domain, a.DefaultDomain)
		add("servers", cmp.Or(strings.Join(servers(a.URL), ", "), "those that DNS names"))
		add("reads as", a.BindUser)
	}
	if l := r.LDAP; l != nil {
		add("servers", servers(l.URL)...)
		add("base", l.Base)
		add("reads as", l.BindUser)
	}
	if o := r.OIDC; o != nil {
		add("title", o.Title)
		add("issuer", o.Issuer.String())
		add("proxy", o.Proxy.String())
		add("client", o.ClientID)
		add("client of the command line", o.DesktopClientID)
		add("user name", o.UsernameClaim)
	}
	add("former names", r.Aliases...)
	return out
}
