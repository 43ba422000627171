package form

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/session"
)

// TestAttackOpenRedirect: a login leads to this server, however the address of
// another one is written.
func TestAttackOpenRedirect(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ want, to string }{
		{"/", "/"},
		{"/pay", "/pay"},
		{"/pay?x=//evil.test&y=%2F", "/pay?x=//evil.test&y=%2F"},
		{"/a%20b/ü?q=ü", "/a%20b/%C3%BC?q=ü"},
		{"/pay#there", "/pay"},
		{"/a//b", "/a//b"},

		{"", ""},
		{"pay", ""},
		{"//evil.test", ""},
		{"///evil.test", ""},
		{`/\evil.test`, ""},
		{`\/evil.test`, ""},
		{`\\evil.test`, ""},
		{`/a\..\\evil`, ""},
		{"/%2Fevil.test", ""},
		{"/%2f%2fevil.test", ""},
		{"/%252fevil.test", ""},
		{"/%5Cevil.test", ""},
		{"/%255cevil.test", ""},
		{"/\t/evil.test", ""},
		{"/\n/evil.test", ""},
		{"/\r\nSet-Cookie: a=b", ""},
		{"/%09/evil.test", ""},
		{"/%0d%0aLocation:%20//evil", ""},
		{"/\x00/evil.test", ""},
		{"\t//evil.test", ""},
		{" //evil.test", ""},
		{"/\u2028/evil", ""},
		{"/\u0085/evil", ""},
		{"/.//evil.test", ""},
		{"/..//evil.test", ""},
		{"/%2e%2e//evil.test", ""},
		{"https://evil.test", ""},
		{"https:evil.test", ""},
		{"https:/evil.test", ""},
		{"http:///evil.test", ""},
		{"javascript:alert(1)", ""},
		{"JaVaScRiPt:alert(1)//", ""},
		{"/javascript:alert(1)", "/javascript:alert(1)"},
		{"data:text/html,x", ""},
		{"//user:pw@evil.test", ""},
		{"https://web.corp.test@evil.test/", ""},
		{"@evil.test", ""},
		{"/\xff", ""},
		{"/" + strings.Repeat("a", maxTarget), ""},
		{"/login", ""},
		{"/login?return=//evil", ""},
		{"/login/out", ""},
	} {
		f := &Form{c: Config{Path: "/login", Home: "/home"}}
		want := tt.to
		if want == "" {
			want = "/home"
		}
		got := f.target(tt.want)
		if got != want {
			t.Errorf("%q leads to %q, want %q", tt.want, got, want)
		}
		// As a browser reads it.
		base, _ := url.Parse("https://web.corp.test/login")
		u, err := base.Parse(got)
		if err != nil || u.Host != "web.corp.test" || u.Scheme != "https" || u.User != nil {
			t.Errorf("%q leads to %v, %v", tt.want, u, err)
		}
	}

	s := newSite(t, Config{})
	b := s.browser(t)
	v := b.get("/login?return=%2F%2Fevil.test").fields()
	if v.Get("return") != "/" {
		t.Errorf("the page has %q", v.Get("return"))
	}
	v.Set("return", "//evil.test")
	v.Set("user", `CORP\alice`)
	v.Set("password", secretPassword)
	a := b.do(http.MethodPost, "/login", v)
	if a.StatusCode != 303 || a.Header.Get("Location") != "/" {
		t.Errorf("login: %d to %q", a.StatusCode, a.Header.Get("Location"))
	}
	b.get("/login?return=%2F%2Fevil.test").expect(t, 303)
	if got := b.get("/login?return=%2F%2Fevil.test").Header.Get("Location"); got != "/" {
		t.Errorf("who is logged in already is led to %q", got)
	}
	out := b.get("/login/out?return=javascript:alert(1)")
	if strings.Contains(out.text, "javascript") {
		t.Error("the link back runs a script")
	}
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"/a?b", "//evil", `/\evil`, "/%2f%2fevil", "/\t/evil", "/..//x", "javascript:alert(1)", "/}" + strings.Repeat("!", 700)} {
		f.Add(s)
	}
	base, err := url.Parse("https://web.corp.test/login")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := safeTarget(s)
		if got == "" {
			return
		}
		u, err := base.Parse(got)
		if err != nil || u.Host != base.Host || u.Scheme != "https" || !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") ||
			strings.ContainsAny(got, "\\\t\r\n\x00") {
			t.Errorf("%q leads to %q: %v, %v", s, got, u, err)
		}
		if again := safeTarget(got); again != got {
			t.Errorf("%q becomes %q, and that %q", s, got, again)
		}
	})
}

