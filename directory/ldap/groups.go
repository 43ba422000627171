package ldap

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// Bounds of nested groups. What is beyond them is an error and not a shorter
// list, because a group that is missing may be one that forbids something.
const (
	maxGroups = 5000
	maxDepth  = 64
)

// groups returns the groups of an account, nested ones included, in the order
// of their names.
func (v *view) groups(ctx context.Context, e Entry, sid authn.SID, fresh bool) ([]authn.Group, error) {
	var found []authn.Group
	var err error
	switch {
	case v.d.cfg.Groups == GroupsNone:
		return nil, nil
	case v.domain == nil:
		found, err = v.standardGroups(ctx, e, fresh)
	default:
		found, err = v.domainGroups(ctx, e, sid, fresh)
	}
	if err != nil {
		return nil, err
	}
	if len(found) > maxGroups {
		return nil, fmt.Errorf("ldap: %s is in more than %d groups", printable(e.DN), maxGroups)
	}
	slices.SortFunc(found, func(a, b authn.Group) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(string(a.SID), string(b.SID))
	})
	return slices.Compact(found), nil
}

// domainGroups are the groups of an account of Active Directory, with those
// that each account is in.
func (v *view) domainGroups(ctx context.Context, e Entry, sid authn.SID, fresh bool) ([]authn.Group, error) {
	var sids []authn.SID
	var err error
	lookup := v.d.cfg.Groups
	if _, cut := e.ranged(attrMemberOf); !fresh && lookup == GroupsAuto && !cut {
		lookup = GroupsByMemberOf // many accounts: the groups are remembered
	}
	if lookup == GroupsAuto {
		if sids, err = v.tokenGroups(ctx, e.DN); err != nil {
			return nil, err
		}
		if len(sids) == 0 { // each account has a primary group, so we may not read it
			lookup = GroupsByChain
		}
	}
	switch lookup {
	case GroupsByMemberOf:
		all, err := v.closure(ctx, v.d.graph(fresh), v.directGroups(e))
		if err != nil {
			return nil, err
		}
		for _, one := range all {
			sids = append(sids, one.sid)
		}
	case GroupsByChain:
		if sids, err = v.chain(ctx, e); err != nil {
			return nil, err
		}
	}
	sids = append(sids, sidEveryone, sidAuthenticated)
	slices.Sort(sids)
	sids = slices.Compact(sids)
	sids = slices.DeleteFunc(sids, func(s authn.SID) bool { return s == sid || s == "" })
	return v.nameSIDs(ctx, sids)
}

// tokenGroups asks the domain for all groups of an account (MS-ADTS 3.1.1.4.5.19).
func (v *view) tokenGroups(ctx context.Context, dn string) ([]authn.SID, error) {
	e, err := v.c.only(ctx, Search{Base: dn, Scope: BaseObject, Attributes: []string{attrTokenGroups}})
	if err != nil {
		return nil, err
	}
	values := e.Values(attrTokenGroups)
	sids := make([]authn.SID, 0, len(values))
	for _, b := range values {
		sids = append(sids, decodeSID(b))
	}
	return sids, nil
}

// primary is the group that memberOf leaves out.
func (v *view) primary(e Entry) authn.SID {
	rid, err := strconv.ParseUint(e.Value(attrPrimary), 10, 32)
	if err != nil {
		return ""
	}
	return relative(v.domain.sid, uint32(rid))
}

// securityGroups are groups that count for rights (MS-ADTS 2.2.12), by
// LDAP_MATCHING_RULE_BIT_AND.
const securityGroups = "(groupType:1.2.840.113556.1.4.803:=2147483648)"

// chain asks for all groups that hold the account or its primary group
// (MS-ADTS 3.1.1.3.4.4.3, LDAP_MATCHING_RULE_TRANSITIVE_EVAL).
func (v *view) chain(ctx context.Context, e Entry) ([]authn.SID, error) {
	const member = "member:1.2.840.113556.1.4.1941:"
	heads := []string{Equal(member, e.DN)}
	var sids []authn.SID
	if primary := v.primary(e); primary != "" {
		sids = append(sids, primary)
		found, err := v.load(ctx, v.d.graph(false), []string{sidKey(primary)})
		if err != nil {
			return nil, err
		}
		if p := found[fold(sidKey(primary))]; p != nil {
			heads = append(heads, Equal(member, p.dn))
		}
	}
	err := v.c.SearchPages(ctx, Search{
		Base: v.domain.dn, Filter: And(securityGroups, Or(heads...)), Attributes: []string{attrSID}, Limit: maxGroups,
	}, func(e Entry) error {
		sids = append(sids, decodeSID(e.Value(attrSID)))
		return nil
	})
	return sids, err
}

