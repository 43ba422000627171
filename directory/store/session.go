package store

import (
	"context"
	"time"

	"github.com/soapward/soapward/directory"
)

// PutSession adds a session, or replaces the one with its ID.
func (s *Store) PutSession(ctx context.Context, n *directory.Session) error {
	if err := checkSession(n); err != nil {
		return s.fail("put session", err)
	}
	data := n.Data
	if data == nil {
		data = []byte{}
	}
	args := append([]any{
		n.ID[:], n.User, directory.FoldName(n.User), data, micros(n.Created), micros(n.Seen), micros(n.Expires),
		n.Idle.Microseconds(), n.Remember, n.Peer, clean(n.UserAgent, maxText),
	}, grantValues(n.Grant)...)
	_, err := s.exec(ctx, "put session", lasts, `INSERT INTO sessions
		(id, user_name, user_fold, data, created, seen, expires, idle, remember, peer, user_agent, `+grantColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
		ON CONFLICT (id) DO UPDATE SET user_name = excluded.user_name, user_fold = excluded.user_fold, data = excluded.data,
		created = excluded.created, seen = excluded.seen, expires = excluded.expires, idle = excluded.idle,
		remember = excluded.remember, peer = excluded.peer, user_agent = excluded.user_agent,
		grant_provider = excluded.grant_provider, grant_subject = excluded.grant_subject, grant_session = excluded.grant_session,
		grant_sealed = excluded.grant_sealed, grant_due = excluded.grant_due, grant_busy = excluded.grant_busy`, args...)
	return err
}

func checkSession(n *directory.Session) error {
	if len(n.Data) > maxData {
		return invalid("session has %d bytes of data, at most %d may be", len(n.Data), maxData)
	}
	if err := checkText("user of a session", n.User, maxText); err != nil {
		return err
	}
	if n.Grant != nil {
		if err := checkGrant(n.Grant); err != nil {
			return err
		}
	}
	return checkText("address of a session", n.Peer, maxText)
}

const (
	sessionColumns = "id, user_name, data, created, seen, expires, idle, remember, peer, user_agent, " + grantColumns

	// listedColumns are the same without what is large and nobody lists.
	listedColumns = "id, user_name, NULL, created, seen, expires, idle, remember, peer, user_agent, " +
		"grant_provider, grant_subject, grant_session, NULL, grant_due, grant_busy"
)

func scanSession(scan func(...any) error) (*directory.Session, error) {
	var (
		n                            directory.Session
		id                           []byte
		created, seen, expires, idle int64
		grant                        grantRow
	)
	if err := scan(append([]any{
		&id, &n.User, &n.Data, &created, &seen, &expires, &idle, &n.Remember, &n.Peer, &n.UserAgent,
	}, grant.into()...)...); err != nil {
		return nil, err
	}
	copy(n.ID[:], id)
	n.Created, n.Seen, n.Expires = timeOf(created), timeOf(seen), timeOf(expires)
	n.Idle = time.Duration(idle) * time.Microsecond
	n.Grant = grant.grant()
	return &n, nil
}

// Session returns a session, also one that is over: see directory.Session.Live.
func (s *Store) Session(ctx context.Context, id directory.SessionID) (n *directory.Session, err error) {
	err = s.reading(ctx, "session", func(ctx context.Context) error {
		row, err := s.row(ctx, "SELECT "+sessionColumns+" FROM sessions WHERE id = $1", id[:])
		if err != nil {
			return err
		}
		n, err = scanSession(row.Scan)
		return err
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// TouchSession notes that a session was seen, unless it was seen later. One that
// is gone stays gone, without an error.
func (s *Store) TouchSession(ctx context.Context, id directory.SessionID, seen time.Time) error {
	_, err := s.exec(ctx, "touch session", mayUndo, "UPDATE sessions SET seen = $1 WHERE id = $2 AND seen < $1", micros(seen), id[:])
	return err
}

// DeleteSession ends a session. It may be gone already.
func (s *Store) DeleteSession(ctx context.Context, id directory.SessionID) error {
	_, err := s.telling(ctx, "delete session", Sessions, "DELETE FROM sessions WHERE id = $1", id[:])
	return err
}

// SessionsOf returns up to 1,000 sessions of a user, the newest first, also those
// that are over and not pruned yet.
func (s *Store) SessionsOf(ctx context.Context, user string) ([]directory.Session, error) {
	if checkText("user", user, maxText) != nil {
		return nil, nil // no session has such a user
	}
	var all []directory.Session
	err := s.reading(ctx, "sessions", func(ctx context.Context) error {
		all = nil
		return eachRow(ctx, s.reader(ctx), func(scan func(...any) error) error {
			n, err := scanSession(scan)
			if err == nil {
				all = append(all, *n)
			}
			return err
		}, "SELECT "+sessionColumns+" FROM sessions WHERE user_fold = $1 ORDER BY created DESC, id LIMIT 1000", directory.FoldName(user))
	})
	return all, err
}

// DeleteSessionsOf ends all sessions of a user and returns how many there were.
func (s *Store) DeleteSessionsOf(ctx context.Context, user string) (int, error) {
	if checkText("user", user, maxText) != nil {
		return 0, nil
	}
	return s.telling(ctx, "delete sessions", Sessions, "DELETE FROM sessions WHERE user_fold = $1", directory.FoldName(user))
}
