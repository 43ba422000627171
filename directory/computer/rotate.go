package computer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/soapward/soapward/authn"
)

// DefaultMaxAge is how old a password of a computer account gets in Windows.
const DefaultMaxAge = 30 * 24 * time.Hour

// maxAhead is how far another clock, such as a file server's, may be ahead.
const maxAhead = 24 * time.Hour

// ErrRefused means that the domain does not take a password of the account.
var ErrRefused = errors.New("computer: the domain refuses the account's password")

// A Channel is what the account can do for itself at a domain controller,
// always the same one. Netlogon makes it.
type Channel interface {
	// Probe proves that a password is the account's. The error wraps ErrRefused
	// if it is not; after any other, it may be.
	Probe(ctx context.Context, password authn.Secret) error

	// SetPassword changes the password, with the one in force. After an error
	// either may be in force.
	SetPassword(ctx context.Context, current, next authn.Secret) error
}

// A Rotation changes the password of a computer account. File and Channel must
// be set. A value is for one goroutine at a time; several processes exclude
// each other.
type Rotation struct {
	Account Account // its name is kept out of the password; may be empty
	File    SecretFile
	Channel Channel

	// MaxAge is how old the password may be before Run changes it. Zero means
	// that it is changed whatever its age.
	MaxAge time.Duration

	// Prepare is called with the password in force and the next one, which is
	// on the disk, before the controller is told: keys of the next one may be
	// put beside the present ones. Nil means that there is nothing to prepare.
	Prepare func(ctx context.Context, current, next authn.Secret) error

	testOnlyNow  func() time.Time
	testOnlyStep func(step string) error // called between two steps; its error is a crash
}

// Outcome says what Run did.
type Outcome struct {
	Changed  bool      // the password is another one now
	Resumed  bool      // an earlier run had been interrupted, and is finished now
	Due      time.Time // when it will be time to change it; zero without MaxAge
	Password authn.Secret
}

// Run changes the password if that is due, or finishes what an earlier run was
// interrupted in. The new password is on the disk before the controller hears
// of it, and the file is replaced only after the controller has taken it, so
// that one of File.Secrets is in force at any time. After an error, run it
// again.
func (r *Rotation) Run(ctx context.Context) (Outcome, error) {
	unlock, err := r.File.lock()
	if err != nil {
		return Outcome{}, err
	}
	defer unlock()
	begun, err := exists(r.File.next())
	if err != nil {
		return Outcome{}, fmt.Errorf("computer: password file: %w", err)
	}
	due, err := r.Due()
	switch {
	case begun && errors.Is(err, ErrNoSecret): // the account was made, and no more
	case err != nil:
		return Outcome{}, err
	case !begun && r.now().Before(due):
		current, err := r.File.read(string(r.File))
		return Outcome{Due: due, Password: current}, err
	}
	out, err := r.change(ctx)
	if err != nil {
		return Outcome{}, err
	}
	out.Resumed = begun
	out.Due, err = r.Due()
	return out, err
}

func (r *Rotation) now() time.Time {
	if r.testOnlyNow != nil {
		return r.testOnlyNow()
	}
	return time.Now()
}

// Due returns when Run will change the password, if nothing is begun: zero if
// its age does not matter. A password of the future is due, so that a clock that
// was wrong once does not keep it in force for years.
func (r *Rotation) Due() (time.Time, error) {
	changed, err := r.File.Changed()
	if err != nil || r.MaxAge <= 0 {
		return time.Time{}, err
	}
	if now := r.now(); changed.Sub(now) > maxAhead {
		return now, nil
	}
	return changed.Add(r.MaxAge), nil
}

func (r *Rotation) step(name string) error {
	if r.testOnlyStep == nil {
		return nil
	}
	return r.testOnlyStep(name)
}

// change brings the pending password, or a new one, into force.
//
// A pending password is never given up for another: where the controller that
// took it has not told the others yet, one of those would still take the old
// one. For the same reason it is tried first: a controller may take the old one
// for some time after a change.
func (r *Rotation) change(ctx context.Context) (out Outcome, err error) {
	next, leftover, err := r.File.pending(r.Account)
	if err != nil {
		return out, err
	}
	if err := r.step("made"); err != nil {
		return out, err
	}
	inForce := false
	if leftover {
		switch err := r.Channel.Probe(ctx, next); {
		case err == nil:
			inForce = true
		case !errors.Is(err, ErrRefused):
			return out, fmt.Errorf("computer: finish the interrupted change: %w", err)
		}
	}
	if !inForce {
		if err := r.tell(ctx, next); err != nil {
			return out, err
		}
	}
	if err := r.step("told"); err != nil {
		return out, err
	}
	if err := r.adopt(); err != nil {
		return out, err
	}
	return Outcome{Changed: true, Password: next}, nil
}

// tell gives the controller the password next, and proves that it took it.
func (r *Rotation) tell(ctx context.Context, next authn.Secret) error {
	current, err := r.current(ctx, next)
	if err != nil {
		return err
	}
	if r.Prepare != nil {
		if err := r.Prepare(ctx, current, next); err != nil {
			return err
		}
	}
	if err := r.step("prepared"); err != nil {
		return err
	}
	errSet := r.Channel.SetPassword(ctx, current, next)
	if err := r.step("sent"); err != nil {
		return err
	}
	// The controller's word is a logon with the new password; an error before
	// may be that of a lost answer.
	if err := r.Channel.Probe(ctx, next); err != nil {
		return fmt.Errorf("computer: change the password: %w", errors.Join(errSet, err))
	}
	return nil
}

// current returns the password in force.
func (r *Rotation) current(ctx context.Context, next authn.Secret) (authn.Secret, error) {
	all, err := r.File.Secrets()
	if err != nil {
		return authn.Secret{}, err
	}
	var refusals error
	for _, s := range all {
		if s.Reveal() == next.Reveal() {
			continue
		}
		err := r.Channel.Probe(ctx, s)
		if err == nil {
			return s, nil
		}
		if !errors.Is(err, ErrRefused) {
			return authn.Secret{}, fmt.Errorf("computer: look which password is in force: %w", err)
		}
		refusals = err
	}
	if refusals == nil {
		refusals = ErrRefused
	}
	return authn.Secret{}, fmt.Errorf("computer: none of the passwords of %s is in force; set a new one with soapward join --reset: %w", r.File, refusals)
}

// adopt makes the pending password that of the file, and keeps the old one.
func (r *Rotation) adopt() error {
	if err := r.File.keepOld(); err != nil {
		return err
	}
	if err := r.step("kept"); err != nil {
		return err
	}
	if err := r.File.adopt(); err != nil {
		return err
	}
	return r.step("adopted")
}
