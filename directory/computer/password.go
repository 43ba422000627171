package computer

import (
	"crypto/rand"
	"encoding/base64"
	"strings"

	"github.com/soapward/soapward/authn"
)

// passwordBytes is how many random bytes a password is made of: 64 characters.
const passwordBytes = 48

// NewPassword returns a new random password: letters, digits, - and _, so that
// it goes through text files and UTF-16 as it is. It has letters of both cases
// and digits, and not the account's name, which the complexity rule of a domain
// may demand of passwords that are set over LDAP.
func NewPassword(a Account) authn.Secret {
	const lower, upper, digits = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
	for {
		b := make([]byte, passwordBytes)
		_, _ = rand.Read(b) // never fails (crypto/rand)
		s := base64.RawURLEncoding.EncodeToString(b)
		if strings.ContainsAny(s, lower) && strings.ContainsAny(s, upper) && strings.ContainsAny(s, digits) &&
			(a.short() == "" || !strings.Contains(strings.ToLower(s), strings.ToLower(a.short()))) {
			return authn.NewSecret(s)
		}
	}
}
