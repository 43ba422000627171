package admin

import (
	"context"
	"fmt"

	"github.com/soapward/soapward/authn"
)

// A Role is what an administrator may do. Each one may do what those below it may.
type Role uint8

// Roles.
const (
	// NoRole may do nothing.
	NoRole Role = iota

	// Viewer sees everything but secrets, and has decisions explained.
	Viewer

	// Operator keeps things running: lifts blocks, ends sessions, disables and
	// enables users, synchronises, and tries realms.
	Operator

	// Administrator changes users, roles and the configuration.
	Administrator
)

var roleNames = [...]string{"none", "viewer", "operator", "administrator"}

// String returns the role as the configuration and the API write it.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return fmt.Sprintf("Role(%d)", uint8(r))
}

// MarshalText implements encoding.TextMarshaler.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Role) UnmarshalText(text []byte) error {
	for i, name := range roleNames {
		if name == string(text) {
			*r = Role(i)
			return nil
		}
	}
	return fmt.Errorf("admin: %q is no role", text)
}

// A Caller is an administrator.
type Caller struct {
	Name  string // for the audit record: it\bob@example.com, admin
	Role  Role
	Local bool   // with a password of ours, not by a provider
	Login string // how he logged in: the name of a provider, "local", "command line"
	Peer  string // address; empty: on this machine, without one

	// Session is the ID of the Session that he asks with, empty if it is none.
	Session string

	// Identity is what a provider said of him, which says whether a configuration
	// would leave him his role. It may be nil.
	Identity *authn.Identity
}

type callerKey struct{}

// NewContext returns ctx carrying who asks.
func NewContext(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// FromContext returns who asks, nil if that is not known.
func FromContext(ctx context.Context) *Caller {
	c, _ := ctx.Value(callerKey{}).(*Caller)
	return c
}

// need returns who asks, if he has a role.
func need(ctx context.Context, r Role) (*Caller, error) {
	c := FromContext(ctx)
	if c == nil || c.Role < r {
		return nil, &Error{Kind: Forbidden, Text: "this needs the role " + r.String()}
	}
	return c, nil
}
