package oidc_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/authn/oidc/oidctest"
)

// Whatever a provider, or who is between, puts into an ID token: nobody is logged in.
func TestAttackOIDCToken(t *testing.T) {
	t.Parallel()
	want := map[string]authn.Reason{
		"issuer of somebody else": authn.ReasonWrongTarget, "issuer with a slash": authn.ReasonWrongTarget, "issuer in a list": authn.ReasonWrongTarget,
		"issuer in capitals": authn.ReasonWrongTarget, "no issuer": authn.ReasonWrongTarget,
		"audience of another client": authn.ReasonWrongTarget, "audience in capitals": authn.ReasonMalformed, "no audience": authn.ReasonMalformed,
		"two audiences without azp": authn.ReasonWrongTarget, "authorized party of another": authn.ReasonWrongTarget, "two audiences, azp the other": authn.ReasonWrongTarget,
		"another nonce": authn.ReasonLoginMixedUp, "nonce in a list": authn.ReasonMalformed,
		"expired": authn.ReasonExpired, "no expiry": authn.ReasonMalformed, "expiry as text": authn.ReasonMalformed,
		"issued tomorrow": authn.ReasonClockSkew, "no time of issue": authn.ReasonMalformed, "not valid yet": authn.ReasonClockSkew, "login in future": authn.ReasonClockSkew,
		"no subject": authn.ReasonMalformed, "empty subject": authn.ReasonMalformed, "subject a list": authn.ReasonMalformed, "huge subject": authn.ReasonMalformed,
		"subject of dots": authn.ReasonMalformed, "huge": authn.ReasonMalformed,
		"no signature": authn.ReasonMalformed, "no signature, spelled": authn.ReasonMalformed, "client secret as key": authn.ReasonMalformed,
		"public key as secret": authn.ReasonMalformed, "foreign key": authn.ReasonIntegrity, "signature cut off": authn.ReasonIntegrity,
		"algorithm of another": authn.ReasonWrongKey,
		"access token":         authn.ReasonMechanism, "logout token": authn.ReasonMechanism, "kind in capitals": authn.ReasonMechanism,
		"unknown header": authn.ReasonIntegrity, "hash of another access token": authn.ReasonIntegrity,
	}
	w := setup(t, nil, nil)
	lies := oidctest.Lies(w.clock.now)
	for _, name := range slices.Sorted(maps.Keys(lies)) {
		w.Reset()
		w.Set(lies[name])
		id, tokens, err := w.login(t)
		t.Log(name, err)
		wantRefused(t, id, err, want[name])
		if tokens != nil {
			t.Errorf("%s: tokens %+v", name, tokens)
		}
		w.clock.advance(2 * time.Second) // keys may be asked for again
		w.Reset()
		w.mustLogin(t) // and that was all that was wrong
	}
	if len(lies) != len(want) {
		t.Errorf("%d lies, %d reasons", len(lies), len(want))
	}
	for _, raw := range []string{"", ".", "..", "a.b.c", "e30.e30.e30", strings.Repeat("a.", 100), strings.Repeat("x", 65<<10)} {
		w.Set(func(s *oidctest.Switches) { s.Answer = func(a map[string]any) { a["id_token"] = raw } })
		id, _, err := w.login(t)
		wantRefused(t, id, err, authn.ReasonMalformed)
	}
	for _, v := range []any{nil, 1, []string{"x"}, map[string]string{}} {
		w.Set(func(s *oidctest.Switches) { s.Answer = func(a map[string]any) { a["id_token"] = v } })
		id, _, err := w.login(t)
		wantRefused(t, id, err, authn.ReasonMalformed)
	}
}

