package kerberos

import (
	"fmt"
	"strings"

	"github.com/soapward/soapward/internal/krb5"
)

// InspectedTicket is a ticket that a keytab opened, for people to look at.
type InspectedTicket struct {
	Principal string // whose key it was, with realm
	KVNO      uint32 // of that key
	Key       krb5.Key
	Plain     []byte // EncTicketPart
}

// InspectTicket opens a ticket as an acceptor would, with whatever key of the
// keytab fits, and judges nothing else: the ticket may be for a name that no
// acceptor answers to, or long expired. The error says why no key fits, and
// hint what to do.
//
// It serves commands of this module. Programs accept tickets with a Mechanism.
func (k *Keytab) InspectTicket(t *krb5.Ticket) (opened *InspectedTicket, hint string, err error) {
	set := k.current()
	s := &serviceKeys{set: set, keys: set.entries}
	plain, key, ok := s.open(t.EncPart)
	if !ok {
		err := fmt.Errorf("kerberos: no key opens the ticket for %s@%s (%v, version %d)", t.SName, t.Realm, t.EncPart.EType, t.EncPart.KVNO)
		return nil, s.wrongKeyHint(t, k), err
	}
	opened = &InspectedTicket{Key: key, Plain: plain}
	// The same key may be there under several names and versions.
	better := func(e keytabEntry) int {
		n := 0
		if e.kvno == t.EncPart.KVNO {
			n += 2
		}
		if strings.EqualFold(e.principal, t.SName.String()) {
			n++
		}
		return n
	}
	best := -1
	for _, e := range set.entries {
		if n := better(e); e.key.Equal(key) && n > best {
			best, opened.Principal, opened.KVNO = n, e.principal+"@"+e.realm, e.kvno
		}
	}
	return opened, "", nil
}

// InspectGSSChecksum takes apart what a client puts in the place of the
// authenticator's checksum (RFC 4121 4.1.1): the hash of its channel bindings,
// zero if it sends none, its flags, and the KRB-CRED of a ticket that it
// forwards.
func InspectGSSChecksum(b []byte) (binding [16]byte, flags ContextFlags, cred []byte, err error) {
	c, err := parseGSSChecksum(b)
	if err != nil {
		return binding, 0, nil, err
	}
	return c.binding, c.flags, c.delegated, nil
}
