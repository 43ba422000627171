package login_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn/oidc/oidctest"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/gateway/health"
	"github.com/soapward/soapward/gateway/login"
)

func TestProviderLogin(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	srv := f.serve("partners")
	p := newPerson(t, srv)
	f.a.SignIn("alice")
	status, body, at := p.open("/reports?year=2026&q=%26")
	if status != 200 || body != `partners\alice@example.com by oidc` || at.RequestURI() != "/reports?year=2026&q=%26" {
		t.Fatalf("%d %s at %s", status, body, at)
	}
	u, err := f.store.User(t.Context(), `PARTNERS\Alice@example.com`)
	if err != nil || u.Subject != login.Subject(f.a.Issuer, "sub-alice") || u.Realm != "partners" || u.DisplayName != "Alice Adams" || u.Email != "alice@example.com" || u.LastLogin.IsZero() {
		t.Errorf("row %+v, %v", u, err)
	}
	if base, _ := url.Parse(p.url); len(p.Jar.Cookies(base)) != 1 {
		t.Errorf("the browser keeps %v", p.Jar.Cookies(base))
	}
	asked := f.a.Requests(oidctest.PathToken)
	if status, body, _ := p.open("/again"); status != 200 || body != `partners\alice@example.com by oidc` {
		t.Errorf("again: %d %s", status, body)
	}
	if f.a.Requests(oidctest.PathToken) != asked {
		t.Error("the provider was asked again")
	}
	if got := f.seen.reasons(); len(got) != 1 || got[0] != "accepted " {
		t.Errorf("told of %q", got)
	}
	ss, err := f.store.SessionsOf(t.Context(), u.Name)
	if err != nil || len(ss) != 1 || ss[0].Grant == nil || ss[0].Grant.Provider != "partners" || ss[0].Grant.Subject != "sub-alice" || ss[0].Grant.Due.IsZero() {
		t.Errorf("sessions %+v, %v", ss, err)
	}
	// Programs and scripts are led nowhere.
	for name, header := range map[string][]string{"script": {"Sec-Fetch-Mode", "cors", "Accept", "*/*"}, "program": {"Accept", "*/*"}} {
		res := newPerson(t, srv).stay().do(http.MethodGet, "/x", nil, header...)
		if body := answer(t, res); res.StatusCode != 401 || name == "script" && !strings.Contains(body, `"login":"/.soapward/login/partners"`) {
			t.Errorf("%s: %s %s", name, res.Status, body)
		}
	}
	res := newPerson(t, srv).stay().do(http.MethodPost, "/x", url.Values{})
	_ = answer(t, res)
	if to := res.Header.Get("Location"); res.StatusCode != 303 || to != "/.soapward/login/partners/oidc?return=%2F" {
		t.Errorf("a post: %s to %q", res.Status, to)
	}
}

