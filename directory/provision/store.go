package provision

import (
	"context"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// UserStore is what both the login and the daily job need of a store. Its errors
// are those of package directory; one that cannot be reached returns errors
// that wrap authn.ErrUnavailable. *store.Store is one.
type UserStore interface {
	User(ctx context.Context, name string) (*directory.User, error)
	UpdateUser(ctx context.Context, u *directory.User) error
	DeleteSessionsOf(ctx context.Context, user string) (int, error)
}

// LoginStore is what a Provisioner needs of a store.
type LoginStore interface {
	UserStore
	UserBySID(ctx context.Context, sid authn.SID) (*directory.User, error)
	CreateUser(ctx context.Context, u *directory.User) error
	TouchLogin(ctx context.Context, id int64, at time.Time) error
}

// SyncStore is what a Sync needs of a store. One that is also a BatchStore is
// written to a page at a time.
type SyncStore interface {
	UserStore
	Users(ctx context.Context, q directory.UserQuery) ([]directory.User, error)
	UserByID(ctx context.Context, id int64) (*directory.User, error)
	Note(ctx context.Context, key string) (string, error)
	SetNote(ctx context.Context, key, value string) error
}

// A BatchStore writes many users at once, all or none.
type BatchStore interface {
	UpdateUsers(ctx context.Context, users []*directory.User) error
}

// A Source says what a directory knows of an account. It must be safe for
// concurrent use. *ldap.Directory is one.
type Source interface {
	// Account returns directory.ErrNotFound if the directory answered and has
	// no such account, and an error that wraps authn.ErrUnavailable if it did
	// not answer.
	Account(ctx context.Context, ref directory.AccountRef) (*directory.Account, error)
}

// A BatchSource is asked for many accounts at once.
type BatchSource interface {
	// Accounts returns an account for each of up to 500 references, nil for one
	// that the directory does not have. Whatever else is wrong is the error, and
	// then nothing is known of any of them.
	Accounts(ctx context.Context, refs []directory.AccountRef) ([]*directory.Account, error)
}
