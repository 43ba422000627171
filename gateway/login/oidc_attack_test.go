package login_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authn/oidc/oidctest"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/gateway/login"
)

// TestAttackProviderNamesOurUser: a provider, or whoever chooses his name there,
// becomes nobody whom we know by other means, nor whoever had the name before.
func TestAttackProviderNamesOurUser(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	srv := f.serve("partners")
	const name = `partners\alice@example.com`
	f.a.SignIn("alice")
	for what, row := range map[string]directory.User{
		"of another realm":      {Realm: "staff"},
		"of no realm":           {},
		"of another subject":    {Realm: "partners", Subject: login.Subject(f.a.Issuer, "sub-former")},
		"of another issuer":     {Realm: "partners", Subject: login.Subject(f.b.Issuer, "sub-alice")},
		"of a domain":           {Realm: "partners", SID: "S-1-5-21-1-2-3-1104"},
		"with a password":       {Realm: "partners", Password: directory.NewPasswordHash("$argon2id$v=19$m=8,t=1,p=1$YWFhYWFhYWE$YWFhYWFhYWFhYWFhYWFhYQ")},
		"a local administrator": {Realm: "partners", LocalAdmin: true},
		"of a longer issuer":    {Realm: "partners", Subject: login.Subject(f.a.Issuer+" x", "sub-alice")},
	} {
		row.Name, row.Roles = name, []string{"boss"}
		if err := f.store.CreateUser(t.Context(), &row); err != nil {
			t.Fatal(what, err)
		}
		if status, body, _ := newPerson(t, srv).open("/x"); status != 401 {
			t.Errorf("%s: %d %s", what, status, body)
		}
		kept, err := f.store.User(t.Context(), name)
		if err != nil || kept.Version != row.Version || kept.Subject != row.Subject {
			t.Errorf("%s: the row is %+v now, %v", what, kept, err)
		}
		if err := f.store.DeleteUser(t.Context(), row.ID); err != nil {
			t.Fatal(err)
		}
	}
	// One who takes over the name of somebody who is still there.
	f.a.SignIn("bob")
	if status, _, _ := newPerson(t, srv).open("/x"); status != 200 {
		t.Fatal("bob")
	}
	f.a.ChangeUser("alice", func(u *oidctest.User) { u.Email = "bob@example.com" })
	f.a.SignIn("alice")
	if status, body, _ := newPerson(t, srv).open("/x"); status != 401 {
		t.Errorf("alice as bob: %d %s", status, body)
	}
	// And one who is known, and takes a name that another has.
	f.a.ChangeUser("alice", func(u *oidctest.User) { u.Email = "alice@example.com" })
	if status, _, _ := newPerson(t, srv).open("/x"); status != 200 {
		t.Error("alice as herself")
	}
	f.a.ChangeUser("alice", func(u *oidctest.User) { u.Email = "BOB@example.com" })
	if status, body, _ := newPerson(t, srv).open("/x"); status != 401 {
		t.Errorf("alice, who is known, as bob: %d %s", status, body)
	}
}

// TestAttackProviderAssertsGroups: what only a domain can say, no provider does.
func TestAttackProviderAssertsGroups(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.a.ChangeUser("alice", func(u *oidctest.User) {
		u.Groups = []string{"S-1-5-32-544", `CORP\Domain Admins`}
		u.Claims = map[string]any{"onprem_sid": "S-1-5-21-1-2-3-500", "objectSid": "S-1-5-21-1-2-3-500", "SID": "S-1-5-21-1-2-3-500"}
	})
	var seen *authn.Identity
	h, err := f.set.Handler(spec(f.config, "partners"), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = authn.FromContext(r.Context()) }))
	if err != nil {
		t.Fatal(err)
	}
	srv := f.listen(route(f.set, h), true)
	f.a.SignIn("alice")
	if status, _, _ := newPerson(t, srv).open("/x"); status != 200 || seen == nil {
		t.Fatal(status)
	}
	if len(seen.Groups) != 0 || seen.SID != "" || seen.String() != `partners\alice@example.com` || !seen.Claims.Has("groups", "S-1-5-32-544") {
		t.Errorf("%v with SID %q, groups %v, claims %v", seen, seen.SID, seen.Groups, map[string][]string(seen.Claims))
	}
}

