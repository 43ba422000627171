package ldap

import (
	"strings"

	goldap "github.com/go-ldap/ldap/v3"
)

// An Entry is what a search found. It is never modified.
type Entry struct {
	DN string

	values map[string][]string // by name in lower case
}

func newEntry(e *goldap.Entry) Entry {
	out := Entry{DN: e.DN, values: make(map[string][]string, len(e.Attributes))}
	for _, a := range e.Attributes {
		name := strings.ToLower(a.Name)
		out.values[name] = append(out.values[name], a.Values...)
	}
	return out
}

// NewEntry returns an entry with these attributes, for those who implement a
// directory of their own in tests.
func NewEntry(dn string, attributes ...Attribute) Entry {
	e := Entry{DN: dn, values: make(map[string][]string, len(attributes))}
	for _, a := range attributes {
		name := strings.ToLower(a.Name)
		e.values[name] = append(e.values[name], a.Values...)
	}
	return e
}

// Values returns all values of an attribute, in the server's order, nil if
// there are none. The name's case does not matter.
func (e Entry) Values(name string) []string { return e.values[strings.ToLower(name)] }

// Value returns the first value of an attribute, "" if there is none.
func (e Entry) Value(name string) string {
	if v := e.Values(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// Equal returns the filter for entries that have a value, which is escaped (RFC
// 4515 3).
func Equal(attribute, value string) string {
	return "(" + attribute + "=" + goldap.EscapeFilter(value) + ")"
}

// And returns the filter for entries that all filters fit.
func And(filters ...string) string { return "(&" + strings.Join(filters, "") + ")" }

// Or returns the filter for entries that one of the filters fits.
func Or(filters ...string) string { return "(|" + strings.Join(filters, "") + ")" }

// Child returns the DN of an entry directly below another, such as
// Child("CN", name, "OU=Gateways,DC=corp,DC=test"). The value is escaped (RFC
// 4514 2.4), parent must be a DN.
func Child(attribute, value, parent string) string {
	return attribute + "=" + goldap.EscapeDN(value) + "," + parent
}

// CheckDN refuses what is no DN (RFC 4514 3).
func CheckDN(dn string) error {
	parsed, err := goldap.ParseDN(dn)
	if err != nil {
		return plainError("DN", dn, err)
	}
	if len(parsed.RDNs) == 0 {
		return plainError("DN", dn, errEmptyDN)
	}
	return nil
}

// IsUnder reports whether a DN is that of an entry below another, or the same.
// What is no DN is under nothing.
func IsUnder(dn, ancestor string) bool {
	d, err := goldap.ParseDN(dn)
	if err != nil {
		return false
	}
	a, err := goldap.ParseDN(ancestor)
	if err != nil {
		return false
	}
	return a.EqualFold(d) || a.AncestorOfFold(d)
}

// ranged reports whether the server gave a part of the values only, under a
// name such as "memberOf;range=0-1499" (MS-ADTS 3.1.1.3.1.3.3), and returns
// that part.
func (e Entry) ranged(name string) ([]string, bool) {
	prefix := strings.ToLower(name) + ";range="
	for n, values := range e.values {
		if strings.HasPrefix(n, prefix) {
			return values, true
		}
	}
	return nil, false
}
