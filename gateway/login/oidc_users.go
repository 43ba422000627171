package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/directory"
)

const (
	writeTries = 4 // to write what others write as well

	// asOf is how exactly a row says when the provider was asked, and maxText bounds
	// what is taken from claims, in bytes.
	asOf    = time.Hour
	maxText = 256
)

// Subject is directory.User.Subject of a user of a provider.
func Subject(issuer, sub string) string { return issuer + " " + sub }

// provided are the users of a provider in the store.
type provided struct {
	users  *realmUsers
	known  *cachedUsers
	issuer string
	create bool
	now    func() time.Time
}

// admit returns a caller as a user of the realm: a row is made at the first login,
// and is of that subject from then on, whatever names the provider gives later. The
// error is a *authn.RefusedError for who must not log in.
func (p *provided) admit(ctx context.Context, id *authn.Identity, sub string, fresh bool) (*authn.Identity, error) {
	subject := Subject(p.issuer, sub)
	if sub == "" {
		return nil, refusedUser(id, authn.ReasonMalformed, "the provider names no subject", "")
	}
	if !fresh { // a program sends the same token with each request
		u, err := p.known.get("o"+subject, func() (*directory.User, error) { return p.users.store.UserBySubject(ctx, subject) })
		if err == nil && u.State == directory.Active && owns(p.users.realm, p.users.aliases, u.Realm) && directory.FoldName(u.Name) == directory.FoldName(id.String()) {
			return dressed(id, u), nil
		}
	}
	for try := 0; ; try++ {
		u, err := p.find(ctx, id, subject)
		if err == nil {
			u, err = p.write(ctx, u, id, subject)
		}
		// Somebody else wrote, or made the row, meanwhile.
		if (errors.Is(err, directory.ErrConflict) || errors.Is(err, directory.ErrExists) || errors.Is(err, directory.ErrNotFound)) && try < writeTries {
			continue
		}
		switch {
		case errors.Is(err, directory.ErrExists):
			return nil, refusedUser(id, authn.ReasonUnknownUser, "another user has the name", "rename one of them")
		case err != nil:
			return nil, err
		case u.State != directory.Active:
			return nil, refusedUser(id, authn.ReasonDisabled, u.State.String(), "")
		}
		if fresh {
			if err := p.users.TouchLogin(ctx, u.ID, p.now()); err != nil && !errors.Is(err, directory.ErrNotFound) {
				return nil, fmt.Errorf("login: %w", err)
			}
		}
		return dressed(id, u), nil
	}
}

// dressed is a caller under the name of the row, with its roles.
func dressed(id *authn.Identity, u *directory.User) *authn.Identity {
	c := *id // an Identity is never modified after it was made
	c.Domain, c.Account = u.Account()
	c.Roles = u.Roles
	return &c
}

// find returns the row of a subject, or one of the name that is nobody's yet, nil if
// there is neither.
func (p *provided) find(ctx context.Context, id *authn.Identity, subject string) (*directory.User, error) {
	st := p.users.store
	u, err := st.UserBySubject(ctx, subject)
	if errors.Is(err, directory.ErrNotFound) {
		u, err = st.User(ctx, id.String())
	}
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("login: look for the user: %w", err)
	case u.Realm != p.users.realm && !slices.Contains(p.users.aliases, u.Realm):
		return nil, refusedUser(id, authn.ReasonUnknownUser, fmt.Sprintf("the name is that of a user of the realm %q", u.Realm), "")
	case u.Subject != "" && u.Subject != subject:
		return nil, refusedUser(id, authn.ReasonUnknownUser, "the name was given to another subject of the provider before",
			"if it is the same person, or the former user is gone, delete the user or rename it; its roles are not meant for who has the name now")
	case u.Subject == "" && (u.LocalAdmin || u.SID != "" || !u.Password.IsEmpty()):
		return nil, refusedUser(id, authn.ReasonUnknownUser, "the name is that of a user who is known by other means", "")
	}
	return u, nil
}

