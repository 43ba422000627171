package hook_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/hook"
	"github.com/soapward/soapward/authn/password"
)

var now = time.Unix(1_800_000_000, 0)

// serve sends a request through a Middleware and returns the answer, and the log.
func serve(a authn.Authenticator, r *http.Request) (*http.Response, string, string) {
	log := new(bytes.Buffer)
	m := &authn.Middleware{Authenticators: []authn.Authenticator{a}, Logger: slog.New(slog.NewTextHandler(log, nil))}
	w := httptest.NewRecorder()
	m.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %s", authn.FromContext(r.Context()))
	})).ServeHTTP(w, r)
	return w.Result(), w.Body.String(), log.String()
}

// secure is a request over TLS.
func secure(header ...string) *http.Request {
	r := httptest.NewRequest("GET", "https://api.test/a/b?c=d", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func TestFunc(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		id     *authn.Identity
		err    error
		status int
		body   string
		header string // WWW-Authenticate
		log    string
	}{
		{"identity", &authn.Identity{Account: "alice", Domain: "APP"}, nil, 200, `hello APP\alice`, "", "mech=custom"},
		{"next", nil, authn.ErrNoCredentials, 401, "Unauthorized", "Custom", ""},
		{"refused", nil, errors.New("why"), 401, "Unauthorized (reference ", "Custom", "cause.reason=policy cause.detail=why"},
		{"refused with a reason", nil, &authn.RefusedError{Reason: authn.ReasonExpired}, 401, "Unauthorized", "Custom", "cause.reason=expired"},
		{"status", nil, &authn.ResponseError{Status: 402, Body: []byte("pay first")}, 402, "pay first", "", "status=402"},
		{"challenge", nil, &authn.ResponseError{Status: 401, Header: http.Header{"WWW-Authenticate": {`Other x="y"`}}}, 401, "Unauthorized", `Other x="y"`, ""},
		{"nobody could say", nil, fmt.Errorf("dial: %w", authn.ErrUnavailable), 503, "Service Unavailable", "", "level=ERROR"},
		{"nothing", nil, nil, 503, "Service Unavailable", "", "neither an identity nor an error"},
		{"nobody", &authn.Identity{}, nil, 503, "Service Unavailable", "", "without an account"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := &hook.Authenticator{
				Offer: []authn.Challenge{{Scheme: "Custom"}},
				Hook:  func(context.Context, *hook.Request) (*authn.Identity, error) { return tt.id, tt.err },
			}
			res, body, log := serve(a, secure("X", "y"))
			if res.StatusCode != tt.status || !strings.Contains(body, tt.body) || res.Header.Get("WWW-Authenticate") != tt.header || !strings.Contains(log, tt.log) {
				t.Errorf("%d %q, WWW-Authenticate %q\nlog %s\nwant %d %q, %q, log %s",
					res.StatusCode, body, res.Header.Get("WWW-Authenticate"), log, tt.status, tt.body, tt.header, tt.log)
			}
			// The same, of a password.
			basic := &password.Basic{Verifier: hook.PasswordFunc(func(_ context.Context, user, pw string) (*authn.Identity, error) {
				if user != "alice" || pw != "a:b" {
					t.Errorf("the hook got %q and %q", user, pw)
				}
				return tt.id, tt.err
			})}
			r := secure()
			r.SetBasicAuth("alice", "a:b")
			res, body, log = serve(basic, r)
			if res.StatusCode != tt.status || !strings.Contains(body, tt.body) {
				t.Errorf("password: %d %q, log %s; want %d %q", res.StatusCode, body, log, tt.status, tt.body)
			}
		})
	}
}

func TestFuncSees(t *testing.T) {
	t.Parallel()
	cert := &x509.Certificate{Subject: pkix.Name{CommonName: "client"}, Raw: []byte("raw")}
	for _, verified := range []bool{false, true} {
		r := secure("Authorization", "Key k")
		r.RemoteAddr = "[::ffff:192.0.2.7]:99"
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
		if verified {
			r.TLS.VerifiedChains = [][]*x509.Certificate{{cert}}
		}
		a := &hook.Authenticator{Hook: func(_ context.Context, h *hook.Request) (*authn.Identity, error) {
			h.Header.Set("Authorization", "changed")
			if h.Method != "GET" || h.Host != "api.test" || h.Path != "/a/b" || h.Query.Get("c") != "d" || h.Client.String() != "192.0.2.7" ||
				h.Certificate != cert || h.Verified != verified {
				t.Errorf("the hook got %+v", h)
			}
			return &authn.Identity{Account: "x", Mechanism: "own", AuthTime: now}, nil
		}}
		res, err := a.Authenticate(r)
		if err != nil || res.Identity.Mechanism != "own" || !res.Identity.AuthTime.Equal(now) || !res.Fresh {
			t.Errorf("%+v, %v", res, err)
		}
		if r.Header.Get("Authorization") != "Key k" {
			t.Error("the hook changed the request")
		}
	}
}

