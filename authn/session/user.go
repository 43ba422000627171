package session

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// Users is what CheckUser asks, such as a directory/store.Store.
type Users interface {
	User(ctx context.Context, name string) (*directory.User, error)
	UserBySID(ctx context.Context, sid authn.SID) (*directory.User, error)
}

// firstLogin is how long after the proof of a password the user's row may be
// made, at a first login.
const firstLogin = time.Minute

// CheckUser returns a Manager.Check that ends sessions of users who were
// disabled or deleted, or deleted and made again, and gives the others the roles
// they are granted now. A group that the row does not have any more, because the
// directory was asked since the login, is taken from the caller. It is for
// services whose users all have a row: one that is not there counts as deleted.
func CheckUser(users Users) func(context.Context, *authn.Identity) (*authn.Identity, error) {
	return func(ctx context.Context, id *authn.Identity) (*authn.Identity, error) {
		u, err := findUser(ctx, users, id)
		if errors.Is(err, directory.ErrNotFound) {
			return nil, &authn.RefusedError{Mechanism: id.Mechanism, Reason: authn.ReasonUnknownUser, User: id.String()}
		}
		if err != nil {
			return nil, err
		}
		since := began(ctx, id)
		switch {
		case u.State != directory.Active:
			return nil, &authn.RefusedError{Mechanism: id.Mechanism, Reason: authn.ReasonDisabled, User: id.String()}
		case id.SID != "" && u.SID != "" && id.SID != u.SID,
			(id.SID == "" || u.SID == "") && !since.IsZero() && u.Created.After(since.Add(firstLogin)):
			return nil, &authn.RefusedError{
				Mechanism: id.Mechanism, Reason: authn.ReasonUnknownUser, User: id.String(),
				Err: errors.New("the user of that name is another one now"),
			}
		}
		groups := withoutFormer(id, since, u)
		if slices.Equal(groups, id.Groups) && slices.Equal(id.Roles, u.Roles) {
			return id, nil
		}
		c := *id // an Identity is never modified after it was made
		c.Groups, c.Roles = groups, u.Roles
		return &c, nil
	}
}

// beganKey is for when the session began whose caller is checked.
type beganKey struct{}

// began returns when the session began. The time of the login is another one for
// Kerberos: there it is that of the ticket-granting ticket, which may be hours
// before a first login here.
func began(ctx context.Context, id *authn.Identity) time.Time {
	if t, ok := ctx.Value(beganKey{}).(time.Time); ok {
		return t
	}
	return id.AuthTime
}

// withoutFormer returns the groups of an identity without those that the user was
// taken out of since the login. Groups that Windows asserted of other domains,
// which the directory need not know, stay until the session ends.
func withoutFormer(id *authn.Identity, since time.Time, u *directory.User) []authn.Group {
	if since.IsZero() || !u.Refreshed.After(since) || len(id.Claims) > 0 { // an issuer's groups are not the directory's
		return id.Groups
	}
	windows := id.Mechanism == authn.MechanismKerberos || id.Mechanism == authn.MechanismNTLM
	switch {
	case windows && len(u.Groups) == 0: // each account of a domain has one: the directory is not asked for them
		return id.Groups
	case !windows, id.SID == "":
		return u.Groups
	}
	domain := string(id.SID[:strings.LastIndexByte(string(id.SID), '-')+1])
	now := make(map[authn.SID]bool, len(u.Groups))
	for _, g := range u.Groups {
		now[g.SID] = true
	}
	return slices.DeleteFunc(slices.Clone(id.Groups), func(g authn.Group) bool {
		return domain != "" && strings.HasPrefix(string(g.SID), domain) && !now[g.SID]
	})
}

// findUser asks by SID first, which a user keeps when the name changes.
func findUser(ctx context.Context, users Users, id *authn.Identity) (*directory.User, error) {
	if id.SID != "" {
		u, err := users.UserBySID(ctx, id.SID)
		if !errors.Is(err, directory.ErrNotFound) {
			return u, err
		}
	}
	return users.User(ctx, id.String())
}
