package krb5

import (
	"crypto/pbkdf2"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"unicode/utf16"

	"golang.org/x/crypto/md4" //lint:ignore SA1019 RFC 4757 2 has no other
)

// Bounds of the iteration count that a KDC may ask for. The least is what RFC
// 3962 4 has as default; a lower one would only help whoever guesses passwords
// against what we send. The most costs about a second.
const (
	minIterations = 4096
	maxIterations = 1 << 20
)

// StringToKey turns a password into a key (RFC 3962 4, RFC 8009 4, RFC 4757 2).
// params are the s2kparams of ETYPE-INFO2; empty means the default of the
// encryption type.
func StringToKey(e EType, password, salt string, params []byte) (Key, error) {
	if !e.Supported() {
		return Key{}, fmt.Errorf("%w %v", ErrUnsupported, e)
	}
	if e == RC4HMAC {
		if len(params) != 0 {
			return Key{}, fmt.Errorf("krb5: %v takes no string-to-key parameters", e)
		}
		return rc4StringToKey(password)
	}
	iter := minIterations
	if e == AES128SHA2 || e == AES256SHA2 {
		iter = 32768 // RFC 8009 4
	}
	switch len(params) {
	case 0:
	case 4:
		n := binary.BigEndian.Uint32(params)
		if n < minIterations || n > maxIterations {
			return Key{}, fmt.Errorf("krb5: string-to-key with %d iterations, outside %d to %d", n, minIterations, maxIterations)
		}
		iter = int(n)
	default:
		return Key{}, fmt.Errorf("krb5: string-to-key parameters of %d bytes for %v", len(params), e)
	}
	return aesStringToKey(e, password, salt, iter)
}

func aesStringToKey(e EType, password, salt string, iter int) (Key, error) {
	if e == AES128SHA1 || e == AES256SHA1 {
		b, err := pbkdf2.Key(sha1.New, password, []byte(salt), iter, e.KeySize())
		if err != nil {
			return Key{}, fmt.Errorf("krb5: string-to-key: %w", err)
		}
		k, err := NewKey(e, b)
		if err != nil {
			return Key{}, err
		}
		return NewKey(e, k.state().dk(nFold([]byte("kerberos"), blockSize)))
	}
	h, _ := e.hash2()
	saltp := append(append([]byte(e.String()), 0), salt...)
	b, err := pbkdf2.Key(h, password, saltp, iter, e.KeySize())
	if err != nil {
		return Key{}, fmt.Errorf("krb5: string-to-key: %w", err)
	}
	return NewKey(e, kdf2(h, b, []byte("kerberos"), e.KeySize()))
}

// rc4StringToKey is the NT hash; it has no salt.
func rc4StringToKey(password string) (Key, error) {
	h := md4.New()
	for _, c := range utf16.Encode([]rune(password)) {
		h.Write([]byte{byte(c), byte(c >> 8)})
	}
	return NewKey(RC4HMAC, h.Sum(nil))
}
