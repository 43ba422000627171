package hook

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/soapward/soapward/authn"
)

const (
	mechAPIKey   = "API key"
	minAPIKey    = 16 // bytes
	maxAPIKey    = 1 << 10
	apiKeyRandom = 32
)

// An APIKey is what is kept of a key. The key itself is not kept.
type APIKey struct {
	Name string // of whoever has it, such as a program

	// SHA256 is the hash of the key. That is enough for keys that were made at
	// random, as NewAPIKey makes them, and for no others.
	SHA256 [sha256.Size]byte

	// Identity is who the key stands for. Nil means an account of the Name.
	Identity *authn.Identity

	Expires time.Time // zero: never
}

// NewAPIKey makes a key at random, and its hash.
func NewAPIKey() (key authn.Secret, hash [sha256.Size]byte) {
	var b [apiKeyRandom]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	text := "swk_" + base64.RawURLEncoding.EncodeToString(b[:])
	return authn.NewSecret(text), sha256.Sum256([]byte(text))
}

// APIKeys takes keys in a header. Keys must be set. The fields must not change
// after the first request. It is safe for concurrent use.
type APIKeys struct {
	Keys []APIKey

	// Header is the name of the header. Empty means X-API-Key.
	Header string

	// AllowQuery is the name of a parameter that may have the key as well. Keys
	// in addresses end up in the logs, histories and referrers of others. Empty:
	// none.
	AllowQuery string

	// AllowInsecureHTTP takes keys over plain HTTP, where everybody on the way
	// can copy them. It is for development, and for servers behind a proxy that
	// ends TLS on the same machine.
	AllowInsecureHTTP bool

	Now func() time.Time // nil means time.Now
}

var _ authn.Authenticator = (*APIKeys)(nil)

// Check reports what is wrong with the fields.
func (a *APIKeys) Check() error {
	for i, k := range a.Keys {
		switch {
		case k.Name == "":
			return fmt.Errorf("hook: API key %d has no name, which the log needs", i+1)
		case k.Identity != nil && k.Identity.Account == "":
			return fmt.Errorf("hook: the identity of API key %q has no account", k.Name)
		case k.SHA256 == [sha256.Size]byte{} || k.SHA256 == sha256.Sum256(nil):
			return fmt.Errorf("hook: API key %q is the hash of nothing", k.Name)
		}
		for _, other := range a.Keys[:i] {
			if other.SHA256 == k.SHA256 {
				return fmt.Errorf("hook: API keys %q and %q are the same", other.Name, k.Name)
			}
		}
	}
	return nil
}

func (a *APIKeys) header() string { return cmp.Or(a.Header, "X-API-Key") }

// Challenges implements authn.Authenticator.
func (a *APIKeys) Challenges(r *http.Request) []authn.Challenge {
	if r.TLS == nil && !a.AllowInsecureHTTP {
		return nil
	}
	return []authn.Challenge{{Scheme: "ApiKey", Param: "header=" + strconv.QuoteToASCII(a.header())}}
}

// Authenticate implements authn.Authenticator.
func (a *APIKeys) Authenticate(r *http.Request) (*authn.Result, error) {
	sent := slices.Clone(r.Header.Values(a.header()))
	if a.AllowQuery != "" {
		sent = append(sent, r.URL.Query()[a.AllowQuery]...)
	}
	switch {
	case len(sent) == 0:
		return nil, authn.ErrNoCredentials
	case len(sent) > 1:
		return nil, refuseKey(authn.ReasonMalformed, "", errors.New("more than one key"))
	case r.TLS == nil && !a.AllowInsecureHTTP:
		return nil, refuseKey(authn.ReasonPolicy, "use https, or set AllowInsecureHTTP if this connection is protected in another way", errors.New("key over plain HTTP"))
	case len(sent[0]) < minAPIKey || len(sent[0]) > maxAPIKey:
		return nil, refuseKey(authn.ReasonMalformed, "", fmt.Errorf("a key of %d bytes", len(sent[0])))
	}
	hash := sha256.Sum256([]byte(sent[0]))
	var found *APIKey
	for i := range a.Keys { // all of them, however early it is found
		if subtle.ConstantTimeCompare(hash[:], a.Keys[i].SHA256[:]) == 1 {
			found = &a.Keys[i]
		}
	}
	now := clock(a.Now)
	switch {
	case found == nil:
		return nil, refuseKey(authn.ReasonUnknownUser, "", errors.New("no such key"))
	case !found.Expires.IsZero() && !now.Before(found.Expires):
		e := refuseKey(authn.ReasonExpired, "give "+found.Name+" a new key", fmt.Errorf("key %q expired", found.Name))
		e.User = found.Name
		return nil, e
	}
	id := authn.Identity{Account: found.Name}
	if found.Identity != nil {
		id = *found.Identity
	}
	id.Mechanism, id.AuthTime, id.Expires = mechAPIKey, now, found.Expires
	return &authn.Result{Identity: &id, Fresh: true}, nil
}

func refuseKey(reason authn.Reason, hint string, err error) *authn.RefusedError {
	return &authn.RefusedError{Mechanism: mechAPIKey, Reason: reason, Hint: hint, Err: err}
}