// An answer counts in the browser that began the login, once, and within 10 minutes.
func TestAttackOIDCState(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	answer := func(change func(q url.Values)) func(l *oidc.Login, r *http.Request) {
		return func(_ *oidc.Login, r *http.Request) {
			q := r.URL.Query()
			change(q)
			r.URL.RawQuery = q.Encode()
		}
	}
	for name, tt := range map[string]struct {
		change func(l *oidc.Login, r *http.Request)
		want   authn.Reason
	}{
		"no state":            {answer(func(q url.Values) { q.Del("state") }), authn.ReasonLoginMixedUp},
		"empty state":         {answer(func(q url.Values) { q.Set("state", "") }), authn.ReasonLoginMixedUp},
		"another state":       {answer(func(q url.Values) { q.Set("state", "x") }), authn.ReasonLoginMixedUp},
		"state cut off":       {answer(func(q url.Values) { q.Set("state", q.Get("state")[:42]) }), authn.ReasonLoginMixedUp},
		"two states":          {answer(func(q url.Values) { q.Add("state", q.Get("state")) }), authn.ReasonMalformed},
		"two codes":           {answer(func(q url.Values) { q.Add("code", "x") }), authn.ReasonMalformed},
		"no code":             {answer(func(q url.Values) { q.Del("code") }), authn.ReasonMalformed},
		"error without state": {answer(func(q url.Values) { q.Set("error", "access_denied"); q.Del("state") }), authn.ReasonLoginMixedUp},
		"error and code":      {answer(func(q url.Values) { q.Set("error", "access_denied") }), authn.ReasonProviderRefused},
		"huge":                {answer(func(q url.Values) { q.Set("x", strings.Repeat("x", 16<<10)) }), authn.ReasonMalformed},
		"broken":              {func(_ *oidc.Login, r *http.Request) { r.URL.RawQuery += "&%zz" }, authn.ReasonMalformed},
		"posted":              {func(_ *oidc.Login, r *http.Request) { r.Method = http.MethodPost }, authn.ReasonMalformed},
		"login without state": {func(l *oidc.Login, r *http.Request) {
			l.State, r.URL.RawQuery = "", "code=x&iss="+url.QueryEscape(w.Issuer)
		}, authn.ReasonLoginMixedUp},
		"login without nonce":    {func(l *oidc.Login, _ *http.Request) { l.Nonce = "" }, authn.ReasonLoginMixedUp},
		"login without verifier": {func(l *oidc.Login, _ *http.Request) { l.Verifier = "" }, authn.ReasonLoginMixedUp},
		"another nonce":          {func(l *oidc.Login, _ *http.Request) { l.Nonce = "x" }, authn.ReasonLoginMixedUp},
		"at another provider":    {func(l *oidc.Login, _ *http.Request) { l.Provider = "other" }, authn.ReasonLoginMixedUp},
		"ten minutes ago":        {func(l *oidc.Login, _ *http.Request) { l.Begun = l.Begun.Add(-10 * time.Minute) }, authn.ReasonExpired},
		"in the future":          {func(l *oidc.Login, _ *http.Request) { l.Begun = l.Begun.Add(2 * time.Minute) }, authn.ReasonClockSkew},
	} {
		l, r := w.begin(t, w.us)
		tt.change(l, r)
		asked := w.Requests("/token")
		id, _, err := w.us.Callback(t.Context(), l, r)
		t.Log(name, err)
		wantRefused(t, id, err, tt.want)
		if name != "another nonce" && w.Requests("/token") != asked {
			t.Errorf("%s: the code was passed on", name)
		}
	}
	_, r := w.begin(t, w.us)
	id, _, err := w.us.Callback(t.Context(), nil, r)
	wantRefused(t, id, err, authn.ReasonLoginMixedUp)
}

// A code that somebody saw, or wants somebody else to be logged in with, is of use
// to nobody but the browser whose login it is of.
func TestAttackOIDCCodeInjected(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	_, stolen := w.begin(t, w.us)
	l, r := w.begin(t, w.us)
	q := r.URL.Query()
	q.Set("code", stolen.URL.Query().Get("code"))
	r.URL.RawQuery = q.Encode()
	id, _, err := w.us.Callback(t.Context(), l, r)
	wantRefused(t, id, err, authn.ReasonProviderRefused) // PKCE
	// A provider that knows no PKCE: the nonce is another one.
	w.Set(func(s *oidctest.Switches) {
		s.Serve = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/token" {
				return false
			}
			rw.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(rw, `{"access_token": "x", "token_type": "Bearer", "id_token": %q}`, w.IDToken("web", "bob", "nonce of bob"))
			return true
		}
	})
	l, r = w.begin(t, w.us)
	id, _, err = w.us.Callback(t.Context(), l, r)
	wantRefused(t, id, err, authn.ReasonLoginMixedUp)
}

