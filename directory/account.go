package directory

import (
	"time"

	"github.com/soapward/soapward/authn"
)

// An Account is what a directory says of a user right now, in contrast to the
// User that a store keeps.
type Account struct {
	Name        string // DOMAIN\account, or a name without domain
	SID         authn.SID
	UPN         string
	DN          string
	DisplayName string
	Email       string
	Phone       string

	// Disabled accounts, and those past Expires, do not log in. A zero Expires is
	// never.
	Disabled bool
	Expires  time.Time

	Groups []authn.Group // nested ones included
}

// Usable reports whether the account may log in at a time.
func (a *Account) Usable(now time.Time) bool {
	return !a.Disabled && (a.Expires.IsZero() || now.Before(a.Expires))
}

// An AccountRef names an account that a directory is asked for. The SID decides
// if there is one, so that a renamed account is found.
type AccountRef struct {
	Name string
	SID  authn.SID
}
