package authclient

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"github.com/soapward/soapward/authn"
)

// processKey keys the fingerprints of passwords in credential keys, so that
// they say nothing to anybody who sees them.
var processKey = sync.OnceValue(func() []byte {
	k := make([]byte, 32)
	_, _ = rand.Read(k) // never fails (crypto/rand)
	return k
})

// fingerprint tells two secrets of the same user apart: a wrong password must
// not ride on a connection that the right one logged in.
func fingerprint(s authn.Secret) string {
	m := hmac.New(sha256.New, processKey())
	m.Write([]byte(s.Reveal()))
	return hex.EncodeToString(m.Sum(nil)[:8])
}

// lazyKey makes a credential's key once.
type lazyKey struct {
	once sync.Once
	text string
}

func (k *lazyKey) get(f func() string) string {
	k.once.Do(func() { k.text = f() })
	return k.text
}
