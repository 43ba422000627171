package krb5

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"strconv"
	"sync/atomic"
)

// EType is an encryption type number (RFC 3961 8, RFC 8009 8).
type EType int32

// Encryption types. Keys can be made of the AES types and RC4; the others have
// a name so that a refusal can say what the peer uses.
const (
	DESCBCCRC  EType = 1
	DESCBCMD5  EType = 3
	DES3SHA1   EType = 16
	AES128SHA1 EType = 17 // aes128-cts-hmac-sha1-96 (RFC 3962)
	AES256SHA1 EType = 18 // aes256-cts-hmac-sha1-96 (RFC 3962)
	AES128SHA2 EType = 19 // aes128-cts-hmac-sha256-128 (RFC 8009)
	AES256SHA2 EType = 20 // aes256-cts-hmac-sha384-192 (RFC 8009)
	RC4HMAC    EType = 23 // rc4-hmac (RFC 4757), for peers that have nothing better
	RC4Export  EType = 24
)

// String returns the registered name of the encryption type.
func (e EType) String() string {
	switch e {
	case DESCBCCRC:
		return "des-cbc-crc"
	case DESCBCMD5:
		return "des-cbc-md5"
	case DES3SHA1:
		return "des3-cbc-sha1"
	case AES128SHA1:
		return "aes128-cts-hmac-sha1-96"
	case AES256SHA1:
		return "aes256-cts-hmac-sha1-96"
	case AES128SHA2:
		return "aes128-cts-hmac-sha256-128"
	case AES256SHA2:
		return "aes256-cts-hmac-sha384-192"
	case RC4HMAC:
		return "rc4-hmac"
	case RC4Export:
		return "rc4-hmac-exp"
	}
	return "etype-" + strconv.Itoa(int(e))
}

// Supported reports whether keys of the type can be made.
func (e EType) Supported() bool { return e.KeySize() != 0 }

// KeySize returns the length of a key in bytes, or 0 if the type is not
// supported.
func (e EType) KeySize() int {
	switch e {
	case AES128SHA1, AES128SHA2, RC4HMAC:
		return 16
	case AES256SHA1, AES256SHA2:
		return 32
	}
	return 0
}

// ChecksumType returns the checksum type that goes with the encryption type
// (RFC 3961 3: the required checksum mechanism), or 0 if the type is not
// supported.
func (e EType) ChecksumType() ChecksumType {
	switch e {
	case AES128SHA1:
		return HMACSHA1AES128
	case AES256SHA1:
		return HMACSHA1AES256
	case AES128SHA2:
		return HMACSHA256AES128
	case AES256SHA2:
		return HMACSHA384AES256
	case RC4HMAC:
		return HMACMD5
	}
	return 0
}

// ChecksumType is a checksum type number.
type ChecksumType int32

// Checksum types.
const (
	HMACSHA1AES128   ChecksumType = 15     // RFC 3962 7
	HMACSHA1AES256   ChecksumType = 16     // RFC 3962 7
	HMACSHA256AES128 ChecksumType = 19     // RFC 8009 6
	HMACSHA384AES256 ChecksumType = 20     // RFC 8009 6
	HMACMD5          ChecksumType = -138   // RFC 4757 4, KERB_CHECKSUM_HMAC_MD5
	GSSChecksum      ChecksumType = 0x8003 // RFC 4121 4.1.1: not a checksum but flags and bindings
)

// Size returns the length of a checksum in bytes, or 0 if the type is unknown.
func (c ChecksumType) Size() int {
	switch c {
	case HMACSHA1AES128, HMACSHA1AES256:
		return 12
	case HMACSHA256AES128, HMACMD5:
		return 16
	case HMACSHA384AES256:
		return 24
	}
	return 0
}

// Errors of the cryptographic functions.
var (
	// ErrIntegrity means that a message was made with another key or was
	// altered. The two cannot be told apart.
	ErrIntegrity = errors.New("krb5: integrity check failed")

	// ErrNoKey means that the zero Key was used.
	ErrNoKey = errors.New("krb5: no key")

	// ErrUnsupported means an encryption or checksum type that is not
	// implemented, such as DES.
	ErrUnsupported = errors.New("krb5: unsupported encryption type")
)

// A Key encrypts and signs Kerberos messages. It is safe for concurrent use
// and does not print. The keys derived from it are kept, so a long-lived Key
// is faster than a new one of the same bytes. The zero value is no key: its
// methods fail with ErrNoKey.
type Key struct {
	// fmt prints an unexported field by its content without asking for its
	// String method, and under a verb that does not fit it follows one pointer
	// to a struct. It does not follow two.
	k **keyState
}

// state returns what is known of the key, nil for the zero Key.
func (k Key) state() *keyState {
	if k.k == nil {
		return nil
	}
	return *k.k
}

// keyState is everything about a key. Only derived changes after NewKey.
type keyState struct {
	etype   EType
	raw     []byte
	block   cipher.Block // AES-SHA1: the base key, for derivation
	derived atomic.Pointer[derived]
}

// NewKey returns a key made of b, which is copied.
func NewKey(e EType, b []byte) (Key, error) {
	n := e.KeySize()
	if n == 0 {
		return Key{}, fmt.Errorf("%w %v", ErrUnsupported, e)
	}
	if len(b) != n {
		return Key{}, fmt.Errorf("krb5: key of %d bytes for %v, which has %d", len(b), e, n)
	}
	k := &keyState{etype: e, raw: append([]byte(nil), b...)}
	if e == AES128SHA1 || e == AES256SHA1 {
		k.block = mustAES(k.raw)
	}
	return Key{&k}, nil
}

