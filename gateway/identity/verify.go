package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/soapward/soapward/authn"
)

// Mechanism names logins by token in errors.
const Mechanism = "identity token"

// algorithms are those that our keys have. Which one a token must have is decided
// by its key (RFC 8725 3.1).
var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.RS256}

// Identity returns the caller a token is about, with the evidence of his login
// where this process still has it. An error is an *authn.RefusedError, and so
// authn.ErrBadCredentials.
func (i *Issuer) Identity(ctx context.Context, token string) (*authn.Identity, error) {
	return i.IdentityFrom(ctx, token, nil)
}

// IdentityFrom is Identity for a token that one of some services brings, or any
// where there are none. Services with one audience count as one.
func (i *Issuer) IdentityFrom(_ context.Context, token string, services []string) (*authn.Identity, error) {
	if i == nil {
		return nil, refuse(authn.ReasonPolicy, "give a service a token: upstream.identity.jwt", errors.New("no service of this gateway gets tokens"))
	}
	id, audience := i.known.caller(token)
	if id == nil {
		c, err := i.verify(token)
		if err != nil {
			return nil, err
		}
		id, audience = c.identity(), c.Audience
	}
	if len(services) > 0 && !slices.ContainsFunc(services, func(name string) bool {
		s := i.services[name]
		return s != nil && s.audience == audience
	}) {
		return nil, refuse(authn.ReasonWrongTarget, "list the service in upstreams.NAME.services if it may call there", fmt.Errorf("the token is one of the service or audience %.100q", audience))
	}
	return id, nil
}

// verify returns the claims of a token of ours that did not expire.
func (i *Issuer) verify(token string) (*claims, error) {
	if len(token) > maxToken || strings.Count(token, ".") != 2 {
		return nil, refuse(authn.ReasonMalformed, "", errors.New("not a token of this gateway"))
	}
	jws, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil {
		return nil, refuse(authn.ReasonMalformed, "", errors.New("not a token of this gateway: no JWT with one of its algorithms"))
	}
	header := jws.Signatures[0].Protected
	key, now := i.keys[header.KeyID], i.now()
	switch {
	case key == nil, !key.until.IsZero() && !now.Before(key.until):
		return nil, refuse(authn.ReasonWrongKey, "the token is of another gateway, or of a configuration before the last one", fmt.Errorf("no key %.64q", header.KeyID))
	case header.Algorithm != key.jwk.Algorithm:
		return nil, refuse(authn.ReasonMechanism, "", fmt.Errorf("algorithm %s, and the key is for %s", header.Algorithm, key.jwk.Algorithm))
	case header.ExtraHeaders[jose.HeaderType] != "JWT":
		return nil, refuse(authn.ReasonMechanism, "", errors.New("another type than JWT"))
	}
	payload, err := jws.Verify(key.jwk.Key)
	if err != nil {
		return nil, refuse(authn.ReasonIntegrity, "", errors.New("the signature is wrong"))
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return nil, refuse(authn.ReasonMalformed, "", errors.New("the claims cannot be read"))
	}
	switch {
	case c.Issuer != key.issuer:
		return nil, refuse(authn.ReasonWrongTarget, "the key is used by another gateway too, whose identity.issuer differs", fmt.Errorf("issuer %.100q", c.Issuer))
	case !key.isFor(c.Audience, now):
		return nil, refuse(authn.ReasonWrongTarget, "the token is for a service that this gateway does not have, or has with another key", fmt.Errorf("audience %.100q", c.Audience))
	case now.Unix() >= c.Expires:
		return nil, refuse(authn.ReasonExpired, "a service has to call out with the token of the request that it handles", fmt.Errorf("it expired at %s", time.Unix(c.Expires, 0).UTC().Format(time.RFC3339)))
	case c.IssuedAt > now.Add(time.Minute).Unix():
		return nil, refuse(authn.ReasonClockSkew, "the clock was set back, or is another gateway's", errors.New("it was issued in the future"))
	case c.ID == "" || c.Subject == "":
		return nil, refuse(authn.ReasonMalformed, "", errors.New("claims are missing"))
	}
	return &c, nil
}

// isFor reports whether the key signs tokens for an audience, or did so lately.
func (k *publicKey) isFor(audience string, now time.Time) bool {
	return slices.Contains(k.audiences, audience) ||
		slices.ContainsFunc(k.former, func(f former) bool { return f.audience == audience && now.Before(f.until) })
}

// identity is what the claims alone say of the caller: no evidence, and groups as
// far as they are there.
func (c *claims) identity() *authn.Identity {
	id := &authn.Identity{
		Account: c.Account, Domain: c.Domain, UPN: c.UPN, DisplayName: c.Name, SID: c.SID, Roles: c.Roles,
		Mechanism: c.Mechanism, Expires: time.Unix(c.Expires, 0),
	}
	if c.AuthTime != 0 {
		id.AuthTime = time.Unix(c.AuthTime, 0)
	}
	for _, name := range c.Groups {
		g := authn.Group{Name: name}
		if strings.HasPrefix(name, "S-1-") {
			g = authn.Group{SID: authn.SID(name)}
		}
		id.Groups = append(id.Groups, g)
	}
	return id
}

func refuse(reason authn.Reason, hint string, err error) error {
	return &authn.RefusedError{Mechanism: Mechanism, Reason: reason, Hint: hint, Err: err}
}
