package store

import (
	"context"
	"strings"
	"time"

	"github.com/soapward/soapward/directory"
)

// maxSealed bounds Grant.Sealed.
const maxSealed = 16 << 10

func checkGrant(g *directory.Grant) error {
	if g.Provider == "" {
		return invalid("a grant without provider")
	}
	if len(g.Sealed) > maxSealed {
		return invalid("a grant has %d bytes sealed, at most %d may be", len(g.Sealed), maxSealed)
	}
	for _, text := range []string{g.Provider, g.Subject, g.SessionID} {
		if err := checkText("text of a grant", text, maxText); err != nil {
			return err
		}
	}
	return nil
}

// grantValues are the arguments that write a grant or, of nil, none.
func grantValues(g *directory.Grant) []any {
	if g == nil {
		return []any{"", "", "", nil, int64(0), int64(0)}
	}
	return []any{g.Provider, g.Subject, g.SessionID, g.Sealed, micros(g.Due), micros(g.Busy)}
}

const grantColumns = "grant_provider, grant_subject, grant_session, grant_sealed, grant_due, grant_busy"

// grantRow scans grantColumns.
type grantRow struct {
	g         directory.Grant
	due, busy int64
}

func (r *grantRow) into() []any {
	return []any{&r.g.Provider, &r.g.Subject, &r.g.SessionID, &r.g.Sealed, &r.due, &r.busy}
}

func (r *grantRow) grant() *directory.Grant {
	if r.g.Provider == "" {
		return nil
	}
	r.g.Due, r.g.Busy = timeOf(r.due), timeOf(r.busy)
	return &r.g
}

// ofUsers leaves out rows that are no sessions of anybody: what ended
// (authn/session), and sign-ins of administrators that have begun (admin/access).
// Those have a user with a control character in front, as nobody has. The index for
// lists has none of them, of which there may be millions.
const ofUsers = "user_fold >= ' '"

// Sessions returns live sessions, the newest first, without their data and what is
// sealed of their grants.
func (s *Store) Sessions(ctx context.Context, now time.Time, q directory.SessionQuery) ([]directory.Session, error) {
	var c conditions
	if q.User != "" {
		if checkText("user", q.User, maxText) != nil {
			return nil, nil // no session has such a user
		}
		c.add("user_fold = %s", directory.FoldName(q.User))
	}
	c.terms = append(c.terms, ofUsers)
	c.add("expires > %s AND (idle <= 0 OR seen + idle > %s)", micros(now))
	if !q.AfterTime.IsZero() {
		c.terms = append(c.terms, "(created, id) < ("+c.list(micros(q.AfterTime), q.After[:])+")")
	}
	text := "SELECT " + listedColumns + " FROM sessions" + c.where() + " ORDER BY created DESC, id DESC LIMIT " + c.limit(q.Limit)
	var all []directory.Session
	err := s.reading(ctx, "sessions", func(ctx context.Context) error {
		all = nil
		return eachRow(ctx, s.reader(ctx), func(scan func(...any) error) error {
			n, err := scanSession(scan)
			if err == nil {
				all = append(all, *n)
			}
			return err
		}, text, s.once(c.args)...)
	})
	return all, err
}

// ClaimGrant lets one of all nodes ask the provider of a session whose grant is
// due: it sets Grant.Busy to until, unless somebody else has it and is not late. A
// zero Due is never.
func (s *Store) ClaimGrant(ctx context.Context, id directory.SessionID, now, until time.Time) (mine bool, err error) {
	n, err := s.exec(ctx, "claim grant", mayUndo, `UPDATE sessions SET grant_busy = $1
		WHERE id = $2 AND grant_provider <> '' AND grant_due <= $3 AND grant_due <> $4 AND grant_busy <= $3`,
		micros(until), id[:], micros(now), micros(time.Time{}))
	return n > 0, err
}

// PutGrant changes grant and data of a session that is still there, and frees the
// grant: Busy of g is not kept. A nil g takes the grant away, nil data leaves the
// data as it is. The error is directory.ErrNotFound if the session is gone; it stays
// so.
func (s *Store) PutGrant(ctx context.Context, id directory.SessionID, g *directory.Grant, data []byte) error {
	if g != nil {
		if err := checkGrant(g); err != nil {
			return s.fail("put grant", err)
		}
		free := *g
		free.Busy = time.Time{}
		g = &free
	}
	if len(data) > maxData {
		return s.fail("put grant", invalid("session has %d bytes of data, at most %d may be", len(data), maxData))
	}
	args := append(grantValues(g), id[:])
	text := "UPDATE sessions SET grant_provider = $1, grant_subject = $2, grant_session = $3, grant_sealed = $4, grant_due = $5, grant_busy = $6"
	if data != nil {
		text += ", data = $8"
		args = append(args, data)
	}
	n, err := s.telling(ctx, "put grant", Sessions, text+" WHERE id = $7", args...)
	if err == nil && n == 0 {
		err = s.fail("put grant", directory.ErrNotFound)
	}
	return err
}

// DeleteSessionsOfGrant ends the sessions of a provider: of a subject, of a session
// there, or of both if both are given. It returns how many there were. Without
// either there are none.
func (s *Store) DeleteSessionsOfGrant(ctx context.Context, provider, subject, sessionID string) (int, error) {
	if provider == "" || subject == "" && sessionID == "" || checkText("", strings.Join([]string{provider, subject, sessionID}, ""), 3*maxText) != nil {
		return 0, nil
	}
	var c conditions
	c.add("grant_provider <> '' AND grant_provider = %s", provider)
	if subject != "" {
		c.add("grant_subject = %s", subject)
	}
	if sessionID != "" {
		c.add("grant_session <> '' AND grant_session = %s", sessionID)
	}
	return s.telling(ctx, "delete sessions", Sessions, "DELETE FROM sessions"+c.where(), c.args...)
}
