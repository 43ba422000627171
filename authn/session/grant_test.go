package session

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// provider is a Granter whose refresh tokens count once, as those of most providers.
type provider struct {
	clock *clock

	mu     sync.Mutex
	token  string   // the one that counts
	asked  []string // tokens, in order
	fail   error    // what it says then
	silent bool     // about who it is
	answer func(g *Grant, id *authn.Identity)
	block  chan struct{} // it does not answer before that is closed
	ctx    context.Context
}

func (p *provider) Refresh(ctx context.Context, g *Grant) (*authn.Identity, *Grant, error) {
	p.mu.Lock()
	p.ctx = ctx
	block := p.block
	p.asked = append(p.asked, g.Refresh.Reveal())
	p.mu.Unlock()
	if block != nil {
		<-block
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.fail != nil:
		return nil, nil, p.fail
	case g.Refresh.Reveal() != p.token:
		return nil, nil, &authn.RefusedError{Mechanism: "oidc", Reason: authn.ReasonReplay}
	}
	p.token = fmt.Sprintf("refresh-%d", len(p.asked)+1)
	c, id := *g, *alice
	c.Refresh, c.IDToken, c.Due = authn.NewSecret(p.token), authn.Secret{}, p.clock.Now().Add(time.Minute)
	id.Claims = authn.Claims{"round": {p.token}}
	if p.answer != nil {
		p.answer(&c, &id)
	}
	if p.silent {
		return nil, &c, nil
	}
	return &id, &c, nil
}

func (p *provider) says(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = err
}

func (p *provider) tokens() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.asked, " ")
}

func newGranted(t *testing.T, keys []Key) (*site, *provider) {
	t.Helper()
	s := newSite(&Manager{Keys: keys})
	p := &provider{clock: s.clock, token: "refresh-1"}
	s.Granter = p
	return s, p
}

func (s *site) grant() *Grant {
	return &Grant{
		Provider: "partners", Subject: "sub-1", SessionID: "sid-1", Refresh: authn.NewSecret("refresh-1"), IDToken: authn.NewSecret("id-token"),
		Due: s.clock.Now().Add(time.Minute),
	}
}

func (s *site) loginGranted(t *testing.T, g *Grant) *http.Cookie {
	t.Helper()
	w := httptest.NewRecorder()
	if err := s.StartGranted(w, get(), alice, false, g); err != nil {
		t.Fatal(err)
	}
	return cookieOf(t, w, s.CookieName(get()))
}

// round returns which answer of the provider a caller is known by.
func round(id *authn.Identity) string {
	if id == nil {
		return "nobody"
	}
	return strings.Join(id.Claims["round"], "")
}

func TestGrantRefreshed(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s, p := newGranted(t, k.keys)
			c := s.loginGranted(t, s.grant())
			for i, want := range []struct{ round, asked string }{
				{"", ""}, {"refresh-2", "refresh-1"}, {"refresh-3", "refresh-1 refresh-2"},
			} {
				if i > 0 {
					s.clock.Pass(61 * time.Second)
				}
				for range 2 { // once for each time that it is due
					if id := s.who(t, c); id == nil || round(id) != want.round || p.tokens() != want.asked || !id.Expires.After(s.clock.Now()) {
						t.Errorf("round %d: %v by %q, the provider was asked with %q", i, id, round(id), p.tokens())
					}
				}
			}
			g, err := s.GrantOf(get(c))
			if err != nil || g.Refresh.Reveal() != "refresh-3" || g.IDToken.Reveal() != "id-token" || g.SessionID != "sid-1" || g.Subject != "sub-1" {
				t.Errorf("grant %+v, %v", g, err)
			}
		})
	}
}

// TestGrantSilent: a provider that does not say who it is leaves the caller as he is.
func TestGrantSilent(t *testing.T) {
	t.Parallel()
	s, p := newGranted(t, nil)
	c := s.loginGranted(t, s.grant())
	s.clock.Pass(time.Minute)
	p.silent = true
	for range 2 {
		if id := s.who(t, c); id.String() != alice.String() || round(id) != "" {
			t.Errorf("%v by %q", id, round(id))
		}
	}
	s.clock.Pass(time.Minute)
	p.silent = false
	if id := s.who(t, c); round(id) != "refresh-3" || p.tokens() != "refresh-1 refresh-2" {
		t.Errorf("%v by %q, asked with %q", id, round(id), p.tokens())
	}
}

func TestGrantRefused(t *testing.T) {
	t.Parallel()
	s, p := newGranted(t, nil)
	c := s.loginGranted(t, s.grant())
	s.clock.Pass(time.Hour / 60)
	p.says(&authn.RefusedError{Mechanism: "oidc", Reason: authn.ReasonDisabled})
	if id := s.who(t, c); id != nil {
		t.Errorf("%v goes on", id)
	}
	p.says(nil)
	if id := s.who(t, c); id != nil {
		t.Errorf("%v comes back", id)
	}
	if !strings.Contains(s.log.String(), "session ended") || !strings.Contains(s.log.String(), "account-disabled") {
		t.Errorf("log: %s", s.log)
	}
}

