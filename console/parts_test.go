package console_test

import (
	"context"
	"strings"
	"testing"

	"github.com/soapward/soapward/admin"
)

// fewUsers looks through a part of the users at a time.
type fewUsers struct{ *fake }

func (f fewUsers) ListUsers(_ context.Context, q admin.UserQuery) (*admin.UserPage, error) {
	p := &admin.UserPage{Users: []admin.User{}, Total: 1000}
	if q.After == "" {
		p.Next, p.Partial = "more", true
	}
	return p, nil
}

// TestUsersInParts: a page without users is not the end of the list.
func TestUsersInParts(t *testing.T) {
	t.Parallel()
	h := siteOf(fewUsers{newFake()}, &admin.Caller{Name: "vera", Role: admin.Viewer}, nil)
	body := get(t, h, "/console/users?role=payroll&realm=corp").Body.String()
	for text, want := range map[string]bool{"not looked at yet": true, `rel="next" href="/console/users?after=more`: true, "Nobody is like that": false} {
		if strings.Contains(body, text) != want {
			t.Errorf("%q: %v, want %v in %s", text, !want, want, body)
		}
	}
	body = get(t, h, "/console/users?role=payroll&realm=corp&after=more").Body.String()
	if !strings.Contains(body, "Nobody is like that") || strings.Contains(body, "not looked at yet") {
		t.Errorf("the last page: %s", body)
	}
}
