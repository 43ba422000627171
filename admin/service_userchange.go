package admin

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/realm"
)

// maxTries is how often a change is made anew that another one came before.
const maxTries = 16

// changed is what became of a user.
type changed struct {
	action string // empty: nothing
	end    bool   // the sessions
}

// change reads a user, has become make of it what it is to be, and writes that and
// its record. It does so again if somebody else wrote meanwhile, unless version
// says which one was meant.
func (s *Service) change(ctx context.Context, c *Caller, st *store.Store, name string, version int64, become func(*directory.User) (changed, error)) (*User, error) {
	for try := 1; ; try++ {
		before, err := st.User(ctx, name)
		if err != nil {
			return nil, failed("user "+shown(name), err)
		}
		what := "user " + shown(before.Name)
		if version != 0 && version != before.Version {
			return nil, failed(what, directory.ErrConflict)
		}
		after := *before
		did, err := become(&after)
		if err != nil {
			return nil, err
		}
		if did.action == "" {
			return userOf(before), nil
		}
		var written directory.User
		var ended int
		err = s.audited(ctx, st, c, did.action, before.Name, func(ctx context.Context, change *directory.Change) (err error) {
			if err := s.keepLocalAdmin(ctx, st, before, &after); err != nil {
				return err
			}
			written = after
			if err := st.UpdateUser(ctx, &written); err != nil {
				return err
			}
			if did.end {
				if ended, err = s.ender(st).EndAll(ctx, before.Name); err != nil {
					return err
				}
			}
			change.Before, change.After = recorded(before, 0), recorded(&written, ended)
			return nil
		})
		switch {
		case errors.Is(err, directory.ErrConflict) && version == 0 && try < maxTries:
			continue
		case err != nil:
			return nil, failed(what, err)
		}
		if did.end { // those that began before the others saw the change
			more, err := s.ender(st).EndAll(ctx, before.Name)
			if err != nil {
				return nil, failed(what, err)
			}
			ended += more
		}
		u := userOf(&written)
		u.SessionsEnded = ended
		return u, nil
	}
}

// ChangeUser implements Users.
func (s *Service) ChangeUser(ctx context.Context, name string, uc UserChange) (*User, error) {
	role := Administrator
	if uc.onlyState() {
		role = Operator
	}
	c, err := need(ctx, role)
	if err != nil {
		return nil, err
	}
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	return s.change(ctx, c, st, name, uc.Version, func(u *directory.User) (changed, error) {
		if c.Role < Administrator && (u.LocalAdmin || s.isAdministrator(ctx, u)) {
			return changed{}, &Error{Kind: Forbidden, Text: "for an administrator this needs the role " + Administrator.String()}
		}
		before := *u
		if err := uc.apply(u); err != nil {
			return changed{}, err
		}
		if before.Realm != u.Realm {
			if err := s.checkRealm(u.Realm); err != nil {
				return changed{}, err
			}
		}
		did := changedFrom(&before, u)
		if did.action == "" {
			return did, nil
		}
		if c.is(u) {
			if err := s.keepYourself(&before, u); err != nil {
				return changed{}, err
			}
		}
		s.dropSecrets(&before, u)
		return did, nil
	})
}

// isAdministrator reports whether a provider's user is administrator by his name.
// Who is so by a claim is known only while he is signed in.
func (s *Service) isAdministrator(ctx context.Context, u *directory.User) bool {
	c := s.config()
	if c == nil || c.Admin == nil || !slices.Contains(c.Admin.Login, u.Realm) {
		return false
	}
	roles, err := realm.Roles(c, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return true // nobody can say
	}
	id := *u.Identity()
	id.Roles, id.Groups, id.SID = nil, nil, "" // as package access asks
	return slices.ContainsFunc(c.Admin.Roles.Administrator, func(name string) bool {
		has, err := roles.Has(ctx, &id, name)
		return has || err != nil
	})
}

// onlyState reports whether nothing but the state is to change, as operators may.
func (c *UserChange) onlyState() bool {
	return c.Realm == nil && c.DisplayName == nil && c.Email == nil && c.Phone == nil && c.Roles == nil && c.LocalAdmin == nil
}

