package directory

import (
	"time"

	"github.com/soapward/soapward/authn"
)

// A Block keeps somebody from logging in for a time.
type Block struct {
	// Key says who: a user together with a client address, or an address. It is
	// text that people can read, such as "address 192.0.2.7".
	Key      string
	Failures int // that led to it
	From     time.Time
	Until    time.Time
}

// Outcome is how a login ended.
type Outcome string

// Outcomes of a Login.
const (
	Accepted    Outcome = "accepted"
	Refused     Outcome = "refused"
	Blocked     Outcome = "blocked"     // by brute-force protection, nobody was asked
	Unavailable Outcome = "unavailable" // nobody could say
)

// A Login is one decision about one, for the audit record.
type Login struct {
	ID        int64 // given by the store
	Time      time.Time
	Ref       string // the reference that the client and the log have too
	Realm     string // may be empty
	User      string // who it is if accepted, else who the client claims to be
	SID       authn.SID
	Mechanism string // Kerberos, NTLM, Basic, form, ...
	Peer      string // address of the client
	UserAgent string // shortened
	Outcome   Outcome
	Reason    authn.Reason // empty if accepted
	Detail    string       // for operators; no secret
}

// A LoginQuery asks for logins, the newest first. All that it says must hold.
type LoginQuery struct {
	User                   string    // without regard to case; empty: any
	Peer                   string    // empty: any
	Outcome                Outcome   // empty: any
	Mechanism, Reason, Ref string    // empty: any
	NewerID                int64     // those whose ID is greater, the oldest first; not together with Before
	Before                 time.Time // zero: up to now

	// BeforeID, with Before, has those of that very time as well whose ID is less.
	// The page after one is that before Time and ID of its last login.
	BeforeID int64

	Since time.Time // zero: from the beginning
	Limit int       // at most so many; zero means 100
}