// TestProviderPages: which page people see in front of several ways to log in.
func TestProviderPages(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	const toA, toB = `href="/.soapward/login/partners/oidc?return=%2Fx"`, `href="/.soapward/login/vendors/oidc?return=%2Fx"`
	for _, tt := range []struct {
		service   string
		status    int
		location  string
		on, notOn []string
		refresh   string
	}{
		{service: "partners", status: 303, location: "/.soapward/login/partners/oidc?return=%2Fx"},
		{service: "vendors", status: 303, location: "/.soapward/login/vendors/oidc?return=%2Fx"},
		{service: "either", status: 401, on: []string{toA, toB, "Sign in with vendors"}, notOn: []string{"<form"}},
		{service: "form", status: 303, location: "/.soapward/login/staff?return=%2Fx"},
		{service: "windows", status: 401, on: []string{toA}, notOn: []string{toB, "<form"}, refresh: "0; url=/.soapward/login/partners/oidc?return=%2Fx"},
	} {
		p := newPerson(t, f.serve(tt.service)).stay()
		res := p.do(http.MethodGet, "/x", nil)
		body := answer(t, res)
		if res.StatusCode != tt.status || res.Header.Get("Location") != tt.location || res.Header.Get("Refresh") != tt.refresh {
			t.Errorf("%s: %s to %q, refresh %q", tt.service, res.Status, res.Header.Get("Location"), res.Header.Get("Refresh"))
		}
		for _, on := range tt.on {
			if !strings.Contains(body, on) {
				t.Errorf("%s: %s is not on the page: %s", tt.service, on, body)
			}
		}
		for _, on := range tt.notOn {
			if strings.Contains(body, on) {
				t.Errorf("%s: %s is on the page", tt.service, on)
			}
		}
		if tt.service == "windows" && !strings.Contains(strings.Join(res.Header.Values("WWW-Authenticate"), " "), "Negotiate") {
			t.Errorf("%s: %v", tt.service, res.Header)
		}
	}
	p := newPerson(t, f.serve("form"))
	_, body, _ := p.open("/.soapward/login/staff?return=/x")
	if !strings.Contains(body, toA) || !strings.Contains(body, `type="password"`) || strings.Contains(body, toB) {
		t.Errorf("form: %s", body)
	}
	f.a.SignIn("alice")
	if status, body, at := p.open("/.soapward/login/partners/oidc?return=/x"); status != 200 || body != `partners\alice@example.com by oidc` || at.Path != "/x" {
		t.Errorf("by the link: %d %s at %s", status, body, at)
	}
	// Windows goes first.
	srv := f.serve("windows")
	if got := get(t, f.client(srv, f.kerberos("alice")), srv.URL); got != `200 CORP\alice by Kerberos` {
		t.Errorf("by Kerberos: %s", got)
	}
	if got := get(t, f.client(srv, f.kerberos("alice")), srv.URL+"/.soapward/login/nobody/oidc"); !strings.HasPrefix(got, "404") {
		t.Errorf("no such realm: %s", got)
	}
}

// TestProviderTitle: buttons have the words of the configuration, and lead where they
// led.
func TestProviderTitle(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.config = f.world.config(f.text(strings.Replace(providers, `issuer: "%A%",`, `issuer: "%A%", title: 'Con<b>toso',`, 1)))
	f.set = f.world.set(f.config, nil)
	const to, words = `href="/.soapward/login/partners/oidc?return=%2Fx">`, "Con&lt;b&gt;toso"
	_, body, _ := newPerson(t, f.serve("either")).open("/x")
	if !strings.Contains(body, to+"Sign in with "+words+"<") || !strings.Contains(body, "Sign in with vendors<") {
		t.Errorf("either: %s", body)
	}
	if _, body, _ = newPerson(t, f.serve("form")).open("/.soapward/login/staff?return=/x"); !strings.Contains(body, to+"Sign in with "+words+"<") {
		t.Errorf("form: %s", body)
	}
	p := newPerson(t, f.serve("partners"))
	f.a.SignIn("alice")
	if status, body, _ := p.open("/x"); status != 200 || body != `partners\alice@example.com by oidc` {
		t.Fatal(status, body)
	}
	_, page, _ := p.open("/.soapward/login/partners/out")
	res := p.stay().do(http.MethodPost, "/.soapward/login/partners/out", url.Values{"csrf": {tokenOn(t, page)}})
	if body := answer(t, res); !strings.Contains(body, "Sign out of "+words+" too") {
		t.Errorf("signed out: %s", body)
	}
}

