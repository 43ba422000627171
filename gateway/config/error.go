package config

import (
	"fmt"
	"strings"
)

// An Error is one thing that is wrong.
type Error struct {
	File         string
	Line, Column int    // from 1; zero if the text is not the cause
	Text         string // what is wrong, and what is wanted

	file int // its number, in the order in which files are read
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Text)
}

// maxErrors is how many are told at once.
const maxErrors = 20

// Errors are all that is wrong with a configuration, in the order of the text,
// up to 20.
type Errors struct {
	List []*Error
	More int // that were left out

	// Files are those that were read, the one that Load was given first.
	Files []string
}

func (e *Errors) Error() string {
	lines := make([]string, 0, len(e.List)+1)
	for _, one := range e.List {
		lines = append(lines, one.Error())
	}
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", e.More))
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the errors one by one.
func (e *Errors) Unwrap() []error {
	out := make([]error, len(e.List))
	for i, one := range e.List {
		out[i] = one
	}
	return out
}
