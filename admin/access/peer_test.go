package access

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authn/oidc/oidctest"
	"github.com/soapward/soapward/gateway/config"
)

// newPeer returns a site whose realm it is a provider with the real protocol.
func newPeer(t *testing.T) (*site, *oidctest.Provider) {
	t.Helper()
	w := newWorld(t, func(c *config.Config) { c.Admin.Login = []string{"it"} })
	p := oidctest.New(t, oidctest.Options{Now: w.clock})
	w.access.testOnlyProviders = nil
	w.point(p)
	return w.site(), p
}

// point has the realm it have a provider, from now on.
func (w *world) point(p *oidctest.Provider) {
	w.t.Helper()
	provider, err := oidc.New(oidc.Config{
		Name: "it", Issuer: p.Issuer, ClientID: "web", ClientSecret: authn.NewSecret("web-secret"), DesktopClientID: "desktop",
		Timeout: time.Second, Logger: w.access.log, Now: w.clock,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.change(func(c *config.Config) {
		c.Realms = maps.Clone(c.Realms)
		c.Realms["it"] = &config.Realm{OIDC: &config.Provider{Issuer: config.URL{URL: mustURL(p.Issuer)}, ClientID: "web", DesktopClientID: "desktop"}}
		w.parts.Providers = map[string]*oidc.Provider{"it": provider}
	})
}

// through signs in at the provider: a browser is led there and back.
func (b *browser) through(p *oidctest.Provider, user string) *answer {
	b.t.Helper()
	a := b.get(loginPath + "/it")
	if a.StatusCode != http.StatusSeeOther {
		return a
	}
	p.SignIn(user)
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, a.Header.Get("Location"), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	client := *p.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	_ = res.Body.Close()
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil || back.Path == "" {
		return a // the provider did not lead anybody back
	}
	return b.get(back.RequestURI())
}

func TestPeer(t *testing.T) {
	t.Parallel()
	s, p := newPeer(t)
	b := s.browser()
	b.through(p, "alice").expect(303, home)
	b.get(home).expect(200, `hello it\alice@example.com administrator false it`)
	s.browser().through(p, "bob").expect(403, "No role")
	s.browser().through(p, "").expect(303, p.Issuer) // nobody is at the browser
	p.Set(func(s *oidctest.Switches) { s.Deny = "access_denied" })
	s.browser().through(p, "alice").expect(403, "Sign-in was refused")
	p.Reset()

	// The session goes on as long as the provider says so.
	s.later(6 * time.Minute)
	b.get(home).expect(200)
	if n := p.Requests(oidctest.PathToken); n != 3 { // two codes, one refresh
		t.Errorf("the token endpoint was asked %d times", n)
	}
	p.Revoke("alice")
	s.later(6 * time.Minute)
	b.get(home).expect(303, loginPath)

	// Keys change in between.
	p.Rotate("EC")
	s.browser().through(p, "alice").expect(303, home)
	p.Reset()

	// Out, there as well.
	p.Revoke("alice")
	b = s.browser()
	b.through(p, "alice").expect(303)
	csrf := strings.Split(b.get(home).text, "csrf=")[1]
	a := b.do(http.MethodPost, logoutPath, url.Values{"csrf": {csrf}}).expect(200, "Signed out")
	if to := a.Header.Get("Refresh"); !strings.HasPrefix(to, "0; url="+p.Issuer+oidctest.PathEnd+"?") || !strings.Contains(to, "id_token_hint=") ||
		!strings.Contains(to, url.QueryEscape(s.server.URL+loginPath)) {
		t.Errorf("Refresh: %s", to)
	}
	b.get(home).expect(303, loginPath)
	if user := p.AwaitRevoked(t); user != "alice" || p.Granted("alice") != 0 {
		t.Errorf("%q, and %d refresh tokens are good", user, p.Granted("alice"))
	}
}

func TestPeerBackchannel(t *testing.T) {
	t.Parallel()
	s, p := newPeer(t)
	b := s.browser()
	b.through(p, "alice").expect(303, home)
	post := func(token string) int {
		return p.Logout(t.Context(), t, s.server.Client(), s.server.URL+loginPath+"/it/backchannel", token)
	}
	if got := post(p.LogoutToken("web", "sub-bob", "", nil)); got != 200 {
		t.Errorf("logout of another: %d", got)
	}
	if got := post(p.LogoutToken("other", "sub-alice", "", nil)); got != 400 {
		t.Errorf("logout for another client: %d", got)
	}
	if got := post(p.IDToken("web", "alice", "")); got != 400 {
		t.Errorf("an ID token: %d", got)
	}
	b.get(home).expect(200)
	if got := post(p.LogoutToken("web", "sub-alice", "", nil)); got != 200 {
		t.Errorf("logout: %d", got)
	}
	b.get(home).expect(303, loginPath)
}

func TestPeerToken(t *testing.T) {
	t.Parallel()
	s, p := newPeer(t)
	body := map[string]string{"provider": "it", "id_token": p.IDToken("desktop", "alice", "n-1"), "nonce": "n-1"}
	got := s.token(body)
	s.program(http.MethodGet, "/admin/v1/me", got.Token, nil).expect(200, `hello it\alice@example.com administrator false command line`)
	s.program(http.MethodPost, tokenPath, "", body).expect(401)
	for name, token := range map[string]string{
		"of the web client": p.IDToken("web", "alice", "n-1"),
		"another nonce":     p.IDToken("desktop", "alice", "n-2"),
		"an access token":   p.AccessToken("desktop", "alice", nil),
		"none":              "x.y.z",
	} {
		body["id_token"] = token
		if a := s.program(http.MethodPost, tokenPath, "", body); a.StatusCode != 401 {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.text)
		}
	}
	// As a bearer token by itself it is nothing.
	s.program(http.MethodGet, "/admin/v1/me", p.IDToken("desktop", "alice", ""), nil).expect(401)
}

// inTime signs in as the local administrator, who must not wait for anybody. That
// is 300 ms beside the hash, and some for the tests that run at the same time.
func (s *site) inTime(t *testing.T, secret string) time.Duration {
	t.Helper()
	b := s.browser()
	began := time.Now()
	b.get(home).expect(303, loginPath)
	b.get(loginPath).expect(200)
	b.signInLocal("admin", s.code(secret))
	took := time.Since(began)
	if took > 2*time.Second {
		t.Errorf("the local administrator signed in after %v", took)
	}
	return took
}

// TestAttackAdminProviderLies: no ID token that is wrong lets anybody in, by page or
// by the exchange of tokens, and the local administrator is not kept out.
func TestAttackAdminProviderLies(t *testing.T) {
	t.Parallel()
	lies := oidctest.Lies(time.Now)
	for _, name := range slices.Sorted(maps.Keys(lies)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := newPeer(t)
			_, secret := s.local("admin")
			p.Set(lies[name])
			b := s.browser()
			if a := b.through(p, "alice"); a.StatusCode != 403 && a.StatusCode != 503 {
				t.Errorf("signed in: %d to %s", a.StatusCode, a.Header.Get("Location"))
			}
			b.get(home).expect(303, loginPath)
			a := s.program(http.MethodPost, tokenPath, "", map[string]string{"provider": "it", "id_token": p.IDToken("desktop", "alice", "n"), "nonce": "n"})
			// There is no access token here, whose hash could be wrong.
			if a.StatusCode < 400 && name != "hash of another access token" {
				t.Errorf("exchanged: %d", a.StatusCode)
			}
			s.inTime(t, secret)
		})
	}
}