// write brings a row up to date with what the provider says, or makes it.
func (p *provided) write(ctx context.Context, u *directory.User, id *authn.Identity, subject string) (*directory.User, error) {
	st, now := p.users.store, p.now()
	if u == nil {
		if !p.create {
			return nil, refusedUser(id, authn.ReasonUnknownUser, "there is no such user", "add it, or let realms."+p.users.realm+".create_users make users at their first login")
		}
		u = &directory.User{Realm: p.users.realm, Name: id.String(), Subject: subject, Refreshed: now}
		told(u, id)
		if err := st.CreateUser(ctx, u); err != nil {
			return nil, fmt.Errorf("login: make the user: %w", err)
		}
		return u, nil
	}
	if u.State != directory.Active { // it stays as it was when that was decided
		return u, nil
	}
	c, former := *u, ""
	c.Realm, c.Subject = p.users.realm, subject
	if directory.FoldName(u.Name) != directory.FoldName(id.String()) {
		c.Name, former = id.String(), u.Name
	}
	told(&c, id)
	if c.Realm == u.Realm && c.Subject == u.Subject && former == "" && c.DisplayName == u.DisplayName && c.Email == u.Email && c.Phone == u.Phone &&
		now.Sub(u.Refreshed) < asOf {
		return u, nil
	}
	c.Refreshed = now
	if err := st.UpdateUser(ctx, &c); err != nil {
		return nil, fmt.Errorf("login: update the user: %w", err)
	}
	if former != "" { // sessions are of a name
		if _, err := st.DeleteSessionsOf(ctx, former); err != nil {
			return nil, fmt.Errorf("login: end sessions of the former name: %w", err)
		}
	}
	return &c, nil
}

// told writes into u what claims say of a person. What they do not say stays.
func told(u *directory.User, id *authn.Identity) {
	claim := func(name, known string) string {
		if v := id.Claims[name]; len(v) > 0 && v[0] != "" && len(v[0]) <= maxText {
			return v[0]
		}
		return known
	}
	u.DisplayName, u.Email, u.Phone = claim("name", u.DisplayName), claim("email", u.Email), claim("phone_number", u.Phone)
}

func refusedUser(id *authn.Identity, reason authn.Reason, why, hint string) error {
	return &authn.RefusedError{Mechanism: oidc.Mechanism, Reason: reason, User: id.String(), Err: errors.New(why), Hint: hint}
}

// admits lets in whom the provider vouches for, as users of the realm. It belongs
// outside of a throttle.Authenticator: whom it refuses did not guess.
type admits struct {
	authn.Authenticator
	realm *realm
}

var _ authn.Authenticator = (*admits)(nil)

// Authenticate implements authn.Authenticator.
func (a *admits) Authenticate(r *http.Request) (*authn.Result, error) {
	res, err := a.Authenticator.Authenticate(r)
	if err != nil || res.Identity == nil {
		return res, err
	}
	sub := ""
	if s := res.Identity.Claims["sub"]; len(s) == 1 {
		sub = s[0]
	}
	id, err := a.realm.admit(r.Context(), res.Identity, sub, res.Fresh)
	if err != nil {
		return nil, err
	}
	c := *res // the authenticator may hold on to its own
	c.Identity = id
	return &c, nil
}

// admit is provided.admit where there is a store. What only a domain can say is
// taken away from whoever a provider vouches for.
func (r *realm) admit(ctx context.Context, id *authn.Identity, sub string, fresh bool) (*authn.Identity, error) {
	c := *id // an Identity is never modified after it was made
	c.SID, c.Groups, c.Evidence, c.Mechanism = "", nil, nil, oidc.Mechanism
	if r.provided == nil {
		return &c, nil
	}
	return r.provided.admit(ctx, &c, sub, fresh)
}

// limited is a's requests behind the protection against guessing, and then the
// users.
func (r *realm) limited(a authn.Authenticator) authn.Authenticator {
	return &admits{r.limit.Authenticator(a), r}
}
