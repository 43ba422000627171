package password

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/authn"
)

// Bounds of how long refusals take.
const (
	defaultRefusalTime = 250 * time.Millisecond
	maxRefusalTime     = 5 * time.Second
)

// Chain is the Verifier of a realm: a user who has a password in our own store
// may log in with that, and everybody with one that the realm's method knows, such
// as Active Directory. Users whom an operator disabled here are not asked for
// there if they have a password here; those without need a
// directory/provision.Provisioner around Next. The fields must not change after the first use. It is safe
// for concurrent use and must not be copied.
//
// Each refusal costs one hash and then takes as long as the slowest ones did
// lately, so that neither words nor time tell who exists, who has a password
// here, and whether an account is disabled. While Next does not answer, a
// password that is not the one here is an error that wraps authn.ErrUnavailable,
// and users with one here can log in with it.
type Chain struct {
	Internal *Internal // nil: nobody has a password here
	Next     Verifier  // nil: nobody else can log in

	// RefusalTime is how long a refusal takes at least, but for requests with an
	// empty name or password. It should be more than Next takes. Zero means
	// 250 ms; a negative one waits as long as Next makes it.
	RefusalTime time.Duration

	slow atomic.Int64 // time that refusals of Next take, as a slowly falling maximum
}

var _ Verifier = (*Chain)(nil)

// VerifyPassword implements Verifier.
func (c *Chain) VerifyPassword(ctx context.Context, user, password string) (*authn.Identity, error) {
	if user == "" || password == "" {
		return nil, emptyCredentials(user)
	}
	began := time.Now()
	id, next, err := c.judge(ctx, user, password)
	switch {
	case err == nil:
		return id, nil
	case errors.Is(err, authn.ErrNoCredentials):
		// There were credentials, and nobody knows the user.
		err = &authn.RefusedError{Reason: authn.ReasonUnknownUser, User: user}
	case !errors.Is(err, authn.ErrBadCredentials):
		return nil, err
	}
	if next {
		c.learn(time.Since(began))
	}
	c.wait(ctx, began)
	return nil, err
}

// judge asks those who may know the user. next reports that Next was asked.
func (c *Chain) judge(ctx context.Context, user, password string) (id *authn.Identity, next bool, err error) {
	err = authn.ErrNoCredentials
	hashed := false
	if c.Internal != nil {
		var others bool
		if id, others, err = c.Internal.judge(ctx, user, password); !others {
			return id, false, err
		}
		hashed = !errors.Is(err, authn.ErrNoCredentials)
	}
	if c.Next != nil {
		next = true
		var there error
		if id, there = c.Next.VerifyPassword(ctx, user, password); there == nil && id == nil {
			there = errors.New("password: verifier returned neither an identity nor an error")
		}
		// Whom the realm does not know has a wrong password here, for the log.
		if !hashed || !errors.Is(there, authn.ErrNoCredentials) && !isUnknown(there) {
			err = there
		}
	}
	refused := errors.Is(err, authn.ErrNoCredentials) || errors.Is(err, authn.ErrBadCredentials)
	if refused && c.Internal != nil && !hashed {
		if burnErr := c.Internal.Hasher.burn(ctx, password); burnErr != nil {
			return nil, next, burnErr
		}
	}
	return id, next, err
}

// isUnknown reports whether a refusal says that nobody has the name.
func isUnknown(err error) bool {
	var refused *authn.RefusedError
	return errors.As(err, &refused) && refused.Reason == authn.ReasonUnknownUser
}

// learn notes how long a refusal of Next took.
func (c *Chain) learn(took time.Duration) {
	took = min(took, maxRefusalTime)
	for {
		old := c.slow.Load()
		now := int64(took)
		if now < old {
			now = old - (old-now)/64
		}
		if c.slow.CompareAndSwap(old, now) {
			return
		}
	}
}

// wait waits until a refusal may be told.
func (c *Chain) wait(ctx context.Context, began time.Time) {
	least := c.RefusalTime
	if least == 0 {
		least = defaultRefusalTime
	}
	timer := time.NewTimer(time.Until(began.Add(max(least, time.Duration(c.slow.Load())))))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
