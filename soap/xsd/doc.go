// Package xsd holds the built-in simple types of XML Schema as Go values.
//
// For each type there is a Parse function from its lexical form, white space
// around it allowed, and an Append function to it. Where Go has a type that
// holds every value, that is used (bool, int32, float64, []byte). Where it has
// not, a type here keeps the lexical form, so that nothing is lost between
// reading and writing, and gives access to the value:
//
//   - Integer and Decimal have any number of digits.
//   - DateTime, Date, Time and the g-types may lack a zone, lie before the
//     common era, or say 24:00:00.
//   - Duration has years and months, which time.Duration has not.
//
// The types are comparable by lexical form, their zero values are valid, and
// they implement encoding.TextMarshaler and encoding.TextUnmarshaler. What keeps
// the lexical form shares memory with the string it was parsed from.
//
// Sections cited are those of XML Schema Part 2: Datatypes.
//
// Compatibility: exported names keep their meaning within a major version.
package xsd

import (
	"fmt"
	"strings"
)

// A LexicalError says that a string is not in the lexical space of a type.
type LexicalError struct {
	Type string // "int", "dateTime" ...
	Text string // what was found, shortened
}

func (e *LexicalError) Error() string { return fmt.Sprintf("xsd: %q is not an xs:%s", e.Text, e.Type) }

func bad(typ, s string) error {
	const most = 40
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return &LexicalError{Type: typ, Text: strings.Clone(s)}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// trim removes white space at both ends, which is all that collapsing (4.3.6)
// does to a value that cannot have any inside.
func trim(s string) string {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// digits returns how many digits s begins with.
func digits(s string) int {
	i := 0
	for i < len(s) && s[i]-'0' <= 9 {
		i++
	}
	return i
}
