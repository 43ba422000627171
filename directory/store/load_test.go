package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

// TestManyAtOnce: 32 goroutines at two handles write and read; none is told that
// the database is locked.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			c := d.make(t)
			stores := []*store.Store{open(t, c), open(t, c)}
			const goroutines, each = 32, 6
			var wg sync.WaitGroup
			for i := range goroutines {
				s := stores[i%2]
				wg.Go(func() {
					for n := range each {
						if err := oneLogin(t, s, fmt.Sprintf(`CORP\u%d-%d`, i, n)); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			users, err := stores[0].Users(t.Context(), directory.UserQuery{Limit: 10_000})
			if err != nil || len(users) != goroutines*each {
				t.Errorf("%d users, %v; want %d", len(users), err, goroutines*each)
			}
		})
	}
}

// oneLogin is what the store does at a first login that fails before.
func oneLogin(t *testing.T, s *store.Store, name string) error {
	now := time.Now()
	if _, err := s.AddFailure(t.Context(), now, now.Add(-time.Hour), name, "address 192.0.2.7"); err != nil {
		return err
	}
	if _, err := s.BlockOf(t.Context(), now, name, "address 192.0.2.7"); err != nil {
		return err
	}
	u := &directory.User{Name: name}
	if err := s.CreateUser(t.Context(), u); err != nil {
		return err
	}
	if err := s.TouchLogin(t.Context(), u.ID, now); err != nil {
		return err
	}
	if err := s.PutSession(t.Context(), &directory.Session{ID: authenticator(name), User: name, Created: now, Expires: now.Add(time.Hour)}); err != nil {
		return err
	}
	if _, err := s.Session(t.Context(), authenticator(name)); err != nil {
		return err
	}
	return s.AddLogin(t.Context(), &directory.Login{Time: now, User: name})
}
