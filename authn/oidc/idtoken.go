package oidc

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/jwt"
)

const (
	maxSubject   = 255 // bytes: OpenID Connect Core 2
	maxSessionID = 1 << 10
	maxAudiences = 100
)

// wanted is what an ID token must be.
type wanted struct {
	client string
	nonce  string
	access string        // the access token that came with it; may be empty
	again  *Tokens       // of a refresh: those of before
	pause  time.Duration // see jwt.Verify
}

// idToken is one that was checked.
type idToken struct {
	claims           jwt.Claims
	subject, session string
	issued, expires  time.Time
}

// verify checks an ID token (OpenID Connect Core 3.1.3.7).
func (p *Provider) verify(ctx context.Context, raw string, w wanted) (*idToken, error) {
	t, err := p.signed(ctx, raw, w.pause, "jwt")
	if err != nil {
		return nil, err
	}
	id, err := p.judge(t.Claims, w)
	if err != nil {
		return nil, err
	}
	// What package go-oidc thinks of it. The signature was verified, and it knows no
	// leeway for clocks.
	config := &goidc.Config{ClientID: w.client, SupportedSigningAlgs: p.c.Algorithms, SkipExpiryCheck: true, Now: p.now}
	second, err := goidc.NewVerifier(p.c.Issuer, verified(t.Payload), config).Verify(ctx, raw)
	if err != nil {
		return nil, p.refuse(authn.ReasonMalformed, "", "ID token: %w", clip(err))
	}
	if w.access != "" && second.AccessTokenHash != "" {
		if err := second.VerifyAccessToken(w.access); err != nil {
			return nil, p.refuse(authn.ReasonIntegrity, "", "the ID token is of another access token")
		}
	}
	return id, nil
}

// verified is the payload of a token whose signature was verified.
type verified []byte

// VerifySignature implements goidc.KeySet.
func (v verified) VerifySignature(context.Context, string) ([]byte, error) { return v, nil }

// signed returns what a key of the provider signed. kinds are the values of typ
// that the token may have besides none (RFC 8725 3.11).
func (p *Provider) signed(ctx context.Context, raw string, pause time.Duration, kinds ...string) (*jwt.Token, error) {
	if len(raw) > maxIDToken {
		return nil, p.refuse(authn.ReasonMalformed, "", "a token of %d bytes", len(raw))
	}
	t, err := jwt.Verify(ctx, p.keys, pause, raw, p.allowed)
	switch {
	case errors.Is(err, jwt.ErrAlgorithm):
		return nil, p.refuse(authn.ReasonMalformed, fmt.Sprintf("the provider must sign with one of %v", p.allowed), "%w", err)
	case errors.Is(err, jwt.ErrMalformed):
		return nil, p.refuse(authn.ReasonMalformed, "", "%w", err)
	case errors.Is(err, jwt.ErrNoKey):
		return nil, p.refuse(authn.ReasonWrongKey, "", "%w", err)
	case errors.Is(err, jwt.ErrSignature):
		return nil, p.refuse(authn.ReasonIntegrity, "", "%w", err)
	case err != nil:
		return nil, fmt.Errorf("oidc: provider %s: %w", p.c.Name, err)
	case t.Type != "" && !slices.Contains(kinds, t.Type):
		return nil, p.refuse(authn.ReasonMechanism, "", "a token of the type %.64q", t.Type)
	}
	return t, nil
}

// judge compares the claims of an ID token. Names are compared to the letter, which
// encoding/json does not do with structs.
func (p *Provider) judge(c jwt.Claims, w wanted) (*idToken, error) {
	audience, err := p.audience(c)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(audience, w.client) {
		return nil, p.refuse(authn.ReasonWrongTarget, "compare with client_id", "a token for %.200q", audience)
	}
	// Core 3.1.3.7, 3 to 5: it names others whom we do not know, so it must be for us.
	switch azp, has := c["azp"]; {
	case has && azp != w.client:
		return nil, p.refuse(authn.ReasonWrongTarget, "", "the authorized party is %.200q", azp)
	case !has && len(audience) > 1:
		return nil, p.refuse(authn.ReasonWrongTarget, "", "a token for %.200q, without an authorized party", audience)
	}
	id := &idToken{claims: c}
	if id.issued, id.expires, err = p.times(c); err != nil {
		return nil, err
	}
	if id.issued.IsZero() {
		return nil, p.refuse(authn.ReasonMalformed, "", "the ID token does not say when it was issued")
	}
	if at, has, err := c.Time("auth_time"); err != nil || has && p.now().Add(skew).Before(at) {
		return nil, p.refuse(authn.ReasonClockSkew, clockHint, "the claim auth_time is no time of before now")
	}
	if id.subject, err = p.subject(c); err != nil {
		return nil, err
	}
	id.session = sessionID(c)
	return id, p.again(c, id, w)
}