// TestAttackProviderLoginCSRF: a login ends in the browser that began it, at the
// provider that it began at, and once.
func TestAttackProviderLoginCSRF(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	srv := f.serve("either")
	f.a.SignIn("bob") // the attacker
	begun := func(p *person) string { return p.step(p.step("/.soapward/login/partners/oidc?return=/x")) }
	refused := func(what string, p *person, target string) {
		t.Helper()
		res := p.stay().do(http.MethodGet, target, nil)
		if body := answer(t, res); res.StatusCode < 400 || strings.Contains(body, "bob") {
			t.Errorf("%s: %s", what, body)
		}
		for _, c := range res.Cookies() {
			if c.MaxAge >= 0 && !strings.Contains(c.Name, "login.") {
				t.Errorf("%s: cookie %s", what, c.Name)
			}
		}
	}
	attacker, victim := newPerson(t, srv), newPerson(t, srv)
	there := begun(attacker)
	asked := f.a.Requests(oidctest.PathToken)
	refused("a browser that began none", victim, there)
	own := begun(victim)
	refused("one that began another", victim, there)
	if f.a.Requests(oidctest.PathToken) != asked {
		t.Error("the code was taken to the provider")
	}
	// The code of the attacker's login in the victim's own.
	a, v := query(t, there), query(t, own)
	refused("another code", victim, "/.soapward/login/partners/callback?"+url.Values{"state": v["state"], "code": a["code"], "iss": v["iss"]}.Encode())
	refused("a login at another provider", attacker, strings.Replace(there, "/partners/", "/vendors/", 1))
	again := begun(attacker)
	if to := attacker.step(again); to != srv.URL+"/x" {
		t.Errorf("the attacker's own: %s", to)
	}
	refused("the same once more", attacker, again)
	for _, target := range []string{"", "?state=", "?state=" + strings.Repeat("x", 9000), "?state=a&state=b", "?code=x"} {
		refused("callback"+target[:min(len(target), 20)], victim, "/.soapward/login/partners/callback"+target)
	}
}

func query(t *testing.T, target string) url.Values {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// TestAttackLoginState: what the browser keeps of a login is opened by us alone, for
// the login that it is of.
func TestAttackLoginState(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	srv := f.serve("partners")
	f.a.SignIn("alice")
	p := newPerson(t, srv)
	base, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	one := p.step(p.step("/.soapward/login/partners/oidc?return=/one"))
	cookies := p.Jar.Cookies(base)
	if len(cookies) != 1 || !strings.HasPrefix(cookies[0].Name, "__Host-soapward-login.") {
		t.Fatalf("cookies %v", cookies)
	}
	q := newPerson(t, srv)
	_ = q.step("/.soapward/login/partners/oidc?return=/two")
	two := q.Jar.Cookies(base)[0]
	for _, secret := range []string{query(t, one).Get("state"), "/one", "partners"} {
		if strings.Contains(cookies[0].Value, secret) {
			t.Errorf("the cookie shows %s", secret)
		}
	}
	value := cookies[0].Value
	changed := []byte(value)
	changed[len(changed)/2] ^= 1
	for what, list := range map[string][]*http.Cookie{
		"changed": {{Name: cookies[0].Name, Value: string(changed)}}, "cut off": {{Name: cookies[0].Name, Value: value[:40]}},
		"empty": {{Name: cookies[0].Name}}, "of another login": {{Name: cookies[0].Name, Value: two.Value}},
		"under another name": {{Name: two.Name, Value: value}}, "two of them": {{Name: cookies[0].Name, Value: value}, {Name: cookies[0].Name, Value: value}},
		"long": {{Name: cookies[0].Name, Value: strings.Repeat("A", 8000)}}, "without the prefix": {{Name: strings.TrimPrefix(cookies[0].Name, "__Host-"), Value: value}},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, one, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			r.AddCookie(c)
		}
		res, err := srv.Client().Transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if body := answer(t, res); res.StatusCode != 403 {
			t.Errorf("%s: %s", what, body)
		}
	}
	if to := p.step(one); to != srv.URL+"/one" {
		t.Errorf("as it is: %s", to)
	}
}

// TestAttackLoginStateOfStrangers: cookies that were not sealed here, without number,
// are no work for the store.
func TestAttackLoginStateOfStrangers(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	var asked atomic.Int64
	login.KeyOfLogins(f.set, func() { asked.Add(1) })
	srv := f.serve("partners")
	f.a.SignIn("alice")
	began := time.Now()
	p := newPerson(t, srv)
	back := p.step(p.step("/.soapward/login/partners/oidc?return=/one"))
	stranger := &oidc.LoginSealer{}
	var many []string
	for i := range 40 {
		l := &oidc.Login{Provider: "partners", State: fmt.Sprint(i), Begun: time.Now()}
		sum := sha256.Sum256([]byte(l.State))
		name := "__Host-soapward-login." + base64.RawURLEncoding.EncodeToString(sum[:12])
		value, err := stranger.Seal(t.Context(), name, l)
		if err != nil {
			t.Fatal(err)
		}
		many = append(many, name+"="+value)
		res := newPerson(t, srv).stay().do(http.MethodGet, "/.soapward/login/partners/callback?code=x&state="+l.State, nil, "Cookie", many[i])
		if body := answer(t, res); res.StatusCode != 403 {
			t.Fatalf("ends: %s", body)
		}
	}
	res := newPerson(t, srv).stay().do(http.MethodGet, "/.soapward/login/partners/oidc", nil, "Cookie", strings.Join(many, "; "))
	_ = answer(t, res)
	dropped := 0
	for _, c := range res.Cookies() {
		if c.MaxAge < 0 {
			dropped++
		}
	}
	if res.StatusCode != 303 || dropped != len(many) {
		t.Errorf("begins: %s, %d cookies were dropped", res.Status, dropped)
	}
	// Once to begin with, and each five seconds.
	if n, most := asked.Load(), 2+int64(time.Since(began)/(5*time.Second)); n > most {
		t.Errorf("the key was asked for %d times, want at most %d", n, most)
	}
	if to := p.step(back); to != srv.URL+"/one" {
		t.Errorf("a login of ours: %s", to)
	}
}

