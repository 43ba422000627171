package kerberos

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
)

// Evidence is what a Kerberos login leaves for acting on the caller's behalf:
// the ticket the caller presented, and a ticket-granting ticket if the caller
// forwarded one and the mechanism takes them. It lives in memory, expires with
// the ticket, and prints without either. It is never modified and is safe for
// concurrent use.
type Evidence struct {
	// A function, because fmt prints fields, also hidden ones, by their
	// content under some verbs, and a function has none.
	reveal func() *evidence
}

type evidence struct {
	ticket   krb5.Ticket // as presented: only Raw and what the sender wrote on the outside
	client   krb5.PrincipalName
	realm    string    // of the client
	sid      authn.SID // of the client, if the ticket says so
	flags    krb5.Flags
	account  string // sAMAccountName of the client, if the ticket says so
	control  uint32 // its userAccountControl, if the ticket says so (MS-PAC 2.5); never zero then
	end      time.Time
	asserted bool
	context  ContextFlags
	limited  bool   // not forwardable because the service's own TGT is not
	rc4      bool   // the ticket or its session key is of that type
	forget   func() // drops the ticket where it is kept; nil: nowhere

	forwarded *ticket // ticket-granting ticket of the caller, nil if there is none
}

var _ authn.Evidence = (*Evidence)(nil)

// newEvidence seals e.
func newEvidence(e *evidence) *Evidence { return &Evidence{func() *evidence { return e }} }

// EvidenceKind implements authn.Evidence.
func (e *Evidence) EvidenceKind() string {
	if e.HasForwardedTGT() {
		return "Kerberos ticket and forwarded TGT"
	}
	return "Kerberos ticket"
}

// Client returns the caller's principal name with realm.
func (e *Evidence) Client() string {
	v := e.open()
	return v.client.String() + "@" + v.realm
}

// SID returns the caller's SID as the ticket has it, or "" if it has none.
func (e *Evidence) SID() authn.SID { return e.open().sid }

// Account returns the name of the caller's account as the ticket has it, or ""
// if it has none. Client may be an alias.
func (e *Evidence) Account() string { return e.open().account }

// accountNotDelegated is USER_NOT_DELEGATED (MS-SAMR 2.2.1.12).
const accountNotDelegated = 0x4000

// Sensitive reports whether the caller's account was marked as sensitive, so
// that it may not be delegated, when the ticket was made. Where the ticket does
// not say, known is false.
func (e *Evidence) Sensitive() (sensitive, known bool) {
	control := e.open().control
	return control&accountNotDelegated != 0, control != 0
}

// Forwardable reports whether a KDC takes the caller's ticket as evidence for
// constrained delegation (MS-SFU 3.2.5.2.2). It does not if the account is
// marked as sensitive, or if the client got a ticket that is not forwardable.
func (e *Evidence) Forwardable() bool { return e.open().flags.Has(krb5.FlagForwardable) }

// HasForwardedTGT reports whether the caller forwarded a ticket-granting
// ticket.
func (e *Evidence) HasForwardedTGT() bool { return e.open().forwarded != nil }

// ContextFlags returns what the caller asked of the login. A ticket-granting
// ticket that was forwarded and not taken, because Mechanism.AllowForwardedTGT
// is not set, shows as ContextDelegate without HasForwardedTGT.
func (e *Evidence) ContextFlags() ContextFlags { return e.open().context }

// Asserted reports that the caller did not log in by Kerberos but was named by
// a service that did protocol transition (S-1-18-2, MS-SFU 3.2.5.1.2).
func (e *Evidence) Asserted() bool { return e.open().asserted }

// RC4 reports whether the caller's ticket or its session key is of type rc4-hmac,
// which Mechanism.AllowRC4 took.
func (e *Evidence) RC4() bool { return e.open().rc4 }

// Expires returns when the ticket ends.
func (e *Evidence) Expires() time.Time { return e.open().end }

func (e *Evidence) open() *evidence {
	if e == nil || e.reveal == nil {
		return &evidence{}
	}
	return e.reveal()
}

// String implements fmt.Stringer. It tells the kind only.
func (e *Evidence) String() string { return e.EvidenceKind() }

// Format implements fmt.Formatter: every verb prints the kind.
func (e *Evidence) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.EvidenceKind())) }

// MarshalText implements encoding.TextMarshaler, which encoding/json uses too.
func (e *Evidence) MarshalText() ([]byte, error) { return []byte(e.EvidenceKind()), nil }

// LogValue implements slog.LogValuer.
func (e *Evidence) LogValue() slog.Value { return slog.StringValue(e.EvidenceKind()) }
