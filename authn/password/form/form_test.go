package form

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/authn/session"
	"github.com/soapward/soapward/directory"
)

// secretPassword is looked for in everything printed.
const secretPassword = "Pa55w0rd-ünï:with spaces"

// people knows alice. Its error, if set, is what it answers.
type people struct {
	mu    sync.Mutex
	asked []string
	err   error
}

func (p *people) VerifyPassword(_ context.Context, user, pw string) (*authn.Identity, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, user)
	switch {
	case p.err != nil:
		return nil, p.err
	case user == `CORP\alice` && pw == secretPassword:
		return &authn.Identity{Account: "alice", Domain: "CORP", Mechanism: "LDAP"}, nil
	}
	return nil, &authn.RefusedError{Reason: authn.ReasonWrongPassword}
}

func (p *people) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// logBuffer is a log that a test reads. It is safe for concurrent use.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// site is a service behind the form, over TLS.
type site struct {
	*httptest.Server
	people *people
	log    *logBuffer
}

func newSite(t *testing.T, c Config) *site {
	t.Helper()
	s := &site{people: new(people), log: new(logBuffer)}
	c.Logger = slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if c.Verifier == nil {
		c.Verifier = s.people
	}
	if c.Sessions == nil {
		c.Sessions = &session.Manager{Store: session.NewMemory(0), Logger: c.Logger}
	}
	f, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewTLSServer(f.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := authn.FromContext(r.Context())
		fmt.Fprintf(w, "hello %v by %s at %s", id, id.Mechanism, r.URL.RequestURI())
	})))
	t.Cleanup(s.Close)
	return s
}

// browser keeps cookies and follows nothing by itself.
type browser struct {
	t      *testing.T
	site   *site
	client *http.Client
	header map[string]string // of each request
}

var asBrowser = map[string]string{"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}

func (s *site) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, s, &http.Client{
		Transport: s.Client().Transport, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, maps.Clone(asBrowser)}
}

// answer is a response that was read.
type answer struct {
	*http.Response
	text string
}

func (b *browser) do(method, path string, values url.Values) *answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.site.URL+path, strings.NewReader(values.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if values != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, v := range b.header {
		r.Header.Set(k, v)
	}
	resp, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return &answer{resp, string(body)}
}

func (b *browser) get(path string) *answer { b.t.Helper(); return b.do(http.MethodGet, path, nil) }

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

// fields are the hidden ones of a page.
func (a *answer) fields() url.Values {
	v := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(a.text, -1) {
		v.Set(m[1], template2text(m[2]))
	}
	return v
}

func template2text(s string) string {
	return strings.NewReplacer("&amp;", "&", "&#34;", `"`, "&#43;", "+", "&lt;", "<", "&gt;", ">", "&#39;", "'").Replace(s)
}

// login fills in the form of a page and sends it.
func (b *browser) login(page *answer, user, pw string, more ...string) *answer {
	b.t.Helper()
	v := page.fields()
	v.Set("user", user)
	v.Set("password", pw)
	for _, m := range more {
		v.Set(m, "yes")
	}
	return b.do(http.MethodPost, "/login", v)
}

