package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// users is a directory in memory.
type users struct {
	u   *directory.User
	err error
}

func (u *users) User(_ context.Context, name string) (*directory.User, error) {
	if u.u == nil || u.err != nil || directory.FoldName(name) != directory.FoldName(u.u.Name) {
		return nil, or2(u.err, directory.ErrNotFound)
	}
	return u.u, nil
}

func (u *users) UserBySID(_ context.Context, sid authn.SID) (*directory.User, error) {
	if u.u == nil || u.err != nil || u.u.SID != sid {
		return nil, or2(u.err, directory.ErrNotFound)
	}
	return u.u, nil
}

func or2(err, fallback error) error {
	if err != nil {
		return err
	}
	return fallback
}

// TestAttackGroupsOfYesterday: a session, which may last for ten days, has the
// groups as of the last time that the directory was asked, and roles of now.
func TestAttackGroupsOfYesterday(t *testing.T) {
	t.Parallel()
	id := *alice
	id.AuthTime, id.Roles = time.Now(), []string{"editor"}
	id.Groups = []authn.Group{{Name: `CORP\Payroll`}}
	u := directory.User{Name: `CORP\alice`, SID: alice.SID, Roles: []string{"reader"}, Refreshed: id.AuthTime}
	check := CheckUser(&users{u: &u})
	got, err := check(t.Context(), &id)
	if err != nil || !slices.Equal(got.Roles, u.Roles) || len(got.Groups) != 1 || id.Roles[0] != "editor" {
		t.Errorf("%+v, %v", got, err)
	}
	u.Refreshed = id.AuthTime.Add(time.Hour)
	if got, err = check(t.Context(), &id); err != nil || len(got.Groups) != 0 {
		t.Errorf("groups %v, %v, want those of the directory", got.Groups, err)
	}
}

func TestAttackSessionOfDisabledUser(t *testing.T) {
	t.Parallel()
	now := time.Now()
	domain := *alice
	domain.AuthTime = now
	local := &authn.Identity{Account: "zoe", Mechanism: "form", AuthTime: now}
	for _, tt := range []struct {
		name string
		id   *authn.Identity
		now  *directory.User
		in   bool
	}{
		{"active", alice, &directory.User{Name: `CORP\alice`, SID: alice.SID}, true},
		{"renamed", alice, &directory.User{Name: `CORP\alice.smith`, SID: alice.SID}, true},
		{"disabled by an operator", alice, &directory.User{Name: `CORP\alice`, SID: alice.SID, State: directory.DisabledByOperator}, false},
		{"disabled by the directory", alice, &directory.User{Name: `CORP\alice`, SID: alice.SID, State: directory.DisabledByDirectory}, false},
		{"deleted", alice, nil, false},
		{"deleted and made again, by SID", alice, &directory.User{Name: `CORP\alice`, SID: "S-1-5-21-1-2-3-9999"}, false},
		{"no SID in the row yet", &domain, &directory.User{Name: `CORP\alice`, Created: now.Add(-time.Hour)}, true},
		{"deleted and made again by hand, without a SID", &domain, &directory.User{Name: `CORP\alice`, Created: now.Add(time.Hour)}, false},
		{"first login makes the row", local, &directory.User{Name: "zoe", Created: now.Add(time.Second)}, true},
		{"deleted and made again", local, &directory.User{Name: "zoe", Created: now.Add(time.Hour)}, false},
	} {
		for _, kind := range kinds {
			t.Run(tt.name+", "+kind.name, func(t *testing.T) {
				t.Parallel()
				us := &users{u: tt.now}
				s := newSite(&Manager{Keys: kind.keys, Check: CheckUser(us)})
				c := s.login(t, tt.id, false)
				if got := s.who(t, c); (got != nil) != tt.in {
					t.Fatalf("let in as %v, want %v", got, tt.in)
				}
				if !tt.in {
					// It has ended, and does not come back with the user.
					s.Check = nil
					if got := s.who(t, c); got != nil {
						t.Errorf("the session came back: %v", got)
					}
					if !strings.Contains(s.log.String(), "session ended") {
						t.Errorf("log %s", s.log)
					}
				}
				us.err = fmt.Errorf("dial: %w", authn.ErrUnavailable)
				s.Check = CheckUser(us)
				c = s.login(t, tt.id, false)
				if res, err := s.Authenticate(get(c)); res != nil || !errors.Is(err, authn.ErrUnavailable) {
					t.Errorf("directory away: %v, %v", res, err)
				}
			})
		}
	}
}

// Roles follow the user's row, also within a session.
func TestSessionRoles(t *testing.T) {
	t.Parallel()
	us := &users{u: &directory.User{Name: `CORP\alice`, SID: alice.SID}}
	s := newSite(&Manager{Check: CheckUser(us)})
	c := s.login(t, alice, false)
	for _, want := range [][]string{nil, {"editor"}, {"editor", "payroll"}, nil} {
		us.u.Roles = want
		if got := s.who(t, c); got == nil || !slices.Equal(got.Roles, want) {
			t.Errorf("roles of %v, want %q", got, want)
		}
	}
}