// TestProviderTabs: two logins at a time in one browser, which end in any order.
func TestProviderTabs(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	p := newPerson(t, f.serve("partners"))
	f.a.SignIn("alice")
	var back []string
	for _, at := range []string{"/one", "/two"} {
		back = append(back, p.step(p.step("/.soapward/login/partners/oidc?return="+at)))
	}
	for i, want := range []string{"/two", "/one"} {
		if to := p.step(back[1-i]); to != p.url+want {
			t.Errorf("tab %s ends at %s", want, to)
		}
	}
	// A browser that began many keeps the last ones.
	q := newPerson(t, f.serve("partners"))
	var begun []string
	for i := range 8 {
		begun = append(begun, q.step(q.step(fmt.Sprintf("/.soapward/login/partners/oidc?return=/%d", i))))
	}
	base, _ := url.Parse(q.url)
	if n := len(q.Jar.Cookies(base)); n > 5 {
		t.Errorf("the browser keeps %d cookies", n)
	}
	if to := q.step(begun[7]); to != q.url+"/7" {
		t.Errorf("the last one ends at %s", to)
	}
	if res := q.stay().do(http.MethodGet, begun[0], nil); res.StatusCode != 403 {
		t.Errorf("the first one: %s", res.Status)
	}
}

func TestProviderAway(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.a.Set(func(s *oidctest.Switches) { s.Down = true })
	p := newPerson(t, f.serve("partners"))
	if status, body, _ := p.open("/x"); status != 503 || !strings.Contains(body, "at the moment") || !strings.Contains(body, `href="/.soapward/login/partners/oidc?return=%2Fx"`) {
		t.Errorf("away: %d %s", status, body)
	}
	if !strings.Contains(f.log.String(), "login cannot begin at the provider") {
		t.Error("the log does not say so")
	}
	var names []string
	for _, c := range f.set.Checks() {
		if c.Kind == health.Provider {
			err := c.Run(t.Context())
			names = append(names, fmt.Sprintf("%s %t", c.Name, err == nil))
		}
	}
	host := func(p *oidctest.Provider) string { return strings.TrimPrefix(p.Issuer, "http://") }
	if got, want := strings.Join(names, ", "), fmt.Sprintf("realm partners: provider %s false, realm vendors: provider %s true", host(f.a), host(f.b)); got != want {
		t.Errorf("health: %s, want %s", got, want)
	}
}

// TestProviderBlocked: whoever brings forged answers is not heard any more.
func TestProviderBlocked(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.config = f.world.config(f.text(strings.Replace(providers, "services:", "throttle: {address: [{failures: 2, block: 1h}]}\nservices:", 1)))
	f.set = f.world.set(f.config, nil)
	srv := f.serve("partners")
	f.a.SignIn("alice")
	f.a.Set(func(s *oidctest.Switches) {
		s.Sign = func(_ *oidctest.Provider, signed string) []byte { return oidctest.Foreign(signed) }
	})
	var got []int
	for range 2 {
		status, _, _ := newPerson(t, srv).open("/x")
		got = append(got, status)
	}
	f.a.Reset()
	status, body, _ := newPerson(t, srv).open("/x")
	if got = append(got, status); fmt.Sprint(got) != "[401 429 429]" && fmt.Sprint(got) != "[401 401 429]" || !strings.Contains(body, "Too many failed") {
		t.Errorf("%v: %s", got, body)
	}
}

