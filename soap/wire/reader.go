package wire

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"sync"
	"unicode/utf8"
)

// Kind is what a Reader stands at.
type Kind uint8

// The kinds of Reader.Next.
const (
	EOF   Kind = iota // the message is over, or Err says what stopped the Reader
	Start             // start of an element: Name, Attr, Attrs
	End               // end of an element: Name
	Text              // characters: Chars
)

type binding struct{ prefix, space string }

type element struct {
	qname, space, local string
	ns                  int // len(Reader.ns) before the element's declarations
}

// Reader reads one message from start to end. It keeps the first error; see
// the package comment. It is for one goroutine at a time.
//
// Strings it returns share memory with the message unless the method says
// that they are copies.
type Reader struct {
	doc    string
	pos    int // where scanning goes on
	tok    int // where the current token began
	lim    Limits
	strict bool
	err    error

	kind         Kind
	space, local string
	chars        string
	attrs        []xml.Attr
	empty        bool // the current start tag was an empty-element tag
	rooted       bool // the root element has begun
	hasCR        bool
	elements     int

	open []element
	ns   []binding

	rawAttrs []rawAttr
	seen     map[xml.Name]struct{}
	scratch  []byte
	copies   strings.Builder
}

type rawAttr struct {
	qname, value string
	colon, at    int
}

// NewReader returns a Reader over doc. It keeps no reference to doc. Trouble
// with the encoding is reported by the first call to Next, like all other.
func NewReader(doc []byte, o Options) *Reader {
	r := &Reader{lim: o.Limits.withDefaults(), strict: o.Strict}
	if int64(len(doc)) > r.lim.Bytes {
		r.limit("bytes", r.lim.Bytes, 0)
		return r
	}
	s, err := decode(doc, o.Charset)
	if err != nil {
		r.err = err
		return r
	}
	return r.init(s)
}

// buffers holds what messages are received in before they become strings.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// ReadFrom reads src to its end and returns a Reader over it, or the error of
// src. It reads at most one byte more than Limits allow.
func ReadFrom(src io.Reader, o Options) (*Reader, error) {
	const keep = 1 << 20 // larger buffers are not worth their memory
	limit := o.Limits.withDefaults().Bytes
	b := buffers.Get().(*bytes.Buffer)
	b.Reset()
	defer func() {
		if b.Cap() <= keep {
			buffers.Put(b)
		}
	}()
	if _, err := b.ReadFrom(io.LimitReader(src, limit+1)); err != nil {
		return nil, err
	}
	return NewReader(b.Bytes(), o), nil
}

// newStringReader reads a document that is UTF-8 and shares its memory.
func newStringReader(doc string, o Options) *Reader {
	r := &Reader{lim: o.Limits.withDefaults(), strict: o.Strict}
	return r.init(doc)
}

func (r *Reader) init(doc string) *Reader {
	if int64(len(doc)) > r.lim.Bytes {
		r.limit("bytes", r.lim.Bytes, 0)
		return r
	}
	r.doc = doc
	if at, msg := illegal(doc); at >= 0 {
		r.syntax(at, msg)
		return r
	}
	r.hasCR = strings.IndexByte(doc, '\r') >= 0
	r.ns = append(make([]binding, 0, 16), binding{"xml", XML})
	r.declaration()
	return r
}

// Err returns what stopped the Reader: a *SyntaxError, *LimitError or
// *ValueError, or nil.
func (r *Reader) Err() error { return r.err }

// Pos returns the place where the current token begins.
func (r *Reader) Pos() Pos { return posOf(r.doc, r.tok) }

// Document returns the whole message as UTF-8, without byte order mark.
func (r *Reader) Document() string { return r.doc }

// Span returns where in Document the current token begins and ends. Together
// they let a program change parts of a document and copy the rest.
func (r *Reader) Span() (start, end int) { return r.tok, r.pos }

// Depth returns how many elements are open, the current one included while
// the Reader stands at its start.
func (r *Reader) Depth() int { return len(r.open) }

// Name returns the name of the element whose start or end the Reader is at.
func (r *Reader) Name() xml.Name { return xml.Name{Space: r.space, Local: r.local} }

// Local returns the local part of Name.
func (r *Reader) Local() string { return r.local }

// Space returns the namespace of Name, empty if it has none.
func (r *Reader) Space() string { return r.space }

// Is reports whether the Reader is at an element of that name.
func (r *Reader) Is(space, local string) bool { return r.local == local && r.space == space }

// Chars returns the characters of a Text, references resolved and line ends
// normalised. Neighbouring pieces of text may come as several Texts.
func (r *Reader) Chars() string { return r.chars }

// Attrs returns the attributes of the element the Reader is at the start of,
// without namespace declarations. The slice is valid until the next move.
func (r *Reader) Attrs() []xml.Attr { return r.attrs }

