package dirtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

func logins(t *testing.T, a, b Store) {
	full := directory.Login{
		Time: start, Ref: "7f3a", Realm: "corp", User: `CORP\MÜLLER`, SID: "S-1-5-21-1-2-3-1104", Mechanism: "Kerberos",
		Peer: "2001:db8::7", UserAgent: "curl/8", Outcome: directory.Refused, Reason: authn.ReasonReplay, Detail: "a detail, with \"quotes\"\n",
	}
	must(t, a.AddLogin(t.Context(), &full))
	for i := 1; i <= 5; i++ {
		l := directory.Login{Time: start.Add(time.Duration(i) * time.Second), Ref: fmt.Sprint(i), User: "bob", Peer: "192.0.2.7", Outcome: directory.Accepted}
		if i == 2 {
			l.User, l.Outcome = `corp\müller`, directory.Blocked
		}
		must(t, []Store{a, b}[i%2].AddLogin(t.Context(), &l))
	}
	must(t, b.AddLogin(t.Context(), &directory.Login{Time: start.Add(5 * time.Second), Ref: "6", User: "carol", Peer: "192.0.2.8"}))
	got, err := b.Logins(t.Context(), directory.LoginQuery{Peer: full.Peer})
	must(t, err)
	if len(got) != 1 || !got[0].Time.Equal(start) {
		t.Fatalf("logins %+v, want one at %v", got, start)
	}
	if got[0].ID == 0 {
		t.Error("a login has no ID")
	}
	if got[0].ID, got[0].Time = 0, full.Time; got[0] != full {
		t.Errorf("login\n got %+v\nwant %+v", got[0], full)
	}
	for _, tt := range []struct {
		name string
		q    directory.LoginQuery
		want string // references
	}{
		{"all, the newest first", directory.LoginQuery{}, "6 5 4 3 2 1 7f3a"},
		{"so many", directory.LoginQuery{Limit: 3}, "6 5 4"},
		{"user without regard to case", directory.LoginQuery{User: ` Corp\Müller`}, "2 7f3a"},
		{"address", directory.LoginQuery{Peer: "192.0.2.8"}, "6"},
		{"outcome", directory.LoginQuery{Outcome: directory.Blocked}, "2"},
		{"before", directory.LoginQuery{Before: start.Add(2 * time.Second)}, "1 7f3a"},
		{"since", directory.LoginQuery{Since: start.Add(4 * time.Second)}, "6 5 4"},
		{"all of it", directory.LoginQuery{User: "bob", Peer: "192.0.2.7", Outcome: directory.Accepted, Since: start.Add(time.Second), Before: start.Add(4 * time.Second), Limit: 5}, "3 1"},
		{"nobody", directory.LoginQuery{User: "nobody"}, ""},
		{"no text", directory.LoginQuery{User: "\x00\xff"}, ""},
	} {
		got, err := a.Logins(t.Context(), tt.q)
		must(t, err)
		var refs []string
		for _, l := range got {
			refs = append(refs, l.Ref)
		}
		if s := strings.Join(refs, " "); s != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, s, tt.want)
		}
	}
}

// loginsPaged has several at the same microsecond, as many nodes make them.
func loginsPaged(t *testing.T, a, b Store) {
	var want []string
	for i := range 20 {
		l := directory.Login{Time: start.Add(time.Duration(i/7) * time.Microsecond), Ref: fmt.Sprint(i), User: "bob"}
		must(t, a.AddLogin(t.Context(), &l))
		want = append(want, l.Ref)
	}
	slices.Reverse(want)
	var got []string
	q := directory.LoginQuery{User: "bob", Limit: 3}
	for range len(want) {
		page, err := b.Logins(t.Context(), q)
		must(t, err)
		if len(page) == 0 {
			break
		}
		for _, l := range page {
			got = append(got, l.Ref)
		}
		last := page[len(page)-1]
		q.Before, q.BeforeID = last.Time, last.ID
	}
	if !slices.Equal(got, want) {
		t.Errorf("pages gave %q, want %q", got, want)
	}
}

// loginsOfAnyText: nobody stays out of the record by what he sends.
func loginsOfAnyText(t *testing.T, a, b Store) {
	texts := []string{"a\x00b", "\xff\xfe", strings.Repeat("x", 100_000), strings.Repeat("ü", 50_000), "x" + strings.Repeat("\xf0\x9f\x98\x80", 30_000)}
	for _, text := range texts {
		must(t, a.AddLogin(t.Context(), &directory.Login{
			Time: start, Ref: text, Realm: text, User: text, SID: authn.SID(text), Mechanism: text, Peer: text, UserAgent: text,
			Outcome: directory.Outcome(text), Reason: authn.Reason(text), Detail: text,
		}))
	}
	got, err := b.Logins(t.Context(), directory.LoginQuery{})
	must(t, err)
	if len(got) != len(texts) {
		t.Fatalf("%d logins, want %d", len(got), len(texts))
	}
	slices.Reverse(got)
	for i, l := range got {
		for _, kept := range []string{l.User, l.UserAgent, l.Detail, l.Peer} {
			if kept == "" || len(kept) > 8192 || !utf8.ValidString(kept) || strings.ContainsRune(kept, 0) {
				t.Errorf("of %.20q %d bytes are kept: %.20q", texts[i], len(kept), kept)
			}
		}
		if found, err := a.Logins(t.Context(), directory.LoginQuery{User: texts[i]}); err != nil || len(found) != 1 {
			t.Errorf("%.20q is found %d times, %v", texts[i], len(found), err)
		}
	}
}
