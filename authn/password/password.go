package password

import (
	"context"
	"log/slog"

	"github.com/soapward/soapward/authn"
)

// mechName is the name of the mechanism in identities and refusals.
const mechName = "Basic"

// A Verifier judges a user name and a password. It must be safe for concurrent
// use.
type Verifier interface {
	// VerifyPassword returns who the user is. It returns a
	// *authn.RefusedError for a wrong password, whatever is wrong with the
	// account, and an error wrapping authn.ErrUnavailable if it could not find
	// out. It is never called with an empty name or password, which an LDAP
	// server would take for an anonymous login.
	VerifyPassword(ctx context.Context, user, password string) (*authn.Identity, error)
}

// Secret is the authn.Evidence of a login by password.
type Secret struct {
	User     string // as the caller typed it
	Password authn.Secret
}

var _ authn.Evidence = (*Secret)(nil)

// EvidenceKind implements authn.Evidence.
func (s *Secret) EvidenceKind() string { return "password" }

// Credentials returns what the caller typed, for those who can log in
// elsewhere with it, such as authclient/delegation.
func (s *Secret) Credentials() (user string, password authn.Secret) { return s.User, s.Password }

// String returns the kind of evidence. It is safe to log.
func (s *Secret) String() string { return s.EvidenceKind() }

// GoString implements fmt.GoStringer.
func (s *Secret) GoString() string { return s.EvidenceKind() }

// LogValue implements slog.LogValuer.
func (s *Secret) LogValue() slog.Value { return slog.StringValue(s.EvidenceKind()) }
