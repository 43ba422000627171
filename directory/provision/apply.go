package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
	p, err := r.plan(row, a)
	if err != nil || !p.write || r.DryRun {
		return p.did, err
	}
	if p.renamed {
		if err := r.realm.makeRoom(ctx, p.user, p.user.Name); err != nil {
			return conflicted, err
		}
	}
	if err := r.Store.UpdateUser(ctx, p.user); err != nil {
		return failed, err
	}
	return p.did, r.written(ctx, row, p)
}

// plan is what is to be done about a user.
type plan struct {
	did     outcome
	user    *directory.User // as it will be
	renamed bool
	write   bool
}

// plan compares a user with its account.
func (r *run) plan(row *directory.User, a answer) (plan, error) {
	switch {
	case a.account == nil && row.State == directory.Active:
		return plan{did: missing}, nil
	case a.account == nil:
		return plan{did: unchanged}, nil
	case row.SID != "" && a.account.SID != "" && row.SID != a.account.SID:
		return plan{did: failed}, fmt.Errorf("provision: the directory answered about %s, not %s", a.account.SID, row.SID)
	}
	now := r.now()
	u := *row
	p := plan{user: &u}
	if take(&u, a.account) {
		p.did = refreshed
	}
	if u.Realm == "" {
		u.Realm, p.did = r.Realm, refreshed
	}
	var name string
	if name, p.renamed = newName(&u, a.account.Name); name != u.Name {
		u.Name, p.did = name, refreshed
	}
	switch usable := a.account.Usable(now); {
	case !usable && u.State == directory.Active:
		u.State, p.did = directory.DisabledByDirectory, deactivated
	case usable && u.State == directory.DisabledByDirectory:
		u.State, p.did = directory.Active, reactivated
	}
	if p.write = p.did != unchanged || now.Sub(u.Refreshed) >= keepSynced; p.write {
		u.Refreshed = now
	}
	return p, nil
}

// written does what follows from a user who was written.
func (r *run) written(ctx context.Context, row *directory.User, p plan) error {
	if p.renamed {
		r.again[row.ID] = struct{}{} // the new name may be on a page to come
	}
	if p.renamed || p.did == deactivated {
		return r.realm.endSessions(ctx, row.Name)
	}
	return nil
}

// writeAtOnce is how many users are written together. A login that wants to
// write waits for as many.
const writeAtOnce = 100

// together writes users of a batch at once, if the store can, and returns what
// was planned for them; nil for those that are left to be done one by one, such
// as those whose names change, and those among whom one is in conflict.
func (r *run) together(ctx context.Context, users []*directory.User, answers []answer) []*plan {
	plans := make([]*plan, len(users))
	store, ok := r.Store.(BatchStore)
	if !ok || r.DryRun {
		return plans
	}
	var at []int
	for i, u := range users {
		if answers[i].err != nil {
			continue
		}
		if p, err := r.plan(u, answers[i]); err == nil && !p.renamed && p.write {
			plans[i], at = &p, append(at, i)
		}
	}
	for some := range slices.Chunk(at, writeAtOnce) {
		write := make([]*directory.User, len(some))
		for j, i := range some {
			write[j] = plans[i].user
		}
		if store.UpdateUsers(ctx, write) == nil {
			continue
		}
		for _, i := range some { // which tells what is wrong, too
			plans[i] = nil
		}
	}
	return plans
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