// The same answer of the browser a second time.
func TestAttackOIDCCodeReplay(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	for _, tt := range []struct {
		name string
		keep bool // the provider takes codes again
		want authn.Reason
	}{
		{"as providers do", false, authn.ReasonProviderRefused},
		{"a provider that does not look", true, authn.ReasonReplay},
	} {
		w.Set(func(s *oidctest.Switches) { s.KeepCodes = tt.keep })
		l, r := w.begin(t, w.us)
		if _, _, err := w.us.Callback(t.Context(), l, r); err != nil {
			t.Fatal(err)
		}
		id, _, err := w.us.Callback(t.Context(), l, r)
		wantRefused(t, id, err, tt.want)
	}
}

// TestAttackOIDCMadeUpCodes: who begins logins and makes up codes has the provider
// asked about a bounded number of them, and keeps nobody else from logging in.
func TestAttackOIDCMadeUpCodes(t *testing.T) {
	t.Parallel()
	now := new(still)
	now.advance(20_000 * 24 * time.Hour)
	w := &world{Provider: oidctest.New(t, oidctest.Options{Now: now.now})}
	w.SignIn("alice")
	used := 0
	w.clock = new(clock)
	w.us = w.client(t, func(c *oidc.Config) {
		c.Now = now.now
		c.Used = func(context.Context, [32]byte, time.Time) (bool, error) { used++; return true, nil }
	})
	l, r := w.begin(t, w.us)
	good := r.URL.RawQuery
	q := r.URL.Query()
	q.Set("code", "made up")
	r.URL.RawQuery = q.Encode()
	for range 120 {
		id, _, err := w.us.Callback(t.Context(), l, r)
		wantRefused(t, id, err, authn.ReasonProviderRefused)
	}
	asked := w.Requests(oidctest.PathToken)
	for range 50 {
		if id, _, err := w.us.Callback(t.Context(), l, r); id != nil || !errors.Is(err, authn.ErrOverloaded) || errors.Is(err, authn.ErrBadCredentials) {
			t.Fatalf("%v, %v", id, err)
		}
	}
	if n := w.Requests(oidctest.PathToken); n != asked || asked != 120 || used != 0 {
		t.Errorf("the provider was asked %d times, then %d more; %d were remembered", asked, n-asked, used)
	}
	r.URL.RawQuery = good
	other := r.WithContext(authn.WithClient(t.Context(), netip.MustParseAddr("192.0.2.99")))
	if _, _, err := w.us.Callback(t.Context(), l, other); err != nil {
		t.Error(err)
	}
	now.advance(time.Minute)
	for range 200 { // those that bring tokens are not counted
		w.mustLogin(t)
	}
}

