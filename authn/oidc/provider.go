package oidc

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/jwt"
	"github.com/soapward/soapward/internal/kept"
)

// Mechanism is that of identities which a provider vouches for.
const Mechanism = "oidc"

const (
	defaultTimeout = 10 * time.Second
	skew           = time.Minute // of clocks
	maxRemembered  = 10_000      // access tokens
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
	// that the provider does not call verified is refused, and is not among the
	// claims of an identity, unless AllowUnverifiedEmail is set: at some providers
	// anybody may enter any.
	UsernameClaim        string
	AllowUnverifiedEmail bool

	// Domain is that of identities: it\bob@example.com. Empty means Name. A name
	// of one provider is never that of another one, or of a user of ours.
	Domain string

	Scopes []string // besides openid, email, profile, and offline_access where it is offered

	// Audiences are those of access tokens that Bearer takes. An ID of a client is
	// none: tokens for it say who somebody is, not what he may do.
	Audiences []string

	// Algorithms of signatures. Nil means RS256, PS256, ES256, EdDSA and their
	// longer ones.
	Algorithms []string

	// HTTP is copied. It follows redirects only within a server, and takes no
	// cookies, whatever it says. Nil means one that goes through no proxy but Proxy.
	HTTP *http.Client

	// Proxy is an HTTP proxy that all requests to the provider go through, whatever
	// HTTP says, whose Transport is an *http.Transport then. It is at http or https,
	// and wants no login. The issuer is at https then.
	Proxy *url.URL

	Timeout time.Duration // of a request to the provider; zero means 10 s

	Logger *slog.Logger // nil means slog.Default()
	Now    func() time.Time

	// Used remembers what counts once: the end of a login, an ID token of the
	// command line, a logout token. fresh is false if the digest was there before.
	// Several nodes share one memory. Nil means that of this process, which is
	// bounded: when it is full, an error.
	Used func(ctx context.Context, digest [sha256.Size]byte, until time.Time) (fresh bool, err error)
}

// A Provider is an OpenID Connect provider. New asks nobody; what is needed of the
// provider is fetched at the first use and kept. It is safe for concurrent use.
type Provider struct {
	c        Config
	client   *http.Client
	allowed  []jose.SignatureAlgorithm
	doc      kept.Value[*document]
	keys     *jwt.Keys
	memory   memory
	tried    fruitless
	known    *kept.Cache[*authn.Identity] // by access token
	revoking chan struct{}                // RevokeLater
	consent  atomic.Int32                 // whether refresh tokens need prompt=consent
}

// New returns a Provider, or an error that says what is wrong with c.
func New(c Config) (*Provider, error) {
	c.UsernameClaim = cmp.Or(c.UsernameClaim, "email")
	c.Domain = cmp.Or(c.Domain, c.Name)
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	if c.Algorithms == nil {
		c.Algorithms = jwt.Algorithms()
	}
	p := &Provider{c: c, known: kept.NewCache[*authn.Identity](maxRemembered), revoking: make(chan struct{}, maxRevoking)}
	var errs []error
	fail := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("oidc: "+format, args...))
		}
	}
	fail(c.Name == "", "Name is not set")
	fail(strings.ContainsAny(c.Domain, `\/`), "Domain %.64q has a slash in it", c.Domain)
	fail(c.ClientID == "", "ClientID is not set")
	if err := checkURL(c.Issuer, c.Issuer); err != nil {
		fail(true, "Issuer: %w", err)
	} else if u, err := url.Parse(c.Issuer); err != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
		fail(true, "Issuer %.200q has a query or fragment", c.Issuer)
	}
	for _, s := range c.Scopes {
		fail(!isScope(s), "the scope %.64q cannot be one", s)
	}
	for _, a := range c.Audiences {
		fail(a == "", "an audience is empty")
		fail(a != "" && (a == c.ClientID || a == c.DesktopClientID), "the audience %.64q is a client: want that of the API", a)
	}
	var err error
	p.allowed, err = jwt.ParseAlgorithms(c.Algorithms)
	fail(err != nil, "%w", err)
	fail(len(c.Algorithms) == 0, "Algorithms is empty: nil means all that are good")
	p.client, err = newClient(&c)
	fail(err != nil, "Proxy: %w", err)
	fail(c.Proxy != nil && strings.HasPrefix(c.Issuer, "http:"), "Proxy: the issuer is at http, so that the proxy would read what is secret")
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p.doc = kept.Value[*document]{Fetch: p.fetchDocument, Lifetime: documentLifetime, Stale: documentStale, Now: p.now, Failed: p.failed("provider cannot be asked"),
		Final: func(err error) bool { return errors.Is(err, errWrongDocument) }}
	p.keys = jwt.NewKeys(documentLifetime, p.now, p.fetchKeys, p.failed("keys of the provider cannot be fetched"))
	return p, nil
}

// isScope is scope-token of RFC 6749 3.3.
func isScope(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' })
}

// Name returns the name that the configuration gave.
func (p *Provider) Name() string { return p.c.Name }

func (p *Provider) now() time.Time {
	if p.c.Now != nil {
		return p.c.Now()
	}
	return time.Now()
}

func (p *Provider) logger() *slog.Logger {
	if p.c.Logger != nil {
		return p.c.Logger
	}
	return slog.Default()
}

func (p *Provider) failed(what string) func(context.Context, error, bool) {
	return func(ctx context.Context, err error, kept bool) {
		p.logger().LogAttrs(ctx, slog.LevelError, what, slog.String("provider", p.c.Name), slog.String("issuer", p.c.Issuer),
			slog.Bool("kept", kept), slog.String("cause", err.Error()))
	}
}

func (p *Provider) desktopClient() string { return cmp.Or(p.c.DesktopClientID, p.c.ClientID) }

// refuse says no. Neither the peer nor a page is told why.
func (p *Provider) refuse(reason authn.Reason, hint, format string, args ...any) error {
	return &authn.RefusedError{Mechanism: Mechanism, Reason: reason, Hint: hint, Err: fmt.Errorf("provider %s: %w", p.c.Name, fmt.Errorf(format, args...))}
}

// unavailable says that nobody could say.
func (p *Provider) unavailable(what string, err error) error {
	return fmt.Errorf("oidc: provider %s: %s: %w: %w", p.c.Name, what, authn.ErrUnavailable, err)
}

// scopes are those to ask for.
func (p *Provider) scopes(d *document) []string {
	scopes := []string{"openid", "email", "profile"}
	if slices.Contains(d.Scopes, offlineAccess) {
		scopes = append(scopes, offlineAccess)
	}
	for _, s := range p.c.Scopes {
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	return scopes
}
