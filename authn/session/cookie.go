package session

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/soapward/soapward/directory"
)

// secretSize is 256 bits: nobody guesses a session.
const secretSize = 32

// maxCookie bounds the value of a cookie. Browsers keep 4096 bytes of a cookie
// with its name and attributes (RFC 6265 6.1).
const maxCookie = 3800

// defaultName is that of the cookie.
const defaultName = "soapward"

// hostPrefix binds a cookie to the host that set it by TLS, so that neither its
// other subdomains nor plain HTTP can set one of that name (RFC 6265bis 4.1.3.2).
const hostPrefix = "__Host-"

// Usable reports whether a session may begin in answer to r, or whether it came
// over plain HTTP.
func (m *Manager) Usable(r *http.Request) bool { return m.secure(r) || m.AllowInsecureHTTP }

// secure reports whether the browser sees TLS.
func (m *Manager) secure(r *http.Request) bool { return r.TLS != nil || m.TLSAtProxy }

// CookieName returns the name that the session's cookie has in answer to r.
func (m *Manager) CookieName(r *http.Request) string {
	name := m.Name
	if name == "" {
		name = defaultName
	}
	if m.secure(r) {
		return hostPrefix + name
	}
	return name
}

// formCookieName is of the cookie that forms are bound to before a login.
func (m *Manager) formCookieName(r *http.Request) string { return m.CookieName(r) + "-form" }

// cookie returns the value of the only cookie of a name. Where there are several
// somebody else set one of them, and none counts. why is empty if there is none.
func (m *Manager) cookie(r *http.Request, name string) (value, why string) {
	cs := r.CookiesNamed(name)
	switch {
	case len(cs) == 0:
		return "", ""
	case len(cs) > 1:
		return "", "several cookies of the same name"
	case len(cs[0].Value) > maxCookie:
		return "", "the cookie is too long"
	case cs[0].Value == "":
		return "", "the cookie is empty"
	}
	return cs[0].Value, ""
}

// setCookie sends the browser its session. One that is not remembered ends when
// the browser is closed.
func (m *Manager) setCookie(w http.ResponseWriter, r *http.Request, name, value string, s *session) {
	c := m.newCookie(r, name, value)
	if s.Remember {
		c.Expires = s.Expires.UTC()
		c.MaxAge = max(int(s.Expires.Sub(m.now())/time.Second), 1)
	}
	writeCookie(w, c)
}

// clearCookie takes a cookie from the browser, if it sent one.
func (m *Manager) clearCookie(w http.ResponseWriter, r *http.Request, name string) {
	if len(r.CookiesNamed(name)) == 0 {
		removeCookie(w, name)
		return
	}
	c := m.newCookie(r, name, "")
	c.MaxAge = -1
	writeCookie(w, c)
}

func (m *Manager) newCookie(r *http.Request, name, value string) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", Secure: m.secure(r), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// writeCookie replaces a cookie of that name that the response sets already.
func writeCookie(w http.ResponseWriter, c *http.Cookie) {
	removeCookie(w, c.Name)
	http.SetCookie(w, c)
}

func removeCookie(w http.ResponseWriter, name string) {
	lines := w.Header()["Set-Cookie"]
	kept := lines[:0]
	for _, l := range lines {
		if !strings.HasPrefix(l, name+"=") {
			kept = append(kept, l)
		}
	}
	if len(kept) == 0 {
		w.Header().Del("Set-Cookie")
		return
	}
	w.Header()["Set-Cookie"] = kept
}

// idOf names the session of a secret in the store. Managers of other names have
// other sessions there.
func (m *Manager) idOf(secret [secretSize]byte) directory.SessionID {
	text := secret[:]
	if m.Name != "" && m.Name != defaultName {
		text = append(text, m.Name...)
	}
	return sha256.Sum256(text)
}

func encodeSecret(s [secretSize]byte) string { return base64.RawURLEncoding.EncodeToString(s[:]) }

func decodeSecret(text string) (s [secretSize]byte, ok bool) {
	if len(text) != base64.RawURLEncoding.EncodedLen(secretSize) {
		return s, false
	}
	_, err := base64.RawURLEncoding.Strict().Decode(s[:], []byte(text))
	return s, err == nil
}
