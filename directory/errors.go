package directory

import "errors"

// Errors of stores. Callers test them with errors.Is. A store that cannot be
// reached returns errors that wrap authn.ErrUnavailable.
var (
	// ErrNotFound means that there is no such row.
	ErrNotFound = errors.New("directory: not found")

	// ErrExists means that the name or the SID is taken.
	ErrExists = errors.New("directory: exists already")

	// ErrConflict means that somebody else changed the row after it was read.
	ErrConflict = errors.New("directory: changed by somebody else meanwhile")

	// ErrInvalid means that a value cannot be kept: too long, not text, or
	// empty where it must not be.
	ErrInvalid = errors.New("directory: value cannot be kept")
)