// TestAttackAdminProviderAway: a provider that is down, slow, talks nonsense,
// changes its issuer or its keys keeps the local administrator neither out nor
// waiting, and lets nobody in; and when it is back, its users are.
func TestAttackAdminProviderAway(t *testing.T) {
	t.Parallel()
	garbage := func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"issuer": [1, "` + strings.Repeat("x", 1000)))
		return true
	}
	for name, change := range map[string]func(s *oidctest.Switches){
		"down":    func(s *oidctest.Switches) { s.Down = true },
		"slow":    func(s *oidctest.Switches) { s.Delay = 1500 * time.Millisecond },
		"garbage": func(s *oidctest.Switches) { s.Serve = garbage },
		"issuer changed": func(s *oidctest.Switches) {
			s.Document = func(doc map[string]any) { doc["issuer"] = "https://evil.test" }
			s.Claims = func(claims map[string]any) { claims["iss"] = "https://evil.test" }
		},
		"keys of another": func(s *oidctest.Switches) {
			s.Sign = func(_ *oidctest.Provider, signed string) []byte { return oidctest.Foreign(signed) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := newPeer(t)
			_, secret := s.local("admin")
			p.Set(change)
			var wait sync.WaitGroup
			for range 4 { // some wait for the provider at the same time
				wait.Go(func() {
					b := s.browser()
					if a := b.through(p, "alice"); a.StatusCode == 303 && a.Header.Get("Location") == home {
						t.Error("signed in")
					}
					b.get(home).expect(303, loginPath)
				})
			}
			took := s.inTime(t, secret)
			wait.Wait()
			t.Logf("signed in after %v", took)
			p.Reset()
			if name == "keys of another" {
				s.browser().through(p, "alice").expect(303, home)
			}
		})
	}
}

