package access

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

// Mechanisms of decisions, and of local administrators' identities.
const (
	mechOIDC   = "oidc"
	mechLocal  = "local"
	mechToken  = "token" // one for the command line was given, or shown
	mechLogout = authn.MechanismLogout
)

// commandLine is admin.Caller.Login of a token.
const commandLine = "command line"

// errNoRole means that it is known who somebody is, and that he is no
// administrator.
var errNoRole = errors.New("access: none of admin.roles")

// role returns what an identity may do. It is asked at each request: what was true
// at the login may not be now. An error is one of authz.Roles, or of nobody's role.
func (c *core) role(ctx context.Context, id *authn.Identity) (admin.Role, error) {
	if id.Mechanism == mechLocal {
		return admin.Administrator, nil
	}
	if c.Roles == nil {
		return admin.NoRole, errNoRole
	}
	// Who may change users could make himself an administrator, if a role that was
	// granted in the store counted. A provider has no groups of a domain.
	asked := *id
	asked.Roles, asked.Groups, asked.SID = nil, nil, ""
	var failed error
	for _, r := range []struct {
		role  admin.Role
		names []string
	}{
		{admin.Administrator, c.admin.Roles.Administrator},
		{admin.Operator, c.admin.Roles.Operator},
		{admin.Viewer, c.admin.Roles.Viewer},
	} {
		for _, name := range r.names {
			if directory.FoldName(name) == authz.Anonymous {
				continue
			}
			has, err := c.Roles.Has(ctx, &asked, name)
			if err != nil {
				failed = fmt.Errorf("access: admin.roles: %q: %w", name, err)
			}
			if has {
				return r.role, nil
			}
		}
	}
	if failed != nil {
		return admin.NoRole, failed
	}
	return admin.NoRole, errNoRole
}

// caller is an identity as package admin knows it.
func (c *core) caller(id *authn.Identity, role admin.Role, peer string) *admin.Caller {
	by := &admin.Caller{Name: id.String(), Role: role, Local: id.Mechanism == mechLocal, Peer: peer, Login: LocalName}
	if !by.Local {
		by.Login, _ = c.providerOf(id)
		by.Identity = id
	}
	return by
}

// providerOf returns the provider that an identity is of: its domain is the realm.
func (c *core) providerOf(id *authn.Identity) (string, provider) {
	if p, ok := c.providers[id.Domain]; ok {
		return id.Domain, p
	}
	for name, p := range c.providers {
		if strings.EqualFold(name, id.Domain) {
			return name, p
		}
	}
	return id.Domain, nil
}

// shown is what people know a realm's provider by.
func (c *core) shown(realm string) string {
	if r := c.Config.Realms[realm]; r != nil && r.OIDC != nil {
		return r.OIDC.Shown(realm)
	}
	return realm
}

// issuer is that of a realm's provider, empty if there is none.
func (c *core) issuer(realm string) string {
	if r := c.Config.Realms[realm]; r != nil && r.OIDC != nil {
		return r.OIDC.Issuer.String()
	}
	return ""
}

// check says whether the user of a session or a token may go on.
func (c *core) check(ctx context.Context, id *authn.Identity) (*authn.Identity, error) {
	users := &seenUsers{Store: c.Store}
	checked, err := session.CheckUser(users)(ctx, id)
	if err != nil {
		return nil, err
	}
	refuse := func(reason authn.Reason, text string) (*authn.Identity, error) {
		return nil, &authn.RefusedError{Mechanism: id.Mechanism, Reason: reason, User: id.String(), Err: errors.New(text)}
	}
	u := users.seen
	switch {
	case u == nil:
		return refuse(authn.ReasonUnknownUser, "the user is not in the store")
	case id.Mechanism == mechLocal:
		if why := c.notLocal(u); why != "" {
			return refuse(authn.ReasonPolicy, why)
		}
		if u.SecondFactor.IsEmpty() && !c.admin.Local.AllowWithoutSecondFactor {
			return refuse(authn.ReasonPolicy, "the second factor was taken away, and has to be set up anew")
		}
	default:
		name, p := c.providerOf(id)
		if p == nil {
			return refuse(authn.ReasonPolicy, "the provider "+name+" is not in admin.login any more")
		}
		// A realm may have got another provider, which has not named this user.
		if iss := id.Claims["iss"]; len(iss) != 1 || iss[0] != c.issuer(name) {
			return refuse(authn.ReasonPolicy, fmt.Sprintf("the login was at the issuer %.200q, and %s has another one now", iss, name))
		}
	}
	return checked, nil
}

// notLocal says why a user cannot sign in here with a password.
func (c *core) notLocal(u *directory.User) string {
	switch {
	case c.admin.Local.Disabled:
		return "admin.local.disabled keeps local administrators out"
	case !u.LocalAdmin:
		return "the user is no local administrator"
	}
	return ""
}

// seenUsers remembers the user that was found.
type seenUsers struct {
	*store.Store
	seen *directory.User
}

// User implements session.Users.
func (s *seenUsers) User(ctx context.Context, name string) (*directory.User, error) {
	u, err := s.Store.User(ctx, name)
	s.seen = u
	return u, err
}

// UserBySID implements session.Users.
func (s *seenUsers) UserBySID(ctx context.Context, sid authn.SID) (*directory.User, error) {
	u, err := s.Store.UserBySID(ctx, sid)
	s.seen = u
	return u, err
}

// once reports whether something was not used before, at no node: what is counted
// as a failure of a key has a count that no two calls see.
func (c *core) once(ctx context.Context, kind, value string) (bool, error) {
	now := c.a.now()
	counts, err := c.Store.AddFailure(ctx, now, now.Add(-usedFor), "used "+kind+" "+digest(value))
	if err != nil {
		return false, fmt.Errorf("access: %w", err)
	}
	return len(counts) == 1 && counts[0] == 1, nil
}
