package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// A view is the directory as it shows itself on one connection, for one piece
// of work.
type view struct {
	d      *Directory
	c      *Conn
	domain *domain // nil for Standard
}

func (d *Directory) view(ctx context.Context, c *Conn) (*view, error) {
	v := &view{d: d, c: c}
	if d.cfg.Kind == ActiveDirectory {
		var err error
		if v.domain, err = d.learnDomain(ctx, c); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (v *view) base() string {
	if v.d.cfg.BaseDN == "" && v.domain != nil {
		return v.domain.dn
	}
	return v.d.cfg.BaseDN
}

// Attributes that are read besides those of the configuration (MS-ADA1 to
// MS-ADA3; RFC 2307, RFC 4512 3.4).
const (
	attrClass       = "objectClass"
	attrSID         = "objectSid"
	attrControl     = "userAccountControl"
	attrExpires     = "accountExpires"
	attrMemberOf    = "memberOf"
	attrPrimary     = "primaryGroupID"
	attrTokenGroups = "tokenGroups"
	attrGroupType   = "groupType"

	attrShadowExpire = "shadowExpire"
	attrLockedTime   = "pwdAccountLockedTime" // of OpenLDAP's policies
	attrNSLock       = "nsAccountLock"        // of 389 and FreeIPA
	attrGID          = "gidNumber"
)

func (v *view) attributes() []string {
	a := v.d.cfg.Attributes
	names := []string{a.Name, a.DisplayName, a.Email, a.Phone, "cn", attrMemberOf}
	if a.UPN != "" {
		names = append(names, a.UPN)
	}
	if v.domain != nil {
		return append(names, attrSID, attrControl, attrExpires, attrPrimary)
	}
	return append(names, attrShadowExpire, attrLockedTime, attrNSLock, attrGID)
}

// find returns the entry of one account.
func (v *view) find(ctx context.Context, ref directory.AccountRef) (Entry, error) {
	filter, ok := v.filter(ref)
	if !ok {
		return Entry{}, notFound(ref)
	}
	return v.one(ctx, v.accountFilter(filter), ref)
}

// one returns the only entry that a filter fits.
func (v *view) one(ctx context.Context, filter string, ref directory.AccountRef) (Entry, error) {
	found, err := v.c.Search(ctx, Search{Base: v.base(), Filter: filter, Attributes: v.attributes(), Limit: 2})
	if errors.Is(err, ErrTooMany) || len(found) > 1 {
		return Entry{}, fmt.Errorf("%w: %s below %s", errAmbiguous, refText(ref), v.base())
	}
	if err != nil {
		return Entry{}, err
	}
	if len(found) == 0 {
		return Entry{}, notFound(ref)
	}
	return found[0], nil
}

// errAmbiguous means that a name is that of several entries, so that nobody can
// say whose it is.
var errAmbiguous = errors.New("ldap: several entries for one account: make the filter narrower, or the base")

func notFound(ref directory.AccountRef) error {
	return fmt.Errorf("ldap: account %s: %w", refText(ref), directory.ErrNotFound)
}

func refText(ref directory.AccountRef) string {
	if ref.SID != "" {
		return printable(string(ref.SID))
	}
	return strconv.QuoteToASCII(printable(ref.Name))
}

// filter returns the filter for an account. It reports false if this directory
// cannot have it.
func (v *view) filter(ref directory.AccountRef) (string, bool) {
	if ref.SID != "" && v.domain != nil {
		f := bySID(ref.SID)
		return f, f != ""
	}
	name, ok := v.localName(ref.Name)
	if !ok {
		return "", false
	}
	return Equal(v.d.cfg.Attributes.Name, name), true
}

// accountFilter narrows a filter to accounts, as against groups.
func (v *view) accountFilter(filter string) string {
	if v.domain != nil {
		return And(Equal(attrClass, "user"), filter)
	}
	return filter
}

// localName takes the domain off a name. It reports false for another domain,
// and for what cannot be a name.
func (v *view) localName(name string) (string, bool) {
	prefix, local, ok := strings.Cut(name, `\`)
	if !ok {
		prefix, local = "", name
	}
	if ok && prefix == "" || strings.Contains(local, `\`) {
		return "", false
	}
	if prefix != "" && !v.ours(prefix) || local == "" || checkName(local) != nil {
		return "", false
	}
	return local, true
}

// ours reports whether a domain that somebody wrote is this one.
func (v *view) ours(name string) bool {
	if v.domain != nil && (strings.EqualFold(name, v.domain.netbios) || strings.EqualFold(name, v.domain.dns)) {
		return true
	}
	return v.d.cfg.DefaultDomain != "" && strings.EqualFold(name, v.d.cfg.DefaultDomain)
}

// domainName is the domain that names of accounts and groups get.
func (v *view) domainName() string {
	if v.domain != nil {
		return v.domain.netbios
	}
	return v.d.cfg.DefaultDomain
}

func (v *view) qualify(name string) string {
	if d := v.domainName(); d != "" {
		return d + `\` + name
	}
	return name
}

// account makes an account of its entry. The groups are those of this moment if
// fresh is set.
func (v *view) account(ctx context.Context, e Entry, fresh bool) (*directory.Account, error) {
	a, err := v.read(e)
	if err != nil {
		return nil, err
	}
	if a.Groups, err = v.groups(ctx, e, a.SID, fresh); err != nil {
		return nil, err
	}
	return a, nil
}

// read is account without groups.
func (v *view) read(e Entry) (*directory.Account, error) {
	attr := v.d.cfg.Attributes
	name := nameOf(e, attr.Name)
	if name == "" {
		return nil, fmt.Errorf("ldap: %s has no %s, or we may not read it", printable(e.DN), attr.Name)
	}
	if strings.Contains(name, `\`) {
		return nil, fmt.Errorf("%w: %s of %s", errBackslash, attr.Name, printable(e.DN))
	}
	a := &directory.Account{
		Name: v.qualify(name), DN: e.DN,
		DisplayName: e.Value(attr.DisplayName), Email: e.Value(attr.Email), Phone: e.Value(attr.Phone),
	}
	if a.DisplayName == "" {
		a.DisplayName = e.Value("cn")
	}
	if attr.UPN != "" {
		a.UPN = e.Value(attr.UPN)
	}
	if v.domain == nil {
		a.Disabled = strings.EqualFold(e.Value(attrNSLock), "TRUE") || e.Value(attrLockedTime) == "000001010000Z"
		a.Expires = shadowTime(e.Value(attrShadowExpire))
		return a, nil
	}
	if a.SID = decodeSID(e.Value(attrSID)); a.SID == "" {
		return nil, fmt.Errorf("ldap: %s has no %s, or we may not read it", printable(e.DN), attrSID)
	}
	const controlDisabled = 0x2 // MS-ADTS 2.2.16
	control := e.Value(attrControl)
	if control == "" { // an account that we cannot judge must not pass for one that is enabled
		return nil, fmt.Errorf("ldap: %s of %s cannot be read: give the account that reads the right to read it", attrControl, printable(e.DN))
	}
	n, err := strconv.ParseInt(control, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("ldap: %s of %s is no number", attrControl, printable(e.DN))
	}
	a.Disabled = n&controlDisabled != 0
	a.Expires = fileTime(e.Value(attrExpires))
	return a, nil
}

// errBackslash is of a name that would pass for one of another domain.
var errBackslash = errors.New("ldap: a name has a backslash, which is between a domain and a name: rename the account, or use another attribute")

// nameOf returns the value of the attribute with the account's name. Of several
// values it is the one in the DN, so that it is always the same one.
func nameOf(e Entry, attribute string) string {
	values := e.Values(attribute)
	if len(values) < 2 {
		return e.Value(attribute)
	}
	if dn, err := goldap.ParseDN(e.DN); err == nil && len(dn.RDNs) > 0 {
		for _, a := range dn.RDNs[0].Attributes {
			if strings.EqualFold(a.Type, attribute) && slices.Contains(values, a.Value) {
				return a.Value
			}
		}
	}
	return slices.Min(values)
}

// fileTime reads a time of Active Directory (MS-ADTS 2.3, accountExpires): 100
// ns since 1601, of which 0 and the largest number are never.
func fileTime(s string) time.Time {
	const toUnix = 116444736000000000
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n == 1<<63-1 {
		return time.Time{}
	}
	n -= toUnix
	return time.Unix(n/1e7, n%1e7*100).UTC()
}

// shadowTime reads days since 1970 (RFC 2307 3), of which negative ones are
// never.
func shadowTime(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 {
		return time.Time{}
	}
	return time.Unix(n*24*60*60, 0).UTC()
}

// batch is how many alternatives one filter has.
const batch = 100

// accounts returns accounts in the order of refs, nil for those not found.
func (v *view) accounts(ctx context.Context, refs []directory.AccountRef) ([]*directory.Account, error) {
	out := make([]*directory.Account, len(refs))
	wanted := make(map[string][]int, len(refs)) // by SID, or folded name
	filters := make([]string, 0, len(refs))
	for i, ref := range refs {
		f, ok := v.filter(ref)
		if !ok {
			continue
		}
		key := v.key(ref.SID, ref.Name)
		if _, known := wanted[key]; !known {
			filters = append(filters, f)
		}
		wanted[key] = append(wanted[key], i)
	}
	var entries []Entry
	for some := range slices.Chunk(filters, batch) {
		err := v.c.SearchPages(ctx, Search{Base: v.base(), Filter: v.accountFilter(Or(some...)), Attributes: v.attributes(), Limit: 2 * batch},
			func(e Entry) error { entries = append(entries, e); return nil })
		if err != nil {
			return nil, err
		}
	}
	if err := v.prepareGroups(ctx, entries); err != nil {
		return nil, err
	}
	for _, e := range entries {
		a, err := v.account(ctx, e, false)
		if errors.Is(err, errBackslash) {
			continue // nobody asked for such a name; one account must not stop the others
		}
		if err != nil {
			return nil, err
		}
		names := []string{a.Name}
		for _, n := range e.Values(v.d.cfg.Attributes.Name) {
			names = append(names, v.qualify(n))
		}
		keys := []string{v.key(a.SID, "")}
		for _, n := range names {
			keys = append(keys, v.key("", n))
		}
		slices.Sort(keys)
		for _, key := range slices.Compact(keys) {
			for _, i := range wanted[key] {
				if out[i] != nil && out[i].DN != a.DN {
					return nil, fmt.Errorf("%w: %s below %s", errAmbiguous, refText(refs[i]), v.base())
				}
				out[i] = a
			}
		}
	}
	return out, nil
}

// key is what an account is looked up by among those found.
func (v *view) key(sid authn.SID, name string) string {
	if sid != "" && v.domain != nil {
		return "sid:" + strings.ToUpper(string(sid))
	}
	local, ok := v.localName(name)
	if !ok {
		return ""
	}
	return "name:" + directory.FoldName(local)
}
