package hook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/jwt"
	"github.com/soapward/soapward/internal/kept"
)

const (
	mechJWT     = "JWT"
	maxToken    = 16 << 10 // bytes
	defaultSkew = time.Minute
)

// JWT takes bearer tokens (RFC 6750) that are signed JWTs (RFC 7519, RFC 8725).
// Keys, Issuer and Audience must be set. The fields must not change after the
// first request. It is safe for concurrent use.
type JWT struct {
	Keys *Keys

	// Issuer is what the claim iss must be, to the letter.
	Issuer string

	// Audience lists what the claim aud must have one of. It is what keeps a
	// token for another service out.
	Audience []string

	// Algorithms are those of which a token may use one. Nil means RS256 and
	// ES256. "none" and those with a shared secret (HS256) cannot be listed.
	Algorithms []string

	// Skew is how far clocks may differ. Zero means a minute.
	Skew time.Duration

	// NameClaim is the claim with the name of the user. Empty means "sub", which
	// never changes; "preferred_username" reads better. Dots lead into objects,
	// as in "realm_access.roles", here and below.
	NameClaim string

	// UPNClaim and DisplayNameClaim are for the fields of Identity. Empty: none
	// for the UPN, "name" for the other.
	UPNClaim, DisplayNameClaim string

	// GroupsClaim has names of groups. Empty means "groups".
	GroupsClaim string

	// Claims are those that the Identity keeps, for roles and for programs. The
	// claim scope is split into its words (RFC 8693 4.2). Nil means "scope" and
	// "roles".
	Claims []string

	// Domain is that of all users of the issuer. Empty: none.
	Domain string

	// Domains are those that names of groups and UPNs may have. Nil: none.
	Domains []string

	// Realm is shown in the challenge. Empty means "soapward".
	Realm string

	// AllowInsecureHTTP takes tokens over plain HTTP, where everybody on the way
	// can copy them. It is for development, and for servers behind a proxy that
	// ends TLS on the same machine.
	AllowInsecureHTTP bool

	Now func() time.Time // nil means time.Now

	once       sync.Once
	algorithms []jose.SignatureAlgorithm
	broken     error // of the fields
	known      *kept.Cache[*authn.Identity]
}

var _ authn.Authenticator = (*JWT)(nil)

// Check reports what is wrong with the fields.
func (j *JWT) Check() error {
	j.init()
	return j.broken
}

func (j *JWT) init() {
	j.once.Do(func() {
		j.known = kept.NewCache[*authn.Identity](maxRemembered)
		names := j.Algorithms
		if names == nil {
			names = []string{"RS256", "ES256"}
		}
		var err error
		if j.algorithms, err = jwt.ParseAlgorithms(names); err != nil {
			j.broken = fmt.Errorf("hook: %w", err)
			return
		}
		switch {
		case j.Keys == nil:
			j.broken = errors.New("hook: JWT.Keys is not set: give the address of the issuer's keys (jwks_uri)")
		case j.Issuer == "":
			j.broken = errors.New("hook: JWT.Issuer is not set: a token of anybody whose keys those are would do")
		case len(j.Audience) == 0 || slices.Contains(j.Audience, ""):
			j.broken = errors.New("hook: JWT.Audience is not set: a token for any other service would do")
		case len(j.algorithms) == 0:
			j.broken = errors.New("hook: JWT.Algorithms is empty: nil means RS256 and ES256")
		default:
			j.broken = checkURL(j.Keys.URL, j.Keys.AllowInsecureHTTP)
		}
	})
}

// Challenges implements authn.Authenticator.
func (j *JWT) Challenges(r *http.Request) []authn.Challenge {
	if r.TLS == nil && !j.AllowInsecureHTTP {
		return nil
	}
	param := "realm=" + strconv.QuoteToASCII(cmp.Or(j.Realm, "soapward"))
	if scheme, _, _ := authn.Authorization(r); strings.EqualFold(scheme, "Bearer") {
		param += `, error="invalid_token"` // RFC 6750 3.1
	}
	return []authn.Challenge{{Scheme: "Bearer", Param: param}}
}

// Authenticate implements authn.Authenticator. Only the Authorization header
// counts, not a token in the address or the body (RFC 6750 2.2, 2.3).
func (j *JWT) Authenticate(r *http.Request) (*authn.Result, error) {
	scheme, token, ok := authn.Authorization(r)
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return nil, authn.ErrNoCredentials
	}
	if err := j.Check(); err != nil {
		return nil, err
	}
	switch {
	case r.TLS == nil && !j.AllowInsecureHTTP:
		return nil, j.refuse(authn.ReasonPolicy, "use https, or set AllowInsecureHTTP if this connection is protected in another way", errors.New("token over plain HTTP"))
	case len(token) > maxToken:
		return nil, j.refuse(authn.ReasonMalformed, "", fmt.Errorf("a token of %d bytes", len(token)))
	case strings.Count(token, ".") != 2:
		return nil, j.refuse(authn.ReasonMalformed, "the token may be encrypted, or one that only its issuer understands", errors.New("not a signed JWT"))
	}
	now, d := clock(j.Now), j.known.Digest([]byte(token))
	if id, ok := j.known.Get(d, now); ok {
		return &authn.Result{Identity: id}, nil
	}
	claims, err := j.verify(r.Context(), token)
	if err != nil {
		return nil, err
	}
	id, err := j.judge(claims, now)
	if err != nil {
		return nil, err
	}
	// Only tokens that were verified are remembered, so that others take no room.
	// A key that was withdrawn counts for some minutes more.
	keep := now.Add(5 * time.Minute)
	if id.Expires.Before(keep) {
		keep = id.Expires
	}
	j.known.Put(d, id, now, keep)
	return &authn.Result{Identity: id, Fresh: true}, nil
}