// Attr returns one attribute of the element the Reader is at the start of.
func (r *Reader) Attr(space, local string) (value string, ok bool) {
	for i := range r.attrs {
		if a := &r.attrs[i]; a.Name.Local == local && a.Name.Space == space {
			return a.Value, true
		}
	}
	return "", false
}

// Fail stops the Reader with err, located at the current token. The first
// failure counts.
func (r *Reader) Fail(err error) {
	if r.err == nil && err != nil {
		r.stop(&ValueError{Pos: r.Pos(), Name: r.Name(), Err: err})
	}
}

func (r *Reader) stop(err error) Kind {
	if r.err == nil {
		r.err = err
	}
	r.kind, r.chars, r.attrs = EOF, "", nil
	return EOF
}

func (r *Reader) syntax(at int, msg string) Kind {
	return r.stop(&SyntaxError{Pos: posOf(r.doc, at), Msg: msg})
}

func (r *Reader) limit(name string, limit int64, at int) Kind {
	return r.stop(&LimitError{Pos: posOf(r.doc, at), Limit: name, Max: limit})
}

// Next moves to the next start, end or text and says which it is. Comments and
// processing instructions are skipped. Most codecs use Child, Text and Value
// instead.
func (r *Reader) Next() Kind {
	if r.err != nil {
		return EOF
	}
	r.attrs = r.attrs[:0]
	if r.empty {
		r.empty, r.tok = false, r.pos
		return r.pop()
	}
	for {
		p := r.pos
		r.tok = p
		rest := r.doc[p:]
		if rest == "" {
			return r.finish()
		}
		if rest[0] != '<' {
			i := strings.IndexByte(rest, '<')
			if i < 0 {
				i = len(rest)
			}
			r.pos = p + i
			if len(r.open) == 0 {
				if !isBlank(rest[:i]) {
					return r.syntax(p, "text outside the root element")
				}
				continue
			}
			return r.text(rest[:i], p)
		}
		if len(rest) < 2 {
			return r.syntax(p, "unexpected end of message")
		}
		switch rest[1] {
		case '/':
			return r.endTag(p)
		case '?':
			if !r.instruction(p) {
				return EOF
			}
		case '!':
			switch {
			case strings.HasPrefix(rest, "<!--"):
				i := strings.Index(rest[4:], "--")
				if i < 0 {
					return r.syntax(p, "comment does not end")
				}
				if !strings.HasPrefix(rest[4+i:], "-->") {
					return r.syntax(p+4+i, "-- in a comment")
				}
				r.pos = p + 4 + i + 3
			case strings.HasPrefix(rest, "<![CDATA["):
				i := strings.Index(rest, "]]>")
				if i < 0 {
					return r.syntax(p, "CDATA section does not end")
				}
				if len(r.open) == 0 {
					return r.syntax(p, "text outside the root element")
				}
				r.pos = p + i + 3
				r.kind, r.chars = Text, rest[9:i]
				if r.hasCR && strings.IndexByte(r.chars, '\r') >= 0 {
					r.chars = r.copy(appendLines(r.scratch[:0], r.chars))
				}
				return Text
			case strings.HasPrefix(rest, "<!DOCTYPE"):
				// SOAP 1.1 3, SOAP 1.2 Part 1 5: no document type declaration.
				return r.syntax(p, "document type declaration refused")
			default:
				return r.syntax(p, "malformed markup")
			}
		default:
			return r.startTag(p)
		}
	}
}

func (r *Reader) finish() Kind {
	switch {
	case len(r.open) > 0:
		return r.syntax(len(r.doc), "message ends inside element "+r.open[len(r.open)-1].qname)
	case !r.rooted:
		return r.syntax(len(r.doc), "no root element")
	}
	r.kind = EOF
	return EOF
}

func (r *Reader) pop() Kind {
	e := &r.open[len(r.open)-1]
	r.space, r.local = e.space, e.local
	r.ns = r.ns[:e.ns]
	r.open = r.open[:len(r.open)-1]
	r.kind = End
	return End
}

func (r *Reader) endTag(p int) Kind {
	if len(r.open) == 0 {
		return r.syntax(p, "end tag without start tag")
	}
	name := r.open[len(r.open)-1].qname
	rest := r.doc[p+2:]
	if !strings.HasPrefix(rest, name) {
		return r.syntax(p, "end tag does not match element "+name)
	}
	i := len(name)
	for i < len(rest) && isSpace(rest[i]) {
		i++
	}
	if i == len(rest) || rest[i] != '>' {
		return r.syntax(p, "end tag does not match element "+name)
	}
	r.pos = p + 2 + i + 1
	return r.pop()
}

