package form

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/throttle"
)

// TestAttackGuessingAtForm: the page is behind the same protection as other
// logins, by the address of the client, and says for how long.
func TestAttackGuessingAtForm(t *testing.T) {
	t.Parallel()
	users := new(people)
	limit := &throttle.Limiter{Store: throttle.NewMemory(0)}
	s := newSite(t, Config{Verifier: limit.Password(users)})
	b := s.browser(t)
	page := b.get("/login")
	for i := range 3 {
		page = b.login(page, `CORP\alice`, fmt.Sprint("wrong", i))
		page.expect(t, 401, "Invalid username or password")
	}
	blocked := b.login(page, ` corp\ALICE `, secretPassword)
	blocked.expect(t, 429, "Too many failed login attempts. Please try again in a few minutes.", `id="password"`)
	users.mu.Lock()
	asked := len(users.asked)
	users.mu.Unlock()
	if asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
	if blocked.Header.Get("Retry-After") == "" || len(blocked.Header.Values("WWW-Authenticate")) != 0 {
		t.Errorf("header %v", blocked.Header)
	}
	if !strings.Contains(s.log.String(), "reason=blocked") {
		t.Errorf("log %s", s.log)
	}
}

// TestObserve: the audit is told of each login at the page, with the reference
// that the page shows.
func TestObserve(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []*authn.Decision
	s := newSite(t, Config{Observe: func(_ context.Context, d *authn.Decision) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, d)
	}})
	b := s.browser(t)
	wrong := b.login(b.get("/login"), `CORP\alice`, "wrong")
	b.login(wrong, `CORP\alice`, secretPassword).expect(t, 303)
	b.get("/").expect(t, 200)
	mu.Lock()
	defer mu.Unlock()
	if len(told) != 2 {
		t.Fatalf("told of %d decisions, want 2", len(told))
	}
	if d := told[0]; d.Outcome != authn.OutcomeRefused || d.User != `CORP\alice` || d.Mechanism != Mechanism || !strings.Contains(wrong.text, d.Ref) {
		t.Errorf("refusal %+v", d)
	}
	if d := told[1]; d.Outcome != authn.OutcomeAccepted || d.User != `CORP\alice` || d.Mechanism != Mechanism {
		t.Errorf("login %+v", d)
	}
}
