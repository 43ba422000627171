package dirtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/directory"
)

func userSubject(t *testing.T, a, b Store) {
	const subject = "https://id.example.com/\x1f4711"
	must(t, a.CreateUser(t.Context(), &directory.User{Name: `IT\bob`, Subject: subject}))
	must(t, a.CreateUser(t.Context(), &directory.User{Name: "b"}))
	must(t, a.CreateUser(t.Context(), &directory.User{Name: "c"})) // none is no subject twice
	u, err := b.UserBySubject(t.Context(), subject)
	must(t, err)
	if u.Name != `IT\bob` {
		t.Errorf("%s is %q", subject, u.Name)
	}
	if err := b.CreateUser(t.Context(), &directory.User{Name: "d", Subject: subject}); !errors.Is(err, directory.ErrExists) {
		t.Errorf("the same subject again: %v", err)
	}
	other, err := b.User(t.Context(), "b")
	must(t, err)
	other.Subject = subject
	if err := b.UpdateUser(t.Context(), other); !errors.Is(err, directory.ErrExists) {
		t.Errorf("the same subject by a change: %v", err)
	}
	for _, subject := range []string{"", subject + "1", strings.ToUpper(subject), "\x00", "\xff", strings.Repeat("x", 100_000)} {
		if u, err := b.UserBySubject(t.Context(), subject); u != nil || !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("%.40q: %v, %v; want not found", subject, u, err)
		}
	}
	u.Subject = ""
	must(t, a.UpdateUser(t.Context(), u))
	must(t, b.UpdateUser(t.Context(), other)) // is free
}

// names of users, in the order given.
func names(users []directory.User) []string {
	var all []string
	for _, u := range users {
		all = append(all, u.Name)
	}
	return all
}

