package hook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/jwt"
)

const (
	defaultKeysLifetime = time.Hour
	defaultKeysPause    = 30 * time.Second
	keysTimeout         = 10 * time.Second
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

	once sync.Once
	keys *jwt.Keys
}

// verify finds the key that signed a token.
func (k *Keys) verify(ctx context.Context, token string, allowed []jose.SignatureAlgorithm) (*jwt.Token, error) {
	k.once.Do(func() {
		k.keys = jwt.NewKeys(cmp.Or(k.Lifetime, defaultKeysLifetime), k.Now, k.fetch, func(ctx context.Context, err error, kept bool) {
			k.logger().LogAttrs(ctx, slog.LevelError, "keys cannot be fetched", slog.String("url", k.URL),
				slog.Bool("kept", kept), slog.String("cause", err.Error()))
		})
	})
	t, err := jwt.Verify(ctx, k.keys, cmp.Or(k.Pause, defaultKeysPause), token, allowed)
	if errors.Is(err, authn.ErrUnavailable) {
		return nil, fmt.Errorf("hook: keys of %s: %w", k.URL, err)
	}
	return t, err
}

func (k *Keys) logger() *slog.Logger {
	if k.Logger != nil {
		return k.Logger
	}
	return slog.Default()
}

func (k *Keys) fetch(ctx context.Context) ([]byte, error) {
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
	raw, err := io.ReadAll(io.LimitReader(res.Body, jwt.MaxKeySet+1))
	if err != nil {
		return nil, errorOf(err)
	}
	if len(raw) > jwt.MaxKeySet {
		return nil, fmt.Errorf("its answer is longer than %d bytes", jwt.MaxKeySet)
	}
	return raw, nil
}
