package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/internal/pgtest"
	"github.com/soapward/soapward/internal/testenv"
)

// hearing waits until a store hears of others, and returns the version.
func hearing(t *testing.T, s *store.Store, topic store.Topic) uint64 {
	t.Helper()
	var last uint64
	if err := testenv.Poll(t.Context(), func() error {
		v, ok := s.Version(topic)
		last = v
		if !ok {
			return errDeaf
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return last
}

var (
	errDeaf  = errors.New("the store does not hear of others")
	errHears = errors.New("the store hears of others while PostgreSQL is away")
)

// TestVersion: what one handle writes, the other one hears of within moments, and
// what it writes itself it knows at once.
func TestVersion(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			c := d.make(t)
			a, b := open(t, c), open(t, c)
			if _, ok := b.Version(store.Users); ok {
				t.Error("the first call says that it hears of others")
			}
			hearing(t, b, store.Sessions)
			now := time.Now()
			n := &directory.Session{ID: directory.SessionID{1}, User: "dora", Created: now, Seen: now, Expires: now.Add(time.Hour)}
			if err := a.PutSession(t.Context(), n); err != nil {
				t.Fatal(err)
			}
			u := &directory.User{Name: "dora"}
			check := func(what string, topic store.Topic, write func(s *store.Store) error) {
				t.Helper()
				settled := func() uint64 { // what was told before has arrived
					v := hearing(t, b, topic)
					for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
						if w := hearing(t, b, topic); w != v {
							v, end = w, time.Now().Add(300*time.Millisecond)
						}
					}
					return v
				}
				before := settled()
				begin := time.Now()
				if err := write(a); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				for hearing(t, b, topic) == before {
					if time.Since(begin) > 5*time.Second {
						t.Fatalf("%s is not heard of at the other handle", what)
					}
					time.Sleep(time.Millisecond)
				}
				t.Logf("%s: heard after %v", what, time.Since(begin).Round(100*time.Microsecond))
			}
			check("a user", store.Users, func(s *store.Store) error { return s.CreateUser(t.Context(), u) })
			check("a change", store.Users, func(s *store.Store) error { u.DisplayName = "Dora"; return s.UpdateUser(t.Context(), u) })
			check("changes", store.Users, func(s *store.Store) error { return s.UpdateUsers(t.Context(), []*directory.User{u}) })
			check("a block", store.Blocks, func(s *store.Store) error {
				return s.SetBlock(t.Context(), directory.Block{Key: "address 192.0.2.1", From: now, Until: now.Add(time.Hour)})
			})
			check("the end of a block", store.Blocks, func(s *store.Store) error {
				_, err := s.Unblock(t.Context(), "address 192.0.2.1")
				return err
			})
			check("a logout", store.Sessions, func(s *store.Store) error { return s.DeleteSession(t.Context(), n.ID) })
			if err := a.PutSession(t.Context(), n); err != nil {
				t.Fatal(err)
			}
			check("logouts", store.Sessions, func(s *store.Store) error {
				_, err := s.DeleteSessionsOf(t.Context(), "dora")
				return err
			})
			check("the end of a user", store.Users, func(s *store.Store) error { return s.DeleteUser(t.Context(), u.ID) })

			before := hearing(t, b, store.Sessions)
			if err := b.DeleteSession(t.Context(), n.ID); err != nil {
				t.Fatal(err)
			}
			if v, _ := b.Version(store.Sessions); v == before {
				t.Error("a logout of its own does not count at once")
			}
		})
	}
}

// TestVersionWhileAway: while PostgreSQL is away nobody can say that nothing
// changed, and what changed meanwhile counts as changed.
func TestVersionWhileAway(t *testing.T) {
	t.Parallel()
	srv := pgtest.Start(t)
	s := open(t, store.Config{Driver: "postgres", DSN: srv.Database(t)})
	before := hearing(t, s, store.Sessions)
	srv.Kill(t)
	if err := testenv.Poll(t.Context(), func() error {
		if _, ok := s.Version(store.Sessions); ok {
			return errHears
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	srv.Start(t)
	if after := hearing(t, s, store.Sessions); after == before {
		t.Error("the version is that from before PostgreSQL was away")
	}
}

// TestVersionDeaf: behind a pooler through which nothing is told, ok stays false.
func TestVersionDeaf(t *testing.T) {
	t.Parallel()
	// Each database has channels of its own.
	here, there := pgtest.Database(t), pgtest.Database(t)
	s := open(t, store.Config{Driver: "postgres", DSN: here})
	if !store.ListenAt(s, there) {
		t.Fatal("no other database")
	}
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if _, ok := s.Version(store.Users); ok {
			t.Fatal("it says that it hears what it cannot")
		}
	}
}