// Two providers, one of which is evil, and has us take answers and codes of the
// other one for its own (RFC 9207, RFC 9700 4.4).
func TestAttackOIDCMixUp(t *testing.T) {
	t.Parallel()
	honest, evil := setup(t, nil, nil), setup(t, nil, func(c *oidc.Config) { c.Name = "evil" })
	ctx := t.Context()

	// The evil one sends the user on to the honest one, with our client there. Its
	// answer, with a good code, comes back where the evil one's is awaited.
	at, l, err := evil.us.Begin(ctx, redirect, "")
	if err != nil {
		t.Fatal(err)
	}
	r := browse(t, honest.Client(), strings.Replace(at, evil.Issuer, honest.Issuer, 1))
	id, _, err := evil.us.Callback(ctx, l, r)
	wantRefused(t, id, err, authn.ReasonLoginMixedUp)
	if evil.Requests("/token") != 0 {
		t.Error("the code of the honest provider was given to the evil one")
	}
	for name, change := range map[string]func(q url.Values){
		"the honest one's answer without iss": func(q url.Values) { q.Del("iss") },
		"with two":                            func(q url.Values) { q.Add("iss", evil.Issuer) },
		"with one in another spelling":        func(q url.Values) { q.Set("iss", honest.Issuer+"/") },
		"with an empty one":                   func(q url.Values) { q.Set("iss", "") },
	} {
		l, r := honest.begin(t, honest.us)
		q := r.URL.Query()
		change(q)
		r.URL.RawQuery = q.Encode()
		if id, _, err := honest.us.Callback(ctx, l, r); id != nil || !errors.Is(err, authn.ErrBadCredentials) {
			t.Errorf("%s: %v, %v", name, id, err)
		}
	}
	// A login that began at one ends at the other.
	l, r = honest.begin(t, honest.us)
	id, _, err = evil.us.Callback(ctx, l, r)
	wantRefused(t, id, err, authn.ReasonLoginMixedUp)

	// The evil one passes on an ID token of the honest one, and one of its own that
	// names that issuer.
	for name, raw := range map[string]string{
		"token of the honest one": honest.IDToken("web", "alice", "n"),
		"in its name":             evil.Sign(nil, map[string]any{"iss": honest.Issuer, "aud": "web", "sub": "sub-alice", "nonce": "n", "exp": 1 << 35}),
	} {
		evil.Set(func(s *oidctest.Switches) { s.Answer = func(a map[string]any) { a["id_token"] = raw } })
		if id, _, err := evil.login(t); id != nil || !errors.Is(err, authn.ErrBadCredentials) {
			t.Errorf("%s: %v, %v", name, id, err)
		}
	}
}

// Names that are, or look like, those of somebody else.
func TestAttackOIDCNames(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, func(c *oidc.Config) { c.UsernameClaim = "user" })
	for name, v := range map[string]any{
		"domain": `CORP\administrator`, "slash": "corp.test/administrator", "empty": "", "spaces": " alice", "only space": " ", "line": "alice\nbob", "nul": "alice\x00",
		"zero width": "al\u200bice", "right to left": "alice\u202e", "soft hyphen": "al\u00adice", "no-break space": "alice\u00a0", "no UTF-8": "alice\xff",
		"list": []string{"alice"}, "number": 7, "object": map[string]any{"x": "alice"}, "null": nil, "long": strings.Repeat("x", 257), "true": true,
	} {
		w.Set(func(s *oidctest.Switches) { s.Claims = func(c map[string]any) { c["user"] = v } })
		id, _, err := w.login(t)
		t.Log(name, err)
		wantRefused(t, id, err, authn.ReasonPolicy)
	}
	w.Set(func(s *oidctest.Switches) {
		s.Claims = func(c map[string]any) { c["user"], c["name"] = "Zoë o'Hara", "Zoë\u202e" }
	})
	if id, _ := w.mustLogin(t); id.Account != "Zoë o'Hara" || id.DisplayName != "" {
		t.Errorf("%+v", id)
	}
}

// Anybody may enter anybody's address at some providers.
func TestAttackOIDCUnverifiedEmail(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	for name, v := range map[string]any{"false": false, "text": "false", "number": 1, "list": []any{true}, "other text": "yes", "null": nil} {
		w.Set(func(s *oidctest.Switches) { s.Claims = func(c map[string]any) { c["email_verified"] = v } })
		w.Set(func(s *oidctest.Switches) { s.NoUserinfo = true })
		w.us = w.client(t, nil)
		id, _, err := w.login(t)
		t.Log(name)
		wantRefused(t, id, err, authn.ReasonPolicy)
	}
	// Userinfo vouches for its own address only, and so does the token.
	w = setup(t, nil, nil)
	w.Set(func(s *oidctest.Switches) {
		s.Claims = func(c map[string]any) { delete(c, "email_verified"); c["email"] = "administrator@example.com" }
	})
	if id, _ := w.mustLogin(t); id.Account != "alice@example.com" {
		t.Errorf("%s: another address was vouched for", id)
	}
	w.Set(func(s *oidctest.Switches) {
		s.Claims = func(c map[string]any) { delete(c, "email") }
		s.Userinfo = func(c map[string]any) { c["email"], c["email_verified"] = "administrator@example.com", false }
	})
	id, _, err := w.login(t)
	wantRefused(t, id, err, authn.ReasonPolicy)
	// Where another claim has the name, the address is not among the claims.
	w = setup(t, nil, func(c *oidc.Config) { c.UsernameClaim = "preferred_username" })
	w.ChangeUser("alice", func(u *oidctest.User) { u.EmailVerified = false })
	if id, _ := w.mustLogin(t); id.Claims["email"] != nil {
		t.Errorf("an address that nobody verified: %v", id.Claims["email"])
	}
}

