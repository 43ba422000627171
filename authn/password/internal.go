package password

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// Users is where Internal finds users, such as *store.Store.
type Users interface {
	// User returns a user by name, without regard to case, or
	// directory.ErrNotFound. The caller may change what it returns.
	User(ctx context.Context, name string) (*directory.User, error)

	// UpdateUser writes a user back, or returns directory.ErrConflict.
	UpdateUser(ctx context.Context, u *directory.User) error
}

// LoginNoter is a second interface that Users may have, as *store.Store does: it
// is told the time of logins, at most once a minute for each user.
type LoginNoter interface {
	// TouchLogin notes a login of the user with an ID.
	TouchLogin(ctx context.Context, id int64, at time.Time) error
}

// Internal is a Verifier of users who have a password in our own store. Users
// must be set. The fields must not change after the first use. It is safe for
// concurrent use and must not be copied.
//
// Of users who are not known or have no password here it says
// authn.ErrNoCredentials, after the time that a wrong password takes. Most
// programs use a Chain.
type Internal struct {
	Users  Users
	Hasher Hasher
	Policy Policy // of new passwords

	// NTHash makes the hash that NTLM logins of these users are verified with:
	// ntlm.HashPassword, as a directory.NTHash. It is kept beside that of the
	// password, and whoever reads it from the store can log in with it. Nil keeps
	// none, and a new password takes away the one that there is.
	NTHash func(password string) directory.NTHash

	Logger *slog.Logger     // nil means slog.Default(); for hashes that cannot be used or replaced
	Now    func() time.Time // nil means time.Now
}

var _ Verifier = (*Internal)(nil)

// VerifyPassword implements Verifier.
func (in *Internal) VerifyPassword(ctx context.Context, user, password string) (*authn.Identity, error) {
	if user == "" || password == "" {
		return nil, emptyCredentials(user)
	}
	id, _, err := in.judge(ctx, user, password)
	if errors.Is(err, authn.ErrNoCredentials) {
		if burnErr := in.Hasher.burn(ctx, password); burnErr != nil {
			return nil, burnErr
		}
	}
	return id, err
}

// SetPassword gives u a new password and writes it back. It returns a
// *PolicyError for a password that the policy refuses.
func (in *Internal) SetPassword(ctx context.Context, u *directory.User, password string) error {
	if err := in.Policy.Check(u, password); err != nil {
		return err
	}
	hash, err := in.Hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	c := *u
	c.Password, c.NTHash = hash, directory.NTHash{}
	if in.NTHash != nil {
		c.NTHash = in.NTHash(password)
	}
	if err := in.Users.UpdateUser(ctx, &c); err != nil {
		return fmt.Errorf("password: set that of %s: %w", u.Name, err)
	}
	*u = c
	return nil
}

// judge is VerifyPassword without the time for users who have no password here.
// others reports that a password which is not the one here may be one elsewhere:
// that of anybody but users whom an operator disabled.
func (in *Internal) judge(ctx context.Context, user, password string) (id *authn.Identity, others bool, err error) {
	u, err := in.Users.User(ctx, user)
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return nil, true, fmt.Errorf("password: no user of that name: %w", authn.ErrNoCredentials)
	case err != nil:
		return nil, false, fmt.Errorf("password: find user: %w", err)
	case u.Password.IsEmpty():
		return nil, true, fmt.Errorf("password: user has no password here: %w", authn.ErrNoCredentials)
	}
	others = u.State != directory.DisabledByOperator
	match, outdated, err := in.Hasher.Verify(ctx, u.Password, password)
	switch {
	case errors.Is(err, ErrBadHash):
		in.logger().Error("a user cannot log in", slog.String("user", u.Name), slog.String("cause", err.Error()),
			slog.String("hint", "set a new password: soapward user passwd"))
		if burnErr := in.Hasher.burn(ctx, password); burnErr != nil {
			return nil, false, burnErr
		}
		return nil, others, &authn.RefusedError{Reason: authn.ReasonWrongPassword, User: user, Err: err}
	case err != nil:
		return nil, false, err
	case !match:
		return nil, others, &authn.RefusedError{Reason: authn.ReasonWrongPassword, User: user}
	case u.State != directory.Active: // shown to the log, and only after the right password
		return nil, false, &authn.RefusedError{Reason: authn.ReasonDisabled, User: user, Err: errors.New("user is " + u.State.String())}
	}
	if outdated || in.NTHash != nil && u.NTHash.IsEmpty() {
		in.replace(ctx, u, password, outdated)
	}
	in.touch(ctx, u)
	return u.Identity(), false, nil
}

// touchAfter is how often, at most, the time of a user's login is written: Basic
// logs in with each request.
const touchAfter = time.Minute

// touch notes a login. The login does not fail with it, and a later one notes it.
func (in *Internal) touch(ctx context.Context, u *directory.User) {
	now := time.Now()
	if in.Now != nil {
		now = in.Now()
	}
	users, ok := in.Users.(LoginNoter)
	if !ok || now.Sub(u.LastLogin) < touchAfter {
		return
	}
	if err := users.TouchLogin(ctx, u.ID, now); err != nil && !errors.Is(err, directory.ErrNotFound) {
		in.logger().Warn("the time of a login is not written", slog.String("user", u.Name), slog.String("cause", err.Error()))
	}
}

// replace hashes a password anew, while it is at hand. The login does not fail
// with it.
func (in *Internal) replace(ctx context.Context, u *directory.User, password string, outdated bool) {
	hash, err := u.Password, error(nil)
	if outdated {
		hash, err = in.Hasher.Hash(ctx, password)
	}
	if err == nil {
		c := *u
		c.Password = hash
		if in.NTHash != nil {
			c.NTHash = in.NTHash(password)
		}
		err = in.Users.UpdateUser(ctx, &c)
	}
	switch {
	case errors.Is(err, directory.ErrConflict): // somebody else was faster; there is a next login
	case err != nil:
		in.logger().Warn("a password's hash could not be brought up to date", slog.String("user", u.Name), slog.String("cause", err.Error()))
	}
}

func (in *Internal) logger() *slog.Logger {
	if in.Logger != nil {
		return in.Logger
	}
	return slog.Default()
}

// emptyCredentials refuses what an LDAP server would take for an anonymous login
// (RFC 4513 5.1.2).
func emptyCredentials(user string) error {
	return &authn.RefusedError{Reason: authn.ReasonAnonymous, User: user, Err: errors.New("empty user name or password")}
}
