package hook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/hook"
	"github.com/soapward/soapward/authn/password"
)

// service is the other side of a Callout. It says what it is told to.
type service struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	answer string
	asked  []string
	token  string
}

func newService(t *testing.T, status int, answer string) *service {
	t.Helper()
	s := &service{status: status, answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked, s.token = append(s.asked, string(body)), r.Header.Get("Authorization")
		w.Header().Set("Location", "/elsewhere")
		w.Header().Set("Set-Cookie", "evil=1")
		w.WriteHeader(s.status)
		_, _ = io.WriteString(w, s.answer)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) say(status int, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.answer = status, answer
}

func (s *service) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func TestCalloutAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		answer string
		want   int
		body   string
		log    string
	}{
		{"identity", 200, `{"identity": {"account": "alice", "groups": [{"name": "staff"}], "claims": {"team": ["a"]}}}`, 200, "hello alice", "mech=custom"},
		{"domain that is listed", 200, `{"identity": {"account": "alice", "domain": "app", "upn": "a@APP"}}`, 200, `hello app\alice`, ""},
		{"next", 200, `{"next": true}`, 401, "Unauthorized", ""},
		{"401", 401, `ignored`, 401, "Unauthorized (reference ", "refused by the service"},
		{"403", 403, `ignored`, 403, "Forbidden (reference ", "refused by the service"},
		{"refuse", 200, `{"refuse": {"status": 418, "www_authenticate": "Tea", "body": "short and stout", "content_type": "text/x-tea"}}`, 418, "short and stout", "status=418"},
		{"refuse, empty body", 200, `{"refuse": {"status": 403, "body": ""}}`, 403, "", ""},

		{"redirect", 302, ``, 503, "", "status 302"},
		{"server error", 500, `{"identity": {"account": "alice"}}`, 503, "", "status 500"},
		{"not found", 404, ``, 503, "", "status 404"},
		{"not JSON", 200, `<html>`, 503, "", "syntax error"},
		{"cut off", 200, `{"identity": {"account": "ali`, 503, "", "it ends too early"},
		{"two values", 200, `{"next": true} {"identity": {"account": "alice"}}`, 503, "", "more than one JSON value"},
		{"nothing said", 200, `{}`, 503, "", "exactly one of"},
		{"two things said", 200, `{"next": true, "identity": {"account": "alice"}}`, 503, "", "exactly one of"},
		{"unknown field", 200, `{"identity": {"account": "alice", "admin": true}}`, 503, "", `unknown field`},
		{"wrong type", 200, `{"identity": {"account": 7}}`, 503, "", "identity.account is a number"},
		{"no account", 200, `{"identity": {"display_name": "x"}}`, 503, "", "names no account"},
		{"refuse with success", 200, `{"refuse": {"status": 200, "body": "welcome"}}`, 503, "", "refuses with status 200"},
		{"too long", 200, `{"identity": {"account": "` + strings.Repeat("x", 70<<10) + `"}}`, 503, "", "longer than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, tt.status, tt.answer)
			c := &hook.Callout{URL: s.URL, Domains: []string{"APP"}, Token: authn.NewSecret("my-token"), Timeout: 10 * time.Second}
			res, body, log := serve(c, secure("Authorization", "Key abc", "Cookie", "not=sent"))
			if res.StatusCode != tt.want || !strings.Contains(body, tt.body) || !strings.Contains(log, tt.log) {
				t.Errorf("%d %q\nlog %s\nwant %d %q, log %s", res.StatusCode, body, log, tt.want, tt.body, tt.log)
			}
			if res.Header.Get("Set-Cookie") != "" || res.Header.Get("Location") != "" {
				t.Errorf("headers of the service reach the client: %v", res.Header)
			}
			if len(s.questions()) != 1 {
				t.Errorf("%d questions, want one: redirects are not followed", len(s.questions()))
			}
			want := `{"method":"GET","host":"api.test","path":"/a/b","query":"c=d","client":"192.0.2.1","headers":{"Authorization":["Key abc"]}}`
			if got := s.questions()[0]; got != want || s.token != "Bearer my-token" {
				t.Errorf("sent %s with %q, want %s", got, s.token, want)
			}
			if strings.Contains(log, "abc") || strings.Contains(log, "my-token") {
				t.Errorf("secrets in the log: %s", log)
			}
		})
	}
}