// TestProviderUsers: who has which row, and who stays out.
func TestProviderUsers(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	srv, ctx := f.serve("partners"), t.Context()
	enter := func(srv *httptest.Server, prov *oidctest.Provider, user string) string {
		t.Helper()
		prov.SignIn(user)
		status, body, _ := newPerson(t, srv).open("/x")
		if status != 200 {
			if !strings.Contains(body, "could not be used here") {
				t.Errorf("%s: %d %s", user, status, body)
			}
			return fmt.Sprint(status)
		}
		return body
	}
	row := func(name string) *directory.User {
		t.Helper()
		u, err := f.store.User(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	expect := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	expect("first", enter(srv, f.a, "bob"), `partners\bob@example.com by oidc`)
	bob := row(`partners\bob@example.com`)

	// A new name at the provider is the same user, with roles; what is told is kept.
	bob.Roles = []string{"auditor"}
	if err := f.store.UpdateUser(ctx, bob); err != nil {
		t.Fatal(err)
	}
	old := newPerson(t, srv)
	if status, _, _ := old.open("/x"); status != 200 {
		t.Fatal(status)
	}
	f.a.ChangeUser("bob", func(u *oidctest.User) {
		u.Email, u.Name = "robert@example.com", "Robert Brown"
		u.Claims = map[string]any{"phone_number": "+1 555 0199"}
	})
	expect("renamed", enter(srv, f.a, "bob"), `partners\robert@example.com by oidc`)
	renamed := row(`partners\robert@example.com`)
	if renamed.ID != bob.ID || renamed.DisplayName != "Robert Brown" || renamed.Phone != "+1 555 0199" || len(renamed.Roles) != 1 {
		t.Errorf("row %+v", renamed)
	}
	if res := old.stay().do(http.MethodGet, "/x", nil); res.StatusCode == 200 {
		t.Error("a session of the former name goes on")
	}

	// An operator's word counts.
	renamed = row(renamed.Name)
	renamed.State = directory.DisabledByOperator
	if err := f.store.UpdateUser(ctx, renamed); err != nil {
		t.Fatal(err)
	}
	expect("disabled", enter(srv, f.a, "bob"), "401")

	// Only who is there, where none are made.
	vendors := f.serve("vendors")
	expect("not there", enter(vendors, f.b, "alice"), "401")
	if err := f.store.CreateUser(ctx, &directory.User{Realm: "vendors", Name: `vendors\alice@example.com`}); err != nil {
		t.Fatal(err)
	}
	expect("there", enter(vendors, f.b, "alice"), `vendors\alice@example.com by oidc`)
	if u := row(`vendors\alice@example.com`); u.Subject != login.Subject(f.b.Issuer, "sub-alice") {
		t.Errorf("not bound: %+v", u)
	}
	log := f.log.String()
	for _, want := range []string{"account-disabled", "there is no such user", "create_users"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q", want)
		}
	}
}

// TestProviderLogout: a session that ends here ends at the provider too.
func TestProviderLogout(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	p := newPerson(t, f.serve("partners"))
	f.a.SignIn("alice")
	if status, _, _ := p.open("/x"); status != 200 || f.a.Granted("alice") != 1 {
		t.Fatal(status, f.a.Granted("alice"))
	}
	_, page, _ := p.open("/.soapward/login/partners/out")
	res := p.stay().do(http.MethodPost, "/.soapward/login/partners/out", url.Values{"csrf": {tokenOn(t, page)}})
	body := answer(t, res)
	_, to, ok := strings.Cut(res.Header.Get("Refresh"), "0; url=")
	if !ok || res.StatusCode != 200 || !strings.Contains(body, "Sign out of partners too") {
		t.Fatalf("%s, refresh %q: %s", res.Status, res.Header.Get("Refresh"), body)
	}
	if user := f.a.AwaitRevoked(t); user != "alice" || f.a.Granted("alice") != 0 {
		t.Errorf("%q, and %d refresh tokens are good", user, f.a.Granted("alice"))
	}
	u, err := url.Parse(to)
	if err != nil || !strings.HasPrefix(to, f.a.Issuer+oidctest.PathEnd+"?") || u.Query().Get("id_token_hint") == "" ||
		u.Query().Get("post_logout_redirect_uri") != p.url+"/.soapward/login/partners/done" {
		t.Errorf("led to %s, %v", to, err)
	}
	if res := p.stay().do(http.MethodGet, "/x", nil); res.StatusCode != 303 {
		t.Errorf("the session goes on: %s", res.Status)
	}
	if status, body, _ := p.open("/.soapward/login/partners/done"); status != 200 || !strings.Contains(body, "You are signed out.") {
		t.Errorf("back from there: %d %s", status, body)
	}
	// Without the page's token nothing ends.
	if res := p.stay().do(http.MethodPost, "/.soapward/login/partners/out", url.Values{}); res.StatusCode == 200 {
		t.Errorf("without a token: %s", res.Status)
	}
}

// TestProviderTokens: programs come with access tokens, each for the provider that
// gave it.
func TestProviderTokens(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	if err := f.store.CreateUser(t.Context(), &directory.User{Realm: "vendors", Name: `vendors\bob@example.com`}); err != nil {
		t.Fatal(err)
	}
	const api = "https://api.corp.test"
	srv := f.serve("either")
	call := func(srv *httptest.Server, token string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, body, _ := strings.Cut(answer(t, res), " "); res.StatusCode == 200 {
			return body
		}
		return fmt.Sprint(res.StatusCode, " ", res.Header.Get("WWW-Authenticate"))
	}
	mine := f.a.AccessToken(api, "alice", nil)
	for range 2 {
		if got := call(srv, mine); got != `partners\alice@example.com by oidc` {
			t.Errorf("of one provider: %s", got)
		}
	}
	if got := call(srv, f.b.AccessToken(api, "bob", nil)); got != `vendors\bob@example.com by oidc` {
		t.Errorf("of the other: %s", got)
	}
	for name, token := range map[string]string{
		"for another service": f.a.AccessToken("https://other", "alice", nil), "an ID token": f.a.IDToken("web", "alice", ""),
		"not a user": f.b.AccessToken(api, "alice", nil), "nonsense": "a.b.c",
		"another issuer": f.a.AccessToken(api, "alice", func(_, c map[string]any) { c["iss"] = f.b.Issuer }),
	} {
		if got := call(srv, token); !strings.HasPrefix(got, "401 Bearer") {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := call(f.serve("vendors"), mine); !strings.HasPrefix(got, "401") {
		t.Errorf("at a service of another provider: %s", got)
	}
	u, err := f.store.User(t.Context(), `partners\alice@example.com`)
	if err != nil {
		t.Fatal(err)
	}
	u.State = directory.DisabledByOperator
	if err := f.store.UpdateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if got := call(srv, mine); !strings.HasPrefix(got, "401") {
		t.Errorf("who was disabled: %s", got)
	}
	// No passwords, so no tokens, where others can read them.
	h, err := f.set.Handler(spec(f.config, "partners"), whoami)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "http://gw.corp.test/x", nil)
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, nil))
	r.Header.Set("Authorization", "Bearer "+f.a.AccessToken(api, "bob", nil))
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 401 {
		t.Errorf("over plain HTTP: %d", w.Code)
	}
}

