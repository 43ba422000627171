package oidc_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authn/oidc/oidctest"
)

const redirect = "https://gw.example/console/login/callback"

// clock is one that tests move.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// world is a provider, and us.
type world struct {
	*oidctest.Provider
	us    *oidc.Provider
	clock *clock
}

// setup starts a provider. Both arguments may be nil.
func setup(tb testing.TB, o *oidctest.Options, change func(c *oidc.Config)) *world {
	tb.Helper()
	w := &world{clock: &clock{}}
	if o == nil {
		o = &oidctest.Options{}
	}
	o.Now = w.clock.now
	w.Provider = oidctest.New(tb, *o)
	w.SignIn("alice")
	w.us = w.client(tb, change)
	return w
}

func (w *world) client(tb testing.TB, change func(c *oidc.Config)) *oidc.Provider {
	tb.Helper()
	c := oidc.Config{
		Name: "it", Issuer: w.Issuer, ClientID: "web", ClientSecret: authn.NewSecret("web-secret"), DesktopClientID: "desktop",
		HTTP: w.Client(), Logger: slog.New(slog.DiscardHandler), Now: w.clock.now, Audiences: []string{"https://api.example"},
	}
	if change != nil {
		change(&c)
	}
	p, err := oidc.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// browse goes to the provider as a browser does, and returns the request that it
// is sent back with.
func browse(tb testing.TB, client *http.Client, at string) *http.Request {
	tb.Helper()
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := c.Get(at)
	if err != nil {
		tb.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusFound {
		tb.Fatalf("the provider answered %d: %s", res.StatusCode, body)
	}
	return httptest.NewRequest(http.MethodGet, res.Header.Get("Location"), nil)
}

// begin begins a login, up to the request that ends it.
func (w *world) begin(tb testing.TB, p *oidc.Provider) (*oidc.Login, *http.Request) {
	tb.Helper()
	at, l, err := p.Begin(tb.Context(), redirect, "/console/")
	if err != nil {
		tb.Fatal(err)
	}
	return l, browse(tb, w.Client(), at)
}

// login is one from begin to end.
func (w *world) login(tb testing.TB) (*authn.Identity, *oidc.Tokens, error) {
	tb.Helper()
	l, r := w.begin(tb, w.us)
	return w.us.Callback(tb.Context(), l, r)
}

func (w *world) mustLogin(tb testing.TB) (*authn.Identity, *oidc.Tokens) {
	tb.Helper()
	id, t, err := w.login(tb)
	if err != nil {
		tb.Fatal(err)
	}
	return id, t
}

// wantRefused is for what must not log anybody in.
func wantRefused(tb testing.TB, id *authn.Identity, err error, reason authn.Reason) {
	tb.Helper()
	var re *authn.RefusedError
	if id != nil || !errors.Is(err, authn.ErrBadCredentials) || !errors.As(err, &re) || re.Reason != reason || re.Mechanism != oidc.Mechanism {
		tb.Errorf("identity %v, error %v; want a refusal for the reason %s", id, err, reason)
	}
}

// wantUnavailable is for what nobody can say.
func wantUnavailable(tb testing.TB, id *authn.Identity, err error, words string) {
	tb.Helper()
	if id != nil || !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, authn.ErrBadCredentials) || !strings.Contains(err.Error(), words) {
		tb.Errorf("identity %v, error %v; want authn.ErrUnavailable with %q", id, err, words)
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	secret := "s p:a%ce+&=\u00fc"
	for _, tt := range []struct {
		name    string
		options oidctest.Options
		set     func(s *oidctest.Switches)
		rotate  string
		config  func(c *oidc.Config)
		want    string
	}{
		{name: "plain", want: `it\alice@example.com`},
		{name: "over TLS", options: oidctest.Options{TLS: true}, want: `it\alice@example.com`},
		{name: "issuer with a path", options: oidctest.Options{Path: "/tenant"}, want: `it\alice@example.com`},
		{name: "secret with all kinds of characters", options: oidctest.Options{Clients: []oidctest.Client{{ID: "web", Secret: secret}}},
			config: func(c *oidc.Config) { c.ClientSecret = authn.NewSecret(secret) }, want: `it\alice@example.com`},
		{name: "secret in the form", set: func(s *oidctest.Switches) { s.PostSecret = true }, want: `it\alice@example.com`},
		{name: "without a secret", config: func(c *oidc.Config) { c.ClientID, c.ClientSecret = "desktop", authn.Secret{} }, want: `it\alice@example.com`},
		{name: "ECDSA", rotate: "EC", want: `it\alice@example.com`},
		{name: "Ed25519", rotate: "Ed25519", want: `it\alice@example.com`},
		{name: "another claim", config: func(c *oidc.Config) { c.UsernameClaim, c.Domain = "preferred_username", "staff" }, want: `staff\alice`},
		{name: "a claim within another one", options: oidctest.Options{Users: []oidctest.User{{Subject: "1", Username: "alice", Claims: map[string]any{"account": map[string]any{"name": "al"}}}}},
			config: func(c *oidc.Config) { c.UsernameClaim = "account.name" }, want: `it\al`},
		{name: "claims at userinfo", set: func(s *oidctest.Switches) { s.ClaimsInUserinfo = true }, want: `it\alice@example.com`},
		{name: "verified, as text", set: func(s *oidctest.Switches) {
			s.Claims = func(c map[string]any) { c["email_verified"] = "true" }
		}, want: `it\alice@example.com`},
		{name: "unverified, which is allowed", set: func(s *oidctest.Switches) {
			s.Claims = func(c map[string]any) { delete(c, "email_verified") }
		}, config: func(c *oidc.Config) { c.AllowUnverifiedEmail = true }, want: `it\alice@example.com`},
		{name: "two audiences, of which we are the party", set: func(s *oidctest.Switches) {
			s.Claims = func(c map[string]any) { c["aud"], c["azp"] = []string{"api", "web"}, "web" }
		}, want: `it\alice@example.com`},
		{name: "no iss in answers", set: func(s *oidctest.Switches) { s.NoIssuerInAnswer = true }, want: `it\alice@example.com`},
		{name: "clock a little ahead", set: func(s *oidctest.Switches) {
			s.Claims = func(c map[string]any) { c["iat"] = c["iat"].(int64) + 50; c["nbf"] = c["iat"] }
		}, want: `it\alice@example.com`},
		{name: "clock a little behind", set: func(s *oidctest.Switches) {
			s.Claims = func(c map[string]any) { c["exp"] = c["iat"].(int64) - 50 }
		}, want: `it\alice@example.com`},
		{name: "no hash, no kid, no type", set: func(s *oidctest.Switches) {
			s.Claims = func(c map[string]any) { delete(c, "at_hash") }
			s.Header = func(h map[string]any) { delete(h, "kid"); delete(h, "typ") }
		}, want: `it\alice@example.com`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, &tt.options, tt.config)
			if tt.set != nil {
				w.Set(tt.set)
			}
			if tt.rotate != "" {
				w.Rotate(tt.rotate)
			}
			id, tokens, err := w.login(t)
			if err != nil || id.String() != tt.want || id.Mechanism != "oidc" || id.UPN != "" || id.SID != "" || !id.Expires.IsZero() || id.Evidence != nil || id.AuthTime.IsZero() {
				t.Fatalf("%+v, %v; want %s", id, err, tt.want)
			}
			if tokens.Subject == "" || !strings.HasPrefix(tokens.SessionID, "sid-") || tokens.IDToken.IsEmpty() || tokens.Refresh.IsEmpty() || tokens.Nonce == "" {
				t.Errorf("tokens %+v", tokens)
			}
			if left := tokens.Expires.Sub(w.clock.now()); left < 4*time.Minute || left > 5*time.Minute {
				t.Errorf("to be refreshed in %s, want in 5 min", left)
			}
		})
	}
}