// Userinfo that is of somebody else, or cannot be read.
func TestAttackOIDCUserinfo(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	for name, change := range map[string]func(c map[string]any){
		"another subject": func(c map[string]any) { c["sub"] = "sub-bob" }, "no subject": func(c map[string]any) { delete(c, "sub") },
		"subject a list": func(c map[string]any) { c["sub"] = []any{"sub-alice"} }, "in capitals": func(c map[string]any) { c["Sub"] = c["sub"]; delete(c, "sub") },
	} {
		w.Set(func(s *oidctest.Switches) { s.ClaimsInUserinfo, s.Userinfo = true, change })
		id, _, err := w.login(t)
		t.Log(name)
		wantRefused(t, id, err, authn.ReasonLoginMixedUp)
	}
	for words, serve := range map[string]func(w http.ResponseWriter){
		"no JSON object": func(w http.ResponseWriter) { fmt.Fprint(w, "[]") },
		"is a JWT": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/jwt")
			fmt.Fprint(w, "e30.e30.")
		},
		"status 500":    func(w http.ResponseWriter) { w.WriteHeader(500) },
		"too long":      func(w http.ResponseWriter) { fmt.Fprintf(w, `{"x": %q}`, strings.Repeat("x", 256<<10)) },
		"another place": func(w http.ResponseWriter) { w.Header().Set("Location", "https://evil.example/"); w.WriteHeader(302) },
		"status 304":    func(w http.ResponseWriter) { w.WriteHeader(304) },
	} {
		w.Set(func(s *oidctest.Switches) {
			s.Userinfo = nil
			s.Serve = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/userinfo" {
					serve(rw)
				}
				return r.URL.Path == "/userinfo"
			}
		})
		id, _, err := w.login(t)
		wantUnavailable(t, id, err, words)
	}
}

// More claims than anybody has.
func TestAttackOIDCManyClaims(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	many, nested, numbers := map[string]any{}, map[string]any{}, map[string]any{}
	for i := range 201 {
		many[fmt.Sprint("c", i)], nested[fmt.Sprint("c", i)] = "x", "x"
		numbers[fmt.Sprint("n", i)] = i
	}
	long := make([]string, 2001)
	for name, more := range map[string]map[string]any{
		"many": many, "many numbers": numbers, "nested": {"o": nested}, "long list": {"groups": long}, "long value": {"x": strings.Repeat("x", 4097)},
	} {
		w.Set(func(s *oidctest.Switches) { s.Claims = func(c map[string]any) { maps.Copy(c, more) } })
		id, _, err := w.login(t)
		t.Log(name)
		wantRefused(t, id, err, authn.ReasonMalformed)
	}
}

