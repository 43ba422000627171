package totp

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
)

// RecoveryCodes is how many NewRecovery makes.
const RecoveryCodes = 10

// recoverySize is 80 bits, 16 letters and digits: so many that a fast hash does, of
// which ten can be compared at once. A password's would take a second for ten.
const recoverySize = 10

const recoveryLength = recoverySize * 8 / 5

// NewRecovery returns codes that take the place of a device that was lost, such as
// ABCD-EFGH-IJKL-MNOP, and their hashes. The codes are shown once; only the hashes
// are kept.
func NewRecovery() (codes, hashes []string) {
	for range RecoveryCodes {
		var b [recoverySize]byte
		_, _ = rand.Read(b[:]) // never fails (crypto/rand)
		text := encoding.EncodeToString(b[:])
		codes = append(codes, grouped(text, "-"))
		hashes = append(hashes, hashRecovery(text))
	}
	return codes, hashes
}

// IsRecovery reports whether a text has the form of a recovery code, however its
// case and its groups were typed.
func IsRecovery(text string) bool {
	_, ok := plainRecovery(text)
	return ok
}

// Recover reports whether one of hashes is that of code, and returns the others,
// which are those to keep. It does not change hashes, and takes the same time
// whichever it is.
func Recover(hashes []string, code string) (rest []string, ok bool) {
	plain, valid := plainRecovery(code)
	if !valid {
		return hashes, false
	}
	want, found := []byte(hashRecovery(plain)), -1
	for i, h := range hashes {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare([]byte(h), want), i, found)
	}
	if found < 0 {
		return hashes, false
	}
	rest = append(rest, hashes[:found]...)
	return append(rest, hashes[found+1:]...), true
}

// plainRecovery takes the groups out of a code. What people read as a digit that
// base32 does not have is a letter.
func plainRecovery(text string) (string, bool) {
	if len(text) > 4*recoveryLength {
		return "", false
	}
	text = strings.NewReplacer("-", "", " ", "", "0", "O", "1", "I").Replace(strings.ToUpper(text))
	if len(text) != recoveryLength {
		return "", false
	}
	_, err := encoding.DecodeString(text)
	return text, err == nil
}

func hashRecovery(plain string) string {
	sum := sha256.Sum256([]byte("soapward recovery code 1\x00" + plain))
	return hex.EncodeToString(sum[:])
}
