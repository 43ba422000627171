package access

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// TestAttackAdminMixUp: what was begun at one provider does not end at another.
func TestAttackAdminMixUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.site().browser()
	at := b.get(loginPath + "/partners").expect(303).Header.Get("Location")
	back := strings.Replace(w.other.back(t, at, "alice@example.com"), "/partners/", "/it/", 1)
	b.get(back).expect(403, "Sign-in was refused")
	if len(w.it.used) != 0 {
		t.Error("the other provider was asked")
	}
	// A provider that names users of another.
	w.other.set(func(p *fakeProvider) { p.domain = "it" })
	b.signIn(w.other, "alice@example.com").expect(403)
	b.get(home).expect(303, loginPath)
	want(t, w.decisions(), "oidc refused  wrong-target", `oidc refused it\alice@example.com policy`)
}

// TestAttackAdminReplay: an answer of the provider ends one login, once, also at
// the browser that has all of it.
func TestAttackAdminReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site()
	b := s.browser()
	at := b.get(loginPath + "/it").expect(303).Header.Get("Location")
	kept := valueOf(b, "__Host-"+loginCookie)
	b.get(w.it.back(t, at, "alice@example.com")).expect(303, home)
	if slices.Contains(b.cookies(), "__Host-"+loginCookie) {
		t.Error("the login that has ended is still in the browser")
	}
	u, _ := url.Parse(s.server.URL)
	thief := s.browser()
	thief.client.Jar.SetCookies(u, []*http.Cookie{{Name: "__Host-" + loginCookie, Value: kept, Path: "/", Secure: true}})
	thief.get(w.it.back(t, at, "alice@example.com")).expect(403) // another code, the same state
	// Changed, cut off, of another gateway, too old.
	for name, value := range map[string]string{"changed": flip(kept), "cut off": kept[:len(kept)-2], "empty": "x", "long": strings.Repeat("x", 3900)} {
		thief.client.Jar.SetCookies(u, []*http.Cookie{{Name: "__Host-" + loginCookie, Value: value, Path: "/", Secure: true}})
		if a := thief.get(w.it.back(t, at, "alice@example.com")); a.StatusCode != 403 {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
	at = b.get(loginPath + "/it").expect(303).Header.Get("Location")
	w.later(beganFor + time.Minute)
	b.get(w.it.back(t, at, "alice@example.com")).expect(403)
}

// TestAttackAdminRoleOfAnother: a role is of the names that the configuration has:
// not of the same account at another provider, nor of groups, roles or domains that
// a provider makes up, nor of what an operator granted in the store.
func TestAttackAdminRoleOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site()
	b := s.browser()
	for _, p := range []*fakeProvider{w.it, w.other} {
		for _, account := range []string{"mallory@example.com", "gwadmins", "admin"} {
			b.signIn(p, account).expect(403, "No role") // with groups and roles: see fakeProvider.identity
		}
	}
	b.signIn(w.other, "alice@example.com").expect(403, "No role")
	// Granted in the store.
	u := &directory.User{Name: `it\granted@example.com`, Realm: "it", Roles: []string{"gwadmins", "administrator"}}
	if err := w.store.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	b.signIn(w.it, "granted@example.com").expect(403, "No role")
	b.get(home).expect(303, loginPath)
	if len(b.cookies()) != 0 {
		t.Errorf("cookies %q", b.cookies())
	}
}

// TestAttackAdminProviderBroken: whatever a provider does, the local administrator
// signs in at once, and nobody else comes in.
func TestAttackAdminProviderBroken(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(p *fakeProvider){
		"down":  func(p *fakeProvider) { p.err = authn.ErrUnavailable },
		"slow":  func(p *fakeProvider) { p.hang = time.Hour },
		"lies":  func(p *fakeProvider) { p.err = &authn.RefusedError{Reason: authn.ReasonIntegrity} },
		"fails": func(p *fakeProvider) { p.err = fmt.Errorf("garbage") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			_, secret := w.local("admin")
			s := w.site()
			b := s.browser()
			at := b.get(loginPath + "/it").expect(303).Header.Get("Location")
			w.it.set(change)
			if name != "slow" {
				if a := b.get(w.it.back(t, at, "alice@example.com")); a.StatusCode != 403 && a.StatusCode != 503 {
					t.Errorf("callback: %d", a.StatusCode)
				}
				if a := b.get(loginPath + "/it"); a.StatusCode == 303 || strings.Contains(a.text, "garbage") {
					t.Errorf("begin: %d %s", a.StatusCode, a.text)
				}
				b.get(home).expect(303, loginPath)
			}
			local := s.browser()
			began := time.Now()
			local.get(home).expect(303, loginPath)
			local.get(loginPath).expect(200)
			local.signInLocal("admin", w.code(secret))
			if took := time.Since(began); took > time.Minute { // whoever waits for a slow one waits an hour
				t.Errorf("the local administrator waits %v", took)
			}
			t.Logf("signed in after %v", time.Since(began))
		})
	}
}

// TestAttackAdminIDTokenTwice: an ID token is exchanged once, at all nodes, also at
// the same time.
func TestAttackAdminIDTokenTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.site()
	s.browser().signIn(w.it, "alice@example.com").expect(303) // so that there is a user
	status := make([]int, 6)
	var wait sync.WaitGroup
	for i := range status {
		wait.Go(func() {
			status[i] = s.program(http.MethodPost, tokenPath, "", map[string]string{
				"provider": "it", "id_token": "Marked-id-token of alice@example.com 1", "nonce": "nonce",
			}).StatusCode
		})
	}
	wait.Wait()
	slices.Sort(status)
	if status[0] != 200 || status[1] != 401 {
		t.Errorf("one token was exchanged with %v", status)
	}
}

// TestAttackAdminTokenCrossSite: a page of another site cannot have a browser
// exchange a token: it cannot send JSON.
func TestAttackAdminTokenCrossSite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.site().browser()
	body := `{"provider":"it","id_token":"Marked-id-token of alice@example.com 1","nonce":"nonce"}`
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""} {
		if a := b.send(http.MethodPost, tokenPath, kind, strings.NewReader(body)); a.StatusCode != 400 {
			t.Errorf("%q: %d", kind, a.StatusCode)
		}
	}
}
