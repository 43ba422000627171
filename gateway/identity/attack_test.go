package identity

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/soapward/soapward/authn"
)

// Whoever can make the gateway believe a token is any caller at all upstreams.
func TestAttackIdentityToken(t *testing.T) {
	t.Parallel()
	c := newClock()
	ec := ecKey(t)
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := issuer(t, map[string]string{"hr": withKey(keyFile(t, ec)), "crm": withKey(keyFile(t, rs))}, nil, c.now)
	id := alice(c.now())
	good := token(t, i, id, "hr")
	kid := i.keyOf(t, "hr")
	now := c.now().Unix()
	base := map[string]any{"iss": "soapward", "aud": "hr", "sub": "S-1", "exp": now + 300, "iat": now, "jti": "x", "account": "admin"}
	with := func(name string, value any) map[string]any {
		m := maps.Clone(base)
		if m[name] = value; value == nil {
			delete(m, name)
		}
		return m
	}
	sign := func(alg jose.SignatureAlgorithm, key any, kid, typ string, claims any) string {
		t.Helper()
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := s.Sign(b)
		if err != nil {
			t.Fatal(err)
		}
		text, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if got, err := i.Identity(t.Context(), sign(jose.ES256, ec, kid, "JWT", base)); err != nil || got.Account != "admin" {
		t.Fatalf("one that should do: %v, %v", got, err)
	}
	enc := base64.RawURLEncoding
	parts := strings.Split(good, ".")
	none := enc.EncodeToString([]byte(`{"alg":"none","typ":"JWT","kid":"`+kid+`"}`)) + "." + parts[1] + "."
	public, err := json.Marshal(i.keys[kid].jwk)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, token string
		want        authn.Reason
	}{
		{"alg none", none, authn.ReasonMalformed},
		{"no signature", parts[0] + "." + parts[1] + ".", authn.ReasonIntegrity},
		{"the public key as a shared secret", sign(jose.HS256, public, kid, "JWT", base), authn.ReasonMalformed},
		{"another key under our name", sign(jose.ES256, ecKey(t), kid, "JWT", base), authn.ReasonIntegrity},
		{"another key under another name", sign(jose.ES256, ecKey(t), "k", "JWT", base), authn.ReasonWrongKey},
		{"no name of a key", sign(jose.ES256, ec, "", "JWT", base), authn.ReasonWrongKey},
		{"the key with another algorithm", sign(jose.RS256, rs, kid, "JWT", base), authn.ReasonMechanism},
		{"the key of another service", sign(jose.RS256, rs, i.keyOf(t, "crm"), "JWT", base), authn.ReasonWrongTarget},
		{"other claims", parts[0] + "." + enc.EncodeToString([]byte(`{"iss":"soapward","aud":"hr","sub":"S-1","exp":9999999999,"jti":"x"}`)) + "." + parts[2], authn.ReasonIntegrity},
		{"another issuer", sign(jose.ES256, ec, kid, "JWT", with("iss", "other")), authn.ReasonWrongTarget},
		{"another audience", sign(jose.ES256, ec, kid, "JWT", with("aud", "crm")), authn.ReasonWrongTarget},
		{"no audience", sign(jose.ES256, ec, kid, "JWT", with("aud", nil)), authn.ReasonWrongTarget},
		{"several audiences", sign(jose.ES256, ec, kid, "JWT", with("aud", []string{"hr", "crm"})), authn.ReasonMalformed},
		{"expired", sign(jose.ES256, ec, kid, "JWT", with("exp", now)), authn.ReasonExpired},
		{"no end", sign(jose.ES256, ec, kid, "JWT", with("exp", nil)), authn.ReasonExpired},
		{"of the future", sign(jose.ES256, ec, kid, "JWT", with("iat", now+120)), authn.ReasonClockSkew},
		{"no identifier", sign(jose.ES256, ec, kid, "JWT", with("jti", nil)), authn.ReasonMalformed},
		{"another kind of token", sign(jose.ES256, ec, kid, "logout+jwt", base), authn.ReasonMechanism},
		{"no claims", sign(jose.ES256, ec, kid, "JWT", "hr"), authn.ReasonMalformed},
		{"encrypted", "a.b.c.d.e", authn.ReasonMalformed},
		{"endless", good + strings.Repeat("A", 1<<20), authn.ReasonMalformed},
		{"empty", "", authn.ReasonMalformed},
		{"two", good + ", " + good, authn.ReasonMalformed},
	} {
		got, err := i.Identity(t.Context(), tt.token)
		var refused *authn.RefusedError
		if got != nil || !errors.As(err, &refused) || refused.Reason != tt.want || !errors.Is(err, authn.ErrBadCredentials) {
			t.Errorf("%s: %v, %v, want %s", tt.name, got, err, tt.want)
		}
	}
	other := issuer(t, map[string]string{"hr": withKey(keyFile(t, ecKey(t)))}, nil, c.now)
	if _, err := other.Identity(t.Context(), good); err == nil {
		t.Error("another gateway takes the token")
	}
	c.add(5 * time.Minute)
	if got, err := i.Identity(t.Context(), good); err == nil {
		t.Errorf("%v after the token expired", got)
	}
}

func (i *Issuer) keyOf(t *testing.T, audience string) string {
	t.Helper()
	for id, k := range i.keys {
		if k.isFor(audience, i.now()) {
			return id
		}
	}
	t.Fatalf("no key for %s", audience)
	return ""
}

// Neither what logins left nor keys nor tokens are printed.
func TestAttackIdentityMemoryPrints(t *testing.T) {
	t.Parallel()
	c := newClock()
	i := issuer(t, map[string]string{"hr": withKey(keyFile(t, ecKey(t)))}, nil, c.now)
	id := alice(c.now())
	id.Evidence = &passwordEvidence{"geheim-1234"}
	text := token(t, i, id, "hr")
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", slog.Any("issuer", i), slog.Any("memory", i.known))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		fmt.Fprintf(&log, verb+verb, i, i.known)
	}
	for _, secret := range []string{"geheim", text, "alice", "0x"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q is printed: %s", secret, &log)
		}
	}
}
