package oidc

import (
	"context"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/jwt"
)

const (
	maxHint      = 4 << 10 // bytes of an ID token in an address
	maxLogoutAge = 10 * time.Minute
	maxTokenID   = 1 << 10
	eventLogout  = "http://schemas.openid.net/event/backchannel-logout"
)

// LogoutURL is where to send a browser to end the session at the provider too,
// empty if the provider has no such place, or cannot say (OpenID Connect
// RP-Initiated Logout 2). returnTo may be empty.
func (p *Provider) LogoutURL(ctx context.Context, t *Tokens, returnTo string) string {
	d, err := p.metadata(ctx)
	if err != nil || d.EndSession == "" {
		return ""
	}
	u, err := url.Parse(d.EndSession)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("client_id", p.c.ClientID)
	if returnTo != "" {
		q.Set("post_logout_redirect_uri", returnTo)
	}
	if t != nil {
		if hint := t.IDToken.Reveal(); hint != "" && len(hint) <= maxHint {
			q.Set("id_token_hint", hint)
		}
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// BackchannelLogout checks a logout token that the provider posted (OpenID Connect
// Back-Channel Logout 2.6) and returns whose sessions end: of a subject, or the one
// of a session ID, or both. A refusal wraps authn.ErrBadCredentials and is answered
// with 400; authn.ErrUnavailable means that nobody could say. A token counts once.
func (p *Provider) BackchannelLogout(ctx context.Context, r *http.Request) (subject, sessionID string, err error) {
	raw, err := p.logoutToken(r)
	if err != nil {
		return "", "", err
	}
	// Not all providers give it a type; then events tells it from an ID token.
	t, err := p.signed(ctx, raw, keysPause, "jwt", "logout+jwt")
	if err != nil {
		return "", "", err
	}
	c := t.Claims
	audience, err := p.audience(c)
	if err != nil {
		return "", "", err
	}
	if !slices.Contains(audience, p.c.ClientID) && !slices.Contains(audience, p.desktopClient()) {
		return "", "", p.refuse(authn.ReasonWrongTarget, "", "a logout token for %.200q", audience)
	}
	if err := p.logoutTimes(c); err != nil {
		return "", "", err
	}
	events, _ := c["events"].(map[string]any)
	event, is := events[eventLogout].(map[string]any)
	_, hasNonce := c["nonce"]
	jti, _ := c["jti"].(string)
	switch {
	case !is || event == nil:
		return "", "", p.refuse(authn.ReasonMalformed, "", "a logout token without that event")
	case hasNonce:
		return "", "", p.refuse(authn.ReasonMalformed, "", "a logout token with a nonce")
	case jti == "" || len(jti) > maxTokenID:
		return "", "", p.refuse(authn.ReasonMalformed, "", "a logout token without a name of its own")
	}
	if c["sub"] != nil {
		if subject, err = p.subject(c); err != nil {
			return "", "", err
		}
	}
	if sid, has := c["sid"]; has {
		text, _ := sid.(string)
		if text == "" || len(text) > maxSessionID {
			return "", "", p.refuse(authn.ReasonMalformed, "", "a logout token whose session cannot be one")
		}
		sessionID = text
	}
	if subject == "" && sessionID == "" {
		return "", "", p.refuse(authn.ReasonMalformed, "", "a logout token that names neither subject nor session")
	}
	if err := p.once(ctx, "logout token", jti, p.now().Add(maxLogoutAge+2*skew)); err != nil {
		return "", "", err
	}
	return subject, sessionID, nil
}

// logoutToken reads the form.
func (p *Provider) logoutToken(r *http.Request) (string, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method != http.MethodPost || err != nil || kind != "application/x-www-form-urlencoded" {
		return "", p.refuse(authn.ReasonMalformed, "", "a logout that is no posted form")
	}
	const limit = maxIDToken + 1<<10
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil || len(body) > limit {
		return "", p.refuse(authn.ReasonMalformed, "", "a logout of more than %d bytes, or that breaks off", limit)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form["logout_token"]) != 1 {
		return "", p.refuse(authn.ReasonMalformed, "", "a logout without a token, or with several")
	}
	return form.Get("logout_token"), nil
}

// logoutTimes checks that a logout token is of now: exp came late into the
// specification.
func (p *Provider) logoutTimes(c jwt.Claims) error {
	now := p.now()
	issued, has, err := c.Time("iat")
	switch {
	case err != nil || !has:
		return p.refuse(authn.ReasonMalformed, "", "the logout token does not say when it was issued")
	case now.Add(skew).Before(issued):
		return p.refuse(authn.ReasonClockSkew, clockHint, "it was issued at %s", issued.UTC().Format(time.RFC3339))
	case !now.Before(issued.Add(maxLogoutAge + skew)):
		return p.refuse(authn.ReasonExpired, clockHint, "it was issued at %s", issued.UTC().Format(time.RFC3339))
	}
	if _, has := c["exp"]; has {
		_, _, err = p.times(c)
	}
	return err
}
