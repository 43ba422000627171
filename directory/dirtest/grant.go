package dirtest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/directory"
)

func newGrant(provider, subject, session string) *directory.Grant {
	return &directory.Grant{Provider: provider, Subject: subject, SessionID: session, Sealed: []byte("\x00\xffsealed"), Due: start.Add(5 * time.Minute).UTC(), Busy: start.UTC()}
}

func sessionsListed(t *testing.T, a, b Store) {
	var want []string
	for i := range 20 {
		s := newSession(fmt.Sprint(i), fmt.Sprintf("user%d", i%2), start.Add(time.Duration(i/7)*time.Microsecond)) // some at once
		s.UserAgent = fmt.Sprint(i)
		switch i {
		case 3:
			s.Expires = start // over
		case 4:
			s.Idle = time.Second // too
		case 5:
			s.Idle = 0 // no limit
			s.Grant = newGrant("it", "sub", "sid")
		}
		must(t, a.PutSession(t.Context(), s))
		if i != 3 && i != 4 {
			want = append(want, s.UserAgent)
		}
	}
	now := start.Add(10 * time.Minute)
	list := func(q directory.SessionQuery) []string {
		t.Helper()
		var got []directory.Session
		for range 30 {
			page, err := b.Sessions(t.Context(), now, q)
			must(t, err)
			got = append(got, page...)
			if len(page) == 0 || q.Limit == 0 {
				break
			}
			last := page[len(page)-1]
			q.AfterTime, q.After = last.Created, last.ID
		}
		if !slices.IsSortedFunc(got, func(x, y directory.Session) int { return y.Created.Compare(x.Created) }) {
			t.Errorf("not the newest first: %+v", got)
		}
		var agents []string
		for _, s := range got {
			agents = append(agents, s.UserAgent)
			if s.Data != nil || s.User == "" || s.Peer == "" || !s.Live(now) {
				t.Errorf("listed %+v", s)
			}
			if s.UserAgent == "5" && (s.Grant == nil || s.Grant.Provider != "it" || s.Grant.Subject != "sub" || s.Grant.Sealed != nil) {
				t.Errorf("listed grant %+v", s.Grant)
			}
		}
		return agents
	}
	whole := list(directory.SessionQuery{})
	if paged := list(directory.SessionQuery{Limit: 3}); !slices.Equal(whole, paged) {
		t.Errorf("pages have %q, the list %q", paged, whole)
	}
	slices.Sort(whole)
	slices.Sort(want)
	if !slices.Equal(whole, want) {
		t.Errorf("live sessions %q, want %q", whole, want)
	}
	if got := list(directory.SessionQuery{User: " USER1"}); len(got) != 9 { // of ten one is over
		t.Errorf("%d of a user, want 9: %q", len(got), got)
	}
	if got := list(directory.SessionQuery{User: "nobody"}); len(got) != 0 {
		t.Errorf("of nobody: %q", got)
	}
	if got := list(directory.SessionQuery{User: "\x00\xff"}); len(got) != 0 {
		t.Errorf("of no text: %q", got)
	}
}

func grants(t *testing.T, a, b Store) {
	s := newSession("one", `IT\bob`, start)
	s.Grant = newGrant("it", "4711", "sid-1")
	must(t, a.PutSession(t.Context(), s))
	got, err := b.Session(t.Context(), s.ID)
	must(t, err)
	sameSession(t, got, s)
	all, err := b.SessionsOf(t.Context(), s.User)
	must(t, err)
	if len(all) != 1 {
		t.Fatalf("%d sessions", len(all))
	}
	sameSession(t, &all[0], s)

	g := newGrant("it", "4711", "sid-2")
	g.Sealed, g.Busy = bytes.Repeat([]byte{0xa5}, 16<<10), start.Add(time.Hour)
	must(t, b.PutGrant(t.Context(), s.ID, g, nil))
	s.Grant = g
	s.Grant.Busy = time.Time{} // free
	got, err = a.Session(t.Context(), s.ID)
	must(t, err)
	if !got.Grant.Busy.IsZero() {
		t.Errorf("busy until %v after it was put", got.Grant.Busy)
	}
	sameSession(t, got, s)
	s.Data = []byte("other data")
	must(t, a.PutGrant(t.Context(), s.ID, g, s.Data))
	got, err = b.Session(t.Context(), s.ID)
	must(t, err)
	sameSession(t, got, s)

	g.Sealed = append(g.Sealed, 0)
	long := strings.Repeat("x", 100_000)
	for name, g := range map[string]*directory.Grant{"too much": g, "no provider": {}, "long": {Provider: "it", Subject: long}, "no text": {Provider: "it", SessionID: "\x00"}} {
		if err := a.PutGrant(t.Context(), s.ID, g, nil); !errors.Is(err, directory.ErrInvalid) {
			t.Errorf("grant with %s: %v", name, err)
		}
		bad := *s
		bad.Grant = g
		if err := a.PutSession(t.Context(), &bad); !errors.Is(err, directory.ErrInvalid) {
			t.Errorf("session with a grant with %s: %v", name, err)
		}
	}
	must(t, b.PutGrant(t.Context(), s.ID, nil, nil))
	if got, err = a.Session(t.Context(), s.ID); err != nil || got.Grant != nil || !bytes.Equal(got.Data, s.Data) {
		t.Errorf("without its grant the session is %+v, %v", got, err)
	}
	must(t, b.DeleteSession(t.Context(), s.ID))
	if err := a.PutGrant(t.Context(), s.ID, newGrant("it", "4711", ""), nil); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("grant of a session that is gone: %v", err)
	}
	if _, err := a.Session(t.Context(), s.ID); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("the session came back: %v", err)
	}
	s.Grant = nil
	must(t, a.PutSession(t.Context(), s))
	got, err = b.Session(t.Context(), s.ID)
	must(t, err)
	if got.Grant != nil {
		t.Errorf("grant %+v of a login without", got.Grant)
	}
	if mine, err := a.ClaimGrant(t.Context(), s.ID, start.Add(time.Hour), start.Add(2*time.Hour)); err != nil || mine {
		t.Errorf("claimed what is none: %v, %v", mine, err)
	}
}

