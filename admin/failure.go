package admin

import (
	"errors"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
)

// store returns the store in force.
func (s *Service) store() (*store.Store, error) {
	if st := s.o.Store(); st != nil {
		return st, nil
	}
	return nil, &Error{
		Kind: Refused, Text: "the configuration has no store, so that there are no users",
		Remedy: "store: {driver: sqlite, dsn: /var/lib/soapward/soapward.db}",
	}
}

// config returns the configuration in force, nil if there is none.
func (s *Service) config() *config.Config { return s.o.Config() }

// failed makes an Error of what a store returned about what, such as "user bob".
func failed(what string, err error) error {
	var known *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.Is(err, directory.ErrNotFound):
		return &Error{Kind: NotFound, Text: "there is no " + what, Err: err}
	case errors.Is(err, directory.ErrExists):
		return &Error{Kind: Exists, Text: what + " exists already", Err: err}
	case errors.Is(err, directory.ErrConflict):
		return &Error{Kind: Conflict, Text: what + " was changed by somebody else meanwhile", Remedy: "look at it again, and change what still has to be", Err: err}
	case errors.Is(err, directory.ErrInvalid):
		return invalidValue("", err)
	case errors.Is(err, authn.ErrOverloaded):
		return &Error{Kind: Unavailable, Text: "too many passwords are being checked", Remedy: "try again in some seconds", Err: err}
	}
	// Causes may name hosts and accounts of the database: they are for the log.
	return &Error{Kind: Unavailable, Text: "the store does not answer", Remedy: "try again; the log of the gateway has the cause", Err: err}
}

// invalidValue makes an Error of a directory.ErrInvalid.
func invalidValue(field string, err error) error {
	_, why, ok := strings.Cut(err.Error(), directory.ErrInvalid.Error()+": ")
	if !ok {
		why = "that cannot be kept"
	}
	return &Error{Kind: Invalid, Text: why, Field: field, Err: err}
}

func invalid(field, text, remedy string) error {
	return &Error{Kind: Invalid, Field: field, Text: text, Remedy: remedy}
}

// kindOf returns the Kind of an error, empty if it is none of ours.
func kindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}
