package directory

import "time"

// A Change is what an administrator did, for the audit record.
type Change struct {
	ID     int64 // given by the store
	Time   time.Time
	Ref    string // of the request, that the log has too
	Actor  string
	Peer   string
	Action string // user.disable, config.apply, ...
	Target string
	Before string // JSON, without secrets; empty: there was nothing
	After  string
}

// A ChangeQuery asks for changes, the newest first. All that it says must hold.
type ChangeQuery struct {
	Actor    string // without regard to case
	Action   string // or how it begins, with a dot at its end
	Target   string // without regard to case
	Before   time.Time
	BeforeID int64 // as in LoginQuery
	Since    time.Time
	Limit    int // zero means 100
}

// A Count is how often something happened within five minutes.
type Count struct {
	Time      time.Time // when the five minutes began
	Kind      CountKind
	Mechanism string  // of a login
	Outcome   Outcome // of a login
	N         int64
}

// CountKind says what was counted.
type CountKind string

// Kinds of Count.
const (
	CountLogin     CountKind = "login"
	CountRC4       CountKind = "rc4" // logins with a Kerberos ticket of type rc4-hmac
	CountDoubleHop CountKind = "double-hop"
)

// CountStep is the time that a Count is of.
const CountStep = 5 * time.Minute

// A CountQuery asks for counts, summed up by Step, a multiple of CountStep.
type CountQuery struct {
	Since, Until time.Time
	Step         time.Duration
}

// A ConfigVersion is a configuration that was in force at a node.
type ConfigVersion struct {
	ID      int64
	Time    time.Time
	Actor   string // empty: the files were changed by hand
	Comment string
	Node    string
	Digest  string
	Files   string // JSON; not in lists
}

// A SessionQuery asks for live sessions, the newest first.
type SessionQuery struct {
	User  string // without regard to case; empty: any
	After SessionID
	// AfterTime, with After, is Created of the last session of the page before.
	AfterTime time.Time
	Limit     int // zero means 100
}

// A Grant is what an external provider gave with a login, beside the session that
// it began. Refresh is sealed by what the browser alone has.
type Grant struct {
	Provider  string
	Subject   string
	SessionID string    // at the provider; may be empty
	Sealed    []byte    // up to 16 KiB
	Due       time.Time // when the provider is asked again
	Busy      time.Time // until when somebody asks it
}
