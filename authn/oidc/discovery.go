package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/soapward/soapward/internal/jwt"
)

const (
	documentLifetime = time.Hour
	documentStale    = 24 * time.Hour
	documentPause    = 5 * time.Second // from one failure to the next attempt

	// keysPause is how often keys are asked for because of a token that anybody may
	// have sent, keysPauseOwn because of one that the provider itself gave us.
	keysPause    = 30 * time.Second
	keysPauseOwn = time.Second

	offlineAccess = "offline_access"
	maxList       = 1000 // of scopes, ...
)

// errWrongDocument means that the provider answered, and that its answer cannot be
// used: what it said before is not used either.
var errWrongDocument = errors.New("its well-known document cannot be used")

// document is what a provider says of itself (OpenID Connect Discovery 3, RFC 8414).
type document struct {
	Issuer         string   `json:"issuer"`
	Authorization  string   `json:"authorization_endpoint"`
	Token          string   `json:"token_endpoint"`
	Userinfo       string   `json:"userinfo_endpoint"`
	JWKS           string   `json:"jwks_uri"`
	Device         string   `json:"device_authorization_endpoint"`
	EndSession     string   `json:"end_session_endpoint"`
	Revocation     string   `json:"revocation_endpoint"`
	Scopes         []string `json:"scopes_supported"`
	ResponseTypes  []string `json:"response_types_supported"`
	Algorithms     []string `json:"id_token_signing_alg_values_supported"`
	TokenAuth      []string `json:"token_endpoint_auth_methods_supported"`
	RevocationAuth []string `json:"revocation_endpoint_auth_methods_supported"`
	PKCE           []string `json:"code_challenge_methods_supported"`
	Prompts        []string `json:"prompt_values_supported"`
	IssInResponse  bool     `json:"authorization_response_iss_parameter_supported"`
	Backchannel    bool     `json:"backchannel_logout_supported"`
}

// metadata returns what the provider says of itself.
func (p *Provider) metadata(ctx context.Context) (*document, error) {
	d, ok, err := p.doc.Get(ctx, documentPause, func(*document) bool { return true })
	if !ok {
		return nil, p.unavailable("its well-known document", err)
	}
	return d, nil
}

func (p *Provider) fetchDocument(ctx context.Context) (*document, error) {
	d, _, err := p.readDocument(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.check(p.c.Issuer); err != nil {
		return nil, fmt.Errorf("%w: %w", errWrongDocument, err)
	}
	return d, nil
}

func (p *Provider) readDocument(ctx context.Context) (*document, *http.Response, error) {
	raw, res, err := p.get(ctx, strings.TrimSuffix(p.c.Issuer, "/")+"/.well-known/openid-configuration", "", maxAnswer)
	if err != nil {
		return nil, res, err
	}
	d, err := parseDocument(raw)
	return d, res, err
}

func parseDocument(raw []byte) (*document, error) {
	var d *document
	if err := json.Unmarshal(raw, &d); err != nil || d == nil {
		return nil, errors.New("its well-known document is no JSON object, or has other kinds of values")
	}
	for _, l := range [][]string{d.Scopes, d.ResponseTypes, d.Algorithms, d.TokenAuth, d.RevocationAuth, d.PKCE, d.Prompts} {
		if len(l) > maxList {
			return nil, fmt.Errorf("a list in its well-known document has %d items", len(l))
		}
	}
	return d, nil
}

// check finds what makes a document useless. The issuer is compared to the letter
// (Discovery 4.3): whoever answers for another one could have us take its tokens.
func (d *document) check(issuer string) error {
	if d.Issuer != issuer {
		return fmt.Errorf("the provider calls itself %.200q, the configuration %.200q: they must be equal, to the last slash", d.Issuer, issuer)
	}
	var errs []error
	for _, e := range []struct {
		name, url string
		needed    bool
	}{
		{"authorization_endpoint", d.Authorization, true},
		{"token_endpoint", d.Token, true},
		{"jwks_uri", d.JWKS, true},
		{"userinfo_endpoint", d.Userinfo, false},
		{"device_authorization_endpoint", d.Device, false},
		{"end_session_endpoint", d.EndSession, false},
		{"revocation_endpoint", d.Revocation, false},
	} {
		if e.url == "" {
			if e.needed {
				errs = append(errs, fmt.Errorf("it has no %s", e.name))
			}
		} else if err := checkURL(e.url, issuer); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.name, err))
		}
	}
	return errors.Join(errs...)
}

// fetchKeys fetches the keys from where the provider has them, which may have
// moved.
func (p *Provider) fetchKeys(ctx context.Context) ([]byte, error) {
	d, err := p.metadata(ctx)
	if err != nil {
		return nil, err
	}
	raw, _, err := p.get(ctx, d.JWKS, "", jwt.MaxKeySet)
	if err == nil {
		return raw, nil
	}
	moved, ok, _ := p.doc.Get(ctx, keysPause, func(n *document) bool { return n.JWKS != d.JWKS })
	if !ok {
		return nil, err
	}
	raw, _, err = p.get(ctx, moved.JWKS, "", jwt.MaxKeySet)
	return raw, err
}

// oauth returns the client of OAuth 2.0 that we are.
func (p *Provider) oauth(d *document, redirect string) *oauth2.Config {
	c := &oauth2.Config{
		ClientID: p.c.ClientID, ClientSecret: p.c.ClientSecret.Reveal(), RedirectURL: redirect, Scopes: p.scopes(d),
		Endpoint: oauth2.Endpoint{AuthURL: d.Authorization, TokenURL: d.Token, DeviceAuthURL: d.Device, AuthStyle: oauth2.AuthStyleInParams},
	}
	if p.basic(d.TokenAuth) {
		c.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	}
	return c
}

// basic reports whether the secret goes into the header, of the ways that an endpoint
// takes. Both ways at once, or one after the other, are not for secrets (RFC 6749
// 2.3). Without a list it is client_secret_basic (Discovery 3).
func (p *Provider) basic(methods []string) bool {
	return !p.c.ClientSecret.IsEmpty() && (methods == nil || slices.Contains(methods, "client_secret_basic"))
}

// withClient has package oauth2 use our client.
func (p *Provider) withClient(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, p.client)
}
