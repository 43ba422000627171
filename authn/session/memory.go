package session

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/soapward/soapward/directory"
)

// DefaultMemory is how many sessions a Memory keeps unless it was told another
// number: some 50 to 100 MB of them.
const DefaultMemory = 50_000

// Memory is a Store in the memory of this process: nobody shares it, and a
// restart ends all sessions. It is safe for concurrent use.
type Memory struct {
	limit int

	mu    sync.Mutex
	since time.Time
	rows  map[directory.SessionID]*list.Element // of *directory.Session
	order *list.List                            // the one used last is in front
	users map[string]map[directory.SessionID]bool
}

var (
	_ Store     = (*Memory)(nil)
	_ Forgetful = (*Memory)(nil)

	_ GrantStore = (*Memory)(nil)
)

// NewMemory returns a Memory for up to limit sessions; zero means DefaultMemory.
// When there are more, the one that was not used for longest ends.
func NewMemory(limit int) *Memory {
	if limit <= 0 {
		limit = DefaultMemory
	}
	return &Memory{
		limit: limit, since: time.Now(), order: list.New(),
		rows: make(map[directory.SessionID]*list.Element), users: make(map[string]map[directory.SessionID]bool),
	}
}

// Since implements Forgetful.
func (m *Memory) Since() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.since
}

// PutSession implements Store.
func (m *Memory) PutSession(_ context.Context, s *directory.Session) error {
	c := *s
	c.Data = slices.Clone(s.Data)
	c.Grant = cloneGrant(s.Grant)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(c.ID)
	// The oldest are those that nobody used, so that the expired go first.
	for oldest := m.order.Back(); oldest != nil; oldest = m.order.Back() {
		row := oldest.Value.(*directory.Session)
		if len(m.rows) < m.limit && row.Live(c.Created) {
			break
		}
		// Nobody knows any more what ended before this.
		if row.User == endedRows && row.Live(c.Created) && !row.Created.Before(m.since) {
			m.since = row.Created.Add(time.Millisecond)
		}
		m.remove(row.ID)
	}
	m.rows[c.ID] = m.order.PushFront(&c)
	user := directory.FoldName(c.User)
	if m.users[user] == nil {
		m.users[user] = make(map[directory.SessionID]bool)
	}
	m.users[user][c.ID] = true
	return nil
}

// Session implements Store.
func (m *Memory) Session(_ context.Context, id directory.SessionID) (*directory.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.rows[id]
	if !ok {
		return nil, directory.ErrNotFound
	}
	c := *e.Value.(*directory.Session)
	return &c, nil // neither Data nor Grant is ever written to
}

// TouchSession implements Store.
func (m *Memory) TouchSession(_ context.Context, id directory.SessionID, seen time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.rows[id]
	if !ok {
		return directory.ErrNotFound
	}
	if s := e.Value.(*directory.Session); seen.After(s.Seen) {
		s.Seen = seen
	}
	m.order.MoveToFront(e)
	return nil
}

// DeleteSession implements Store.
func (m *Memory) DeleteSession(_ context.Context, id directory.SessionID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(id)
	return nil
}

// SessionsOf implements Store. The newest comes first.
func (m *Memory) SessionsOf(_ context.Context, user string) ([]directory.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ss []directory.Session
	for id := range m.users[directory.FoldName(user)] {
		ss = append(ss, *m.rows[id].Value.(*directory.Session))
	}
	slices.SortFunc(ss, func(a, b directory.Session) int { return b.Created.Compare(a.Created) })
	return ss, nil
}

// DeleteSessionsOf implements Store.
func (m *Memory) DeleteSessionsOf(_ context.Context, user string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids := m.users[directory.FoldName(user)]
	n := len(ids)
	for id := range ids {
		m.remove(id)
	}
	return n, nil
}

// ClaimGrant implements GrantStore.
func (m *Memory) ClaimGrant(_ context.Context, id directory.SessionID, now, until time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.rows[id]
	if !ok {
		return false, nil
	}
	s := e.Value.(*directory.Session)
	if s.Grant == nil || now.Before(s.Grant.Busy) || s.Grant.Due.IsZero() || now.Before(s.Grant.Due) {
		return false, nil
	}
	s.Grant = cloneGrant(s.Grant)
	s.Grant.Busy = until
	return true, nil
}

// PutGrant implements GrantStore.
func (m *Memory) PutGrant(_ context.Context, id directory.SessionID, g *directory.Grant, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.rows[id]
	if !ok {
		return directory.ErrNotFound
	}
	s := e.Value.(*directory.Session)
	if s.Grant = cloneGrant(g); s.Grant != nil {
		s.Grant.Busy = time.Time{}
	}
	if data != nil {
		s.Data = slices.Clone(data)
	}
	return nil
}

// DeleteSessionsOfGrant implements GrantStore.
func (m *Memory) DeleteSessionsOfGrant(_ context.Context, provider, subject, sessionID string) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, e := range m.rows {
		g := e.Value.(*directory.Session).Grant
		if g != nil && g.Provider == provider && (subject == "" || g.Subject == subject) && (sessionID == "" || g.SessionID == sessionID) {
			m.remove(id)
			n++
		}
	}
	return n, nil
}

// cloneGrant copies g: rows share nothing with what they are made of, and Session's
// answers keep theirs.
func cloneGrant(g *directory.Grant) *directory.Grant {
	if g == nil {
		return nil
	}
	c := *g
	c.Sealed = slices.Clone(g.Sealed)
	return &c
}

// remove deletes a row, if it is there. The caller holds mu.
func (m *Memory) remove(id directory.SessionID) {
	e, ok := m.rows[id]
	if !ok {
		return
	}
	s := m.order.Remove(e).(*directory.Session)
	delete(m.rows, id)
	user := directory.FoldName(s.User)
	delete(m.users[user], id)
	if len(m.users[user]) == 0 {
		delete(m.users, user)
	}
}
