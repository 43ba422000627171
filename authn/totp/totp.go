// Package totp is the second factor that a telephone or a key shows: time-based
// one-time passwords (RFC 6238) of six digits, by HMAC-SHA1 in steps of 30
// seconds, which is what all authenticator programs know.
//
//   - NewSecret makes what a user's device and we share; URI is what the device
//     reads it from, mostly as a QR code.
//   - Verify judges a code. It says which step the code was of, so that the caller
//     can remember it: a code that somebody overheard is of no use again.
//   - NewRecovery makes codes that take the device's place, once each; Recover
//     judges one.
//
// The package keeps nothing and counts no failures: six digits are guessed soon by
// who may try often, so that callers must bound tries.
//
// Compatibility: exported names keep their meaning within a major version.
package totp

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // HMAC-SHA1 is what the RFC has
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

const (
	// Step is the time for which a device shows a code.
	Step = 30 * time.Second

	// Digits is how many a code has.
	Digits = 6

	// skew is how many steps before and after now count: a device's clock and the
	// typing take their time (RFC 6238 5.2).
	skew = 1

	secretSize    = 20 // bytes; RFC 4226 4 R6 recommends 160 bits
	minSecretSize = 16 // RFC 4226 4 R6 requires 128 bits
	maxSecretText = 256
)

// ErrSecret means that a text is no secret: not base32, or shorter than the RFC
// allows.
var ErrSecret = errors.New("totp: not a secret of at least 128 bits in base32")

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewSecret returns a random secret of 160 bits in base32, as devices take it.
func NewSecret() string {
	var b [secretSize]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return encoding.EncodeToString(b[:])
}

// URI returns what devices read a secret from:
// otpauth://totp/ISSUER:ACCOUNT?secret=... It holds the secret.
func URI(secret, issuer, account string) string {
	// A colon would end the issuer.
	issuer, account = strings.ReplaceAll(issuer, ":", " "), strings.ReplaceAll(account, ":", " ")
	// Devices take a plus sign for itself.
	return "otpauth://totp/" + url.PathEscape(issuer) + ":" + url.PathEscape(account) +
		"?secret=" + url.PathEscape(secret) + "&issuer=" + strings.ReplaceAll(url.QueryEscape(issuer), "+", "%20") +
		fmt.Sprintf("&algorithm=SHA1&digits=%d&period=%d", Digits, int(Step/time.Second))
}

// Groups returns a secret as people type it: in groups of four.
func Groups(secret string) string { return grouped(secret, " ") }

// Verify reports whether code is what the device with secret shows now, or showed
// or will show a step away. counter is the step that the code is of. A code of the
// step last or one before it does not count: callers keep counter and give it as
// last the next time, zero at first. Spaces in code do not matter. It takes the
// same time for all codes of six digits. The error is ErrSecret.
func Verify(secret, code string, now time.Time, last int64) (counter int64, ok bool, err error) {
	key, err := decodeSecret(secret)
	if err != nil {
		return 0, false, err
	}
	code = strings.ReplaceAll(code, " ", "")
	current := now.Unix() / int64(Step/time.Second)
	for c := current - skew; c <= current+skew; c++ {
		want := Code(key, c)
		if subtle.ConstantTimeCompare([]byte(code), []byte(want)) == 1 && c > last {
			counter, ok = c, true
		}
	}
	return counter, ok, nil
}

// Code returns the code of a step (RFC 4226 5.3). Callers who judge codes use
// Verify instead.
func Code(key []byte, counter int64) string {
	mac := hmac.New(sha1.New, key)
	_, _ = mac.Write(binary.BigEndian.AppendUint64(nil, uint64(counter))) //nolint:gosec // never negative
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	n := binary.BigEndian.Uint32(sum[offset:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", Digits, n%1_000_000)
}

// At returns what the device with a secret shows at a time: for devices, and for
// tests that stand in for one.
func At(secret string, at time.Time) (string, error) {
	key, err := decodeSecret(secret)
	if err != nil {
		return "", err
	}
	return Code(key, at.Unix()/int64(Step/time.Second)), nil
}

func decodeSecret(secret string) ([]byte, error) {
	if len(secret) > maxSecretText {
		return nil, ErrSecret
	}
	text := strings.TrimRight(strings.ToUpper(strings.ReplaceAll(secret, " ", "")), "=")
	key, err := encoding.DecodeString(text)
	if err != nil || len(key) < minSecretSize {
		return nil, ErrSecret
	}
	return key, nil
}

func grouped(s, by string) string {
	var b strings.Builder
	for i := 0; i < len(s); i += 4 {
		if i > 0 {
			b.WriteString(by)
		}
		b.WriteString(s[i:min(i+4, len(s))])
	}
	return b.String()
}