// nameSIDs gives each SID its name, where somebody knows it.
func (v *view) nameSIDs(ctx context.Context, sids []authn.SID) ([]authn.Group, error) {
	var unknown []string
	for _, sid := range sids {
		if wellKnownName(sid) == "" && strings.HasPrefix(string(sid), string(v.domain.sid)+"-") {
			unknown = append(unknown, sidKey(sid))
		}
	}
	known, err := v.load(ctx, v.d.graph(false), unknown)
	if err != nil {
		return nil, err
	}
	out := make([]authn.Group, len(sids))
	for i, sid := range sids {
		out[i] = authn.Group{SID: sid, Name: wellKnownName(sid)}
		if one := known[fold(sidKey(sid))]; one != nil && out[i].Name == "" {
			out[i].Name = one.name
		}
	}
	return out, nil
}

// A graph holds groups for a piece of work: the shared cache, or one of its own
// where nothing old may be used.
func (d *Directory) graph(fresh bool) *cache {
	if fresh {
		return newCache(d.cfg.CacheTime, d.cfg.Now)
	}
	return d.cache
}

// Keys say what to look for, as it is sent.
func sidKey(sid authn.SID) string { return "sid:" + string(sid) }
func dnKey(dn string) string      { return "dn:" + dn }
func nameKey(name string) string  { return "name:" + name }

// fold is the form in which keys are compared.
func fold(key string) string { return directory.FoldName(key) }

// directGroups returns the keys of the groups that the entry itself names.
func (v *view) directGroups(e Entry) []string {
	var keys []string
	for _, dn := range e.Values(attrMemberOf) {
		keys = append(keys, dnKey(dn))
	}
	if v.domain != nil {
		if primary := v.primary(e); primary != "" {
			keys = append(keys, sidKey(primary))
		}
	}
	return keys
}

// closure returns the groups with these keys and all that they are in, level by
// level. A loop ends where it comes to a group that is there already.
func (v *view) closure(ctx context.Context, g *cache, start []string) ([]*group, error) {
	var all []*group
	seen := map[string]bool{}
	for depth := 0; len(start) > 0; depth++ {
		if depth >= maxDepth {
			return nil, fmt.Errorf("ldap: groups are nested more than %d deep", maxDepth)
		}
		found, err := v.load(ctx, g, start)
		if err != nil {
			return nil, err
		}
		var next []string
		for _, key := range start {
			one := found[fold(key)]
			if one == nil || !one.counts || seen[fold(one.dn)] {
				continue
			}
			seen[fold(one.dn)] = true
			if all = append(all, one); len(all) > maxGroups {
				return nil, fmt.Errorf("ldap: an account in more than %d groups", maxGroups)
			}
			for _, dn := range one.parents {
				if !seen[fold(dn)] {
					next = append(next, dnKey(dn))
				}
			}
		}
		slices.Sort(next)
		start = slices.Compact(next)
	}
	return all, nil
}

// prepareGroups loads in few searches what many accounts need.
func (v *view) prepareGroups(ctx context.Context, entries []Entry) error {
	if v.d.cfg.Groups == GroupsNone || v.domain == nil && v.d.cfg.Groups != GroupsByMemberOf || v.d.cfg.Groups == GroupsByChain {
		return nil
	}
	var keys []string
	for _, e := range entries {
		keys = append(keys, v.directGroups(e)...)
	}
	_, err := v.load(ctx, v.d.graph(false), keys)
	return err
}

// load returns the groups with these keys by their folded keys, nil for those
// that the directory does not have. It asks for what g does not remember.
func (v *view) load(ctx context.Context, g *cache, keys []string) (map[string]*group, error) {
	out := make(map[string]*group, len(keys))
	var missing []string
	for _, key := range keys {
		if _, twice := out[fold(key)]; twice {
			continue
		}
		one, known := g.get(fold(key))
		if out[fold(key)] = one; !known {
			missing = append(missing, key)
		}
	}
	for some := range slices.Chunk(missing, batch) {
		found, err := v.lookUp(ctx, some)
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			for _, key := range one.keys() {
				key = fold(key)
				g.put(one, key)
				if _, asked := out[key]; asked {
					out[key] = one
				}
			}
		}
		for _, key := range some {
			if out[fold(key)] == nil {
				g.put(nil, fold(key))
			}
		}
	}
	return out, nil
}

// keys are what a group can be found by.
func (g *group) keys() []string {
	keys := []string{dnKey(g.dn)}
	if g.asked != "" {
		keys = append(keys, g.asked)
	}
	if g.sid != "" {
		keys = append(keys, sidKey(g.sid))
	}
	if g.name != "" {
		keys = append(keys, nameKey(g.name))
	}
	return keys
}