// A service does not speak for a domain, by whatever name.
func TestAttackCalloutPosesAsDomain(t *testing.T) {
	t.Parallel()
	for _, identity := range []string{
		`{"account": "alice", "domain": "CORP"}`,
		`{"account": "CORP\\alice"}`,
		`{"account": "alice", "upn": "alice@corp.test"}`,
		`{"account": "alice", "sid": "S-1-5-21-1-2-3-500"}`,
		`{"account": "alice", "groups": [{"sid": "S-1-5-32-544"}]}`,
		`{"account": "alice", "groups": [{"name": "CORP\\Payroll"}]}`,
		`{"account": "alice", "groups": [{"name": "BUILTIN\\Administrators"}]}`,
		`{"account": "alice", "groups": [{"name": "CN=Payroll,DC=corp,DC=test"}]}`,
		`{"account": "alice\u0000"}`,
		`{"account": "al\nice"}`,
		`{"account": "alice "}`,
		`{"account": "\u00a0alice"}`,
		`{"account": "alice", "groups": [{"name": "staff\u2003"}]}`,
	} {
		s := newService(t, 200, `{"identity": `+identity+`}`)
		c := &hook.Callout{URL: s.URL, Domains: []string{"APP", "app.test"}, Timeout: 10 * time.Second}
		if res, err := c.Authenticate(secure()); !errors.Is(err, authn.ErrUnavailable) {
			t.Errorf("%s: %+v, %v; want an error", identity, res, err)
		}
	}
}

func TestCalloutMemory(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	clock.Store(now.Unix())
	s := newService(t, 200, `{"identity": {"account": "alice", "expires_in": 30}}`)
	c := &hook.Callout{URL: s.URL, Send: []string{"header X-Key"}, Timeout: 10 * time.Second, Now: func() time.Time { return time.Unix(clock.Load(), 0) }}
	ask := func(key string, wantAsked int, fresh bool, wantErr error) *authn.Identity {
		t.Helper()
		res, err := c.Authenticate(secure("X-Key", key))
		if n := len(s.questions()); n != wantAsked || !errors.Is(err, wantErr) {
			t.Fatalf("%d questions, %v; want %d, %v", n, err, wantAsked, wantErr)
		}
		if err != nil {
			return nil
		}
		if res.Fresh != fresh {
			t.Errorf("fresh %v, want %v", res.Fresh, fresh)
		}
		return res.Identity
	}
	first := ask("a", 1, true, nil)
	if ask("a", 1, false, nil) != first {
		t.Error("the identity is another")
	}
	if got := first.Expires; !got.Equal(now.Add(30 * time.Second)) {
		t.Errorf("expires %s", got)
	}
	ask("b", 2, true, nil) // another key
	clock.Add(29)
	ask("a", 2, false, nil)
	clock.Add(1)
	s.say(401, "")
	ask("a", 3, false, authn.ErrBadCredentials)
	ask("a", 3, false, authn.ErrBadCredentials) // remembered for a moment
	clock.Add(5)
	s.say(500, "")
	ask("a", 4, false, authn.ErrUnavailable)
	ask("a", 5, false, authn.ErrUnavailable) // failures are not
	s.say(200, `{"identity": {"account": "alice"}}`)
	ask("a", 6, true, nil)
	clock.Add(59)
	ask("a", 6, false, nil)
	clock.Add(1)
	ask("a", 7, true, nil)
}

