package login

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/soapward/soapward/authn"
)

// maxToken bounds what is looked at of a token that nobody has verified.
const maxToken = 16 << 10

// issuers takes access tokens of several providers. Each is for the one that the
// token says it is of, which verifies that.
type issuers struct {
	of    map[string]authn.Authenticator
	first authn.Authenticator // of a token that says nothing, or something else
}

var _ authn.Authenticator = (*issuers)(nil)

func (i *issuers) add(issuer string, a authn.Authenticator) {
	if i.first == nil {
		i.first, i.of = a, make(map[string]authn.Authenticator)
	}
	i.of[issuer] = a
}

// Authenticate implements authn.Authenticator.
func (i *issuers) Authenticate(r *http.Request) (*authn.Result, error) {
	scheme, token, ok := authn.Authorization(r)
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return nil, authn.ErrNoCredentials
	}
	if a := i.of[issuerOf(token)]; a != nil {
		return a.Authenticate(r)
	}
	return i.first.Authenticate(r)
}

// Challenges implements authn.Authenticator. One is enough for all: it says no more
// than that there are tokens.
func (i *issuers) Challenges(r *http.Request) []authn.Challenge { return i.first.Challenges(r) }

// issuerOf returns what a JWT says of its issuer, which nothing vouches for.
func issuerOf(token string) string {
	parts := strings.Split(token, ".")
	if len(token) > maxToken || len(parts) != 3 {
		return ""
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	var c struct {
		Issuer string `json:"iss"`
	}
	if err != nil || json.Unmarshal(b, &c) != nil {
		return ""
	}
	return c.Issuer
}