// TestProviderReload: what is known of a provider, and logins on their way, outlive a
// reload.
func TestProviderReload(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	p := newPerson(t, f.serve("partners"))
	f.a.SignIn("alice")
	to := p.step(p.step("/.soapward/login/partners/oidc?return=/x"))
	next := f.world.set(f.world.config(f.text(strings.Replace(providers, "services:", "throttle: {window: 2h}\nservices:", 1))), f.set)
	if next.Provider("partners") == f.set.Provider("partners") {
		t.Error("a changed realm kept its provider") // the protection against guessing is part of it
	}
	same := f.world.set(f.config, f.set)
	if same.Provider("partners") == nil || same.Provider("partners") != f.set.Provider("partners") || same.Provider("corp") != nil || same.Provider("none") != nil {
		t.Error("providers are not kept")
	}
	srv := f.world.serve(f.config, next, "partners")
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	base, _ := url.Parse(p.url)
	q := newPerson(t, srv)
	there, _ := url.Parse(q.url)
	q.Jar.SetCookies(there, p.Jar.Cookies(base))
	res := q.stay().do(http.MethodGet, u.RequestURI(), nil)
	if _ = answer(t, res); res.StatusCode != 303 || res.Header.Get("Location") != "/x" {
		t.Errorf("a login that began before: %s to %q", res.Status, res.Header.Get("Location"))
	}
}
