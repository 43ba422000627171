package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/directory"
)

// countSpans are the times by which counts are summed up, the longest first. Each
// divides the one before. Three months by five minutes would be too many rows for a
// page.
var countSpans = []time.Duration{24 * time.Hour, 6 * time.Hour, time.Hour, directory.CountStep}

// countRow is a row of counts.
type countRow struct {
	span, at                 int64
	kind, mechanism, outcome string
}

func (r countRow) compare(o countRow) int {
	return cmp.Or(cmp.Compare(r.span, o.span), cmp.Compare(r.at, o.at), strings.Compare(r.kind, o.kind),
		strings.Compare(r.mechanism, o.mechanism), strings.Compare(r.outcome, o.outcome))
}

// floorTime is the beginning of the span that t is in, counted from 1970 in UTC.
func floorTime(t time.Time, span time.Duration) time.Time {
	us := micros(t)
	rest := us % span.Microseconds()
	if rest < 0 {
		rest += span.Microseconds()
	}
	return timeOf(us - rest)
}

// manyCounts is how many rows a statement of AddCounts writes.
const manyCounts = 500

// AddCounts adds to what was counted by all nodes. Of Time the five minutes count
// that it is in.
func (s *Store) AddCounts(ctx context.Context, counts []directory.Count) error {
	sums := make(map[countRow]int64)
	for _, c := range counts {
		if c.N < 0 {
			return s.fail("add counts", invalid("a count of %d", c.N))
		}
		for _, span := range countSpans {
			sums[countRow{
				int64(span / time.Second), micros(floorTime(c.Time, span)),
				clean(string(c.Kind), maxName), clean(c.Mechanism, maxName), clean(string(c.Outcome), maxName),
			}] += c.N
		}
	}
	rows := make([]countRow, 0, len(sums))
	for r := range sums {
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		return nil
	}
	slices.SortFunc(rows, countRow.compare) // so that nodes do not wait crosswise
	return s.inTx(ctx, "add counts", mayUndo, func(ctx context.Context, tx *sql.Tx) error {
		for part := range slices.Chunk(rows, manyCounts) {
			var p params
			var values []string
			for _, r := range part {
				values = append(values, "("+p.list(r.span, r.at, r.kind, r.mechanism, r.outcome, sums[r])+")")
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO counts (span, at, kind, mechanism, outcome, n) VALUES "+strings.Join(values, ", ")+
				" ON CONFLICT (span, at, kind, mechanism, outcome) DO UPDATE SET n = counts.n + excluded.n", s.once(p.args)...); err != nil {
				return err
			}
		}
		return nil
	})
}

// Counts returns sums by step, kind, mechanism and outcome, in the order of time.
// Steps begin at multiples of Step since 1970 in UTC. Since and Until count to five
// minutes: those that Since is in are in, those that Until is in are not, unless it
// is zero, which is for all up to now. The first and the last step may be cut by
// them. Step is up to 366 days; zero means CountStep.
func (s *Store) Counts(ctx context.Context, q directory.CountQuery) ([]directory.Count, error) {
	step := q.Step
	if step == 0 {
		step = directory.CountStep
	}
	if step < 0 || step%directory.CountStep != 0 || step > 366*24*time.Hour {
		return nil, s.fail("counts", invalid("steps of %s: must be a multiple of %s up to 366 days", step, directory.CountStep))
	}
	since, until := floorTime(q.Since, directory.CountStep), floorTime(q.Until, directory.CountStep)
	if q.Since.IsZero() {
		since = time.Unix(0, 0)
	}
	if q.Until.IsZero() {
		until = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if !since.Before(until) {
		return nil, nil
	}
	var p params
	parts := strings.Join(p.countParts(since, until, step, countSpans), " UNION ALL ")
	us := p.list(step.Microseconds())
	text := "SELECT step, kind, mechanism, outcome, CAST(SUM(n) AS BIGINT) FROM (SELECT at - at % " + us + " AS step, kind, mechanism, outcome, n FROM (" + parts +
		") AS parts) AS steps GROUP BY step, kind, mechanism, outcome ORDER BY step, kind, mechanism, outcome"
	var all []directory.Count
	err := s.reading(ctx, "counts", func(ctx context.Context) error {
		all = nil
		return eachRow(ctx, s.reader(ctx), func(scan func(...any) error) error {
			var c directory.Count
			var at int64
			if err := scan(&at, &c.Kind, &c.Mechanism, &c.Outcome, &c.N); err != nil {
				return err
			}
			c.Time = timeOf(at)
			all = append(all, c)
			return nil
		}, text, s.once(p.args)...)
	})
	return all, err
}

// countParts are the queries that together have each of the five minutes once: long
// spans within, shorter ones where since and until cut them.
func (p *params) countParts(since, until time.Time, step time.Duration, spans []time.Duration) []string {
	span := spans[0]
	from, to := floorTime(since.Add(span-1), span), floorTime(until, span)
	switch {
	case !since.Before(until):
		return nil
	case len(spans) == 1 || step%span == 0 && from.Before(to):
	default:
		return p.countParts(since, until, step, spans[1:])
	}
	parts := []string{"SELECT at, kind, mechanism, outcome, n FROM counts WHERE span = " + p.list(int64(span/time.Second)) +
		" AND at >= " + p.list(micros(from)) + " AND at < " + p.list(micros(to))}
	if len(spans) > 1 {
		parts = append(parts, p.countParts(since, from, step, spans[1:])...)
		parts = append(parts, p.countParts(to, until, step, spans[1:])...)
	}
	return parts
}

// exactly is up to how many users CountUsers counts one by one in PostgreSQL.
const exactly = 10_000

// CountUsers returns about how many users there are: exactly up to 10,000, and with
// SQLite.
func (s *Store) CountUsers(ctx context.Context) (n int64, err error) {
	err = s.reading(ctx, "count users", func(ctx context.Context) error {
		q := s.reader(ctx)
		if s.turn != nil {
			return q.QueryRowContext(ctx, "SELECT n FROM user_total").Scan(&n)
		}
		if err := q.QueryRowContext(ctx, "SELECT COUNT(*) FROM (SELECT 1 FROM users LIMIT $1) AS part", exactly+1).Scan(&n); err != nil || n <= exactly {
			return err
		}
		// As of the last VACUUM or ANALYZE, which PostgreSQL does when a tenth changed.
		var about int64
		err := q.QueryRowContext(ctx, "SELECT reltuples::bigint FROM pg_class WHERE oid = 'users'::regclass").Scan(&about)
		n = max(n, about)
		return err
	})
	return n, err
}

// countUsers notes for SQLite that there are more users, or fewer.
func (s *Store) countUsers(ctx context.Context, tx querier, more int) error {
	if s.turn == nil || more == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, "UPDATE user_total SET n = n + $1", more)
	return err
}

// CountGranted returns how many users each role was granted by an operator.
func (s *Store) CountGranted(ctx context.Context) (of map[string]int64, err error) {
	err = s.reading(ctx, "count roles", func(ctx context.Context) error {
		of = make(map[string]int64)
		return eachRow(ctx, s.reader(ctx), func(scan func(...any) error) error {
			var role string
			var n int64
			err := scan(&role, &n)
			of[role] = n
			return err
		}, "SELECT role, COUNT(*) FROM user_roles GROUP BY role")
	})
	if err != nil {
		return nil, err
	}
	return of, nil
}
