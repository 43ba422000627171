package admin

import (
	"context"
	"errors"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/realm"
)

// mayHavePassword refuses a password for others than local administrators while a
// provider is configured.
func (s *Service) mayHavePassword(u *directory.User) error {
	if u.LocalAdmin || !s.providers() {
		return nil
	}
	return &Error{
		Kind: Refused, Text: "only local administrators have passwords here, since administrators log in through " + strings.Join(s.config().Admin.Login, ", "),
		Remedy: "let the user log in at the provider or at a directory; make him a local administrator; or empty admin.login",
	}
}

// newPassword checks a password and returns what gives it to a user.
func (s *Service) newPassword(ctx context.Context, u *directory.User, pw authn.Secret) (set func(*directory.User), err error) {
	var rules config.Passwords
	c := s.config()
	if c != nil {
		rules = c.Passwords
	}
	policy := password.Policy{MinLength: rules.MinLength}
	var refused *password.PolicyError
	switch err := policy.Check(u, pw.Reveal()); {
	case errors.As(err, &refused):
		text, remedy, _ := strings.Cut(strings.TrimSuffix(refused.Text(), "."), ". ")
		return nil, invalid("password", text, remedy)
	case err != nil:
		return nil, err
	}
	h := password.Hasher{Params: password.Params{Memory: uint32(rules.MemoryKiB), Time: uint32(rules.Passes)}} // within bounds, as config has checked
	hash, err := h.Hash(ctx, pw.Reveal())
	if err != nil {
		return nil, failed("password", err)
	}
	return func(u *directory.User) {
		u.Password, u.NTHash = hash, directory.NTHash{}
		if c != nil && realm.KeepsNTHash(c, u) {
			u.NTHash = realm.NTHash(pw.Reveal())
		}
	}, nil
}

// SetPassword implements Users.
func (s *Service) SetPassword(ctx context.Context, name string, p NewPassword) (ended int, err error) {
	c, err := need(ctx, Administrator)
	if err != nil {
		return 0, err
	}
	st, err := s.store()
	if err != nil {
		return 0, err
	}
	u, err := st.User(ctx, name)
	if err != nil {
		return 0, failed("user "+shown(name), err)
	}
	if err := s.mayHavePassword(u); err != nil {
		return 0, err
	}
	set, err := s.newPassword(ctx, u, p.Password) // it takes a while, and nobody is to wait for that
	if err != nil {
		return 0, err
	}
	done, err := s.change(ctx, c, st, name, 0, func(u *directory.User) (changed, error) {
		if err := s.mayHavePassword(u); err != nil { // he may be no local administrator any more
			return changed{}, err
		}
		set(u)
		return changed{action: actionPassword, end: !p.KeepSessions}, nil
	})
	if err != nil {
		return 0, err
	}
	return done.SessionsEnded, nil
}

// ClearSecondFactor implements Users.
func (s *Service) ClearSecondFactor(ctx context.Context, name string) error {
	c, err := need(ctx, Administrator)
	if err != nil {
		return err
	}
	st, err := s.store()
	if err != nil {
		return err
	}
	_, err = s.change(ctx, c, st, name, 0, func(u *directory.User) (changed, error) {
		if u.SecondFactor.IsEmpty() && len(u.RecoveryCodes) == 0 {
			return changed{}, nil
		}
		u.SecondFactor, u.RecoveryCodes = authn.Secret{}, nil
		return changed{action: actionSecondFactor, end: true}, nil
	})
	return err
}

// clearBatch is how many passwords one transaction takes.
const clearBatch = 500

// cleared is what the record has of ClearPasswords, before and after.
type cleared struct {
	Passwords int64 `json:"passwords"`
}

// ClearPasswords implements Users.
//
// The record is written with the first of its transactions, and has how many
// passwords there were: what is interrupted is recorded too.
func (s *Service) ClearPasswords(ctx context.Context) (done int, err error) {
	c, err := need(ctx, Administrator)
	if err != nil {
		return 0, err
	}
	st, err := s.store()
	if err != nil {
		return 0, err
	}
	const what = "passwords"
	var last int64
	batch := func(ctx context.Context) (n int, err error) {
		ender := s.ender(st)
		n, last, err = st.ClearPasswords(ctx, last, clearBatch, func(ctx context.Context, user string) error {
			_, err := ender.EndAll(ctx, user) // whoever knew it may have one
			return err
		})
		return n, err
	}
	all, err := st.CountPasswords(ctx)
	if err != nil || all == 0 {
		return 0, failed(what, err)
	}
	err = s.audited(ctx, st, c, actionClearPasswords, "all but local administrators", func(ctx context.Context, change *directory.Change) error {
		change.Before, change.After = asJSON(cleared{all}), asJSON(cleared{})
		last = 0
		done, err = batch(ctx)
		return err
	})
	for n := done; err == nil && n > 0; done += n { // a batch has fewer where others wrote meanwhile, and is not the last for that
		n, err = batch(ctx)
	}
	return done, failed(what, err)
}
