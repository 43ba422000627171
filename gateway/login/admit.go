package login

import (
	"context"
	"fmt"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/oidc"
)

// Admit returns whom the provider of a realm vouched for at a sign-in elsewhere, such
// as at the console, as a user of the realm. It makes or refreshes the user as a login
// at a service does, and refuses whom that refuses.
func (s *Set) Admit(ctx context.Context, realm string, id *authn.Identity, t *oidc.Tokens) (*authn.Identity, error) {
	r := s.realms[realm]
	if r == nil || r.provider == nil {
		return nil, fmt.Errorf("login: there is no provider %q any more: %w", realm, authn.ErrUnavailable)
	}
	return r.admit(ctx, id, t.Subject, true)
}
