package provision

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// start is when the tests begin.
var start = time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)

// memory is a store as its contract is. Tests with real databases are those of
// package directory/store and of the command.
type memory struct {
	mu     sync.Mutex
	users  map[int64]*directory.User
	byName map[string]int64
	bySID  map[authn.SID]int64
	nextID int64
	notes  map[string]string
	ended  []string // users whose sessions were ended
	logins int
	writes int // of users
	reads  int // of users at logins

	down bool
	// before is called before a write, without the lock.
	before func(what string, u *directory.User)
}

var (
	_ LoginStore = (*memory)(nil)
	_ SyncStore  = (*memory)(nil)
)

func newMemory(tb testing.TB, users ...directory.User) *memory {
	tb.Helper()
	m := &memory{
		users: make(map[int64]*directory.User), byName: make(map[string]int64), bySID: make(map[authn.SID]int64),
		notes: make(map[string]string),
	}
	for _, u := range users {
		if err := m.CreateUser(tb.Context(), &u); err != nil {
			tb.Fatal(err)
		}
	}
	m.writes = 0
	return m
}

func (m *memory) lock() error {
	m.mu.Lock()
	if m.down {
		m.mu.Unlock()
		return fmt.Errorf("memory: %w", authn.ErrUnavailable)
	}
	return nil
}

func clone(u *directory.User) *directory.User {
	c := *u
	c.Groups, c.Roles = slices.Clone(u.Groups), slices.Clone(u.Roles)
	return &c
}

func (m *memory) get(id func() int64) (*directory.User, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	m.reads++
	if u := m.users[id()]; u != nil {
		return clone(u), nil
	}
	return nil, fmt.Errorf("memory: %w", directory.ErrNotFound)
}

func (m *memory) User(_ context.Context, name string) (*directory.User, error) {
	return m.get(func() int64 { return m.byName[directory.FoldName(name)] })
}

func (m *memory) UserBySID(_ context.Context, sid authn.SID) (*directory.User, error) {
	return m.get(func() int64 { return m.bySID[sid] })
}

func (m *memory) UserByID(_ context.Context, id int64) (*directory.User, error) {
	return m.get(func() int64 { return id })
}

// put writes a row, unless another user has name or SID.
func (m *memory) put(u *directory.User) error {
	name := directory.FoldName(u.Name)
	if id := m.byName[name]; id != 0 && id != u.ID {
		return fmt.Errorf("memory: %q: %w", u.Name, directory.ErrExists)
	}
	if id := m.bySID[u.SID]; u.SID != "" && id != 0 && id != u.ID {
		return fmt.Errorf("memory: %q: %w", u.SID, directory.ErrExists)
	}
	if u.ID == 0 {
		m.nextID++
		u.ID = m.nextID
	} else {
		delete(m.byName, directory.FoldName(m.users[u.ID].Name))
	}
	m.byName[name] = u.ID
	if u.SID != "" {
		m.bySID[u.SID] = u.ID
	}
	u.Version++
	m.users[u.ID] = clone(u)
	m.writes++
	return nil
}

