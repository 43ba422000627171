package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

func TestUpdateUsers(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			updateUsers(t, open(t, d.make(t)))
		})
	}
}

func updateUsers(t *testing.T, s *store.Store) {
	var users []*directory.User
	for i := range 300 {
		u := &directory.User{Name: fmt.Sprintf(`CORP\user%d`, i), Roles: []string{"old", "kept"}, Groups: []authn.Group{{Name: "old"}}}
		if err := s.CreateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		users = append(users, u)
	}
	for i, u := range users {
		u.Email, u.Roles = fmt.Sprintf("%d@example.com", i), []string{"kept"}
		u.Groups = []authn.Group{{Name: fmt.Sprintf(`CORP\group%d`, i%7)}, {SID: "S-1-1-0"}}
	}
	if err := s.UpdateUsers(t.Context(), users); err != nil {
		t.Fatal(err)
	}
	for i, u := range users {
		got, err := s.UserByID(t.Context(), u.ID)
		if err != nil || got.Email != u.Email || got.Version != 2 || u.Version != 2 || len(got.Groups) != 2 || len(got.Roles) != 1 || got.Roles[0] != "kept" {
			t.Fatalf("user %d is %+v, %v", i, got, err)
		}
	}

	// One whom somebody changed keeps all from being written.
	stale := *users[200]
	if err := s.UpdateUser(t.Context(), users[200]); err != nil {
		t.Fatal(err)
	}
	users[199].Email = "lost@example.com"
	if err := s.UpdateUsers(t.Context(), []*directory.User{users[199], &stale}); !errors.Is(err, directory.ErrConflict) || users[199].Version != 2 {
		t.Errorf("error %v, version %d", err, users[199].Version)
	}
	if got, err := s.UserByID(t.Context(), users[199].ID); err != nil || got.Email != "199@example.com" || got.Version != 2 {
		t.Errorf("the other one is %+v, %v", got, err)
	}
	users[199].Name = users[198].Name
	if err := s.UpdateUsers(t.Context(), users[199:200]); !errors.Is(err, directory.ErrExists) {
		t.Errorf("a name that is taken: %v", err)
	}
	if err := s.DeleteUser(t.Context(), users[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := s.UpdateUsers(t.Context(), users[:1]); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("a user who is gone: %v", err)
	}
}

// Two who write other users with the same new groups, or the same users, in the
// opposite order do not wait for each other crosswise, which PostgreSQL ends by
// an error for one of them.
func TestUpdateUsersCrosswise(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			c := d.make(t)
			nodes := []*store.Store{open(t, c), open(t, c)}
			const users, rounds = 60, 4
			batches := make([][]*directory.User, len(nodes))
			for n := range batches {
				for i := range users {
					u := &directory.User{Name: fmt.Sprintf(`CORP\u%d-%d`, n, i)}
					if err := nodes[0].CreateUser(t.Context(), u); err != nil {
						t.Fatal(err)
					}
					batches[n] = append(batches[n], u)
				}
			}
			slices.Reverse(batches[1])
			both := func(batches [2][]*directory.User, fit func(error) bool) {
				t.Helper()
				var wg sync.WaitGroup
				for n, s := range nodes {
					wg.Go(func() {
						if err := s.UpdateUsers(t.Context(), batches[n]); !fit(err) {
							t.Errorf("node %d: %v", n, err)
						}
					})
				}
				wg.Wait()
			}
			for round := range rounds {
				for _, users := range batches {
					for _, u := range users {
						_, number, _ := strings.Cut(u.Name, "-")
						u.Groups = []authn.Group{{Name: fmt.Sprint("group ", round, " ", number)}}
					}
				}
				both([2][]*directory.User(batches), func(err error) bool { return err == nil })
			}
			for range rounds {
				var same [2][]*directory.User
				for n := range same {
					for _, u := range batches[0] {
						u, err := nodes[0].UserByID(t.Context(), u.ID)
						if err != nil {
							t.Fatal(err)
						}
						same[n] = append(same[n], u)
					}
				}
				slices.Reverse(same[1])
				both(same, func(err error) bool { return err == nil || errors.Is(err, directory.ErrConflict) })
			}
		})
	}
}
