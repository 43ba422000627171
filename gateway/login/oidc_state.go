package login

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/directory/store"
)

const (
	// maxBegun is how long somebody may take at the provider, and maxLogins how many
	// logins a browser may have begun, in tabs beside each other.
	maxBegun  = 10 * time.Minute
	maxLogins = 5

	maxState = 3500 // bytes of what a provider gives back

	// stateNote is the key of all nodes, which are one for a browser.
	stateNote = "login state key"
)

// states keeps logins that have begun in cookies. Each has its own, so that tabs do
// not get into each other's way, and nobody else's browser can end them. It is safe
// for concurrent use.
type states struct{ sealer oidc.LoginSealer }

// newStates seals with a key of all nodes that have the store, or of this process.
func newStates(st *store.Store) *states {
	s := new(states)
	if st != nil {
		s.sealer.Key = func(ctx context.Context) (*[32]byte, error) { return st.SharedKey(ctx, stateNote) }
	}
	return s
}

var errState = errors.New("login: the browser did not begin this login, or too long ago")

// stateCookie names the cookie of a login by its state, which is not secret.
func stateCookie(state string, secure bool) string {
	sum := sha256.Sum256([]byte(state))
	return statePrefix(secure) + base64.RawURLEncoding.EncodeToString(sum[:12])
}

func statePrefix(secure bool) string {
	if secure {
		return "__Host-" + cookiePrefix + "login."
	}
	return cookiePrefix + "login."
}

// put has the browser keep a login that begins in answer to r.
func (s *states) put(w http.ResponseWriter, r *http.Request, l *oidc.Login, secure bool, now time.Time) error {
	name := stateCookie(l.State, secure)
	value, err := s.sealer.Seal(r.Context(), name, l)
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	s.makeRoom(w, r, secure, now)
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", Secure: secure, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(maxBegun / time.Second),
	})
	return nil
}

// makeRoom takes from the browser what is over, and the logins that began first if
// there are too many: a header that is too long would be refused.
func (s *states) makeRoom(w http.ResponseWriter, r *http.Request, secure bool, now time.Time) {
	var oldest *http.Cookie
	var since time.Time
	n := 0
	for _, c := range r.Cookies() {
		if !strings.HasPrefix(c.Name, statePrefix(secure)) {
			continue
		}
		l, err := s.open(r.Context(), c)
		if err != nil || !now.Before(l.Begun.Add(maxBegun)) {
			dropState(w, c.Name, secure)
			continue
		}
		if n++; oldest == nil || l.Begun.Before(since) {
			oldest, since = c, l.Begun
		}
	}
	if n >= maxLogins {
		dropState(w, oldest.Name, secure)
	}
}

// take returns the login that the browser began with a state, which is over then.
func (s *states) take(w http.ResponseWriter, r *http.Request, state string, secure bool, now time.Time) (*oidc.Login, error) {
	if state == "" || len(state) > maxState {
		return nil, errState
	}
	name := stateCookie(state, secure)
	cs := r.CookiesNamed(name)
	if len(cs) != 1 { // of two, somebody else set one
		return nil, errState
	}
	dropState(w, name, secure)
	l, err := s.open(r.Context(), cs[0])
	switch {
	case err != nil:
		return nil, err
	case l.State != state || !now.Before(l.Begun.Add(maxBegun)):
		return nil, errState
	}
	return l, nil
}

func (s *states) open(ctx context.Context, c *http.Cookie) (*oidc.Login, error) {
	l, err := s.sealer.Open(ctx, c.Name, c.Value)
	switch {
	case errors.Is(err, oidc.ErrNotBegun):
		return nil, errState
	case err != nil:
		return nil, fmt.Errorf("login: %w", err)
	}
	return l, nil
}

func dropState(w http.ResponseWriter, name string, secure bool) {
	http.SetCookie(w, &http.Cookie{Name: name, Path: "/", Secure: secure, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: -1})
}
