package admin

import (
	"context"
	"encoding/hex"
	"strings"
	"unicode"

	"github.com/soapward/soapward/directory"
)

func sessionOf(n *directory.Session) *Session {
	out := &Session{
		ID: hex.EncodeToString(n.ID[:]), User: n.User, Created: n.Created, Seen: n.Seen, Expires: n.Expires,
		Remember: n.Remember, Peer: n.Peer, UserAgent: n.UserAgent,
	}
	if n.Grant != nil {
		out.Provider = n.Grant.Provider
	}
	return out
}

// isUser reports whether sessions of a name are somebody's. Rows that say which
// sealed sessions ended are among the others, with a name that nobody has: whoever
// ended those would bring the sessions back.
func isUser(name string) bool { return !strings.ContainsFunc(name, unicode.IsControl) }

// ListSessions implements Sessions.
func (s *Service) ListSessions(ctx context.Context, q SessionQuery) (*SessionPage, error) {
	st, size, err := s.listing(ctx, q.Limit)
	if err != nil {
		return nil, err
	}
	dq := directory.SessionQuery{User: q.User, Limit: size + 1}
	if q.After != "" {
		p, err := placeOf("sessions", q.After)
		if err != nil {
			return nil, err
		}
		if dq.After, err = sessionID(p.Name); err != nil {
			return nil, badPlace()
		}
		dq.AfterTime = p.time()
	}
	page := &SessionPage{Sessions: []Session{}}
	if !isUser(q.User) {
		return page, nil
	}
	rows, err := st.Sessions(ctx, s.now(), dq)
	if err != nil {
		return nil, failed("such session", err)
	}
	rows, more := cut(rows, size)
	present := FromContext(ctx).Session
	for i := range rows {
		if isUser(rows[i].User) {
			n := sessionOf(&rows[i])
			n.Present = n.ID == present
			page.Sessions = append(page.Sessions, *n)
		}
	}
	if more {
		last := &rows[len(rows)-1]
		page.Next = place{List: "sessions", Name: hex.EncodeToString(last.ID[:]), At: last.Created.UnixMicro()}.String()
	}
	return page, nil
}

func sessionID(text string) (id directory.SessionID, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return id, invalid("id", "this is not the ID of a session", "")
	}
	return directory.SessionID(b), nil
}

// EndSession implements Sessions.
func (s *Service) EndSession(ctx context.Context, id string) error {
	c, err := need(ctx, Operator)
	if err != nil {
		return err
	}
	st, err := s.store()
	if err != nil {
		return err
	}
	sid, err := sessionID(id)
	if err != nil {
		return err
	}
	const what = "such session"
	n, err := st.Session(ctx, sid)
	if err == nil && (!isUser(n.User) || !n.Live(s.now())) {
		err = directory.ErrNotFound
	}
	if err != nil {
		return failed(what, err)
	}
	return failed(what, s.audited(ctx, st, c, actionEndSession, n.User, func(ctx context.Context, change *directory.Change) error {
		change.Before = asJSON(sessionOf(n))
		return st.DeleteSession(ctx, sid)
	}))
}

// ended is what the record has of EndSessions.
type ended struct {
	Sessions int `json:"sessions_ended"`
}

// EndSessions implements Sessions.
func (s *Service) EndSessions(ctx context.Context, user string) (n int, err error) {
	c, err := need(ctx, Operator)
	if err != nil {
		return 0, err
	}
	st, err := s.store()
	if err != nil {
		return 0, err
	}
	if !isUser(user) {
		return 0, failed("user with such a name", directory.ErrNotFound)
	}
	what := "user " + shown(user)
	// A caller who has no row may have sessions: of a service that makes none.
	u, err := st.User(ctx, user)
	switch e := failed(what, err); {
	case err == nil:
		user = u.Name
	case kindOf(e) != NotFound:
		return 0, e
	default:
		some, err := st.SessionsOf(ctx, user)
		if err != nil {
			return 0, failed(what, err)
		}
		if len(some) == 0 {
			return 0, e // whom a typing error would leave logged in
		}
	}
	err = s.audited(ctx, st, c, actionEndSessions, user, func(ctx context.Context, change *directory.Change) (err error) {
		n, err = s.ender(st).EndAll(ctx, user)
		change.After = asJSON(ended{n})
		return err
	})
	return n, failed(what, err)
}
