package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/jwt"
)

const (
	maxName        = 256 // bytes
	maxClaims      = 200
	maxClaimValues = 2000
	maxClaimValue  = 4 << 10 // bytes
)

// identity says who an ID token names. If it does not say so, the provider is
// asked with the access token, if there is one (OpenID Connect Core 5.3).
func (p *Provider) identity(ctx context.Context, t *idToken, access string) (*authn.Identity, error) {
	c := t.claims
	if access != "" && !p.named(c) {
		more, err := p.userinfo(ctx, t.subject, access)
		if err != nil {
			return nil, err
		}
		if more != nil {
			c = merge(c, more)
		}
	}
	return p.identityOf(c)
}

// merge adds claims of userinfo to those that were signed. An address and whether
// it was verified are of one source: that of another would vouch for it.
func merge(signed, more jwt.Claims) jwt.Claims {
	c := maps.Clone(more)
	maps.Copy(c, signed)
	if signed["email"] == nil || signed["email_verified"] == nil {
		if more["email"] != nil {
			c["email"], c["email_verified"] = more["email"], more["email_verified"]
		} else {
			c["email_verified"] = nil
		}
	}
	return c
}

// named reports whether claims say who it is.
func (p *Provider) named(c jwt.Claims) bool {
	_, err := c.Text(p.c.UsernameClaim)
	return err == nil && (p.c.UsernameClaim != "email" || p.c.AllowUnverifiedEmail || c["email_verified"] != nil)
}

// userinfo asks for more claims. They are nil if the provider has none.
func (p *Provider) userinfo(ctx context.Context, subject, access string) (jwt.Claims, error) {
	d, err := p.metadata(ctx)
	if err != nil {
		return nil, err
	}
	if d.Userinfo == "" {
		return nil, nil
	}
	raw, res, err := p.get(ctx, d.Userinfo, access, maxAnswer)
	if err != nil {
		return nil, p.unavailable("userinfo", err)
	}
	var c jwt.Claims
	if err := json.Unmarshal(raw, &c); err != nil || c == nil {
		cause := errors.New("the answer is no JSON object")
		if strings.HasPrefix(res.Header.Get("Content-Type"), "application/jwt") {
			cause = errors.New("the answer is a JWT: have the provider answer with JSON")
		}
		return nil, p.unavailable("userinfo", cause)
	}
	if sub, _ := c["sub"].(string); sub != subject { // Core 5.3.2
		return nil, p.refuse(authn.ReasonLoginMixedUp, "", "userinfo is of another subject")
	}
	return c, nil
}

// identityOf makes an identity of claims that were checked.
func (p *Provider) identityOf(c jwt.Claims) (*authn.Identity, error) {
	name := p.c.UsernameClaim
	account, err := c.Text(name)
	if err != nil {
		return nil, p.refuse(authn.ReasonPolicy, "have the provider put the claim into ID tokens, or set another username_claim", "%w", err)
	}
	if err := checkAccount(account); err != nil {
		return nil, p.refuse(authn.ReasonPolicy, "", "the claim %s %w", name, err)
	}
	verified := isTrue(c["email_verified"]) || p.c.AllowUnverifiedEmail
	if name == "email" && !verified {
		return nil, p.refuse(authn.ReasonPolicy, "have it verified at the provider, set another username_claim, or allow_unverified_email if the provider gives only addresses of its own", "the e-mail address is not verified")
	}
	claims, err := collect(c)
	if err != nil {
		return nil, p.refuse(authn.ReasonMalformed, "", "%w", err)
	}
	if !verified {
		delete(claims, "email") // anybody's
	}
	id := &authn.Identity{Account: account, Domain: p.c.Domain, Claims: claims, Mechanism: Mechanism, AuthTime: p.now()}
	if display, err := c.Text("name"); err == nil && len(display) <= maxName && isShown(display) {
		id.DisplayName = display
	}
	return id, nil
}

// isTrue reads email_verified, which some providers write as text.
func isTrue(v any) bool { return v == true || v == "true" }

// checkAccount refuses what is no name, or would be one of another domain.
func checkAccount(s string) error {
	switch {
	case s == "":
		return errors.New("is empty")
	case len(s) > maxName:
		return fmt.Errorf("has %d bytes", len(s))
	case strings.ContainsAny(s, `\/`):
		return errors.New("has a slash in it, which stands between domain and account")
	case !isShown(s):
		return errors.New("has characters that cannot be seen")
	case s != strings.TrimSpace(s):
		return errors.New("has space around it")
	}
	return nil
}

// isShown reports whether all characters can be seen, so that two names that look
// the same are not two.
func isShown(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError })
}

// protocol are claims that say something of a token, not of a user.
var protocol = []string{"aud", "azp", "nonce", "at_hash", "c_hash", "s_hash", "jti", "sid", "typ", "acr", "_claim_names", "_claim_sources"}

// collect returns texts and lists of texts. Those in an object have both names, as
// in realm_access.roles.
func collect(c jwt.Claims) (authn.Claims, error) {
	if len(c) > maxClaims {
		return nil, fmt.Errorf("%d claims, more than %d", len(c), maxClaims)
	}
	claims := authn.Claims{}
	add := func(name string, v any) error {
		values, err := texts(v)
		if err != nil {
			return fmt.Errorf("claim %.64q: %w", name, err)
		}
		if _, ok := claims[name]; values != nil && !ok {
			claims[name] = values
		}
		if len(claims) > maxClaims {
			return fmt.Errorf("more than %d claims", maxClaims)
		}
		return nil
	}
	for name, v := range c {
		if slices.Contains(protocol, name) {
			continue
		}
		if err := add(name, v); err != nil {
			return nil, err
		}
	}
	for name, v := range c {
		if m, ok := v.(map[string]any); ok && !slices.Contains(protocol, name) {
			for part, v := range m {
				if err := add(name+"."+part, v); err != nil {
					return nil, err
				}
			}
		}
	}
	return claims, nil
}

// texts returns the texts of a claim, nil if it is of another kind.
func texts(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	if len(list) > maxClaimValues {
		return nil, fmt.Errorf("%d values, more than %d", len(list), maxClaimValues)
	}
	var values []string
	for _, v := range list {
		s, ok := v.(string)
		if !ok {
			continue
		}
		if len(s) > maxClaimValue {
			return nil, fmt.Errorf("a value of %d bytes, more than %d", len(s), maxClaimValue)
		}
		values = append(values, s)
	}
	return values, nil
}
