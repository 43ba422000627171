package authz

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/directory"
)

// Built-in roles, which a table of roles does not define.
const (
	// Any is everybody who logged in.
	Any = "any"

	// Anonymous is whoever did not log in. A rule that lists it lets everybody
	// in: somebody who may do without a login what he may not do with one would
	// log out.
	Anonymous = "anonymous"
)

// A Role says who belongs to it: whoever one line of it names, and whoever an
// operator granted it to (authn.Identity.Roles).
type Role struct {
	// Groups are names (CORP\Payroll), SIDs, distinguished names, or names that
	// are the same on every Windows, such as BUILTIN\Administrators, Everyone
	// and Authenticated Users. The last two are everybody who logged in, the
	// latter without guests. A name without a domain is a group of an authority
	// that has none, such as an LDAP server.
	Groups []string

	// Users are names (CORP\alice), UPNs, SIDs or distinguished names. A name
	// without a domain is a user of an authority that has none.
	Users []string

	// Claims are those of the identity: a name and the values of which one will
	// do.
	Claims map[string][]string

	// ClaimsOf are claims that count of identities of one domain only: where there
	// are several providers, each of which could say what another one does.
	ClaimsOf []DomainClaim

	// Roles are roles whose members belong to this one as well. Circles are
	// allowed: all in them have the same members.
	Roles []string

	// Source is where the role is written, such as "gw.yaml:12", for
	// explanations. It may be empty.
	Source string
}

// A DomainClaim is a claim of identities of a domain, such as those of a provider.
type DomainClaim struct{ Domain, Name, Value string }

// Config is what Roles are made of. They keep the map, which must not change
// afterwards.
type Config struct {
	// Roles by name. Names are compared without regard to case. One that looks
	// like a group (with a backslash or an equals sign, a SID) is refused.
	Roles map[string]Role

	// Resolver finds SIDs for names. Nil: a name is compared with the names of
	// the caller's groups only, which Kerberos does not have.
	Resolver Resolver

	// Lifetime is how long an answer of the Resolver is kept. Zero means 15
	// minutes. That there is no such object is kept for one minute.
	Lifetime time.Duration

	Logger *slog.Logger     // nil means slog.Default()
	Now    func() time.Time // nil means time.Now
}

// Roles says who belongs to which role. Make one with NewRoles. It is safe for
// concurrent use, and does not change: a new configuration makes new Roles.
type Roles struct {
	config   Config
	names    []string         // of roles, in order; bits are indices of it
	implicit map[int32]bool   // groups that rules name in place of a role
	byName   map[string]int32 // folded, and as written
	resolver Resolver
	lifetime time.Duration

	// calls and askedCalls bound the resolver's calls at a time. Those for names
	// that callers choose have places of their own, so that nobody holds up
	// decisions about others.
	calls, askedCalls chan struct{}

	groups map[string][]int32 // by key of a ref: the roles that list it
	users  map[string][]int32
	claims map[string]map[string][]int32

	claimsOf map[DomainClaim][]int32 // with folded domains

	grants  [][]int32   // by role: itself, and the roles that its members belong to as well
	lookups [][]pending // by role: what may have to be resolved, of the roles in it too
	byRef   bool        // some group is written by name

	members members
	asked   lookups // by IsInRole, not in the table
	unknown warned
}

// pending is a group or user of a role which the name alone may not decide.
type pending struct {
	*lookup
	user bool
}

// NewRoles makes Roles. The error names each mistake, with its place.
func NewRoles(c Config) (*Roles, error) {
	rs := &Roles{
		config: c, resolver: c.Resolver, lifetime: cmp.Or(c.Lifetime, defaultLifetime),
		calls: make(chan struct{}, maxResolverCalls), askedCalls: make(chan struct{}, maxAskedCalls),
		byName: map[string]int32{}, groups: map[string][]int32{}, users: map[string][]int32{},
		claims: map[string]map[string][]int32{}, claimsOf: map[DomainClaim][]int32{},
	}
	var errs []error
	rs.names = slices.Sorted(maps.Keys(c.Roles))
	for i, name := range rs.names {
		if err := checkName(name); err != nil {
			errs = append(errs, at(c.Roles[name].Source, err))
		}
		if j, ok := rs.byName[directory.FoldName(name)]; ok {
			errs = append(errs, at(c.Roles[name].Source, fmt.Errorf("role %q has the name of role %q", name, rs.names[j])))
		}
		rs.byName[directory.FoldName(name)], rs.byName[name] = int32(i), int32(i)
	}
	own := make([][]pending, len(rs.names))
	in := make([][]int32, len(rs.names)) // by role: those directly in it
	shared := map[string]*lookup{}       // one for all roles that list it
	for i, name := range rs.names {
		var err error
		if own[i], in[i], err = rs.addRole(int32(i), c.Roles[name], shared); err != nil {
			errs = append(errs, at(c.Roles[name].Source, fmt.Errorf("role %q: %w", name, err)))
		}
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("authz: %w", errors.Join(errs...))
	}
	rs.close(in, own)
	return rs, nil
}

