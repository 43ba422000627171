package oidctest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// key signs tokens.
type key struct {
	id, alg string
	private crypto.Signer
}

// rsaKeys are made once for all tests: it takes long.
var rsaKeys = [3]func() *rsa.PrivateKey{makeRSA(), makeRSA(), makeRSA()}

func makeRSA() func() *rsa.PrivateKey {
	return sync.OnceValue(func() *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return k
	})
}

func rsaKey(i int) *key { return &key{"rsa-" + random()[:6], "RS256", rsaKeys[i]()} }

func newKey(kind string, before *key) *key {
	switch kind {
	case "RSA":
		if before.private == rsaKeys[0]() {
			return rsaKey(1)
		}
		return rsaKey(0)
	case "EC":
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return &key{"ec-" + random()[:6], "ES256", k}
	case "Ed25519":
		_, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}
		return &key{"ed-" + random()[:6], "EdDSA", k}
	}
	panic("oidctest: no kind of key: " + kind)
}

// jwk is the public key as RFC 7517 has it.
func (k *key) jwk() map[string]any {
	j := map[string]any{"kid": k.id, "use": "sig", "alg": k.alg}
	switch pub := k.private.Public().(type) {
	case *rsa.PublicKey:
		j["kty"], j["n"], j["e"] = "RSA", b64(pub.N.Bytes()), b64(big.NewInt(int64(pub.E)).Bytes())
	case *ecdsa.PublicKey:
		raw, err := pub.Bytes() // 4, x, y
		if err != nil {
			panic(err)
		}
		j["kty"], j["crv"], j["x"], j["y"] = "EC", "P-256", b64(raw[1:33]), b64(raw[33:])
	case ed25519.PublicKey:
		j["kty"], j["crv"], j["x"] = "OKP", "Ed25519", b64(pub)
	}
	return j
}

func (k *key) sign(signed string) []byte {
	sum := sha256.Sum256([]byte(signed))
	var sig []byte
	var err error
	switch private := k.private.(type) {
	case *rsa.PrivateKey:
		sig, err = rsa.SignPKCS1v15(nil, private, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, private, sum[:]); err == nil {
			sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	case ed25519.PrivateKey:
		sig = ed25519.Sign(private, []byte(signed))
	}
	if err != nil {
		panic(err)
	}
	return sig
}

// PublicKeyPEM is the key that signs, as those who mistake it for a secret read it.
func (p *Provider) PublicKeyPEM() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	der, err := x509.MarshalPKIXPublicKey(p.keys[len(p.keys)-1].private.Public())
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// HS256 is a signature with a shared secret.
func HS256(secret []byte, signed string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(signed))
	return h.Sum(nil)
}

// Foreign is a signature by a key that is not the provider's.
func Foreign(signed string) []byte { return rsaKey(2).sign(signed) }

// Sign makes a token. The header has alg and kid of the key that signs, unless it
// says otherwise.
func (p *Provider) Sign(header, claims map[string]any) string {
	return p.sign(Switches{}, header, claims)
}

// SignRaw makes a token of any bytes.
func (p *Provider) SignRaw(header map[string]any, claims []byte) string {
	return p.signRaw(Switches{}, header, claims)
}

func (p *Provider) sign(s Switches, header, claims map[string]any) string {
	return p.signRaw(s, header, encode(claims))
}

func (p *Provider) signRaw(s Switches, header map[string]any, claims []byte) string {
	p.mu.Lock()
	k := p.keys[len(p.keys)-1]
	p.mu.Unlock()
	h := map[string]any{"alg": k.alg, "kid": k.id, "typ": "JWT"}
	maps.Copy(h, header)
	if s.Header != nil {
		s.Header(h)
	}
	signed := b64(encode(h)) + "." + b64(claims)
	sign := k.sign
	if s.Sign != nil {
		sign = func(signed string) []byte { return s.Sign(p, signed) }
	}
	return signed + "." + b64(sign(signed))
}

func (p *Provider) idToken(s Switches, g *grant, nonce, access string) string {
	now := p.o.Now()
	c := map[string]any{
		"iss": p.Issuer, "sub": g.user.Subject, "aud": g.client, "iat": now.Unix(), "exp": now.Add(s.lifetime()).Unix(),
		"auth_time": g.authTime.Unix(), "sid": g.sid,
	}
	if !s.ClaimsInUserinfo {
		g.user.claims(c)
	}
	if nonce != "" {
		c["nonce"] = nonce
	}
	if access != "" {
		p.mu.Lock()
		c["at_hash"] = AccessTokenHash(p.keys[len(p.keys)-1].alg, access)
		p.mu.Unlock()
	}
	if s.Claims != nil {
		s.Claims(c)
	}
	return p.sign(s, nil, c)
}

// AccessTokenHash is the claim at_hash (OpenID Connect Core 3.1.3.6). Ed25519 goes
// with SHA-512.
func AccessTokenHash(algorithm, access string) string {
	if algorithm == "EdDSA" {
		sum := sha512.Sum512([]byte(access))
		return b64(sum[:32])
	}
	sum := sha256.Sum256([]byte(access))
	return b64(sum[:16])
}

// IDToken makes one without a login. The switches hold for it.
func (p *Provider) IDToken(client, username, nonce string) string {
	p.mu.Lock()
	u, _ := p.user(username)
	s := p.s
	p.mu.Unlock()
	return p.idToken(s, &grant{client: client, user: u, sid: "sid-" + random(), authTime: p.o.Now()}, nonce, "")
}

// AccessToken makes one that is a JWT (RFC 9068). change may be nil; it sees header
// and claims.
func (p *Provider) AccessToken(audience, username string, change func(header, claims map[string]any)) string {
	p.mu.Lock()
	u, _ := p.user(username)
	p.mu.Unlock()
	now := p.o.Now()
	h := map[string]any{"typ": "at+jwt"}
	c := map[string]any{
		"iss": p.Issuer, "sub": u.Subject, "aud": audience, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"client_id": "app", "jti": random(), "scope": "read write",
	}
	u.claims(c)
	if change != nil {
		change(h, c)
	}
	return p.sign(Switches{}, h, c)
}

// EventLogout is the event of logout tokens.
const EventLogout = "http://schemas.openid.net/event/backchannel-logout"

// LogoutToken makes one for a client. subject or sessionID may be empty, change nil.
func (p *Provider) LogoutToken(client, subject, sessionID string, change func(header, claims map[string]any)) string {
	now := p.o.Now()
	h := map[string]any{"typ": "logout+jwt"}
	c := map[string]any{
		"iss": p.Issuer, "aud": client, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": random(),
		"events": map[string]any{EventLogout: map[string]any{}},
	}
	if subject != "" {
		c["sub"] = subject
	}
	if sessionID != "" {
		c["sid"] = sessionID
	}
	if change != nil {
		change(h, c)
	}
	return p.sign(Switches{}, h, c)
}

// Logout tells a client that sessions end, as a back channel does, and returns the
// status of its answer.
func (p *Provider) Logout(ctx context.Context, tb testing.TB, client *http.Client, at, token string) int {
	tb.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := client.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	return res.StatusCode
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func encode(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("oidctest: %v", err))
	}
	return raw
}
