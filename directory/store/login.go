package store

import (
	"context"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// AddLogin adds to the history. Texts of clients are cut, and what is no text in
// them is replaced: nobody stays out of the record by what he sends.
func (s *Store) AddLogin(ctx context.Context, l *directory.Login) error {
	user := clean(l.User, maxText)
	_, err := s.exec(ctx, "add login", mayUndo, `INSERT INTO logins
		(at, ref, realm, user_name, user_fold, sid, mechanism, peer, user_agent, outcome, reason, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		micros(l.Time), clean(l.Ref, maxName), clean(l.Realm, maxName), user, directory.FoldName(user), clean(string(l.SID), maxName),
		clean(l.Mechanism, maxName), clean(l.Peer, maxName), clean(l.UserAgent, maxText), clean(string(l.Outcome), maxName),
		clean(string(l.Reason), maxName), clean(l.Detail, maxDN))
	return err
}

// Logins returns logins, the newest first. The next page is that before time and
// ID of the last one.
func (s *Store) Logins(ctx context.Context, q directory.LoginQuery) ([]directory.Login, error) {
	var c conditions
	if q.User != "" {
		c.add("user_fold = %s", directory.FoldName(clean(q.User, maxText)))
	}
	if q.Peer != "" {
		c.add("peer = %s", clean(q.Peer, maxName))
	}
	if q.Outcome != "" {
		c.add("outcome = %s", clean(string(q.Outcome), maxName))
	}
	if q.Mechanism != "" {
		c.add("mechanism = %s", clean(q.Mechanism, maxName))
	}
	if q.Reason != "" {
		c.add("reason = %s", clean(q.Reason, maxName))
	}
	if q.Ref != "" {
		c.add("ref = %s", clean(q.Ref, maxName))
	}
	order := " ORDER BY at DESC, id DESC"
	if q.NewerID > 0 {
		c.add("id > %s", q.NewerID)
		order = " ORDER BY id"
		q.Before = time.Time{}
	}
	c.times(q.Before, q.BeforeID, q.Since)
	text := `SELECT id, at, ref, realm, user_name, sid, mechanism, peer, user_agent, outcome, reason, detail FROM logins` +
		c.where() + order + " LIMIT " + c.limit(q.Limit)
	var all []directory.Login
	err := s.reading(ctx, "logins", func(ctx context.Context) error {
		all = nil
		return eachRow(ctx, s.reader(ctx), func(scan func(...any) error) error {
			var l directory.Login
			var at int64
			var sid, outcome, reason string
			if err := scan(&l.ID, &at, &l.Ref, &l.Realm, &l.User, &sid, &l.Mechanism, &l.Peer, &l.UserAgent, &outcome, &reason, &l.Detail); err != nil {
				return err
			}
			l.Time, l.SID, l.Outcome, l.Reason = timeOf(at), authn.SID(sid), directory.Outcome(outcome), authn.Reason(reason)
			all = append(all, l)
			return nil
		}, text, s.once(c.args)...)
	})
	return all, err
}
