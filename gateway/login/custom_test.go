package login_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/login"
)

// ask makes a call with headers, given in pairs.
func ask(t testing.TB, c *http.Client, method, url string, header ...string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return answer(t, resp)
}

func (w *world) custom(text string) *httptest.Server {
	w.t.Helper()
	c := w.config(`
listen: [{addr: ":443"}]
services: {x: {match: {path: /}, upstream: {url: "http://127.0.0.1"}, login: [custom], custom: ` + text + `}}
`)
	s, err := login.New(c, w.options(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = s.Close(nil) })
	return w.serve(c, s, "x")
}

func TestCustomCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	calls := 0
	judge := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		calls++
		b, _ := io.ReadAll(r.Body)
		switch {
		case strings.Contains(string(b), "Bearer good"):
			_, _ = io.WriteString(rw, `{"identity": {"account": "robot"}}`)
		case strings.Contains(string(b), "Bearer broken"):
			rw.WriteHeader(http.StatusInternalServerError)
		default:
			_, _ = io.WriteString(rw, `{"refuse": {"status": 403, "body": "not today"}}`)
		}
	}))
	t.Cleanup(judge.Close)
	srv := w.custom(fmt.Sprintf("{call: %q}", judge.URL))
	for _, tt := range []struct{ token, want string }{
		{"good", "200 robot by custom"}, {"good", "200 robot by custom"}, {"bad", "403 not today"}, {"broken", "503"},
	} {
		if got := ask(t, srv.Client(), "GET", srv.URL, "Authorization", "Bearer "+tt.token); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.token, got, tt.want)
		}
	}
	if calls != 4 {
		t.Errorf("%d calls, want one for each request: there is no cache unless it is configured", calls)
	}
}

func TestCustomKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := marked + "api-key"
	srv := w.custom(fmt.Sprintf("{api_keys: [{name: robot, hash: %x}]}", sha256.Sum256([]byte(key))))
	for _, tt := range []struct{ key, want string }{{key, "200 robot by"}, {key + "x", "401"}, {"", "401"}} {
		if got := ask(t, srv.Client(), "GET", srv.URL, "X-API-Key", tt.key); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%q: %s, want %s", tt.key, got, tt.want)
		}
	}
	if strings.Contains(w.log.String(), marked) {
		t.Error("a key is in the log")
	}
}

// token makes a JWT signed by key.
func token(t testing.TB, key ed25519.PrivateKey, claims map[string]any) string {
	t.Helper()
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := part(map[string]string{"alg": "EdDSA", "kid": "k"}) + "." + part(claims)
	return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(text)))
}

func TestCustomJWT(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwks := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(rw, `{"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k", "x": %q}]}`, base64.RawURLEncoding.EncodeToString(public))
	}))
	t.Cleanup(jwks.Close)
	srv := w.custom(fmt.Sprintf(`{jwt: {jwks: %q, issuer: "https://id.example", audience: [api], algorithms: [EdDSA], username_claim: email_name}}`, jwks.URL))
	claims := func(change ...string) map[string]any {
		m := map[string]any{"iss": "https://id.example", "aud": "api", "sub": "7", "email_name": "robot", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
		for i := 0; i+1 < len(change); i += 2 {
			m[change[i]] = change[i+1]
		}
		return m
	}
	for _, tt := range []struct {
		name, token, want string
	}{
		{"good", token(t, private, claims()), "200 robot by"},
		{"other audience", token(t, private, claims("aud", "elsewhere")), "401"},
		{"other issuer", token(t, private, claims("iss", "https://evil.example")), "401"},
		{"other key", token(t, other, claims()), "401"},
		{"a user of a domain", token(t, private, claims("email_name", `CORP\alice`)), "401"},
	} {
		if got := ask(t, srv.Client(), "GET", srv.URL, "Authorization", "Bearer "+tt.token); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// Without a store there are logins too, and what protects them is in memory.
func TestNoStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(`
listen: [{addr: ":443"}]
realms: {corp: {kerberos: {realm: CORP.TEST, kdc: ["%KDC%"], keytab: gw.keytab}}}
services: {x: {match: {path: /}, upstream: {url: "http://127.0.0.1"}, login: [corp/negotiate], session: true}}
`)
	o := w.options()
	o.Store = nil
	s, err := login.New(c, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(nil) })
	srv := w.serve(c, s, "x")
	client := w.client(srv, w.kerberos("alice"))
	if got := get(t, client, srv.URL); got != `200 CORP\alice by Kerberos` {
		t.Fatal(got)
	}
	// Sessions outlive a reload.
	s2, err := login.New(c, o, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s2.Close(nil) })
	srv2 := w.serve(c, s2, "x")
	plain := w.client(srv2, nil)
	for _, k := range client.Jar.Cookies(mustURL(t, srv.URL)) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", srv2.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(k)
		resp, err := plain.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := answer(t, resp); got != `200 CORP\alice by Kerberos` {
			t.Errorf("the session after a reload: %s", got)
		}
	}
	if s.Resolver() != nil {
		t.Error("a resolver without a directory")
	}
}

// While the store is away nobody logs in, and nobody is refused; then they do.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(both)
	s := w.set(c, nil)
	srv := w.serve(c, s, "kerberos")
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	if got := get(t, w.client(srv, w.kerberos("alice")), srv.URL); !strings.Contains(got, "503 Service Unavailable") {
		t.Errorf("%s, want 503", got)
	}
	for _, k := range s.Checks() {
		if k.Name == "store" && (k.Run(t.Context()) == nil || !k.Essential) {
			t.Error("the check of the store says nothing")
		}
	}
	for _, d := range w.seen.reasons() {
		if !strings.HasPrefix(d, string(authn.OutcomeUnavailable)) {
			t.Errorf("told of %q, want that nobody could say", d)
		}
	}
}

func mustURL(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Who is asked for a custom login is looked for, and not asked.
func TestProviderChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	there := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked") }))
	t.Cleanup(there.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	c := w.config(fmt.Sprintf(`
listen: [{addr: ":443"}]
services:
  a: {match: {path: /a}, upstream: {url: "http://127.0.0.1"}, login: [custom], custom: {call: "%[1]s/x"}}
  b: {match: {path: /b}, upstream: {url: "http://127.0.0.1"}, login: [custom], custom: {jwt: {jwks: "%[2]s/k", issuer: i, audience: [x]}}}
`, there.URL, gone.URL))
	got := make(map[string]bool)
	for _, k := range w.set(c, nil).Checks() {
		got[k.Name] = k.Run(t.Context()) == nil
	}
	for name, want := range map[string]bool{
		"service a: call-out " + strings.TrimPrefix(there.URL, "http://"): true,
		"service b: keys of " + strings.TrimPrefix(gone.URL, "http://"):   false,
	} {
		if up, ok := got[name]; !ok || up != want {
			t.Errorf("%s: listed %v, up %v, want %v; of %v", name, ok, up, want, got)
		}
	}
}
