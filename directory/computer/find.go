package computer

import (
	"context"
	"fmt"
	"net"
	"strings"
)

// A Resolver finds the services of a domain. *net.Resolver is one.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// maxControllers bounds how many controllers are taken from DNS.
const maxControllers = 16

// FindControllers asks DNS for the domain controllers of a domain (MS-ADTS
// 6.3.2.3), in the order they are to be tried. Nil means net.DefaultResolver.
// DNS is not to be trusted with who gets a password: a controller outside of
// the domain is left out, for its certificate would prove nothing but that its
// name is its own.
func FindControllers(ctx context.Context, r Resolver, domain string) ([]string, error) {
	if !isDomain(domain) {
		return nil, fmt.Errorf("computer: domain %q: want its DNS name, such as corp.test", domain)
	}
	if r == nil {
		r = net.DefaultResolver
	}
	_, records, err := r.LookupSRV(ctx, "ldap", "tcp", "dc._msdcs."+domain)
	if err != nil && len(records) == 0 { // with records, some names were odd
		return nil, fmt.Errorf("computer: find the controllers of %s: %w", domain, err)
	}
	var out, foreign []string
	for _, rec := range records {
		name := strings.ToLower(strings.TrimSuffix(rec.Target, "."))
		switch {
		case name == "" || !isHost(name): // "no such service" (RFC 2782), or no name
		case !strings.HasSuffix(name, "."+strings.ToLower(domain)):
			foreign = append(foreign, name)
		case len(out) < maxControllers:
			out = append(out, name)
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case len(foreign) > 0:
		return nil, fmt.Errorf("computer: DNS says that %q is a controller of %s, which its name does not bear out; name the controller if that is so", foreign[0], domain)
	}
	return nil, fmt.Errorf("computer: DNS names no controller of %s", domain)
}