func TestLoginIdentity(t *testing.T) {
	t.Parallel()
	w := setup(t, &oidctest.Options{Users: []oidctest.User{{
		Subject: "sub-1", Username: "alice", Name: "Alice Ångström", Email: "alice@example.com", EmailVerified: true, Groups: []string{"admins", `CORP\Domain Admins`},
		Claims: map[string]any{
			"phone_number": "+49 1", "number": 7, "realm_access": map[string]any{"roles": []string{"a", "b"}}, "mixed": []any{"x", 1, true},
			"upn": "administrator@corp.test",
		},
	}}}, nil)
	id, tokens := w.mustLogin(t)
	want := authn.Claims{
		"iss": {w.Issuer}, "sub": {"sub-1"}, "email": {"alice@example.com"}, "name": {"Alice Ångström"}, "preferred_username": {"alice"},
		"groups": {"admins", `CORP\Domain Admins`}, "phone_number": {"+49 1"}, "realm_access.roles": {"a", "b"}, "mixed": {"x"}, "upn": {"administrator@corp.test"},
	}
	if !reflect.DeepEqual(id.Claims, want) || id.DisplayName != "Alice Ångström" || id.Groups != nil || id.Roles != nil {
		t.Errorf("%+v\n%#v\nwant\n%#v", id, map[string][]string(id.Claims), map[string][]string(want))
	}
	text := slog.AnyValue(tokens).String() + slog.AnyValue(*tokens).String()
	if strings.Contains(text, tokens.Refresh.Reveal()) || strings.Contains(text, tokens.IDToken.Reveal()) {
		t.Error("tokens print")
	}
}

