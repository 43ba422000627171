package store

import (
	"context"
	"time"

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
// ID of the last one. Where many fit one part of the query and few all of it, it
// reads as many as it takes, if need be until Config.Timeout: programs that show
// pages use LoginsPart.
func (s *Store) Logins(ctx context.Context, q directory.LoginQuery) (all []directory.Login, err error) {
	err = s.reading(ctx, "logins", func(ctx context.Context) (err error) {
		all, _, err = s.searchLogins(ctx, q, loginParts, func() bool { return false })
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// LoginsPart is Logins for a page that comes quickly: it looks at some thousand
// logins, for some milliseconds, and returns those that fit. next goes on after them,
// also where there are fewer than Limit, or none. It is nil if there are no more.
func (s *Store) LoginsPart(ctx context.Context, q directory.LoginQuery) (part []directory.Login, next *directory.LoginQuery, err error) {
	began := time.Now()
	err = s.reading(ctx, "logins", func(ctx context.Context) (err error) {
		part, next, err = s.searchLogins(ctx, q, partOfPage, func() bool { return time.Since(began) > partTime })
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return part, next, nil
}