// TestAttackAdminRoleOfOtherClaims: neither an account of the same name at another
// domain, nor an e-mail address that the provider does not vouch for, nor a claim
// that looks like a role or a user of ours.
func TestAttackAdminRoleOfOtherClaims(t *testing.T) {
	t.Parallel()
	s, p := newPeer(t)
	for name, change := range map[string]func(claims map[string]any){
		"not verified":      func(c map[string]any) { c["email"], c["email_verified"] = "alice@example.com", false },
		"domain in account": func(c map[string]any) { c["email"], c["email_verified"] = `it\alice@example.com`, true },
		"roles": func(c map[string]any) {
			c["roles"], c["groups"] = []string{"gwadmins", "administrator"}, []string{"gwadmins", `CORP\Staff`}
		},
		"local": func(c map[string]any) { c["email"] = "admin" },
	} {
		p.Set(func(s *oidctest.Switches) { s.Claims = change })
		b := s.browser()
		if a := b.through(p, "bob"); a.StatusCode != 403 {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
		b.get(home).expect(303, loginPath)
	}
}

// Two nodes with one store: a login that began at one ends at the other, and counts
// once at both.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, secret := w.local("admin")
	second := &world{t: t, store: w.store, log: w.log, it: w.it, other: w.other, parts: w.parts}
	second.access = New(Options{
		Logger: w.access.log, Parts: func() Parts { return w.parts }, Provision: w.provision,
		Observe: func(context.Context, *authn.Decision) {},
	})
	second.access.testOnlyProviders = w.access.testOnlyProviders
	a, b := w.site(), second.site()
	move := func(from, to *browser) {
		u, v := mustURL(from.site.server.URL), mustURL(to.site.server.URL)
		to.client.Jar.SetCookies(v, withPath(from.client.Jar.Cookies(u)))
	}
	one, two := a.browser(), b.browser()
	at := one.get(loginPath + "/it").expect(303).Header.Get("Location")
	move(one, two)
	two.get(w.it.back(t, at, "alice@example.com")).expect(303, home)
	move(two, one)
	one.get(home).expect(200, `it\alice@example.com`)

	one, two = a.browser(), b.browser()
	one.password("admin", secretPassword).expect(303, codePath)
	move(one, two)
	code := w.code(secret)
	two.second(code).expect(303, home)
	one.get(codePath).expect(303, localPath)
	one.password("admin", secretPassword).expect(303, codePath)
	one.second(code).expect(401)

	id := map[string]string{"provider": "it", "id_token": "Marked-id-token of alice@example.com 1", "nonce": "nonce"}
	token := a.token(id)
	b.program(http.MethodPost, tokenPath, "", id).expect(401)
	b.program(http.MethodGet, "/admin/v1/me", token.Token, nil).expect(200)
	b.program(http.MethodDelete, tokenPath, token.Token, nil).expect(204)
	a.program(http.MethodGet, "/admin/v1/me", token.Token, nil).expect(401)
}

