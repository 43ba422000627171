package realm

import (
	"log/slog"

	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/config"
)

// Roles makes the roles of a configuration. resolver finds groups by their names;
// it may be nil.
func Roles(c *config.Config, resolver authz.Resolver, log *slog.Logger) (*authz.Roles, error) {
	roles := make(map[string]authz.Role, len(c.Roles))
	for name, r := range c.Roles {
		role := authz.Role{Groups: r.Groups, Users: r.Users, Roles: r.Roles, Source: c.Position(r)}
		for _, claim := range r.Claims {
			if claim.Realm != "" {
				role.ClaimsOf = append(role.ClaimsOf, authz.DomainClaim{Domain: claim.Realm, Name: claim.Name, Value: claim.Value})
				continue
			}
			if role.Claims == nil {
				role.Claims = make(map[string][]string)
			}
			role.Claims[claim.Name] = append(role.Claims[claim.Name], claim.Value)
		}
		roles[name] = role
	}
	return authz.NewRoles(authz.Config{Roles: roles, Resolver: resolver, Logger: log})
}