// TestGrantProviderAway: the session goes on for the grace, then waits, and goes on
// as soon as the provider answers.
func TestGrantProviderAway(t *testing.T) {
	t.Parallel()
	s, p := newGranted(t, nil)
	s.GrantGrace = 5 * time.Minute
	c := s.loginGranted(t, s.grant())
	p.says(fmt.Errorf("dial: %w", authn.ErrUnavailable))
	s.clock.Pass(time.Minute)
	for range 3 {
		if id := s.who(t, c); id == nil {
			t.Fatal("refused within the grace")
		}
	}
	if p.tokens() != "refresh-1" {
		t.Errorf("asked %q: each request waits for a provider that is away", p.tokens())
	}
	s.clock.Pass(4*time.Minute + 59*time.Second)
	if s.who(t, c) == nil {
		t.Error("refused within the grace")
	}
	s.clock.Pass(time.Second)
	for range 2 {
		if _, err := s.Authenticate(get(c)); !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, authn.ErrBadCredentials) {
			t.Errorf("after the grace: %v", err)
		}
	}
	p.says(nil)
	s.clock.Pass(claimFor)
	if id := s.who(t, c); round(id) == "nobody" {
		t.Error("the provider is back, and the session is not")
	}
	if strings.Contains(s.log.String(), "refresh-") || !strings.Contains(s.log.String(), "does not say") {
		t.Errorf("log: %s", s.log)
	}
}

// TestGrantOthersGoOn: while one request asks, the others of the session do not wait.
// The one that asks goes on to its end when its client goes away.
func TestGrantOthersGoOn(t *testing.T) {
	t.Parallel()
	s, p := newGranted(t, nil)
	c := s.loginGranted(t, s.grant())
	s.clock.Pass(time.Minute)
	p.block = make(chan struct{})
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := s.Authenticate(get(c).WithContext(ctx))
		done <- err
	}()
	for p.tokens() == "" {
		time.Sleep(time.Millisecond) // until it asks
	}
	if id := s.who(t, c); id == nil || round(id) != "" {
		t.Errorf("another request: %v", id)
	}
	leave()
	p.mu.Lock()
	if p.ctx.Err() != nil {
		t.Error("the question ended with the client")
	}
	if d, ok := p.ctx.Deadline(); !ok || time.Until(d) > askFor {
		t.Error("the question has no end")
	}
	p.mu.Unlock()
	close(p.block)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if id := s.who(t, c); round(id) != "refresh-2" {
		t.Errorf("then: %v by %q", id, round(id))
	}
}

func TestGrantsEnd(t *testing.T) {
	t.Parallel()
	s, _ := newGranted(t, nil)
	start := func(subject, sid string) *http.Cookie {
		g := s.grant()
		g.Subject, g.SessionID = subject, sid
		return s.loginGranted(t, g)
	}
	cookies := []*http.Cookie{start("a", "1"), start("a", "2"), start("b", "1")}
	plain := s.login(t, alice, false)
	for _, step := range []struct {
		provider, subject, sid string
		n                      int
		left                   string
	}{
		{"other", "a", "", 0, "111"}, {"partners", "c", "", 0, "111"}, {"partners", "b", "2", 0, "111"},
		{"partners", "a", "2", 1, "101"}, {"partners", "", "1", 2, "000"},
	} {
		n, err := s.EndGranted(t.Context(), step.provider, step.subject, step.sid)
		left := ""
		for _, c := range cookies {
			if s.who(t, c) != nil {
				left += "1"
			} else {
				left += "0"
			}
		}
		if err != nil || n != step.n || left != step.left {
			t.Errorf("%+v: %d, %v, left %s", step, n, err, left)
		}
	}
	if s.who(t, plain) == nil {
		t.Error("a session of another login ended")
	}
	if _, err := s.EndGranted(t.Context(), "partners", "", ""); err == nil {
		t.Error("everybody may be ended")
	}
}

func TestGrantBounds(t *testing.T) {
	t.Parallel()
	s, p := newGranted(t, nil)
	g := s.grant()
	g.IDToken = authn.NewSecret(strings.Repeat("x", maxSealedGrant))
	c := s.loginGranted(t, g)
	if g, err := s.GrantOf(get(c)); err != nil || !g.IDToken.IsEmpty() || g.Refresh.IsEmpty() {
		t.Errorf("grant %v, %v", g, err)
	}
	g.Refresh = g.IDToken
	if err := s.StartGranted(httptest.NewRecorder(), get(), alice, false, g); err == nil {
		t.Error("a refresh token of any size is kept")
	}
	// Without a refresh token there is nothing to ask with.
	g = s.grant()
	g.Refresh = authn.Secret{}
	c = s.loginGranted(t, g)
	s.clock.Pass(10 * time.Minute)
	if s.who(t, c) == nil || p.tokens() != "" {
		t.Errorf("asked %q", p.tokens())
	}
	if g, err := s.GrantOf(get()); g != nil || err != nil {
		t.Errorf("no session: %v, %v", g, err)
	}
	if g, err := s.GrantOf(get(s.login(t, alice, false))); g != nil || err != nil {
		t.Errorf("another login: %v, %v", g, err)
	}
	// A store that keeps none.
	s.Store = struct{ Store }{NewMemory(0)}
	if err := s.StartGranted(httptest.NewRecorder(), get(), alice, false, s.grant()); !errors.Is(err, errNoGrants) {
		t.Errorf("a store without grants: %v", err)
	}
}

