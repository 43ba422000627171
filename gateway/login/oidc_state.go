package login

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/authn/oidc"
	"github.com/soapward/soapward/directory/store"
)

const (
	// maxBegun is how long somebody may take at the provider, and maxLogins how many
	// logins a browser may have begun, in tabs beside each other.
	maxBegun  = 10 * time.Minute
	maxLogins = 5

	maxState = 3500 // bytes of a cookie's value

	// readAgain is how often the store is asked, at most, for the sake of what cannot
	// be opened: anybody may send that.
	readAgain = 5 * time.Second

	// stateNote is the key of all nodes, which are one for a browser. Who reads the
	// store can read and make what a browser keeps of its own login, and nothing else.
	stateNote = "login state key"
)

// states seals logins that have begun into cookies. Each has its own, so that tabs do
// not get into each other's way, and nobody else's browser can end them. It is safe
// for concurrent use.
type states struct {
	store *store.Store // nil: a key of this process

	mu   sync.Mutex
	key  *[32]byte
	read time.Time // when the store was asked
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

// current returns the key. Where nodes began at the same time, the one whose key was
// overwritten finds that out when it cannot open something, and asks again.
func (s *states) current(ctx context.Context, again bool) (*[32]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key != nil && (!again || time.Since(s.read) < readAgain) {
		return s.key, nil
	}
	if s.store == nil {
		if s.key == nil {
			s.key = new([32]byte)
			_, _ = rand.Read(s.key[:]) // never fails (crypto/rand)
		}
		return s.key, nil
	}
	k, err := s.store.SharedKey(ctx, stateNote)
	if err != nil {
		return nil, fmt.Errorf("login: key of logins: %w", err)
	}
	s.key, s.read = k, time.Now()
	return k, nil
}

func aeadOf(key *[32]byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("login: seal: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// put has the browser keep a login that begins in answer to r.
func (s *states) put(w http.ResponseWriter, r *http.Request, l *oidc.Login, secure bool, now time.Time) error {
	key, err := s.current(r.Context(), false)
	if err != nil {
		return err
	}
	aead, err := aeadOf(key)
	if err != nil {
		return err
	}
	name := stateCookie(l.State, secure)
	seal := func(l oidc.Login) (string, error) {
		plain, err := json.Marshal(l)
		if err != nil {
			return "", fmt.Errorf("login: seal: %w", err)
		}
		return base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, plain, []byte(name))), nil
	}
	value, err := seal(*l)
	if err == nil && len(value) > maxState { // somebody wants to go on to a very long address
		short := *l
		short.Return = "/"
		value, err = seal(short)
	}
	switch {
	case err != nil:
		return err
	case len(value) > maxState:
		return fmt.Errorf("login: what the browser is to keep has %d bytes, at most %d may be", len(value), maxState)
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
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(c.Value)
	if err != nil || len(c.Value) > maxState {
		return nil, errState
	}
	for _, again := range []bool{false, true} {
		key, err := s.current(ctx, again)
		if err != nil {
			return nil, err
		}
		aead, err := aeadOf(key)
		if err != nil {
			return nil, err
		}
		plain, err := aead.Open(nil, nil, sealed, []byte(c.Name))
		if err != nil {
			continue
		}
		l := new(oidc.Login)
		if err := json.Unmarshal(plain, l); err != nil {
			return nil, errState
		}
		return l, nil
	}
	return nil, errState
}

func dropState(w http.ResponseWriter, name string, secure bool) {
	http.SetCookie(w, &http.Cookie{Name: name, Path: "/", Secure: secure, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: -1})
}