// An ID token of the command line counts once, for a short time, and for the
// command line.
func TestAttackOIDCExchangedToken(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	verify := func(raw, nonce string) (*authn.Identity, error) {
		id, _, err := w.us.VerifyIDToken(t.Context(), authn.NewSecret(raw), nonce, 5*time.Minute)
		return id, err
	}
	w.Rotate("EC")
	raw := w.IDToken("desktop", "alice", "n")
	id, tokens, err := w.us.VerifyIDToken(t.Context(), authn.NewSecret(raw), "n", 5*time.Minute)
	if err != nil || id.String() != `it\alice@example.com` || tokens.Subject != "sub-alice" || tokens.SessionID == "" {
		t.Fatalf("%v, %+v, %v", id, tokens, err)
	}
	id, err = verify(raw, "n")
	wantRefused(t, id, err, authn.ReasonReplay)
	// The other signature that ECDSA has for the same.
	id, err = verify(otherSignature(t, raw), "n")
	wantRefused(t, id, err, authn.ReasonReplay)

	id, err = verify(w.IDToken("desktop", "alice", "n"), "m")
	wantRefused(t, id, err, authn.ReasonLoginMixedUp)
	id, err = verify(w.IDToken("desktop", "alice", "n"), "")
	wantRefused(t, id, err, authn.ReasonLoginMixedUp)
	id, err = verify(w.IDToken("web", "alice", "n"), "n")
	wantRefused(t, id, err, authn.ReasonWrongTarget)
	if id, err := verify(w.IDToken("desktop", "alice", ""), ""); err != nil || id == nil {
		t.Errorf("of a device: %v", err)
	}
	w.Set(func(s *oidctest.Switches) { s.Lifetime = time.Hour })
	old := w.IDToken("desktop", "alice", "n")
	w.clock.advance(6*time.Minute + time.Second)
	id, err = verify(old, "n")
	wantRefused(t, id, err, authn.ReasonExpired)
	// Every lie is one here too.
	w.Reset()
	w.Rotate("RSA")
	w.clock.advance(30 * time.Second)
	for name, lie := range oidctest.Lies(w.clock.now) {
		if name == "hash of another access token" || name == "client secret as key" { // there is none here
			continue
		}
		w.Reset()
		w.Set(lie)
		raw := w.IDToken("desktop", "alice", "n")
		if id, err := verify(raw, "n"); id != nil || !errors.Is(err, authn.ErrBadCredentials) {
			t.Errorf("%s: %v, %v", name, id, err)
		}
	}
}

// A memory that several nodes share, that fails, and one that is full.
func TestAttackOIDCMemory(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	seen := map[[32]byte]time.Time{}
	used := func(c *oidc.Config) {
		c.Used = func(_ context.Context, digest [32]byte, until time.Time) (bool, error) {
			_, again := seen[digest]
			seen[digest] = until
			return !again, nil
		}
	}
	one, two := w.client(t, used), w.client(t, used)
	raw := authn.NewSecret(w.IDToken("desktop", "alice", "n"))
	if _, _, err := one.VerifyIDToken(t.Context(), raw, "n", time.Minute); err != nil {
		t.Fatal(err)
	}
	id, _, err := two.VerifyIDToken(t.Context(), raw, "n", time.Minute)
	wantRefused(t, id, err, authn.ReasonReplay)
	for _, until := range seen {
		if left := until.Sub(w.clock.now()); left < 110*time.Second || left > 2*time.Minute {
			t.Errorf("remembered for %s, want 2 min", left)
		}
	}
	broken := w.client(t, func(c *oidc.Config) {
		c.Used = func(context.Context, [32]byte, time.Time) (bool, error) { return true, errors.New("store down") }
	})
	id, _, err = broken.VerifyIDToken(t.Context(), authn.NewSecret(w.IDToken("desktop", "alice", "n")), "n", time.Minute)
	wantUnavailable(t, id, err, "store down")
}

