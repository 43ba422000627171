package authz

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
	"weak"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// Has reports whether a caller, nil for an anonymous one, belongs to a role of the
// table, or to one that an operator granted (authn.Identity.Roles). In place of a
// role, name may be a group: its SID, CORP\Payroll, or a
// distinguished name. A name that is neither is answered with no, and one
// warning in the log.
//
// An error wraps authn.ErrUnavailable: the answer depends on what a directory
// did not say.
func (rs *Roles) Has(ctx context.Context, id *authn.Identity, name string) (bool, error) {
	id = known(id)
	if i, ok := rs.find(name); ok {
		return rs.has(ctx, id, i)
	}
	switch directory.FoldName(name) {
	case Any:
		return id != nil, nil
	case Anonymous:
		return id == nil, nil
	}
	r := parseGroup(name)
	if strings.ContainsRune(name, 0) || len(name) > maxName {
		rs.warnUnknown(ctx, name, "it cannot be a name")
		return false, nil
	}
	if id != nil && rs.member(id).hasGroup(id, r) {
		return true, nil
	}
	switch r.kind {
	case plainRef:
		if id != nil && slices.ContainsFunc(id.Roles, func(r string) bool { return directory.FoldName(r) == directory.FoldName(name) }) {
			return true, nil
		}
		rs.warnUnknown(ctx, name, "no role has that name, nor has the caller such a group; a group is written as DOMAIN\\name, SID or distinguished name")
		return false, nil
	case sidRef:
		return false, nil
	}
	if id == nil {
		return false, nil
	}
	m := rs.member(id)
	if !m.undecided(r, false) {
		return false, nil
	}
	if rs.resolver == nil {
		rs.warnUnresolved(ctx, name)
		return false, nil
	}
	sid, err := rs.resolve(ctx, rs.asked.get(r, rs.now()))
	return err == nil && m.hasSID(sid), err
}

// maxName bounds the names that are looked for, in bytes.
const maxName = 1024

// find returns the number of a role.
func (rs *Roles) find(name string) (int32, bool) {
	if i, ok := rs.byName[name]; ok {
		return i, true
	}
	i, ok := rs.byName[directory.FoldName(name)]
	return i, ok
}

