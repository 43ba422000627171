package authn_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
)

// scripted is an authenticator that answers what it is told.
type scripted struct {
	result    *authn.Result
	err       error
	challenge string
}

func (s scripted) Authenticate(*http.Request) (*authn.Result, error) { return s.result, s.err }
func (s scripted) Challenges(*http.Request) []authn.Challenge {
	return []authn.Challenge{{Scheme: s.challenge}}
}

func TestMiddleware(t *testing.T) {
	t.Parallel()
	alice := &authn.Identity{Account: "alice", Domain: "CORP", Mechanism: "Test"}
	no := scripted{err: authn.ErrNoCredentials, challenge: "First"}
	tests := []struct {
		name       string
		chain      []authn.Authenticator
		status     int
		challenges string
		body       string // part of it
		log        string // part of it; every name of a cause
		persistent bool
	}{
		{"nobody asked", nil, 401, "[]", "reference", "authn.Middleware has no Authenticators", false},
		{"no credentials", []authn.Authenticator{no, scripted{err: authn.ErrNoCredentials, challenge: "Second"}},
			401, "[First Second]", "Unauthorized", "no credentials", false},
		{"second vouches", []authn.Authenticator{no, scripted{result: &authn.Result{Identity: alice, Fresh: true}}},
			200, "[]", `hello CORP\alice`, "login", false},
		{"connection stays logged in", []authn.Authenticator{scripted{result: &authn.Result{Identity: alice, Fresh: true, Persistent: true}}},
			200, "[]", `hello CORP\alice`, "login", true},
		{"token with the answer", []authn.Authenticator{scripted{result: &authn.Result{Identity: alice, Final: &authn.Challenge{Scheme: "Negotiate", Param: "AA=="}}}},
			200, "[Negotiate AA==]", `hello CORP\alice`, "", false},
		{"continue", []authn.Authenticator{scripted{result: &authn.Result{Continue: &authn.Challenge{Scheme: "NTLM", Param: "AA=="}}}, no},
			401, "[NTLM AA==]", "", "", false},
		{"refusal stops the chain", []authn.Authenticator{
			scripted{challenge: "First", err: &authn.RefusedError{Mechanism: "NTLM", Reason: authn.ReasonWrongPassword, User: "alice", Hint: "look here", Err: errors.New("detail")}},
			scripted{challenge: "Second", result: &authn.Result{Identity: alice}}},
			401, "[First Second]", "Unauthorized", "cause.reason=wrong-password cause.claimed_user=alice cause.detail=detail cause.hint=\"look here\"", false},
		{"authority down", []authn.Authenticator{scripted{err: fmt.Errorf("dial dc1: %w", authn.ErrUnavailable), challenge: "First"}},
			503, "[]", "Service Unavailable", "dial dc1", false},
		{"too many logins", []authn.Authenticator{scripted{err: fmt.Errorf("%w: %w", authn.ErrOverloaded, &authn.RefusedError{Reason: authn.ReasonPolicy, Hint: "raise it"}), challenge: "First"}},
			503, "[]", "Service Unavailable", "cause.hint=\"raise it\"", false},
		{"authenticator breaks its contract", []authn.Authenticator{scripted{result: &authn.Result{}, challenge: "First"}},
			503, "[]", "Service Unavailable", "level=ERROR", false},
		{"unexpected error", []authn.Authenticator{scripted{err: errors.New("disk full"), challenge: "First"}},
			503, "[]", "Service Unavailable", "disk full", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			m := &authn.Middleware{
				Authenticators: tt.chain,
				Logger:         slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			}
			w := httptest.NewRecorder()
			m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintf(w, "hello %s", authn.FromContext(r.Context()))
			})).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			if w.Code != tt.status {
				t.Errorf("status = %d, want %d", w.Code, tt.status)
			}
			if got := fmt.Sprint(w.Header().Values("WWW-Authenticate")); got != tt.challenges {
				t.Errorf("challenges = %s, want %s", got, tt.challenges)
			}
			if got := w.Header().Get("Persistent-Auth") == "true"; got != tt.persistent {
				t.Errorf("Persistent-Auth = %v, want %v", got, tt.persistent)
			}
			if !strings.Contains(w.Body.String(), tt.body) {
				t.Errorf("body = %q, want %q in it", w.Body, tt.body)
			}
			if !strings.Contains(log.String(), tt.log) {
				t.Errorf("log = %q, want %q in it", log.String(), tt.log)
			}
		})
	}
}

// TestAttackCauseReachesPeer shows that a refusal looks the same to the client
// whatever its cause, and that the log has the reference the client was given.
func TestAttackCauseReachesPeer(t *testing.T) {
	t.Parallel()
	bodies := map[string]bool{}
	for _, reason := range []authn.Reason{authn.ReasonUnknownUser, authn.ReasonWrongPassword, authn.ReasonLockedOut, authn.ReasonReplay} {
		var log bytes.Buffer
		var ref string
		m := &authn.Middleware{
			Authenticators: []authn.Authenticator{scripted{err: &authn.RefusedError{Reason: reason}, challenge: "NTLM"}},
			Logger:         slog.New(slog.NewTextHandler(&log, nil)),
			Deny: func(w http.ResponseWriter, _ *http.Request, status int, r string) {
				ref = r
				w.WriteHeader(status)
				_, _ = io.WriteString(w, "denied")
			},
		}
		w := httptest.NewRecorder()
		m.Wrap(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		bodies[fmt.Sprint(w.Code, w.Header(), w.Body)] = true
		if len(ref) != 10 || !strings.Contains(log.String(), "ref="+ref) || !strings.Contains(log.String(), string(reason)) {
			t.Errorf("log %q lacks reference %q or reason %q", log.String(), ref, reason)
		}
	}
	if len(bodies) != 1 {
		t.Errorf("the client can tell causes apart: %v", bodies)
	}
}

// TestUnknownScheme: credentials that nobody takes are worth a line in the log.
func TestUnknownScheme(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	m := &authn.Middleware{
		Authenticators: []authn.Authenticator{scripted{err: authn.ErrNoCredentials, challenge: "NTLM"}},
		Logger:         slog.New(slog.NewTextHandler(&log, nil)),
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer secret-token")
	m.Wrap(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	if !strings.Contains(log.String(), `of the scheme \"Bearer\"`) || strings.Contains(log.String(), "secret-token") {
		t.Errorf("log = %q, want the scheme and nothing of the token", log.String())
	}
}

// TestAttackTwoAuthorizationHeaders: which of two headers counts must not be
// up to whoever is in front.
func TestAttackTwoAuthorizationHeaders(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/", nil)
	if _, _, ok := authn.Authorization(r); ok {
		t.Error("a header where there is none")
	}
	r.Header.Add("Authorization", "  NTLM  AAAA ")
	if scheme, rest, ok := authn.Authorization(r); scheme != "NTLM" || rest != "AAAA" || !ok {
		t.Errorf("Authorization = %q %q %v", scheme, rest, ok)
	}
	r.Header.Add("Authorization", "Basic QQ==")
	if scheme, rest, ok := authn.Authorization(r); scheme == "NTLM" || scheme == "Basic" || rest != "" || !ok {
		t.Errorf("two headers: Authorization = %q %q %v, want a scheme that nobody knows", scheme, rest, ok)
	}
}
