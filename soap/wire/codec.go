package wire

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
)

var (
	errElement   = errors.New("element where only text is allowed")
	errNoValue   = errors.New("xsi:nil where a value is needed")
	errText      = errors.New("text where only elements are allowed")
	errUnknown   = errors.New("element not allowed here")
	errNil       = errors.New("element not allowed here, or not with xsi:nil")
	errNoElement = errors.New("no element to decode")
	errLate      = errors.New("codec did not stop at the end of its element")
)

// Child moves to the next child of the element that the Reader is in: from the
// start of an element to its first child, and from the end of a child to the
// next. At the end of the element, or after an error, it reports false. Whoever
// gets true must consume the child.
func (r *Reader) Child() bool {
	for {
		switch r.Next() {
		case Start:
			return true
		case Text:
			if r.strict && !isBlank(r.piece()) {
				r.Fail(errText)
				return false
			}
		default:
			return false
		}
	}
}

// Peek returns the name of the first child of the element the Reader is at the
// start of, and stays there. It reports false if there is none.
func (r *Reader) Peek() (name xml.Name, ok bool) {
	if r.err != nil || r.kind != Start {
		return xml.Name{}, false
	}
	if r.refs != nil { // reading to the end of a reference's target could not be undone
		c := *r
		c.refs, c.scope, c.copies = nil, scope{ns: r.ns}, strings.Builder{}
		if !c.Child() {
			return xml.Name{}, false
		}
		return c.Name(), true
	}
	n, at, e, elements := len(r.open)-1, r.tok, r.open[len(r.open)-1], r.elements
	if ok = r.Child(); ok {
		name = r.Name()
	}
	if r.err != nil {
		return xml.Name{}, false
	}
	r.leave(e.ns)
	r.open, r.pos = r.open[:n], at
	r.empty, r.rooted = false, n > 0
	r.elements = elements - 1 // Next counts it again
	r.Next()
	return name, ok
}

// Skip consumes the current element.
func (r *Reader) Skip() {
	if x := r.refs; x != nil && !x.still {
		x.still = true
		defer func() { x.still = false }()
	}
	for depth := 1; depth > 0; {
		switch r.Next() {
		case Start:
			depth++
		case End:
			depth--
		case EOF:
			return
		}
	}
}

// Unknown consumes an element that the codec does not know: in a strict Reader
// it is an error.
func (r *Reader) Unknown() {
	if r.strict && (r.refs == nil || r.space != SOAPRPC12) { // rpc:result names a part
		if r.Nil() {
			r.Fail(errNil)
		} else {
			r.Fail(errUnknown)
		}
		return
	}
	r.Skip()
}

// In reports whether the element the Reader is at is in that namespace, or may
// be meant to be: sloppy peers leave the namespace of a child out, or take that
// of its parent. A strict Reader does not guess. Codecs ask where the local name
// leaves no doubt.
func (r *Reader) In(space string) bool { return r.space == space || r.near() }

// near is the rare half of In, kept out of the codecs.
//
//go:noinline
func (r *Reader) near() bool {
	if r.strict || r.space == "" {
		return !r.strict
	}
	n := len(r.open) - 2
	if n < 0 || r.refs != nil { // then another scope may count for the parent; and accessors have no namespace
		return false
	}
	e := &r.open[n]
	return e.space >= 0 && r.ns[e.space].space == r.space
}

// Lenient reports whether the Reader is not Strict.
func (r *Reader) Lenient() bool { return !r.strict }

// Text consumes the current element and returns a copy of its characters.
func (r *Reader) Text() string {
	s, own := r.content()
	if own {
		return s
	}
	return r.Keep(s)
}

// content consumes the current element and returns its characters. They share
// memory with the message unless own is true.
func (r *Reader) content() (s string, own bool) {
	if r.strict && len(r.attrs) > 0 && r.refs == nil && r.isNil() { // codecs that allow it look for it first
		r.Fail(errNoValue)
		return "", false
	}
	if s, own, ok := r.leaf(); ok {
		return s, own
	}
	if r.xop {
		s, href, included := r.contentOrPart()
		if included {
			s = r.loadText(href)
		}
		return s, included
	}
	var joined []byte
	at := r.tok
	for pieces := 0; ; {
		switch r.Next() {
		case Text:
			switch pieces++; pieces {
			case 1:
				s, own = r.piece(), r.isMade
			case 2:
				joined = append(append(joined, s...), r.piece()...)
			default:
				joined = append(joined, r.piece()...)
			}
		case End:
			r.tok = at // what is wrong with the value is wrong there
			if joined != nil {
				return string(joined), true
			}
			return s, own
		case Start:
			r.Fail(errElement)
			return "", false
		default:
			return "", false
		}
	}
}

// leaf is content for most elements: text in one piece, then the end tag. It
// reports false, and moves nowhere, for all others.
func (r *Reader) leaf() (s string, own, ok bool) {
	if r.err != nil || r.kind != Start || r.empty {
		return "", false, false
	}
	p := r.pos
	n, plain := plainText(r.doc[p:])
	if !plain {
		if n == len(r.doc)-p || r.doc[p+n] != '&' {
			return "", false, false
		}
		m := strings.IndexByte(r.doc[p+n:], '<')
		if m < 0 || strings.IndexByte(r.doc[p+n:p+n+m], ']') >= 0 {
			return "", false, false
		}
		n += m
	}
	name := r.qname()
	rest := r.doc[p+n+1:]
	if len(rest) < len(name)+2 || rest[0] != '/' || rest[1+len(name)] != '>' || rest[1:1+len(name)] != name {
		return "", false, false
	}
	s = r.doc[p : p+n]
	if !plain {
		b, ok := r.appendValue(r.scratch[:0], s, p, false)
		if !ok {
			return "", false, true
		}
		s = r.keepScratch(b)
	}
	r.pos = p + n + len(name) + 3
	r.attrs = r.attrs[:0]
	r.pop()
	return s, !plain, true
}

