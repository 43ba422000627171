package identity

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// keysMaxAge is for how long clients may keep the keys, in seconds. It is shorter
// than tokens live, so that a backend knows a new key in time if it asks again
// for one that it does not know.
const keysMaxAge = "60"

// Keys answers with the public keys, as a JWK set (RFC 7517): those in force, and
// those of a configuration before while there are tokens signed by them.
func (i *Issuer) Keys() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		b, err := json.Marshal(i.keySet())
		if err != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/jwk-set+json")
		h.Set("Cache-Control", "public, max-age="+keysMaxAge)
		h.Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(b) // the client is gone
	})
}

func (i *Issuer) keySet() jose.JSONWebKeySet {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	if i == nil {
		return set
	}
	now := i.now()
	for _, id := range slices.Sorted(maps.Keys(i.keys)) {
		if k := i.keys[id]; k.until.IsZero() || now.Before(k.until) {
			set.Keys = append(set.Keys, k.jwk)
		}
	}
	return set
}
