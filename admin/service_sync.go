package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/provision"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/realm"
)

// recordTimeout is how long it may take to write down what was done, also if who
// asked for it is gone.
const recordTimeout = 10 * time.Second

// afterwards returns a context for what follows something that may have been ended.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
}

// Synchronise implements Sync.
func (s *Service) Synchronise(ctx context.Context, name string, o SyncOptions, progress func(SyncProgress)) (*provision.Summary, error) {
	caller, err := need(ctx, Operator)
	if err != nil {
		return nil, err
	}
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	c := s.config()
	r, err := realmOf(c, name)
	if err != nil {
		return nil, err
	}
	if r.AD == nil {
		return nil, &Error{Kind: Refused, Text: "the realm " + name + " has no ad: its users are refreshed at their logins"}
	}
	this := syncRun{name, o.DryRun}
	if _, taken := s.syncing.LoadOrStore(this, true); taken {
		return nil, busySync(name, nil)
	}
	defer s.syncing.Delete(this)
	dir, err := realm.Directory(r, s.log)
	if err != nil {
		return nil, &Error{Kind: Unavailable, Text: "the directory cannot be asked: " + err.Error(), Remedy: "look at realms." + name + ".ad", Err: err}
	}
	defer func() { _ = dir.Close() }()
	job, err := realm.Sync(name, r, st, dir, s.log)
	if err != nil {
		return nil, &Error{Kind: Refused, Text: err.Error(), Err: err}
	}
	job.Now, job.DryRun = s.now, o.DryRun
	if progress != nil {
		job.Progress = func(sum provision.Summary) {
			progress(SyncProgress{Done: int64(sum.Seen), Total: int64(max(sum.Total, sum.Seen))})
		}
	}
	sum, err := job.Run(ctx)
	if errors.Is(err, provision.ErrRunning) {
		return nil, busySync(name, err)
	}
	if o.DryRun {
		return sum, syncFailed(name, o, err)
	}
	done := struct {
		*provision.Summary
		Error string `json:"error,omitempty"`
	}{Summary: sum}
	if err != nil {
		done.Error = clip(err.Error(), maxText)
	}
	after, cancel := afterwards(ctx)
	defer cancel()
	if err := s.audited(after, st, caller, "realm.sync", name, func(_ context.Context, change *directory.Change) error {
		change.After = asJSON(done)
		return nil
	}); err != nil {
		s.log.LogAttrs(after, slog.LevelError, "a job is not in the audit record", slog.String("realm", name), slog.String("actor", caller.Name), slog.String("cause", err.Error()))
	}
	return sum, syncFailed(name, o, err)
}

// A syncRun is a job that runs here. A dry run does not wait for one that writes.
type syncRun struct {
	realm  string
	dryRun bool
}

func busySync(name string, err error) error {
	return &Error{Kind: Conflict, Text: "the job of the realm " + name + " runs already", Remedy: "wait until it is done", Err: err}
}

func syncFailed(name string, o SyncOptions, err error) error {
	held := "all is done, but users who are not in the directory were not disabled: they are too many"
	if o.DryRun {
		held = "users who are not in the directory would not be disabled: they are too many"
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, provision.ErrTooManyGone):
		return &Error{
			Kind: Refused, Text: held, Err: err,
			Remedy: "look at realms." + name + ".ad: url, base, domains and the rights of bind_user; if they are right, soapward sync --realm " + name + " --force",
		}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return &Error{
		Kind: Unavailable, Text: "it was ended before its end: " + clip(err.Error(), maxText), Err: err,
		Remedy: "run it again when store and directory answer: it goes on where it was",
	}
}

// syncState says when the job of a realm was done, and will be.
func (s *Service) syncState(ctx context.Context, name string, r *config.Realm) (*SyncState, error) {
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	state := new(SyncState)
	job, err := realm.Sync(name, r, st, nil, s.log)
	if err != nil {
		state.Summary = err.Error()
		return state, nil
	}
	if state.Last, err = job.Finished(ctx); err != nil {
		return nil, failed("realm "+name, err)
	}
	if at := r.AD.Sync.At; !r.AD.Sync.Disabled {
		state.Next = provision.Daily{Hour: at.Hour, Minute: at.Minute, Now: s.now}.Next(s.now())
	}
	return state, nil
}

// realmOf returns a realm of the configuration.
func realmOf(c *config.Config, name string) (*config.Realm, error) {
	if c != nil && c.Realms[name] != nil {
		return c.Realms[name], nil
	}
	remedy := ""
	if c != nil && len(c.Realms) > 0 {
		remedy = "one of " + strings.Join(slices.Sorted(maps.Keys(c.Realms)), ", ")
	}
	return nil, &Error{Kind: NotFound, Field: "realm", Text: fmt.Sprintf("there is no realm %q", clip(name, 64)), Remedy: remedy}
}
