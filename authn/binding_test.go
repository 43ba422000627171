package authn_test

import (
	"crypto/x509"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
)

func TestEndpointBinding(t *testing.T) {
	t.Parallel()
	const prefix = "tls-server-end-point:"
	tests := []struct {
		name string
		alg  x509.SignatureAlgorithm
		size int
	}{ // RFC 5929 4.1
		{"MD5 gives way", x509.MD5WithRSA, 32},
		{"SHA-1 gives way", x509.SHA1WithRSA, 32},
		{"SHA-256", x509.SHA256WithRSA, 32},
		{"SHA-384", x509.ECDSAWithSHA384, 48},
		{"SHA-384 PSS", x509.SHA384WithRSAPSS, 48},
		{"SHA-512", x509.SHA512WithRSA, 64},
		{"no single hash", x509.PureEd25519, 32},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cb := string(authn.EndpointBinding(&x509.Certificate{Raw: []byte("certificate"), SignatureAlgorithm: tt.alg}))
			if !strings.HasPrefix(cb, prefix) || len(cb) != len(prefix)+tt.size {
				t.Errorf("binding = %q, want %q and %d bytes", cb, prefix, tt.size)
			}
		})
	}
}

// TestGSSHash uses the example that the Python projects requests_ntlm and
// ntlm-auth publish for a SHA-256 certificate hash.
func TestGSSHash(t *testing.T) {
	t.Parallel()
	sum, err := hex.DecodeString("e3ca49271e5089cc48ce82109f1324f41dbeddc29a777410c738f7868c4ff405")
	if err != nil {
		t.Fatal(err)
	}
	cb := append(authn.ChannelBinding("tls-server-end-point:"), sum...)
	h := cb.GSSHash()
	if got, want := strings.ToUpper(hex.EncodeToString(h[:])), "6EA19DF066DA4622051F9C4F92C6DF74"; got != want {
		t.Errorf("hash = %s, want %s", got, want)
	}
}
