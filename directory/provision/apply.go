package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/soapward/soapward/directory"
)

// outcome is what became of a user.
type outcome uint8

const (
	unchanged outcome = iota
	refreshed
	deactivated
	reactivated
	missing // and not disabled yet
	conflicted
	failed
)

// apply brings a user up to date. Somebody who changes it meanwhile has it read
// and done again.
func (r *run) apply(ctx context.Context, u *directory.User, a answer) (outcome, error) {
	var did outcome
	for range tries {
		var err error
		did, err = r.try(ctx, u, a)
		if !errors.Is(err, directory.ErrConflict) {
			return did, err
		}
		now, err := r.Store.UserByID(ctx, u.ID)
		if err != nil {
			return failed, err
		}
		*u = *now
	}
	return conflicted, fmt.Errorf("provision: %q: %w", u.Name, directory.ErrConflict)
}

func (r *run) try(ctx context.Context, row *directory.User, a answer) (outcome, error) {
	switch {
	case a.account == nil && row.State == directory.Active:
		return missing, nil
	case a.account == nil:
		return unchanged, nil
	case row.SID != "" && a.account.SID != "" && row.SID != a.account.SID:
		return failed, fmt.Errorf("provision: the directory answered about %s, not %s", a.account.SID, row.SID)
	}
	now := r.now()
	c := *row
	u := &c
	did := unchanged
	if take(u, a.account) {
		did = refreshed
	}
	if u.Realm == "" {
		u.Realm, did = r.Realm, refreshed
	}
	name, renamed := newName(u, a.account.Name)
	if renamed && !r.DryRun {
		if err := r.realm.makeRoom(ctx, u, name); err != nil {
			return conflicted, err
		}
	}
	if name != u.Name {
		u.Name, did = name, refreshed
	}
	switch usable := a.account.Usable(now); {
	case !usable && u.State == directory.Active:
		u.State, did = directory.DisabledByDirectory, deactivated
	case usable && u.State == directory.DisabledByDirectory:
		u.State, did = directory.Active, reactivated
	}
	if r.DryRun || did == unchanged && now.Sub(u.Refreshed) < keepSynced {
		return did, nil
	}
	u.Refreshed = now
	if err := r.Store.UpdateUser(ctx, u); err != nil {
		return failed, err
	}
	if renamed {
		r.again[u.ID] = struct{}{} // the new name may be on a page to come
	}
	if renamed || did == deactivated {
		return did, r.realm.endSessions(ctx, row.Name)
	}
	return did, nil
}

// deactivateGone disables the users whom the directory does not have, unless
// they are so many that something else must be wrong.
func (r *run) deactivateGone(ctx context.Context) error {
	if n := len(r.gone); n > goneAtLeast && n > r.sum.Seen/goneShare && !r.AllowManyGone {
		r.sum.Held = true
		return nil
	}
	if r.DryRun {
		return nil
	}
	for i, id := range r.gone {
		if i%batchSize == 0 {
			if err := r.renew(ctx); err != nil {
				return err
			}
		}
		if err := r.deactivate(ctx, id); err != nil {
			return wrap("disable a user who is gone", err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// deactivate disables a user, unless somebody else did, or deleted it.
func (r *run) deactivate(ctx context.Context, id int64) error {
	var err error
	for range tries {
		var u *directory.User
		u, err = r.Store.UserByID(ctx, id)
		if errors.Is(err, directory.ErrNotFound) || err == nil && u.State != directory.Active {
			return nil
		}
		if err != nil {
			return err
		}
		u.State = directory.DisabledByDirectory
		u.Refreshed = r.now()
		if err = r.Store.UpdateUser(ctx, u); err == nil {
			return r.realm.endSessions(ctx, u.Name)
		}
		if !errors.Is(err, directory.ErrConflict) {
			return err
		}
	}
	return err
}