// at puts the place in front of an error.
func at(source string, err error) error {
	if source == "" {
		return err
	}
	return fmt.Errorf("%s: %w", source, err)
}

func checkName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return errors.New("a role has no name")
	case directory.FoldName(name) == Any || directory.FoldName(name) == Anonymous:
		return fmt.Errorf("role %q is built in: choose another name", name)
	case parseGroup(name).kind != plainRef:
		return fmt.Errorf("role %q has the form of a group: choose another name", name)
	}
	return nil
}

// addRole enters what a role lists.
func (rs *Roles) addRole(i int32, r Role, shared map[string]*lookup) (own []pending, in []int32, err error) {
	add := func(index map[string][]int32, ref ref, user bool) {
		index[ref.key] = append(index[ref.key], i)
		if rs.byRef = rs.byRef || ref.kind != sidRef; ref.kind != nameRef && ref.kind != dnRef {
			return
		}
		l := shared[ref.key]
		if l == nil {
			l = newLookup(ref)
			shared[ref.key] = l
		}
		own = append(own, pending{l, user})
	}
	for _, text := range r.Groups {
		if strings.TrimSpace(text) == "" {
			return nil, nil, errors.New("an entry of groups is empty")
		}
		add(rs.groups, parseGroup(text), false)
	}
	for _, text := range r.Users {
		if strings.TrimSpace(text) == "" {
			return nil, nil, errors.New("an entry of users is empty")
		}
		add(rs.users, parseUser(text), true)
	}
	for name, values := range r.Claims {
		if rs.claims[name] == nil {
			rs.claims[name] = map[string][]int32{}
		}
		for _, v := range values {
			rs.claims[name][v] = append(rs.claims[name][v], i)
		}
	}
	for _, c := range r.ClaimsOf {
		if c.Domain = directory.FoldName(c.Domain); c.Domain == "" {
			return nil, nil, errors.New("an entry of claims has no domain")
		}
		rs.claimsOf[c] = append(rs.claimsOf[c], i)
	}
	for _, name := range r.Roles {
		j, ok := rs.byName[directory.FoldName(name)]
		if !ok {
			return nil, nil, fmt.Errorf("it holds the role %q, which does not exist%s", name, suggest(name, rs.names))
		}
		in = append(in, j)
	}
	return own, in, nil
}

// close follows the roles that hold roles, as far as they go.
func (rs *Roles) close(in [][]int32, own [][]pending) {
	rs.grants = make([][]int32, len(in))
	rs.lookups = make([][]pending, len(in))
	for i := range in {
		seen := map[int32]bool{}
		var visit func(j int32)
		visit = func(j int32) {
			if seen[j] { // two ways, or a circle
				return
			}
			seen[j] = true
			rs.grants[j] = append(rs.grants[j], int32(i))
			rs.lookups[i] = append(rs.lookups[i], own[j]...)
			for _, k := range in[j] {
				visit(k)
			}
		}
		visit(int32(i))
	}
}

// Names returns the roles of the table, in order.
func (rs *Roles) Names() (names []string) {
	for i, name := range rs.names {
		if !rs.implicit[int32(i)] {
			names = append(names, name)
		}
	}
	return names
}

// with returns Roles that have groups as roles too, which rules named in place
// of one. Those that are roles, or built in, are not added.
func (rs *Roles) with(groups map[string]string) (*Roles, error) {
	if len(groups) == 0 {
		return rs, nil
	}
	c := rs.config
	c.Roles = maps.Clone(c.Roles)
	if c.Roles == nil {
		c.Roles = map[string]Role{}
	}
	names := map[string]string{}
	for text, source := range groups {
		name := groupRole(parseGroup(text))
		c.Roles[name] = Role{Groups: []string{text}, Source: source}
		names[name] = text
	}
	n, err := NewRoles(c)
	if err != nil {
		return nil, err
	}
	n.implicit = map[int32]bool{}
	for i, name := range n.names {
		if text, ok := names[name]; ok {
			n.names[i], n.implicit[int32(i)] = text, true
		}
	}
	return n, nil
}

// groupRole is the name of the role that stands for a group. Nobody can write it.
func groupRole(r ref) string {
	return "\x00" + strings.NewReplacer(`\`, "\x01", "=", "\x02").Replace(r.key)
}

func (rs *Roles) now() time.Time {
	if rs.config.Now != nil {
		return rs.config.Now()
	}
	return time.Now()
}

func (rs *Roles) logger() *slog.Logger {
	if rs.config.Logger != nil {
		return rs.config.Logger
	}
	return slog.Default()
}

// suggest returns a question that names what was probably meant, or nothing.
func suggest(name string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := editDistance(directory.FoldName(name), directory.FoldName(k), distance); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// editDistance counts the characters to insert, delete or replace, up to limit.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = 1 + min(d, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], d
		}
	}
	return min(limit, row[len(b)])
}
