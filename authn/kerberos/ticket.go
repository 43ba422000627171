package kerberos

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
)

// Ticket is a ticket for one service with its session key: whoever has it is
// its client to that service until it expires. It prints without either. It
// is never modified and is safe for concurrent use. Most programs use
// Client.NewInitiator and never see one.
type Ticket struct {
	reveal func() *ticket // a function, for the reason given at Evidence
}

// ticket is the content of a Ticket. Only stamped changes once it is made.
type ticket struct {
	krb5.Ticket
	key    krb5.Key
	client krb5.PrincipalName
	crealm string
	flags  krb5.Flags
	start  time.Time
	end    time.Time
	renew  time.Time // zero: cannot be renewed

	refresh time.Time // when to get another one; zero: shortly before the end
	sid     authn.SID // of the client, where the ticket could be opened (S4U2Self)
	account string    // as in evidence
	control uint32    // as in evidence
	limited bool      // as in evidence

	stamped atomic.Int64 // time of the last authenticator, in Unix microseconds
}

// stamp returns the time for a new authenticator, which no other one made with
// the ticket has: an AP-REP is matched to its AP-REQ by it, and some services
// take two of the same time for a replay (RFC 4120 5.5.1).
func (t *ticket) stamp(now time.Time) (seconds time.Time, usec int) {
	for {
		last := t.stamped.Load()
		next := max(now.UnixMicro(), last+1)
		if t.stamped.CompareAndSwap(last, next) {
			return splitTime(time.UnixMicro(next))
		}
	}
}

func newTicket(t *ticket) *Ticket { return &Ticket{func() *ticket { return t }} }

func (t *Ticket) open() *ticket {
	if t == nil || t.reveal == nil {
		return &ticket{}
	}
	return t.reveal()
}

// Client returns the principal in whose name the ticket is, with realm.
func (t *Ticket) Client() string {
	v := t.open()
	return v.client.String() + "@" + v.crealm
}

// Service returns the service the ticket is for, with realm.
func (t *Ticket) Service() string {
	v := t.open()
	return v.SName.String() + "@" + v.Realm
}

// Expires returns when the ticket ends.
func (t *Ticket) Expires() time.Time { return t.open().end }

// Forwardable reports whether the ticket has the forwardable flag.
func (t *Ticket) Forwardable() bool { return t.open().flags.Has(krb5.FlagForwardable) }

// OKAsDelegate reports whether the KDC says that the service is trusted with
// ticket-granting tickets that clients forward (RFC 4120 2.8).
func (t *Ticket) OKAsDelegate() bool { return t.open().flags.Has(krb5.FlagOKAsDelegate) }

// String implements fmt.Stringer. It tells who and what for.
func (t *Ticket) String() string { return "ticket of " + t.Client() + " for " + t.Service() }

// Format implements fmt.Formatter: every verb prints String.
func (t *Ticket) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(t.String())) }

// MarshalText implements encoding.TextMarshaler, which encoding/json uses too.
func (t *Ticket) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// LogValue implements slog.LogValuer.
func (t *Ticket) LogValue() slog.Value { return slog.StringValue(t.String()) }
