package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/directory"
)

// TestSearchAmongMany: who is searched for by what many have in common is found in
// the order of names, whether they are spread among others or come last, and in
// whichever realm.
func TestSearchAmongMany(t *testing.T) {
	t.Parallel()
	const n = 36_000
	var all []directory.User
	for i := range n {
		u := directory.User{Name: fmt.Sprintf(`CORP\a%05d`, i), Realm: "corp", DisplayName: fmt.Sprintf("Anna %d", i)}
		switch {
		case i%3 == 0: // spread, and of no realm
			u.Name, u.Realm, u.Email = fmt.Sprintf("m%05d", i), "", fmt.Sprintf("person%d@corp.test", i)
		case i > n/3: // all at the end of their realm
			u.Name, u.DisplayName = fmt.Sprintf(`CORP\z%05d`, i), fmt.Sprintf("Person %d", i)
		case i%100 == 1:
			u.Realm, u.DisplayName = "lab", fmt.Sprintf("Person of the lab %d", i)
		}
		if i%1000 == 998 {
			u.State = directory.DisabledByOperator
		}
		if i%5 < 2 {
			u.Roles = []string{"r"}
		}
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b directory.User) int {
		return strings.Compare(directory.FoldName(a.Name), directory.FoldName(b.Name))
	})
	disabled := directory.DisabledByOperator
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, d.make(t))
			if _, err := s.Import(t.Context(), func(yield func(*directory.User, error) bool) {
				for i := range all {
					if u := all[i]; !yield(&u, nil) {
						return
					}
				}
			}, nil); err != nil {
				t.Fatal(err)
			}
			for _, q := range []directory.UserQuery{
				{Search: "Person"},
				{Search: "person", After: fmt.Sprintf("m%05d", n/2)},
				{Search: "person", Realm: "corp"},
				{Search: "person", Realm: "corp", After: fmt.Sprintf(`CORP\z%05d`, n/2)},
				{Search: "person", Realm: "lab"},
				{Search: "person", Realm: "none"},
				{Search: "person", State: &disabled},
				{Search: "anna"},
				{Search: "anna", Realm: "corp"},
				{Search: "person 3599"},
				{Search: "z"},
				{Search: "person", Role: "r"},
				{Role: "r", Realm: "lab"},
				{Role: "r", Realm: "none"},
				{Role: "r", State: &disabled},
			} {
				for _, q.Limit = range []int{7, 300} {
					var want []string
					for i := range all {
						u := &all[i]
						_, account, _ := strings.Cut(u.Name, `\`)
						text := strings.ToLower(q.Search)
						begins := func(s string) bool { return strings.HasPrefix(strings.ToLower(s), text) }
						if len(want) < q.Limit && (begins(u.Name) || begins(account) || begins(u.DisplayName) || begins(u.Email)) &&
							directory.FoldName(u.Name) > directory.FoldName(q.After) && (q.Realm == "" || q.Realm == u.Realm) && (q.State == nil || *q.State == u.State) && (q.Role == "" || len(u.Roles) > 0) {
							want = append(want, u.Name)
						}
					}
					users, err := s.Users(t.Context(), q)
					if err != nil {
						t.Fatal(err)
					}
					var got []string
					for _, u := range users {
						got = append(got, u.Name)
					}
					if !slices.Equal(got, want) {
						t.Errorf("%+v: %d users, want %d: %.200v, want %.200v", q, len(got), len(want), got, want)
					}
					// A page may end before, and goes on then.
					got = nil
					calls := 0
					for part := q; len(got) < q.Limit && calls <= n/1000; calls++ {
						users, next, err := s.UsersPart(t.Context(), part)
						if err != nil {
							t.Fatal(err)
						}
						for _, u := range users {
							got = append(got, u.Name)
						}
						if next == "" {
							break
						}
						if next <= directory.FoldName(part.After) {
							t.Fatalf("%+v: goes on after %q", part, next)
						}
						part.After = next
					}
					if got = got[:min(len(got), q.Limit)]; !slices.Equal(got, want) {
						t.Errorf("%+v: %d users in %d parts, want %d: %.200v, want %.200v", q, len(got), calls, len(want), got, want)
					}
				}
			}
		})
	}
}
