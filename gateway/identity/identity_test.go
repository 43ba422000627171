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

func TestKeyRefused(t *testing.T) {
	t.Parallel()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(ecKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	open := keyFile(t, ecKey(t))
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("geheim-1234\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, file, want string }{
		{"curve", keyFile(t, p384), "P-384: want P-256"},
		{"public", pemFile(t, "PUBLIC KEY", public), `"PUBLIC KEY": want a private key`},
		{"locked", pemFile(t, "ENCRYPTED PRIVATE KEY", public), "openssl pkey"},
		{"damaged", pemFile(t, "PRIVATE KEY", []byte("geheim-1234")), "damaged"},
		{"no PEM", text, "openssl genpkey"},
		{"permissions", open, "chmod 0640"},
	} {
		_, err := New(parse(t, map[string]string{"hr": withKey(tt.file)}), nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "services.hr.upstream.identity.jwt.key") || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// ticketEvidence stands for what a Kerberos login leaves.
type ticketEvidence struct {
	client  string
	expires time.Time
}

func (*ticketEvidence) EvidenceKind() string  { return "ticket" }
func (e *ticketEvidence) Client() string      { return e.client }
func (e *ticketEvidence) Expires() time.Time  { return e.expires }
func (*ticketEvidence) Forwardable() bool     { return true }
func (*ticketEvidence) HasForwardedTGT() bool { return false }

// passwordEvidence stands for what a login by password leaves.
type passwordEvidence struct{ password string }

func (*passwordEvidence) EvidenceKind() string { return "password" }

// A caller gets the same token as long as it is good for a while, and never
// another caller's.
func TestTokenReused(t *testing.T) {
	t.Parallel()
	c := newClock()
	i := issuer(t, map[string]string{"hr": withKey(keyFile(t, ecKey(t)))}, nil, c.now)
	end := c.now().Add(time.Hour)
	with := func(change func(*authn.Identity)) *authn.Identity {
		id := alice(c.now())
		id.Evidence = &ticketEvidence{"alice@CORP.TEST", end}
		change(id)
		return id
	}
	first := with(func(*authn.Identity) {})
	text := token(t, i, first, "hr")
	for _, tt := range []struct {
		name string
		id   *authn.Identity
		same bool
	}{
		{"the same", first, true},
		{"the same ticket once more", with(func(id *authn.Identity) { id.AuthTime = id.AuthTime.Add(time.Second) }), true},
		{"another ticket", with(func(id *authn.Identity) { id.Evidence = &ticketEvidence{"alice@CORP.TEST", end.Add(1)} }), false},
		{"another principal", with(func(id *authn.Identity) { id.Evidence = &ticketEvidence{"bob@CORP.TEST", end} }), false},
		{"no evidence", with(func(id *authn.Identity) { id.Evidence = nil }), false},
		{"a password", with(func(id *authn.Identity) { id.Evidence = &passwordEvidence{"a"} }), false},
		{"another object with a password", with(func(id *authn.Identity) { id.Evidence = &passwordEvidence{"a"} }), false},
		{"another mechanism", with(func(id *authn.Identity) { id.Mechanism = authn.MechanismNTLM }), false},
		{"a role less", with(func(id *authn.Identity) { id.Roles = nil }), false},
		{"a group less", with(func(id *authn.Identity) { id.Groups = id.Groups[1:] }), false},
		{"another name", with(func(id *authn.Identity) { id.DisplayName = "A." }), false},
		{"another UPN", with(func(id *authn.Identity) { id.UPN = "a@corp.test" }), false},
		{"an end", with(func(id *authn.Identity) { id.Expires = end }), false},
		{"another account", with(func(id *authn.Identity) { id.Account = "bob" }), false},
	} {
		got := token(t, i, tt.id, "hr")
		if (got == text) != tt.same {
			t.Errorf("%s: the same token: %v, want %v", tt.name, got == text, tt.same)
		}
		if id, err := i.Identity(t.Context(), got); err != nil || !tt.same && id != tt.id {
			t.Errorf("%s: %v, %v, want the caller it was made for", tt.name, id, err)
		}
		if tt.same {
			continue
		}
		text = token(t, i, first, "hr") // may be another one by now
	}
	c.add(149 * time.Second)
	if token(t, i, first, "hr") != text {
		t.Error("another token with more than half of the lifetime left")
	}
	c.add(2 * time.Second)
	if token(t, i, first, "hr") == text {
		t.Error("the same token with less than half of the lifetime left")
	}
}

// Somebody at two machines comes with two tickets in turn. Each has a token that is
// used again: one for all would be made, and remembered, with every request.
func TestTokenOfTwoTickets(t *testing.T) {
	t.Parallel()
	c := newClock()
	i := issuer(t, map[string]string{"hr": withKey(keyFile(t, ecKey(t)))}, nil, c.now)
	var ids [2]*authn.Identity
	var first [2]string
	for n := range ids {
		ids[n] = alice(c.now())
		ids[n].Evidence = &ticketEvidence{"alice@CORP.TEST", c.now().Add(time.Duration(n+1) * time.Hour)}
		first[n] = token(t, i, ids[n], "hr")
	}
	for n, id := range ids {
		if token(t, i, id, "hr") != first[n] {
			t.Errorf("ticket %d has another token now", n+1)
		}
	}
}

// What a login left is found by the token until that expires, and no longer kept.
func TestEvidence(t *testing.T) {
	t.Parallel()
	c := newClock()
	i := issuer(t, map[string]string{"hr": withKey(keyFile(t, ecKey(t)))}, nil, c.now)
	id := alice(c.now())
	id.Evidence = &ticketEvidence{"alice@CORP.TEST", c.now().Add(time.Hour)}
	text := token(t, i, id, "hr")
	got, err := i.Identity(t.Context(), text)
	if err != nil || got != id {
		t.Fatalf("%v, %v, want the identity itself", got, err)
	}
	i.known.mu.Lock()
	i.known.remove(i.known.queue[0]) // as if another process had made it
	i.known.mu.Unlock()
	got, err = i.Identity(t.Context(), text)
	if err != nil || got.Evidence != nil || got.SID != id.SID || got.Mechanism != id.Mechanism || got.Groups[0].Name != `CORP\Payroll` || got.Groups[1].SID == "" || !slices.Equal(got.Roles, id.Roles) {
		t.Errorf("%+v, %v, want what the claims say", got, err)
	}

	for n := range 3 {
		id := alice(c.now())
		id.Account = fmt.Sprint(n)
		token(t, i, id, "hr")
	}
	c.add(5 * time.Minute)
	token(t, i, id, "hr")
	if n := len(i.known.queue) + len(i.known.byToken) + len(i.known.byLogin); n != 3 {
		t.Errorf("%d entries, want one in each", n)
	}
}

func TestMemoryBounded(t *testing.T) {
	t.Parallel()
	c := newClock()
	i := issuer(t, map[string]string{"hr": withKey(keyFile(t, ecKey(t)))}, nil, c.now)
	i.known.max = 8
	var texts []string
	for n := range 20 {
		id := alice(c.now())
		id.Account, id.Evidence = fmt.Sprint(n), &passwordEvidence{}
		texts = append(texts, token(t, i, id, "hr"))
		c.add(time.Second)
	}
	if n := len(i.known.byToken); n != 8 || len(i.known.queue) != 8 || len(i.known.byLogin) != 8 {
		t.Errorf("%d are remembered, want 8", n)
	}
	for n, text := range texts {
		id, err := i.Identity(t.Context(), text)
		if err != nil || (id.Evidence != nil) != (n >= 12) || id.Account != fmt.Sprint(n) {
			t.Errorf("%d: %+v, %v, want the evidence of the last 8", n, id, err)
		}
	}
}

// A reload with another key leaves tokens good, and keys published, for a
// lifetime.
func TestRotation(t *testing.T) {
	t.Parallel()
	c := newClock()
	old := issuer(t, map[string]string{"hr": withKey(keyFile(t, ecKey(t)))}, nil, c.now)
	id := alice(c.now())
	id.Evidence = &passwordEvidence{}
	text := token(t, old, id, "hr")
	next := issuer(t, map[string]string{"hr": withKey(keyFile(t, ecKey(t)))}, old, c.now)
	c.add(time.Minute)
	next = issuer(t, map[string]string{"hr": withKey(keyFile(t, ecKey(t)))}, next, c.now)
	if got, err := next.Identity(t.Context(), text); err != nil || got != id {
		t.Errorf("after reloads: %v, %v", got, err)
	}
	if got := token(t, next, id, "hr"); got == text {
		t.Error("the old key goes on signing")
	}
	if n := len(next.keySet().Keys); n != 3 {
		t.Errorf("%d keys, want 3", n)
	}
	c.add(4 * time.Minute)
	if n := len(next.keySet().Keys); n != 2 {
		t.Errorf("%d keys after the first one's last token expired, want 2", n)
	}
	if _, err := next.Identity(t.Context(), text); !errors.Is(err, authn.ErrBadCredentials) {
		t.Errorf("after its end: %v", err)
	}
	gone, err := newIssuer(parse(t, nil), next, c.now)
	if err != nil || gone == nil {
		t.Fatalf("%v, %v, want an issuer while tokens are out", gone, err)
	}
	c.add(5 * time.Minute)
	if last, err := newIssuer(parse(t, nil), gone, c.now); err != nil || last != nil {
		t.Errorf("%v, %v, want none", last, err)
	}
}

// A service that gets another audience is still called out for by old tokens.
func TestAudienceChanged(t *testing.T) {
	t.Parallel()
	c := newClock()
	key := withKey(keyFile(t, ecKey(t)))
	old := issuer(t, map[string]string{"hr": key}, nil, c.now)
	text := token(t, old, alice(c.now()), "hr")
	next := issuer(t, map[string]string{"hr": key + ", audience: new"}, old, c.now)
	next = issuer(t, map[string]string{"hr": key + ", audience: new"}, next, c.now)
	if _, err := next.Identity(t.Context(), text); err != nil {
		t.Error(err)
	}
	c.add(4 * time.Minute)
	fresh := issuer(t, map[string]string{"hr": key + ", audience: new"}, next, c.now)
	c.add(2 * time.Minute)
	if _, err := fresh.Identity(t.Context(), text); err == nil {
		t.Error("an expired token")
	}
	if k := fresh.keys[slices.Collect(mapsKeys(fresh))[0]]; k.isFor("hr", c.now()) {
		t.Error("the former audience has no end")
	}
}

func mapsKeys(i *Issuer) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range i.keys {
			if !yield(k) {
				return
			}
		}
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

func TestKeysHandler(t *testing.T) {
	t.Parallel()
	i := issuer(t, map[string]string{"hr": withKey(keyFile(t, ecKey(t)))}, nil, time.Now)
	w := httptest.NewRecorder()
	i.Keys().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if h := w.Header(); h.Get("Content-Type") != "application/jwk-set+json" || h.Get("Cache-Control") != "public, max-age=60" {
		t.Errorf("header %v", h)
	}
	w = httptest.NewRecorder()
	i.Keys().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
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
