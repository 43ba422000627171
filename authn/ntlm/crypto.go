package ntlm

import (
	"crypto/md5"
	"crypto/rc4"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"unicode"

	//lint:ignore SA1019 NT hashes are MD4 (MS-NLMP 3.3.1)
	"golang.org/x/crypto/md4"
)

const redacted = "[redacted]"

// NTHash is the hash of a password that NTLM works with (MS-NLMP 3.3.1,
// NTOWFv1). It is as good as the password itself to whoever holds it, so it
// does not print. The zero value is no hash.
type NTHash struct {
	// A pointer, because fmt prints an unexported field by its content, and to
	// a string, because for some verbs it follows a pointer to an array.
	sum *string
}

// HashPassword returns the NT hash of password.
func HashPassword(password string) NTHash {
	h := md4.New()
	_, _ = h.Write(appendUTF16(make([]byte, 0, 2*len(password)), password)) // never fails
	sum := string(h.Sum(make([]byte, 0, md4.Size)))
	return NTHash{&sum}
}

// NTHashFromBytes returns the hash held in b, which must be 16 bytes long.
func NTHashFromBytes(b []byte) (NTHash, error) {
	if len(b) != md4.Size {
		return NTHash{}, fmt.Errorf("ntlm: NT hash of %d bytes, want %d", len(b), md4.Size)
	}
	sum := string(b)
	return NTHash{&sum}, nil
}

// IsZero reports whether there is no hash.
func (h NTHash) IsZero() bool { return h.sum == nil }

// Reveal returns the 16 bytes of the hash, for storage under encryption. It is
// nil if there is no hash.
func (h NTHash) Reveal() []byte {
	if h.sum == nil {
		return nil
	}
	return []byte(*h.sum)
}

// Equal compares in constant time. No hash equals nothing.
func (h NTHash) Equal(o NTHash) bool {
	return h.sum != nil && o.sum != nil && subtle.ConstantTimeCompare([]byte(*h.sum), []byte(*o.sum)) == 1
}

// Format implements fmt.Formatter, so that no verb shows the hash.
func (h NTHash) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(redacted)) }

// MarshalText implements encoding.TextMarshaler.
func (h NTHash) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (h NTHash) LogValue() slog.Value { return slog.StringValue(redacted) }

// SessionBaseKey is the key that a correct response yields to both ends
// (MS-NLMP 3.3.2); a domain controller returns it as UserSessionKey. It does
// not print, unless it is an unexported field of what is printed.
type SessionBaseKey [16]byte

// Format implements fmt.Formatter, so that no verb shows the key.
func (k SessionBaseKey) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(redacted)) }

// MarshalText implements encoding.TextMarshaler.
func (k SessionBaseKey) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (k SessionBaseKey) LogValue() slog.Value { return slog.StringValue(redacted) }

// ntowfv2 makes the key of the response from the password's hash and the names
// exactly as the client sent them (MS-NLMP 3.3.2, NTOWFv2).
func ntowfv2(h NTHash, user, domain string) [16]byte {
	var buf [128]byte
	b := buf[:0]
	for _, r := range user {
		b = appendUTF16Rune(b, unicode.ToUpper(r))
	}
	return hmacMD5([]byte(*h.sum), appendUTF16(b, domain))
}

// ntProof computes NTProofStr of the blob (MS-NLMP 3.3.2).
func ntProof(owf *[16]byte, serverChallenge *[8]byte, blob []byte) [16]byte {
	return hmacMD5(owf[:], serverChallenge[:], blob)
}

// sessionBaseKey is the key a proof yields (MS-NLMP 3.3.2). It is the key
// exchange key as well (MS-NLMP 3.4.5.1).
func sessionBaseKey(owf, proof *[16]byte) SessionBaseKey {
	return hmacMD5(owf[:], proof[:])
}

// exchangeKey encrypts or decrypts a session key (MS-NLMP 3.1.5.1.2, RC4K).
func exchangeKey(kek SessionBaseKey, key []byte) (out [16]byte) {
	rc4K(kek[:], out[:], key)
	return out
}

func rc4K(key, dst, src []byte) {
	c, err := rc4.NewCipher(key)
	if err != nil {
		panic("ntlm: rc4: " + err.Error()) // the length of the key is ours
	}
	c.XORKeyStream(dst, src)
}

// zeroMIC stands in the place of the MIC while it is computed.
var zeroMIC [16]byte

// messageMIC is the integrity code over all three messages (MS-NLMP 3.1.5.1.2).
// What auth carries where its MIC goes is not looked at.
func messageMIC(exported *[16]byte, negotiate, challenge, auth []byte) [16]byte {
	return hmacMD5(exported[:], negotiate, challenge,
		auth[:authenticateVersion], zeroMIC[:], auth[authenticateMIC:])
}

// hmacMD5 is HMAC (RFC 2104) over MD5 with a key of at most one block. It is
// hmac.New without the allocations, which were half of those of a login.
func hmacMD5(key []byte, parts ...[]byte) (sum [md5.Size]byte) {
	const ipad, opad = 0x36, 0x5c
	var pad [md5.BlockSize]byte
	copy(pad[:], key)
	for i := range pad {
		pad[i] ^= ipad
	}
	h := md5.New()
	_, _ = h.Write(pad[:]) // never fails
	for _, p := range parts {
		_, _ = h.Write(p)
	}
	h.Sum(sum[:0])
	for i := range pad {
		pad[i] ^= ipad ^ opad
	}
	h.Reset()
	_, _ = h.Write(pad[:])
	_, _ = h.Write(sum[:])
	h.Sum(sum[:0])
	return sum
}
