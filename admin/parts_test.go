package admin_test

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/soapward/soapward/admin"
)

// TestLoginsInParts: where a query's filters leave few of many, a page comes soon,
// and whoever goes on gets all of them, each once.
func TestLoginsInParts(t *testing.T) {
	t.Parallel()
	const n = 60_000
	c := drivers[0].make(t)
	st := openStore(t, c)
	db, err := sql.Open("sqlite", c.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	// Half is accepted, half is by NTLM, and both are ten.
	if _, err := db.ExecContext(t.Context(), `INSERT INTO logins (at, ref, realm, user_name, user_fold, sid, mechanism, peer, user_agent, outcome, reason, detail)
		SELECT i * 1000000, CAST(i AS TEXT), '', 'x', 'x', '', CASE WHEN i % 2 = 0 THEN 'NTLM' ELSE 'form' END, '', '',
		CASE WHEN i % 2 = 1 OR i % 6000 = 0 THEN 'accepted' ELSE 'refused' END, '', ''
		FROM (WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < $1) SELECT i FROM c)`, n); err != nil {
		t.Fatal(err)
	}
	s, ctx := newService(st, withLocal()), as(t, "vera", admin.Viewer)
	for _, q := range []admin.LoginQuery{
		{Outcome: "accepted", Mechanism: "NTLM"},
		{Outcome: "accepted", Mechanism: "NTLM", Limit: 3},
		{Outcome: "accepted", Mechanism: "NTLM", Until: time.Unix(n+1, 0), Since: time.Unix(1, 0)},
		{Outcome: "accepted", Mechanism: "NTLM", NewerID: 1},
	} {
		var got []string
		partial, calls := 0, 0
		for first := true; first || q.After != ""; calls++ {
			first = false
			p, err := s.Logins(ctx, q)
			if err != nil || calls > n/1000 {
				t.Fatal(err, calls)
			}
			for _, l := range p.Logins {
				got = append(got, l.Ref)
			}
			size := max(q.Limit, 50)
			if q.Limit > 0 {
				size = q.Limit
			}
			if p.Partial != (p.Next != "" && len(p.Logins) < size) || q.NewerID > 0 && (p.Next != "" || p.Partial) {
				t.Errorf("%+v: a page of %d is partial: %v, next %q", q, len(p.Logins), p.Partial, p.Next)
			}
			if p.Partial || p.NewerID > 0 && len(p.Logins) < size {
				partial++
			}
			q.After = p.Next
			if p.NewerID > 0 {
				if p.NewerID <= q.NewerID {
					t.Fatalf("newer than %d is to go on with %d", q.NewerID, p.NewerID)
				}
				q.NewerID, first = p.NewerID, true
			}
		}
		var want []string
		for i := n; i > 0; i -= n / 10 {
			want = append(want, fmt.Sprint(i))
		}
		if q.NewerID > 0 {
			for i := range len(want) / 2 {
				want[i], want[len(want)-1-i] = want[len(want)-1-i], want[i]
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%+v: %v, want %v", q, got, want)
		}
		if partial == 0 {
			t.Errorf("%+v: one page looked through all of %d", q, n)
		}
	}
}
