package oidc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/soapward/soapward/authn"
)

const (
	maxLogin    = 10 * time.Minute
	maxCallback = 16 << 10 // bytes of the query
	maxIDToken  = 64 << 10
	maxRefresh  = 16 << 10
	minDue      = time.Minute
	maxDue      = time.Hour
)

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
	Consent  bool // the user was asked for consent anew
}

// Tokens are what a provider gave. They do not print.
type Tokens struct {
	Refresh authn.Secret // may be empty
	IDToken authn.Secret // for LogoutURL, and to compare with the next one

	// Expires is when to refresh: from a minute to an hour after the tokens were
	// given. Zero: never, as there is no refresh token.
	Expires time.Time

	Subject   string // sub
	SessionID string // sid; may be empty
	Nonce     string // of the login, for VerifyIDToken; may be empty
}

// What is known of whether a refresh token needs prompt=consent (OpenID Connect
// Core 11 demands it, many providers do not).
const (
	consentUnknown int32 = iota
	consentNeeded
	consentUseless
)

// Begin begins a login and returns the URL to send the browser to. An error wraps
// authn.ErrUnavailable.
func (p *Provider) Begin(ctx context.Context, redirect, returnTo string) (url string, l *Login, err error) {
	d, err := p.metadata(ctx)
	if err != nil {
		return "", nil, err
	}
	l = &Login{Provider: p.c.Name, State: random(), Nonce: random(), Verifier: oauth2.GenerateVerifier(), Redirect: redirect, Return: returnTo, Begun: p.now()}
	opts := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(l.Verifier), oauth2.SetAuthURLParam("nonce", l.Nonce)}
	c := p.oauth(d, redirect)
	if slices.Contains(c.Scopes, offlineAccess) && p.consent.Load() == consentNeeded && (d.Prompts == nil || slices.Contains(d.Prompts, "consent")) {
		l.Consent = true
		opts = append(opts, oauth2.SetAuthURLParam("prompt", "consent"))
	}
	return c.AuthCodeURL(l.State, opts...), l, nil
}

// random returns 256 random bits.
func random() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Callback ends a login with the request that the provider had the browser send.
// A refusal wraps authn.ErrBadCredentials, with a reason for the log; a provider
// that does not answer is authn.ErrUnavailable, and authn.ErrOverloaded means that
// too many codes of the client brought nothing. The identity has the claims of the
// ID token, and those of userinfo if the ID token does not say who it is.
//
// A login ends once; whoever calls it takes l from the browser in any case.
func (p *Provider) Callback(ctx context.Context, l *Login, r *http.Request) (*authn.Identity, *Tokens, error) {
	e, err := p.finish(ctx, l, r)
	if err != nil {
		return nil, nil, err
	}
	id, err := p.identity(ctx, e.id, e.access)
	if err != nil {
		return nil, nil, err
	}
	if err := p.once(ctx, "login", l.State, l.Begun.Add(maxLogin+skew)); err != nil {
		return nil, nil, err
	}
	return id, e.tokens, nil
}

// ended is what came of a request to the token endpoint.
type ended struct {
	id     *idToken // nil if a refresh brought none
	access string
	tokens *Tokens
}

// finish checks that an answer belongs to a login, and exchanges its code.
func (p *Provider) finish(ctx context.Context, l *Login, r *http.Request) (*ended, error) {
	now := p.now()
	switch {
	case l == nil:
		return nil, p.refuse(authn.ReasonLoginMixedUp, "the browser lost the cookie of the login: it took too long, or began elsewhere", "an answer without a login")
	case l.Provider != p.c.Name || l.State == "" || l.Nonce == "" || l.Verifier == "":
		return nil, p.refuse(authn.ReasonLoginMixedUp, "", "the login began at provider %.64q", l.Provider)
	case !now.Before(l.Begun.Add(maxLogin)):
		return nil, p.refuse(authn.ReasonExpired, "the user took longer than 10 minutes", "the login began at %s", l.Begun.UTC().Format(time.RFC3339))
	case now.Add(skew).Before(l.Begun):
		return nil, p.refuse(authn.ReasonClockSkew, "compare the clocks of the nodes", "the login began at %s", l.Begun.UTC().Format(time.RFC3339))
	}
	d, err := p.metadata(ctx)
	if err != nil {
		return nil, err
	}
	code, err := p.code(d, l, r)
	if err != nil {
		return nil, err
	}
	bought, err := p.tried.begin(authn.ClientAddr(r), now)
	if err != nil {
		return nil, fmt.Errorf("oidc: provider %s: %w", p.c.Name, err)
	}
	t, err := p.oauth(d, l.Redirect).Exchange(p.withClient(ctx), code, oauth2.VerifierOption(l.Verifier))
	if err != nil {
		return nil, p.tokenError(err)
	}
	bought()
	e, err := p.take(ctx, t, wanted{client: p.c.ClientID, nonce: l.Nonce})
	if err != nil {
		return nil, err
	}
	if e.id == nil {
		return nil, p.refuse(authn.ReasonMalformed, "is it an OpenID Connect provider? The scope openid was asked for", "no ID token")
	}
	p.learn(d, l, e)
	return e, nil
}