// TestAttackForgedLogin: nobody else's page can log a browser in or out.
func TestAttackForgedLogin(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{})
	fill := func(v url.Values) url.Values {
		v.Set("user", `CORP\alice`)
		v.Set("password", secretPassword)
		return v
	}
	mallory := s.browser(t).get("/login").fields() // a token that was given to another browser
	for _, tt := range []struct {
		name   string
		change func(b *browser, v url.Values) url.Values
	}{
		{"no token", func(_ *browser, v url.Values) url.Values { v.Del("csrf"); return v }},
		{"another browser's token", func(_ *browser, v url.Values) url.Values { v.Set("csrf", mallory.Get("csrf")); return v }},
		{"from another site", func(b *browser, v url.Values) url.Values { b.header["Sec-Fetch-Site"] = "cross-site"; return v }},
		{"from another host of the site", func(b *browser, v url.Values) url.Values { b.header["Sec-Fetch-Site"] = "same-site"; return v }},
		{"older browser, another origin", func(b *browser, v url.Values) url.Values {
			delete(b.header, "Sec-Fetch-Site")
			b.header["Origin"] = "https://evil.test"
			return v
		}},
		{"no cookie", func(b *browser, v url.Values) url.Values { b.client.Jar = nil; return v }},
	} {
		b := s.browser(t)
		v := tt.change(b, fill(b.get("/login").fields()))
		a := b.do(http.MethodPost, "/login", v)
		a.expect(t, 403, "This page had expired", `value="CORP\alice"`)
		for _, c := range a.Cookies() {
			if c.Name == "__Host-soapward" {
				t.Errorf("%s: logged in", tt.name)
			}
		}
	}
	if len(s.people.asked) != 0 {
		t.Errorf("the verifier was asked about %q", s.people.asked)
	}

	b := s.browser(t)
	b.do(http.MethodPost, "/login", fill(b.get("/login").fields())).expect(t, 303)
	b.do(http.MethodPost, "/login/out", url.Values{}).expect(t, 403)
	out := b.get("/login/out").fields()
	b.header["Sec-Fetch-Site"] = "cross-site"
	b.do(http.MethodPost, "/login/out", out).expect(t, 403)
	b.header["Sec-Fetch-Site"] = "same-origin"
	b.get("/").expect(t, 200, "hello")
	b.do(http.MethodPost, "/login/out", out).expect(t, 303)
	b.get("/").expect(t, 303)
}

// TestAttackForgedWindowsLogin: a link on another site does not replace the
// session that a user has by one of the Windows account.
func TestAttackForgedWindowsLogin(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{Windows: proving{negotiate}})
	b := s.browser(t)
	b.login(b.get("/login"), `CORP\alice`, secretPassword).expect(t, 303)
	b.header["Authorization"] = "Negotiate good"
	for _, site := range []string{"cross-site", "same-site"} {
		b.header["Sec-Fetch-Site"] = site
		b.get("/login/windows").expect(t, 303, "/login")
	}
	delete(b.header, "Authorization")
	b.header["Sec-Fetch-Site"] = "same-origin"
	b.get("/").expect(t, 200, `hello CORP\alice`)
}

// TestAttackFormSameAnswer: the browser cannot tell why it was refused.
func TestAttackFormSameAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{})
	varying := regexp.MustCompile(`(name="csrf" value="[^"]*"|Reference: \w+|Date:\[[^]]*\])`)
	var first string
	for _, tt := range []struct {
		pw  string
		err error
	}{
		{"wrong", nil},
		{"", nil},
		{"x\x00y", nil},
		{strings.Repeat("x", maxPassword+1), nil},
		{secretPassword, &authn.RefusedError{Reason: authn.ReasonUnknownUser}},
		{secretPassword, &authn.RefusedError{Reason: authn.ReasonLockedOut, Hint: "unlock"}},
		{secretPassword, &authn.RefusedError{Reason: authn.ReasonDisabled, User: `CORP\alice`}},
		{secretPassword, fmt.Errorf("realm corp: %w", &authn.RefusedError{Reason: authn.ReasonPasswordExpired})},
		{secretPassword, authn.ErrNoCredentials},
	} {
		b := s.browser(t)
		page := b.get("/login")
		s.people.fail(tt.err)
		a := b.login(page, `CORP\alice`, tt.pw)
		got := varying.ReplaceAllString(fmt.Sprint(a.StatusCode, a.Header, a.text), "*")
		if first == "" {
			first = got
		}
		if a.StatusCode != 401 || got != first {
			t.Errorf("%v:\n got %s\nwant %s", tt.err, got, first)
		}
	}
	if !strings.Contains(s.log.String(), "reason=account-locked") {
		t.Errorf("the log does not tell: %s", s.log)
	}
}

// TestAttackEmptyPasswordTyped: an LDAP server takes a bind without a password
// for an anonymous login.
func TestAttackEmptyPasswordTyped(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{})
	for _, tt := range []struct{ user, pw string }{
		{`CORP\alice`, ""}, {"", secretPassword}, {"  ", secretPassword}, {"", ""}, {`CORP\alice`, "\x00"}, {"al\x00ice", "x"}, {"al\r\nice", "x"},
		{strings.Repeat("x", maxUser+1), "x"}, {"al\u0085ice", "x"}, {"al\xffice", "x"},
	} {
		b := s.browser(t)
		b.login(b.get("/login"), tt.user, tt.pw).expect(t, 401, "Invalid username or password")
	}
	if len(s.people.asked) != 0 {
		t.Errorf("the verifier was asked about %q", s.people.asked)
	}
	b := s.browser(t)
	b.login(b.get("/login"), "x", strings.Repeat("x", maxBody)).expect(t, 413)
}