// Access tokens are for an API, and nothing else is an access token.
func TestAttackOIDCBearer(t *testing.T) {
	t.Parallel()
	const api = "https://api.example"
	w := setup(t, nil, nil)
	ask := func(a authn.Authenticator, token string) (*authn.Identity, error) {
		r := httptest.NewRequest(http.MethodGet, "https://api.example/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := a.Authenticate(r)
		if err != nil {
			return nil, err
		}
		return res.Identity, nil
	}
	change := func(f func(h, c map[string]any)) string { return w.AccessToken(api, "alice", f) }
	claim := func(name string, v any) string { return change(func(_, c map[string]any) { c[name] = v }) }
	now := w.clock.now()
	for name, tt := range map[string]struct {
		token string
		want  authn.Reason
	}{
		"ID token":                    {w.IDToken("web", "alice", "n"), authn.ReasonWrongTarget},
		"ID token for the API":        {w.IDToken(api, "alice", "n"), authn.ReasonMechanism},
		"ID token with a hash":        {change(func(h, c map[string]any) { h["typ"], c["at_hash"] = "JWT", "x" }), authn.ReasonMechanism},
		"logout token for the API":    {w.LogoutToken(api, "sub-alice", "", nil), authn.ReasonMechanism},
		"logout token without a type": {w.LogoutToken(api, "sub-alice", "", func(h, _ map[string]any) { delete(h, "typ") }), authn.ReasonMechanism},
		"another type":                {change(func(h, _ map[string]any) { h["typ"] = "dpop+jwt" }), authn.ReasonMechanism},
		"for another API":             {w.AccessToken("https://other.example", "alice", nil), authn.ReasonWrongTarget},
		"for a client":                {w.AccessToken("web", "alice", nil), authn.ReasonWrongTarget},
		"for nobody":                  {change(func(_, c map[string]any) { delete(c, "aud") }), authn.ReasonMalformed},
		"another issuer":              {claim("iss", "https://evil.example"), authn.ReasonWrongTarget},
		"expired":                     {claim("exp", now.Add(-2*time.Minute).Unix()), authn.ReasonExpired},
		"never expires":               {change(func(_, c map[string]any) { delete(c, "exp") }), authn.ReasonMalformed},
		"of tomorrow":                 {claim("iat", now.Add(24*time.Hour).Unix()), authn.ReasonClockSkew},
		"not yet":                     {claim("nbf", now.Add(2*time.Minute).Unix()), authn.ReasonClockSkew},
		"no subject":                  {change(func(_, c map[string]any) { delete(c, "sub") }), authn.ReasonMalformed},
		"domain in the name":          {claim("email", `CORP\administrator`), authn.ReasonPolicy},
		"unverified":                  {claim("email_verified", false), authn.ReasonPolicy},
		"none":                        {change(func(h, _ map[string]any) { h["alg"] = "none" }), authn.ReasonMalformed},
		"HS256":                       {change(func(h, _ map[string]any) { h["alg"] = "HS256" }), authn.ReasonMalformed},
		"changed":                     {change(nil)[1:], authn.ReasonMalformed},
		"signature of another":        {cut(change(nil)) + "." + last(w.AccessToken(api, "bob", nil)), authn.ReasonIntegrity},
		"opaque":                      {"abc", authn.ReasonMalformed},
		"empty":                       {"", authn.ReasonMalformed},
		"huge": {change(func(_, c map[string]any) {
			for i := range 5 {
				c[fmt.Sprint("x", i)] = strings.Repeat("x", 4000)
			}
		}), authn.ReasonMalformed},
	} {
		id, err := ask(w.us.Bearer(), tt.token)
		t.Log(name, err)
		wantRefused(t, id, err, tt.want)
	}
	if id, err := ask(w.client(t, func(c *oidc.Config) { c.Audiences = nil }).Bearer(), change(nil)); id != nil || !errors.Is(err, authn.ErrNoCredentials) {
		t.Errorf("without audiences: %v, %v", id, err)
	}
	r := httptest.NewRequest(http.MethodGet, "http://api.example/", nil)
	r.Header.Set("Authorization", "Bearer "+change(nil))
	_, err := w.us.Bearer().Authenticate(r)
	wantRefused(t, nil, err, authn.ReasonPolicy)
	if w.us.Bearer().Challenges(r) != nil {
		t.Error("tokens are asked for over plain HTTP")
	}
	if _, err := w.us.InsecureBearer().Authenticate(r); err != nil {
		t.Error(err)
	}
}

func cut(token string) string  { return token[:strings.LastIndexByte(token, '.')] }
func last(token string) string { return token[strings.LastIndexByte(token, '.')+1:] }

// Tokens with made-up keys, which anybody can send, do not make us flood the
// provider.
func TestAttackOIDCUnknownKeys(t *testing.T) {
	t.Parallel()
	w := setup(t, nil, nil)
	a := w.us.Bearer()
	send := func(n int) {
		for i := range n {
			r := httptest.NewRequest(http.MethodGet, "https://api.example/", nil)
			r.Header.Set("Authorization", "Bearer "+w.Sign(map[string]any{"kid": fmt.Sprint("made up ", i)}, map[string]any{"iss": w.Issuer}))
			_, err := a.Authenticate(r)
			wantRefused(t, nil, err, authn.ReasonWrongKey)
		}
	}
	send(50)
	w.clock.advance(30 * time.Second)
	send(50)
	if n := w.Requests("/keys"); n != 2 {
		t.Errorf("keys were fetched %d times, want 2", n)
	}
}
