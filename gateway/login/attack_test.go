package login_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/internal/testenv"
)

// TestAttackGatewayNTLMOnKerberosOnly: NTLM where only Kerberos is listed is
// refused, raw and inside of Negotiate, and told of.
func TestAttackGatewayNTLMOnKerberosOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(both)
	s := w.set(c, nil)
	w.user(c, "corp", "carol")
	srv := w.serve(c, s, "kerberos")
	first := step(t, initiatorAs("carol"), nil)
	if status, challenge := leg(t, oneConnection(t, srv.Client()), srv.URL, first); status != 401 || len(challenge) > 0 {
		t.Errorf("raw NTLM: %d, challenge %x", status, challenge)
	}
	if got := get(t, w.client(srv, negotiateOnly{ntlmAs("carol").(*authclient.NTLM)}), srv.URL); strings.HasPrefix(got, "200") {
		t.Errorf("NTLM inside Negotiate: %s", got)
	}
	reasons := strings.Join(w.seen.reasons(), ",")
	if strings.Count(reasons, "refused "+string(authn.ReasonMechanism)) != 2 {
		t.Errorf("told of %q, want two refusals of the mechanism", reasons)
	}
	// The same where a client is not to have Negotiate, and NTLM alone is listed.
	srv = w.serve(c, s, "ntlm")
	if got := get(t, w.client(srv, w.kerberos("alice")), srv.URL); strings.HasPrefix(got, "200") {
		t.Errorf("Kerberos where NTLM alone is listed: %s", got)
	}
}

// negotiateOnly sends NTLM under Negotiate.
type negotiateOnly struct{ *authclient.NTLM }

func (negotiateOnly) Schemes() []string { return []string{"Negotiate"} }

// TestAttackGatewayBlockedUser: a user who is blocked stays so under each spelling
// of the name, by each login, and from behind each X-Forwarded-For that somebody
// makes up.
func TestAttackGatewayBlockedUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(strings.Replace(both, "realms:", "throttle: {user: [{failures: 3, block: 1h}], address: [{failures: 200, block: 1h}]}\nrealms:", 1))
	s := w.set(c, nil)
	w.user(c, "staff", "dora")
	srv := w.serve(c, s, "staff")
	try := func(user, pw string, header ...string) int {
		r, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(user, pw)
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer(t, resp)
		return resp.StatusCode
	}
	if got := try("dora", marked+"dora"); got != 200 {
		t.Fatalf("before: %d", got)
	}
	for i, user := range []string{"dora", "DORA", ` dora`} {
		if got := try(user, "wrong", "X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i)); got != 401 && got != 429 {
			t.Errorf("%q with a wrong password: %d", user, got)
		}
	}
	for _, user := range []string{"dora", "Dora", "dora ", `STAFF\dora`, `staff\DORA`, "dora@staff", `.\dora`} {
		if got := try(user, marked+"dora", "X-Forwarded-For", "198.51.100.7", "Forwarded", "for=198.51.100.8"); got != 429 {
			t.Errorf("%q with the right password: %d, want 429", user, got)
		}
	}
	if got := get(t, w.client(srv, ntlmAs("dora")), srv.URL); strings.HasPrefix(got, "200") {
		t.Errorf("by NTLM: %s", got)
	}
}

// TestAttackGatewayUserOfAnotherRealm: the password of one realm opens no other,
// by Basic or NTLM.
func TestAttackGatewayUserOfAnotherRealm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(both)
	s := w.set(c, nil)
	w.user(c, "corp", "carol")
	srv := w.serve(c, s, "staff")
	for _, as := range []authclient.Credential{basicAs("carol"), ntlmAs("carol")} {
		if got := get(t, w.client(srv, as), srv.URL); strings.HasPrefix(got, "200") {
			t.Errorf("%T: %s", as, got)
		}
	}
	srv = w.serve(c, s, "all")
	if got := get(t, w.client(srv, basicAs("carol")), srv.URL); got != "200 carol by Basic" {
		t.Errorf("at the own realm: %s", got)
	}
}

// sessionOf logs in to a service, and returns the value of its session.
func sessionOf(t testing.TB, w *world, url string, c *http.Client) *http.Cookie {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer(t, resp)
	for _, k := range resp.Cookies() {
		return k
	}
	t.Fatalf("no session after %s", resp.Status)
	return nil
}

