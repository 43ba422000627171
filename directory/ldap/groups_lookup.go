package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

func (v *view) groupAttributes() []string {
	names := []string{v.d.cfg.Attributes.Group, "cn", attrMemberOf}
	if v.domain != nil {
		names = append(names, attrSID, attrGroupType)
	}
	return names
}

// lookUp asks for groups by their keys, which are a batch at most.
func (v *view) lookUp(ctx context.Context, keys []string) ([]*group, error) {
	var filters []string
	var out []*group
	for _, key := range keys {
		kind, value, _ := strings.Cut(key, ":")
		switch {
		case kind == "sid":
			if f := bySID(authn.SID(value)); f != "" {
				filters = append(filters, f)
			}
		case kind == "name":
			if local, ok := v.localName(value); ok {
				filters = append(filters, Equal(v.d.cfg.Attributes.Group, local))
			}
		case v.domain != nil:
			filters = append(filters, Equal("distinguishedName", value))
		default: // no attribute has the DN everywhere
			one, err := v.groupAt(ctx, value)
			if err != nil {
				return nil, err
			}
			if one != nil {
				one.asked = key // which the server may spell in another way
				out = append(out, one)
			}
		}
	}
	if len(filters) == 0 {
		return out, nil
	}
	base, which := v.d.cfg.GroupBase, v.d.cfg.GroupFilter
	if v.domain != nil {
		base, which = v.domain.dn, Equal(attrClass, "group")
	}
	err := v.c.SearchPages(ctx, Search{Base: base, Filter: And(which, Or(filters...)), Attributes: v.groupAttributes(), Limit: maxGroups},
		func(e Entry) error { out = append(out, v.group(e)); return nil })
	return out, err
}

// groupAt returns the group with a DN, nil if there is none.
func (v *view) groupAt(ctx context.Context, dn string) (*group, error) {
	found, err := v.c.Search(ctx, Search{Base: dn, Scope: BaseObject, Filter: v.d.cfg.GroupFilter, Attributes: v.groupAttributes(), Limit: 1})
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case err != nil || len(found) == 0:
		return nil, err
	}
	return v.group(found[0]), nil
}

