package login

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/soapward/soapward/directory/provision"
	builder "github.com/soapward/soapward/gateway/realm"
)

// pruneEvery is how often what is over is removed from the store.
const pruneEvery = 5 * time.Minute

// Run does the daily jobs of the realms, and keeps the store free of what is over,
// until ctx ends. Of several nodes, one does a job.
func (s *Set) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if s.o.Store == nil {
		<-ctx.Done()
		return
	}
	for _, r := range s.realms {
		if r.made.realm.AD != nil && !r.made.realm.AD.Sync.Disabled {
			wg.Go(func() { s.daily(ctx, r) })
		}
	}
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if _, err := s.o.Store.Prune(ctx, now); err != nil && ctx.Err() == nil {
				s.log.LogAttrs(ctx, slog.LevelWarn, "what is over stays in the store for now", slog.String("cause", err.Error()))
			}
		}
	}
}

// daily refreshes the users of a realm once a day.
func (s *Set) daily(ctx context.Context, r *realm) {
	log := s.log.With(slog.String("realm", r.name))
	job, err := builder.Sync(r.name, r.made.realm, s.o.Store, r.directory, s.log)
	if err != nil {
		log.LogAttrs(ctx, slog.LevelError, "no daily job", slog.String("cause", err.Error()))
		return
	}
	at := r.made.realm.AD.Sync.At
	when := provision.Daily{Hour: at.Hour, Minute: at.Minute, Now: s.o.testOnlyNow}
	job.Now = s.o.testOnlyNow
	last, err := job.Finished(ctx)
	if err != nil { // the job itself looks again whether it is due
		log.LogAttrs(ctx, slog.LevelWarn, "it is not known when the daily job was done", slog.String("cause", err.Error()))
	}
	_ = when.Run(ctx, last, func(ctx context.Context, due time.Time) {
		sum, err := job.RunDue(ctx, due)
		level, text := slog.LevelInfo, "daily job done"
		switch {
		case errors.Is(err, provision.ErrDone), errors.Is(err, provision.ErrRunning), ctx.Err() != nil:
			log.LogAttrs(ctx, slog.LevelDebug, "daily job left to others", slog.Any("cause", err))
			return
		case errors.Is(err, provision.ErrTooManyGone):
			level, text = slog.LevelError, "daily job done, but users who are gone were not disabled: too many"
		case err != nil:
			level, text = slog.LevelError, "daily job ended before its end"
		}
		line := []slog.Attr{
			slog.Int("seen", sum.Seen), slog.Int("refreshed", sum.Refreshed), slog.Int("disabled", sum.Deactivated),
			slog.Int("enabled", sum.Reactivated), slog.Int("gone", sum.Gone), slog.Int("failed", sum.Failed+sum.Conflicts), slog.Duration("dur", sum.Took),
		}
		if err != nil {
			line = append(line, slog.String("cause", err.Error()), slog.String("hint", "soapward sync --realm "+r.name+" --dry-run tells more"))
		}
		log.LogAttrs(ctx, level, text, line...)
	})
}
