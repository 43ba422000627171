package access

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/soapward/soapward/authn/oidc"
)

// noteKey is where the key is kept that all nodes seal logins with which have
// begun. Who reads the store could make such a cookie, which gets nobody in: that
// takes an answer of the provider.
const noteKey = "admin login key"

// errSealed means that a cookie was not sealed here.
var errSealed = errors.New("access: the cookie was changed, or is of another gateway")

var sealContext = []byte("soapward admin login 1")

// sealer seals logins that have begun.
type sealer struct{ aead cipher.AEAD }

func newSealer(key []byte) (*sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	return &sealer{aead}, nil
}

// sealer returns that of all nodes. again looks at the store anew: two nodes that
// make the key at the same time have one of them in the end.
func (c *core) sealer(ctx context.Context, again bool) (*sealer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seal != nil && !again {
		return c.seal, nil
	}
	key, err := c.Store.SharedKey(ctx, noteKey)
	if err != nil {
		return nil, fmt.Errorf("access: key of logins: %w", err)
	}
	s, err := newSealer(key[:])
	if err == nil {
		c.seal = s
	}
	return s, err
}

func (c *core) sealLogin(ctx context.Context, l *oidc.Login) (string, error) {
	s, err := c.sealer(ctx, false)
	if err != nil {
		return "", err
	}
	plain, err := json.Marshal(l)
	if err != nil {
		return "", fmt.Errorf("access: %w", err)
	}
	value := base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, sealContext))
	if len(value) > maxCookie {
		if l.Return == home {
			return "", errors.New("access: a login that has begun takes more than a cookie holds")
		}
		short := *l
		short.Return = home
		return c.sealLogin(ctx, &short)
	}
	return value, nil
}

func (c *core) openLogin(ctx context.Context, value string) (*oidc.Login, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil {
		return nil, errSealed
	}
	for _, again := range []bool{false, true} {
		s, err := c.sealer(ctx, again)
		if err != nil {
			return nil, err
		}
		plain, err := s.aead.Open(nil, nil, raw, sealContext)
		if err != nil {
			continue
		}
		l := new(oidc.Login)
		if err := json.Unmarshal(plain, l); err != nil {
			return nil, errSealed
		}
		return l, nil
	}
	return nil, errSealed
}
