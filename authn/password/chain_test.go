package password

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// users are a store in memory.
type users struct {
	mu      sync.Mutex
	byName  map[string]directory.User
	updates int
	err     error // of everything
	onRead  func()
}

func newUsers() *users { return &users{byName: map[string]directory.User{}} }

func (s *users) add(u directory.User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byName[directory.FoldName(u.Name)] = u
}

func (s *users) User(_ context.Context, name string) (*directory.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	u, ok := s.byName[directory.FoldName(name)]
	if !ok {
		return nil, directory.ErrNotFound
	}
	if s.onRead != nil {
		defer s.onRead()
	}
	return &u, nil
}

func (s *users) UpdateUser(_ context.Context, u *directory.User) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := directory.FoldName(u.Name)
	switch {
	case s.err != nil:
		return s.err
	case s.byName[name].Version != u.Version:
		return directory.ErrConflict
	}
	u.Version++
	s.updates++
	s.byName[name] = *u
	return nil
}

// realm knows domain users, whose password is "domain password".
type realm struct {
	mu    sync.Mutex
	asked []string
	err   error
	wait  time.Duration
}

func (r *realm) VerifyPassword(_ context.Context, user, password string) (*authn.Identity, error) {
	r.mu.Lock()
	r.asked = append(r.asked, user)
	err := r.err
	r.mu.Unlock()
	time.Sleep(r.wait) // as a directory server takes its time
	switch {
	case err != nil:
		return nil, err
	case strings.HasPrefix(user, `CORP\`) && password == "domain password":
		return &authn.Identity{Account: user[5:], Domain: "CORP"}, nil
	case strings.HasPrefix(user, `CORP\`):
		return nil, &authn.RefusedError{Reason: authn.ReasonWrongPassword, User: user}
	}
	return nil, &authn.RefusedError{Reason: authn.ReasonUnknownUser, User: user}
}

// household has users of each kind, in our store and in the realm.
func household(t testing.TB, p Params) (*Chain, *users, *realm) {
	t.Helper()
	s, r := newUsers(), new(realm)
	c := &Chain{Internal: &Internal{Users: s, Hasher: Hasher{Params: p}, Logger: slog.New(slog.DiscardHandler)}, Next: r, RefusalTime: -1}
	hash := hashOf(t, &c.Internal.Hasher, secretPassword)
	s.add(directory.User{ID: 1, Name: "alice", DisplayName: "Alice A.", Password: hash, Groups: []authn.Group{{Name: "staff"}}})
	s.add(directory.User{ID: 2, Name: "disabled", Password: hash, State: directory.DisabledByOperator})
	s.add(directory.User{ID: 3, Name: `CORP\bob`})                   // of the domain, no password here
	s.add(directory.User{ID: 4, Name: `CORP\carol`, Password: hash}) // of the domain, with one here
	s.add(directory.User{ID: 5, Name: `CORP\erin`, Password: hash, State: directory.DisabledByOperator})
	return c, s, r
}

// TestChain: the password in our own store comes first, for whoever has one there,
// and then that of the realm.
func TestChain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		user, password string
		want           string // identity, or the reason of a refusal
		asked          bool   // the realm
	}{
		{"alice", secretPassword, "alice", false},
		{" Alice", secretPassword, "alice", false},
		{"alice", "domain password", "wrong-password", true}, // unknown to the realm
		{"disabled", secretPassword, "account-disabled", false},
		{"disabled", "wrong", "wrong-password", false},
		{`CORP\bob`, "domain password", `CORP\bob`, true},
		{`CORP\bob`, "wrong", "wrong-password", true},
		{`CORP\carol`, secretPassword, `CORP\carol`, false},
		{`CORP\carol`, "domain password", `CORP\carol`, true},
		{`CORP\carol`, "wrong", "wrong-password", true},
		{`CORP\erin`, "domain password", "wrong-password", false}, // disabled here
		{`CORP\dave`, "domain password", `CORP\dave`, true},       // not seen before
		{"nobody", "wrong", "unknown-user", true},
		{"alice", "", "anonymous", false},
		{"", secretPassword, "anonymous", false},
		{`CORP\bob`, "", "anonymous", false},
	} {
		t.Run(tt.user+" "+tt.password, func(t *testing.T) {
			t.Parallel()
			c, _, r := household(t, quick)
			id, err := c.VerifyPassword(context.Background(), tt.user, tt.password)
			var refused *authn.RefusedError
			got := ""
			switch {
			case err == nil:
				got = id.String()
			case errors.As(err, &refused):
				got = string(refused.Reason)
				if refused.User != tt.user {
					t.Errorf("refusal names %q", refused.User)
				}
			}
			if got != tt.want || len(r.asked) > 0 != tt.asked {
				t.Errorf("%s (%v), realm asked %v; want %s, %v", got, err, r.asked, tt.want, tt.asked)
			}
		})
	}
}

// TestAttackEmptyPasswordInChain: an LDAP server would take an empty password for
// an anonymous login and accept it (RFC 4513 5.1.2).
func TestAttackEmptyPasswordInChain(t *testing.T) {
	t.Parallel()
	c, _, r := household(t, quick)
	c.RefusalTime = time.Hour // such requests do not wait
	for _, next := range []*Internal{c.Internal, nil} {
		c.Internal = next
		for _, user := range []string{"", "alice", `CORP\bob`, "nobody"} {
			if id, err := c.VerifyPassword(context.Background(), user, ""); id != nil || !errors.Is(err, authn.ErrBadCredentials) {
				t.Errorf("%q: %v, %v", user, id, err)
			}
		}
	}
	if len(r.asked) != 0 {
		t.Errorf("the realm was asked about %q", r.asked)
	}
}

func TestChainParts(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, s, r := household(t, quick)
	id, err := c.VerifyPassword(ctx, "alice", secretPassword)
	if err != nil || id.DisplayName != "Alice A." || len(id.Groups) != 1 {
		t.Errorf("identity %+v, %v", id, err)
	}
	if _, err := (&Chain{Internal: c.Internal, RefusalTime: -1}).VerifyPassword(ctx, "nobody", "x"); !errors.Is(err, authn.ErrBadCredentials) {
		t.Errorf("no realm: %v", err)
	}
	if id, err := (&Chain{Next: r}).VerifyPassword(ctx, `CORP\bob`, "domain password"); err != nil || id.Account != "bob" {
		t.Errorf("no store: %v, %v", id, err)
	}
	if _, err := (&Chain{RefusalTime: -1}).VerifyPassword(ctx, "x", "x"); !errors.Is(err, authn.ErrBadCredentials) {
		t.Errorf("nobody at all: %v", err)
	}
	if _, err := c.Internal.VerifyPassword(ctx, `CORP\bob`, "x"); !errors.Is(err, authn.ErrNoCredentials) {
		t.Errorf("internal alone, of another's user: %v", err)
	}
	if _, err := c.Internal.VerifyPassword(ctx, "alice", ""); !errors.Is(err, authn.ErrBadCredentials) {
		t.Errorf("internal alone, empty password: %v", err)
	}
	r.err = fmt.Errorf("dial: %w", authn.ErrUnavailable)
	if _, err := c.VerifyPassword(ctx, `CORP\bob`, "x"); !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, authn.ErrBadCredentials) {
		t.Errorf("realm away: %v", err)
	}
	if _, err := c.VerifyPassword(ctx, "alice", secretPassword); err != nil {
		t.Errorf("internal user while the realm is away: %v", err)
	}
	if _, err := c.VerifyPassword(ctx, "alice", "x"); !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, authn.ErrBadCredentials) {
		t.Errorf("internal user with another password while the realm is away: %v", err)
	}
	s.err = fmt.Errorf("dial: %w", authn.ErrUnavailable)
	r.err = nil
	if _, err := c.VerifyPassword(ctx, `CORP\bob`, "domain password"); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("store away, so that nobody knows whether bob has a password there: %v", err)
	}
}

// TestUpgrade: an old hash is replaced at the next login.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, s, _ := household(t, quick)
	c.Internal = &Internal{Users: s, Hasher: Hasher{Params: Params{Memory: 128, Time: 2}}, Logger: c.Internal.Logger}
	if _, err := c.VerifyPassword(ctx, "alice", "wrong"); !errors.Is(err, authn.ErrBadCredentials) || s.updates != 0 {
		t.Errorf("wrong password: %v, %d updates", err, s.updates)
	}
	if _, err := c.VerifyPassword(ctx, "disabled", secretPassword); !errors.Is(err, authn.ErrBadCredentials) || s.updates != 0 {
		t.Errorf("disabled: %v, %d updates", err, s.updates)
	}
	for range 2 {
		if _, err := c.VerifyPassword(ctx, "alice", secretPassword); err != nil {
			t.Fatal(err)
		}
	}
	if u, _ := s.User(ctx, "alice"); s.updates != 1 || !strings.HasPrefix(u.Password.Reveal(), "$argon2id$v=19$m=128,t=2,p=1$") || u.DisplayName != "Alice A." {
		t.Errorf("%d updates, hash %.40s", s.updates, u.Password.Reveal())
	}
	// Somebody else changes the user meanwhile: the login counts, and nothing of
	// theirs is lost.
	s.onRead = func() { u := s.byName[`corp\carol`]; u.Version++; s.byName[`corp\carol`] = u }
	if _, err := c.VerifyPassword(ctx, `CORP\carol`, secretPassword); err != nil || s.updates != 1 {
		t.Errorf("conflict: %v, %d updates", err, s.updates)
	}
}

func TestSetPassword(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, s, _ := household(t, quick)
	u, _ := s.User(ctx, "alice")
	var refused *PolicyError
	if err := c.Internal.SetPassword(ctx, u, "short"); !errors.As(err, &refused) || s.updates != 0 {
		t.Errorf("short: %v", err)
	}
	if err := c.Internal.SetPassword(ctx, u, "violet tractor lagoon"); err != nil || u.Version != 1 {
		t.Fatalf("%v, version %d", err, u.Version)
	}
	if _, err := c.VerifyPassword(ctx, "alice", "violet tractor lagoon"); err != nil {
		t.Error(err)
	}
	if _, err := c.VerifyPassword(ctx, "alice", secretPassword); err == nil {
		t.Error("the old password works still")
	}
	stale := *u
	stale.Version = 0
	if err := c.Internal.SetPassword(ctx, &stale, "violet tractor lagoon 2"); !errors.Is(err, directory.ErrConflict) || stale.Password.Reveal() != u.Password.Reveal() {
		t.Errorf("conflict: %v", err)
	}
}
