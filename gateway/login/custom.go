package login

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/hook"
	"github.com/soapward/soapward/gateway/config"
)

// custom is the login that a service has of its own, and the schemes of HTTP that
// it takes.
func (s *Set) custom(c *config.CallOut) (authn.Authenticator, []string, error) {
	switch {
	case c == nil:
		return nil, nil, errors.New("login: custom: the service has no section custom")
	case c.JWT != nil:
		j := c.JWT
		keys := &hook.Keys{URL: j.JWKS.String(), Logger: s.log}
		make := func(open bool) *hook.JWT {
			t := &hook.JWT{Keys: keys, Issuer: j.Issuer, Audience: j.Audience, NameClaim: j.UsernameClaim, AllowInsecureHTTP: open}
			for _, a := range j.Algorithms {
				t.Algorithms = append(t.Algorithms, string(a))
			}
			return t
		}
		strict, open := make(false), make(true)
		if err := strict.Check(); err != nil {
			return nil, nil, fmt.Errorf("login: custom.jwt: %w", err)
		}
		return &either{strict, open, s.safeWithoutTLS}, []string{"Bearer"}, nil
	case len(c.APIKeys) > 0:
		make := func(open bool) *hook.APIKeys {
			a := &hook.APIKeys{AllowInsecureHTTP: open}
			for _, k := range c.APIKeys {
				a.Keys = append(a.Keys, hook.APIKey{Name: k.Name, SHA256: k.Hash})
			}
			return a
		}
		strict, open := make(false), make(true)
		if err := strict.Check(); err != nil {
			return nil, nil, fmt.Errorf("login: custom.api_keys: %w", err)
		}
		return &either{strict, open, s.safeWithoutTLS}, nil, nil
	}
	call := &hook.Callout{URL: c.Call.String(), Timeout: c.Timeout.Std(), Keep: -1, KeepRefusal: -1}
	if c.Cache > 0 {
		call.Keep, call.KeepRefusal = c.Cache.Std(), 0
	}
	if err := call.Check(); err != nil {
		return nil, nil, fmt.Errorf("login: custom.call: %w", err)
	}
	return call, nil, nil
}

// either is an authenticator in two forms: for requests that others may have read,
// and for those that they have not.
type either struct {
	strict, open authn.Authenticator
	safe         func(*http.Request) bool
}

var _ authn.Authenticator = (*either)(nil)

func (e *either) of(r *http.Request) authn.Authenticator {
	if e.safe(r) {
		return e.open
	}
	return e.strict
}

// Authenticate implements authn.Authenticator.
func (e *either) Authenticate(r *http.Request) (*authn.Result, error) { return e.of(r).Authenticate(r) }

// Challenges implements authn.Authenticator.
func (e *either) Challenges(r *http.Request) []authn.Challenge { return e.of(r).Challenges(r) }
