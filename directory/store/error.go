package store

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// fail turns an error of a driver into one of the contract. It keeps nil.
func (s *Store) fail(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("store: %s: %w", op, directory.ErrNotFound)
	case s.d.taken(err):
		return fmt.Errorf("store: %s: %w", op, directory.ErrExists)
	}
	var r refusal
	if errors.As(err, &r) {
		return fmt.Errorf("store: %s: %w", op, r)
	}
	for _, known := range []error{
		directory.ErrNotFound, directory.ErrExists, directory.ErrConflict, directory.ErrInvalid, authn.ErrUnavailable,
	} {
		if errors.Is(err, known) {
			return fmt.Errorf("store: %s: %w", op, err)
		}
	}
	// Whatever it is, nobody knows what the database would have said.
	return fmt.Errorf("store: %s: %w: %w", op, authn.ErrUnavailable, err)
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", directory.ErrInvalid, fmt.Sprintf(format, args...))
}

// A refusal is why a database cannot be used, with the remedy.
type refusal string

func (r refusal) Error() string { return string(r) }
