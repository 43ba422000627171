package console_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/soapward/soapward/admin"
)

func (f *fake) login(id int) admin.Login {
	l := admin.Login{
		ID: int64(id), Time: now.Add(-time.Duration(f.logins-id)*41*time.Second - 8*time.Second), Outcome: "accepted", User: `CORP\alice`, Realm: "corp", Mechanism: "Kerberos",
		Peer: "10.9.1." + strconv.Itoa(20+id%40), UserAgent: "Apache-CXF/3.6.2", Ref: fmt.Sprintf("%010x", id*7919),
	}
	switch id % 9 {
	case 1:
		l.User, l.Mechanism = `CORP\bob`, "NTLM"
	case 3:
		l.Outcome, l.User, l.Reason, l.Mechanism, l.Detail = "refused", `CORP\alice`, "wrong-password", "form", "the domain controller dc1.corp.example says STATUS_WRONG_PASSWORD"
	case 4:
		l.Outcome, l.User, l.Reason, l.Mechanism, l.Realm, l.Peer = "blocked", `CORP\alice`, "blocked", "Basic", "", "203.0.113.9"
	case 5:
		l.User, l.Mechanism, l.Realm = `it\erin@example.com`, "oidc", "it"
	case 6:
		l.Outcome, l.User, l.Reason, l.Detail = "refused", hostile[0], "clock-skew", `the clock of <client> is 7 min ahead`
	case 7:
		l.Outcome, l.Reason, l.Detail = "unavailable", "", "no domain controller of CORP answers"
		l.User = hostile[4]
	}
	return l
}

func (f *fake) Logins(ctx context.Context, q admin.LoginQuery) (*admin.LoginPage, error) {
	if err := f.need(ctx, admin.Viewer, fmt.Sprintf("Logins %+v", q)); err != nil {
		return nil, err
	}
	p := &admin.LoginPage{}
	if f.empty {
		return p, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	limit, from := cmp.Or(q.Limit, 50), f.logins
	if q.After != "" {
		var err error
		if from, err = strconv.Atoi(q.After); err != nil {
			return nil, &admin.Error{Kind: admin.Invalid, Text: "this is no place in the list", Field: "after"}
		}
	}
	if q.NewerID > 0 {
		for id := int(q.NewerID) + 1; id <= f.logins; id++ {
			p.Logins = append(p.Logins, f.login(id))
		}
		return p, nil
	}
	for id := from; id > 0; id-- {
		l := f.login(id)
		if q.User != "" && !strings.EqualFold(q.User, l.User) || q.Outcome != "" && q.Outcome != l.Outcome || q.Ref != "" && q.Ref != l.Ref || q.Mechanism != "" && q.Mechanism != l.Mechanism {
			continue
		}
		if len(p.Logins) == limit {
			p.Next = strconv.Itoa(id)
			break
		}
		p.Logins = append(p.Logins, l)
	}
	return p, nil
}

func (f *fake) Changes(ctx context.Context, q admin.ChangeQuery) (*admin.ChangePage, error) {
	if err := f.need(ctx, admin.Viewer, fmt.Sprintf("Changes %+v", q)); err != nil {
		return nil, err
	}
	p := &admin.ChangePage{}
	if f.empty {
		return p, nil
	}
	for i, c := range []admin.Change{
		{Action: "user.disable", Target: `CORP\carol.smith-jones`, Before: json.RawMessage(`{"state":"active","version":2}`), After: json.RawMessage(`{"state":"disabled","version":3}`)},
		{Action: "user.change", Target: `CORP\alice`, Before: json.RawMessage(`{"roles":["payroll"],"email":"alice@old.example"}`), After: json.RawMessage(`{"roles":["payroll","auditors"],"email":"alice@corp.example"}`)},
		{Action: "config.apply", Target: "gw1.corp.example", After: json.RawMessage(`{"version":41,"comment":"let partners use Basic over TLS, CHG-1182"}`)},
		{Action: "session.end", Target: `CORP\bob`, Actor: "admin"},
		{Action: "block.lift", Target: "address 203.0.113.9", Before: json.RawMessage(`["address 203.0.113.9"]`)},
		{Action: "user.add", Target: hostile[0], Actor: hostile[0], After: json.RawMessage(`{"name":"\"><script>alert(1)</script>","display_name":"=1+1"}`)},
	} {
		c.ID, c.Time, c.Peer, c.Ref = int64(900-i), now.Add(-time.Duration(i*i*7+2)*time.Minute), "10.9.1.5", fmt.Sprintf("%010x", i*104729)
		c.Actor = cmp.Or(c.Actor, `it\erin@example.com`)
		if (q.Target == "" || strings.EqualFold(q.Target, c.Target)) && strings.HasPrefix(c.Action, q.Action) {
			p.Changes = append(p.Changes, c)
		}
	}
	return p, nil
}
