package session

import (
	"context"
	"errors"
	"slices"
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
// they are granted now, and the groups as of the last time that the directory was
// asked. It is for services whose users all have a row: one that is not there
// counts as deleted.
func CheckUser(users Users) func(context.Context, *authn.Identity) (*authn.Identity, error) {
	return func(ctx context.Context, id *authn.Identity) (*authn.Identity, error) {
		u, err := findUser(ctx, users, id)
		if errors.Is(err, directory.ErrNotFound) {
			return nil, &authn.RefusedError{Mechanism: id.Mechanism, Reason: authn.ReasonUnknownUser, User: id.String()}
		}
		if err != nil {
			return nil, err
		}
		switch {
		case u.State != directory.Active:
			return nil, &authn.RefusedError{Mechanism: id.Mechanism, Reason: authn.ReasonDisabled, User: id.String()}
		case id.SID != "" && u.SID != "" && id.SID != u.SID,
			(id.SID == "" || u.SID == "") && !id.AuthTime.IsZero() && u.Created.After(id.AuthTime.Add(firstLogin)):
			return nil, &authn.RefusedError{
				Mechanism: id.Mechanism, Reason: authn.ReasonUnknownUser, User: id.String(),
				Err: errors.New("the user of that name is another one now"),
			}
		}
		refreshed := u.Refreshed.After(id.AuthTime) // the directory was asked since
		if slices.Equal(id.Roles, u.Roles) && !refreshed {
			return id, nil
		}
		c := *id // an Identity is never modified after it was made
		if c.Roles = u.Roles; refreshed {
			c.Groups = u.Groups
		}
		return &c, nil
	}
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
