package admin

import (
	"context"
	"time"
)

// Sessions are logins of browsers and command lines that last.
type Sessions interface {
	ListSessions(ctx context.Context, q SessionQuery) (*SessionPage, error)
	EndSession(ctx context.Context, id string) error

	// EndSessions ends all of a user, and returns how many were known.
	EndSessions(ctx context.Context, user string) (ended int, err error)
}

// A Session is one login. Its ID is of no use for getting in.
type Session struct {
	ID        string    `json:"id"`
	User      string    `json:"user"`
	Created   time.Time `json:"created"`
	Seen      time.Time `json:"seen"`
	Expires   time.Time `json:"expires"`
	Remember  bool      `json:"remember"`
	Peer      string    `json:"peer"`
	UserAgent string    `json:"user_agent"`
	Provider  string    `json:"provider,omitempty"` // of OpenID Connect
	Present   bool      `json:"present,omitempty"`  // it is the one that the caller asks with
}

// A SessionQuery asks for live sessions, the newest first.
type SessionQuery struct {
	User  string `json:"user,omitempty"`
	After string `json:"after,omitempty"` // SessionPage.Next
	Limit int    `json:"limit,omitempty"` // zero: 50; at most 1000
}

// A SessionPage is a part of the list.
type SessionPage struct {
	Sessions []Session `json:"sessions"`
	Next     string    `json:"next,omitempty"`
}

// Blocks keep those out who failed to log in too often.
type Blocks interface {
	ListBlocks(ctx context.Context) ([]Block, error)

	// Unblock lifts the blocks of a user, an address or a key as it is listed, and
	// returns the keys. It is NotFound if there are none.
	Unblock(ctx context.Context, who string) (lifted []string, err error)
}

// A Block is one that holds.
type Block struct {
	Key      string    `json:"key"`
	Failures int       `json:"failures"`
	From     time.Time `json:"from"`
	Until    time.Time `json:"until"`
}