func (a *answer) expect(t *testing.T, status int, parts ...string) {
	t.Helper()
	_, body, _ := strings.Cut(a.text, "<body>")
	if a.StatusCode != status {
		t.Errorf("%s %s: status %d, want %d: %s", a.Request.Method, a.Request.URL.Path, a.StatusCode, status, body)
	}
	for _, p := range parts {
		if !strings.Contains(a.text, p) && !strings.Contains(a.Header.Get("Location"), p) {
			t.Errorf("%s %s: %q is not in %s %s", a.Request.Method, a.Request.URL.Path, p, a.Header.Get("Location"), body)
		}
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	for _, typed := range []string{`CORP\alice`, ` CORP\alice `} {
		s := newSite(t, Config{Service: "Payroll"})
		b := s.browser(t)
		b.get("/pay?month=11&x=a%20b").expect(t, 303, "/login?return=%2Fpay%3Fmonth%3D11%26x%3Da%2520b")
		page := b.get("/login?return=%2Fpay%3Fmonth%3D11%26x%3Da%2520b")
		page.expect(t, 200, `<label for="user">User name</label>`, "Keep me logged in", "Payroll")
		wrong := b.login(page, typed, "wrong", "remember")
		wrong.expect(t, 401, `role="alert"`, "Invalid username or password", `value="CORP\alice`, "checked")
		in := b.login(wrong, typed, secretPassword)
		in.expect(t, 303)
		if got := in.Header.Get("Location"); got != "/pay?month=11&x=a%20b" {
			t.Errorf("login leads to %q", got)
		}
		b.get("/pay").expect(t, 200, `hello CORP\alice by form at /pay`)
		b.get("/login?return=/pay").expect(t, 303, "/pay") // nothing to do

		out := b.get("/login/out?return=/pay")
		out.expect(t, 200, "Do you want to sign out?", `href="/pay"`)
		b.do(http.MethodPost, "/login/out", out.fields()).expect(t, 303, "/login?out=")
		b.get("/login?out=").expect(t, 200, `role="status"`, "You are signed out.")
		b.get("/pay").expect(t, 303)
		b.do(http.MethodPost, "/login/out", url.Values{}).expect(t, 303, "/login?out=") // again, in another tab
		b.get("/login/out").expect(t, 303, "/login")

		for _, part := range []string{"level=INFO msg=login", `name=CORP\alice`, "reason=wrong-password"} {
			if !strings.Contains(s.log.String(), part) {
				t.Errorf("log lacks %q: %s", part, s.log)
			}
		}
	}
}

// TestRemember: only those who want it get a cookie that stays.
func TestRemember(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{})
	for _, remember := range []bool{false, true} {
		b := s.browser(t)
		var more []string
		if remember {
			more = []string{"remember"}
		}
		in := b.login(b.get("/login"), `CORP\alice`, secretPassword, more...)
		for _, c := range in.Cookies() {
			if c.Name == "__Host-soapward" && (c.MaxAge > 0) != remember {
				t.Errorf("remember %v: cookie %s", remember, c.Raw)
			}
		}
	}
	never := newSite(t, Config{Sessions: &session.Manager{Store: session.NewMemory(0), Remember: -1}})
	if page := never.browser(t).get("/login"); strings.Contains(page.text, "remember") {
		t.Error("the page offers what is switched off")
	}
}

// offering is an authenticator that offers schemes and takes nothing.
type offering []authn.Challenge

func (offering) Authenticate(*http.Request) (*authn.Result, error) {
	return nil, authn.ErrNoCredentials
}
func (o offering) Challenges(*http.Request) []authn.Challenge { return o }

var negotiate = offering{{Scheme: "Negotiate"}}

