package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
)

const (
	maxRevoking = 16 // at a time
	revokeFor   = 10 * time.Second
)

var errRevoking = errors.New("too many wait for the provider already")

// Revoke takes the refresh token in t back at the provider (RFC 7009), so that nobody
// goes on with it. Where there is none, or the provider has no place for that, it does
// nothing.
func (p *Provider) Revoke(ctx context.Context, t *Tokens) error {
	if t == nil || t.Refresh.IsEmpty() {
		return nil
	}
	if err := p.ours(t); err != nil {
		return err
	}
	d, err := p.metadata(ctx)
	if err != nil || d.Revocation == "" {
		return err
	}
	form := url.Values{"token": {t.Refresh.Reveal()}, "token_type_hint": {"refresh_token"}}
	methods := d.RevocationAuth
	if methods == nil { // they are those of the token endpoint in practice, whatever RFC 8414 2 says
		methods = d.TokenAuth
	}
	basic := p.basic(methods)
	if !basic {
		form.Set("client_id", p.c.ClientID)
		if secret := p.c.ClientSecret.Reveal(); secret != "" {
			form.Set("client_secret", secret)
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.Revocation, strings.NewReader(form.Encode()))
	if err != nil {
		return p.unavailable("revocation endpoint", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	if basic {
		r.SetBasicAuth(url.QueryEscape(p.c.ClientID), url.QueryEscape(p.c.ClientSecret.Reveal())) // RFC 6749 2.3.1
	}
	res, err := p.client.Do(r)
	if err != nil {
		return p.unavailable("revocation endpoint", clip(causeOf(err)))
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusOK { // for a token that it does not know, too
		return nil
	}
	var answer struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	if raw, err := io.ReadAll(res.Body); err == nil {
		_ = json.Unmarshal(raw, &answer) // the status says enough without
	}
	return p.unavailable("revocation endpoint", fmt.Errorf("it answered with status %d, %.64q: %.200q", res.StatusCode, answer.Code, answer.Description))
}

// RevokeLater is Revoke for the end of a session, which neither waits for the provider
// nor fails with it: it goes on for some seconds when the request of ctx is over, and
// logs what went wrong. While many wait for a provider that does not answer, tokens of
// others are not taken back, which is logged too.
func (p *Provider) RevokeLater(ctx context.Context, t *Tokens) {
	if t == nil || t.Refresh.IsEmpty() {
		return
	}
	failed := func(err error) {
		p.logger().LogAttrs(ctx, slog.LevelWarn, "a refresh token could not be taken back", slog.String("ref", authn.Ref(ctx)),
			slog.String("provider", p.c.Name), slog.String("subject", t.Subject), slog.String("cause", err.Error()))
	}
	select {
	case p.revoking <- struct{}{}:
	default:
		failed(errRevoking)
		return
	}
	go func() {
		defer func() { <-p.revoking }()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeFor)
		defer cancel()
		if err := p.Revoke(ctx, t); err != nil {
			failed(err)
		}
	}()
}

// ours refuses tokens of another issuer, which are shown to nobody else.
func (p *Provider) ours(t *Tokens) error {
	if iss, has := peek(t.IDToken)["iss"]; has && iss != p.c.Issuer {
		return p.refuse(authn.ReasonLoginMixedUp, "the configuration has another issuer since", "the tokens are of the issuer %.200q", iss)
	}
	return nil
}