// code finds the code in the answer of the provider. Nothing in it is looked at
// before the state, with which the browser shows that it began the login.
func (p *Provider) code(d *document, l *Login, r *http.Request) (string, error) {
	malformed := func(format string, args ...any) error {
		return p.refuse(authn.ReasonMalformed, "", "its answer by the browser: "+format, args...)
	}
	if r.Method != http.MethodGet || len(r.URL.RawQuery) > maxCallback {
		return "", malformed("%.16s with %d bytes", r.Method, len(r.URL.RawQuery))
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", malformed("the query cannot be read")
	}
	// RFC 6749 3.1: each at most once.
	for _, name := range []string{"state", "iss", "code", "error", "error_description"} {
		if len(q[name]) > 1 {
			return "", malformed("%d times %s", len(q[name]), name)
		}
	}
	if !l.knows(r) {
		return "", p.refuse(authn.ReasonLoginMixedUp, "another login was begun in the same browser, or somebody sent the user a link", "the state is not that of the login")
	}
	// RFC 9207 2.4: that the answer is of the provider that was asked.
	switch iss := q["iss"]; {
	case len(iss) == 1 && iss[0] != p.c.Issuer:
		return "", p.refuse(authn.ReasonLoginMixedUp, "", "the answer is of the issuer %.200q", iss[0])
	case len(iss) == 0 && d.IssInResponse:
		return "", p.refuse(authn.ReasonLoginMixedUp, "", "the answer does not say which issuer it is of, though the provider says so in each")
	}
	if code := q.Get("error"); code != "" {
		return "", p.refuse(authn.ReasonProviderRefused, "", "it answered %.64q: %.200q", code, q.Get("error_description"))
	}
	if q.Get("code") == "" {
		return "", malformed("neither code nor error")
	}
	return q.Get("code"), nil
}

// take reads the answer of the token endpoint.
func (p *Provider) take(ctx context.Context, t *oauth2.Token, w wanted) (*ended, error) {
	if len(t.RefreshToken) > maxRefresh {
		return nil, p.unavailable("token endpoint", fmt.Errorf("a refresh token of %d bytes", len(t.RefreshToken)))
	}
	now := p.now()
	e := &ended{access: t.AccessToken, tokens: &Tokens{Refresh: authn.NewSecret(t.RefreshToken)}}
	due := now.Add(time.Duration(t.ExpiresIn) * time.Second)
	if raw := t.Extra("id_token"); raw != nil {
		text, ok := raw.(string)
		if !ok {
			return nil, p.refuse(authn.ReasonMalformed, "", "the ID token is no text")
		}
		w.access, w.pause = t.AccessToken, keysPauseOwn
		id, err := p.verify(ctx, text, w)
		if err != nil {
			return nil, err
		}
		e.id = id
		e.tokens.IDToken, e.tokens.Subject, e.tokens.SessionID, e.tokens.Nonce = authn.NewSecret(text), id.subject, id.session, w.nonce
		if t.ExpiresIn <= 0 {
			due = id.expires
		}
	}
	if t.RefreshToken != "" {
		e.tokens.Expires = due
		if earliest := now.Add(minDue); due.Before(earliest) {
			e.tokens.Expires = earliest
		}
		if latest := now.Add(maxDue); due.After(latest) {
			e.tokens.Expires = latest
		}
	}
	return e, nil
}

