package hook_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/hook"
)

var (
	rsaKey, otherRSA = sync.OnceValue(newRSA), sync.OnceValue(newRSA)
	ecKey            = sync.OnceValue(func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return k
	})
)

func newRSA() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

// issuer is an address with keys.
type issuer struct {
	*httptest.Server
	mu      sync.Mutex
	keys    []jose.JSONWebKey
	raw     string // in place of keys
	status  int
	fetched int
	clock   atomic.Int64
}

func newIssuer(t *testing.T, keys ...jose.JSONWebKey) *issuer {
	t.Helper()
	s := &issuer{keys: keys, status: 200}
	s.clock.Store(now.Unix())
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.fetched++
		w.WriteHeader(s.status)
		if s.raw != "" {
			fmt.Fprint(w, s.raw)
			return
		}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: s.keys})
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *issuer) set(status int, keys ...jose.JSONWebKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.keys = status, keys
}

func (s *issuer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetched
}

func (s *issuer) now() time.Time { return time.Unix(s.clock.Load(), 0) }

func (s *issuer) jwt() *hook.JWT {
	return &hook.JWT{
		Keys:   &hook.Keys{URL: s.URL, Now: s.now, Logger: slog.New(slog.DiscardHandler)},
		Issuer: "https://id.test/", Audience: []string{"api", "api2"}, Now: s.now,
	}
}

func public(k any, kid string) jose.JSONWebKey {
	switch k := k.(type) {
	case *rsa.PrivateKey:
		return jose.JSONWebKey{Key: &k.PublicKey, KeyID: kid, Use: "sig"}
	case *ecdsa.PrivateKey:
		return jose.JSONWebKey{Key: &k.PublicKey, KeyID: kid}
	}
	return jose.JSONWebKey{Key: k, KeyID: kid}
}

