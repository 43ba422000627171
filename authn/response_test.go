package authn_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
)

// answerTo has one authenticator refuse a request in its own words.
func answerTo(t *testing.T, err error, deny func(http.ResponseWriter, *http.Request, int, string)) (*http.Response, string, string) {
	t.Helper()
	var log bytes.Buffer
	m := &authn.Middleware{
		Authenticators: []authn.Authenticator{scripted{err: err, challenge: "Basic"}},
		Logger:         slog.New(slog.NewTextHandler(&log, nil)), Deny: deny,
	}
	w := httptest.NewRecorder()
	m.Wrap(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	return w.Result(), w.Body.String(), log.String()
}

func TestResponseError(t *testing.T) {
	t.Parallel()
	deny := func(w http.ResponseWriter, _ *http.Request, status int, _ string) {
		w.WriteHeader(status)
		fmt.Fprint(w, "ours")
	}
	tests := []struct {
		name   string
		err    *authn.ResponseError
		status int
		body   string
		header map[string][]string // what must be there; nil value: must not
		log    string
	}{
		{"status alone", &authn.ResponseError{Status: 403}, 403, "ours", map[string][]string{"Www-Authenticate": nil}, "level=INFO"},
		{"401 gets the challenges", &authn.ResponseError{Status: 401}, 401, "ours", map[string][]string{"Www-Authenticate": {"Basic"}}, "level=INFO"},
		{"401 with its own", &authn.ResponseError{Status: 401, Header: http.Header{"www-authenticate": {"Bearer"}}}, 401, "ours",
			map[string][]string{"Www-Authenticate": {"Bearer"}}, "status=401"},
		{"body", &authn.ResponseError{Status: 429, Body: []byte("slow down"), Header: http.Header{"Retry-After": {"7"}}}, 429, "slow down",
			map[string][]string{"Retry-After": {"7"}, "Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}, "Cache-Control": {"no-store"}}, "status=429"},
		{"empty body", &authn.ResponseError{Status: 403, Body: []byte{}}, 403, "", nil, "status=403"},
		{"content type", &authn.ResponseError{Status: 403, Body: []byte("{}"), Header: http.Header{"Content-Type": {"application/json"}}}, 403, "{}",
			map[string][]string{"Content-Type": {"application/json"}}, ""},
		{"server's fault", &authn.ResponseError{Status: 502, Err: errors.New("the reason")}, 502, "ours", nil, "level=ERROR"},
		{"a redirect", &authn.ResponseError{Status: 302, Header: http.Header{"Location": {"//evil"}}}, 503, "ours",
			map[string][]string{"Location": nil}, "cannot be sent"},
		{"success", &authn.ResponseError{Status: 200, Body: []byte("welcome")}, 503, "ours", nil, "cannot be sent"},
		{"no status", &authn.ResponseError{}, 503, "ours", nil, "cannot be sent"},
		{"cookies allowed", &authn.ResponseError{Status: 403, AllowCookies: true, Header: http.Header{"Set-Cookie": {"a=b"}}}, 403, "ours",
			map[string][]string{"Set-Cookie": {"a=b"}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res, body, log := answerTo(t, fmt.Errorf("wrapped: %w", tt.err), deny)
			if res.StatusCode != tt.status || body != tt.body || !strings.Contains(log, tt.log) {
				t.Errorf("answer %d %q, log %s\nwant %d %q, %q", res.StatusCode, body, log, tt.status, tt.body, tt.log)
			}
			for name, want := range tt.header {
				if got := res.Header[name]; !reflect.DeepEqual(got, want) {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if got, want := errors.Is(tt.err, authn.ErrBadCredentials), tt.err.Status == 401; got != want {
				t.Errorf("is ErrBadCredentials: %v, want %v", got, want)
			}
		})
	}
}

// What a hook chooses, perhaps by what the client sent, must not touch the
// connection, log browsers in, open the service to other sites, or fill memory.
func TestAttackResponseHeaders(t *testing.T) {
	t.Parallel()
	forbidden := []string{
		"Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length", "Upgrade", "Trailer", "TE", "Proxy-Authenticate",
		"Set-Cookie", "set-cookie", "Clear-Site-Data", "Access-Control-Allow-Origin", "access-control-allow-credentials",
		"Strict-Transport-Security", "Persistent-Auth", "Content-Encoding",
	}
	e := &authn.ResponseError{Status: 403, Header: http.Header{"X-Why": {"because"}}, Body: []byte("no")}
	for _, name := range forbidden {
		e.Header[name] = []string{"evil"}
	}
	res, _, _ := answerTo(t, e, nil)
	for name, values := range res.Header {
		if strings.Contains(strings.Join(values, " "), "evil") {
			t.Errorf("%s: %q was sent", name, values)
		}
	}
	if got := res.Header.Get("X-Why"); got != "because" {
		t.Errorf("X-Why = %q, want it sent", got)
	}
	for name, e := range map[string]*authn.ResponseError{
		"body":   {Status: 403, Body: bytes.Repeat([]byte("x"), authn.MaxResponseBody+1)},
		"header": {Status: 403, Header: http.Header{"X": {strings.Repeat("x", 1<<20)}}},
	} {
		if res, body, _ := answerTo(t, e, nil); res.StatusCode != 503 || len(body) > 1000 || res.Header.Get("X") != "" {
			t.Errorf("a large %s: status %d, %d bytes, want 503 with our text", name, res.StatusCode, len(body))
		}
	}
}

func TestAttackClaimsPrint(t *testing.T) {
	t.Parallel()
	const secret = "personal-data"
	id := &authn.Identity{Account: "alice", Claims: authn.Claims{"x": {secret}}}
	var log bytes.Buffer
	l := slog.New(slog.NewJSONHandler(&log, nil))
	l.Info("m", "id", id, "claims", id.Claims)
	e := &authn.ResponseError{Status: 401, Body: []byte(secret), Header: http.Header{"X": {secret}}}
	l.Info("m", "err", e)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		fmt.Fprintf(&log, verb, *id)
		fmt.Fprintf(&log, verb, id.Claims)
		fmt.Fprintf(&log, verb, error(e))
	}
	if i := strings.Index(log.String(), secret); i >= 0 {
		t.Errorf("printed: %s", log.String()[max(0, i-80):i+len(secret)])
	}
	if !id.Claims.Has("x", secret) || id.Claims.Has("x", "other") || id.Claims.Has("y", secret) {
		t.Error("Has is wrong")
	}
}

// Only who sends nothing is anonymous. Wrong credentials, or those that nobody
// here takes, are not left out of account.
func TestAttackAnonymousWithCredentials(t *testing.T) {
	t.Parallel()
	none, wrong := scripted{err: authn.ErrNoCredentials, challenge: "Basic"}, scripted{err: &authn.RefusedError{Reason: authn.ReasonWrongPassword}}
	down := scripted{err: authn.ErrUnavailable}
	tests := []struct {
		name          string
		by            authn.Authenticator
		path, header  string
		allowed       bool // AllowAnonymous is set
		status        int
		authenticated bool
	}{
		{"nothing", none, "/open", "", true, 200, false},
		{"elsewhere", none, "/closed", "", true, 401, false},
		{"not allowed", none, "/open", "", false, 401, false},
		{"unknown scheme", none, "/open", "Other x", true, 401, false},
		{"wrong", wrong, "/open", "Basic x", true, 401, false},
		{"wrong, without header", wrong, "/open", "", true, 401, false},
		{"nobody can say", down, "/open", "", true, 503, false},
		{"logged in", scripted{result: &authn.Result{Identity: &authn.Identity{Account: "alice"}}}, "/open", "", true, 200, true},
	}
	for _, tt := range tests {
		m := &authn.Middleware{Authenticators: []authn.Authenticator{tt.by}, Logger: slog.New(slog.DiscardHandler)}
		if tt.allowed {
			m.AllowAnonymous = func(r *http.Request) bool { return r.URL.Path == "/open" }
		}
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", tt.path, nil)
		if tt.header != "" {
			r.Header.Set("Authorization", tt.header)
		}
		// An identity that is in the context already is not that of the caller.
		r = r.WithContext(authn.NewContext(r.Context(), &authn.Identity{Account: "evil"}))
		authenticated := false
		m.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { authenticated = authn.FromContext(r.Context()) != nil })).ServeHTTP(w, r)
		if w.Code != tt.status || authenticated != tt.authenticated {
			t.Errorf("%s: status %d, identity %v; want %d, %v", tt.name, w.Code, authenticated, tt.status, tt.authenticated)
		}
	}
}
