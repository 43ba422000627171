package access

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authn/oidc/oidctest"
)

// stranger sends a request with a cookie of a login that has begun.
func stranger(w *world, from, path, cookie string) *httptest.ResponseRecorder {
	r := newRequest(http.MethodGet, "https://gw.test"+path)
	r.RemoteAddr = from + ":1234"
	r.AddCookie(&http.Cookie{Name: "__Host-" + loginCookie, Value: cookie})
	return record(w, r)
}

// TestAttackAdminStrangersCookies: logins that were not sealed here, without number,
// are no work for the store.
func TestAttackAdminStrangersCookies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.later(0) // the clock stands
	var asked atomic.Int64
	logins := &w.access.core().logins
	ask := logins.Key
	logins.Key = func(ctx context.Context) (*[32]byte, error) { asked.Add(1); return ask(ctx) }
	foreign, err := new(oidc.LoginSealer).Seal(t.Context(), "__Host-"+loginCookie, &oidc.Login{Provider: "it", State: "x", Begun: w.clock()})
	if err != nil {
		t.Fatal(err)
	}
	b := w.site().browser()
	at := b.get(loginPath + "/it").expect(303).Header.Get("Location")
	ours := valueOf(b, "__Host-"+loginCookie)
	w.later(time.Minute)
	for i := range 50 {
		for _, cookie := range []string{foreign, flip(ours), fmt.Sprint("x", i)} {
			if a := stranger(w, "192.0.2.7", loginPath+"/it/callback?code=x&state=x", cookie); a.Code != 403 {
				t.Fatalf("%d %s", a.Code, a.Body)
			}
		}
	}
	if n := asked.Load(); n != 2 { // for the browser, and for all of these
		t.Errorf("the key was asked for %d times", n)
	}
	b.get(w.it.back(t, at, "alice@example.com")).expect(303, home)
}

// TestAttackAdminMadeUpAnswers: who begins a sign-in and makes up what the provider
// answers has it asked about a bounded number of codes, writes nothing into the store,
// and keeps nobody else from signing in.
func TestAttackAdminMadeUpAnswers(t *testing.T) {
	t.Parallel()
	s, p := newPeer(t)
	s.later(0) // the clock stands
	b := s.browser()
	to, err := url.Parse(b.get(loginPath + "/it").expect(303).Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	begun, err := s.access.core().logins.Open(t.Context(), "__Host-"+loginCookie, valueOf(b, "__Host-"+loginCookie))
	if err != nil || begun.State != to.Query().Get("state") {
		t.Fatal(begun, err)
	}
	again := func(from string, q url.Values) int {
		a := stranger(s.world, from, loginPath+"/it/callback?"+q.Encode(), valueOf(b, "__Host-"+loginCookie))
		if a.Code == http.StatusServiceUnavailable && !strings.Contains(a.Body.String(), "Too many sign-ins") {
			t.Errorf("%s", a.Body)
		}
		return a.Code
	}
	forged := url.Values{"state": {begun.State}, "code": {"made up"}, "iss": {p.Issuer}}
	got := map[int]int{}
	for range 150 {
		got[again("192.0.2.7", url.Values{"state": {"another"}, "code": {"made up"}})]++
	}
	if n := p.Requests(oidctest.PathToken); n != 0 || got[403] != 150 {
		t.Errorf("the provider was asked %d times, answers %v", n, got)
	}
	for range 150 {
		got[again("192.0.2.7", forged)]++
	}
	if n := p.Requests(oidctest.PathToken); n != 120 || got[403] != 150+120 || got[503] != 30 {
		t.Errorf("the provider was asked %d times, answers %v", n, got)
	}
	if counts, err := s.store.AddFailure(t.Context(), s.clock(), s.clock().Add(-usedFor), "used login "+digest(begun.State)); err != nil || counts[0] != 1 {
		t.Errorf("the store was written to %d times, %v", counts[0]-1, err)
	}
	s.browser().through(p, "alice").expect(303, home)
	s.later(time.Minute)
	if code := again("192.0.2.7", forged); code != 403 {
		t.Errorf("a minute later: %d", code)
	}
}
