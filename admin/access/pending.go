package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// Between password and code a row of the store has who it is, under the hash of
// what the browser alone has. A sealed cookie would not do: all nodes had to know
// the key, so it would be in the store, and who reads that has the second factor
// as well.

const (
	pendingFor    = 5 * time.Minute
	pendingCookie = CookieName + "-code"

	// pendingRows is the User of these rows. No user is called so: names have no
	// control characters.
	pendingRows = "\x1fpending"
)

// pending is a local administrator whose password was right.
type pending struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	Password string `json:"password"` // digest of the stored hash: another one ends this
	Secret   string `json:"secret,omitempty"`
	Return   string `json:"return,omitempty"`

	row directory.SessionID
}

// errPending means that the browser has not typed a password, or too long ago.
var errPending = errors.New("access: no password was typed before")

func pendingID(value string) directory.SessionID {
	return sha256.Sum256([]byte("soapward pending sign-in 1\x00" + value))
}

// startPending keeps p, and has the browser bring it back.
func (c *core) startPending(w http.ResponseWriter, r *http.Request, p *pending) error {
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("access: %w", err)
	}
	now, value := c.a.now(), randomText()
	row := &directory.Session{
		ID: pendingID(value), User: pendingRows, Data: data, Created: now, Seen: now, Expires: now.Add(pendingFor),
		Peer: peer(r), UserAgent: clip(r.UserAgent()),
	}
	if err := c.Store.PutSession(r.Context(), row); err != nil {
		return fmt.Errorf("access: %w", err)
	}
	c.setCookie(w, r, pendingCookie, value, pendingFor, http.SameSiteStrictMode)
	return nil
}

// pendingOf returns the sign-in that r goes on with, and its user as he is now.
func (c *core) pendingOf(r *http.Request) (*pending, *directory.User, error) {
	value := c.cookie(r, pendingCookie)
	if value == "" {
		return nil, nil, errPending
	}
	ctx := r.Context()
	row, err := c.Store.Session(ctx, pendingID(value))
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return nil, nil, errPending
	case err != nil:
		return nil, nil, fmt.Errorf("access: %w", err)
	case row.User != pendingRows || !row.Live(c.a.now()):
		return nil, nil, errPending
	}
	p := &pending{row: row.ID}
	if err := json.Unmarshal(row.Data, p); err != nil {
		return nil, nil, errPending
	}
	u, err := c.Store.UserByID(ctx, p.ID)
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return nil, nil, errPending
	case err != nil:
		return nil, nil, fmt.Errorf("access: %w", err)
	case u.Name != p.Name || u.State != directory.Active || c.notLocal(u) != "" || digest(u.Password.Reveal()) != p.Password:
		return nil, nil, errPending
	}
	return p, u, nil
}

// endPending forgets it: one password is good for one session.
func (c *core) endPending(ctx context.Context, w http.ResponseWriter, r *http.Request, p *pending) error {
	c.setCookie(w, r, pendingCookie, "", 0, http.SameSiteStrictMode)
	if err := c.Store.DeleteSession(ctx, p.row); err != nil && !errors.Is(err, directory.ErrNotFound) {
		return fmt.Errorf("access: %w", err)
	}
	return nil
}

// cookieName has the prefix that keeps other hosts from setting it, where there is
// TLS.
func (c *core) cookieName(r *http.Request, name string) string {
	return strings.TrimSuffix(c.sessions(r).CookieName(r), CookieName) + name
}

// cookie returns the value of the only cookie of a name.
func (c *core) cookie(r *http.Request, name string) string {
	cs := r.CookiesNamed(c.cookieName(r, name))
	if len(cs) != 1 || len(cs[0].Value) > maxCookie {
		return ""
	}
	return cs[0].Value
}

const maxCookie = 3800

func (c *core) setCookie(w http.ResponseWriter, r *http.Request, name, value string, lasts time.Duration, site http.SameSite) {
	full := c.cookieName(r, name)
	cookie := &http.Cookie{
		Name: full, Value: value, Path: "/", HttpOnly: true, SameSite: site,
		Secure: strings.HasPrefix(full, "__Host-"), MaxAge: int(lasts / time.Second),
	}
	if value == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}

// randomText is 256 bits that nobody guesses.
func randomText() string { return base64.RawURLEncoding.EncodeToString(randomBytes(32)) }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}

// peer is the client's address, as far as it is known.
func peer(r *http.Request) string {
	if a := authn.ClientAddr(r); a.IsValid() {
		return a.String()
	}
	return r.RemoteAddr
}
