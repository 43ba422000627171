package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

// hostile are texts that would be more than text if they became part of a
// statement, a pattern or JSON.
var hostile = []string{
	`'; DROP TABLE users; --`, `" OR ""="`, `x' OR '1'='1`, `%`, `_`, `\`, `$1`, `?`, `:name`, `{"a":1}`, `["S-1-1-0","x"]`, `\u0041`, "</script>", "E'\\x41'",
}

// TestAttackStoreInjection: what comes from outside is data wherever it is
// written, read or asked for.
func TestAttackStoreInjection(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, d.make(t))
			for _, h := range hostile {
				u := &directory.User{
					Name: h, Realm: h, SID: authn.SID(h), UPN: h, DN: h, DisplayName: h, Email: h, Phone: h,
					Groups: []authn.Group{{SID: authn.SID(h), Name: h}}, Roles: []string{h},
				}
				if err := s.CreateUser(t.Context(), u); err != nil {
					t.Fatalf("%q: %v", h, err)
				}
				if err := s.AddLogin(t.Context(), &directory.Login{User: h, Peer: h, Outcome: directory.Outcome(h), Detail: h}); err != nil {
					t.Fatalf("%q: %v", h, err)
				}
			}
			for _, h := range hostile {
				u, err := s.User(t.Context(), h)
				if err != nil || u.Name != h || u.DN != h || len(u.Groups) != 1 || u.Groups[0].Name != h || len(u.Roles) != 1 || u.Roles[0] != h {
					t.Errorf("%q: %+v, %v", h, u, err)
				}
				if u, err := s.UserBySID(t.Context(), authn.SID(h)); err != nil || u.Name != h {
					t.Errorf("by SID %q: %+v, %v", h, u, err)
				}
				users, err := s.Users(t.Context(), directory.UserQuery{Prefix: h, Realm: h})
				if err != nil || len(users) != 1 || users[0].Name != h {
					t.Errorf("prefix %q: %+v, %v", h, users, err)
				}
				logins, err := s.Logins(t.Context(), directory.LoginQuery{User: h, Peer: h, Outcome: directory.Outcome(h)})
				if err != nil || len(logins) != 1 || logins[0].Detail != h {
					t.Errorf("logins of %q: %+v, %v", h, logins, err)
				}
			}
		})
	}
}

// TestAttackFailuresUncounted: guesses at the same time, at two nodes, with
// clocks that differ, are all counted, one after the other.
func TestAttackFailuresUncounted(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			c := d.make(t)
			nodes := []*store.Store{open(t, c), open(t, c)}
			const guesses = 40
			now := time.Now()
			var told []int
			var mu sync.Mutex
			var wg sync.WaitGroup
			for i := range guesses {
				wg.Go(func() {
					at := now.Add(-time.Duration(i) * time.Second) // the later, the earlier
					counts, err := nodes[i%2].AddFailure(t.Context(), at, at.Add(-time.Hour), "user alice at 192.0.2.7")
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					told = append(told, counts[0])
					mu.Unlock()
				})
			}
			wg.Wait()
			slices.Sort(told)
			for i, n := range told {
				if n != i+1 {
					t.Fatalf("%d guesses, counted as %v", guesses, told)
				}
			}
		})
	}
}

// TestAttackLoginUnrecorded: what cannot be kept in a database does not keep a
// login out of the record.
func TestAttackLoginUnrecorded(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, d.make(t))
			for i, text := range []string{"alice\x00", "\xff\xfe\xed\xa0\x80", strings.Repeat("a", 1<<20)} {
				err := s.AddLogin(t.Context(), &directory.Login{Ref: fmt.Sprint(i), User: text, UserAgent: text, Detail: text, Peer: "192.0.2.7"})
				if err != nil {
					t.Errorf("%.10q: %v", text, err)
				}
			}
			if logins, err := s.Logins(t.Context(), directory.LoginQuery{Peer: "192.0.2.7"}); err != nil || len(logins) != 3 {
				t.Errorf("%d logins, %v; want 3", len(logins), err)
			}
		})
	}
}

// Who is deleted while others change him leaves no membership behind.
func TestDeleteWhileChanged(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			c := d.make(t)
			nodes := []*store.Store{open(t, c), open(t, c)}
			for round := range 20 {
				u := &directory.User{Name: "alice", Groups: []authn.Group{{Name: "g"}}}
				if err := nodes[0].CreateUser(t.Context(), u); err != nil {
					t.Fatal(err)
				}
				var wg sync.WaitGroup
				for i := range 3 {
					c := *u
					c.Groups = []authn.Group{{Name: fmt.Sprint("g", round, i)}, {Name: "h"}}
					wg.Go(func() {
						err := nodes[i%2].UpdateUser(t.Context(), &c)
						if err != nil && !errors.Is(err, directory.ErrNotFound) && !errors.Is(err, directory.ErrConflict) {
							t.Error(err)
						}
					})
				}
				wg.Go(func() {
					if err := nodes[1].DeleteUser(t.Context(), u.ID); err != nil {
						t.Error(err)
					}
				})
				wg.Wait()
			}
			var n int
			err := raw(t, c).QueryRowContext(t.Context(), "SELECT COUNT(*) FROM user_groups").Scan(&n)
			if err != nil || n != 0 {
				t.Errorf("%d memberships of nobody, %v", n, err)
			}
		})
	}
}