func (v *view) group(e Entry) *group {
	g := &group{dn: e.DN, counts: true, parents: e.Values(attrMemberOf)}
	if v.domain != nil {
		g.sid = decodeSID(e.Value(attrSID))
		kind, _ := strconv.ParseInt(e.Value(attrGroupType), 10, 64)
		g.counts = g.sid != "" && kind < 0 // GROUP_TYPE_SECURITY_ENABLED, MS-ADTS 2.2.12
	}
	if g.name = wellKnownName(g.sid); g.name == "" {
		name := e.Value(v.d.cfg.Attributes.Group)
		if name == "" {
			name = e.Value("cn")
		}
		// It must not pass for one of another domain, for a SID, or for the entry
		// of another directory.
		posesAsDN := strings.Contains(name, "=") && fold(name) != fold(e.DN)
		if name != "" && !strings.Contains(name, `\`) && encodeSID(authn.SID(name)) == "" && !posesAsDN {
			g.name = v.qualify(name)
		}
	}
	return g
}

// standardGroups are the groups of an account of a server that is no Active
// Directory. They have no SIDs.
func (v *view) standardGroups(ctx context.Context, e Entry, fresh bool) ([]authn.Group, error) {
	var all []*group
	var err error
	if v.d.cfg.Groups == GroupsByMemberOf {
		all, err = v.closure(ctx, v.d.graph(fresh), v.directGroups(e))
	} else {
		all, err = v.searchUp(ctx, e)
	}
	if err != nil {
		return nil, err
	}
	out := make([]authn.Group, 0, len(all))
	for _, g := range all {
		if g.name != "" {
			out = append(out, authn.Group{Name: g.name})
		}
	}
	return out, nil
}

// searchUp searches for the groups that have the entry as a member, then for
// those that have one of these, and so on.
func (v *view) searchUp(ctx context.Context, e Entry) ([]*group, error) {
	var members []string
	for _, uid := range e.Values(v.d.cfg.Attributes.Name) {
		members = append(members, Equal("memberUid", uid)) // RFC 2307 2.1
	}
	for _, gid := range e.Values(attrGID) {
		members = append(members, And(Equal(attrClass, "posixGroup"), Equal(attrGID, gid)))
	}
	var all []*group
	seen := map[string]bool{fold(e.DN): true}
	level := []string{e.DN}
	for depth := 0; len(level) > 0; depth++ {
		if depth >= maxDepth {
			return nil, fmt.Errorf("ldap: groups are nested more than %d deep", maxDepth)
		}
		var next []string
		for some := range slices.Chunk(level, batch) {
			for _, dn := range some {
				members = append(members, Equal("member", dn), Equal("uniqueMember", dn)) // RFC 4519 3.5, 3.6
			}
			err := v.c.SearchPages(ctx, Search{
				Base: v.d.cfg.GroupBase, Filter: And(v.d.cfg.GroupFilter, Or(members...)), Attributes: v.groupAttributes(), Limit: maxGroups,
			}, func(e Entry) error {
				if key := fold(e.DN); !seen[key] {
					seen[key] = true
					all, next = append(all, v.group(e)), append(next, e.DN)
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
			members = nil
		}
		if len(all) > maxGroups {
			return nil, fmt.Errorf("ldap: %s is in more than %d groups", printable(e.DN), maxGroups)
		}
		level = next
	}
	return all, nil
}

// A Group is a group under each of its names. At servers other than Active
// Directory it has no SID.
type Group struct {
	DN   string
	SID  authn.SID
	Name string // DOMAIN\name
}

// Group returns the group that is meant by a SID, a DN or DOMAIN\name, with the
// well-known ones, such as BUILTIN\Administrators and Everyone, which may have
// no DN. The error wraps directory.ErrNotFound if there is none. Answers are as
// old as CacheTime.
func (d *Directory) Group(ctx context.Context, what string) (*Group, error) {
	if d.err != nil {
		return nil, d.err
	}
	what = strings.TrimSpace(what)
	sid := authn.SID(strings.ToUpper(what))
	if encodeSID(sid) == "" {
		sid = wellKnownSID(what)
	}
	if name := wellKnownName(sid); name != "" {
		return &Group{SID: sid, Name: name}, nil
	}
	var one *group
	err := d.pool.run(ctx, func(ctx context.Context, c *Conn) error {
		v, err := d.view(ctx, c)
		if err != nil {
			return err
		}
		var key string
		local, ok := v.localName(what)
		switch {
		case sid != "":
			key = sidKey(sid)
		case CheckDN(what) == nil:
			key = dnKey(what)
		case ok:
			key = nameKey(v.qualify(local))
		default:
			return nil
		}
		found, err := v.load(ctx, d.cache, []string{key})
		one = found[fold(key)]
		return err
	})
	if err != nil {
		return nil, d.judge(err)
	}
	if one == nil || !one.counts {
		return nil, fmt.Errorf("ldap: group %q: %w", printable(what), directory.ErrNotFound)
	}
	return &Group{DN: one.dn, SID: one.sid, Name: one.name}, nil
}

// ResolveSID returns the SID of the group or user that is meant by a DN or
// DOMAIN\name, empty if there is none. It implements authz.Resolver.
func (d *Directory) ResolveSID(ctx context.Context, name string) (authn.SID, error) {
	g, err := d.Group(ctx, name)
	switch {
	case err == nil:
		return g.SID, nil
	case !errors.Is(err, directory.ErrNotFound):
		return "", err
	}
	ref := directory.AccountRef{Name: strings.TrimSpace(name)}
	var sid authn.SID
	err = d.pool.run(ctx, func(ctx context.Context, c *Conn) error {
		v, err := d.view(ctx, c)
		if err != nil || v.domain == nil { // others have no SIDs
			return err
		}
		filter, ok := v.filter(ref)
		if CheckDN(ref.Name) == nil {
			filter, ok = Equal("distinguishedName", ref.Name), true
		}
		if !ok {
			return nil
		}
		e, err := v.one(ctx, v.accountFilter(filter), ref)
		if err != nil {
			return err
		}
		a, err := v.read(e)
		if err != nil {
			return err
		}
		sid = a.SID
		return nil
	})
	switch {
	case err == nil:
		return sid, nil
	case errors.Is(err, directory.ErrNotFound):
		return "", nil
	}
	return "", d.judge(err)
}
