package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// maxRefused is after how many lookups that failed one after the other, each of
// a single user, the directory is taken for broken as a whole.
const maxRefused = 8

// pauses are made before a directory or store that did not answer is asked
// again.
var pauses = []time.Duration{time.Second, 4 * time.Second, 10 * time.Second}

// answer is what the directory says of one user: account, or that there is none,
// or an error for this user alone.
type answer struct {
	account *directory.Account
	err     error
}

// lookUp asks for accounts, again after a while if there is no answer at all.
func (r *run) lookUp(ctx context.Context, refs []directory.AccountRef) ([]answer, error) {
	for i := 0; ; i++ {
		r.refused = 0
		out, err := r.divide(ctx, refs)
		if err == nil && !r.answered {
			out, err = nil, errNobody(out[0].err) // as for all users so far
		}
		if err == nil || !errors.Is(err, authn.ErrUnavailable) || ctx.Err() != nil || i == len(pauses) {
			return out, err
		}
		if err := r.wait(ctx, pauses[i]); err != nil {
			return nil, err
		}
	}
}

// divide asks for accounts. Where the directory answers with an error, which may
// be about one of them, it asks for fewer, until those are alone that the error
// is about.
func (r *run) divide(ctx context.Context, refs []directory.AccountRef) ([]answer, error) {
	if err := r.renew(ctx); err != nil {
		return nil, err
	}
	found, err := r.Source.Accounts(ctx, refs)
	if err == nil && len(found) != len(refs) {
		err = fmt.Errorf("provision: %d answers for %d accounts", len(found), len(refs))
	}
	switch {
	case err == nil:
		r.refused, r.answered = 0, true
		out := make([]answer, len(refs))
		for i, a := range found {
			out[i].account = a
		}
		return out, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case len(refs) > 1:
		half := len(refs) / 2
		a, err := r.divide(ctx, refs[:half])
		if err != nil {
			return nil, err
		}
		b, err := r.divide(ctx, refs[half:])
		return append(a, b...), err
	}
	if r.refused++; r.refused >= maxRefused {
		return nil, errNobody(err)
	}
	return []answer{{err: err}}, nil
}

func errNobody(err error) error {
	return fmt.Errorf("provision: the directory answers for nobody: %w", err)
}

// retry does something again that did not get an answer, after a pause.
func (r *run) retry(ctx context.Context, f func() error) error {
	for _, d := range pauses {
		err := f()
		if err == nil || !errors.Is(err, authn.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		if err := r.wait(ctx, d); err != nil {
			return err
		}
	}
	return f()
}

func (r *run) wait(ctx context.Context, d time.Duration) error {
	if r.testOnlyWait != nil {
		return r.testOnlyWait(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
