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

func TestHashBinding(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		hash string
		size int // 0: refused
	}{
		{strings.Repeat("aB", 32), 32},
		{" " + strings.Repeat("ab:", 31) + "ab\n", 32}, // openssl x509 -fingerprint
		{strings.Repeat("ab", 48), 48},
		{strings.Repeat("ab", 64), 64},
		{strings.Repeat("ab", 20), 0}, // SHA-1
		{strings.Repeat("a", 63), 0},
		{"", 0},
		{"sha256 Fingerprint=AB", 0},
	} {
		cb, err := authn.HashBinding(tt.hash)
		if (err == nil) != (tt.size > 0) || tt.size > 0 && string(cb) != "tls-server-end-point:"+strings.Repeat("\xab", tt.size) {
			t.Errorf("%.20q: %q, %v", tt.hash, cb, err)
		}
	}
}

// TestAttackHashOfNoBinding: the hash that anybody can make of nothing fits no
// bindings, known or not.
func TestAttackHashOfNoBinding(t *testing.T) {
	t.Parallel()
	a, b := authn.ChannelBinding("a"), authn.ChannelBinding("b")
	nothing, ofA, ofB := authn.ChannelBinding(nil).GSSHash(), a.GSSHash(), b.GSSHash()
	for _, tt := range []struct {
		name  string
		bs    authn.Bindings
		known bool
		fits  [3]bool // nothing, a, b
	}{
		{"none", nil, false, [3]bool{}},
		{"an empty one", authn.Bindings{nil}, false, [3]bool{}},
		{"one", authn.Bindings{a}, true, [3]bool{false, true, false}},
		{"two", authn.Bindings{a, b}, true, [3]bool{false, true, true}},
		{"one and an empty one", authn.Bindings{nil, b}, true, [3]bool{false, false, true}},
	} {
		if got := [3]bool{tt.bs.Fit(nothing[:]), tt.bs.Fit(ofA[:]), tt.bs.Fit(ofB[:])}; got != tt.fits || tt.bs.Known() != tt.known {
			t.Errorf("%s: fits %v, known %v; want %v, %v", tt.name, got, tt.bs.Known(), tt.fits, tt.known)
		}
		if tt.bs.Fit(nil) || tt.bs.Fit(ofA[:8]) {
			t.Errorf("%s: fits a part of a hash", tt.name)
		}
	}
}
