package session

import (
	"context"
	"net/http"
	"time"

	"github.com/soapward/soapward/authn"
)

// A Grant is what an external provider gave with a login, such as
// authn/oidc.Tokens. What is secret of it is kept sealed by the cookie of the
// browser: who reads the store cannot use it.
type Grant struct {
	Provider  string
	Subject   string
	SessionID string // at the provider; may be empty
	Refresh   authn.Secret
	IDToken   authn.Secret
	Due       time.Time // when Granter is asked; zero: never
}

// A Granter asks providers whether their users may go on.
type Granter interface {
	// Refresh returns the caller and the grant to go on with. An error that is
	// authn.ErrBadCredentials ends the session. After any other the session goes
	// on for a grace, and is then refused until somebody can say.
	Refresh(ctx context.Context, g *Grant) (*authn.Identity, *Grant, error)
}

// StartGranted is Start for a login that an external provider gave. Such a session
// is in the Store, with or without Keys.
func (m *Manager) StartGranted(w http.ResponseWriter, r *http.Request, id *authn.Identity, remember bool, g *Grant) error {
	panic("not built yet")
}

// GrantOf returns the grant of r's session, nil if there is none: for logging out
// at the provider.
func (m *Manager) GrantOf(r *http.Request) (*Grant, error) { panic("not built yet") }

// EndGranted ends the sessions of a provider: of a subject, of a session there, or
// of both. It returns how many there were.
func (m *Manager) EndGranted(ctx context.Context, provider, subject, sessionID string) (int, error) {
	panic("not built yet")
}
