package oidc

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/jwt"
)

const (
	maxAccessToken = 16 << 10
	keepAccess     = 5 * time.Minute // a key that was withdrawn counts for so long
)

// Bearer takes access tokens that are JWTs (RFC 9068) for one of Config.Audiences,
// over TLS. ID tokens are no access tokens. Without Audiences it takes and offers
// nothing.
func (p *Provider) Bearer() authn.Authenticator { return &bearer{p: p} }

// InsecureBearer is Bearer for requests over plain HTTP too, where everybody on the
// way can copy tokens: for those that came by TLS to a proxy on the same machine.
func (p *Provider) InsecureBearer() authn.Authenticator { return &bearer{p: p, plain: true} }

type bearer struct {
	p     *Provider
	plain bool
}

var _ authn.Authenticator = (*bearer)(nil)

// Challenges implements authn.Authenticator.
func (b *bearer) Challenges(r *http.Request) []authn.Challenge {
	if len(b.p.c.Audiences) == 0 || r.TLS == nil && !b.plain {
		return nil
	}
	param := "realm=" + strconv.QuoteToASCII(b.p.c.Name)
	if scheme, _, _ := authn.Authorization(r); strings.EqualFold(scheme, "Bearer") {
		param += `, error="invalid_token"` // RFC 6750 3.1
	}
	return []authn.Challenge{{Scheme: "Bearer", Param: param}}
}

// Authenticate implements authn.Authenticator. Only the Authorization header counts,
// not a token in the address or the body (RFC 6750 2.2, 2.3).
func (b *bearer) Authenticate(r *http.Request) (*authn.Result, error) {
	p := b.p
	scheme, token, ok := authn.Authorization(r)
	switch {
	case len(p.c.Audiences) == 0 || !ok || !strings.EqualFold(scheme, "Bearer"):
		return nil, authn.ErrNoCredentials
	case r.TLS == nil && !b.plain:
		return nil, p.refuse(authn.ReasonPolicy, "use https", "a token over plain HTTP")
	case len(token) > maxAccessToken:
		return nil, p.refuse(authn.ReasonMalformed, "", "a token of %d bytes", len(token))
	}
	now, d := p.now(), p.known.Digest([]byte(token))
	if id, ok := p.known.Get(d, now); ok {
		return &authn.Result{Identity: id}, nil
	}
	t, err := p.signed(r.Context(), token, keysPause, "at+jwt", "jwt")
	if err != nil {
		return nil, err
	}
	id, err := b.judge(t)
	if err != nil {
		return nil, err
	}
	// Only tokens that were verified are remembered, so that others take no room.
	keep := now.Add(keepAccess)
	if id.Expires.Before(keep) {
		keep = id.Expires
	}
	p.known.Put(d, id, now, keep)
	return &authn.Result{Identity: id, Fresh: true}, nil
}

// judge compares the claims of an access token (RFC 9068 4).
func (b *bearer) judge(t *jwt.Token) (*authn.Identity, error) {
	p, c := b.p, t.Claims
	audience, err := p.audience(c)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(p.c.Audiences, a) }) {
		return nil, p.refuse(authn.ReasonWrongTarget, "the client asked the provider for a token for another service", "a token for %.200q", audience)
	}
	if t.Type != "at+jwt" {
		for _, name := range []string{"nonce", "at_hash", "c_hash", "s_hash", "events"} { // of ID tokens, and of logout tokens
			if _, has := c[name]; has {
				return nil, p.refuse(authn.ReasonMechanism, "", "a token with the claim %s is no access token", name)
			}
		}
	}
	_, expires, err := p.times(c)
	if err != nil {
		return nil, err
	}
	if _, err := p.subject(c); err != nil {
		return nil, err
	}
	id, err := p.identityOf(c)
	if err != nil {
		return nil, err
	}
	if scope, ok := c["scope"].(string); ok {
		words := strings.Fields(scope)
		if len(words) > maxClaimValues {
			return nil, p.refuse(authn.ReasonMalformed, "", "%w", errors.New("too many scopes"))
		}
		id.Claims["scope"] = words
	}
	id.Expires = expires.Add(skew)
	return id, nil
}