// Of returns the roles of the table that a caller belongs to, in order.
func (rs *Roles) Of(ctx context.Context, id *authn.Identity) ([]string, error) {
	var names []string
	for i, name := range rs.names {
		if rs.implicit[int32(i)] {
			continue
		}
		ok, err := rs.has(ctx, known(id), int32(i))
		if err != nil {
			return nil, err
		}
		if ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// known returns id, or nil for a caller whom Windows calls anonymous.
func known(id *authn.Identity) *authn.Identity {
	if id != nil && id.SID == sidAnonymous {
		return nil
	}
	return id
}

// has answers for a role of the table.
func (rs *Roles) has(ctx context.Context, id *authn.Identity, role int32) (bool, error) {
	if id == nil {
		return false, nil
	}
	m := rs.member(id)
	if m.is(role) {
		return true, nil
	}
	var failed error
	for _, l := range rs.lookups[role] {
		if !m.undecided(l.ref, l.user) {
			continue
		}
		if rs.resolver == nil {
			rs.warnUnresolved(ctx, l.ref.text)
			continue
		}
		sid, err := rs.resolve(ctx, l.lookup)
		switch {
		case err != nil:
			failed = err // another line may still say yes
		case sid == "":
		case l.user && sid == id.SID, !l.user && m.hasSID(sid):
			return true, nil
		}
	}
	return false, failed
}

// A member is an Identity, made ready for questions. It does not change.
type member struct {
	roles    []uint64 // bits, of what the identity says by itself
	sids     []authn.SID
	domain   string // folded
	userSID  bool   // of the user
	nameless bool   // a group is known by SID only
	groupSID bool   // of a group
}

func (m *member) is(role int32) bool { return m.roles[role>>6]&(1<<(role&63)) != 0 }

func (m *member) hasSID(sid authn.SID) bool {
	_, ok := slices.BinarySearch(m.sids, sid)
	return ok && sid != ""
}

// hasGroup reports whether the identity itself says that it is in a group.
func (m *member) hasGroup(id *authn.Identity, r ref) bool {
	if r.kind == sidRef {
		return m.hasSID(authn.SID(r.key))
	}
	for i := range id.Groups {
		if n := id.Groups[i].Name; n != "" && (n == r.text || nameKey(n) == r.key) {
			return true
		}
	}
	return false
}

// undecided reports whether a group or user that the identity does not have by
// name may be one that it has by SID.
func (m *member) undecided(r ref, user bool) bool {
	if user {
		domain, _, _ := strings.Cut(r.key, `\`)
		return m.userSID && (r.kind == dnRef || domain != m.domain)
	}
	return m.nameless || r.kind == dnRef && m.groupSID
}

// nameKey returns the key of a group's name in an identity: a distinguished name
// in the case of some LDAP servers. Space around it is part of the name, which
// somebody may have chosen to look like another.
func nameKey(name string) string {
	if dn, ok := foldDN(name); ok {
		return dn
	}
	return directory.Fold(name)
}

// ofName returns the roles of a group by its name. It allocates nothing for usual
// names: a caller may have hundreds.
func ofName(index map[string][]int32, name string) []int32 {
	var b [64]byte
	if len(name) > len(b) {
		return index[nameKey(name)]
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= utf8.RuneSelf || c == '=' || (c <= ' ' && (i == 0 || i == len(name)-1)):
			return index[nameKey(name)]
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		b[i] = c
	}
	return index[string(b[:len(name)])]
}

// member returns what is remembered of an identity.
func (rs *Roles) member(id *authn.Identity) *member {
	if m := rs.members.get(id); m != nil {
		return m
	}
	m := rs.newMember(id)
	rs.members.put(id, m)
	return m
}

func (rs *Roles) newMember(id *authn.Identity) *member {
	m := &member{
		roles: make([]uint64, len(rs.names)/64+1), sids: make([]authn.SID, 0, len(id.Groups)+2),
		domain: directory.FoldName(id.Domain), userSID: id.SID != "",
	}
	grant := func(roles []int32) {
		for _, r := range roles {
			for _, g := range rs.grants[r] {
				m.roles[g>>6] |= 1 << (g & 63)
			}
		}
	}
	sid := func(s authn.SID) {
		m.sids = append(m.sids, s)
		grant(rs.groups[string(s)])
	}
	sid(sidEveryone)
	if !IsGuest(id) {
		sid(sidAuthenticated)
	}
	for _, g := range id.Groups {
		if g.SID != "" {
			sid(g.SID)
			m.groupSID = true
			m.nameless = m.nameless || g.Name == ""
		}
		if g.Name != "" && rs.byRef {
			grant(ofName(rs.groups, g.Name))
		}
	}
	slices.Sort(m.sids)
	if id.SID != "" {
		grant(rs.users[string(id.SID)])
	}
	if rs.byRef {
		// An account with a backslash in its name is not somebody of the domain
		// that it seems to name, nor is one with an @ in no domain a UPN, or one
		// with an equals sign an entry of a directory.
		if id.Account != "" && !strings.Contains(id.Account, `\`) && (id.Domain != "" || !strings.ContainsAny(id.Account, "@=")) {
			grant(rs.users[directory.Fold(id.String())])
		}
		if strings.Contains(id.UPN, "@") {
			grant(rs.users[directory.Fold(id.UPN)])
		}
	}
	for _, name := range id.Roles {
		if r, ok := rs.find(name); ok && !rs.implicit[r] {
			grant([]int32{r})
		}
	}
	for name, values := range id.Claims {
		if wanted := rs.claims[name]; wanted != nil {
			for _, v := range values {
				grant(wanted[v])
			}
		}
		if len(rs.claimsOf) > 0 {
			for _, v := range values {
				grant(rs.claimsOf[DomainClaim{m.domain, name, v}])
			}
		}
	}
	return m
}

// IsGuest reports whether a caller is a guest: the account of that name, or in
// the group of guests of the domain or of the machine.
func IsGuest(id *authn.Identity) bool {
	if id == nil {
		return false
	}
	isGuest := func(s authn.SID, rid string) bool {
		return strings.HasPrefix(string(s), "S-1-5-21-") && strings.HasSuffix(string(s), rid)
	}
	return isGuest(id.SID, "-501") || slices.ContainsFunc(id.Groups, func(g authn.Group) bool {
		return g.SID == sidGuests || isGuest(g.SID, "-514")
	})
}

// IsSystem reports whether a caller is the system account of a machine.
func IsSystem(id *authn.Identity) bool { return id != nil && id.SID == sidSystem }

// IsAnonymous reports whether nobody logged in.
func IsAnonymous(id *authn.Identity) bool { return known(id) == nil }

// members remembers identities for as long as somebody holds on to them: an NTLM
// connection or a session has the same one for many requests. It is safe for
// concurrent use.
type members struct{ shards [16]memberShard }

type memberShard struct {
	mu sync.RWMutex
	m  map[weak.Pointer[authn.Identity]]*member
}

var memberSeed = maphash.MakeSeed()

func (c *members) shard(p weak.Pointer[authn.Identity]) *memberShard {
	return &c.shards[maphash.Comparable(memberSeed, p)%uint64(len(c.shards))]
}

func (c *members) get(id *authn.Identity) *member {
	p := weak.Make(id)
	s := c.shard(p)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.m[p]
}

func (c *members) put(id *authn.Identity, m *member) {
	p := weak.Make(id)
	s := c.shard(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.m[p]; ok {
		return // somebody else was faster
	}
	if s.m == nil {
		s.m = map[weak.Pointer[authn.Identity]]*member{}
	}
	s.m[p] = m
	runtime.AddCleanup(id, c.forget, p)
}

func (c *members) forget(p weak.Pointer[authn.Identity]) {
	s := c.shard(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, p)
}

// size is how many identities are remembered.
func (c *members) size() (n int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		n += len(s.m)
		s.mu.RUnlock()
	}
	return n
}

// warned remembers which names were warned about. It is safe for concurrent use.
type warned struct {
	mu   sync.Mutex
	seen map[string]struct{}
}

// maxWarned bounds the names that are warned about, which callers choose.
const maxWarned = 1000

// first reports whether a name is new. last: it is the last that will be.
func (w *warned) first(name string) (first, last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.seen[name]; ok || len(w.seen) >= maxWarned {
		return false, false
	}
	if w.seen == nil {
		w.seen = map[string]struct{}{}
	}
	w.seen[name] = struct{}{}
	return true, len(w.seen) == maxWarned
}

func (rs *Roles) warnUnknown(ctx context.Context, name, cause string) {
	rs.warn(ctx, "unknown role or group", name, cause)
}

func (rs *Roles) warnUnresolved(ctx context.Context, name string) {
	rs.warn(ctx, "group or user cannot be compared", name,
		"it is written by name, and the caller's groups are known by SID only: write its SID, or set a Resolver")
}

func (rs *Roles) warn(ctx context.Context, msg, name, cause string) {
	short := name
	if len(short) > 256 {
		short = short[:256] + "..."
	}
	first, last := rs.unknown.first(msg + directory.FoldName(short))
	if first {
		rs.logger().LogAttrs(ctx, slog.LevelWarn, msg, slog.String("name", short), slog.String("cause", cause))
	}
	if last {
		rs.logger().LogAttrs(ctx, slog.LevelWarn, "further unknown names are not logged", slog.Int("names", maxWarned))
	}
}

// rolesKey is for the Roles in a context.
type rolesKey struct{}

// NewContext returns ctx carrying roles for IsInRole. Guard and Roles.Wrap do it
// for each request.
func NewContext(ctx context.Context, roles *Roles) context.Context {
	return context.WithValue(ctx, rolesKey{}, roles)
}

// errNoRoles is a bug in the calling program.
var errNoRoles = errors.New("authz: no roles in the context: put a Guard or Roles.Wrap in front of the handler")

// IsInRole reports whether the caller in ctx belongs to a role or group; see
// Roles.Has. It is an error if ctx has no roles.
func IsInRole(ctx context.Context, name string) (bool, error) {
	rs, _ := ctx.Value(rolesKey{}).(*Roles)
	if rs == nil {
		return false, errNoRoles
	}
	return rs.Has(ctx, authn.FromContext(ctx), name)
}

// HasRole is Has for the caller in ctx, in the form that
// soapserver.RequireRoles takes: where nobody could say it is no, and an error
// in the log. soapserver.Authorize with a Guard tells the caller so.
func (rs *Roles) HasRole(ctx context.Context, name string) bool {
	ok, err := rs.Has(ctx, authn.FromContext(ctx), name)
	if err != nil {
		rs.logger().LogAttrs(ctx, slog.LevelError, "role is not known", slog.String("name", name), slog.Any("cause", err.Error()))
	}
	return ok && err == nil
}