// name scans a QName at p and returns the offset behind it and that of its
// colon, -1 if it has none. It returns p if there is no name.
func (r *Reader) name(p int) (end, colon int) {
	doc := r.doc
	colon = -1
	class := uint8(0)
	i := p
	for ; i < len(doc); i++ {
		c := nameClass[doc[i]]
		if c == 0 {
			if doc[i] != ':' || colon >= 0 || i == p || i+1 == len(doc) || nameClass[doc[i+1]]&nameStart == 0 {
				break
			}
			colon = i
		}
		class |= c
	}
	if i == p || nameClass[doc[p]]&nameStart == 0 || i < len(doc) && doc[i] == ':' {
		return p, -1
	}
	if class&nameHigh != 0 {
		n := doc[p:i]
		if colon >= 0 && !IsNCName(doc[p:colon]) || !IsNCName(n[max(colon+1-p, 0):]) {
			return p, -1
		}
	}
	return i, colon
}

func (r *Reader) startTag(p int) Kind {
	if len(r.open) == 0 && r.rooted {
		return r.syntax(p, "second root element")
	}
	if len(r.open) >= r.lim.Depth {
		return r.limit("depth", int64(r.lim.Depth), p)
	}
	if r.elements++; r.elements > r.lim.Elements {
		return r.limit("elements", int64(r.lim.Elements), p)
	}
	doc := r.doc
	j, colon := r.name(p + 1)
	if j == p+1 {
		return r.syntax(p, "malformed markup")
	}
	if j-p-1 > r.lim.Name {
		return r.limit("name", int64(r.lim.Name), p)
	}
	qname := doc[p+1 : j]
	base := len(r.ns)
	r.rawAttrs = r.rawAttrs[:0]
	count := 0
scan:
	for {
		k := j
		for k < len(doc) && isSpace(doc[k]) {
			k++
		}
		if k == len(doc) {
			return r.syntax(p, "start tag does not end")
		}
		switch doc[k] {
		case '>':
			r.pos = k + 1
			break scan
		case '/':
			if k+1 == len(doc) || doc[k+1] != '>' {
				return r.syntax(k, "malformed start tag")
			}
			r.pos = k + 2
			r.empty = true
			break scan
		}
		if k == j {
			return r.syntax(k, "malformed start tag")
		}
		if count++; count > r.lim.Attributes {
			return r.limit("attributes", int64(r.lim.Attributes), k)
		}
		if j = r.attribute(k); j < 0 {
			return EOF
		}
	}
	return r.push(p, qname, colon-p-1, base)
}

// attribute scans one attribute at p and returns the offset behind it, or -1.
func (r *Reader) attribute(p int) int {
	doc := r.doc
	j, colon := r.name(p)
	if j == p {
		r.syntax(p, "malformed attribute name")
		return -1
	}
	if j-p > r.lim.Name {
		r.limit("name", int64(r.lim.Name), p)
		return -1
	}
	qname := doc[p:j]
	for j < len(doc) && isSpace(doc[j]) {
		j++
	}
	if j == len(doc) || doc[j] != '=' {
		r.syntax(p, "attribute without value")
		return -1
	}
	j++
	for j < len(doc) && isSpace(doc[j]) {
		j++
	}
	if j == len(doc) || doc[j] != '"' && doc[j] != '\'' {
		r.syntax(j, "attribute value without quotes")
		return -1
	}
	start, quote, odd := j+1, doc[j], false
	for j = start; ; j++ {
		if j == len(doc) {
			r.syntax(start-1, "attribute value does not end")
			return -1
		}
		c := doc[j]
		if c == quote {
			break
		}
		if c == '<' {
			r.syntax(j, "< in an attribute value")
			return -1
		}
		odd = odd || c == '&' || c < ' '
	}
	value := doc[start:j]
	if odd {
		b, ok := r.appendValue(r.scratch[:0], value, start, true)
		if !ok {
			return -1
		}
		value = r.copy(b)
	}
	if strings.HasPrefix(qname, "xmlns") && (len(qname) == 5 || qname[5] == ':') {
		if !r.declare(qname, value, p) {
			return -1
		}
		return j + 1
	}
	if colon >= 0 {
		colon -= p
	}
	r.rawAttrs = append(r.rawAttrs, rawAttr{qname, value, colon, p})
	return j + 1
}

