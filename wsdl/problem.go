package wsdl

import (
	"fmt"
	"strings"
)

// Position is a place in a document. Line and Column start at 1; Column counts
// bytes. The zero Position is unknown.
type Position struct {
	URI    string
	Line   int
	Column int
}

// String returns uri:line:column.
func (p Position) String() string {
	if p.Line == 0 {
		return p.URI
	}
	return fmt.Sprintf("%s:%d:%d", p.URI, p.Line, p.Column)
}

// Problem is one thing wrong with a document.
type Problem struct {
	Pos  Position
	Text string
	Err  error // cause; may be nil
}

// String returns the position and the text.
func (p Problem) String() string {
	s := p.Text
	if p.Err != nil {
		s += ": " + p.Err.Error()
	}
	if p.Pos.URI == "" {
		return s
	}
	return p.Pos.String() + ": " + s
}

// Error says what is wrong with a description. It has at least one problem.
type Error struct {
	Problems []Problem // in the order they were found
	More     int       // how many were found beyond those listed

	// Broken means that nothing is wrong but that documents cannot be read, and
	// that Resolver.AllowBroken would leave something to use.
	Broken bool

	// NotWSDL means that the document at the address is none, but a web page,
	// for example.
	NotWSDL bool

	// LoginForm means that it is a web page with a form to log in, so no
	// credential of HTTP helps.
	LoginForm bool
}

func (e *Error) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("wsdl: ")
		b.WriteString(p.String())
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "\nwsdl: and %d more problems", e.More)
	}
	return b.String()
}

// Unwrap returns the causes, so that errors.Is and errors.As find them.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, p := range e.Problems {
		if p.Err != nil {
			errs = append(errs, p.Err)
		}
	}
	return errs
}

// How many problems are kept.
const (
	maxProblems = 25
	maxDropped  = 200
)

// problems collects what goes wrong.
type problems struct {
	list []Problem
	more int
	max  int // how many are kept; zero means maxProblems
	seen map[string]bool
}

func (ps *problems) add(pos Position, err error, format string, args ...any) {
	p := Problem{Pos: pos, Text: fmt.Sprintf(format, args...), Err: err}
	key := p.String()
	if ps.seen[key] {
		return
	}
	limit := ps.max
	if limit == 0 {
		limit = maxProblems
	}
	if len(ps.list) >= limit {
		ps.more++
		return
	}
	if ps.seen == nil {
		ps.seen = map[string]bool{}
	}
	ps.seen[key] = true
	ps.list = append(ps.list, p)
}

func (ps *problems) err() error {
	if len(ps.list) == 0 {
		return nil
	}
	return &Error{Problems: ps.list, More: ps.more}
}
