package authn

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// SID is a Windows security identifier in its text form, such as
// S-1-5-21-1-2-3-500 (MS-DTYP 2.4.2.1).
type SID string

// Group is one group the caller belongs to, as asserted by whoever verified
// the caller. Either field may be empty, never both.
type Group struct {
	SID  SID
	Name string // DOMAIN\name
}

// String returns the name, or the SID of a group whose name is not known.
func (g Group) String() string {
	if g.Name != "" {
		return g.Name
	}
	return string(g.SID)
}

// Names of the Windows mechanisms in Identity.Mechanism and in log lines.
const (
	MechanismKerberos = "Kerberos"
	MechanismNTLM     = "NTLM"
)

// Identity is an authenticated caller. It is never modified after it was
// made, so it may be shared between goroutines and kept in caches; whoever
// needs another one makes a copy.
type Identity struct {
	Account     string // sAMAccountName, such as alice
	Domain      string // NetBIOS domain, or the Kerberos realm when that is all we know
	UPN         string // alice@corp.test, if known
	DisplayName string // if known
	SID         SID    // empty when the authority has no SIDs
	Groups      []Group

	// Roles are those that an operator of this service granted to the user,
	// whatever the groups are. No login sets them: they come from the service's
	// own list of users.
	Roles []string

	// Claims is what an authority without SIDs says of the caller, such as the
	// claims of a JWT. It is immutable like the identity, and does not print.
	Claims Claims

	// Mechanism names the login: MechanismKerberos, MechanismNTLM, "Basic".
	Mechanism string
	AuthTime  time.Time
	Expires   time.Time // zero: for the life of the connection

	// Evidence is what the login left behind that lets this process act for
	// the caller elsewhere. It is nil when nothing can be passed onward, as
	// after an NTLM login.
	Evidence Evidence
}

// String returns DOMAIN\account, or "anonymous" for nil. It is safe to log.
func (id *Identity) String() string {
	switch {
	case id == nil:
		return "anonymous"
	case id.Domain == "":
		return id.Account
	}
	return id.Domain + `\` + id.Account
}

// LogValue implements slog.LogValuer. It keeps evidence and the list of groups
// out of logs.
func (id *Identity) LogValue() slog.Value {
	if id == nil {
		return slog.StringValue("anonymous")
	}
	return slog.GroupValue(
		slog.String("name", id.String()),
		slog.String("sid", string(id.SID)),
		slog.String("mech", id.Mechanism),
		slog.Int("groups", len(id.Groups)))
}

// Evidence is material for acting on a caller's behalf. The concrete types are
// in the packages that can use them, such as *kerberos.Evidence. They print as
// their kind only.
type Evidence interface{ EvidenceKind() string }

// Claims are statements of an authority about a caller: a name and its values,
// such as "department": {"sales"}. They must not be changed once they are part of
// an Identity. fmt and slog see only how many there are: they are personal data,
// and what is in them is the authority's choice.
type Claims map[string][]string

// Has reports whether one of the values of a claim is value.
func (c Claims) Has(name, value string) bool { return slices.Contains(c[name], value) }

// String tells how many claims there are.
func (c Claims) String() string { return fmt.Sprintf("%d claims", len(c)) }

// GoString implements fmt.GoStringer.
func (c Claims) GoString() string { return c.String() }

// LogValue implements slog.LogValuer.
func (c Claims) LogValue() slog.Value { return slog.StringValue(c.String()) }

type identityKey struct{}

// FromContext returns the caller, or nil if the request is anonymous.
func FromContext(ctx context.Context) *Identity {
	id, _ := ctx.Value(identityKey{}).(*Identity)
	return id
}

// NewContext returns ctx carrying id.
func NewContext(ctx context.Context, id *Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}
