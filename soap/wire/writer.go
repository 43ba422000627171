package wire

import (
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
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

	attach  Attacher
	media   string // xmime:contentType of the element whose name begins at mediaAt
	mediaAt int
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
	case xopSpace:
		return "xop"
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

func appendQName(dst []byte, prefix, local string) []byte {
	if prefix != "" {
		dst = append(dst, prefix...)
		dst = append(dst, ':')
	}
	return append(dst, local...)
}

func (w *Writer) qname(prefix, local string) { w.buf = appendQName(w.buf, prefix, local) }

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
	b := append(w.buf, '<')
	from := len(b)
	w.buf = appendQName(b, p, name.Local)
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
	b := append(w.buf, '<', '/')
	b = append(b, b[t.from:t.to]...)
	w.buf = append(b, '>')
}

// Attr writes an attribute of the element just started.
func (w *Writer) Attr(name xml.Name, value string) {
	w.BeginAttr(name)
	w.Text(value)
	w.EndAttr()
	if name.Local == "contentType" && name.Space == xmimeSpace && len(w.open) > 0 {
		w.media, w.mediaAt = value, w.open[len(w.open)-1].from
	}
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
	if s != "" && w.isPlain() {
		b, from := w.beginLeaf(name)
		to := len(b)
		b, err := appendEscaped(append(b, '>'), s, false)
		if err == nil {
			w.endLeaf(b, from, to)
			return
		} // else what follows fails in the right place
	}
	w.Start(name)
	w.Text(s)
	w.End()
}

// isPlain reports whether the next element is like most: not the root, and
// without attributes that wait for it. Such an element can be written in one go
// if it has no attributes and only text in it.
func (w *Writer) isPlain() bool {
	return w.err == nil && !w.inAttr && len(w.open) > 0 && len(w.next) == 0
}

// beginLeaf begins such an element and returns the buffer with it and where its
// name is in it. Nothing has happened until endLeaf.
func (w *Writer) beginLeaf(name xml.Name) (b []byte, from int) {
	p := w.prefix(name.Space)
	b = w.buf
	if w.inTag {
		b = append(b, '>')
	}
	b = append(b, '<')
	from = len(b)
	return appendQName(b, p, name.Local), from
}

func (w *Writer) endLeaf(b []byte, from, to int) {
	b = append(b, '<', '/')
	b = append(b, b[from:to]...)
	w.buf = append(b, '>')
	w.inTag = false
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
	if w.isPlain() {
		b, from := w.beginLeaf(name)
		to := len(b)
		w.endLeaf(app(append(b, '>'), v), from, to)
		return
	}
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