func TestDeny(t *testing.T) {
	t.Parallel()
	basic := []authn.Authenticator{offering{{Scheme: "NTLM"}, {Scheme: "Basic", Param: `realm="x"`}}}
	refused := maps.Clone(asBrowser)
	refused["Authorization"] = "Negotiate bad"
	program := map[string]string{"Accept": "*/*"}
	script := map[string]string{"Accept": "*/*", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
	for _, tt := range []struct {
		name       string
		c          Config
		method     string
		header     map[string]string
		status     int
		kind       string
		challenges string
		part       string
	}{
		{"browser", Config{}, "GET", asBrowser, 303, "", "[]", "/login?return=%2Fpay"},
		{"browser, home", Config{Home: "/pay"}, "GET", asBrowser, 303, "", "[]", "/login"},
		{"old browser", Config{}, "GET", map[string]string{"Accept": "text/html;q=0.9"}, 303, "", "[]", "/login?return=%2Fpay"},
		{"browser, form sent", Config{}, "POST", asBrowser, 303, "", "[]", "/login"},
		{"browser and Negotiate", Config{Windows: negotiate}, "GET", asBrowser, 401, "text/html; charset=utf-8", "[Negotiate]", `name="return" value="/pay"`},
		{"Negotiate by a link", Config{Windows: negotiate, WindowsByLink: true}, "GET", asBrowser, 303, "", "[]", "/login?return=%2Fpay"},
		{"browser never sees Basic and NTLM", Config{Others: basic}, "GET", asBrowser, 303, "", "[]", "/login?return=%2Fpay"},
		{"nor beside Negotiate", Config{Others: basic, Windows: negotiate}, "GET", asBrowser, 401, "text/html; charset=utf-8", "[Negotiate]", "<form"},
		{"browser whose Negotiate was refused", Config{Windows: proving{negotiate}}, "GET", refused, 303, "", "[]", "/login?return=%2Fpay"},
		{"program whose Negotiate was refused", Config{Windows: proving{negotiate}}, "GET", map[string]string{"Authorization": "Negotiate bad"}, 401, "text/plain; charset=utf-8", "[Negotiate]", ""},
		{"program", Config{}, "GET", program, 401, "text/plain; charset=utf-8", `[Cookie form-action="/login"]`, "reference"},
		{"program, all schemes", Config{Others: basic, Windows: negotiate}, "POST", program, 401, "text/plain; charset=utf-8", `[NTLM Basic realm="x" Negotiate]`, "reference"},
		{"program that wants no HTML", Config{}, "GET", map[string]string{"Accept": "text/html;q=0, application/json"}, 401, "application/json", `[Cookie form-action="/login"]`, `"login":"/login"`},
		{"script", Config{}, "POST", script, 401, "application/json", `[Cookie form-action="/login"]`, `"error":"unauthorized"`},
		{"script that wants HTML", Config{}, "GET", map[string]string{"Accept": "text/html", "Sec-Fetch-Mode": "cors"}, 401, "application/json", `[Cookie form-action="/login"]`, `"ref":"`},
		{"script never sees Basic and NTLM", Config{Others: basic, Windows: negotiate}, "GET", script, 401, "application/json", "[Negotiate]", `"login"`},
		{"older script", Config{}, "GET", map[string]string{"Accept": "text/html", "X-Requested-With": "XMLHttpRequest"}, 401, "text/plain; charset=utf-8", `[Cookie form-action="/login"]`, "reference"},
		{"picture", Config{}, "GET", map[string]string{"Accept": "image/*", "Sec-Fetch-Mode": "no-cors"}, 401, "application/json", `[Cookie form-action="/login"]`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newSite(t, tt.c).browser(t)
			b.header = tt.header
			a := b.do(tt.method, "/pay", nil)
			a.expect(t, tt.status, tt.part)
			if got := fmt.Sprint(a.Header.Values("WWW-Authenticate")); got != tt.challenges {
				t.Errorf("challenges %s, want %s", got, tt.challenges)
			}
			if got := a.Header.Get("Content-Type"); got != tt.kind {
				t.Errorf("content type %q, want %q", got, tt.kind)
			}
			if a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("Cache-Control %q", a.Header.Get("Cache-Control"))
			}
		})
	}
}

// The page in the body of a 401 works as the page itself does.
func TestPageInBody(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{Windows: negotiate})
	b := s.browser(t)
	in := b.login(b.get("/pay?x=1"), `CORP\alice`, secretPassword)
	in.expect(t, 303, "/pay?x=1")
	b.get("/pay?x=1").expect(t, 200, "hello")
}

// proving is integrated login that everybody passes who sends a token.
type proving struct{ offering }

func (p proving) Authenticate(r *http.Request) (*authn.Result, error) {
	if _, token, ok := authn.Authorization(r); !ok {
		return nil, authn.ErrNoCredentials
	} else if token == "bad" {
		return nil, &authn.RefusedError{Reason: authn.ReasonMechanism}
	}
	return &authn.Result{Identity: &authn.Identity{Account: "wendy", Domain: "CORP", Mechanism: authn.MechanismKerberos}, Fresh: true}, nil
}

func TestWindowsByLink(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{Windows: proving{negotiate}, WindowsByLink: true})
	b := s.browser(t)
	b.get("/login?return=/pay").expect(t, 200, `href="/login/windows?return=%2Fpay"`, "Sign in with your Windows account")
	first := b.get("/login/windows?return=/pay")
	first.expect(t, 401, "could not be used here", `value="/pay"`)
	if got := fmt.Sprint(first.Header.Values("WWW-Authenticate")); got != "[Negotiate]" {
		t.Errorf("challenges %s", got)
	}
	b.header["Authorization"] = "Negotiate bad"
	again := b.get("/login/windows?return=/pay")
	again.expect(t, 401, "could not be used here")
	if got := fmt.Sprint(again.Header.Values("WWW-Authenticate")); strings.Contains(got, "Negotiate") {
		t.Errorf("challenges %s, which open a window", got)
	}
	b.header["Authorization"] = "Negotiate good"
	b.get("/login/windows?return=/pay").expect(t, 303, "/pay")
	delete(b.header, "Authorization")
	b.get("/pay").expect(t, 200, `hello CORP\wendy by Kerberos`)
	newSite(t, Config{}).browser(t).get("/login/windows").expect(t, 404)
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{})
	b := s.browser(t)
	page := b.get("/login")
	s.people.fail(fmt.Errorf("dial ldaps://dc1: %w", authn.ErrUnavailable))
	a := b.login(page, `CORP\alice`, secretPassword)
	a.expect(t, 503, "cannot be checked at the moment", "Reference: ")
	if strings.Contains(a.text, "dc1") {
		t.Error("the page tells what was dialled")
	}
}

