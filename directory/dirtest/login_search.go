package dirtest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

func refs(logins []directory.Login) string {
	var all []string
	for _, l := range logins {
		all = append(all, l.Ref)
	}
	return strings.Join(all, " ")
}

func loginsByMore(t *testing.T, a, b Store) {
	for i, l := range []directory.Login{
		{User: "alice", Mechanism: "Kerberos", Outcome: directory.Accepted, Peer: "192.0.2.1"},
		{User: "alice", Mechanism: "NTLM", Outcome: directory.Refused, Reason: authn.ReasonWrongPassword, Peer: "192.0.2.1"},
		{User: "bob", Mechanism: "NTLM", Outcome: directory.Refused, Reason: authn.ReasonReplay, Peer: "192.0.2.1"},
		{User: "bob", Mechanism: "Kerberos", Outcome: directory.Accepted, Peer: "192.0.2.2"},
		{User: "", Mechanism: "", Outcome: directory.Refused, Reason: authn.ReasonMechanism, Peer: "192.0.2.2"},
	} {
		l.Time, l.Ref = start.Add(time.Duration(i)*time.Second), fmt.Sprint(i)
		must(t, a.AddLogin(t.Context(), &l))
	}
	for _, tt := range []struct {
		q    directory.LoginQuery
		want string
	}{
		{directory.LoginQuery{Mechanism: "NTLM"}, "2 1"},
		{directory.LoginQuery{Mechanism: "ntlm"}, ""},
		{directory.LoginQuery{Reason: "replay"}, "2"},
		{directory.LoginQuery{Ref: "3"}, "3"},
		{directory.LoginQuery{Ref: "3", User: "BOB"}, "3"},
		{directory.LoginQuery{Ref: "3", User: "alice"}, ""},
		{directory.LoginQuery{User: "alice", Outcome: directory.Refused}, "1"},
		{directory.LoginQuery{User: "alice", Outcome: directory.Refused, Mechanism: "NTLM", Reason: "wrong-password", Peer: "192.0.2.1", Ref: "1"}, "1"},
		{directory.LoginQuery{Peer: "192.0.2.1", Outcome: directory.Refused, Limit: 1}, "2"},
		{directory.LoginQuery{Peer: "192.0.2.1", Outcome: directory.Refused, Before: start.Add(2 * time.Second)}, "1"},
		{directory.LoginQuery{Mechanism: "NTLM", Since: start.Add(2 * time.Second)}, "2"},
		{directory.LoginQuery{Mechanism: "NTLM", Outcome: directory.Refused, Since: start.Add(2 * time.Second)}, "2"},
		{directory.LoginQuery{Mechanism: "NTLM", Outcome: directory.Accepted}, ""},
		{directory.LoginQuery{User: " "}, "4"},
		{directory.LoginQuery{Mechanism: "\x00", Reason: "\xff", Ref: strings.Repeat("x", 100_000)}, ""},
	} {
		got, err := b.Logins(t.Context(), tt.q)
		must(t, err)
		if refs(got) != tt.want {
			t.Errorf("%+v: %q, want %q", tt.q, refs(got), tt.want)
		}
		var parts []directory.Login
		for q, n := &tt.q, 0; q != nil && n < 10 && (tt.q.Limit == 0 || len(parts) < tt.q.Limit); n++ {
			part, next, err := b.LoginsPart(t.Context(), *q)
			must(t, err)
			parts, q = append(parts, part...), next
		}
		if refs(parts) != tt.want {
			t.Errorf("%+v: in parts %q, want %q", tt.q, refs(parts), tt.want)
		}
	}
}

// loginsInParts: what is rare among many comes in the end, and no call looks at all
// of the many.
func loginsInParts(t *testing.T, a, b Store) {
	const n = 2600
	together(t, a, n, func(ctx context.Context, i int) error {
		l := directory.Login{Time: start.Add(time.Duration(i/3) * time.Microsecond), Ref: fmt.Sprint(i), User: "admin", Outcome: directory.Refused, Peer: "192.0.2.66"}
		if i == 10 || i == n-1200 {
			l.Outcome = directory.Accepted
		}
		if i%2 == 0 {
			l.Peer = "192.0.2.67"
		}
		return a.AddLogin(ctx, &l)
	})
	many := []directory.LoginQuery{
		{User: "admin", Peer: "192.0.2.66", Limit: 999}, {User: "admin", Outcome: directory.Refused, Limit: 999},
		{User: "admin", Peer: "192.0.2.66", Outcome: directory.Refused}, {User: "admin", Peer: "192.0.2.66", Reason: "replay"},
		{User: "admin", Outcome: directory.Accepted},
	}
	for _, q := range many {
		want := 0
		for i := range n {
			if (q.Peer == "" || i%2 == 1) && (q.Outcome == "" || (q.Outcome == directory.Accepted) == (i == 10 || i == n-1200)) && q.Reason == "" {
				want++
			}
		}
		seen, last := 0, n
		calls := 0
		for next := &q; next != nil && calls < 100; calls++ {
			part, after, err := b.LoginsPart(t.Context(), *next)
			must(t, err)
			for _, l := range part {
				var i int
				if _, err := fmt.Sscan(l.Ref, &i); err != nil || i >= last {
					t.Fatalf("%+v: %s after %d", q, l.Ref, last)
				}
				seen, last = seen+1, i
			}
			next = after
		}
		if seen != want {
			t.Errorf("%+v: %d logins in %d parts, want %d", q, seen, calls, want)
		}
		q.Limit = n
		all, err := b.Logins(t.Context(), q)
		must(t, err)
		if len(all) != want {
			t.Errorf("%+v: %d logins at once, want %d", q, len(all), want)
		}
	}
}

// loginsFollowed: who asks again and again for what is new gets each login once, in
// the order in which they came.
func loginsFollowed(t *testing.T, a, b Store) {
	add := func(i int, user string) {
		t.Helper()
		must(t, []Store{a, b}[i%2].AddLogin(t.Context(), &directory.Login{Time: time.Now().Add(-time.Duration(i) * time.Second), Ref: fmt.Sprint(i), User: user}))
	}
	add(0, "first")
	newest, err := b.Logins(t.Context(), directory.LoginQuery{Limit: 1})
	must(t, err)
	last := newest[0].ID
	follow := func(q directory.LoginQuery, want string) {
		t.Helper()
		q.NewerID = last
		got, err := b.Logins(t.Context(), q)
		must(t, err)
		if refs(got) != want {
			t.Errorf("%+v: %q, want %q", q, refs(got), want)
		}
	}
	follow(directory.LoginQuery{}, "")
	for i := 1; i <= 6; i++ {
		add(i, []string{"alice", "bob"}[i%2])
	}
	follow(directory.LoginQuery{}, "1 2 3 4 5 6")
	follow(directory.LoginQuery{User: "Alice"}, "2 4 6")
	follow(directory.LoginQuery{Limit: 2}, "1 2")
	follow(directory.LoginQuery{User: "alice", Limit: 2, Ref: "6"}, "6")
	part, next, err := b.LoginsPart(t.Context(), directory.LoginQuery{NewerID: last, Limit: 4})
	must(t, err)
	if refs(part) != "1 2 3 4" || next == nil {
		t.Fatalf("%q, %v", refs(part), next)
	}
	if part, _, err = b.LoginsPart(t.Context(), *next); err != nil || refs(part) != "5 6" {
		t.Errorf("the next part is %q, %v", refs(part), err)
	}
}