// A verifier must not be asked for an empty password, whoever calls it.
func TestAttackHookEmptyPassword(t *testing.T) {
	t.Parallel()
	f := hook.PasswordFunc(func(context.Context, string, string) (*authn.Identity, error) {
		t.Error("the hook was asked")
		return &authn.Identity{Account: "x"}, nil
	})
	c := &hook.Callout{URL: "http://127.0.0.1:1/"}
	for _, user := range []string{"", "alice"} {
		for _, v := range []password.Verifier{f, c} {
			if _, err := v.VerifyPassword(t.Context(), user, ""); !errors.Is(err, authn.ErrBadCredentials) {
				t.Errorf("%q: %v, want a refusal", user, err)
			}
		}
	}
}

// A hook behind a trusted proxy is told the client, not the proxy, which would be
// an internal address for everybody.
func TestAttackClientBehindProxy(t *testing.T) {
	t.Parallel()
	var seen netip.Addr
	a := &hook.Authenticator{Hook: func(_ context.Context, r *hook.Request) (*authn.Identity, error) {
		seen = r.Client
		return nil, authn.ErrNoCredentials
	}}
	proxies := &authn.Proxies{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	h := proxies.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = a.Authenticate(r) }))
	h.ServeHTTP(httptest.NewRecorder(), secure("X-Forwarded-For", "203.0.113.9"))
	if seen != netip.MustParseAddr("203.0.113.9") {
		t.Errorf("client %v", seen)
	}
}

// What a hook or a service refuses is a guess if credentials were sent, so that
// package throttle counts it; requests without any are none, or each client that
// waits to be asked would be blocked.
func TestAttackGuessingAtHook(t *testing.T) {
	t.Parallel()
	said401, said403 := newService(t, 401, ""), newService(t, 403, "")
	chosen := newService(t, 200, `{"refuse": {"status": 401, "www_authenticate": "Pin"}}`)
	callout := func(s *service) authn.Authenticator {
		return &hook.Callout{URL: s.URL, Send: []string{"header X-Pin", "header Authorization"}, Timeout: 10 * time.Second}
	}
	fails := func(err error) authn.Authenticator {
		return &hook.Authenticator{Hook: func(context.Context, *hook.Request) (*authn.Identity, error) { return nil, err }}
	}
	for _, tt := range []struct {
		name   string
		a      authn.Authenticator
		header []string
		want   authn.Reason
	}{
		{"callout", callout(said401), []string{"Authorization", "Pin 1"}, authn.ReasonUnknownUser},
		{"callout, a header of its own", callout(said401), []string{"X-Pin", "1"}, authn.ReasonUnknownUser},
		{"callout that chose the answer", callout(chosen), []string{"X-Pin", "1"}, authn.ReasonUnknownUser},
		{"callout without credentials", callout(said401), nil, authn.ReasonPolicy},
		{"callout that knows the caller", callout(said403), []string{"X-Pin", "1"}, authn.ReasonPolicy},
		{"func", fails(errors.New("wrong")), []string{"Authorization", "Pin 1"}, authn.ReasonUnknownUser},
		{"func that chose the answer", fails(&authn.ResponseError{Status: 401}), []string{"Authorization", "Pin 1"}, authn.ReasonUnknownUser},
		{"func that chose another answer", fails(&authn.ResponseError{Status: 403}), []string{"Authorization", "Pin 1"}, ""},
		{"func with a reason", fails(&authn.RefusedError{Reason: authn.ReasonExpired}), []string{"Authorization", "Pin 1"}, authn.ReasonExpired},
		{"func without credentials", fails(errors.New("wrong")), nil, authn.ReasonPolicy},
	} {
		_, err := tt.a.Authenticate(secure(tt.header...))
		var refused *authn.RefusedError
		got := authn.Reason("")
		if errors.As(err, &refused) {
			got = refused.Reason
		}
		if got != tt.want || err == nil {
			t.Errorf("%s: %v, reason %q, want %q", tt.name, err, got, tt.want)
		}
	}
	_, err := (&hook.Callout{URL: said401.URL, Timeout: 10 * time.Second}).VerifyPassword(t.Context(), "alice", "x")
	var refused *authn.RefusedError
	if !errors.As(err, &refused) || refused.Reason != authn.ReasonWrongPassword || refused.User != "alice" {
		t.Errorf("password: %v", err)
	}
}