func withPath(cs []*http.Cookie) []*http.Cookie {
	for _, c := range cs {
		c.Path, c.Secure = "/", true
	}
	return cs
}

// TestAttackAdminProviderReplaced: a realm got another provider. It names users as
// the one before did, and is shown nothing of theirs; sessions and tokens end.
func TestAttackAdminProviderReplaced(t *testing.T) {
	t.Parallel()
	s, p := newPeer(t)
	b := s.browser()
	b.through(p, "alice").expect(303, home)
	due := s.browser()
	due.through(p, "alice").expect(303, home)
	token := s.token(map[string]string{"provider": "it", "id_token": p.IDToken("desktop", "alice", "n-1"), "nonce": "n-1"})
	s.program(http.MethodGet, "/admin/v1/me", token.Token, nil).expect(200)

	evil := oidctest.New(t, oidctest.Options{Now: s.clock})
	s.point(evil)
	b.get(home).expect(303, loginPath)
	s.program(http.MethodGet, "/admin/v1/me", token.Token, nil).expect(401)
	s.later(6 * time.Minute)
	due.get(home).expect(303, loginPath)
	if n := evil.Requests(oidctest.PathToken); n != 0 {
		t.Errorf("the new provider was shown a refresh token of the other one, %d times", n)
	}
	s.point(p)
	for _, b := range []*browser{b, due} {
		b.get(home).expect(303, loginPath) // they are over
	}
}

// A refresh token that was used up is replaced, also if nobody can say who it is.
func TestPeerRefreshKept(t *testing.T) {
	t.Parallel()
	s, p := newPeer(t)
	p.Set(func(s *oidctest.Switches) {
		s.NoIDTokenAgain = true // userinfo is asked
		s.Serve = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != oidctest.PathUserinfo {
				return false
			}
			http.Error(w, "down", http.StatusServiceUnavailable)
			return true
		}
	})
	b := s.browser()
	b.through(p, "alice").expect(303, home)
	for range 3 {
		s.later(6 * time.Minute)
		b.get(home).expect(200)
	}
	if n := p.Requests(oidctest.PathToken); n != 4 {
		t.Errorf("the token endpoint was asked %d times, want 4", n)
	}
}

// TestAttackAdminUsersWithoutRole: everybody at a provider can come back from it. Who
// has no role is told so, and leaves nothing in the store but the record.
func TestAttackAdminUsersWithoutRole(t *testing.T) {
	t.Parallel()
	s, p := newPeer(t)
	s.browser().through(p, "bob").expect(403, "No role", `it\bob@example.com`)
	s.program(http.MethodPost, tokenPath, "", map[string]string{"provider": "it", "id_token": p.IDToken("desktop", "bob", "n-1"), "nonce": "n-1"}).expect(403, "no role")
	if got, want := s.decisions(), []string{`oidc refused it\bob@example.com policy`, `token refused it\bob@example.com policy`}; !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
	if n, err := s.store.CountUsers(t.Context()); err != nil || n != 0 {
		t.Errorf("%d users, %v; want none", n, err)
	}
	s.browser().through(p, "alice").expect(303, home)
	if n, err := s.store.CountUsers(t.Context()); err != nil || n != 1 {
		t.Errorf("%d users, %v; want one", n, err)
	}
}