// holdsText reports whether a value of type T may hold on to the string that it
// was parsed from.
func holdsText[T any]() bool {
	switch any((*T)(nil)).(type) {
	case *bool, *int8, *int16, *int32, *int64, *uint8, *uint16, *uint32, *uint64, *float32, *float64, *[]byte:
		return false
	}
	return true
}

// Value consumes the current element and returns its characters parsed. parse
// may keep the string it is given. The functions of package soap/xsd are meant
// here.
func Value[T any](r *Reader, parse func(string) (T, error)) (v T) {
	s, own := r.content()
	if r.err != nil {
		return v
	}
	if !own && holdsText[T]() {
		s = r.Keep(s)
	}
	v, err := parse(s)
	if err != nil {
		var zero T
		r.Fail(err)
		return zero
	}
	return v
}

// AttrValue returns the value of an attribute parsed, like Value.
func AttrValue[T any](r *Reader, a xml.Attr, parse func(string) (T, error)) (v T) {
	if r.err != nil {
		return v
	}
	s := a.Value
	if holdsText[T]() {
		s = r.Keep(s)
	}
	v, err := parse(s)
	if err != nil {
		var zero T
		r.stop(&ValueError{Pos: r.Pos(), Name: a.Name, Err: err})
		return zero
	}
	return v
}

// Scope is what prefixes mean at one place of a message. It is valid until the
// Reader leaves the element that holds the place's element.
type Scope struct{ ns []binding }

// Scope returns what prefixes mean at the element the Reader is at the start
// of. It is for names found in the element's text, which must be read first.
func (r *Reader) Scope() Scope { return Scope{r.ns[:len(r.ns):len(r.ns)]} }

// QName resolves a prefixed name. A name without prefix belongs to the default
// namespace. The result shares memory with s.
func (c Scope) QName(s string) (xml.Name, error) {
	s = strings.Trim(s, " \t\r\n")
	prefix, local, ok := strings.Cut(s, ":")
	if !ok {
		prefix, local = "", s
	}
	if !IsNCName(local) || ok && !IsNCName(prefix) {
		return xml.Name{}, errors.New("not a qualified name")
	}
	if i := find(c.ns, prefix); i >= 0 {
		return xml.Name{Space: c.ns[i].space, Local: local}, nil
	}
	if prefix != "" {
		return xml.Name{}, fmt.Errorf("undeclared prefix %s", prefix)
	}
	return xml.Name{Local: local}, nil
}

// QName resolves a prefixed name found in an attribute of the current element,
// or in its text while the Reader is there. The result is a copy.
func (r *Reader) QName(s string) (xml.Name, error) {
	q, err := r.Scope().QName(s)
	return xml.Name{Space: r.Keep(q.Space), Local: r.Keep(q.Local)}, err
}

// QNameValue consumes the current element and returns the qualified name in
// it.
func (r *Reader) QNameValue() xml.Name {
	if r.refs != nil && r.Nil() { // any value may be nil: SOAP 1.1 5.1
		r.Skip()
		return xml.Name{}
	}
	scope := r.Scope()
	s, _ := r.content()
	if r.err != nil {
		return xml.Name{}
	}
	q, err := scope.QName(s)
	if err != nil {
		r.Fail(err)
		return xml.Name{}
	}
	return xml.Name{Space: r.Keep(q.Space), Local: r.Keep(q.Local)}
}

// Type returns the name in the xsi:type of the element the Reader is at the
// start of. It reports false if there is none.
func (r *Reader) Type() (xml.Name, bool) {
	s, ok := r.Attr(XSI, "type")
	if !ok {
		return xml.Name{}, false
	}
	q, err := r.QName(s)
	if err != nil {
		r.Fail(err)
		return xml.Name{}, false
	}
	return q, true
}

// Nil reports whether the element the Reader is at the start of says
// xsi:nil="true". The element must still be consumed.
func (r *Reader) Nil() bool { return len(r.attrs) > 0 && r.isNil() }

func (r *Reader) isNil() bool {
	s, ok := r.Attr(XSI, "nil")
	if !ok {
		return false
	}
	s = strings.Trim(s, " \t\r\n")
	return s == "true" || s == "1"
}

// Decode reads v from the current element and makes sure that v consumed
// exactly that. Generated codecs call UnmarshalWire directly.
func (r *Reader) Decode(v Unmarshaler) error {
	if r.err == nil && r.kind != Start {
		r.Fail(errNoElement)
	}
	if r.err != nil {
		return r.err
	}
	depth := len(r.open) - 1
	v.UnmarshalWire(r)
	if r.err == nil && (len(r.open) != depth || r.kind != End) {
		r.Fail(errLate)
	}
	return r.err
}

// Unmarshal reads a whole message that consists of v.
func Unmarshal(doc []byte, v Unmarshaler, o Options) error {
	r := NewReader(doc, o)
	r.Next()
	if err := r.Decode(v); err != nil {
		return err
	}
	r.Next()
	return r.err
}

// Marshal writes a document that consists of v under the given name, without
// XML declaration.
func Marshal(v Marshaler, name xml.Name) ([]byte, error) {
	var w Writer
	v.MarshalWire(&w, name)
	return w.Bytes()
}