// TestAttackProviderReturn: a login leads nowhere but to this server.
func TestAttackProviderReturn(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	srv := f.serve("partners")
	f.a.SignIn("alice")
	for _, bad := range []string{
		"//evil.test", `/\evil.test`, "https://evil.test", "/%09/evil.test", "/%2f/evil.test", "javascript:alert(1)", "evil.test", "/a\r\nLocation: x",
		"/..//evil.test", "/.soapward/login/partners/oidc", "/" + strings.Repeat("x", 4000),
	} {
		p := newPerson(t, srv)
		to := p.step(p.step(p.step("/.soapward/login/partners/oidc?return=" + url.QueryEscape(bad))))
		if to != srv.URL+"/" {
			t.Errorf("%.40q leads to %.80s", bad, to)
		}
	}
}

// TestAttackLoginBegunUnseen: a page of another site does not begin logins that
// nobody sees, which would push out those that are on their way.
func TestAttackLoginBegunUnseen(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	p := newPerson(t, f.serve("partners")).stay()
	for what, header := range map[string][]string{
		"picture": {"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, "script": {"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"},
		"frame": {"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"},
	} {
		res := p.do(http.MethodGet, "/.soapward/login/partners/oidc", nil, header...)
		if body := answer(t, res); res.StatusCode != 403 || len(res.Cookies()) > 0 {
			t.Errorf("%s: %s, cookies %v", what, body, res.Cookies())
		}
	}
	if n := f.a.Requests(oidctest.PathDocument); n != 0 {
		t.Errorf("the provider was asked %d times", n)
	}
}

// TestAttackProviderOverHTTP: no login begins or ends where others read the cookies.
func TestAttackProviderOverHTTP(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	h, err := f.set.Handler(spec(f.config, "partners"), whoami)
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/x", "/.soapward/login/partners/oidc", "/.soapward/login/partners/callback?state=x&code=y"} {
		r := httptest.NewRequest(http.MethodGet, "http://gw.corp.test"+target, nil)
		r.Header.Set("Accept", "text/html")
		w := httptest.NewRecorder()
		route(f.set, h).ServeHTTP(w, r)
		if w.Code != 403 || len(w.Result().Cookies()) > 0 || w.Header().Get("Location") != "" || !strings.Contains(w.Body.String(), "https") {
			t.Errorf("%s: %d %v", target, w.Code, w.Header())
		}
	}
}

// TestAttackProviderSecrets: neither the log nor a page has what is secret of a login.
func TestAttackProviderSecrets(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	var mu sync.Mutex
	secrets := []string{"web-secret"}
	f.a.Set(func(s *oidctest.Switches) {
		s.Answer = func(a map[string]any) {
			mu.Lock()
			defer mu.Unlock()
			for _, name := range []string{"access_token", "refresh_token", "id_token"} {
				if v, ok := a[name].(string); ok {
					secrets = append(secrets, v, v[max(0, len(v)-20):])
				}
			}
		}
	})
	f.a.SignIn("alice")
	srv := f.serve("partners")
	p := newPerson(t, srv)
	pages := new(bytes.Buffer)
	open := func(target string) {
		_, body, _ := p.open(target)
		pages.WriteString(body)
	}
	back := p.step(p.step("/.soapward/login/partners/oidc?return=/x"))
	secrets = append(secrets, query(t, back).Get("code"), query(t, back).Get("state"))
	open(back)
	open(back)
	f.age(`partners\alice@example.com`)
	open("/x")
	f.a.Set(func(s *oidctest.Switches) { s.Down = true })
	f.age(`partners\alice@example.com`)
	open("/x")
	f.a.Reset()
	f.a.Revoke("alice")
	f.age(`partners\alice@example.com`)
	open("/x")
	token := f.a.AccessToken("https://other", "alice", nil)
	logout := f.a.LogoutToken("other", "sub-alice", "", nil)
	secrets = append(secrets, token, logout)
	res := p.do(http.MethodGet, "/x", nil, "Authorization", "Bearer "+token)
	pages.WriteString(answer(t, res))
	f.a.Logout(t.Context(), t, srv.Client(), srv.URL+"/.soapward/login/partners/backchannel", logout)
	if len(secrets) < 10 {
		t.Fatalf("%d secrets", len(secrets))
	}
	for _, s := range secrets {
		if strings.Contains(f.log.String(), s) || strings.Contains(pages.String(), s) {
			t.Errorf("the log, or a page, has %.40s", s)
		}
	}
}
