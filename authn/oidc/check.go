package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/soapward/soapward/internal/jwt"
)

// Metadata is what a provider says of itself.
type Metadata struct {
	Issuer           string
	Authorization    string
	Token            string
	Device           string // empty: none
	EndSession       string // empty: none
	Revocation       string // empty: none
	Algorithms       []string
	Scopes           []string
	PKCE             bool // S256
	Backchannel      bool
	KeyIDs           []string
	IssuerInResponse bool
}

// Check fetches the well-known document and the keys anew, and says what is
// wrong: for a Test button and for health. The error has a line for each fault; the
// metadata is there, as far as it is known, in any case.
func (p *Provider) Check(ctx context.Context) (*Metadata, error) {
	m := &Metadata{}
	sent := p.now()
	d, res, err := p.readDocument(ctx)
	errs := []error{p.clock(res, sent)}
	if err != nil {
		return m, errors.Join(append(errs, fmt.Errorf("oidc: well-known document of %s: %w", p.c.Issuer, err))...)
	}
	*m = Metadata{
		Issuer: d.Issuer, Authorization: d.Authorization, Token: d.Token, Device: d.Device, EndSession: d.EndSession, Revocation: d.Revocation,
		Algorithms: d.Algorithms, Scopes: d.Scopes, PKCE: slices.Contains(d.PKCE, "S256"), Backchannel: d.Backchannel,
		IssuerInResponse: d.IssInResponse,
	}
	add := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("oidc: "+format, args...))
		}
	}
	if err := d.check(p.c.Issuer); err != nil {
		add(true, "%w", err)
	}
	add(d.ResponseTypes != nil && !slices.Contains(d.ResponseTypes, "code"), "the provider does not offer the response type code, which logins use: it has %.200q", d.ResponseTypes)
	add(d.PKCE != nil && !m.PKCE, "the provider does not offer PKCE with S256: it has %.200q", d.PKCE)
	add(!p.c.ClientSecret.IsEmpty() && d.TokenAuth != nil && !slices.Contains(d.TokenAuth, "client_secret_basic") && !slices.Contains(d.TokenAuth, "client_secret_post"),
		"the provider takes a client secret neither by client_secret_basic nor by client_secret_post: it has %.200q", d.TokenAuth)
	for _, s := range p.c.Scopes {
		add(d.Scopes != nil && !slices.Contains(d.Scopes, s), "the provider does not offer the scope %q", s)
	}
	both := p.allowed
	if d.Algorithms != nil {
		both = slices.DeleteFunc(slices.Clone(both), func(a jose.SignatureAlgorithm) bool { return !slices.Contains(d.Algorithms, string(a)) })
		add(len(both) == 0, "the provider signs with %.200q, of which none is allowed: want one of %v", d.Algorithms, p.c.Algorithms)
	}
	if checkURL(d.JWKS, p.c.Issuer) == nil {
		raw, _, err := p.get(ctx, d.JWKS, "", jwt.MaxKeySet)
		var usable bool
		if err == nil {
			m.KeyIDs, usable, err = jwt.Inspect(raw, both)
		}
		add(err != nil, "keys of the provider: %w", err)
		add(err == nil && len(both) > 0 && !usable, "the provider has no key for an algorithm that is allowed: %v", both)
	}
	return m, errors.Join(errs...)
}

// clock compares that of the provider with ours.
func (p *Provider) clock(res *http.Response, sent time.Time) error {
	if res == nil {
		return nil
	}
	theirs, err := http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		return nil
	}
	// The answer was made after sent, and its header has whole seconds.
	switch ahead, behind := theirs.Sub(p.now()), sent.Sub(theirs.Add(time.Second)); {
	case ahead > skew:
		return fmt.Errorf("oidc: the provider's clock is %s ahead of ours: tokens are refused", ahead.Round(time.Second))
	case behind > skew:
		return fmt.Errorf("oidc: the provider's clock is %s behind ours: tokens seem to have expired", behind.Round(time.Second))
	}
	return nil
}
