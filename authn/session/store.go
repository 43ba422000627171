package session

import (
	"context"
	"time"

	"github.com/soapward/soapward/directory"
)

// A Store keeps sessions. It must be safe for concurrent use. Each method takes
// effect at once on all nodes that share it, and returns an error that wraps
// authn.ErrUnavailable if the store cannot be reached. Names of users are
// compared folded (directory.FoldName).
type Store interface {
	PutSession(ctx context.Context, s *directory.Session) error

	// Session returns directory.ErrNotFound if there is none.
	Session(ctx context.Context, id directory.SessionID) (*directory.Session, error)

	// TouchSession moves Seen, and never back. It does not bring back a session
	// that was deleted: it returns nil or directory.ErrNotFound then.
	TouchSession(ctx context.Context, id directory.SessionID, seen time.Time) error

	DeleteSession(ctx context.Context, id directory.SessionID) error
	SessionsOf(ctx context.Context, user string) ([]directory.Session, error)
	DeleteSessionsOf(ctx context.Context, user string) (int, error)
}

// A Forgetful is a Store that starts empty. Sealed sessions that began before it
// did are not honoured, since it does not know which of them ended.
type Forgetful interface {
	Since() time.Time
}