// learn finds out whether the provider gives refresh tokens only to those who ask
// for consent: then the next login asks for it, and that is tried once.
func (p *Provider) learn(d *document, l *Login, e *ended) {
	switch {
	case !slices.Contains(d.Scopes, offlineAccess) || !e.tokens.Refresh.IsEmpty():
	case l.Consent:
		p.consent.Store(consentUseless)
	default:
		p.consent.CompareAndSwap(consentUnknown, consentNeeded)
	}
}

// tokenError says whose fault it is that there are no tokens: the user's, who may
// not go on, or the provider's or operator's, which must not end anybody's session.
func (p *Provider) tokenError(err error) error {
	var re *oauth2.RetrieveError
	if !errors.As(err, &re) {
		return p.unavailable("token endpoint", clip(causeOf(err)))
	}
	status := 0
	if re.Response != nil {
		status = re.Response.StatusCode
	}
	if status < 500 {
		switch re.ErrorCode {
		case "invalid_grant", "access_denied", "expired_token", "interaction_required", "login_required", "consent_required":
			return p.refuse(authn.ReasonProviderRefused, "", "its token endpoint answered %.64q: %.200q", re.ErrorCode, re.ErrorDescription)
		case "invalid_client", "unauthorized_client":
			return p.unavailable("token endpoint", fmt.Errorf("it does not take the client_id or client_secret of the configuration: %.64q: %.200q", re.ErrorCode, re.ErrorDescription))
		}
	}
	return p.unavailable("token endpoint", fmt.Errorf("it answered with status %d, %.64q: %.200q", status, re.ErrorCode, re.ErrorDescription))
}

// clip shortens the text of an error, which may have what a provider sent in it.
func clip(err error) error {
	if text := err.Error(); len(text) > 300 {
		return fmt.Errorf("%.300q", text)
	}
	return err
}

// Refresh asks whether the user may go on. It is authn.ErrBadCredentials if the
// provider says no, and authn.ErrUnavailable if it says nothing, or that it does not
// know us.
//
// The identity is who the provider says it is now. It is nil if the provider says
// that the user may go on, but not who it is: then the one of before stays. The
// refresh token in the Tokens returned takes the place of the one in t, which may
// be of no use any more, so it must be kept before anything else is done.
func (p *Provider) Refresh(ctx context.Context, t *Tokens) (*authn.Identity, *Tokens, error) {
	if t == nil || t.Refresh.IsEmpty() {
		return nil, nil, p.refuse(authn.ReasonExpired, "the provider gives refresh tokens for the scope offline_access", "there is no refresh token")
	}
	if err := p.ours(t); err != nil {
		return nil, nil, err
	}
	d, err := p.metadata(ctx)
	if err != nil {
		return nil, nil, err
	}
	answer, err := p.oauth(d, "").TokenSource(p.withClient(ctx), &oauth2.Token{RefreshToken: t.Refresh.Reveal()}).Token()
	if err != nil {
		return nil, nil, p.tokenError(err)
	}
	e, err := p.take(ctx, answer, wanted{client: p.c.ClientID, again: t})
	if err != nil {
		return nil, nil, err
	}
	n := e.tokens
	if e.id == nil { // OpenID Connect Core 12.2: the answer might have none
		n.IDToken, n.Subject, n.SessionID = t.IDToken, t.Subject, t.SessionID
		if d.Userinfo == "" || t.Subject == "" {
			return nil, n, nil
		}
		e.id = &idToken{subject: t.Subject, claims: map[string]any{"iss": p.c.Issuer, "sub": t.Subject}}
	}
	if n.SessionID == "" {
		n.SessionID = t.SessionID
	}
	n.Nonce = t.Nonce
	id, err := p.identity(ctx, e.id, e.access)
	if err != nil {
		return nil, n, err
	}
	return id, n, nil
}

// once remembers what counts once.
func (p *Provider) once(ctx context.Context, kind, what string, until time.Time) error {
	digest := sha256.Sum256([]byte(strings.Join([]string{kind, p.c.Name, what}, "\x00")))
	used := p.c.Used
	if used == nil {
		used = func(_ context.Context, digest [sha256.Size]byte, until time.Time) (bool, error) {
			return p.memory.use(digest, p.now(), until)
		}
	}
	fresh, err := used(ctx, digest, until)
	if err != nil {
		return p.unavailable("the memory of what was used", err)
	}
	if !fresh {
		return p.refuse(authn.ReasonReplay, "", "the %s was used before", kind)
	}
	return nil
}