// claims are good ones, with changes. A nil value removes one.
func claims(changes map[string]any) map[string]any {
	c := map[string]any{
		"iss": "https://id.test/", "aud": "api", "sub": "u-1", "exp": now.Unix() + 300, "iat": now.Unix(), "name": "Alice",
		"groups": []any{"staff"}, "scope": "read write", "realm_access": map[string]any{"roles": []any{"editor", 7, true}},
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func sign(t testing.TB, alg jose.SignatureAlgorithm, key any, kid string, payload any, headers ...string) string {
	t.Helper()
	opts := (&jose.SignerOptions{}).WithHeader("kid", kid)
	for i := 0; i < len(headers); i += 2 {
		opts.WithHeader(jose.HeaderKey(headers[i]), headers[i+1])
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		t.Fatal(err)
	}
	raw, ok := payload.(string)
	if !ok {
		b, err := json.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		raw = string(b)
	}
	jws, err := s.Sign([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestJWT(t *testing.T) {
	t.Parallel()
	s := newIssuer(t, public(rsaKey(), "r"), public(ecKey(), "e"))
	good := claims(nil)
	tests := []struct {
		name  string
		token string
		set   func(*hook.JWT)
		want  string // the identity, as text
	}{
		{"RS256", sign(t, jose.RS256, rsaKey(), "r", good), nil, "u-1 [staff] map[scope:[read write]]"},
		{"ES256", sign(t, jose.ES256, ecKey(), "e", good), nil, "u-1 [staff] map[scope:[read write]]"},
		{"no kid", sign(t, jose.ES256, ecKey(), "", good), nil, "u-1 [staff] map[scope:[read write]]"},
		{"PS256, listed", sign(t, jose.PS256, rsaKey(), "r", good), func(j *hook.JWT) { j.Algorithms = []string{"PS256"} }, "u-1 [staff] map[scope:[read write]]"},
		{"type of an access token", sign(t, jose.RS256, rsaKey(), "r", good, "typ", "application/at+JWT"), nil, "u-1 [staff] map[scope:[read write]]"},
		{"several audiences", sign(t, jose.RS256, rsaKey(), "r", claims(map[string]any{"aud": []any{"x", "api2"}})), nil, "u-1 [staff] map[scope:[read write]]"},
		{"within the skew", sign(t, jose.RS256, rsaKey(), "r", claims(map[string]any{"exp": now.Unix() - 59, "nbf": now.Unix() + 60, "iat": now.Unix() + 60})), nil, "u-1 [staff] map[scope:[read write]]"},
		{"claims", sign(t, jose.RS256, rsaKey(), "r", claims(map[string]any{"login": "alice", "mail": "alice@id.test", "g": "one"})), func(j *hook.JWT) {
			j.NameClaim, j.UPNClaim, j.GroupsClaim, j.Claims, j.Domain, j.Domains = "login", "mail", "g", []string{"realm_access.roles", "none"}, "ID", []string{"id.test"}
		}, `ID\alice [one] map[realm_access.roles:[editor 7 true]] alice@id.test`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := s.jwt()
			if tt.set != nil {
				tt.set(j)
			}
			res, err := j.Authenticate(secure("Authorization", "bearer "+tt.token))
			if err != nil {
				t.Fatal(err)
			}
			id := res.Identity
			got := strings.TrimSpace(fmt.Sprintf("%s %v %v %s", id, id.Groups, map[string][]string(id.Claims), id.UPN))
			if got != tt.want || id.DisplayName != "Alice" || id.Mechanism != "JWT" || !id.AuthTime.Equal(now) || !res.Fresh {
				t.Errorf("got %s (%+v), want %s", got, id, tt.want)
			}
			again, err := j.Authenticate(secure("Authorization", "Bearer "+tt.token))
			if err != nil || again.Identity != id || again.Fresh {
				t.Errorf("again: %+v, %v; want the identity of before", again, err)
			}
		})
	}
}

// Each way in which a token may be wrong.
func TestAttackJWT(t *testing.T) {
	t.Parallel()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	s := newIssuer(t, public(rsaKey(), "r"), public(ecKey(), "e"), public(weak, "weak"),
		jose.JSONWebKey{Key: []byte("a secret that everybody can read"), KeyID: "oct"},
		jose.JSONWebKey{Key: &otherRSA().PublicKey, KeyID: "enc", Use: "enc"},
		jose.JSONWebKey{Key: &otherRSA().PublicKey, KeyID: "ps", Algorithm: "PS256"})
	good := claims(nil)
	der, err := x509.MarshalPKIXPublicKey(&rsaKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	modulus := rsaKey().N.Bytes()
	unsigned := func(header string) string {
		b, _ := json.Marshal(good)
		e := base64.RawURLEncoding
		return e.EncodeToString([]byte(header)) + "." + e.EncodeToString(b) + "."
	}
	valid := sign(t, jose.RS256, rsaKey(), "r", good)
	parts := strings.Split(valid, ".")
	embedded := func() string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: otherRSA(), KeyID: "r"}}, &jose.SignerOptions{EmbedJWK: true})
		if err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(good)
		jws, _ := signer.Sign(b)
		text, _ := jws.CompactSerialize()
		return text
	}()
	changed := func(c map[string]any) string { return sign(t, jose.RS256, rsaKey(), "r", claims(c)) }
	tests := []struct {
		name   string
		token  string
		reason authn.Reason
	}{
		{"alg none", unsigned(`{"alg":"none","kid":"r"}`), authn.ReasonMalformed},
		{"alg None", unsigned(`{"alg":"None"}`), authn.ReasonMalformed},
		{"alg empty", unsigned(`{"alg":""}`), authn.ReasonMalformed},
		{"no signature", parts[0] + "." + parts[1] + ".", authn.ReasonIntegrity},
		{"HS256 with the public key", sign(t, jose.HS256, der, "r", good), authn.ReasonMalformed},
		{"HS256 with the modulus", sign(t, jose.HS256, modulus, "r", good), authn.ReasonMalformed},
		{"HS256 with a published secret", sign(t, jose.HS256, []byte("a secret that everybody can read"), "oct", good), authn.ReasonMalformed},
		{"an algorithm that is not listed", sign(t, jose.RS512, rsaKey(), "r", good), authn.ReasonMalformed},
		{"EdDSA", sign(t, jose.EdDSA, edKey, "r", good), authn.ReasonMalformed},
		{"another key", sign(t, jose.RS256, otherRSA(), "r", good), authn.ReasonIntegrity},
		{"a key in the token", embedded, authn.ReasonIntegrity},
		{"an address of keys in the token", sign(t, jose.RS256, otherRSA(), "r", good, "jku", s.URL), authn.ReasonIntegrity},
		{"a key of another kind", sign(t, jose.RS256, rsaKey(), "e", good), authn.ReasonWrongKey},
		{"a key for encryption", sign(t, jose.RS256, otherRSA(), "enc", good), authn.ReasonWrongKey},
		{"a key for another algorithm", sign(t, jose.RS256, otherRSA(), "ps", good), authn.ReasonWrongKey},
		{"a weak key", sign(t, jose.RS256, weak, "weak", good), authn.ReasonWrongKey},
		{"an unknown key", sign(t, jose.RS256, rsaKey(), "x", good), authn.ReasonWrongKey},
		{"changed claims", parts[0] + "." + strings.Split(changed(map[string]any{"sub": "admin"}), ".")[1] + "." + parts[2], authn.ReasonIntegrity},
		{"encrypted", valid + ".x.y", authn.ReasonMalformed},
		{"no JWT", "abc", authn.ReasonMalformed},
		{"no base64", "a.b!.c", authn.ReasonMalformed},
		{"nothing", "", authn.ReasonMalformed},
		{"huge", parts[0] + "." + strings.Repeat("A", 1<<20) + "." + parts[2], authn.ReasonMalformed},
		{"a logout token", sign(t, jose.RS256, rsaKey(), "r", good, "typ", "logout+jwt"), authn.ReasonMechanism},
		{"extension that must be understood", sign(t, jose.RS256, rsaKey(), "r", good, "crit", "x"), authn.ReasonIntegrity},
		{"claims are no object", sign(t, jose.RS256, rsaKey(), "r", `["x"]`), authn.ReasonMalformed},
		{"null", sign(t, jose.RS256, rsaKey(), "r", `null`), authn.ReasonMalformed},

		{"issuer", changed(map[string]any{"iss": "https://id.test"}), authn.ReasonWrongTarget},
		{"no issuer", changed(map[string]any{"iss": nil}), authn.ReasonWrongTarget},
		{"list of issuers", changed(map[string]any{"iss": []any{"https://id.test/"}}), authn.ReasonWrongTarget},
		{"audience", changed(map[string]any{"aud": "other"}), authn.ReasonWrongTarget},
		{"no audience", changed(map[string]any{"aud": nil}), authn.ReasonWrongTarget},
		{"empty audience", changed(map[string]any{"aud": []any{}}), authn.ReasonWrongTarget},
		{"audience that begins like ours", changed(map[string]any{"aud": "api.evil"}), authn.ReasonWrongTarget},
		{"expired", changed(map[string]any{"exp": now.Unix() - 60}), authn.ReasonExpired},
		{"never expires", changed(map[string]any{"exp": nil}), authn.ReasonMalformed},
		{"expires in text", changed(map[string]any{"exp": "9999999999"}), authn.ReasonMalformed},
		{"expires beyond time", changed(map[string]any{"exp": 1e300}), authn.ReasonMalformed},
		{"not yet", changed(map[string]any{"nbf": now.Unix() + 61}), authn.ReasonClockSkew},
		{"issued in the future", changed(map[string]any{"iat": now.Unix() + 61}), authn.ReasonClockSkew},

		{"no user", changed(map[string]any{"sub": nil}), authn.ReasonPolicy},
		{"empty user", changed(map[string]any{"sub": ""}), authn.ReasonPolicy},
		{"several users", changed(map[string]any{"sub": []any{"a", "b"}}), authn.ReasonPolicy},
		{"user of a domain", changed(map[string]any{"sub": `CORP\alice`}), authn.ReasonPolicy},
		{"group of a domain", changed(map[string]any{"groups": []any{"staff", `CORP\Payroll`}}), authn.ReasonPolicy},
		{"control character", changed(map[string]any{"sub": "a\x1b[2J"}), authn.ReasonPolicy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res, err := s.jwt().Authenticate(secure("Authorization", "Bearer "+tt.token))
			var re *authn.RefusedError
			if res != nil || !errors.As(err, &re) || re.Reason != tt.reason {
				t.Errorf("%+v, %v; want refused for %s", res, err, tt.reason)
			}
			if err != nil && len(tt.token) > 100 && strings.Contains(fmt.Sprintf("%v %+v", err, re.LogValue()), tt.token[len(tt.token)-40:]) {
				t.Errorf("the token is in the error: %v", err)
			}
		})
	}
	t.Run("two headers", func(t *testing.T) {
		t.Parallel()
		if res, _, _ := serve(s.jwt(), secure("Authorization", "Bearer "+valid, "Authorization", "Bearer "+valid)); res.StatusCode != 401 {
			t.Errorf("status %d, want 401", res.StatusCode)
		}
	})
	t.Run("plain HTTP", func(t *testing.T) {
		t.Parallel()
		r := httptest.NewRequest("GET", "http://api.test/", nil)
		r.Header.Set("Authorization", "Bearer "+valid)
		j := s.jwt()
		if res, err := j.Authenticate(r); !errors.Is(err, authn.ErrBadCredentials) || j.Challenges(r) != nil {
			t.Errorf("%v, %v", res, err)
		}
		j.AllowInsecureHTTP = true
		if _, err := j.Authenticate(r); err != nil {
			t.Errorf("allowed: %v", err)
		}
	})
	t.Run("in the address", func(t *testing.T) {
		t.Parallel()
		r := httptest.NewRequest("GET", "https://api.test/?access_token="+valid, nil)
		if res, err := s.jwt().Authenticate(r); !errors.Is(err, authn.ErrNoCredentials) {
			t.Errorf("%v, %v", res, err)
		}
	})
	t.Run("expired after it was remembered", func(t *testing.T) {
		t.Parallel()
		s := newIssuer(t, public(rsaKey(), "r"))
		j := s.jwt()
		r := secure("Authorization", "Bearer "+changed(map[string]any{"exp": now.Unix() + 10}))
		if _, err := j.Authenticate(r); err != nil {
			t.Fatal(err)
		}
		s.clock.Add(70)
		if res, err := j.Authenticate(r); !errors.Is(err, authn.ErrBadCredentials) {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

func TestJWTChallenge(t *testing.T) {
	t.Parallel()
	s := newIssuer(t, public(rsaKey(), "r"))
	for header, want := range map[string]string{
		"": `Bearer realm="soapward"`, "Bearer abc": `Bearer realm="soapward", error="invalid_token"`, "Basic abc": `Bearer realm="soapward"`,
	} {
		r := secure()
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		res, _, _ := serve(s.jwt(), r)
		if got := res.Header["Www-Authenticate"]; res.StatusCode != 401 || !reflect.DeepEqual(got, []string{want}) {
			t.Errorf("%s: %d %q, want %q", header, res.StatusCode, got, want)
		}
	}
}

// A new key is found, an old one goes, and an issuer that does not answer does
// not lock everybody out, or let anybody in.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	s := newIssuer(t, public(rsaKey(), "1"))
	j := s.jwt()
	ask := func(kid string, key *rsa.PrivateKey, fetched int, want error) {
		t.Helper()
		token := sign(t, jose.RS256, key, kid, claims(map[string]any{"exp": s.clock.Load() + 300, "iat": s.clock.Load(), "jti": fmt.Sprint(s.clock.Load(), fetched, want)}))
		_, err := j.Authenticate(secure("Authorization", "Bearer "+token))
		if !errors.Is(err, want) || s.count() != fetched {
			t.Fatalf("key %s: %v, %d fetches; want %v, %d", kid, err, s.count(), want, fetched)
		}
	}
	ask("1", rsaKey(), 1, nil)
	s.set(200, public(rsaKey(), "1"), public(otherRSA(), "2"))
	ask("2", otherRSA(), 1, authn.ErrBadCredentials) // fetched a moment ago
	s.clock.Add(30)
	ask("2", otherRSA(), 2, nil)
	s.set(200, public(otherRSA(), "2"))
	ask("1", rsaKey(), 2, nil)
	s.clock.Add(3600)
	ask("1", rsaKey(), 3, authn.ErrBadCredentials)
	s.clock.Add(3600)
	s.set(500)
	ask("2", otherRSA(), 4, nil) // the keys of before
	ask("2", otherRSA(), 4, nil)
	ask("1", rsaKey(), 4, authn.ErrUnavailable)
	s.clock.Add(30)
	s.set(200, public(otherRSA(), "2"))
	ask("1", rsaKey(), 5, authn.ErrBadCredentials)
	s.set(500)
	s.clock.Add(24*3600 - 1)
	ask("2", otherRSA(), 6, nil)
	s.clock.Add(30)
	ask("2", otherRSA(), 7, authn.ErrUnavailable) // too old by now
	ask("2", otherRSA(), 7, authn.ErrUnavailable)
}

// Tokens with made-up keys do not make us flood the issuer.
func TestAttackUnknownKeys(t *testing.T) {
	t.Parallel()
	s := newIssuer(t, public(rsaKey(), "r"))
	j := s.jwt()
	token := strings.Split(sign(t, jose.RS256, otherRSA(), "r", claims(nil)), ".")
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			header := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":"RS256","kid":"x%d"}`, i))
			_, err := j.Authenticate(secure("Authorization", "Bearer "+header+"."+token[1]+"."+token[2]))
			if !errors.Is(err, authn.ErrBadCredentials) {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if n := s.count(); n != 1 {
		t.Errorf("%d fetches, want one", n)
	}
}

func TestAttackKeySets(t *testing.T) {
	t.Parallel()
	usable, err := json.Marshal(public(rsaKey(), "r"))
	if err != nil {
		t.Fatal(err)
	}
	many := `{"keys": [` + strings.Repeat(string(usable)+`,`, 100) + string(usable) + `]}`
	long := strings.Repeat(" ", 1<<20) + `{"keys": [` + string(usable) + `]}`
	private, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: rsaKey(), KeyID: "r"}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{
		"not JSON": "<html>", "no keys": "{}", "empty": `{"keys": []}`, "too many": many, "too long": long,
		"secret": `{"keys": [{"kty": "oct", "kid": "r", "k": "YSBzZWNyZXQ"}]}`, "private": string(private),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newIssuer(t)
			s.raw = raw
			res, err := s.jwt().Authenticate(secure("Authorization", "Bearer "+sign(t, jose.RS256, rsaKey(), "r", claims(nil))))
			if !errors.Is(err, authn.ErrUnavailable) {
				t.Errorf("%+v, %v; want an error", res, err)
			}
		})
	}
}

// What is left out of the configuration must not leave out a check.
func TestAttackJWTIncomplete(t *testing.T) {
	t.Parallel()
	s := newIssuer(t, public(rsaKey(), "r"))
	token := sign(t, jose.RS256, rsaKey(), "r", claims(map[string]any{"iss": "", "aud": ""}))
	for name, change := range map[string]func(*hook.JWT){
		"Keys":     func(j *hook.JWT) { j.Keys = nil },
		"Issuer":   func(j *hook.JWT) { j.Issuer = "" },
		"Audience": func(j *hook.JWT) { j.Audience = nil },
		`""`:       func(j *hook.JWT) { j.Audience = []string{""} },
		"HS256":    func(j *hook.JWT) { j.Algorithms = []string{"HS256"} },
		"none":     func(j *hook.JWT) { j.Algorithms = []string{"RS256", "none"} },
		"empty":    func(j *hook.JWT) { j.Algorithms = []string{} },
		"http":     func(j *hook.JWT) { j.Keys.URL = "http://id.test/keys" },
	} {
		j := s.jwt()
		change(j)
		if err := j.Check(); err == nil {
			t.Errorf("%s: Check finds nothing", name)
		}
		if res, err := j.Authenticate(secure("Authorization", "Bearer "+token)); err == nil {
			t.Errorf("%s: %+v", name, res)
		}
	}
}

func BenchmarkJWT(b *testing.B) {
	s := &issuer{keys: []jose.JSONWebKey{public(rsaKey(), "r")}, status: 200}
	s.clock.Store(now.Unix())
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: s.keys})
	}))
	defer s.Close()
	j := s.jwt()
	r := secure("Authorization", "Bearer "+sign(b, jose.RS256, rsaKey(), "r", claims(nil)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := j.Authenticate(r); err != nil {
			b.Fatal(err)
		}
	}
}
