package users

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/internal/pgtest"
)

// rotating is a provider whose refresh tokens count once: a second use ends the
// session there, as of one that was stolen.
type rotating struct {
	mu    sync.Mutex
	next  int
	asked int
	twice bool
}

func (p *rotating) Refresh(_ context.Context, g *session.Grant) (*authn.Identity, *session.Grant, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if g.Refresh.Reveal() != fmt.Sprint("refresh-", p.next) {
		p.twice = true
		return nil, nil, &authn.RefusedError{Mechanism: "oidc", Reason: authn.ReasonReplay}
	}
	p.next++
	c := *g
	c.Refresh, c.Due = authn.NewSecret(fmt.Sprint("refresh-", p.next)), g.Due.Add(time.Minute)
	return &authn.Identity{Domain: "partners", Account: "bob", Mechanism: "oidc"}, &c, nil
}

// TestAttackRefreshTokenAtTwoNodes: two nodes, which share nothing but a PostgreSQL,
// take a refresh token to the provider once, however many requests come; what one
// ends has ended at the other.
func TestAttackRefreshTokenAtTwoNodes(t *testing.T) {
	t.Parallel()
	dsn, p, now := pgtest.Database(t), new(rotating), time.Now()
	var mu sync.Mutex
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	var nodes []*session.Manager
	for range 2 {
		st, err := store.Open(t.Context(), store.Config{Driver: "postgres", DSN: dsn})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		nodes = append(nodes, &session.Manager{Store: st, Granter: p, Now: clock})
	}
	start := func() *http.Cookie {
		w := httptest.NewRecorder()
		id := &authn.Identity{Domain: "partners", Account: "bob", Mechanism: "oidc"}
		p.mu.Lock()
		g := &session.Grant{Provider: "partners", Subject: "sub-bob", SessionID: "sid-1", Refresh: authn.NewSecret(fmt.Sprint("refresh-", p.next)), Due: clock().Add(time.Minute)}
		p.mu.Unlock()
		if err := nodes[0].StartGranted(w, overTLS(nil), id, false, g); err != nil {
			t.Fatal(err)
		}
		return w.Result().Cookies()[0]
	}
	c := start()
	const rounds = 15
	for round := range rounds {
		mu.Lock()
		now = now.Add(time.Minute)
		mu.Unlock()
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				if _, err := nodes[i%2].Authenticate(overTLS(c)); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		wg.Wait()
	}
	if p.twice || p.asked != rounds {
		t.Errorf("the provider was asked %d times in %d rounds; twice with one token: %t", p.asked, rounds, p.twice)
	}
	row, err := nodes[1].Sessions(t.Context(), `partners\bob`)
	if err != nil || len(row) != 1 || strings.Contains(string(row[0].Grant.Sealed), "refresh-") {
		t.Errorf("rows %+v, %v", row, err)
	}
	if n, err := nodes[1].EndGranted(t.Context(), "partners", "", "sid-1"); n != 1 || err != nil {
		t.Errorf("ended %d, %v", n, err)
	}
	for i, n := range nodes {
		if _, err := n.Authenticate(overTLS(c)); !errors.Is(err, authn.ErrNoCredentials) {
			t.Errorf("node %d: %v", i, err)
		}
	}
}

// overTLS is a request of a browser with a cookie.
func overTLS(c *http.Cookie) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://web.corp.test/", nil)
	r.TLS = &tls.ConnectionState{}
	if c != nil {
		r.AddCookie(c)
	}
	return r
}