func (j *JWT) refuse(reason authn.Reason, hint string, err error) error {
	return &authn.RefusedError{Mechanism: mechJWT, Reason: reason, Hint: hint, Err: err}
}

// verify returns the claims of a token that one of the issuer's keys signed.
func (j *JWT) verify(ctx context.Context, token string) (jwt.Claims, error) {
	t, err := j.Keys.verify(ctx, token, j.algorithms)
	switch {
	case errors.Is(err, jwt.ErrAlgorithm):
		return nil, j.refuse(authn.ReasonMalformed, fmt.Sprintf("the issuer signs with another algorithm than %v", j.algorithms), err)
	case errors.Is(err, jwt.ErrMalformed):
		return nil, j.refuse(authn.ReasonMalformed, "", err)
	case errors.Is(err, jwt.ErrNoKey):
		return nil, j.refuse(authn.ReasonWrongKey, "", err)
	case errors.Is(err, jwt.ErrSignature):
		return nil, j.refuse(authn.ReasonIntegrity, "", err)
	case err != nil:
		return nil, err
	}
	// RFC 8725 3.11: a token of another kind, such as a logout token, is no login.
	if t.Type != "" && t.Type != "jwt" && t.Type != "at+jwt" {
		return nil, j.refuse(authn.ReasonMechanism, "", fmt.Errorf("a token of the type %.64q", t.Type))
	}
	return t.Claims, nil
}

// judge compares the claims with what is wanted (RFC 7519 4.1) and makes the
// identity.
func (j *JWT) judge(c jwt.Claims, now time.Time) (*authn.Identity, error) {
	skew := cmp.Or(j.Skew, defaultSkew)
	exp, hasExp, err1 := c.Time("exp")
	nbf, hasNBF, err2 := c.Time("nbf")
	iat, hasIAT, err3 := c.Time("iat")
	audience := c.Texts("aud")
	clockHint := "compare the clocks of this machine and of the issuer"
	switch iss, _ := c["iss"].(string); {
	case errors.Join(err1, err2, err3) != nil:
		return nil, j.refuse(authn.ReasonMalformed, "", errors.Join(err1, err2, err3))
	case iss != j.Issuer:
		return nil, j.refuse(authn.ReasonWrongTarget, "compare with Issuer, to the last slash", fmt.Errorf("issuer %.200q", iss))
	case !slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(j.Audience, a) }):
		return nil, j.refuse(authn.ReasonWrongTarget, "the client asked the issuer for a token for another service", fmt.Errorf("audience %.200q", strings.Join(audience, " ")))
	case !hasExp:
		return nil, j.refuse(authn.ReasonMalformed, "", errors.New("the token never expires"))
	case !now.Before(exp.Add(skew)):
		return nil, j.refuse(authn.ReasonExpired, "", fmt.Errorf("it expired at %s", exp.UTC().Format(time.RFC3339)))
	case hasNBF && now.Add(skew).Before(nbf):
		return nil, j.refuse(authn.ReasonClockSkew, clockHint, fmt.Errorf("it is not valid before %s", nbf.UTC().Format(time.RFC3339)))
	case hasIAT && now.Add(skew).Before(iat):
		return nil, j.refuse(authn.ReasonClockSkew, clockHint, fmt.Errorf("it was issued at %s", iat.UTC().Format(time.RFC3339)))
	}
	id, err := j.identity(c)
	if err != nil {
		return nil, j.refuse(authn.ReasonPolicy, "", err)
	}
	id.Mechanism, id.AuthTime, id.Expires = mechJWT, now, exp.Add(skew)
	return id, nil
}

func (j *JWT) identity(c jwt.Claims) (*authn.Identity, error) {
	id := &authn.Identity{Domain: j.Domain}
	var err error
	if id.Account, err = c.Text(cmp.Or(j.NameClaim, "sub")); err != nil {
		return nil, err
	}
	if j.UPNClaim != "" {
		if id.UPN, err = c.Text(j.UPNClaim); err != nil {
			return nil, err
		}
	}
	if err := checkNames(append([]string{j.Domain}, j.Domains...), j.Domain, id.Account, id.UPN); err != nil {
		return nil, err
	}
	if name, err := c.Text(cmp.Or(j.DisplayNameClaim, "name")); err == nil && checkText(name) == nil {
		id.DisplayName = name
	}
	for _, g := range c.Texts(cmp.Or(j.GroupsClaim, "groups")) {
		if g == "" {
			continue
		}
		if err := checkGroup(j.Domains, g); err != nil {
			return nil, err
		}
		id.Groups = append(id.Groups, authn.Group{Name: g})
	}
	keep := j.Claims
	if keep == nil {
		keep = []string{"scope", "roles"}
	}
	for _, name := range keep {
		values := c.Texts(name)
		if name == "scope" && len(values) == 1 {
			values = strings.Fields(values[0])
		}
		if len(values) > 0 {
			if id.Claims == nil {
				id.Claims = authn.Claims{}
			}
			id.Claims[name] = values
		}
	}
	return id, nil
}
