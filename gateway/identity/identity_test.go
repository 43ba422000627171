package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func ecKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// keyFile writes a key as PKCS#8.
func keyFile(t testing.TB, key crypto.Signer) string {
	t.Helper()
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemFile(t, "PRIVATE KEY", b)
}

func pemFile(t testing.TB, kind string, b []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// parse makes a configuration of services, each with the settings of its token.
func parse(t testing.TB, services map[string]string) *config.Config {
	t.Helper()
	var b strings.Builder
	b.WriteString("listen: [{addr: \":443\"}]\n")
	if len(services) > 0 {
		b.WriteString("services:\n")
	}
	for name, jwt := range services {
		fmt.Fprintf(&b, "  %s: {match: {path: /%s/}, login: [none], upstream: {url: \"http://127.0.0.1:1\", identity: {jwt: {header: X-Identity, %s}}}}\n", name, name, jwt)
	}
	c, err := config.Parse("gw.yaml", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func issuer(t testing.TB, services map[string]string, previous *Issuer, now func() time.Time) *Issuer {
	t.Helper()
	i, err := newIssuer(parse(t, services), previous, now)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func withKey(file string) string { return "key: {file: " + file + "}" }

func alice(now time.Time) *authn.Identity {
	return &authn.Identity{
		Account: "alice", Domain: "CORP", UPN: "alice@corp.test", DisplayName: "Alice Liddell", SID: "S-1-5-21-1-2-3-1104",
		Groups:    []authn.Group{{SID: "S-1-5-21-1-2-3-2000", Name: `CORP\Payroll`}, {SID: "S-1-5-21-1-2-3-2001"}},
		Roles:     []string{"approver"},
		Mechanism: authn.MechanismKerberos, AuthTime: now,
	}
}

func token(t testing.TB, i *Issuer, id *authn.Identity, service string) string {
	t.Helper()
	s, err := i.Token(t.Context(), id, service)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// payload is what a backend reads of a token, verified with the published keys.
func payload(t *testing.T, i *Issuer, text string) (map[string]any, *jose.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	i.Keys().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/.soapward/keys", nil))
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(w.Body.Bytes(), &set); err != nil {
		t.Fatal(err)
	}
	for _, k := range set.Keys {
		if !k.IsPublic() {
			t.Fatal("a private key is published")
		}
	}
	jws, err := jose.ParseSignedCompact(text, algorithms)
	if err != nil {
		t.Fatal(err)
	}
	h := jws.Signatures[0].Protected
	keys := set.Key(h.KeyID)
	if len(keys) != 1 {
		t.Fatalf("%d keys %q", len(keys), h.KeyID)
	}
	b, err := jws.Verify(keys[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m, &h
}

func TestToken(t *testing.T) {
	t.Parallel()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ec := ecKey(t)
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, file, alg string }{
		{"P-256", keyFile(t, ec), "ES256"},
		{"P-256 as SEC 1", pemFile(t, "EC PRIVATE KEY", sec1), "ES256"},
		{"Ed25519", keyFile(t, ed), "EdDSA"},
		{"RSA", keyFile(t, rs), "RS256"},
		{"RSA as PKCS#1", pemFile(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs)), "RS256"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			i := issuer(t, map[string]string{"hr": withKey(tt.file)}, nil, c.now)
			text := token(t, i, alice(c.now()), "hr")
			m, h := payload(t, i, text)
			if h.Algorithm != tt.alg || h.ExtraHeaders[jose.HeaderType] != "JWT" {
				t.Errorf("header %+v, want %s and type JWT", h, tt.alg)
			}
			now := float64(c.now().Unix())
			want := map[string]any{
				"iss": "soapward", "aud": "hr", "sub": "S-1-5-21-1-2-3-1104", "exp": now + 300, "iat": now, "jti": m["jti"],
				"name": "Alice Liddell", "account": "alice", "domain": "CORP", "upn": "alice@corp.test", "sid": "S-1-5-21-1-2-3-1104",
				"mechanism": "Kerberos", "auth_time": now,
				"groups": []any{`CORP\Payroll`, "S-1-5-21-1-2-3-2001"}, "roles": []any{"approver"},
			}
			if got, want := fmt.Sprint(m), fmt.Sprint(want); got != want || m["jti"] == "" {
				t.Errorf("claims\n%s, want\n%s", got, want)
			}
			id, err := i.Identity(t.Context(), text)
			if err != nil || id.Account != "alice" {
				t.Errorf("%v, %v, want alice", id, err)
			}
		})
	}
}

func TestTokenSettings(t *testing.T) {
	t.Parallel()
	c := newClock()
	file := keyFile(t, ecKey(t))
	i := issuer(t, map[string]string{
		"sids": withKey(file) + ", groups: sids, audience: \"https://hr.corp.test\", lifetime: 1h",
		"none": withKey(file) + ", groups: none",
	}, nil, c.now)
	m, _ := payload(t, i, token(t, i, alice(c.now()), "sids"))
	if fmt.Sprint(m["groups"]) != "[S-1-5-21-1-2-3-2000 S-1-5-21-1-2-3-2001]" || m["aud"] != "https://hr.corp.test" || m["exp"].(float64)-m["iat"].(float64) != 3600 {
		t.Errorf("claims %v", m)
	}
	m, _ = payload(t, i, token(t, i, alice(c.now()), "none"))
	if m["groups"] != nil || m["groups_truncated"] != nil {
		t.Errorf("groups %v, want none", m["groups"])
	}
	local := &authn.Identity{Account: "eve", Domain: "LOCAL", Mechanism: "Basic", Expires: c.now().Add(time.Minute)}
	m, _ = payload(t, i, token(t, i, local, "none"))
	if m["sub"] != `LOCAL\eve` || m["exp"].(float64)-m["iat"].(float64) != 60 {
		t.Errorf("claims %v, want the name as subject, and no longer than the login", m)
	}
	for _, name := range []string{"other", ""} {
		if _, err := i.Token(t.Context(), local, name); !errors.Is(err, ErrNoToken) {
			t.Errorf("service %q: %v", name, err)
		}
	}
	c.add(time.Minute)
	if _, err := i.Token(t.Context(), local, "none"); err == nil {
		t.Error("a token about a login that has ended")
	}
}

// Members of many groups get a token that fits into a header.
func TestTokenGroupsTruncated(t *testing.T) {
	t.Parallel()
	c := newClock()
	i := issuer(t, map[string]string{"hr": withKey(keyFile(t, ecKey(t)))}, nil, c.now)
	id := alice(c.now())
	for n := range 2000 {
		id.Groups = append(id.Groups, authn.Group{Name: fmt.Sprintf(`CORP\A group "with" <a> long näme %d`, n)})
	}
	text := token(t, i, id, "hr")
	m, _ := payload(t, i, text)
	groups := m["groups"].([]any)
	if len(text) > maxToken || len(text) < maxToken-200 || m["groups_truncated"] != true || m["roles_truncated"] != nil || len(groups) < 50 || groups[0] != `CORP\Payroll` {
		t.Errorf("%d bytes, %d groups, truncated %v", len(text), len(groups), m["groups_truncated"])
	}
	id = alice(c.now())
	id.DisplayName = strings.Repeat("x", maxToken)
	if _, err := i.Token(t.Context(), id, "hr"); err == nil {
		t.Error("a token with a name that has no end")
	}
}

func TestNil(t *testing.T) {
	t.Parallel()
	i, err := New(parse(t, nil), nil)
	if i != nil || err != nil {
		t.Fatalf("%v, %v, want none", i, err)
	}
	if _, err := i.Token(t.Context(), alice(time.Now()), "hr"); !errors.Is(err, ErrNoToken) {
		t.Errorf("token: %v", err)
	}
	if _, err := i.Identity(t.Context(), "a.b.c"); !errors.Is(err, authn.ErrBadCredentials) {
		t.Errorf("identity: %v", err)
	}
	w := httptest.NewRecorder()
	i.Keys().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Body.String() != `{"keys":[]}` {
		t.Errorf("keys: %s", w.Body)
	}
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	i := issuer(t, map[string]string{"hr": withKey(keyFile(t, ecKey(t)))}, nil, time.Now)
	var wg sync.WaitGroup
	for n := range 16 {
		wg.Go(func() {
			for range 100 {
				id := alice(time.Time{})
				id.Account = fmt.Sprint(n)
				text, err := i.Token(t.Context(), id, "hr")
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := i.Identity(t.Context(), text); err != nil || got.Account != id.Account {
					t.Errorf("%v, %v, want %v", got, err, id)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkToken(b *testing.B) {
	key := withKey(keyFile(b, ecKey(b)))
	i := issuer(b, map[string]string{"hr": key}, nil, time.Now)
	groups := make([]authn.Group, 60)
	for n := range groups {
		groups[n] = authn.Group{SID: authn.SID(fmt.Sprintf("S-1-5-21-1-2-3-%d", n)), Name: fmt.Sprintf(`CORP\Group %d`, n)}
	}
	b.Run("same identity", func(b *testing.B) {
		id := alice(time.Now())
		id.Groups = groups
		for b.Loop() {
			_, _ = i.Token(b.Context(), id, "hr")
		}
	})
	b.Run("same login, 60 groups", func(b *testing.B) {
		end := time.Now().Add(time.Hour)
		a, other := alice(time.Now()), alice(time.Now())
		a.Groups, other.Groups = slices.Clone(groups), slices.Clone(groups)
		a.Evidence, other.Evidence = &ticketEvidence{"a", end}, &ticketEvidence{"a", end}
		token(b, i, a, "hr")
		for b.Loop() {
			_, _ = i.Token(b.Context(), other, "hr")
		}
	})
	b.Run("signed", func(b *testing.B) {
		for b.Loop() {
			id := alice(time.Now())
			id.Evidence = &passwordEvidence{}
			_, _ = i.Token(b.Context(), id, "hr")
		}
	})
	text := token(b, i, alice(time.Now()), "hr")
	b.Run("known", func(b *testing.B) {
		for b.Loop() {
			_, _ = i.Identity(b.Context(), text)
		}
	})
	b.Run("verified", func(b *testing.B) {
		i := issuer(b, map[string]string{"hr": key}, nil, time.Now) // has not made it
		for b.Loop() {
			_, _ = i.Identity(b.Context(), text)
		}
	})
}