// grantsClaimedAtOnce: of many nodes one asks the provider, and another one if that
// is late.
func grantsClaimedAtOnce(t *testing.T, a, b Store) {
	s := newSession("one", `IT\bob`, start)
	s.Grant = newGrant("it", "4711", "")
	s.Grant.Busy = time.Time{}
	must(t, a.PutSession(t.Context(), s))
	claims := func(now time.Time) int64 {
		var won atomic.Int64
		var wg sync.WaitGroup
		for i := range 16 {
			st := []Store{a, b}[i%2]
			wg.Go(func() {
				mine, err := st.ClaimGrant(t.Context(), s.ID, now, now.Add(time.Minute))
				if err != nil {
					t.Error(err)
				}
				if mine {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		return won.Load()
	}
	due := s.Grant.Due
	for _, tt := range []struct {
		name string
		now  time.Time
		want int64
	}{
		{"before it is due", due.Add(-time.Second), 0},
		{"when it is due", due, 1},
		{"while one asks", due.Add(59 * time.Second), 0},
		{"when that is late", due.Add(time.Minute), 1},
	} {
		if n := claims(tt.now); n != tt.want {
			t.Errorf("%s: %d may ask, want %d", tt.name, n, tt.want)
		}
	}
	s.Grant.Due = due.Add(2 * time.Minute)
	must(t, b.PutGrant(t.Context(), s.ID, s.Grant, nil))
	if n := claims(s.Grant.Due); n != 1 {
		t.Errorf("when it is due again: %d, want 1", n)
	}
	s.Grant.Due = time.Time{}
	must(t, b.PutGrant(t.Context(), s.ID, s.Grant, nil))
	if n := claims(due.Add(time.Hour)); n != 0 {
		t.Errorf("when it is never due: %d may ask", n)
	}
	must(t, b.DeleteSession(t.Context(), s.ID))
	if n := claims(due.Add(time.Hour)); n != 0 {
		t.Errorf("of a session that is gone: %d", n)
	}
}

func sessionsOfGrant(t *testing.T, a, b Store) {
	for _, s := range []struct{ id, provider, subject, session string }{
		{"1", "it", "alice", "s1"}, {"2", "it", "alice", "s2"}, {"3", "it", "bob", "s3"}, {"4", "it", "bob", ""},
		{"5", "other", "alice", "s1"}, {"6", "", "", ""}, {"7", "it", "", ""}, {"8", "it", "Alice", "S1"}, {"9", "it", "carol", "s9"},
	} {
		n := newSession(s.id, "user", start)
		if s.provider != "" {
			n.Grant = newGrant(s.provider, s.subject, s.session)
		}
		must(t, a.PutSession(t.Context(), n))
	}
	for _, tt := range []struct {
		provider, subject, session string
		want                       int
	}{
		{"it", "", "", 0}, {"", "", "", 0}, {"", "alice", "", 0}, {"nobody", "alice", "", 0}, {"it", "alice", "s3", 0}, {"\x00", "alice", "\xff", 0},
		{"it", "", "s1", 1}, {"it", "alice", "s2", 1}, {"it", "alice", "", 0}, {"it", "bob", "", 2}, {"it", "carol", "s9", 1},
	} {
		n, err := b.DeleteSessionsOfGrant(t.Context(), tt.provider, tt.subject, tt.session)
		must(t, err)
		if n != tt.want {
			t.Errorf("%q, %q, %q: %d ended, want %d", tt.provider, tt.subject, tt.session, n, tt.want)
		}
	}
	left, err := a.SessionsOf(t.Context(), "user")
	must(t, err)
	if len(left) != 4 { // another provider, none, no subject, another case
		t.Errorf("%d sessions are left, want 4", len(left))
	}
}