// What is asked for, and that a refresh token is asked for as the provider wants it.
func TestBegin(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, func(c *oidc.Config) { c.Scopes = []string{"groups", "email"} })
	w.Set(func(s *oidctest.Switches) { s.ConsentOffline = true })
	ask := func() (url.Values, *oidc.Login) {
		t.Helper()
		at, l, err := w.us.Begin(t.Context(), redirect, "/back")
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(at)
		if err != nil || !strings.HasPrefix(at, w.Issuer+"/authorize?") {
			t.Fatalf("%s, %v", at, err)
		}
		return u.Query(), l
	}
	q, l := ask()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "web", "redirect_uri": redirect, "scope": "openid email profile offline_access groups",
		"code_challenge_method": "S256", "state": l.State, "nonce": l.Nonce, "prompt": "",
	} {
		if q.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, q.Get(name), want)
		}
	}
	if l.Return != "/back" || l.Provider != "it" || l.Redirect != redirect || len(q.Get("code_challenge")) != 43 || strings.Contains(q.Encode(), l.Verifier) {
		t.Errorf("%+v, challenge %q", l, q.Get("code_challenge"))
	}
	if _, again := ask(); len(l.State) != 43 || len(l.Nonce) != 43 || len(l.Verifier) != 43 || again.State == l.State || again.Nonce == l.Nonce || again.Verifier == l.Verifier {
		t.Errorf("not random: %+v, %+v", l, again)
	}
	if _, tokens := w.mustLogin(t); !tokens.Refresh.IsEmpty() || !tokens.Expires.IsZero() {
		t.Fatal("a refresh token without consent")
	}
	if q, _ := ask(); q.Get("prompt") != "consent" {
		t.Error("no consent is asked for, though the provider wants it")
	}
	if _, tokens := w.mustLogin(t); tokens.Refresh.IsEmpty() {
		t.Error("no refresh token with consent")
	}
	// A provider that gives none in any case.
	w = setup(t, nil, nil)
	w.Set(func(s *oidctest.Switches) { s.Answer = func(a map[string]any) { delete(a, "refresh_token") } })
	w.mustLogin(t)
	w.mustLogin(t)
	if q, _ := ask(); q.Get("prompt") != "" {
		t.Error("consent is asked for in vain")
	}
	w = setup(t, nil, nil)
	w.Set(func(s *oidctest.Switches) { s.NoOffline = true })
	if q, _ := ask(); slices.Contains(strings.Fields(q.Get("scope")), "offline_access") {
		t.Error("offline_access is asked for, which is not offered")
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	good := oidc.Config{Name: "it", Issuer: "https://id.example", ClientID: "web"}
	if _, err := oidc.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(c *oidc.Config){
		"Name is not set":       func(c *oidc.Config) { c.Name = "" },
		"ClientID is not set":   func(c *oidc.Config) { c.ClientID = "" },
		"is not an address":     func(c *oidc.Config) { c.Issuer = "id.example" },
		"want https":            func(c *oidc.Config) { c.Issuer = "http://id.example" },
		"neither user":          func(c *oidc.Config) { c.Issuer = "https://a:b@id.example" },
		"query":                 func(c *oidc.Config) { c.Issuer = "https://id.example?x=1" },
		"slash in it":           func(c *oidc.Config) { c.Domain = `CORP\x` },
		`scope "a b"`:           func(c *oidc.Config) { c.Scopes = []string{"a b"} },
		"is a client":           func(c *oidc.Config) { c.Audiences = []string{"web"} },
		`"desktop" is a client`: func(c *oidc.Config) { c.DesktopClientID, c.Audiences = "desktop", []string{"desktop"} },
		"audience is empty":     func(c *oidc.Config) { c.Audiences = []string{""} },
		`"HS256" is not one of`: func(c *oidc.Config) { c.Algorithms = []string{"HS256"} },
		`"none" is not one of`:  func(c *oidc.Config) { c.Algorithms = []string{"RS256", "none"} },
		"Algorithms is empty":   func(c *oidc.Config) { c.Algorithms = []string{} },
	} {
		c := good
		change(&c)
		if _, err := oidc.New(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want an error with %q", err, name)
		}
	}
}

// The provider that the other tests believe in is one for a client that others
// wrote.
func TestForeignClient(t *testing.T) {
	t.Parallel()
	w := setup(t, &oidctest.Options{TLS: true}, nil)
	foreignLogin(t, w)
	w.Rotate("EC")
	foreignLogin(t, w)
}