func TestBlockedText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ after, want string }{
		{"30", "Too many failed login attempts. Please try again in a few minutes."},
		{"1800", "Too many failed login attempts. Please try again in a few minutes."},
		{"3600", "Too many failed login attempts. Please try again in 60 minutes."},
		{"3541", "Too many failed login attempts. Please try again in 60 minutes."},
		{"", "Too many failed login attempts. Please try again in a few minutes."},
	} {
		if got := blocked(English(), tt.after); got != tt.want {
			t.Errorf("%q: %s", tt.after, got)
		}
	}
	f, err := New(Config{Verifier: new(people), Sessions: &session.Manager{Store: session.NewMemory(0)}})
	if err != nil {
		t.Fatal(err)
	}
	w, r := httptest.NewRecorder(), probe()
	w.Header().Set("Retry-After", "30")
	r.Header.Set("Accept", "text/html")
	f.Deny(w, r, http.StatusTooManyRequests, "abc")
	if w.Code != 429 || !strings.Contains(w.Body.String(), "in a few minutes") || !strings.Contains(w.Body.String(), "abc") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestGuardAndEvidence(t *testing.T) {
	t.Parallel()
	var seen *authn.Identity
	s := newSite(t, Config{Guard: func(a authn.Authenticator) authn.Authenticator { return guard{a, &seen} }})
	b := s.browser(t)
	b.login(b.get("/login"), `CORP\alice`, secretPassword).expect(t, 303)
	ev, ok := seen.Evidence.(*password.Secret)
	if !ok || ev.User != `CORP\alice` || ev.Password.Reveal() != secretPassword {
		t.Errorf("evidence %#v", seen.Evidence)
	}
	b.get("/").expect(t, 200, `hello CORP\guarded`)
}

type guard struct {
	authn.Authenticator
	seen **authn.Identity
}

func (g guard) Authenticate(r *http.Request) (*authn.Result, error) {
	res, err := g.Authenticator.Authenticate(r)
	if err == nil {
		*g.seen = res.Identity
		c := *res.Identity
		c.Account = "guarded"
		res.Identity = &c
	}
	return res, err
}

func TestMethodsAndPaths(t *testing.T) {
	t.Parallel()
	b := newSite(t, Config{Windows: negotiate}).browser(t)
	b.do(http.MethodPut, "/login", nil).expect(t, 405)
	b.do(http.MethodPost, "/login/windows", nil).expect(t, 405)
	b.get("/login/elsewhere").expect(t, 404)
	b.get("/loginpage").expect(t, 401) // the application's
	if a := b.do(http.MethodHead, "/login", nil); a.StatusCode != 200 || a.text != "" {
		t.Errorf("HEAD: %d %q", a.StatusCode, a.text)
	}
}

func TestSessionStoreAway(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{Sessions: &session.Manager{Store: away{session.NewMemory(0)}}})
	b := s.browser(t)
	b.login(b.get("/login"), `CORP\alice`, secretPassword).expect(t, 503, "cannot be checked")
	if !strings.Contains(s.log.String(), `level=ERROR msg="session could not begin" ref=`) {
		t.Errorf("log %s", s.log)
	}
}

// Who cannot be logged out is told so, and the reference that he got is in the log.
func TestLogoutStoreAway(t *testing.T) {
	t.Parallel()
	s := newSite(t, Config{Sessions: &session.Manager{Store: stuck{session.NewMemory(0)}}})
	b := s.browser(t)
	b.login(b.get("/login"), `CORP\alice`, secretPassword).expect(t, 303)
	b.do(http.MethodPost, "/login/out", b.get("/login/out").fields()).expect(t, 503)
	if !strings.Contains(s.log.String(), `level=ERROR msg="session could not be ended" ref=`) {
		t.Errorf("log %s", s.log)
	}
}

// stuck lets nobody out.
type stuck struct{ *session.Memory }

func (stuck) DeleteSession(context.Context, directory.SessionID) error {
	return errors.New("disk full")
}

type away struct{ *session.Memory }

func (away) PutSession(context.Context, *directory.Session) error { return errors.New("disk full") }
