package authclient

import (
	"context"
	"errors"
	"fmt"

	"github.com/soapward/soapward/authn"
)

// ErrNTLMNotAllowed means that a KerberosFirst credential could not log in with
// a ticket, and may not with NTLM.
var ErrNTLMNotAllowed = errors.New("authclient: NTLM in place of Kerberos is not allowed; set KerberosFirst.AllowNTLM if it may be")

// KerberosFirst logs in with Kerberos, and with NTLM where that cannot be and
// AllowNTLM is set. Both parts must be set, for the same person. Its fields
// must not change once it is in use; it is safe for concurrent use then.
//
// Kerberos cannot be where no ticket is to be had (no KDC answers, or none
// knows the service) and where the server offers the scheme NTLM alone. A KDC
// that refuses the password is not such a case: NTLM would try the same one
// again. Neither is a server that refuses the ticket. That is decided before a
// login begins, and each login is one or the other.
type KerberosFirst struct {
	Kerberos *Kerberos
	NTLM     *NTLM

	// AllowNTLM lets whoever can keep a KDC from answering, or stand in for the
	// server, have the weaker proof in the place of the ticket: an answer from
	// which a weak password can be guessed, and from a server that does not
	// prove itself.
	AllowNTLM bool

	key lazyKey
}

var (
	_ Credential = (*KerberosFirst)(nil)
	_ chooser    = (*KerberosFirst)(nil)
)

// Key implements Credential.
func (k *KerberosFirst) Key() string {
	return k.key.get(func() string {
		if !k.AllowNTLM {
			return "kerberos-first " + k.Kerberos.Key()
		}
		return "kerberos-first " + k.Kerberos.Key() + " or " + k.NTLM.Key()
	})
}

// Schemes implements Credential.
func (k *KerberosFirst) Schemes() []string { return []string{SchemeNegotiate, SchemeNTLM} }

// NewInitiator implements Credential. Under Negotiate it is Kerberos's: it is
// for callers other than a Transport, which first looks for a ticket.
func (k *KerberosFirst) NewInitiator(scheme string, t Target, cb authn.ChannelBinding) (authn.Initiator, error) {
	if scheme == SchemeNegotiate {
		return k.Kerberos.NewInitiator(scheme, t, cb)
	}
	c, err := k.fallBack(t, errOnlyNTLM)
	if err != nil {
		return nil, err
	}
	return c.NewInitiator(scheme, t, cb)
}

var errOnlyNTLM = errors.New("it offers NTLM alone")

// choose implements chooser.
func (k *KerberosFirst) choose(ctx context.Context, t Target, offered []string) (Credential, error) {
	if !offers(offered, SchemeNegotiate) {
		return k.fallBack(t, errOnlyNTLM)
	}
	_, err := k.Kerberos.Client.Ticket(ctx, t.SPN)
	switch {
	case err == nil:
		return k.Kerberos, nil
	case ctx.Err() != nil, errors.Is(err, authn.ErrBadCredentials):
		return nil, fmt.Errorf("authclient: Kerberos login at %s: %w", t.Origin(), err)
	}
	return k.fallBack(t, err)
}

// fallBack returns the second best credential, or why not.
func (k *KerberosFirst) fallBack(t Target, cause error) (Credential, error) {
	if !k.AllowNTLM {
		return nil, fmt.Errorf("authclient: no Kerberos login at %s: %w: %w", t.Origin(), cause, ErrNTLMNotAllowed)
	}
	return k.NTLM, nil
}
