package config

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/soapward/soapward/authn"
)

// A CertHash is a certificate that a load balancer presents to clients: its hash
// in hexadecimal, with or without colons, or the name of a file that has it in
// PEM.
type CertHash struct {
	Hash string // lower case, without colons
	File Path
}

// String returns the hash, or the name of the file.
func (v CertHash) String() string {
	if v.Hash != "" {
		return v.Hash
	}
	return string(v.File)
}

func (v *CertHash) decode(d *decoder, n *yaml.Node, path string) {
	const want = "the hash of a certificate, as openssl x509 -fingerprint -sha256 prints it, or the name of a file with the certificate in PEM"
	s, ok := d.scalar(n, want, path)
	if !ok {
		return
	}
	digits := strings.ToLower(strings.ReplaceAll(s, ":", ""))
	if _, err := hex.DecodeString(digits); err != nil || len(digits) < 32 {
		v.File = d.path(n, s, path)
		return
	}
	if _, err := authn.HashBinding(digits); err != nil {
		d.fail(n, "%s is %q: want a hash of 64, 96 or 128 hexadecimal digits: SHA-256, or SHA-384 or SHA-512 for a certificate that was signed with these", path, clip(s))
		return
	}
	v.Hash = digits
}

// Bearer takes bearer tokens that are signed JWTs.
type Bearer struct {
	JWKS          URL            `yaml:"jwks"` // where the issuer's keys are
	Issuer        string         `yaml:"issuer"`
	Audience      []string       `yaml:"audience"`
	Algorithms    []JWTAlgorithm `yaml:"algorithms"`
	UsernameClaim string         `yaml:"username_claim"`
}

// A JWTAlgorithm is one that tokens may be signed with.
type JWTAlgorithm string

func (JWTAlgorithm) choices() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// An APIKey is a key that somebody may show: what is kept is its hash.
type APIKey struct {
	Name string  `yaml:"name"`
	Hash KeyHash `yaml:"hash"`
}

// A KeyHash is the SHA-256 of a random key, in hexadecimal.
type KeyHash [32]byte

// String returns the hash in hexadecimal.
func (v KeyHash) String() string { return hex.EncodeToString(v[:]) }

func (v *KeyHash) decode(d *decoder, n *yaml.Node, path string) {
	const want = "the SHA-256 of a random key, 64 hexadecimal digits"
	s, ok := d.scalar(n, want, path)
	if !ok {
		return
	}
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(v) {
		// The value is not shown: somebody may have written the key itself.
		d.fail(n, "%s: want %s, not the key itself", path, want)
		return
	}
	copy(v[:], b)
}

// checkCustom looks at the login custom of a service.
func (d *decoder) checkCustom(c *CallOut, path string) {
	kinds := 0
	for _, is := range []bool{c.Call.URL != nil, c.JWT != nil, len(c.APIKeys) > 0} {
		if is {
			kinds++
		}
	}
	if kinds != 1 {
		d.failAt(c, "%s: want exactly one of call: URL, jwt: {jwks: URL, ...} and api_keys: [{name: NAME, hash: SHA-256}]", path)
	}
	if u := c.Call.URL; u != nil && u.Scheme != "https" && !loopback(u.Hostname()) {
		d.failAt(&c.Call, "%s.call: want https, or http on this machine: callers' credentials are sent there", path)
	}
	if j := c.JWT; j != nil {
		switch {
		case j.JWKS.URL == nil || j.Issuer == "" || len(j.Audience) == 0:
			d.failAt(j, "%s.jwt: want jwks, issuer and audience, such as {jwks: \"https://id.example/keys\", issuer: \"https://id.example\", audience: [\"https://api.example\"]}", path)
		case j.JWKS.Scheme != "https" && !loopback(j.JWKS.Hostname()):
			d.failAt(&j.JWKS, "%s.jwt.jwks: want https, or http on this machine: whoever can change the keys can be anybody", path)
		}
	}
	for i := range c.APIKeys {
		k, at := &c.APIKeys[i], fmt.Sprintf("%s.api_keys[%d]", path, i)
		switch {
		case k.Name == "" || k.Hash == KeyHash{}:
			d.failAt(k, "%s: want name and hash", at)
		case strings.ContainsAny(k.Name, `\@/`):
			d.failAt(&k.Name, "%s.name is %q: want a name without a domain", at, clip(k.Name))
		case slices.ContainsFunc(c.APIKeys[:i], func(o APIKey) bool { return o.Hash == k.Hash }):
			d.failAt(&k.Hash, "%s.hash: another name has the same key", at)
		}
	}
}