func (m *memory) CreateUser(_ context.Context, u *directory.User) error {
	if m.before != nil {
		m.before("create", u)
	}
	if err := m.lock(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	return m.put(u)
}

func (m *memory) UpdateUser(_ context.Context, u *directory.User) error {
	if m.before != nil {
		m.before("update", u)
	}
	if err := m.lock(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	row := m.users[u.ID]
	switch {
	case row == nil:
		return directory.ErrNotFound
	case row.Version != u.Version:
		return directory.ErrConflict
	case len(u.Name) > 1024 || strings.Contains(u.Email, "\x00"):
		return fmt.Errorf("memory: refused")
	}
	return m.put(u)
}

// batched is a memory that writes many users at once.
type batched struct{ *memory }

var _ BatchStore = batched{}

func (m batched) UpdateUsers(ctx context.Context, users []*directory.User) error {
	for _, u := range users {
		row, err := m.UserByID(ctx, u.ID)
		if err == nil && row.Version != u.Version {
			err = directory.ErrConflict
		}
		if err != nil {
			return err
		}
	}
	for _, u := range users {
		if err := m.UpdateUser(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) TouchLogin(_ context.Context, id int64, at time.Time) error {
	if err := m.lock(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.users[id].LastLogin = at
	m.logins++
	return nil
}

func (m *memory) DeleteSessionsOf(_ context.Context, user string) (int, error) {
	if err := m.lock(); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	m.ended = append(m.ended, user)
	return 1, nil
}

func (m *memory) Users(_ context.Context, q directory.UserQuery) ([]directory.User, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var out []directory.User
	after := directory.FoldName(q.After)
	for _, name := range slices.Sorted(maps.Keys(m.byName)) {
		if name > after && (!q.Domain || strings.Contains(name, `\`)) && len(out) < q.Limit {
			out = append(out, *clone(m.users[m.byName[name]]))
		}
	}
	return out, nil
}

func (m *memory) Note(_ context.Context, key string) (string, error) {
	if err := m.lock(); err != nil {
		return "", err
	}
	defer m.mu.Unlock()
	return m.notes[key], nil
}

func (m *memory) SetNote(_ context.Context, key, value string) error {
	if err := m.lock(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.notes[key] = value
	return nil
}

// user returns a row, which must be there.
func (m *memory) user(tb testing.TB, name string) *directory.User {
	tb.Helper()
	u, err := m.User(tb.Context(), name)
	if err != nil {
		tb.Fatalf("%s: %v\nusers: %q", name, err, m.names())
	}
	return u
}

func (m *memory) names() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, id := range slices.Sorted(maps.Keys(m.users)) {
		out = append(out, m.users[id].Name+" "+m.users[id].State.String())
	}
	return out
}

// source is a directory, by SID and by folded name.
type source struct {
	mu       sync.Mutex
	accounts []*directory.Account
	err      error            // of everything
	broken   map[string]error // of a user, by name
	asked    int              // accounts and batches
	wait     chan struct{}    // closed when answers may go
	late     func()           // called before an error
	index    map[authn.SID]int
}

func clipped(a *directory.Account) *directory.Account {
	c := *a
	c.Groups = slices.Clone(a.Groups)
	return &c
}

func (s *source) find(ref directory.AccountRef) (*directory.Account, error) {
	if s.index == nil {
		s.index = make(map[authn.SID]int)
	}
	if err := s.broken[ref.Name]; err != nil {
		return nil, err
	}
	if i, ok := s.index[ref.SID]; ok && i < len(s.accounts) && s.accounts[i].SID == ref.SID {
		return clipped(s.accounts[i]), nil
	}
	for i, a := range s.accounts {
		if a.SID != "" {
			s.index[a.SID] = i
		}
		if ref.SID != "" && a.SID == ref.SID || ref.SID == "" && directory.FoldName(a.Name) == directory.FoldName(ref.Name) {
			return clipped(a), nil
		}
	}
	return nil, fmt.Errorf("source: %w", directory.ErrNotFound)
}

func (s *source) Account(ctx context.Context, ref directory.AccountRef) (*directory.Account, error) {
	if s.wait != nil {
		select {
		case <-s.wait:
		case <-ctx.Done():
			return nil, fmt.Errorf("source: %w", authn.ErrUnavailable)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.err != nil {
		if s.late != nil {
			s.late()
		}
		return nil, s.err
	}
	return s.find(ref)
}

func (s *source) Accounts(_ context.Context, refs []directory.AccountRef) ([]*directory.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.err != nil {
		return nil, s.err
	}
	if len(refs) > 500 {
		return nil, fmt.Errorf("source: %d references", len(refs))
	}
	out := make([]*directory.Account, len(refs))
	for i, ref := range refs {
		a, err := s.find(ref)
		if err != nil && !strings.Contains(err.Error(), "not found") {
			return nil, err
		}
		out[i] = a
	}
	return out, nil
}

// sid is one of the domain CORP.
func sid(rid int) authn.SID { return authn.SID(fmt.Sprintf("S-1-5-21-1-2-3-%d", rid)) }

// alice as the directory has her, and as a mechanism does.
func aliceAccount() *directory.Account {
	return &directory.Account{
		Name: `CORP\alice`, SID: sid(1104), UPN: "alice@corp.test", DN: "CN=Alice,DC=corp,DC=test",
		DisplayName: "Alice Ash", Email: "alice@example.com", Phone: "+49 170 1",
		Groups: []authn.Group{{SID: sid(513), Name: `CORP\Domain Users`}, {SID: sid(1200), Name: `CORP\Payroll`}},
	}
}

func aliceIdentity() *authn.Identity {
	return &authn.Identity{Account: "alice", Domain: "CORP", SID: sid(1104), Mechanism: "NTLM"}
}

// clockAt is a clock that tests move.
type clockAt struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clockAt) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clockAt) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// logged collects the messages of a logger.
type logged struct {
	mu    sync.Mutex
	lines []string
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(b))
	return len(b), nil
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// answerAlways answers each question alike.
type answerAlways struct{ a *directory.Account }

func (s answerAlways) Account(context.Context, directory.AccountRef) (*directory.Account, error) {
	return s.a, nil
}

func (s answerAlways) Accounts(_ context.Context, refs []directory.AccountRef) ([]*directory.Account, error) {
	return slices.Repeat([]*directory.Account{s.a}, len(refs)), nil
}
