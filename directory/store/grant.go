package store

import (
	"context"
	"time"

	"github.com/soapward/soapward/directory"
)

// Sessions returns live sessions, the newest first, without their data.
func (s *Store) Sessions(ctx context.Context, now time.Time, q directory.SessionQuery) ([]directory.Session, error) {
	panic("not built yet")
}

// ClaimGrant lets one of all nodes ask the provider of a session whose grant is
// due: it sets Grant.Busy to until, unless somebody else has it and is not late.
func (s *Store) ClaimGrant(ctx context.Context, id directory.SessionID, now, until time.Time) (mine bool, err error) {
	panic("not built yet")
}

// PutGrant changes grant and data of a session that is still there, and frees the
// grant. Nil data leaves the data as it is.
func (s *Store) PutGrant(ctx context.Context, id directory.SessionID, g *directory.Grant, data []byte) error {
	panic("not built yet")
}

// DeleteSessionsOfGrant ends the sessions of a provider: of a subject, of a session
// there, or of both if both are given. It returns how many there were.
func (s *Store) DeleteSessionsOfGrant(ctx context.Context, provider, subject, sessionID string) (int, error) {
	panic("not built yet")
}
