package authclient

import (
	"strconv"
	"sync/atomic"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/spnego"
)

// Kerberos logs in with tickets that Client gets. The server proves itself in
// return. Its fields must not change once it is in use; it is safe for
// concurrent use then.
type Kerberos struct {
	Client *kerberos.Client

	// Forward hands the server a ticket-granting ticket, with which it can do
	// anything in the client's name until that expires.
	Forward bool

	// InsecureNoMutual does not ask the server to prove itself.
	InsecureNoMutual bool

	key lazyKey
}

var _ Credential = (*Kerberos)(nil)

// Key implements Credential.
func (k *Kerberos) Key() string {
	return k.key.get(func() string { return uniqueKey("kerberos:" + k.Client.Principal()) })
}

// Schemes implements Credential.
func (k *Kerberos) Schemes() []string { return []string{SchemeNegotiate} }

// NewInitiator implements Credential.
func (k *Kerberos) NewInitiator(_ string, t Target, cb authn.ChannelBinding) (authn.Initiator, error) {
	i := k.Client.NewInitiator(t.SPN, kerberos.InitiatorConfig{
		Binding: cb, Forward: k.Forward, InsecureNoMutual: k.InsecureNoMutual,
	})
	return &ticketInitiator{spnego.NewInitiator(spnego.OIDKerberos, i), i.Refused}, nil
}

// Ticket logs in with one ticket, as delegation gets it, to the service that
// the ticket is for and to no other. Its fields must not change once it is in
// use; it is safe for concurrent use then.
type Ticket struct {
	Ticket *kerberos.Ticket

	// OnRefused is told that the server refused a login with the ticket. It
	// reports whether the Source would choose another by now. Nil means no.
	OnRefused func() (retry bool)

	key lazyKey
}

var _ Credential = (*Ticket)(nil)

// Key implements Credential.
func (k *Ticket) Key() string {
	return k.key.get(func() string { return uniqueKey("ticket:" + k.Ticket.Client()) })
}

// Schemes implements Credential.
func (k *Ticket) Schemes() []string { return []string{SchemeNegotiate} }

// NewInitiator implements Credential.
func (k *Ticket) NewInitiator(_ string, _ Target, cb authn.ChannelBinding) (authn.Initiator, error) {
	i := k.Ticket.NewInitiator(kerberos.InitiatorConfig{Binding: cb})
	return &ticketInitiator{spnego.NewInitiator(spnego.OIDKerberos, i), k.OnRefused}, nil
}

var serial atomic.Uint64

// uniqueKey tells credentials of one principal apart: who proved to be that
// principal to a KDC must not be mixed up with who only says so.
func uniqueKey(s string) string { return s + "#" + strconv.FormatUint(serial.Add(1), 10) }
