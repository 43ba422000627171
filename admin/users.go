package admin

import (
	"context"
	"time"

	"github.com/soapward/soapward/authn"
)

// Users are the accounts in the store.
type Users interface {
	ListUsers(ctx context.Context, q UserQuery) (*UserPage, error)
	User(ctx context.Context, name string) (*User, error)
	AddUser(ctx context.Context, n NewUser) (*User, error)

	// ImportUsers adds up to MaxImport users, each of whom AddUser would take, or
	// none, if one of them is wrong. Those who exist are left as they are. After an
	// error of the store some may be added, and the same call again does the rest.
	ImportUsers(ctx context.Context, in UserImport) (*Imported, error)

	// ChangeUser is Refused if nobody could sign in without a provider any more, or
	// if a caller would shut out himself. An Operator may change Disabled alone, and
	// not that of a local administrator.
	ChangeUser(ctx context.Context, name string, c UserChange) (*User, error)

	// DeleteUser deletes a user and ends his sessions. It is Refused as a change is.
	DeleteUser(ctx context.Context, name string) error

	// SetPassword sets a password and ends the user's sessions, unless they are to
	// be kept. It is Refused for others than local administrators while a provider
	// is configured for administrators.
	SetPassword(ctx context.Context, name string, p NewPassword) (ended int, err error)

	// ClearPasswords takes the passwords of all but local administrators, and ends
	// the sessions of those who had one. It may take minutes; if it is interrupted,
	// the next call does the rest.
	ClearPasswords(ctx context.Context) (cleared int, err error)

	// ClearSecondFactor has a local administrator set up a new one at his next
	// login, and ends his sessions.
	ClearSecondFactor(ctx context.Context, name string) error
}

// States of a User.
const (
	StateActive   = "active"
	StateDisabled = "disabled" // by an operator
	StateGone     = "gone"     // disabled in the directory, or not there any more
)

// A User is an account, without what proves a login.
type User struct {
	Name         string    `json:"name"`
	Realm        string    `json:"realm,omitempty"`
	SID          authn.SID `json:"sid,omitempty"`
	UPN          string    `json:"upn,omitempty"`
	DN           string    `json:"dn,omitempty"`
	DisplayName  string    `json:"display_name,omitempty"`
	Email        string    `json:"email,omitempty"`
	Phone        string    `json:"phone,omitempty"`
	State        string    `json:"state"`
	LocalAdmin   bool      `json:"local_admin"`
	HasPassword  bool      `json:"has_password"`
	SecondFactor bool      `json:"second_factor"`
	Groups       []Group   `json:"groups,omitempty"`
	Roles        []string  `json:"roles,omitempty"` // granted by an operator
	Created      time.Time `json:"created,omitzero"`
	Refreshed    time.Time `json:"refreshed,omitzero"`
	LastLogin    time.Time `json:"last_login,omitzero"`
	Version      int64     `json:"version"`

	// SessionsEnded is how many sessions the change ended that returns the user.
	SessionsEnded int `json:"sessions_ended,omitempty"`
}

// A Group is one that a directory says a user belongs to.
type Group struct {
	SID  authn.SID `json:"sid,omitempty"`
	Name string    `json:"name,omitempty"`
}

// A UserQuery asks for users by name. All that it says must hold.
type UserQuery struct {
	Search     string `json:"search,omitempty"` // how name, account, display name or e-mail begin
	Prefix     string `json:"prefix,omitempty"` // how the name begins
	Domain     bool   `json:"domain,omitempty"` // only users of a domain, such as CORP\alice
	Realm      string `json:"realm,omitempty"`
	State      string `json:"state,omitempty"`
	Role       string `json:"role,omitempty"` // granted by an operator
	LocalAdmin bool   `json:"local_admin,omitempty"`
	After      string `json:"after,omitempty"`      // UserPage.Next
	AfterName  string `json:"after_name,omitempty"` // names that come after this one; not together with After
	Limit      int    `json:"limit,omitempty"`      // zero: 50; at most 1000
}

// A UserPage is a part of the list. Next is empty on the last one, whether it has
// users or not.
type UserPage struct {
	Users []User `json:"users"`
	Next  string `json:"next,omitempty"`

	// Partial says that the page has fewer than were asked for, or none, because the
	// users that come after it were not looked at yet: the page of Next does that.
	Partial bool `json:"partial,omitempty"`

	Total int64 `json:"total"` // of all users, about
}

// A NewUser is one that is to be added.
type NewUser struct {
	Name        string       `json:"name"`
	Realm       string       `json:"realm,omitempty"`
	DisplayName string       `json:"display_name,omitempty"`
	Email       string       `json:"email,omitempty"`
	Phone       string       `json:"phone,omitempty"`
	Roles       []string     `json:"roles,omitempty"`
	LocalAdmin  bool         `json:"local_admin,omitempty"`
	Password    authn.Secret `json:"-"` // may be empty: none
}

// MaxImport is how many users one call of Users.ImportUsers takes.
const MaxImport = 10_000

// A UserImport is users who are to be added at once.
type UserImport struct {
	Source string       `json:"source"` // what they are from, for the record: users.csv
	Users  []ImportUser `json:"users"`
	DryRun bool         `json:"dry_run,omitempty"` // checks them, and writes nothing
}

// An ImportUser is one of a UserImport.
type ImportUser struct {
	Name         string       `json:"name"`
	Realm        string       `json:"realm,omitempty"`
	DisplayName  string       `json:"display_name,omitempty"`
	Email        string       `json:"email,omitempty"`
	Phone        string       `json:"phone,omitempty"`
	Roles        []string     `json:"roles,omitempty"`
	PasswordHash authn.Secret `json:"-"` // $argon2id$...; may be empty: no password
}

// Imported is what became of a UserImport: zero after a dry run.
type Imported struct {
	Created int `json:"created"`
	Existed int `json:"existed"`
}

// A UserChange is what is to become of a user. Nil leaves a thing as it is.
type UserChange struct {
	Version     int64     `json:"version,omitempty"` // that was read; zero: whatever it is
	Realm       *string   `json:"realm,omitempty"`
	DisplayName *string   `json:"display_name,omitempty"`
	Email       *string   `json:"email,omitempty"`
	Phone       *string   `json:"phone,omitempty"`
	Roles       *[]string `json:"roles,omitempty"`
	LocalAdmin  *bool     `json:"local_admin,omitempty"`
	Disabled    *bool     `json:"disabled,omitempty"` // true ends the sessions too
}

// A NewPassword is one that a user is to have.
type NewPassword struct {
	Password     authn.Secret `json:"-"`
	KeepSessions bool         `json:"keep_sessions,omitempty"`
}
