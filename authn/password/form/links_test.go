package form

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/session"
)

func withoutPassword(t *testing.T, c Config) *Form {
	t.Helper()
	if c.Sessions == nil {
		c.Sessions = &session.Manager{Store: session.NewMemory(0)}
	}
	f, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func ask(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://web"+target, nil)
	r.Header.Set("Accept", "text/html")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestLinks(t *testing.T) {
	t.Parallel()
	one := []Link{{"partners", "/in/partners"}}
	two := append(one, Link{`a "b"`, "/in?b"})
	for _, tt := range []struct {
		name      string
		c         Config
		with      string // offered besides
		target    string
		status    int
		location  string
		on, notOn string // the page
		refresh   string
	}{
		{name: "one", c: Config{Links: one}, target: "/pay?x=1", status: 303, location: "/in/partners?return=%2Fpay%3Fx%3D1"},
		{name: "one, the page", c: Config{Links: one}, target: "/login?return=/pay", status: 303, location: "/in/partners?return=%2Fpay"},
		{name: "one, after the end", c: Config{Links: one}, target: "/login?out=", status: 200, on: `href="/in/partners?return=%2F"`, notOn: `type="password"`},
		{name: "one, ended elsewhere too", c: Config{Links: one}, target: "/login/done", status: 200, on: "You are signed out."},
		{name: "one, return elsewhere", c: Config{Links: one}, target: "/login?return=//evil", status: 303, location: "/in/partners?return=%2F"},
		{
			name: "one, beside Negotiate", c: Config{Links: one}, with: "Negotiate", target: "/pay", status: 401,
			on: "Sign in with partners", notOn: `type="password"`, refresh: "0; url=/in/partners?return=%2Fpay",
		},
		{name: "two", c: Config{Links: two}, target: "/pay", status: 401, on: `href="/in?b&amp;return=%2Fpay">Sign in with a &#34;b&#34;<`, notOn: "<form"},
		{name: "two, the page", c: Config{Links: two}, target: "/login?return=/pay", status: 200, on: `href="/in/partners?return=%2Fpay"`},
		{name: "with a password", c: Config{Links: one, Verifier: new(people)}, target: "/pay", status: 303, location: "/login?return=%2Fpay"},
		{name: "with a password, the page", c: Config{Links: one, Verifier: new(people)}, target: "/login", status: 200, on: "Sign in with partners"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.c.Others = []authn.Authenticator{offers(tt.with)}
			tt.c.Sessions = &session.Manager{Store: session.NewMemory(0)}
			w := ask(withoutPassword(t, tt.c).Wrap(http.NotFoundHandler()), "GET", tt.target)
			body := w.Body.String()
			if w.Code != tt.status || w.Header().Get("Location") != tt.location || w.Header().Get("Refresh") != tt.refresh ||
				!strings.Contains(body, tt.on) || tt.notOn != "" && strings.Contains(body, tt.notOn) {
				t.Errorf("%d to %q, refresh %q: %s", w.Code, w.Header().Get("Location"), w.Header().Get("Refresh"), body)
			}
			if w.Code == 401 && w.Header().Get("WWW-Authenticate") == "" {
				t.Error("401 without a challenge")
			}
		})
	}
	f := withoutPassword(t, Config{Links: one})
	if w := ask(f, "POST", "/login"); w.Code != 405 {
		t.Errorf("a password without anybody who checks it: %d", w.Code)
	}
	if w := ask(f.Wrap(http.NotFoundHandler()), "GET", "/pay", "Sec-Fetch-Mode", "cors"); w.Code != 401 || !strings.Contains(w.Body.String(), `"login":"/login"`) {
		t.Errorf("a script: %d %s", w.Code, w.Body)
	}
	for _, bad := range []Link{{"x", "//evil"}, {"", "/x"}, {"x", "https://evil"}} {
		if _, err := New(Config{Links: []Link{bad}, Sessions: &session.Manager{Store: session.NewMemory(0)}}); err == nil {
			t.Errorf("%v is a link", bad)
		}
	}
}

// offers is an authenticator for a scheme that nobody uses.
type offers string

func (o offers) Authenticate(*http.Request) (*authn.Result, error) {
	return nil, authn.ErrNoCredentials
}

func (o offers) Challenges(*http.Request) []authn.Challenge {
	if o == "" {
		return nil
	}
	return []authn.Challenge{{Scheme: string(o)}}
}

// TestSignOutElsewhere: the end of the session leads to where else it is to end.
func TestSignOutElsewhere(t *testing.T) {
	t.Parallel()
	const there = "https://id.example/end?hint=x&back=y"
	var had bool
	c := Config{}
	c.Sessions = &session.Manager{Store: session.NewMemory(0)}
	c.SignOutAt = func(r *http.Request) Link {
		res, err := c.Sessions.Authenticate(r)
		had = err == nil && res.Identity != nil
		return Link{"partners", there}
	}
	s := newSite(t, c)
	b := s.browser(t)
	b.login(b.get("/login"), `CORP\alice`, secretPassword).expect(t, 303)
	a := b.do(http.MethodPost, "/login/out", b.get("/login/out").fields())
	a.expect(t, 200, "You are signed out.", `href="https://id.example/end?hint=x&amp;back=y"`, "Sign out of partners too")
	if a.Header.Get("Refresh") != "0; url="+there || !had {
		t.Errorf("refresh %q, asked while the session was there: %t", a.Header.Get("Refresh"), had)
	}
	if b.get("/pay").StatusCode == 200 {
		t.Error("the session goes on")
	}
}

func TestFailedElsewhere(t *testing.T) {
	t.Parallel()
	f := withoutPassword(t, Config{Links: []Link{{"partners", "/in"}}})
	for status, want := range map[int]string{401: "could not be used here", 403: "had expired", 429: "Too many", 503: "at the moment"} {
		w := httptest.NewRecorder()
		f.Failed(w, httptest.NewRequest("GET", "https://web/in", nil), status, "ref-1", "//evil")
		if w.Code != status || !strings.Contains(w.Body.String(), want) || !strings.Contains(w.Body.String(), "ref-1") || !strings.Contains(w.Body.String(), `href="/in?return=%2F"`) {
			t.Errorf("%d: %d %s", status, w.Code, w.Body)
		}
	}
}
