package wire

import (
	"encoding/xml"
	"errors"
	"strings"
)

// Raw is well-formed XML content: elements, text, or both, in document order.
// Each element declares the prefixes it uses, so that a Raw means the same
// wherever it is written. The zero value is empty. Values are comparable and
// are never changed.
//
// The only ways to get one are ParseRaw, RawOf and a Reader, so that a Writer
// can trust it.
type Raw struct{ xml string }

// ParseRaw checks that s is content of one element: any number of elements,
// comments and text, complete in itself.
func ParseRaw(s string) (Raw, error) {
	r := within(s, Options{})
	for r.Next() != EOF {
		if len(r.open) == 0 && r.pos != len(r.doc) {
			return Raw{}, errors.New("wire: not the content of one element")
		}
	}
	if err := r.Err(); err != nil {
		return Raw{}, err
	}
	return Raw{s}, nil
}

// RawOf returns v, written under the given name.
func RawOf(v Marshaler, name xml.Name) (Raw, error) {
	b, err := Marshal(v, name)
	return Raw{string(b)}, err
}

// TextRaw returns s as text.
func TextRaw(s string) (Raw, error) {
	b, err := appendEscaped(nil, s, false)
	return Raw{string(b)}, err
}

// String returns the XML.
func (x Raw) String() string { return x.xml }

// IsZero reports whether x is empty.
func (x Raw) IsZero() bool { return x.xml == "" }

// Append returns x followed by y.
func (x Raw) Append(y Raw) Raw { return Raw{x.xml + y.xml} }

// Name returns the name of the first element in x, or the zero Name.
func (x Raw) Name() xml.Name {
	r := x.Reader(Options{})
	if !r.Child() {
		return xml.Name{}
	}
	return r.Name()
}

// Text returns the characters of x outside its elements.
func (x Raw) Text() string {
	var s strings.Builder
	r := x.Reader(Options{})
	for {
		switch r.Next() {
		case Text:
			s.WriteString(r.chars)
		case Start:
			r.Skip()
		default:
			return s.String()
		}
	}
}

// Elements returns each element of x as a Raw of its own.
func (x Raw) Elements() []Raw {
	var all []Raw
	r := x.Reader(Options{})
	for r.Child() {
		all = append(all, r.Raw())
	}
	return all
}

// Decode reads v from the first element of x.
func (x Raw) Decode(v Unmarshaler) error {
	r := x.Reader(Options{})
	if !r.Child() {
		return errors.New("wire: no element to decode")
	}
	return r.Decode(v)
}

// Reader returns a Reader within x: its Child moves to the elements of x, its
// Next to text as well. Its limits are those of x itself, which a Reader has
// bounded already.
func (x Raw) Reader(o Options) *Reader {
	r := within(x.xml, o)
	r.Next()
	return r
}

// within returns a Reader over an element that holds s.
func within(s string, o Options) *Reader {
	n := len(s) + 7
	o.Limits = Limits{Bytes: int64(n), Depth: n, Elements: n, Attributes: n, Namespaces: n, Name: n}
	return newStringReader("<x>"+s+"</x>", o)
}

// MarshalText implements encoding.TextMarshaler.
func (x Raw) MarshalText() ([]byte, error) { return []byte(x.xml), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (x *Raw) UnmarshalText(b []byte) (err error) {
	*x, err = ParseRaw(string(b))
	return err
}

// Raw consumes the current element and returns a copy of it.
func (r *Reader) Raw() Raw {
	var b strings.Builder
	r.appendRaw(&b)
	if r.err != nil {
		return Raw{}
	}
	return Raw{b.String()}
}

// Content consumes the current element and returns a copy of what is in it.
func (r *Reader) Content() Raw {
	var b strings.Builder
	for {
		switch r.Next() {
		case Start:
			r.appendRaw(&b)
		case Text:
			b.WriteString(r.doc[r.tok:r.pos])
		case End:
			return Raw{b.String()}
		default:
			return Raw{}
		}
	}
}

// appendRaw consumes the current element and appends it with the declarations
// that it needs from outside.
func (r *Reader) appendRaw(b *strings.Builder) {
	if r.err != nil || len(r.open) == 0 {
		return
	}
	e := r.open[len(r.open)-1]
	start := r.tok
	own := len(r.ns) // below: the bindings outside, and the element's own
	r.Skip()
	if r.err != nil {
		return
	}
	text := r.doc[start:r.pos]
	head := 1 + len(e.qname)
	b.WriteString(text[:head])
	bound := r.ns[:own] // Skip cut the slice; nothing has overwritten it yet
	for i := e.ns - 1; i >= 1; i-- {
		n := bound[i]
		if hides(bound[i+1:], n.prefix) || n.prefix == "" && n.space == "" || !mentions(text, n.prefix) {
			continue
		}
		b.WriteString(" xmlns")
		if n.prefix != "" {
			b.WriteByte(':')
			b.WriteString(n.prefix)
		}
		b.WriteString(`="`)
		s, _ := appendEscaped(nil, n.space, true) // came from a message: legal
		b.Write(s)
		b.WriteByte('"')
	}
	b.WriteString(text[head:])
}

func hides(inner []binding, prefix string) bool {
	for i := range inner {
		if inner[i].prefix == prefix {
			return true
		}
	}
	return false
}

// mentions reports whether text may use prefix, in a name or in a value. It
// errs on the side of yes.
func mentions(text, prefix string) bool {
	if prefix == "" || strings.Contains(text, "&#") {
		return true
	}
	for at := 0; ; {
		i := strings.Index(text[at:], prefix)
		if i < 0 {
			return false
		}
		at += i
		end := at + len(prefix)
		if end < len(text) && text[end] == ':' && nameClass[text[at-1]]&nameStart == 0 {
			return true // text begins with <, so there is a byte before
		}
		at = end
	}
}

// Any is an element of any type: what xs:anyType and mixed content allow. It
// loses nothing but comments.
type Any struct {
	Type    xml.Name   // xsi:type; zero for none
	Nil     bool       // xsi:nil
	Attrs   []xml.Attr // others
	Content Raw
}

// UnmarshalWire implements Unmarshaler.
func (x *Any) UnmarshalWire(r *Reader) {
	*x = Any{Nil: r.Nil()}
	if q, ok := r.Type(); ok {
		x.Type = q
	}
	for _, a := range r.Attrs() {
		if a.Name != xsiType && a.Name != xsiNil {
			x.Attrs = append(x.Attrs, xml.Attr{
				Name:  xml.Name{Space: r.Keep(a.Name.Space), Local: r.Keep(a.Name.Local)},
				Value: r.Keep(a.Value),
			})
		}
	}
	x.Content = r.Content()
}

// MarshalWire implements Marshaler.
func (x *Any) MarshalWire(w *Writer, name xml.Name) {
	if x.Type.Local != "" {
		w.NextType(x.Type)
	}
	w.Start(name)
	if x.Nil {
		w.Attr(xsiNil, "true")
	}
	for _, a := range x.Attrs {
		w.Attr(a.Name, a.Value)
	}
	w.Raw(x.Content)
	w.End()
}

// Decode reads v as if it stood in the place of x.
func (x *Any) Decode(v Unmarshaler) error {
	raw, err := RawOf(x, xml.Name{Local: "any"})
	if err != nil {
		return err
	}
	return raw.Decode(v)
}

var (
	_ Marshaler   = (*Any)(nil)
	_ Unmarshaler = (*Any)(nil)
)
