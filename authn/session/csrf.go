package session

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"mime"
	"net/http"

	"github.com/soapward/soapward/authn"
)

// Where a token is looked for: in the header, or in the field of a form.
const (
	TokenHeader = "X-CSRF-Token"
	TokenField  = "csrf"
)

// ErrToken means that a request lacks the token that shows that the user's own
// page sent it, or that the token is of another session.
var ErrToken = errors.New("session: CSRF token missing or wrong")

// Token returns what a page of the application puts into a hidden field named
// TokenField, or a script into the header TokenHeader, so that CheckToken knows
// the request as coming from that page. It is of r's session, and looks
// different each time; it is empty if there is no session.
func (m *Manager) Token(r *http.Request) string {
	key := m.sessionSecret(r)
	if key == nil {
		return ""
	}
	return maskedToken(key, "session")
}

// CheckToken returns ErrToken unless r carries the token of its session. It may
// parse the form in r's body, so callers who expect large ones bound the body
// first.
func (m *Manager) CheckToken(r *http.Request) error {
	if !tokenOf(m.sessionSecret(r), "session", sentToken(r)) {
		return ErrToken
	}
	return nil
}

// CheckLogout returns an error unless r, which asks to end its session, carries
// the session's token and no other site had the browser send it.
func (m *Manager) CheckLogout(r *http.Request) error {
	if err := m.crossOrigin().Check(r); err != nil {
		return err
	}
	return m.CheckToken(r)
}

// Protect answers 403 to state-changing requests of sessions that do not carry
// the session's token. It belongs inside of the authn.Middleware, which has
// refused what other sites sent already. Requests that came in by another login
// than a session need no token and pass, unless a browser sent them for another
// site.
func (m *Manager) Protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !safeMethod(r.Method) {
			hasSession := len(r.CookiesNamed(m.CookieName(r))) > 0
			if m.crossOrigin().Check(r) != nil || hasSession && m.CheckToken(r) != nil {
				w.Header().Set("Cache-Control", "no-store")
				http.Error(w, "This page has expired. Reload it and try again.", http.StatusForbidden)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// FormToken is Token for a form that is shown before a login. It is bound to a
// cookie of its own, which FormToken sets in w if the browser has none.
func (m *Manager) FormToken(w http.ResponseWriter, r *http.Request) string {
	name := m.formCookieName(r)
	value, _ := m.cookie(r, name)
	key, ok := decodeSecret(value)
	if !ok {
		_, _ = rand.Read(key[:]) // never fails (crypto/rand)
		writeCookie(w, m.newCookie(r, name, encodeSecret(key)))
	}
	return maskedToken(key[:], "form")
}

// CheckForm returns an error unless r carries what FormToken returned to the
// same browser, and no other site had the browser send it.
func (m *Manager) CheckForm(r *http.Request) error {
	if err := m.crossOrigin().Check(r); err != nil {
		return err
	}
	value, _ := m.cookie(r, m.formCookieName(r))
	key, ok := decodeSecret(value)
	if !ok || !tokenOf(key[:], "form", sentToken(r)) {
		return ErrToken
	}
	return nil
}

// sameOrigin refuses what another site has a browser send along with our cookie.
// SameSite=Lax leaves other hosts of the same site, and browsers that do not know
// it. A WebSocket is opened by GET, and may change as much as a POST.
func (m *Manager) sameOrigin(r *http.Request) error {
	c := r
	if r.Header.Get("Upgrade") != "" && safeMethod(r.Method) {
		c = r.Clone(r.Context())
		c.Method = http.MethodPost
	}
	if err := m.crossOrigin().Check(c); err != nil {
		return &authn.RefusedError{
			Mechanism: "session", Reason: authn.ReasonPolicy, Err: err,
			Hint: "a page of another site sent this request with the user's cookie; if that site is yours, add its origin to the exceptions of Manager.CrossOrigin",
		}
	}
	return nil
}

func (m *Manager) crossOrigin() *http.CrossOriginProtection {
	if m.CrossOrigin != nil {
		return m.CrossOrigin
	}
	m.noOrigin.Do(func() { m.origin = http.NewCrossOriginProtection() })
	return m.origin
}

// sessionSecret returns what only r's session and we know, or nil. It does not
// ask whether the session has ended, which is for Authenticate to say.
func (m *Manager) sessionSecret(r *http.Request) []byte {
	value, _ := m.cookie(r, m.CookieName(r))
	if isSealed(value) {
		if s, err := m.open(value); err == nil {
			return s.secret[:]
		}
		return nil
	}
	if secret, ok := decodeSecret(value); ok {
		return secret[:]
	}
	return nil
}

func sentToken(r *http.Request) string {
	if t := r.Header.Get(TokenHeader); t != "" {
		return t
	}
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
	case "application/x-www-form-urlencoded", "multipart/form-data":
		return r.PostFormValue(TokenField)
	}
	return ""
}

func token(key []byte, purpose string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte("soapward csrf 1\x00" + purpose)) // never fails (hash.Hash)
	return h.Sum(nil)
}

// maskedToken hides the token by a random mask in front of it, so that a page
// which is compressed does not give it away bit by bit (BREACH).
func maskedToken(key []byte, purpose string) string {
	var b [2 * sha256.Size]byte
	mask := b[:sha256.Size]
	_, _ = rand.Read(mask) // never fails (crypto/rand)
	subtle.XORBytes(b[sha256.Size:], token(key, purpose), mask)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func tokenOf(key []byte, purpose, masked string) bool {
	if key == nil || len(masked) != base64.RawURLEncoding.EncodedLen(2*sha256.Size) {
		return false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(masked)
	if err != nil {
		return false
	}
	subtle.XORBytes(b[sha256.Size:], b[sha256.Size:], b[:sha256.Size])
	return hmac.Equal(b[sha256.Size:], token(key, purpose))
}

func safeMethod(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return false
}
