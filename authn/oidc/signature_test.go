package oidc_test

import (
	"crypto/elliptic"
	"encoding/base64"
	"math/big"
	"testing"
)

// otherSignature returns an ES256 token with the other signature that is right for
// what it says: r and n-s.
func otherSignature(tb testing.TB, token string) string {
	tb.Helper()
	sig, err := base64.RawURLEncoding.DecodeString(last(token))
	if err != nil || len(sig) != 64 {
		tb.Fatalf("a signature of %d bytes, %v", len(sig), err)
	}
	s := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(sig[32:]))
	s.FillBytes(sig[32:])
	return cut(token) + "." + base64.RawURLEncoding.EncodeToString(sig)
}
