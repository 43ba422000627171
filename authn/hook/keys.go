package hook

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/soapward/soapward/authn"
)

const (
	defaultKeysLifetime = time.Hour
	defaultKeysPause    = 30 * time.Second
	keysTimeout         = 10 * time.Second
	maxStale            = 24 * time.Hour
	maxKeySet           = 1 << 20 // bytes
	maxKeys             = 100
	minRSABits          = 2048
	maxTries            = 8 // keys, of a token that names none
)

// Keys are the public keys of an issuer (JWKS, RFC 7517), from its address. They
// are fetched at the first token, again when they are an hour old, and when a
// token names a key that is not among them, but not more often than every 30
// seconds, whatever tokens come. While the address does not answer, the keys of
// before stay in use, for a day. The fields must not change after the first request. It is
// safe for concurrent use; several JWT may share one.
type Keys struct {
	// URL is https, or http on this machine.
	URL string

	// Lifetime is how old keys may become before they are fetched again. Zero
	// means an hour.
	Lifetime time.Duration

	// Pause is the time from one fetch to the next. Zero means 30 seconds.
	Pause time.Duration

	AllowInsecureHTTP bool // keys that anybody on the way can replace

	Transport http.RoundTripper // nil means one without a proxy
	Logger    *slog.Logger      // nil means slog.Default()
	Now       func() time.Time  // nil means time.Now

	state atomic.Pointer[keyState]
	turn  turn
}

// keyState is what was fetched, and when.
type keyState struct {
	keys  []jose.JSONWebKey
	good  time.Time // when keys were fetched
	tried time.Time // when they were asked for last
	err   error     // of that
}

// turn lets one in at a time. The zero value is ready.
type turn struct{ busy atomic.Pointer[chan struct{}] }

// take waits until nobody has the turn, or ctx ends.
func (t *turn) take(ctx context.Context) (done func(), err error) {
	mine := make(chan struct{})
	for {
		if t.busy.CompareAndSwap(nil, &mine) {
			return func() {
				t.busy.Store(nil)
				close(mine)
			}, nil
		}
		other := t.busy.Load()
		if other == nil {
			continue
		}
		select {
		case <-*other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// errNoKey means that the issuer has no such key.
var errNoKey = errors.New("the issuer has no key of that name and kind")

// find returns the keys that may have signed a token. An error other than
// errNoKey wraps authn.ErrUnavailable.
func (k *Keys) find(ctx context.Context, kid, alg string) ([]jose.JSONWebKey, error) {
	now := clock(k.Now)
	s := k.state.Load()
	if s != nil && now.Before(s.good.Add(cmp.Or(k.Lifetime, defaultKeysLifetime))) {
		if found := pick(s.keys, kid, alg); len(found) > 0 {
			return found, nil
		}
	}
	s, err := k.refresh(ctx, now, s)
	if err != nil {
		return nil, err
	}
	if found := pick(s.keys, kid, alg); len(found) > 0 {
		return found, nil
	}
	if s.err != nil { // it might have the key by now
		return nil, fmt.Errorf("hook: keys of %s: %w: %w", k.URL, authn.ErrUnavailable, s.err)
	}
	return nil, errNoKey
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

// refresh fetches the keys unless somebody did so since seen, or did it a moment
// ago.
func (k *Keys) refresh(ctx context.Context, now time.Time, seen *keyState) (*keyState, error) {
	done, err := k.turn.take(ctx)
	if err != nil {
		return nil, fmt.Errorf("hook: keys of %s: %w: %w", k.URL, authn.ErrUnavailable, err)
	}
	defer done()
	s := k.state.Load()
	if s != nil && (s != seen || now.Before(s.tried.Add(cmp.Or(k.Pause, defaultKeysPause)))) {
		return s, nil
	}
	n := &keyState{tried: now}
	// The fetch is for all who come after, so it does not end with this caller.
	n.keys, n.err = k.fetch(context.WithoutCancel(ctx))
	if n.err == nil {
		n.good = now
	} else {
		if s != nil && now.Before(s.good.Add(maxStale)) {
			n.keys, n.good = s.keys, s.good
		}
		k.logger().LogAttrs(ctx, slog.LevelError, "keys cannot be fetched", slog.String("url", k.URL),
			slog.Int("kept", len(n.keys)), slog.String("cause", n.err.Error()))
	}
	k.state.Store(n)
	return n, nil
}

func (k *Keys) logger() *slog.Logger {
	if k.Logger != nil {
		return k.Logger
	}
	return slog.Default()
}

func (k *Keys) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	if err := checkURL(k.URL, k.AllowInsecureHTTP); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.URL, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	client := newClient(k.Transport)
	if k.Transport == nil {
		defer client.CloseIdleConnections() // it is an hour until the next
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, errorOf(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered with status %d, want 200", res.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxKeySet+1))
	if err != nil {
		return nil, errorOf(err)
	}
	if len(raw) > maxKeySet {
		return nil, fmt.Errorf("its answer is longer than %d bytes", maxKeySet)
	}
	return parseKeys(raw)
}

// parseKeys reads a JWKS. It leaves out what no signature of ours is verified
// with: keys of kinds we do not know, for encryption, secret ones, weak ones.
func parseKeys(raw []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil || set.Keys == nil {
		return nil, errors.New("its answer is no JWKS")
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
		if slices.ContainsFunc(publicAlgorithms, func(a jose.SignatureAlgorithm) bool { return fits(key.Key, string(a)) }) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("it has no public key for signatures")
	}
	return keys, nil
}
