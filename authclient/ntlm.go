package authclient

import (
	"errors"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/spnego"
)

// NTLM logs in with a user's name and password by NTLMv2. It is weaker than
// Kerberos: the server does not prove itself, and cannot pass the caller on.
// Its fields must not change once it is in use; it is safe for concurrent use
// then.
type NTLM struct {
	User        string // DOMAIN\user, user@dns.domain, or user
	Password    authn.Secret
	Hash        ntlm.NTHash // of the password, in its place: one of the two is set
	Workstation string      // name of this host as the server logs it; may be empty

	key lazyKey
}

var _ Credential = (*NTLM)(nil)

// Key implements Credential.
func (n *NTLM) Key() string {
	return n.key.get(func() string {
		if !n.Hash.IsZero() {
			return "ntlm-hash:" + n.User + ":" + fingerprint(authn.NewSecret(string(n.Hash.Reveal())))
		}
		return "ntlm:" + n.User + ":" + fingerprint(n.Password)
	})
}

// Schemes implements Credential. NTLM on its own comes first: a server that
// offers both may take Kerberos only under Negotiate.
func (n *NTLM) Schemes() []string { return []string{SchemeNTLM, SchemeNegotiate} }

// NewInitiator implements Credential.
func (n *NTLM) NewInitiator(scheme string, t Target, cb authn.ChannelBinding) (authn.Initiator, error) {
	c, err := n.credential()
	if err != nil {
		return nil, err
	}
	i := &ntlm.Initiator{Credential: c, TargetName: t.SPN, Binding: cb, Workstation: n.Workstation}
	if scheme == SchemeNTLM {
		return i, nil
	}
	return spnego.NewInitiator(spnego.OIDNTLM, i), nil
}

func (n *NTLM) credential() (ntlm.Credential, error) {
	switch {
	case n.Hash.IsZero():
		return ntlm.NewCredential(n.User, n.Password)
	case n.Password.IsEmpty():
		return ntlm.NewHashCredential(n.User, n.Hash)
	}
	return ntlm.Credential{}, errors.New("authclient: NTLM with a password and a hash; set one of them")
}
