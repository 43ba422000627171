package ntlm

import (
	"errors"
	"fmt"
	"strings"

	"github.com/soapward/soapward/authn"
)

// Credential is what an Initiator logs in with. It does not print its secrets.
type Credential struct {
	// User is the account's name. With an empty domain it may be a user
	// principal name such as alice@corp.test.
	User   string
	Domain string // NetBIOS or DNS name

	// Password, or in its place Hash, proves who we are; not both.
	Password authn.Secret
	Hash     NTHash
}

// NewCredential makes a credential of a name as people write it: DOMAIN\user,
// user@dns.domain, or user.
func NewCredential(name string, password authn.Secret) (Credential, error) {
	return newCredential(name, Credential{Password: password})
}

// NewHashCredential makes a credential of a name, as NewCredential does, and
// the NT hash of the password.
func NewHashCredential(name string, hash NTHash) (Credential, error) {
	return newCredential(name, Credential{Hash: hash})
}

func newCredential(name string, c Credential) (Credential, error) {
	c.User = name
	if domain, user, ok := strings.Cut(name, `\`); ok {
		c.Domain, c.User = domain, user
	}
	if err := c.check(); err != nil {
		return Credential{}, err
	}
	return c, nil
}

// String returns the user's name. It is safe to log.
func (c Credential) String() string { return joinName(c.Domain, c.User) }

func (c *Credential) check() error {
	switch {
	case c.User == "":
		return errors.New("ntlm: credential: no user name")
	case strings.ContainsAny(c.User, "\x00\\"):
		return fmt.Errorf("ntlm: credential: bad user name %q", c.User)
	case c.Password.IsEmpty() && c.Hash.IsZero(), c.Hash.Equal(HashPassword("")):
		return fmt.Errorf("ntlm: credential: no password for %s", c)
	case !c.Password.IsEmpty() && !c.Hash.IsZero():
		return fmt.Errorf("ntlm: credential: a password and a hash for %s; one of them is to be empty", c)
	}
	return nil
}

func (c *Credential) hash() NTHash {
	if !c.Hash.IsZero() {
		return c.Hash
	}
	return HashPassword(c.Password.Reveal())
}
