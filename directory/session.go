package directory

import (
	"crypto/sha256"
	"time"
)

// SessionID names a session in a store. It is the SHA-256 of what the browser
// has, so that somebody who can read the store cannot use a session.
type SessionID [sha256.Size]byte

// A Session is one login of a browser that lasts for more than a request.
type Session struct {
	ID   SessionID
	User string // as in User.Name, or the text of an identity that has no User

	// Data is what the session keeps, in the form that package authn/session
	// gives it. It is up to 64 KiB.
	Data []byte

	Created   time.Time // of the login
	Seen      time.Time // of the last request, to a minute or so
	Expires   time.Time // nothing prolongs it beyond that
	Idle      time.Duration
	Remember  bool   // "keep me logged in"
	Peer      string // address at the login
	UserAgent string // at the login, shortened

	// Grant is what an external provider gave. Nil means that the login was another.
	Grant *Grant
}

// Live reports whether the session can be used at a time.
func (s *Session) Live(now time.Time) bool {
	return now.Before(s.Expires) && (s.Idle <= 0 || now.Before(s.Seen.Add(s.Idle)))
}