// declare enters a namespace declaration. Namespaces in XML 1.0 3.
func (r *Reader) declare(qname, space string, p int) bool {
	prefix := ""
	if len(qname) > 5 {
		prefix = qname[6:]
	}
	switch {
	case len(space) > r.lim.Name:
		r.limit("name", int64(r.lim.Name), p)
		return false
	case prefix == "xml" && space == XML:
		return true
	case prefix == "xml", prefix == "xmlns", space == XML, space == xmlnsSpace:
		r.syntax(p, "reserved prefix or namespace declared")
		return false
	case prefix != "" && space == "":
		r.syntax(p, "prefix "+prefix+" declared without namespace")
		return false
	case len(r.ns) > r.lim.Namespaces: // one more than declared: xml
		r.limit("namespaces", int64(r.lim.Namespaces), p)
		return false
	}
	// The namespace of a message is compared often: let equal ones share memory.
	for i := range r.ns {
		if r.ns[i].space == space {
			space = r.ns[i].space
			break
		}
	}
	r.ns = append(r.ns, binding{prefix, space})
	return true
}

// push resolves the names of a start tag and opens the element.
func (r *Reader) push(p int, qname string, colon, base int) Kind {
	for i := base; i < len(r.ns); i++ {
		for j := base; j < i; j++ {
			if r.ns[i].prefix == r.ns[j].prefix {
				return r.syntax(p, "namespace prefix declared twice")
			}
		}
	}
	prefix, local := "", qname
	if colon >= 0 {
		prefix, local = qname[:colon], qname[colon+1:]
	}
	space, ok := r.lookup(prefix)
	if !ok {
		return r.syntax(p, "undeclared prefix "+prefix)
	}
	r.space, r.local = space, local
	for i := range r.rawAttrs {
		a := &r.rawAttrs[i]
		n := xml.Name{Local: a.qname}
		if a.colon >= 0 {
			// An attribute without prefix has no namespace. Namespaces in XML 6.2.
			if n.Space, ok = r.lookup(a.qname[:a.colon]); !ok {
				return r.syntax(a.at, "undeclared prefix "+a.qname[:a.colon])
			}
			n.Local = a.qname[a.colon+1:]
		}
		r.attrs = append(r.attrs, xml.Attr{Name: n, Value: a.value})
	}
	if len(r.attrs) > 1 && r.duplicate() {
		return r.syntax(p, "attribute given twice")
	}
	r.open = append(r.open, element{qname, space, local, base})
	r.rooted = true
	r.kind = Start
	return Start
}

func (r *Reader) duplicate() bool {
	const few = 12
	if len(r.attrs) <= few {
		for i := 1; i < len(r.attrs); i++ {
			for j := 0; j < i; j++ {
				if r.attrs[i].Name == r.attrs[j].Name {
					return true
				}
			}
		}
		return false
	}
	if r.seen == nil {
		r.seen = make(map[xml.Name]struct{}, len(r.attrs))
	}
	clear(r.seen)
	for i := range r.attrs {
		r.seen[r.attrs[i].Name] = struct{}{}
	}
	return len(r.seen) != len(r.attrs)
}

func (r *Reader) lookup(prefix string) (space string, ok bool) { return lookup(r.ns, prefix) }

func lookup(ns []binding, prefix string) (space string, ok bool) {
	for i := len(ns) - 1; i >= 0; i-- {
		if ns[i].prefix == prefix {
			return ns[i].space, true
		}
	}
	return "", prefix == ""
}

// instruction skips a processing instruction at p. XML 1.0 2.6.
func (r *Reader) instruction(p int) bool {
	i := strings.Index(r.doc[p:], "?>")
	if i < 0 {
		r.syntax(p, "processing instruction does not end")
		return false
	}
	end, colon := r.name(p + 2)
	target := r.doc[p+2 : end]
	switch {
	case target == "" || colon >= 0 || end < p+i && !isSpace(r.doc[end]):
		r.syntax(p, "malformed processing instruction")
		return false
	case strings.EqualFold(target, "xml"):
		r.syntax(p, "XML declaration not at the start")
		return false
	}
	r.pos = p + i + 2
	return true
}

// Keep returns a copy of s that does not hold on to the message. Copies of
// short strings are cut from a common block.
func (r *Reader) Keep(s string) string {
	const block, short = 1024, 128
	if len(s) == 0 {
		return ""
	}
	if len(s) > short {
		return strings.Clone(s)
	}
	if r.copies.Cap()-r.copies.Len() < len(s) {
		r.copies.Reset()
		r.copies.Grow(block)
	}
	n := r.copies.Len()
	r.copies.WriteString(s)
	return r.copies.String()[n:]
}

func (r *Reader) copy(b []byte) string {
	r.scratch = b
	if len(b) > 4096 {
		r.scratch = nil
		return string(b)
	}
	if utf8.RuneSelf > len(b) {
		if r.copies.Cap()-r.copies.Len() < len(b) {
			r.copies.Reset()
			r.copies.Grow(1024)
		}
		n := r.copies.Len()
		r.copies.Write(b)
		return r.copies.String()[n:]
	}
	return string(b)
}