func usersSearchedFor(t *testing.T, a, b Store) {
	for _, u := range []directory.User{
		{Name: `CORP\anna`, DisplayName: "Anna Blume", Email: "anna.blume@corp.test", Realm: "corp", Roles: []string{"payroll"}},
		{Name: `CORP\bert`, DisplayName: "ÄNNE Bert", Email: "Annex@corp.test", Realm: "corp", State: directory.DisabledByOperator},
		{Name: `ZURICH\hanna`, DisplayName: " Hanna", Realm: "zurich", Roles: []string{"payroll", "audit"}},
		{Name: `Zurich\ANNABEL`, DisplayName: "Bel", LocalAdmin: true},
		{Name: "anna", DisplayName: "somebody", State: directory.DisabledByDirectory},
		{Name: `an\anna`},
		{Name: "max", DisplayName: "x\U0010FFFFy", Email: "100%_sure@corp.test"},
	} {
		must(t, a.CreateUser(t.Context(), &u))
	}
	disabled, active := directory.DisabledByOperator, directory.Active
	for _, tt := range []struct {
		q    directory.UserQuery
		want []string
	}{
		{directory.UserQuery{Search: "ANNA"}, []string{`an\anna`, "anna", `CORP\anna`, `Zurich\ANNABEL`}},
		{directory.UserQuery{Search: " anna b"}, []string{`CORP\anna`}},
		{directory.UserQuery{Search: "anne"}, []string{`CORP\bert`}},
		{directory.UserQuery{Search: "änne"}, []string{`CORP\bert`}},
		{directory.UserQuery{Search: "hanna"}, []string{`ZURICH\hanna`}},
		{directory.UserQuery{Search: `zurich\`}, []string{`Zurich\ANNABEL`, `ZURICH\hanna`}},
		{directory.UserQuery{Search: "nna"}, nil},
		{directory.UserQuery{Search: "a_na"}, nil},
		{directory.UserQuery{Search: "100%_"}, []string{"max"}},
		{directory.UserQuery{Search: "1%"}, nil},
		{directory.UserQuery{Search: "x"}, []string{"max"}},
		{directory.UserQuery{Search: "x\U0010FFFF"}, []string{"max"}},
		{directory.UserQuery{Search: "\U0010FFFF"}, nil},
		{directory.UserQuery{Search: " "}, []string{`an\anna`, "anna", `CORP\anna`, `CORP\bert`, "max", `Zurich\ANNABEL`, `ZURICH\hanna`}},
		{directory.UserQuery{Search: "ann", After: "ANNA"}, []string{`CORP\anna`, `CORP\bert`, `Zurich\ANNABEL`}},
		{directory.UserQuery{Search: "ann", After: "ANNA", Limit: 2}, []string{`CORP\anna`, `CORP\bert`}},
		{directory.UserQuery{Search: "ann", State: &disabled}, []string{`CORP\bert`}},
		{directory.UserQuery{Search: "ann", State: &active}, []string{`an\anna`, `CORP\anna`, `Zurich\ANNABEL`}},
		{directory.UserQuery{Search: "ann", Realm: "corp"}, []string{`CORP\anna`, `CORP\bert`}},
		{directory.UserQuery{Search: "ann", Role: "payroll"}, []string{`CORP\anna`}},
		{directory.UserQuery{Search: "ann", Local: true}, []string{`Zurich\ANNABEL`}},
		{directory.UserQuery{Search: "ann", Prefix: "zurich"}, []string{`Zurich\ANNABEL`}},
		{directory.UserQuery{Role: "payroll"}, []string{`CORP\anna`, `ZURICH\hanna`}},
		{directory.UserQuery{Role: "payroll", After: `corp\anna`}, []string{`ZURICH\hanna`}},
		{directory.UserQuery{Role: "pay"}, nil},
		{directory.UserQuery{Local: true}, []string{`Zurich\ANNABEL`}},
	} {
		users, err := b.Users(t.Context(), tt.q)
		must(t, err)
		if got := names(users); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %q, want %q", tt.q, got, tt.want)
		}
	}
	for _, text := range []string{"\x00", "\xff", strings.Repeat("x", 100_000)} {
		if _, err := b.Users(t.Context(), directory.UserQuery{Search: text}); !errors.Is(err, directory.ErrInvalid) {
			t.Errorf("search for %.10q: %v", text, err)
		}
	}

	// What is searched for follows a change.
	u, err := a.User(t.Context(), `CORP\anna`)
	must(t, err)
	u.Name, u.DisplayName, u.Email = `OTHER\zoe`, "Zoe", ""
	must(t, a.UpdateUser(t.Context(), u))
	for search, want := range map[string][]string{"anna b": nil, "anna.": nil, "zoe": {`OTHER\zoe`}} {
		users, err := b.Users(t.Context(), directory.UserQuery{Search: search})
		must(t, err)
		if got := names(users); !slices.Equal(got, want) {
			t.Errorf("after a change, %q: %q, want %q", search, got, want)
		}
	}
	users, err := b.Users(t.Context(), directory.UserQuery{Role: "payroll"})
	must(t, err)
	if got, want := names(users), []string{`OTHER\zoe`, `ZURICH\hanna`}; !slices.Equal(got, want) {
		t.Errorf("with a role after a change: %q, want %q", got, want)
	}
}

// usersSearchedPaged: pages of a search have each user once, in order, whether
// those that it is for are together, far apart, many or few.
func usersSearchedPaged(t *testing.T, a, b Store) {
	const n = 1500
	want := map[string][]string{}
	var all []*directory.User
	for i := range n {
		u := &directory.User{Name: fmt.Sprintf(`D%d\u%04d`, i%3, i), DisplayName: "common", Email: fmt.Sprintf("e%d@corp.test", i)}
		if i%500 == 1 {
			u.DisplayName = "rare"
		}
		if i%3 == 2 {
			u.Name = fmt.Sprintf(`D2\late%04d`, i)
		}
		if i%100 == 3 {
			u.State = directory.DisabledByOperator
		}
		all = append(all, u)
		want[u.DisplayName] = append(want[u.DisplayName], directory.FoldName(u.Name))
		if i%3 == 2 {
			want["late"] = append(want["late"], directory.FoldName(u.Name))
		}
	}
	together(t, a, n, func(ctx context.Context, i int) error { return a.CreateUser(ctx, all[i]) })
	for search, want := range want {
		slices.Sort(want)
		for _, limit := range []int{400, 7} {
			var got []string
			q := directory.UserQuery{Search: search, Limit: limit}
			for range 40 {
				page, err := b.Users(t.Context(), q)
				must(t, err)
				for _, u := range page {
					got = append(got, directory.FoldName(u.Name))
				}
				if len(page) < limit {
					break
				}
				q.After = page[len(page)-1].Name
			}
			if k := min(len(want), len(got)); !slices.Equal(got, want[:k]) || k < min(len(want), 40*limit) {
				t.Errorf("%s by pages of %d: %d users, want %d in order", search, limit, len(got), len(want))
			}
		}
	}
}

func usersCounted(t *testing.T, a, b Store) {
	check := func(want int64, roles map[string]int64) {
		t.Helper()
		n, err := b.CountUsers(t.Context())
		must(t, err)
		if n != want {
			t.Errorf("%d users, want %d", n, want)
		}
		of, err := b.CountGranted(t.Context())
		must(t, err)
		if !maps.Equal(of, roles) {
			t.Errorf("roles are granted %v, want %v", of, roles)
		}
	}
	check(0, map[string]int64{})
	first, second := &directory.User{Name: "a", Roles: []string{"x", "y"}}, &directory.User{Name: "b", Roles: []string{"y"}}
	must(t, a.CreateUser(t.Context(), first))
	must(t, a.CreateUser(t.Context(), second))
	if err := a.CreateUser(t.Context(), &directory.User{Name: "A"}); !errors.Is(err, directory.ErrExists) {
		t.Error(err)
	}
	check(2, map[string]int64{"x": 1, "y": 2})
	must(t, a.DeleteUser(t.Context(), first.ID))
	check(1, map[string]int64{"y": 1})
}