// apply makes of a user what c says.
func (c *UserChange) apply(u *directory.User) (err error) {
	for _, f := range []struct {
		to   *string
		from *string
	}{{&u.Realm, c.Realm}, {&u.DisplayName, c.DisplayName}, {&u.Email, c.Email}, {&u.Phone, c.Phone}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if c.Roles != nil {
		if u.Roles, err = rolesOf(*c.Roles); err != nil {
			return err
		}
	}
	if c.LocalAdmin != nil {
		u.LocalAdmin = *c.LocalAdmin
	}
	if c.Disabled != nil {
		u.State = directory.Active
		if *c.Disabled {
			u.State = directory.DisabledByOperator
		}
	}
	return checkUser(u)
}

// changedFrom says what was done to a user.
func changedFrom(before, after *directory.User) changed {
	other := before.Realm != after.Realm || before.DisplayName != after.DisplayName || before.Email != after.Email ||
		before.Phone != after.Phone || before.LocalAdmin != after.LocalAdmin || !slices.Equal(before.Roles, after.Roles)
	state := before.State != after.State
	did := changed{end: state && after.State != directory.Active}
	switch {
	case other:
		did.action = actionChange
	case did.end:
		did.action = actionDisable
	case state:
		did.action = actionEnable
	}
	// Whoever is no administrator any more is not to go on as one.
	did.end = did.end || before.LocalAdmin && !after.LocalAdmin
	return did
}

// dropSecrets takes away what the user must not have as it is now.
func (s *Service) dropSecrets(before, after *directory.User) {
	c := s.config()
	if before.LocalAdmin && !after.LocalAdmin {
		after.SecondFactor, after.RecoveryCodes = authn.Secret{}, nil
		if s.providers() { // it could not have been set
			after.Password, after.NTHash = directory.PasswordHash{}, directory.NTHash{}
		}
	}
	if before.Realm != after.Realm && c != nil && !realm.KeepsNTHash(c, after) {
		after.NTHash = directory.NTHash{}
	}
}

// providers reports whether administrators log in through a provider.
func (s *Service) providers() bool {
	c := s.config()
	return c != nil && c.Admin != nil && len(c.Admin.Login) > 0
}

// is reports whether the caller is a user of the store.
func (c *Caller) is(u *directory.User) bool {
	return directory.FoldName(c.Name) == directory.FoldName(u.Name)
}

func notYourself(what string) error {
	return &Error{Kind: Refused, Text: "you cannot " + what + " yourself", Remedy: "have another administrator do it"}
}

// keepYourself refuses a change by which a caller would shut out himself.
func (s *Service) keepYourself(before, after *directory.User) error {
	switch {
	case before.State == directory.Active && after.State != directory.Active:
		return notYourself("disable")
	case before.LocalAdmin && !after.LocalAdmin:
		return notYourself("demote")
	}
	c := s.config()
	if c == nil || c.Admin == nil {
		return nil
	}
	for _, r := range slices.Concat(c.Admin.Roles.Viewer, c.Admin.Roles.Operator, c.Admin.Roles.Administrator) {
		has := func(roles []string) bool {
			return slices.ContainsFunc(roles, func(o string) bool { return strings.EqualFold(o, r) })
		}
		if has(before.Roles) && !has(after.Roles) {
			return notYourself("take the role " + r + ", by which administrators are known, from")
		}
	}
	return nil
}

// canSignIn reports whether a user can be an administrator while no provider
// works. Nil is nobody.
func canSignIn(u *directory.User) bool {
	return u != nil && u.LocalAdmin && u.State == directory.Active && !u.Password.IsEmpty()
}

// lastLocalAdmin is the note that two who take a local administrator away both
// write, so that one waits for the other, and sees what he did.
const lastLocalAdmin = "admin: local administrator taken away"

// keepLocalAdmin refuses to make of a user what he is to be, nil for nobody, if no
// local administrator were left who can sign in. It belongs into the transaction.
func (s *Service) keepLocalAdmin(ctx context.Context, st *store.Store, before, after *directory.User) error {
	c := s.config()
	if c == nil || c.Admin == nil || c.Admin.Local.Disabled || !canSignIn(before) || canSignIn(after) {
		return nil
	}
	if err := st.SetNote(ctx, lastLocalAdmin, before.Name); err != nil {
		return err
	}
	q := directory.UserQuery{Local: true, State: ptr(directory.Active), Limit: 100}
	for {
		page, err := st.Users(ctx, q)
		if err != nil {
			return err
		}
		for i := range page {
			if page[i].ID != before.ID && canSignIn(&page[i]) {
				return nil
			}
		}
		if len(page) < q.Limit {
			return &Error{
				Kind: Refused, Text: before.Name + " is the last local administrator who can sign in",
				Remedy: "give another user a password and make him a local administrator first; or set admin.local.disabled",
			}
		}
		q.After = page[len(page)-1].Name
	}
}
