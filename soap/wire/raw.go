package wire

import (
	"encoding/xml"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Raw is well-formed XML content: elements, text, or both, in document order.
// Each element declares the prefixes it uses, so that a Raw means the same
// wherever it is written; only a qualified name in text outside of elements
// loses its prefix. The zero value is empty. Values are comparable and are never
// changed.
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

// EncodedRawOf is RawOf for SOAP encoding, that of SOAP 1.1: it tells the types
// of what is in v.
func EncodedRawOf(v Marshaler, name xml.Name) (Raw, error) {
	var w Writer
	w.Encoded(false)
	v.MarshalWire(&w, name)
	b, err := w.Bytes()
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
			s.WriteString(r.Chars())
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
			if r.included() {
				b.WriteString(r.loadText(r.href))
			} else {
				b.WriteString(r.doc[r.tok:r.pos])
			}
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
	if r.err == nil && r.kind != Start {
		r.Fail(errNoElement)
	}
	if r.err != nil {
		return
	}
	if r.refs != nil {
		b.WriteString(r.copyRaw())
		return
	}
	e := r.open[len(r.open)-1]
	start := r.tok
	inScope := len(r.ns) // the element's own declarations included
	found := r.skip()
	if r.err != nil {
		return
	}
	text := r.doc[start:r.pos]
	head := 1 + e.to - e.from
	b.WriteString(text[:head])
	before := b.Len()
	own := r.ns[e.ns:inScope] // Skip cut the slice; nothing has overwritten it yet
	for _, i := range r.needed(text, own) {
		b.WriteString(" xmlns")
		if r.ns[i].prefix != "" {
			b.WriteByte(':')
			b.WriteString(r.ns[i].prefix)
		}
		b.WriteString(`="`)
		s, _ := appendEscaped(nil, r.ns[i].space, true) // came from a message: legal
		b.Write(s)
		b.WriteByte('"')
	}
	// A short element may need long declarations, and many such elements may
	// be captured: what this adds to a message is bounded like the message.
	r.added += int64(b.Len() - before)
	if r.added > r.lim.Bytes {
		r.limit("bytes", r.lim.Bytes, start)
		return
	}
	r.replaced(b, start+head, found)
}

// needed returns which of the bindings in scope an element may use, in a name or
// in a value that is a qualified name. own are the element's own, which hide
// them. It errs on the side of more. The result is valid until the next call.
func (r *Reader) needed(text string, own []binding) []int {
	r.use = r.use[:0]
	if len(r.ns) <= 1 { // xml
		return nil
	}
	r.decided = slices.Grow(r.decided[:0], len(r.ns))[:len(r.ns)]
	clear(r.decided)
	r.need("", own)
	if strings.Contains(text, "&#") { // may spell a prefix
		for i := range r.ns {
			r.need(r.ns[i].prefix, own)
		}
		return r.use
	}
	last := ""
	for from := 0; ; {
		i := strings.IndexByte(text[from:], ':')
		if i < 0 {
			return r.use
		}
		i += from
		at := i
		for at > from && nameClass[text[at-1]] != 0 {
			at--
		}
		for at < i && nameClass[text[at]]&nameStart == 0 {
			at++
		}
		if p := text[at:i]; p != "" && p != last {
			r.need(p, own)
			last = p
		}
		from = i + 1
	}
}

// need adds the binding of a prefix to what needed returns.
func (r *Reader) need(prefix string, own []binding) {
	i := r.find(prefix)
	if i <= 0 || r.decided[i] {
		return
	}
	r.decided[i] = true
	hidden := slices.ContainsFunc(own, func(b binding) bool { return b.prefix == prefix })
	if !hidden && (prefix != "" || r.ns[i].space != "") {
		r.use = append(r.use, i)
	}
}

// Any is an element of any type: what xs:anyType and mixed content allow. It
// loses nothing but comments.
type Any struct {
	Type    xml.Name   // xsi:type; zero for none
	Nil     bool       // xsi:nil
	Attrs   []xml.Attr // others
	Content Raw

	qname xml.Name // in Content, which has the prefix of the message, if Type is xs:QName
}

var xsdQName = xml.Name{Space: XSD, Local: "QName"}

// QNameAny returns an Any of type xs:QName.
func QNameAny(q xml.Name) Any { return Any{Type: xsdQName, qname: q} }

// QName returns the name in x. It reports false if the Type of x is not
// xs:QName or there is no name.
func (x *Any) QName() (xml.Name, bool) {
	return x.qname, x.Type == xsdQName && x.qname.Local != ""
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
	scope := Scope{}
	if x.Type == xsdQName {
		scope.ns = append(scope.ns, r.ns...) // Content moves on
	}
	x.Content = r.Content()
	if x.Type == xsdQName && r.err == nil {
		if q, err := scope.QName(x.Content.Text()); err == nil {
			x.qname = xml.Name{Space: r.Keep(q.Space), Local: r.Keep(q.Local)}
		}
	}
}

// MarshalWire implements Marshaler.
func (x *Any) MarshalWire(w *Writer, name xml.Name) {
	switch {
	case x.Type.Local != "":
		w.NextType(x.Type)
	case w.encoding != "" && !x.Nil && x.Content.IsZero() && len(x.Attrs) == 0:
		w.Nil(name) // in SOAP encoding, what is not set
		return
	}
	w.Start(name)
	if x.Nil {
		w.Attr(xsiNil, "true")
	}
	for _, a := range x.Attrs {
		if !IsNCName(a.Name.Local) { // unlike generated code, a program may make one up
			w.Fail(errors.New("not a name: " + strconv.Quote(a.Name.Local)))
		}
		w.Attr(a.Name, a.Value)
	}
	if q, ok := x.QName(); ok {
		w.QName(q)
	} else {
		w.Raw(x.Content)
	}
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
