package oidc

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/kept"
)

const (
	maxSealed = 3500 // bytes: browsers keep 4096 of a cookie, its name included (RFC 6265 6.1)

	// keyAgain is how often the key is asked for, at most, for the sake of what it does
	// not open: anybody may send that. keyRetry is from one failure to the next attempt
	// while there is none.
	keyAgain = 5 * time.Second
	keyRetry = time.Second

	keyTimeout = 10 * time.Second
	keyLasts   = 100 * 365 * 24 * time.Hour // until it does not open something
)

// ErrNotBegun means that a sealed login is of nobody who has the key, or of
// another cookie.
var ErrNotBegun = errors.New("oidc: the login was not begun here: the cookie was changed, or is of another gateway")

// A LoginSealer seals logins that have begun, for cookies of the browsers that began
// them: nobody else reads or makes one. That gets nobody in, which takes an answer of
// the provider, so the key may be where all nodes find it.
//
// The zero value has a key of this process. The fields must not change after the
// first use. It is safe for concurrent use: what the key that is known opens waits
// for nobody.
type LoginSealer struct {
	// Key returns the key of all nodes. It is asked at the first use, and again, at
	// most each five seconds, when something cannot be opened: another node may have
	// replaced it. Nil means a key of this process.
	Key func(ctx context.Context) (*[32]byte, error)

	// Home is where a login leads whose Return is too long for a cookie. Empty means /.
	Home string

	Now func() time.Time // nil means time.Now

	once sync.Once
	key  kept.Value[cipher.AEAD]
}

// Seal returns l for the value of a cookie. Only Open for a cookie of that name
// opens it. An error that wraps authn.ErrUnavailable means that there is no key now.
func (s *LoginSealer) Seal(ctx context.Context, cookie string, l *Login) (string, error) {
	aead, err := s.known(ctx)
	if err != nil {
		return "", err
	}
	value, err := sealLogin(aead, cookie, l)
	if err == nil && len(value) > maxSealed { // somebody wants to go on to a very long address
		short := *l
		short.Return = cmp.Or(s.Home, "/")
		value, err = sealLogin(aead, cookie, &short)
	}
	switch {
	case err != nil:
		return "", err
	case len(value) > maxSealed:
		return "", fmt.Errorf("oidc: a login that has begun takes %d bytes of a cookie, and at most %d may be", len(value), maxSealed)
	}
	return value, nil
}

// Open returns the login that Seal sealed for a cookie of that name. The error is
// ErrNotBegun, or wraps authn.ErrUnavailable if nobody can say. When the login began,
// and at which provider, is for the caller to look at.
func (s *LoginSealer) Open(ctx context.Context, cookie, value string) (*Login, error) {
	if len(value) > maxSealed {
		return nil, ErrNotBegun
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil {
		return nil, ErrNotBegun
	}
	if _, err := s.known(ctx); err != nil {
		return nil, err
	}
	var plain []byte
	_, opened, err := s.key.Get(ctx, keyAgain, func(aead cipher.AEAD) bool {
		var err error
		plain, err = aead.Open(nil, nil, sealed, dataOf(cookie))
		return err == nil
	})
	switch {
	case err != nil: // there may be another key by now
		return nil, noKey(err)
	case !opened:
		return nil, ErrNotBegun
	}
	l := new(Login)
	if err := json.Unmarshal(plain, l); err != nil {
		return nil, ErrNotBegun
	}
	return l, nil
}

// known returns what seals with the key that was asked for last.
func (s *LoginSealer) known(ctx context.Context) (cipher.AEAD, error) {
	s.once.Do(s.prepare)
	aead, ok, err := s.key.Get(ctx, keyRetry, func(cipher.AEAD) bool { return true })
	if !ok {
		return nil, noKey(err)
	}
	return aead, nil
}

func (s *LoginSealer) prepare() {
	ask := s.Key
	if ask == nil {
		own := new([32]byte)
		_, _ = rand.Read(own[:]) // never fails (crypto/rand)
		ask = func(context.Context) (*[32]byte, error) { return own, nil }
	}
	s.key.Lifetime, s.key.Stale, s.key.Now = keyLasts, keyLasts, s.Now
	s.key.Fetch = func(ctx context.Context) (cipher.AEAD, error) {
		ctx, cancel := context.WithTimeout(ctx, keyTimeout)
		defer cancel()
		key, err := ask(ctx)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key[:])
		if err != nil {
			return nil, err
		}
		return cipher.NewGCMWithRandomNonce(block)
	}
}

func noKey(err error) error {
	return fmt.Errorf("oidc: key of logins that have begun: %w: %w", authn.ErrUnavailable, err)
}

// dataOf is what a sealed login is bound to.
func dataOf(cookie string) []byte { return []byte("soapward login 2\x00" + cookie) }

func sealLogin(aead cipher.AEAD, cookie string, l *Login) (string, error) {
	plain, err := json.Marshal(l)
	if err != nil {
		return "", fmt.Errorf("oidc: seal a login: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, plain, dataOf(cookie))), nil
}
