package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
)

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
