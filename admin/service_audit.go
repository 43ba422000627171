package admin

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"github.com/soapward/soapward/directory"
)

var outcomes = []string{
	string(directory.Accepted), string(directory.Refused), string(directory.Blocked), string(directory.Unavailable),
}

// Logins implements Audit.
func (s *Service) Logins(ctx context.Context, q LoginQuery) (*LoginPage, error) {
	st, size, err := s.listing(ctx, q.Limit)
	if err != nil {
		return nil, err
	}
	if q.Outcome != "" && !slices.Contains(outcomes, q.Outcome) {
		return nil, invalid("outcome", "there is no such outcome", "one of "+strings.Join(outcomes, ", "))
	}
	dq := directory.LoginQuery{
		User: q.User, Peer: q.Peer, Outcome: directory.Outcome(q.Outcome), Mechanism: q.Mechanism, Reason: q.Reason, Ref: q.Ref,
		NewerID: q.NewerID, Before: q.Until, Since: q.Since, Limit: size + 1,
	}
	if addr, err := netip.ParseAddr(q.Peer); err == nil {
		dq.Peer = addr.Unmap().String()
	}
	switch {
	case q.NewerID < 0:
		return nil, invalid("newer_id", "no login has such a number", "")
	case q.NewerID > 0 && (q.After != "" || !q.Until.IsZero()):
		return nil, invalid("newer_id", "newer ones cannot be asked for together with older ones", "leave out after and until")
	case q.After != "":
		p, err := placeOf("logins", q.After)
		if err != nil {
			return nil, err
		}
		if q.Until.IsZero() || p.time().Before(q.Until) {
			dq.Before, dq.BeforeID = p.time(), p.ID
		}
	}
	rows, next, err := st.LoginsPart(ctx, dq)
	if err != nil {
		return nil, failed("such login", err)
	}
	page := &LoginPage{Logins: []Login{}}
	rows, more := cut(rows, size)
	for _, l := range rows {
		page.Logins = append(page.Logins, Login{
			ID: l.ID, Time: l.Time, Outcome: string(l.Outcome), User: l.User, SID: string(l.SID), Realm: l.Realm, Mechanism: l.Mechanism,
			Peer: l.Peer, UserAgent: l.UserAgent, Reason: string(l.Reason), Detail: l.Detail, Ref: l.Ref,
		})
	}
	switch {
	case more && q.NewerID > 0:
		page.NewerID = rows[len(rows)-1].ID
	case more:
		last := rows[len(rows)-1]
		page.Next = place{List: "logins", At: last.Time.UnixMicro(), ID: last.ID}.String()
	case next != nil && q.NewerID > 0:
		page.NewerID = next.NewerID
	case next != nil:
		page.Next, page.Partial = place{List: "logins", At: next.Before.UnixMicro(), ID: next.BeforeID}.String(), true
	}
	return page, nil
}

// Changes implements Audit.
func (s *Service) Changes(ctx context.Context, q ChangeQuery) (*ChangePage, error) {
	st, size, err := s.listing(ctx, q.Limit)
	if err != nil {
		return nil, err
	}
	dq := directory.ChangeQuery{Actor: q.Actor, Action: q.Action, Target: q.Target, Since: q.Since, Limit: size + 1}
	if q.After != "" {
		p, err := placeOf("changes", q.After)
		if err != nil {
			return nil, err
		}
		dq.Before, dq.BeforeID = p.time(), p.ID
	}
	rows, err := st.Changes(ctx, dq)
	if err != nil {
		return nil, failed("such change", err)
	}
	page := &ChangePage{Changes: []Change{}}
	rows, more := cut(rows, size)
	for _, c := range rows {
		page.Changes = append(page.Changes, Change{
			ID: c.ID, Time: c.Time, Actor: c.Actor, Peer: c.Peer, Action: c.Action, Target: c.Target,
			Before: raw(c.Before), After: raw(c.After), Ref: c.Ref,
		})
	}
	if more {
		last := rows[len(rows)-1]
		page.Next = place{List: "changes", At: last.Time.UnixMicro(), ID: last.ID}.String()
	}
	return page, nil
}

// raw is what a record says. What is no JSON becomes a text, so that one row does
// not keep a whole page from being shown.
func raw(text string) json.RawMessage {
	switch {
	case text == "":
		return nil
	case json.Valid([]byte(text)):
		return json.RawMessage(text)
	}
	return json.RawMessage(asJSON(text))
}
