package hook_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/hook"
	"github.com/soapward/soapward/authn/password"
)

// A hook sees the request and says who sent it, that it is somebody else's, or
// why it is refused.
func ExampleAuthenticator() {
	whoIs := func(_ context.Context, r *hook.Request) (*authn.Identity, error) {
		switch r.Header.Get("X-Badge") {
		case "":
			return nil, authn.ErrNoCredentials // ask the next one
		case "4711":
			return &authn.Identity{Account: "alice", Groups: []authn.Group{{Name: "staff"}}}, nil
		case "0815":
			return nil, &authn.ResponseError{
				Status: http.StatusForbidden,
				Header: http.Header{"Content-Type": {"application/json"}},
				Body:   []byte(`{"error": "this badge was reported as lost"}`),
			}
		}
		return nil, errors.New("no such badge") // 401; the text is for the log
	}
	login := &authn.Middleware{
		Authenticators: []authn.Authenticator{&hook.Authenticator{
			Hook: whoIs, Offer: []authn.Challenge{{Scheme: "Badge"}},
		}},
		Logger: slog.New(slog.DiscardHandler),
	}
	h := login.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello ", authn.FromContext(r.Context()))
	}))
	for _, badge := range []string{"4711", "0815", "1"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Badge", badge)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Printf("%d %q %s\n", w.Code, w.Header().Get("WWW-Authenticate"), w.Header().Get("Content-Type"))
	}
	// Output:
	// 200 "" text/plain; charset=utf-8
	// 403 "" application/json
	// 401 "Badge" text/plain; charset=utf-8
}

// A hook for user names and passwords, by HTTP Basic.
func ExamplePasswordFunc() {
	check := func(_ context.Context, user, pw string) (*authn.Identity, error) {
		if user == "alice" && pw == "correct horse" {
			return &authn.Identity{Account: user}, nil
		}
		return nil, &authn.RefusedError{Reason: authn.ReasonWrongPassword}
	}
	login := &password.Basic{Verifier: hook.PasswordFunc(check)}

	r := httptest.NewRequest("GET", "https://api.test/", nil)
	r.SetBasicAuth("alice", "correct horse")
	res, err := login.Authenticate(r)
	fmt.Println(res.Identity, res.Identity.Mechanism, err)
	// Output:
	// alice Basic <nil>
}

// A service that is asked, with what it is sent.
func ExampleCallout() {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"identity": {"account": "alice", "groups": [{"name": "staff"}], "expires_in": 300}}`)
	}))
	defer service.Close()

	login := &hook.Callout{
		URL:     service.URL,
		Send:    []string{"header Authorization"}, // the fewer, the more often an answer is remembered
		Timeout: 10 * time.Second,
	}
	for range 2 {
		r := httptest.NewRequest("GET", "https://api.test/", nil)
		r.Header.Set("Authorization", "Ticket abc")
		res, err := login.Authenticate(r)
		fmt.Println(res.Identity, res.Identity.Groups, "asked:", res.Fresh, err)
	}
	// Output:
	// alice [staff] asked: true <nil>
	// alice [staff] asked: false <nil>
}

// Bearer tokens of an OpenID Connect provider. Its jwks_uri is in
// https://id.example/.well-known/openid-configuration.
func ExampleJWT() {
	login := &hook.JWT{
		Keys:      &hook.Keys{URL: "https://id.example/keys"},
		Issuer:    "https://id.example/",
		Audience:  []string{"orders-api"},
		NameClaim: "preferred_username",
		Claims:    []string{"scope", "roles"}, // for authz.Role.Claims
	}
	fmt.Println(login.Check())
	fmt.Println((&hook.JWT{Keys: login.Keys, Issuer: login.Issuer}).Check())
	// Output:
	// <nil>
	// hook: JWT.Audience is not set: a token for any other service would do
}

// Keys for programs. Only their hashes are kept.
func ExampleAPIKeys() {
	key, hash := hook.NewAPIKey() // give key to whoever needs it, keep hash
	login := &hook.APIKeys{Keys: []hook.APIKey{{Name: "nightly-report", SHA256: hash}}}

	r := httptest.NewRequest("GET", "https://api.test/", nil)
	r.Header.Set("X-API-Key", key.Reveal())
	res, err := login.Authenticate(r)
	fmt.Println(res.Identity, res.Identity.Mechanism, err)
	fmt.Println(key)
	// Output:
	// nightly-report API key <nil>
	// [redacted]
}
