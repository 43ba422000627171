package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/soapward/soapward/gateway/config"
)

// privateKey signs tokens.
type privateKey struct {
	id     string
	signer jose.Signer
	public jose.JSONWebKey
	size   int // of a signature, in bytes
}

// publicKey verifies tokens of one issuer for some audiences.
type publicKey struct {
	jwk       jose.JSONWebKey
	issuer    string
	audiences []string
	former    []former
	until     time.Time // zero: it is in force
}

// former is an audience that a key had in a configuration before.
type former struct {
	audience string
	until    time.Time
}

// loadKey reads a key, whose kind decides about the algorithm (RFC 7518 3.1, RFC
// 8037).
func loadKey(secret config.Secret) (*privateKey, error) {
	text, err := secret.Read()
	if err != nil {
		return nil, err
	}
	key, err := parseKey([]byte(text.Reveal()))
	if err != nil {
		return nil, err
	}
	return newKey(key)
}

func newKey(key crypto.Signer) (*privateKey, error) {
	k := &privateKey{}
	var alg jose.SignatureAlgorithm
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		alg, k.size = jose.ES256, 64
		if key.Curve != elliptic.P256() {
			return nil, fmt.Errorf("an ECDSA key on %s: want P-256", key.Curve.Params().Name)
		}
	case ed25519.PrivateKey:
		alg, k.size = jose.EdDSA, ed25519.SignatureSize
	case *rsa.PrivateKey:
		alg, k.size = jose.RS256, key.Size()
		if bits := key.N.BitLen(); bits < 2048 || bits > 8192 {
			return nil, fmt.Errorf("an RSA key of %d bits: want 2048 to 8192", bits)
		}
	default:
		return nil, fmt.Errorf("a key of the type %T: want ECDSA P-256, Ed25519 or RSA", key)
	}
	k.public = jose.JSONWebKey{Key: key.Public(), Algorithm: string(alg), Use: "sig"}
	sum, err := k.public.Thumbprint(crypto.SHA256) // RFC 7638
	if err != nil {
		return nil, err
	}
	k.id = base64.RawURLEncoding.EncodeToString(sum)
	k.public.KeyID = k.id
	k.signer, err = jose.NewSigner(
		jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: k.id, Algorithm: string(alg)}},
		(&jose.SignerOptions{}).WithType("JWT"))
	return k, err
}

// room returns how many bytes of claims leave a token within maxToken.
func (k *privateKey) room() int {
	header := len(`{"alg":"ES256","kid":"","typ":"JWT"}`) + len(k.id)
	enc := base64.RawURLEncoding
	return enc.DecodedLen(maxToken - 2 - enc.EncodedLen(header) - enc.EncodedLen(k.size))
}

// parseKey reads the private key in a PEM file.
func parseKey(text []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(text)
	if block != nil && block.Type == "EC PARAMETERS" { // that openssl ecparam puts in front
		block, _ = pem.Decode(rest)
	}
	if block == nil {
		return nil, errors.New("no PEM in it: want a private key, such as: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256")
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		if block.Headers["DEK-Info"] != "" {
			return nil, errEncrypted
		}
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errEncrypted
	default:
		return nil, fmt.Errorf("it holds a %.40q: want a private key", block.Type)
	}
	if err != nil {
		return nil, errors.New("the private key in it cannot be read: it is damaged, or of an unknown kind")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of the type %T cannot sign", key)
	}
	return signer, nil
}

var errEncrypted = errors.New("the private key is locked by a password: want one without, in a file that its owner alone can read (openssl pkey -in OLD -out NEW)")