// What is remembered belongs to exactly what was sent: another password, or the
// same text split in another way, is another question.
func TestAttackCalloutMemory(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			User, Password string
			Headers        map[string][]string
		}
		_ = json.NewDecoder(r.Body).Decode(&q)
		if q.Password == "right" && q.User == "alice" || q.Headers["X-Key"] != nil && q.Headers["X-Key"][0] == "right" && len(q.Headers["X-Key"]) == 1 {
			_, _ = io.WriteString(w, `{"identity": {"account": "alice"}}`)
			return
		}
		w.WriteHeader(401)
	}))
	t.Cleanup(s.Close)
	c := &hook.Callout{URL: s.URL, Send: []string{"header X-Key"}, Timeout: 10 * time.Second}
	for range 2 {
		if _, err := c.VerifyPassword(t.Context(), "alice", "right"); err != nil {
			t.Fatal(err)
		}
		for _, p := range [][2]string{{"alice", "wrong"}, {"bob", "right"}, {"alice", "right "}, {"Alice", "right"}, {`alice","password":"right`, "x"}} {
			if id, err := c.VerifyPassword(t.Context(), p[0], p[1]); !errors.Is(err, authn.ErrBadCredentials) {
				t.Errorf("%q: %v, %v", p, id, err)
			}
		}
		if _, err := c.Authenticate(secure("X-Key", "right")); err != nil {
			t.Fatal(err)
		}
		for _, header := range [][]string{{}, {"X-Key", ""}, {"X-Key", "right", "X-Key", "right"}, {"X-Key", "RIGHT"}} {
			if res, err := c.Authenticate(secure(header...)); !errors.Is(err, authn.ErrBadCredentials) {
				t.Errorf("%q: %v, %v", header, res, err)
			}
		}
	}
}

// A service that is silent, or clients without end, do not hold us up or fill
// memory.
func TestAttackCalloutHangs(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(release) })
	c := &hook.Callout{URL: s.URL, Timeout: 50 * time.Millisecond}
	if _, err := c.Authenticate(secure("Authorization", "a")); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("a silent service: %v", err)
	}
	c = &hook.Callout{URL: s.URL, Timeout: time.Minute}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var waiting, overloaded atomic.Int64
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			_, err := c.Authenticate(secure("Authorization", fmt.Sprint(i)).WithContext(ctx))
			switch {
			case errors.Is(err, authn.ErrOverloaded):
				if overloaded.Add(1) == 200-64 {
					cancel()
				}
			case errors.Is(err, authn.ErrUnavailable):
				waiting.Add(1)
			default:
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if waiting.Load() != 64 || overloaded.Load() != 136 {
		t.Errorf("%d waited, %d were turned away; want 64 and 136", waiting.Load(), overloaded.Load())
	}
	long := strings.Repeat("x", 100<<10)
	if _, err := c.Authenticate(secure("Authorization", long)); !errors.Is(err, authn.ErrBadCredentials) {
		t.Errorf("a long header: %v", err)
	}
}

// Credentials are sent to another machine by TLS only.
func TestAttackCalloutInClear(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://auth.test/x": "", "http://127.0.0.1:7000/auth": "", "http://[::1]:1/": "", "http://localhost/": "",
		"http://auth.test/": "use https", "http://127.0.0.1.evil.test/": "use https", "ftp://x/": "use https", "/auth": "is not an address", "https://u:p@x/": "password in it",
	} {
		err := (&hook.Callout{URL: url}).Check()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
		if want != "" {
			if _, err := (&hook.Callout{URL: url}).Authenticate(secure()); !errors.Is(err, authn.ErrUnavailable) {
				t.Errorf("%s: %v", url, err)
			}
		}
	}
	if err := (&hook.Callout{URL: "http://auth.test/", AllowInsecureHTTP: true}).Check(); err != nil {
		t.Errorf("allowed: %v", err)
	}
	if err := (&hook.Callout{URL: "https://x/", Send: []string{"body"}}).Check(); err == nil {
		t.Error("a body cannot be sent")
	}
}

var _ password.Verifier = (*hook.Callout)(nil)

// Of a password as well, the service's own answer is sent.
func TestCalloutAnswersBasic(t *testing.T) {
	t.Parallel()
	s := newService(t, 200, `{"refuse": {"status": 403, "body": "Not today."}}`)
	r := secure()
	r.SetBasicAuth("alice", "x")
	res, body, log := serve(&password.Basic{Verifier: &hook.Callout{URL: s.URL, Timeout: 10 * time.Second}}, r)
	if res.StatusCode != 403 || body != "Not today." {
		t.Errorf("%d %q, log %s", res.StatusCode, body, log)
	}
}
