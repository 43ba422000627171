package admin

// Kind says what an Error is about.
type Kind string

// Kinds of Error.
const (
	Forbidden   Kind = "forbidden"   // the caller may not
	NotFound    Kind = "not_found"   // there is no such thing
	Exists      Kind = "exists"      // the name is taken
	Conflict    Kind = "conflict"    // somebody else changed it meanwhile
	Invalid     Kind = "invalid"     // what was given cannot be
	Refused     Kind = "refused"     // it can be, and is not allowed as things are
	Unavailable Kind = "unavailable" // somebody who is needed does not answer
	TooMany     Kind = "too_many"    // the caller has as many of them open as may be
)

// An Error is what a caller can do something about. Its JSON is that of the API.
type Error struct {
	Kind   Kind   `json:"kind"`
	Text   string `json:"error"` // a sentence without a full stop
	Field  string `json:"field,omitempty"`
	Remedy string `json:"remedy,omitempty"`
	Ref    string `json:"ref,omitempty"` // of the request, that the log has too
	Err    error  `json:"-"`             // for the log
}

func (e *Error) Error() string { return e.Text }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
