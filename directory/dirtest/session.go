package dirtest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/directory"
)

func sessionID(s string) directory.SessionID { return sha256.Sum256([]byte(s)) }

func newSession(id, user string, created time.Time) *directory.Session {
	return &directory.Session{
		ID: sessionID(id), User: user, Data: []byte("\x00\xff data of " + id), Created: created, Seen: created.Add(time.Minute),
		Expires: created.Add(12 * time.Hour), Idle: 20*time.Minute + 5*time.Microsecond, Remember: true, Peer: "2001:db8::7", UserAgent: "Mozilla/5.0 ü",
	}
}

func sameSession(t *testing.T, got, want *directory.Session) {
	t.Helper()
	g, w := *got, *want
	if !g.Created.Equal(w.Created) || !g.Seen.Equal(w.Seen) || !g.Expires.Equal(w.Expires) || !bytes.Equal(g.Data, w.Data) {
		t.Errorf("session %+v, want %+v", g, w)
	}
	for _, s := range []*directory.Session{&g, &w} {
		s.Created, s.Seen, s.Expires, s.Data = time.Time{}, time.Time{}, time.Time{}, nil
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("session\n got %+v\nwant %+v", g, w)
	}
}

func sessions(t *testing.T, a, b Store) {
	s := newSession("one", `CORP\alice`, start)
	if _, err := a.Session(t.Context(), s.ID); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("before it was: %v", err)
	}
	must(t, a.PutSession(t.Context(), s))
	got, err := b.Session(t.Context(), s.ID) // at once
	must(t, err)
	sameSession(t, got, s)

	s.Seen = start.Add(10 * time.Minute)
	must(t, b.TouchSession(t.Context(), s.ID, s.Seen))
	must(t, a.TouchSession(t.Context(), s.ID, start.Add(5*time.Minute))) // a request that took long
	got, err = a.Session(t.Context(), s.ID)
	must(t, err)
	sameSession(t, got, s)

	s.Data, s.User = nil, "alice"
	must(t, b.PutSession(t.Context(), s))
	got, err = a.Session(t.Context(), s.ID)
	must(t, err)
	sameSession(t, got, s)

	most := newSession("most", "bob", start)
	most.Data, most.UserAgent = bytes.Repeat([]byte{0xa5}, 64<<10), strings.Repeat("ü", 50_000)
	must(t, a.PutSession(t.Context(), most)) // the user agent is cut
	got, err = b.Session(t.Context(), most.ID)
	must(t, err)
	if !bytes.Equal(got.Data, most.Data) || len(got.UserAgent) == 0 || len(got.UserAgent) > 4096 {
		t.Errorf("%d bytes of data, user agent of %d", len(got.Data), len(got.UserAgent))
	}

	must(t, b.DeleteSession(t.Context(), s.ID))
	if _, err := a.Session(t.Context(), s.ID); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("after it was ended at the other node: %v", err)
	}
	must(t, a.DeleteSession(t.Context(), s.ID)) // no error that it is gone
	must(t, a.TouchSession(t.Context(), s.ID, start.Add(time.Hour)))
	if _, err := a.Session(t.Context(), s.ID); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("a session that was ended came back: %v", err)
	}
}

func sessionsOfUser(t *testing.T, a, b Store) {
	for i, id := range []string{"first", "second", "third"} {
		must(t, a.PutSession(t.Context(), newSession(id, []string{`CORP\MÜLLER`, `corp\müller`}[i%2], start.Add(time.Duration(i)*time.Minute))))
	}
	must(t, a.PutSession(t.Context(), newSession("other", "müller", start)))
	all, err := b.SessionsOf(t.Context(), `Corp\Müller`)
	must(t, err)
	var ids []directory.SessionID
	for _, s := range all {
		ids = append(ids, s.ID)
	}
	if want := []directory.SessionID{sessionID("third"), sessionID("second"), sessionID("first")}; !slices.Equal(ids, want) {
		t.Errorf("sessions %x, want %x", ids, want)
	}
	n, err := b.DeleteSessionsOf(t.Context(), `corp\MÜLLER`)
	must(t, err)
	if n != 3 {
		t.Errorf("%d sessions ended, want 3", n)
	}
	n, err = a.DeleteSessionsOf(t.Context(), `corp\müller`)
	must(t, err)
	all, err = a.SessionsOf(t.Context(), `corp\müller`)
	must(t, err)
	if n != 0 || len(all) != 0 {
		t.Errorf("%d ended again, %d there", n, len(all))
	}
	if _, err := a.Session(t.Context(), sessionID("other")); err != nil {
		t.Errorf("the session of somebody else: %v", err)
	}
}
