package jwt

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/kept"
)

// MaxKeySet bounds the answer with an issuer's keys, in bytes.
const MaxKeySet = 1 << 20

const (
	maxKeys    = 100
	minRSABits = 2048
	maxTries   = 8 // keys, of a token that names none
	maxStale   = 24 * time.Hour
)

// Keys are the public keys of an issuer (JWKS, RFC 7517). They are fetched at the
// first token, again when they are old, and when a token names a key that is not
// among them. While they cannot be fetched, those of before stay in use, for a day.
// It is safe for concurrent use.
type Keys struct{ v kept.Value[[]jose.JSONWebKey] }

// NewKeys returns keys. fetch returns the JWKS as it came. failed is told each time
// that this did not work, and whether the keys of before stay in use.
func NewKeys(lifetime time.Duration, now func() time.Time, fetch func(context.Context) ([]byte, error), failed func(ctx context.Context, err error, kept bool)) *Keys {
	return &Keys{kept.Value[[]jose.JSONWebKey]{
		Lifetime: lifetime, Stale: maxStale, Now: now, Failed: failed,
		Fetch: func(ctx context.Context) ([]jose.JSONWebKey, error) {
			raw, err := fetch(ctx)
			if err != nil {
				return nil, err
			}
			return parseKeys(raw)
		},
	}}
}

// find returns the keys that may have signed a token. An error other than ErrNoKey
// wraps authn.ErrUnavailable.
func (k *Keys) find(ctx context.Context, pause time.Duration, kid, alg string) ([]jose.JSONWebKey, error) {
	var found []jose.JSONWebKey
	_, ok, err := k.v.Get(ctx, pause, func(keys []jose.JSONWebKey) bool {
		found = pick(keys, kid, alg)
		return len(found) > 0
	})
	switch {
	case ok:
		return found, nil
	case err != nil: // it might have the key by now
		return nil, fmt.Errorf("keys of the issuer: %w: %w", authn.ErrUnavailable, err)
	}
	return nil, ErrNoKey
}

// pick returns the keys for a name and an algorithm.
func pick(keys []jose.JSONWebKey, kid, alg string) (found []jose.JSONWebKey) {
	for _, key := range keys {
		if (kid == "" || key.KeyID == kid) && (key.Algorithm == "" || key.Algorithm == alg) && fits(key.Key, alg) && len(found) < maxTries {
			found = append(found, key)
		}
	}
	return found
}

// fits reports whether a key is of the kind that an algorithm needs (RFC 7518
// 3.1): the token does not choose what the key is used for.
func fits(key any, alg string) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return alg[:2] == "RS" || alg[:2] == "PS"
	case *ecdsa.PublicKey:
		return alg == map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[key.Curve.Params().BitSize]
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}

// Inspect reads a JWKS as it came, and returns the names of keys that can be used,
// and whether one is for an allowed algorithm.
func Inspect(raw []byte, allowed []jose.SignatureAlgorithm) (ids []string, usable bool, err error) {
	keys, err := parseKeys(raw)
	for _, key := range keys {
		ids = append(ids, key.KeyID)
		usable = usable || slices.ContainsFunc(allowed, func(a jose.SignatureAlgorithm) bool {
			return (key.Algorithm == "" || key.Algorithm == string(a)) && fits(key.Key, string(a))
		})
	}
	return ids, usable, err
}

// parseKeys reads a JWKS. It leaves out what no signature of ours is verified
// with: keys of kinds we do not know, for encryption, secret ones, weak ones.
func parseKeys(raw []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil || set.Keys == nil {
		return nil, errors.New("the answer is no JWKS")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("it has %d keys, more than %d", len(set.Keys), maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, text := range set.Keys {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(text); err != nil || !key.Valid() || !key.IsPublic() || key.Use == "enc" {
			continue
		}
		if r, ok := key.Key.(*rsa.PublicKey); ok && r.N.BitLen() < minRSABits {
			continue
		}
		if slices.ContainsFunc(algorithms, func(a jose.SignatureAlgorithm) bool { return fits(key.Key, string(a)) }) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("it has no public key for signatures")
	}
	return keys, nil
}
