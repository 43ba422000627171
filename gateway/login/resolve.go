package login

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/ldap"
)

// resolver is the directory of a realm.
type resolver struct {
	domains []string
	base    string
	ask     authz.Resolver
}

// resolvers finds out which directory knows a name.
type resolvers []resolver

var _ authz.Resolver = resolvers(nil)

// ResolveSID implements authz.Resolver. DOMAIN\name goes to the directory of that
// domain and a distinguished name to the one that it is below; a name that belongs
// to none of them, such as BUILTIN\Administrators, to one after the other.
func (rs resolvers) ResolveSID(ctx context.Context, name string) (authn.SID, error) {
	asked := rs
	if domain, _, ok := strings.Cut(name, `\`); ok {
		if of := slices.DeleteFunc(slices.Clone(rs), func(r resolver) bool { return !r.has(domain) }); len(of) > 0 {
			asked = of
		}
	} else if of := slices.DeleteFunc(slices.Clone(rs), func(r resolver) bool { return r.base == "" || !ldap.IsUnder(name, r.base) }); len(of) > 0 {
		asked = of
	}
	var failed error
	for _, r := range asked {
		sid, err := r.ask.ResolveSID(ctx, name)
		switch {
		case err == nil && sid != "":
			return sid, nil
		case err != nil && failed == nil:
			failed = fmt.Errorf("login: directory of %s: %w", strings.Join(r.domains, ", "), err)
		}
	}
	return "", failed
}

func (r resolver) has(domain string) bool {
	return slices.ContainsFunc(r.domains, func(d string) bool { return directory.FoldName(d) == directory.FoldName(domain) })
}