// RandomKey returns a new random key.
func RandomKey(e EType) (Key, error) {
	b := make([]byte, e.KeySize())
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return NewKey(e, b)
}

// EType returns the encryption type, 0 for the zero Key.
func (k Key) EType() EType {
	if s := k.state(); s != nil {
		return s.etype
	}
	return 0
}

// IsZero reports whether k is the zero Key.
func (k Key) IsZero() bool { return k.k == nil }

// Bytes returns a copy of the key itself, to be put into a message.
func (k Key) Bytes() []byte {
	s := k.state()
	if s == nil {
		return nil
	}
	return append([]byte(nil), s.raw...)
}

// Equal reports whether both keys have the same type and bytes.
func (k Key) Equal(o Key) bool {
	a, b := k.state(), o.state()
	if a == nil || b == nil {
		return a == b
	}
	return a.etype == b.etype && subtle.ConstantTimeCompare(a.raw, b.raw) == 1
}

// Encrypt returns plain encrypted and signed for one usage.
func (k Key) Encrypt(u Usage, plain []byte) ([]byte, error) {
	s := k.state()
	if s == nil {
		return nil, ErrNoKey
	}
	switch s.etype {
	case AES128SHA1, AES256SHA1:
		return s.encryptSHA1(u, plain), nil
	case AES128SHA2, AES256SHA2:
		return s.encryptSHA2(u, plain), nil
	}
	return s.encryptRC4(u, plain), nil
}

// Decrypt returns the plain text of what Encrypt made with the same key and
// usage, and ErrIntegrity for anything else.
func (k Key) Decrypt(u Usage, sealed []byte) ([]byte, error) {
	s := k.state()
	if s == nil {
		return nil, ErrNoKey
	}
	switch s.etype {
	case AES128SHA1, AES256SHA1:
		return s.decryptSHA1(u, sealed)
	case AES128SHA2, AES256SHA2:
		return s.decryptSHA2(u, sealed)
	}
	return s.decryptRC4(u, sealed)
}

// ChecksumType returns the type of the checksums that Checksum makes.
func (k Key) ChecksumType() ChecksumType { return k.EType().ChecksumType() }

// Checksum returns the keyed checksum of data, of type k.ChecksumType().
func (k Key) Checksum(u Usage, data []byte) ([]byte, error) {
	s := k.state()
	if s == nil {
		return nil, ErrNoKey
	}
	return s.checksum(u, data), nil
}

// VerifyChecksum checks a checksum of data. The type must be the one that
// belongs to the key; a peer cannot choose a weaker one.
func (k Key) VerifyChecksum(t ChecksumType, u Usage, data, sum []byte) error {
	s := k.state()
	if s == nil {
		return ErrNoKey
	}
	if t != s.etype.ChecksumType() {
		return fmt.Errorf("krb5: checksum type %d with a key of type %v", t, s.etype)
	}
	if subtle.ConstantTimeCompare(s.checksum(u, data), sum) != 1 {
		return ErrIntegrity
	}
	return nil
}

func (k *keyState) checksum(u Usage, data []byte) []byte {
	if k.etype == RC4HMAC {
		return hmacMD5Checksum(k.raw, u, data)
	}
	d := k.derive(u, forChecksum)
	m := d.takeMAC()
	defer d.giveMAC(m)
	m.Write(data)
	return m.Sum(nil)[:k.etype.ChecksumType().Size()]
}

const redacted = "[redacted]"

// String implements fmt.Stringer. It tells the type and nothing of the key.
func (k Key) String() string {
	if k.IsZero() {
		return "no key"
	}
	return k.EType().String() + " " + redacted
}

// GoString implements fmt.GoStringer.
func (k Key) GoString() string { return "krb5.Key(" + k.String() + ")" }

// MarshalText implements encoding.TextMarshaler, which encoding/json uses too.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// LogValue implements slog.LogValuer.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// purpose says which of the keys of one usage is meant.
type purpose byte

const (
	forEncryption purpose = 0xAA // Ke, with Ki of 0x55 (RFC 3961 5.3)
	forChecksum   purpose = 0x99 // Kc
)

// derived holds the keys of one usage and purpose: an element of a list that
// only ever grows at its head, so readers need no lock. Usages are constants
// of the protocol, which bounds the list.
type derived struct {
	usage   Usage
	purpose purpose
	next    *derived

	block  cipher.Block // forEncryption
	newMAC func() hash.Hash
	spare  atomic.Pointer[keyedHash] // a keyed hash to use again
}

// derive returns the keys of a usage, from the list if they are there.
func (k *keyState) derive(u Usage, p purpose) *derived {
	for {
		head := k.derived.Load()
		for d := head; d != nil; d = d.next {
			if d.usage == u && d.purpose == p {
				return d
			}
		}
		var d *derived
		if k.block != nil {
			d = k.deriveSHA1(u, p)
		} else {
			d = k.deriveSHA2(u, p)
		}
		d.usage, d.purpose, d.next = u, p, head
		if k.derived.CompareAndSwap(head, d) {
			return d
		}
	}
}

// keyedHash is a hash in a type that an atomic.Pointer can hold.
type keyedHash struct{ hash.Hash }

// takeMAC returns a keyed hash that nobody else uses.
func (d *derived) takeMAC() *keyedHash {
	h := d.spare.Swap(nil)
	if h == nil {
		return &keyedHash{d.newMAC()}
	}
	h.Reset()
	return h
}

// giveMAC makes h available to the next takeMAC. That resets it and not
// giveMAC: most keys are session keys and used once, and the first reset of an
// HMAC takes as long as hashing.
func (d *derived) giveMAC(h *keyedHash) { d.spare.Store(h) }
