package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/authn/totp"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

// administrators are the users of the store who may sign in here with a password.
// Others are as unknown, so that a password of theirs is not judged, and takes as
// long.
type administrators struct {
	*store.Store
	c *core
}

// User implements password.Users.
func (s *administrators) User(ctx context.Context, name string) (*directory.User, error) {
	u, err := s.Store.User(ctx, name)
	if err == nil && s.c.notLocal(u) != "" {
		return nil, directory.ErrNotFound
	}
	return u, err
}

// passwordJudge judges passwords of local administrators.
type passwordJudge struct {
	c     *core
	chain *password.Chain
}

// VerifyPassword implements password.Verifier. Refusals differ in the log only.
func (j *passwordJudge) VerifyPassword(ctx context.Context, user, secret string) (*authn.Identity, error) {
	u, known := j.c.Store.User(ctx, user) // before, for everybody, so that no time tells
	id, err := j.chain.VerifyPassword(ctx, user, secret)
	var refused *authn.RefusedError
	if errors.As(err, &refused) && refused.Reason == authn.ReasonUnknownUser && known == nil {
		why := j.c.notLocal(u)
		if why == "" {
			why = "the user has no password here"
		}
		return nil, &authn.RefusedError{Mechanism: mechLocal, Reason: authn.ReasonPolicy, User: user, Err: errors.New(why)}
	}
	return id, err
}

// codeJudge judges codes of users whose password was right.
type codeJudge struct{ c *core }

// Bounds of wrong codes for one user, from everywhere. Only who has the password
// can reach them, and six digits are soon guessed from enough addresses.
const (
	maxWrongCodes = 30
	wrongCodesIn  = time.Hour
)

// codeKey is for all wrong codes of a user.
func codeKey(u *directory.User) string {
	return "second factor of " + clip(directory.FoldName(u.Name))
}

// VerifyPassword implements password.Verifier, for what tryOf made of a code.
func (j *codeJudge) VerifyPassword(ctx context.Context, user, secret string) (*authn.Identity, error) {
	code, _, _ := strings.Cut(secret, trySep)
	c, now := j.c, j.c.a.now()
	u, err := c.Store.User(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("access: find user: %w", err)
	}
	b, err := c.Store.BlockOf(ctx, now, codeKey(u))
	if err != nil {
		return nil, fmt.Errorf("access: look for blocks: %w", err)
	}
	if b != nil {
		return nil, &authn.BlockedError{Mechanism: mechLocal, User: u.Name, Key: b.Key, Block: b.Until.Sub(b.From), Left: b.Until.Sub(now)}
	}
	err = j.judge(ctx, u, code)
	if err != nil && !errors.Is(err, authn.ErrBadCredentials) {
		return nil, err
	}
	// Many may be judged at the same time, before the first of them is counted. A
	// right one is of use only if not too many were counted before it: one that is as
	// old as those that are forgotten asks for that, and does not count.
	since := now.Add(-wrongCodesIn)
	at := now
	if err == nil {
		at = since
	}
	counts, cerr := c.Store.AddFailure(ctx, at, since, codeKey(u))
	many := cerr == nil && len(counts) == 1 && counts[0] >= maxWrongCodes
	if many {
		cerr = c.Store.SetBlock(ctx, directory.Block{Key: codeKey(u), Failures: counts[0], From: now, Until: now.Add(wrongCodesIn)})
	}
	switch {
	case cerr != nil:
		return nil, fmt.Errorf("access: count a code: %w", cerr)
	case err != nil:
		return nil, err
	case many:
		return nil, &authn.BlockedError{Mechanism: mechLocal, User: u.Name, Key: codeKey(u), Block: wrongCodesIn, Left: wrongCodesIn}
	}
	return u.Identity(), nil
}

func (j *codeJudge) judge(ctx context.Context, u *directory.User, code string) error {
	wrong := func(reason authn.Reason, text string) error {
		return &authn.RefusedError{Mechanism: mechLocal, Reason: reason, User: u.Name, Err: errors.New(text)}
	}
	if totp.IsRecovery(code) {
		return j.recover(ctx, u, code)
	}
	counter, ok, err := totp.Verify(u.SecondFactor.Reveal(), code, j.c.a.now(), 0)
	switch {
	case err != nil:
		return &authn.RefusedError{
			Mechanism: mechLocal, Reason: authn.ReasonWrongPassword, User: u.Name, Err: err,
			Hint: "take the second factor away, and have the user set up a new one",
		}
	case !ok:
		return wrong(authn.ReasonWrongPassword, "wrong code")
	}
	fresh, err := j.c.once(ctx, "code", fmt.Sprint(u.ID, " ", counter, " ", u.SecondFactor.Reveal()))
	switch {
	case err != nil:
		return err
	case !fresh:
		return wrong(authn.ReasonReplay, "the code was used before")
	}
	return nil
}

// recover takes one of a user's recovery codes.
func (j *codeJudge) recover(ctx context.Context, u *directory.User, code string) error {
	refused := &authn.RefusedError{Mechanism: mechLocal, Reason: authn.ReasonWrongPassword, User: u.Name, Err: errors.New("wrong recovery code")}
	for {
		rest, ok := totp.Recover(u.RecoveryCodes, code)
		if !ok {
			return refused
		}
		before := len(u.RecoveryCodes)
		u.RecoveryCodes = slices.Clone(rest)
		err := j.c.Store.UpdateUser(ctx, u)
		switch {
		case err == nil:
			j.c.a.log.WarnContext(ctx, "a recovery code took the place of a second factor",
				"ref", authn.Ref(ctx), "user", u.Name, "left", before-1)
			return nil
		case !errors.Is(err, directory.ErrConflict):
			return fmt.Errorf("access: %w", err)
		}
		// Somebody else was faster, maybe with the same code: look again.
		if u, err = j.c.Store.UserByID(ctx, u.ID); err != nil {
			return fmt.Errorf("access: %w", err)
		}
	}
}

// trySep parts a code from what makes each try another one: two at the same time
// with the same code must not share a verdict, as those with a password do.
const trySep = "\x00"

func tryOf(code string) string { return code + trySep + randomText() }
