// Package jwt is what all who take JWTs (RFC 7519, RFC 8725) have in common.
//
//   - Keys are those of an issuer, fetched when they are needed.
//   - Verify says which of them signed a token.
//   - Claims are what it says.
//
// Whoever uses it compares the claims with what he wants.
package jwt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Algorithms are those that may be used: with a public key, so that who verifies a
// token cannot make one.
func Algorithms() []string {
	names := make([]string, len(algorithms))
	for i, a := range algorithms {
		names[i] = string(a)
	}
	return names
}

var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// ParseAlgorithms refuses all but those of Algorithms.
func ParseAlgorithms(names []string) (parsed []jose.SignatureAlgorithm, err error) {
	for _, name := range names {
		if !slices.Contains(algorithms, jose.SignatureAlgorithm(name)) {
			return nil, fmt.Errorf("the algorithm %.64q is not one of %v", name, algorithms)
		}
		parsed = append(parsed, jose.SignatureAlgorithm(name))
	}
	return parsed, nil
}

// Errors of Verify.
var (
	ErrMalformed = errors.New("not a signed JWT")
	ErrAlgorithm = errors.New("not a JWT signed with a listed algorithm")
	ErrNoKey     = errors.New("the issuer has no key of that name and kind")
	ErrSignature = errors.New("the signature is wrong")
)

// A Token was signed by one of the keys of an issuer.
type Token struct {
	Type    string // typ in small letters, without application/; may be empty
	Claims  Claims
	Payload []byte
}

// Verify finds the key that signed a token. Keys are fetched for a name that is
// unknown unless that was tried less than pause ago. An error that is none of those
// above is authn.ErrUnavailable.
func Verify(ctx context.Context, keys *Keys, pause time.Duration, token string, allowed []jose.SignatureAlgorithm) (*Token, error) {
	if strings.Count(token, ".") != 2 {
		return nil, ErrMalformed
	}
	jws, err := jose.ParseSignedCompact(token, allowed)
	if errors.As(err, new(*jose.ErrUnexpectedSignatureAlgorithm)) {
		return nil, ErrAlgorithm
	}
	if err != nil {
		return nil, ErrMalformed
	}
	header := jws.Signatures[0].Protected
	typ, _ := header.ExtraHeaders[jose.HeaderType].(string)
	t := &Token{Type: strings.TrimPrefix(strings.ToLower(typ), "application/")}
	found, err := keys.find(ctx, pause, header.KeyID, header.Algorithm)
	if errors.Is(err, ErrNoKey) {
		return nil, fmt.Errorf("key %.64q: %w", header.KeyID, err)
	}
	if err != nil {
		return nil, err
	}
	for i := range found {
		if t.Payload, err = jws.Verify(found[i].Key); err != nil {
			continue
		}
		if err := json.Unmarshal(t.Payload, &t.Claims); err != nil || t.Claims == nil {
			return nil, fmt.Errorf("the claims are no JSON object: %w", ErrMalformed)
		}
		return t, nil
	}
	return nil, ErrSignature
}
