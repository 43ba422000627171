package oidc

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/soapward/soapward/authn"
)

// Config says which provider it is, and who we are to it.
type Config struct {
	Name   string // of the provider here, such as that of a realm
	Issuer string // https, or http on this machine; as in its tokens, exactly

	ClientID     string // of web tools
	ClientSecret authn.Secret

	// DesktopClientID is that of the command line, which has no secret. Empty
	// means ClientID.
	DesktopClientID string

	// UsernameClaim is the account of a user. Empty means email. An e-mail address
	// that the provider does not call verified is refused unless
	// AllowUnverifiedEmail is set.
	UsernameClaim        string
	AllowUnverifiedEmail bool

	// Domain is that of identities: it\bob@example.com. Empty means Name. A name
	// of one provider is never that of another one, or of a user of ours.
	Domain string

	Scopes []string // besides openid, email, profile, and offline_access where it is offered

	// Audiences are those of access tokens that Bearer takes.
	Audiences []string

	// Algorithms of signatures. Nil means RS256, PS256, ES256, EdDSA and their
	// longer ones.
	Algorithms []string

	HTTP    *http.Client  // nil: one with bounds
	Timeout time.Duration // of a request to the provider; zero means 10 s
	Logger  *slog.Logger
	Now     func() time.Time
}

// A Provider is an OpenID Connect provider. New asks nobody; what is needed of the
// provider is fetched at the first use and kept. It is safe for concurrent use.
type Provider struct{ c Config }

// New returns a Provider, or an error that says what is wrong with c.
func New(c Config) (*Provider, error) { return &Provider{c}, nil }

// A Login is a login that has begun. It is to be kept where only the browser that
// began it can bring it back: sealed in a cookie.
type Login struct {
	Provider string
	State    string
	Nonce    string
	Verifier string // PKCE
	Redirect string // URI that was given to the provider
	Return   string // where the user wanted to go
	Begun    time.Time
}

// Tokens are what a provider gave. They do not print.
type Tokens struct {
	Refresh authn.Secret // may be empty
	IDToken authn.Secret // for Logout
	Expires time.Time    // when to refresh

	Subject   string // sub
	SessionID string // sid; may be empty
}

// Begin begins a login and returns the URL to send the browser to.
func (p *Provider) Begin(ctx context.Context, redirect, returnTo string) (url string, l *Login, err error) {
	panic("not built yet")
}

// Callback ends a login with the request that the provider had the browser send.
// A refusal wraps authn.ErrBadCredentials, with a reason for the log; a provider
// that does not answer is authn.ErrUnavailable. The identity has the claims of the
// ID token.
func (p *Provider) Callback(ctx context.Context, l *Login, r *http.Request) (*authn.Identity, *Tokens, error) {
	panic("not built yet")
}

// Refresh asks whether the user may go on. It is authn.ErrBadCredentials if the
// provider says no, and authn.ErrUnavailable if it says nothing.
func (p *Provider) Refresh(ctx context.Context, t *Tokens) (*authn.Identity, *Tokens, error) {
	panic("not built yet")
}

// LogoutURL is where to send a browser to end the session at the provider too,
// empty if the provider has no such place (OpenID Connect RP-Initiated Logout).
func (p *Provider) LogoutURL(ctx context.Context, t *Tokens, returnTo string) string {
	panic("not built yet")
}

// BackchannelLogout checks a logout token that the provider posted (OpenID Connect
// Back-Channel Logout 2.6) and returns whose sessions end: of a subject, or the one
// of a session ID, or both.
func (p *Provider) BackchannelLogout(ctx context.Context, r *http.Request) (subject, sessionID string, err error) {
	panic("not built yet")
}

// VerifyIDToken checks an ID token that the command line got for DesktopClientID
// no longer than maxAge ago.
func (p *Provider) VerifyIDToken(ctx context.Context, token authn.Secret, nonce string, maxAge time.Duration) (*authn.Identity, *Tokens, error) {
	panic("not built yet")
}

// Bearer takes access tokens that are JWTs (RFC 9068) for one of Config.Audiences.
// ID tokens are no access tokens.
func (p *Provider) Bearer() authn.Authenticator { panic("not built yet") }

// Metadata is what a provider says of itself.
type Metadata struct {
	Issuer           string
	Authorization    string
	Token            string
	Device           string // empty: none
	EndSession       string // empty: none
	Algorithms       []string
	Scopes           []string
	PKCE             bool // S256
	Backchannel      bool
	KeyIDs           []string
	IssuerInResponse bool
}

// Check fetches the well-known document and the keys anew, and says what is
// wrong: for a Test button and for health.
func (p *Provider) Check(ctx context.Context) (*Metadata, error) { panic("not built yet") }
