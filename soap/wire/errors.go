package wire

import (
	"encoding/xml"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Pos is a place in a message. Lines and columns count from 1, columns in
// characters. For a message that was not UTF-8 the offset is that of its UTF-8
// form.
type Pos struct {
	Line, Column int
	Offset       int // bytes from the start
}

func (p Pos) String() string {
	return fmt.Sprintf("line %d, column %d (byte %d)", p.Line, p.Column, p.Offset)
}

func posOf(doc string, off int) Pos {
	off = min(max(off, 0), len(doc))
	before := doc[:off]
	nl := strings.LastIndexByte(before, '\n')
	return Pos{
		Line:   strings.Count(before, "\n") + 1,
		Column: utf8.RuneCountInString(before[nl+1:]) + 1,
		Offset: off,
	}
}

// A SyntaxError says where a message is not well-formed XML, or uses what SOAP
// does not allow.
type SyntaxError struct {
	Pos Pos
	Msg string // without anything copied from the message but names
}

func (e *SyntaxError) Error() string { return "wire: " + e.Msg + ": " + e.Pos.String() }

// A LimitError says which of the Limits a message exceeds.
type LimitError struct {
	Pos   Pos
	Limit string // "bytes", "depth", "elements", "attributes", "namespaces", "name", "references", or one of attachments
	Max   int64
}

func (e *LimitError) Error() string {
	if e.Limit == "bytes" { // of the whole message, which has no place in it
		return fmt.Sprintf("wire: the message is larger than %d bytes", e.Max)
	}
	if e.Pos == (Pos{}) { // behind the XML
		return fmt.Sprintf("wire: message exceeds the limit of %d %s", e.Max, e.Limit)
	}
	return fmt.Sprintf("wire: message exceeds the %s limit of %d: %s", e.Limit, e.Max, e.Pos)
}

// A ValueError says which element or attribute holds what its type does not
// allow.
type ValueError struct {
	Pos  Pos
	Name xml.Name // of the element, or the attribute
	Err  error
}

func (e *ValueError) Error() string {
	return fmt.Sprintf("wire: %s: %v: %s", clark(e.Name), e.Err, e.Pos)
}

// Unwrap returns what is wrong with the value.
func (e *ValueError) Unwrap() error { return e.Err }

func clark(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return "{" + n.Space + "}" + n.Local
}
