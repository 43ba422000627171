package wire

import (
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Writer appends one document to a buffer. The zero value is ready. It keeps
// the first error; see the package comment. It is for one goroutine at a time.
//
// Every namespace gets one prefix for the whole document, declared on the root
// element: declare those that are known beforehand with Declare, the others
// are added when the document is complete.
type Writer struct {
	buf    []byte
	err    error
	open   []openTag
	inTag  bool // a start tag is not closed yet
	inAttr bool

	spaces []binding // every namespace met, with its prefix
	last   int       // index in spaces of the last one used
	declAt int       // where late declarations go: behind the early ones
	late   int       // spaces[late:] are not declared in buf yet
	root   bool      // the root element has begun

	next     []pendingAttr
	encoding string // namespace of the SOAP encoding of an encoded message
}

// openTag is where the name of an open element stands in buf.
type openTag struct{ from, to int }

type pendingAttr struct {
	name   xml.Name
	value  string
	qname  xml.Name
	isName bool
}

// NewWriter returns a Writer that appends to buf[:0].
func NewWriter(buf []byte) *Writer { return &Writer{buf: buf[:0]} }

// Reset makes w ready for another document, in the same buffer.
func (w *Writer) Reset() {
	*w = Writer{buf: w.buf[:0], open: w.open[:0], spaces: w.spaces[:0], next: w.next[:0]}
}

// Cap returns the size of w's buffer, for pools that keep small ones only.
func (w *Writer) Cap() int { return cap(w.buf) }

// Err returns what stopped the Writer, or nil.
func (w *Writer) Err() error { return w.err }

// Fail stops the Writer with err. The first failure counts.
func (w *Writer) Fail(err error) {
	if w.err == nil && err != nil {
		if n := len(w.open); n > 0 {
			t := w.open[n-1]
			err = fmt.Errorf("wire: write element %s: %w", w.buf[t.from:t.to], err)
		} else {
			err = fmt.Errorf("wire: write: %w", err)
		}
		w.err = err
	}
}

// Bytes completes the document and returns it. It is valid until the next
// Reset.
func (w *Writer) Bytes() ([]byte, error) {
	if w.err == nil {
		switch {
		case len(w.open) > 0:
			w.Fail(errors.New("element is still open"))
		case !w.root:
			w.Fail(errors.New("no element"))
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	if w.late < len(w.spaces) {
		var decl []byte
		for _, b := range w.spaces[w.late:] {
			decl = w.appendDecl(decl, b)
		}
		w.late = len(w.spaces)
		w.buf = slices.Insert(w.buf, w.declAt, decl...)
		if w.err != nil {
			return nil, w.err
		}
	}
	return w.buf, nil
}

// Declaration writes the XML declaration. It must come first.
func (w *Writer) Declaration() {
	w.buf = append(w.buf, `<?xml version="1.0" encoding="utf-8"?>`...)
}

// Declare proposes a prefix for a namespace. Before the root element it also
// declares it there. It has no effect on a namespace that has a prefix already.
func (w *Writer) Declare(prefix, space string) {
	if space == "" || space == XML {
		return
	}
	for i := range w.spaces {
		if w.spaces[i].space == space {
			return
		}
	}
	w.add(prefix, space)
}

// add gives a namespace a prefix, the proposed one if it is free.
func (w *Writer) add(prefix, space string) {
	if prefix == "" || strings.HasPrefix(prefix, "xml") || !IsNCName(prefix) || w.taken(prefix) {
		prefix = ""
		for i := max(len(w.spaces), 1); prefix == "" || w.taken(prefix); i++ {
			prefix = "n" + strconv.Itoa(i)
		}
	}
	w.spaces = append(w.spaces, binding{prefix: prefix, space: space})
}

func (w *Writer) taken(prefix string) bool {
	return slices.ContainsFunc(w.spaces, func(b binding) bool { return b.prefix == prefix })
}

// prefix returns the prefix of a namespace, giving it one if need be.
func (w *Writer) prefix(space string) string {
	if w.last < len(w.spaces) && w.spaces[w.last].space == space {
		return w.spaces[w.last].prefix
	}
	switch space {
	case "":
		return ""
	case XML:
		return "xml"
	}
	for i := range w.spaces {
		if w.spaces[i].space == space {
			w.last = i
			return w.spaces[i].prefix
		}
	}
	w.last = len(w.spaces)
	w.add(wellKnown(space), space)
	return w.spaces[w.last].prefix
}

func wellKnown(space string) string {
	switch space {
	case XSI:
		return "xsi"
	case XSD:
		return "xsd"
	case SOAPEnc11, SOAPEnc12:
		return "enc"
	}
	return ""
}

func (w *Writer) appendDecl(dst []byte, b binding) []byte {
	dst = append(append(append(dst, " xmlns:"...), b.prefix...), `="`...)
	dst, err := appendEscaped(dst, b.space, true)
	if err != nil {
		w.Fail(err)
	}
	return append(dst, '"')
}

func (w *Writer) qname(prefix, local string) {
	if prefix != "" {
		w.buf = append(append(w.buf, prefix...), ':')
	}
	w.buf = append(w.buf, local...)
}

// closeTag ends a start tag before content is written.
func (w *Writer) closeTag() {
	if w.inTag {
		w.inTag = false
		w.buf = append(w.buf, '>')
	}
}

// Start begins an element. name.Local must be a name; generated code passes
// constants.
func (w *Writer) Start(name xml.Name) {
	if w.err != nil {
		return
	}
	if w.inAttr || len(w.open) == 0 && w.root {
		w.Fail(errors.New("element not allowed here: " + name.Local))
		return
	}
	w.closeTag()
	p := w.prefix(name.Space)
	w.buf = append(w.buf, '<')
	from := len(w.buf)
	w.qname(p, name.Local)
	w.open = append(w.open, openTag{from, len(w.buf)})
	w.inTag = true
	if !w.root {
		w.root = true
		for _, b := range w.spaces {
			w.buf = w.appendDecl(w.buf, b)
		}
		w.declAt = len(w.buf)
		w.late = len(w.spaces)
	}
	if len(w.next) > 0 {
		w.pending()
	}
}

func (w *Writer) pending() {
	for _, a := range w.next {
		if a.isName {
			w.AttrQName(a.name, a.qname)
		} else {
			w.Attr(a.name, a.value)
		}
	}
	clear(w.next)
	w.next = w.next[:0]
}

// NextType makes the next element begin with xsi:type. It is for values of a
// type derived from the declared one.
func (w *Writer) NextType(t xml.Name) {
	w.next = append(w.next, pendingAttr{name: xsiType, qname: t, isName: true})
}

// NextAttr makes the next element begin with this attribute.
func (w *Writer) NextAttr(name xml.Name, value string) {
	w.next = append(w.next, pendingAttr{name: name, value: value})
}

// End ends the current element.
func (w *Writer) End() {
	if w.err != nil {
		return
	}
	n := len(w.open) - 1
	if n < 0 || w.inAttr {
		w.Fail(errors.New("no element to end"))
		return
	}
	t := w.open[n]
	w.open = w.open[:n]
	if w.inTag {
		w.inTag = false
		w.buf = append(w.buf, '/', '>')
		return
	}
	w.buf = append(w.buf, '<', '/')
	w.buf = append(w.buf, w.buf[t.from:t.to]...)
	w.buf = append(w.buf, '>')
}

// Attr writes an attribute of the element just started.
func (w *Writer) Attr(name xml.Name, value string) {
	w.BeginAttr(name)
	w.Text(value)
	w.EndAttr()
}

// AttrQName writes an attribute whose value is a qualified name.
func (w *Writer) AttrQName(name, value xml.Name) {
	w.BeginAttr(name)
	w.QName(value)
	w.EndAttr()
}

// BeginAttr begins an attribute of the element just started. Until EndAttr,
// what is written is its value.
func (w *Writer) BeginAttr(name xml.Name) {
	if w.err != nil {
		return
	}
	if !w.inTag || w.inAttr {
		w.Fail(errors.New("attribute not allowed here: " + name.Local))
		return
	}
	p := w.prefix(name.Space)
	w.buf = append(w.buf, ' ')
	w.qname(p, name.Local)
	w.buf = append(w.buf, '=', '"')
	w.inAttr = true
}

// EndAttr ends an attribute.
func (w *Writer) EndAttr() {
	if w.err == nil && w.inAttr {
		w.inAttr = false
		w.buf = append(w.buf, '"')
	}
}

// Text writes characters.
func (w *Writer) Text(s string) {
	if w.err != nil {
		return
	}
	if !w.inAttr {
		if len(w.open) == 0 {
			w.Fail(errors.New("text outside the root element"))
			return
		}
		if s == "" {
			return
		}
		w.closeTag()
	}
	b, err := appendEscaped(w.buf, s, w.inAttr)
	if err != nil {
		w.Fail(err)
		return
	}
	w.buf = b
}

// QName writes a qualified name as characters. A name without namespace is
// written bare, since documents written here have no default namespace.
func (w *Writer) QName(q xml.Name) {
	if w.err != nil {
		return
	}
	if !IsNCName(q.Local) {
		w.Fail(errors.New("not a name: " + strconv.Quote(q.Local)))
		return
	}
	p := w.prefix(q.Space)
	if !w.inAttr {
		w.closeTag()
	}
	w.qname(p, q.Local)
}

// Element writes an element that holds s.
func (w *Writer) Element(name xml.Name, s string) {
	w.Start(name)
	w.Text(s)
	w.End()
}

// QNameElement writes an element that holds a qualified name.
func (w *Writer) QNameElement(name, q xml.Name) {
	w.Start(name)
	w.QName(q)
	w.End()
}

// Nil writes an element that says xsi:nil="true".
func (w *Writer) Nil(name xml.Name) {
	w.Start(name)
	w.Attr(xsiNil, "true")
	w.End()
}

// Raw writes x.
func (w *Writer) Raw(x Raw) {
	if w.err != nil || x.xml == "" {
		return
	}
	if w.inAttr || len(w.open) == 0 {
		w.Fail(errors.New("content not allowed here"))
		return
	}
	w.closeTag()
	w.buf = append(w.buf, x.xml...)
}

// Put writes an element that holds v. app appends the lexical form of v, which
// must not need escaping; the functions of package soap/xsd are meant here.
func Put[T any](w *Writer, name xml.Name, app func([]byte, T) []byte, v T) {
	w.Start(name)
	PutText(w, app, v)
	w.End()
}

// PutAttr writes an attribute that holds v, like Put.
func PutAttr[T any](w *Writer, name xml.Name, app func([]byte, T) []byte, v T) {
	w.BeginAttr(name)
	PutText(w, app, v)
	w.EndAttr()
}

// PutText writes v as characters, like Put.
func PutText[T any](w *Writer, app func([]byte, T) []byte, v T) {
	if w.err != nil {
		return
	}
	if !w.inAttr {
		if len(w.open) == 0 {
			w.Fail(errors.New("text outside the root element"))
			return
		}
		w.closeTag()
	}
	w.buf = app(w.buf, v)
}

// Escaping classes of bytes.
const (
	escText   = 1 << iota // replaced in text
	escAttr               // replaced in attributes
	escRefuse             // not a character
	escHigh               // part of a longer character
)

var escClass = func() (t [256]uint8) {
	for c := range t {
		switch {
		case isControl(byte(c)):
			t[c] = escRefuse
		case c >= utf8.RuneSelf:
			t[c] = escHigh
		}
	}
	t['&'], t['<'], t['>'], t['\r'] = escText|escAttr, escText|escAttr, escText|escAttr, escText|escAttr
	t['"'], t['\n'], t['\t'] = escAttr, escAttr, escAttr
	return t
}()

// appendEscaped appends s as text, or as an attribute value. A carriage return
// would be read back as a line feed, and white space in an attribute as a
// space (XML 1.0 2.11, 3.3.3), so those are written as references.
func appendEscaped(dst []byte, s string, attr bool) ([]byte, error) {
	mask := uint8(escText | escRefuse | escHigh)
	if attr {
		mask = escAttr | escRefuse | escHigh
	}
	done, high := 0, false
	for i := 0; i < len(s); i++ {
		c := escClass[s[i]] & mask
		if c == 0 {
			continue
		}
		if c&escHigh != 0 {
			high = true
			continue
		}
		if c&escRefuse != 0 {
			return dst, fmt.Errorf("character U+%04X cannot be written in XML", s[i])
		}
		dst = append(dst, s[done:i]...)
		done = i + 1
		switch s[i] {
		case '&':
			dst = append(dst, "&amp;"...)
		case '<':
			dst = append(dst, "&lt;"...)
		case '>':
			dst = append(dst, "&gt;"...)
		case '"':
			dst = append(dst, "&quot;"...)
		case '\r':
			dst = append(dst, "&#xD;"...)
		case '\n':
			dst = append(dst, "&#xA;"...)
		case '\t':
			dst = append(dst, "&#x9;"...)
		}
	}
	if high {
		if at, msg := illegal(s); at >= 0 {
			return dst, fmt.Errorf("%s at byte %d cannot be written in XML", msg, at)
		}
	}
	return append(dst, s[done:]...), nil
}