// TestAttackFormFixation: neither cookie from before a login is of use after it.
func TestAttackFormFixation(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{})
	b := s.browser(t)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	planted := &http.Cookie{Name: "__Host-soapward", Value: strings.Repeat("A", 43), Path: "/", Secure: true}
	b.client.Jar.SetCookies(u, []*http.Cookie{planted})
	page := b.get("/login")
	b.login(page, `CORP\alice`, secretPassword).expect(t, 303)
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Value == planted.Value {
			t.Error("the session has the identifier that was planted")
		}
		if strings.HasSuffix(c.Name, "-form") {
			t.Errorf("%s outlives the login", c.Name)
		}
	}
	thief := s.browser(t)
	thief.client.Jar.SetCookies(u, []*http.Cookie{planted})
	thief.get("/").expect(t, 303)
	// The form that was sent before is of no use again.
	b.login(page, `CORP\alice`, secretPassword).expect(t, 403)
}

// TestAttackMarkupInForm: what somebody else chose stays text.
func TestAttackMarkupInForm(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{Service: `<i>Pay & "roll"</i>`})
	b := s.browser(t)
	const bad = `"><script>alert(1)</script>`
	for _, a := range []*answer{
		b.login(b.get("/login"), bad, "wrong"),
		b.get("/login?return=" + url.QueryEscape("/"+bad)),
	} {
		if strings.Contains(a.text, "<script") || strings.Contains(a.text, "<i>") {
			t.Errorf("markup on the page: %s", a.text)
		}
	}
}

// TestAttackPagePolicy: no scripts, no frames, no other site, no caches; and the
// style sheet is the one that the policy means.
func TestAttackPagePolicy(t *testing.T) {
	t.Parallel()
	for _, c := range []Config{{}, {Style: "h1 { color: red }\n\n/* ü */ a > b { content: \"<\" }"}} {
		a := newSite(t, c).browser(t).get("/login")
		policy := a.Header.Get("Content-Security-Policy")
		sheet := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(a.text)
		if sheet == nil {
			t.Fatal("no style sheet")
		}
		sum := sha256.Sum256([]byte(sheet[1]))
		for _, part := range []string{
			"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'",
			"style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
		} {
			if !strings.Contains(policy, part) {
				t.Errorf("policy %q lacks %q", policy, part)
			}
		}
		if strings.Contains(policy, "script") || strings.Contains(policy, "unsafe") {
			t.Errorf("policy %q", policy)
		}
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s %q, want %q", name, got, want)
			}
		}
	}
}

// TestAttackPasswordFormOverHTTP: no form where the password could be read.
func TestAttackPasswordFormOverHTTP(t *testing.T) {
	t.Parallel()
	p := new(people)
	f, err := New(Config{Verifier: p, Sessions: &session.Manager{Store: session.NewMemory(0)}, Windows: negotiate})
	if err != nil {
		t.Fatal(err)
	}
	h := f.Wrap(http.NotFoundHandler())
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodGet, "http://web/login", nil),
		httptest.NewRequest(http.MethodGet, "http://web/pay", nil),
		httptest.NewRequest(http.MethodPost, "http://web/login", strings.NewReader("user=alice&password=x")),
	} {
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 403 || strings.Contains(w.Body.String(), `type="password"`) || !strings.Contains(w.Body.String(), "https") {
			t.Errorf("%s %s: %d %s", r.Method, r.URL, w.Code, w.Body)
		}
		if len(w.Result().Cookies()) != 0 {
			t.Errorf("cookies %v", w.Result().Cookies())
		}
	}
	if len(p.asked) != 0 {
		t.Error("the verifier was asked")
	}
}

// TestAttackTypedPasswordShown: the password is nowhere but at the verifier.
func TestAttackTypedPasswordShown(t *testing.T) {
	t.Parallel()
	const marked = "marked-pa55word"
	s := newSite(t, Config{})
	b := s.browser(t)
	a := b.login(b.get("/login"), `CORP\alice`, marked)
	s.people.fail(fmt.Errorf("dial: %w", authn.ErrUnavailable))
	down := b.login(a, `CORP\alice`, marked)
	if strings.Contains(a.text+down.text+s.log.String(), marked) {
		t.Errorf("the password is on the page or in the log: %s", s.log)
	}
}

func BenchmarkPage(b *testing.B) {
	f, err := New(Config{Verifier: new(people), Sessions: &session.Manager{Store: session.NewMemory(0)}, Windows: negotiate})
	if err != nil {
		b.Fatal(err)
	}
	h := f.Wrap(http.NotFoundHandler())
	r := probe()
	r.Header.Set("Accept", "text/html")
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusUnauthorized {
			b.Fatal(w.Code)
		}
	}
}