// TestAttackRefreshTokenTwice: of many requests at two nodes, one takes a refresh
// token to the provider: a second use is how providers know a stolen one, and they
// end the session then.
func TestAttackRefreshTokenTwice(t *testing.T) {
	t.Parallel()
	a, p := newGranted(t, nil)
	b := newSite(&Manager{Store: a.Store, Granter: p})
	b.Now = a.clock.Now
	c := a.loginGranted(t, a.grant())
	for round := range 20 {
		a.clock.Pass(time.Minute)
		var wg sync.WaitGroup
		for i := range 16 {
			m := []*site{a, b}[i%2]
			wg.Go(func() {
				if res, err := m.Authenticate(get(c)); err != nil || res.Identity.String() != alice.String() {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		wg.Wait()
	}
	used := strings.Fields(p.tokens())
	seen := make(map[string]bool)
	for _, u := range used {
		if seen[u] {
			t.Errorf("%s was used twice", u)
		}
		seen[u] = true
	}
	if len(used) != 20 {
		t.Errorf("the provider was asked %d times in 20 minutes", len(used))
	}
}

// TestAttackGrantStoreRead: who reads the store, or writes to it, gets nothing from
// the provider.
func TestAttackGrantStoreRead(t *testing.T) {
	t.Parallel()
	s, p := newGranted(t, nil)
	store := s.Store.(*Memory)
	mine, others := s.loginGranted(t, s.grant()), s.loginGranted(t, s.grant())
	secret, _ := decodeSecret(mine.Value)
	row, err := store.Session(t.Context(), s.idOf(secret))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(row.Grant.Sealed, []byte("refresh")) || bytes.Contains(row.Grant.Sealed, []byte("token")) {
		t.Error("the store has the tokens as they are")
	}
	// All that the store has opens nothing.
	for name, key := range map[string][secretSize]byte{"its id": row.ID, "the hash of that": sha256.Sum256(row.ID[:]), "nothing": {}} {
		if _, err := unsealGrant(&session{Session: *row, secret: key}); err == nil {
			t.Errorf("opened with %s", name)
		}
	}
	// Nor can it be moved to a session of the attacker's own, or to another provider.
	stolen, _ := decodeSecret(others.Value)
	moved, err := store.Session(t.Context(), s.idOf(stolen))
	if err != nil {
		t.Fatal(err)
	}
	moved.Grant = row.Grant
	elsewhere := *row
	elsewhere.Grant = cloneGrant(row.Grant)
	elsewhere.Grant.Provider = "evil"
	s.clock.Pass(time.Minute)
	for c, changed := range map[*http.Cookie]*directory.Session{others: moved, mine: &elsewhere} {
		if err := store.PutSession(t.Context(), changed); err != nil {
			t.Fatal(err)
		}
		if _, err := s.GrantOf(get(c)); err == nil {
			t.Error("a grant that was moved opens")
		}
		if id := s.who(t, c); id != nil {
			t.Errorf("%v goes on with a grant of somebody else", id)
		}
	}
	if p.tokens() != "" {
		t.Errorf("the provider got %q", p.tokens())
	}
}

// TestAttackProviderNamesAnother: a refresh makes nobody somebody else.
func TestAttackProviderNamesAnother(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(*Grant, *authn.Identity){
		"name":     func(_ *Grant, id *authn.Identity) { id.Account = "bob" },
		"domain":   func(_ *Grant, id *authn.Identity) { id.Domain = "" },
		"subject":  func(g *Grant, _ *authn.Identity) { g.Subject = "sub-2" },
		"provider": func(g *Grant, _ *authn.Identity) { g.Provider = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := newGranted(t, nil)
			p.answer = answer
			c := s.loginGranted(t, s.grant())
			s.clock.Pass(time.Minute)
			for range 2 {
				if id := s.who(t, c); id != nil {
					t.Errorf("%v goes on", id)
				}
			}
		})
	}
}

// TestAttackGrantEndedWhileAsked: what ended while the provider was asked is not
// brought back by its answer.
func TestAttackGrantEndedWhileAsked(t *testing.T) {
	t.Parallel()
	s, p := newGranted(t, nil)
	c := s.loginGranted(t, s.grant())
	s.clock.Pass(time.Minute)
	p.answer = func(g *Grant, _ *authn.Identity) {
		if n, err := s.EndGranted(context.Background(), g.Provider, g.Subject, ""); n != 1 || err != nil {
			t.Errorf("%d ended, %v", n, err)
		}
	}
	for range 2 {
		if id := s.who(t, c); id != nil {
			t.Errorf("%v goes on", id)
		}
	}
}