// TestAttackGatewaySessionElsewhere: a session counts at no other realm, under
// whatever name its cookie is sent, nor where its way to log in is not listed, nor
// where logins must be bound to their connection.
func TestAttackGatewaySessionElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(`
listen: [{addr: ":443"}]
realms:
  corp: {kerberos: {realm: CORP.TEST, kdc: ["%KDC%"], keytab: gw.keytab}, internal: {ntlm: true}}
  staff: {internal: {ntlm: true}}
services:
  ntlm:     {match: {path: /a}, upstream: {url: "http://127.0.0.1"}, login: [corp/ntlm], session: true}
  same:     {match: {path: /d}, upstream: {url: "http://127.0.0.1"}, login: [corp/ntlm, corp/negotiate], session: true}
  kerberos: {match: {path: /b}, upstream: {url: "http://127.0.0.1"}, login: [corp/negotiate], session: true}
  staff:    {match: {path: /c}, upstream: {url: "http://127.0.0.1"}, login: [staff/ntlm], session: true}
  bound:    {match: {path: /e}, upstream: {url: "http://127.0.0.1"}, login: [corp/ntlm], session: true, channel_binding: required}
  nosession: {match: {path: /f}, upstream: {url: "http://127.0.0.1"}, login: [corp/ntlm]}
`)
	s := w.set(c, nil)
	w.user(c, "corp", "carol")
	srv := w.serve(c, s, "ntlm")
	key := sessionOf(t, w, srv.URL, w.client(srv, ntlmAs("carol")))
	for service, want := range map[string]int{"ntlm": 200, "same": 200, "kerberos": 401, "staff": 401, "bound": 401, "nosession": 401} {
		srv := w.serve(c, s, service)
		for _, name := range []string{key.Name, "__Host-soapward-staff", "__Host-soapward+corp", "__Host-soapward-corp", "soapward-staff"} {
			r, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.AddCookie(&http.Cookie{Name: name, Value: key.Value})
			resp, err := srv.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer(t, resp)
			expect := 401
			if want == 200 && name == key.Name {
				expect = 200
			}
			if resp.StatusCode != expect {
				t.Errorf("%s with the cookie %s: %d, want %d", service, name, resp.StatusCode, expect)
			}
		}
	}
}

// TestAttackGatewayCrossSite: what another site has a browser send with the
// session's cookie is refused.
func TestAttackGatewayCrossSite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(both)
	s := w.set(c, nil)
	srv := w.serve(c, s, "session")
	key := sessionOf(t, w, srv.URL, w.client(srv, w.kerberos("alice")))
	for _, tt := range []struct {
		method, site, origin string
		want                 int
	}{
		{"POST", "same-origin", srv.URL, 200},
		{"GET", "cross-site", "", 200}, // a link
		{"POST", "cross-site", "https://evil.example", 401},
		{"POST", "", "https://evil.example", 401},
		{"DELETE", "same-site", "https://other.example", 401},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(key)
		if tt.site != "" {
			r.Header.Set("Sec-Fetch-Site", tt.site)
		}
		if tt.origin != "" {
			r.Header.Set("Origin", tt.origin)
		}
		resp, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer(t, resp)
		if resp.StatusCode != tt.want {
			t.Errorf("%s from %q, site %q: %d, want %d", tt.method, tt.origin, tt.site, resp.StatusCode, tt.want)
		}
	}
}