// again compares the nonce, and at a refresh what must be as before (Core 12.2).
func (p *Provider) again(c jwt.Claims, id *idToken, w wanted) error {
	nonce, has := c["nonce"]
	text, ok := nonce.(string)
	if has && !ok {
		return p.refuse(authn.ReasonMalformed, "", "the nonce is no text")
	}
	if w.again == nil {
		if subtle.ConstantTimeCompare([]byte(text), []byte(w.nonce)) != 1 {
			return p.refuse(authn.ReasonLoginMixedUp, "", "the nonce is not that of the login")
		}
		return nil
	}
	before := peek(w.again.IDToken)
	switch {
	case id.subject != w.again.Subject:
		return p.refuse(authn.ReasonLoginMixedUp, "", "a refresh brought another subject")
	case has && before["nonce"] != nil && nonce != before["nonce"]:
		return p.refuse(authn.ReasonLoginMixedUp, "", "a refresh brought another nonce")
	}
	if was, ok := before["aud"]; ok {
		if now, then := c.Texts("aud"), (jwt.Claims{"aud": was}).Texts("aud"); !slices.ContainsFunc(now, func(a string) bool { return slices.Contains(then, a) }) {
			return p.refuse(authn.ReasonWrongTarget, "", "a refresh brought another audience")
		}
	}
	return nil
}

// peek reads the claims of an ID token that was verified when it came.
func peek(t authn.Secret) jwt.Claims {
	parts := strings.Split(t.Reveal(), ".")
	if len(parts) != 3 {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	var c jwt.Claims
	_ = json.Unmarshal(raw, &c)
	return c
}

const clockHint = "compare the clocks of this machine and of the provider"

// audience checks the issuer and returns for whom the token is.
func (p *Provider) audience(c jwt.Claims) ([]string, error) {
	if iss, _ := c["iss"].(string); iss != p.c.Issuer {
		return nil, p.refuse(authn.ReasonWrongTarget, "compare with issuer, to the last slash", "a token of the issuer %.200q", iss)
	}
	var audience []string
	switch aud := c["aud"].(type) {
	case string:
		audience = []string{aud}
	case []any:
		for _, a := range aud[:min(len(aud), maxAudiences)] {
			if s, ok := a.(string); ok {
				audience = append(audience, s)
			}
		}
		if len(audience) != len(aud) {
			return nil, p.refuse(authn.ReasonMalformed, "", "the audience cannot be read")
		}
	}
	if len(audience) == 0 {
		return nil, p.refuse(authn.ReasonMalformed, "", "the token is for nobody")
	}
	return audience, nil
}

// times checks the times that all tokens have. issued may be zero.
func (p *Provider) times(c jwt.Claims) (issued, expires time.Time, err error) {
	now := p.now()
	expires, hasExp, err1 := c.Time("exp")
	before, hasNBF, err2 := c.Time("nbf")
	issued, hasIAT, err3 := c.Time("iat")
	switch err := errors.Join(err1, err2, err3); {
	case err != nil:
		return issued, expires, p.refuse(authn.ReasonMalformed, "", "%w", err)
	case !hasExp:
		return issued, expires, p.refuse(authn.ReasonMalformed, "", "the token never expires")
	case !now.Before(expires.Add(skew)):
		return issued, expires, p.refuse(authn.ReasonExpired, clockHint, "it expired at %s", expires.UTC().Format(time.RFC3339))
	case hasNBF && now.Add(skew).Before(before):
		return issued, expires, p.refuse(authn.ReasonClockSkew, clockHint, "it is not valid before %s", before.UTC().Format(time.RFC3339))
	case hasIAT && now.Add(skew).Before(issued):
		return issued, expires, p.refuse(authn.ReasonClockSkew, clockHint, "it was issued at %s", issued.UTC().Format(time.RFC3339))
	}
	return issued, expires, nil
}

func (p *Provider) subject(c jwt.Claims) (string, error) {
	sub, _ := c["sub"].(string)
	if sub == "" || len(sub) > maxSubject || strings.ContainsFunc(sub, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", p.refuse(authn.ReasonMalformed, "", "the subject is missing, or none: up to 255 characters of ASCII")
	}
	return sub, nil
}

func sessionID(c jwt.Claims) string {
	sid, _ := c["sid"].(string)
	if len(sid) > maxSessionID {
		return ""
	}
	return sid
}

// VerifyIDToken checks an ID token that the command line got for DesktopClientID
// no longer than maxAge ago. It counts once, by what is signed: another signature of
// the same does not make it another one. nonce is that of its login, and empty for a
// device, whose login has none.
func (p *Provider) VerifyIDToken(ctx context.Context, token authn.Secret, nonce string, maxAge time.Duration) (*authn.Identity, *Tokens, error) {
	raw := token.Reveal()
	id, err := p.verify(ctx, raw, wanted{client: p.desktopClient(), nonce: nonce, pause: keysPause})
	if err != nil {
		return nil, nil, err
	}
	end := id.issued.Add(maxAge + skew)
	if !p.now().Before(end) {
		return nil, nil, p.refuse(authn.ReasonExpired, clockHint, "it was issued at %s", id.issued.UTC().Format(time.RFC3339))
	}
	who, err := p.identity(ctx, id, "")
	if err != nil {
		return nil, nil, err
	}
	if err := p.once(ctx, "ID token", raw[:strings.LastIndexByte(raw, '.')], end); err != nil {
		return nil, nil, err
	}
	return who, &Tokens{IDToken: token, Subject: id.subject, SessionID: id.session, Nonce: nonce}, nil
}
