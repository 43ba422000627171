package login_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/oidc/oidctest"
)

// TestProviderEndsSessions: a back-channel logout ends sessions at all nodes, at once.
func TestProviderEndsSessions(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	srv := f.serve("partners")
	other := f.world.serve(f.config, f.world.set(f.config, nil), "partners") // another node
	f.a.SignIn("alice")
	alice, again := newPerson(t, srv), newPerson(t, srv)
	for _, p := range []*person{alice, again} {
		if status, _, _ := p.open("/x"); status != 200 {
			t.Fatal(status)
		}
	}
	f.a.SignIn("bob")
	bob := newPerson(t, srv)
	if status, _, _ := bob.open("/x"); status != 200 {
		t.Fatal(status)
	}
	in := func(p *person) bool {
		res := p.stay().do(http.MethodGet, "/x", nil)
		_ = answer(t, res)
		return res.StatusCode == 200
	}
	ss, err := f.store.SessionsOf(t.Context(), `partners\alice@example.com`)
	if err != nil || len(ss) != 2 {
		t.Fatal(len(ss), err)
	}
	const at = "/.soapward/login/partners/backchannel"
	logout := func(token string) int { return f.a.Logout(t.Context(), t, other.Client(), other.URL+at, token) }
	for name, bad := range map[string]string{
		"another client": f.a.LogoutToken("desk", "sub-alice", "", nil), "another provider": f.b.LogoutToken("web", "sub-alice", "", nil),
		"an ID token": f.a.IDToken("web", "alice", ""), "nonsense": "x", "nothing": "",
	} {
		if got := logout(bad); got != 400 {
			t.Errorf("%s: %d", name, got)
		}
	}
	if !in(alice) || !in(again) || !in(bob) {
		t.Fatal("a session ended")
	}
	// One session there, then all of the subject.
	if got := logout(f.a.LogoutToken("web", "sub-alice", ss[0].Grant.SessionID, nil)); got != 200 || in(alice) == in(again) || !in(bob) {
		t.Errorf("one session: %d, alice %t %t, bob %t", got, in(alice), in(again), in(bob))
	}
	if got := logout(f.a.LogoutToken("web", "sub-alice", "", nil)); got != 200 || in(alice) || in(again) || !in(bob) {
		t.Errorf("the subject: %d, alice %t %t, bob %t", got, in(alice), in(again), in(bob))
	}
	res := bob.stay().do(http.MethodGet, at, nil)
	if _ = answer(t, res); res.StatusCode != 405 {
		t.Errorf("GET: %s", res.Status)
	}
}

// age has the provider asked at the next request of each session of a user.
func (f *federation) age(user string) {
	f.t.Helper()
	ss, err := f.store.SessionsOf(f.t.Context(), user)
	if err != nil || len(ss) == 0 {
		f.t.Fatal(len(ss), err)
	}
	for _, s := range ss {
		g := *s.Grant
		g.Due = time.Now().Add(-time.Second)
		if err := f.store.PutGrant(f.t.Context(), s.ID, &g, nil); err != nil {
			f.t.Fatal(err)
		}
	}
}

func TestProviderRefresh(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	srv := f.serve("partners")
	f.a.SignIn("alice")
	const alice = `partners\alice@example.com`
	p := newPerson(t, srv)
	if status, _, _ := p.open("/x"); status != 200 {
		t.Fatal(status)
	}
	status := func() int {
		res := p.stay().do(http.MethodGet, "/x", nil)
		_ = answer(t, res)
		return res.StatusCode
	}
	for i := range 3 { // refresh tokens count once
		asked := f.a.Requests(oidctest.PathToken)
		f.age(alice)
		if got := status(); got != 200 || f.a.Requests(oidctest.PathToken) != asked+1 {
			t.Fatalf("refresh %d: %d, %d questions", i, got, f.a.Requests(oidctest.PathToken)-asked)
		}
	}
	f.a.Set(func(s *oidctest.Switches) { s.Down = true })
	f.age(alice)
	if got := status(); got != 200 {
		t.Errorf("while the provider is away: %d", got)
	}
	f.a.Reset()
	// Whom an operator disables stays out, at once and at the provider's word.
	u, err := f.store.User(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	f.age(alice)
	f.a.Revoke("alice")
	if got := status(); got != 303 {
		t.Errorf("the provider says no: %d", got)
	}
	if !strings.Contains(f.log.String(), "session ended") {
		t.Error("the log does not say so")
	}
	if ss, err := f.store.SessionsOf(t.Context(), u.Name); err != nil || len(ss) != 0 {
		t.Errorf("sessions %d, %v", len(ss), err)
	}
}