// TestAttackGatewayDisabledUser: an operator who disables a user ends sessions and
// logins of connections, within moments, and a right NTLM answer then counts as a
// wrong one.
func TestAttackGatewayDisabledUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(strings.Replace(both, "realms:", "throttle: {user: [{failures: 2, block: 1h}], address: [{failures: 200, block: 1h}]}\nrealms:", 1))
	s := w.set(c, nil)
	w.user(c, "staff", "dora")
	srv := w.serve(c, s, "staff")
	connection := oneConnection(t, srv.Client())
	if status := loginOver(t, connection, srv.URL, "dora"); status != 200 {
		t.Fatalf("before: %d", status)
	}
	with := w.serve(c, s, "session")
	tickets := w.client(with, w.kerberos("alice"))
	key := sessionOf(t, w, with.URL, tickets)
	for _, name := range []string{"dora", `CORP\alice`} {
		u, err := w.store.User(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		u.State = directory.DisabledByOperator
		if err := w.store.UpdateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := testenv.Poll(ctx, func() error {
		if status, _ := leg(t, connection, srv.URL, nil); status != 401 {
			return fmt.Errorf("the connection: %d, want 401", status)
		}
		if got := ask(t, with.Client(), "GET", with.URL, "Cookie", key.Name+"="+key.Value); !strings.HasPrefix(got, "401") {
			return fmt.Errorf("the session: %s, want 401", got)
		}
		if got := get(t, tickets, with.URL); strings.HasPrefix(got, "200") {
			return fmt.Errorf("a new ticket: %s", got)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	status := 0
	for range 3 {
		status = loginOver(t, oneConnection(t, srv.Client()), srv.URL, "dora")
	}
	if status != http.StatusTooManyRequests {
		t.Errorf("right answers of a disabled user: %d at last, want 429 as for wrong ones", status)
	}
}

var hidden = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// page opens the login page as a browser does, and returns the token of its form.
func page(t testing.TB, c *http.Client, u string) (string, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", u, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body := answer(t, resp)
	m := hidden.FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no form in %s", body)
	}
	return m[1], body
}

// post sends the form.
func post(t testing.TB, c *http.Client, u, token, user, pw, back string) *http.Response {
	t.Helper()
	resp, err := c.PostForm(u, url.Values{"csrf": {token}, "user": {user}, "password": {pw}, "return": {back}})
	if err != nil {
		t.Fatal(err)
	}
	_ = answer(t, resp)
	return resp
}

func browser(t testing.TB, c *http.Client) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: c.Transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// TestAttackGatewayFormReturn: a login by the form leads to no other server.
func TestAttackGatewayFormReturn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(both)
	s := w.set(c, nil)
	w.user(c, "corp", "carol")
	srv := w.serve(c, s, "form")
	at := srv.URL + "/.soapward/login/corp"
	for _, back := range []string{"//evil.example/", `/\evil.example`, "https://evil.example/", "/%2f/evil.example", "https:evil.example"} {
		b := browser(t, srv.Client())
		token, _ := page(t, b, at)
		resp := post(t, b, at, token, "carol", marked+"carol", back)
		if to, err := resp.Location(); err == nil && to.Host != "" && to.Host != strings.TrimPrefix(srv.URL, "https://") {
			t.Errorf("return to %q leads to %s", back, to)
		}
	}
	// Nor does a form that another site made log anybody in.
	b := browser(t, srv.Client())
	if resp := post(t, b, at, "AAAA", "carol", marked+"carol", "/"); resp.StatusCode < 400 {
		t.Errorf("a form without our token: %d", resp.StatusCode)
	}
}

func TestForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(both)
	s := w.set(c, nil)
	w.user(c, "corp", "carol")
	srv := w.serve(c, s, "form")
	b := browser(t, srv.Client())
	token, body := page(t, b, srv.URL+"/hr/?x=1")
	if !strings.HasPrefix(body, "401") || !strings.Contains(body, `action="/.soapward/login/corp"`) {
		t.Errorf("the page is not in the body of the 401: %.300s", body)
	}
	resp := post(t, b, srv.URL+"/.soapward/login/corp", token, "carol", marked+"carol", "/hr/?x=1")
	if to := resp.Header.Get("Location"); resp.StatusCode != 303 || to != "/hr/?x=1" {
		t.Fatalf("after the form: %d to %q", resp.StatusCode, to)
	}
	if got := get(t, b, srv.URL); got != "200 carol by form" {
		t.Errorf("with the session: %s", got)
	}
	if got := get(t, w.client(srv, w.kerberos("alice")), srv.URL); got != `200 CORP\alice by Kerberos` {
		t.Errorf("a member of the domain: %s", got)
	}
	if got := get(t, srv.Client(), srv.URL+"/.soapward/login/staff"); !strings.HasPrefix(got, "404") {
		t.Errorf("the form of a realm that no service uses: %.100s", got)
	}
	for _, wrong := range []string{"carol", "nobody"} {
		b := browser(t, srv.Client())
		token, _ := page(t, b, srv.URL+"/.soapward/login/corp")
		if resp := post(t, b, srv.URL+"/.soapward/login/corp", token, wrong, marked+"wrong", "/"); resp.StatusCode != 401 {
			t.Errorf("%s with a wrong password: %d", wrong, resp.StatusCode)
		}
	}
	if strings.Contains(w.log.String(), marked) {
		t.Error("a password is in the log")
	}
}
