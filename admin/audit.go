package admin

import (
	"context"
	"encoding/json"
	"time"
)

// Audit is what happened: logins, and what administrators changed. The newest
// comes first.
type Audit interface {
	Logins(ctx context.Context, q LoginQuery) (*LoginPage, error)
	Changes(ctx context.Context, q ChangeQuery) (*ChangePage, error)
}

// A Login is one decision about one.
type Login struct {
	ID        int64     `json:"id"`
	Time      time.Time `json:"time"`
	Outcome   string    `json:"outcome"`
	User      string    `json:"user"`
	SID       string    `json:"sid,omitempty"`
	Realm     string    `json:"realm,omitempty"`
	Mechanism string    `json:"mechanism"`
	Peer      string    `json:"peer"`
	UserAgent string    `json:"user_agent"`
	Reason    string    `json:"reason,omitempty"`
	Detail    string    `json:"detail,omitempty"`
	Ref       string    `json:"ref"`
}

// A LoginQuery asks for logins. All that it says must hold.
type LoginQuery struct {
	User      string    `json:"user,omitempty"`
	Peer      string    `json:"peer,omitempty"`
	Outcome   string    `json:"outcome,omitempty"`
	Mechanism string    `json:"mechanism,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Ref       string    `json:"ref,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	Until     time.Time `json:"until,omitzero"`
	After     string    `json:"after,omitempty"`   // LoginPage.Next: older ones
	NewerID   int64     `json:"newer_id,omitzero"` // those that came since, the oldest first: for following
	Limit     int       `json:"limit,omitempty"`   // zero: 50; at most 1000
}

// A LoginPage is a part of the record. There are no more if neither Next nor
// NewerID is set, whether Logins is empty or not: where few logins are what a query
// asks for, a page looks at some of the record only, and the next one goes on.
type LoginPage struct {
	Logins []Login `json:"logins"`
	Next   string  `json:"next,omitempty"`

	// Partial says that the page has fewer than were asked for, or none, because
	// older logins were not looked at yet: the page of Next does that.
	Partial bool `json:"partial,omitempty"`

	// NewerID is what those who follow ask with next, at once: there may be more.
	// If it is zero, that is the number of the last one they have.
	NewerID int64 `json:"newer_id,omitempty"`
}

// A Change is what an administrator did.
type Change struct {
	ID     int64           `json:"id"`
	Time   time.Time       `json:"time"`
	Actor  string          `json:"actor"`
	Peer   string          `json:"peer,omitempty"`
	Action string          `json:"action"` // user.disable, config.apply, ...
	Target string          `json:"target"`
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
	Ref    string          `json:"ref,omitempty"`
}

// A ChangeQuery asks for changes. All that it says must hold.
type ChangeQuery struct {
	Actor  string    `json:"actor,omitempty"`
	Action string    `json:"action,omitempty"` // or how it begins: "user."
	Target string    `json:"target,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	After  string    `json:"after,omitempty"`
	Limit  int       `json:"limit,omitempty"` // zero: 50; at most 1000
}

// A ChangePage is a part of the record.
type ChangePage struct {
	Changes []Change `json:"changes"`
	Next    string   `json:"next,omitempty"`
}
