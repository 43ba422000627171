package store

import (
	"context"
	"math"
	"time"

	"github.com/soapward/soapward/directory"
)

// keepFailures is how long failures are kept that no AddFailure has forgotten.
const keepFailures = 24 * time.Hour

// pruneBatch bounds what one statement removes, so that others get their turn.
const pruneBatch = 5000

const (
	// keepChanges is how many times longer than logins changes of administrators
	// are kept: they are few, and asked for after years.
	keepChanges = 10

	// keepConfigs is how many configurations of a node are kept.
	keepConfigs = 500
)

// Prune removes what is over at a time: sessions past their limits, failures
// older than a day, blocks, used authenticators, logins and counts older than
// Config.KeepLogins, changes ten times as old, never sooner, and of the
// configurations of a node those before the last 500. It may run at several nodes
// at once. It goes on until ctx ends, each statement for Config.Timeout at most.
func (s *Store) Prune(ctx context.Context, now time.Time) (p directory.Pruned, err error) {
	at, keep := micros(now), time.Duration(s.keep.Load())
	changes := int64(math.MinInt64) // never
	if keep < math.MaxInt64/keepChanges {
		changes = micros(now.Add(-keepChanges * keep))
	}
	for _, job := range []struct {
		n         *int
		table, of string
		condition string
		limit     int64
	}{
		{&p.Sessions, "sessions", "id", "expires <= $1", at},
		{&p.Sessions, "sessions", "id", "idle > 0 AND seen + idle <= $1", at},
		{&p.Blocks, "blocks", "who", "until <= $1", at},
		{&p.Logins, "logins", "id", "at < $1", micros(now.Add(-keep))},
		{&p.Changes, "changes", "id", "at < $1", changes},
		{&p.Configs, "configs", "id", "(SELECT COUNT(*) FROM configs c WHERE c.node = configs.node AND c.id > configs.id) >= $1", keepConfigs},
	} {
		if err := s.prune(ctx, job.n, "DELETE FROM "+job.table+" WHERE "+job.of+" IN (SELECT "+job.of+" FROM "+job.table+
			" WHERE "+job.condition+" LIMIT $2)", job.limit); err != nil {
			return p, err
		}
	}
	for _, span := range countSpans {
		n, err := s.exec(ctx, "prune", mayUndo, "DELETE FROM counts WHERE span = $1 AND at < $2",
			int64(span/time.Second), micros(now.Add(-keep).Add(-span)))
		p.Counts += n
		if err != nil {
			return p, err
		}
	}
	row := "rowid"
	if s.turn == nil {
		row = "ctid"
	}
	if err := s.prune(ctx, &p.Failures, "DELETE FROM failures WHERE "+row+" IN (SELECT "+row+" FROM failures WHERE at <= $1 LIMIT $2)",
		micros(now.Add(-keepFailures))); err != nil {
		return p, err
	}
	p.Replays, err = s.replays.prune(ctx, now)
	return p, err
}

// prune runs a statement until it finds nothing more.
func (s *Store) prune(ctx context.Context, total *int, text string, limit int64) error {
	for {
		n, err := s.exec(ctx, "prune", mayUndo, text, limit, pruneBatch)
		*total += n
		if err != nil || n < pruneBatch {
			return err
		}
	}
}
