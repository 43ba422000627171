package wire

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"sync"
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

type binding struct {
	prefix, space string
	outer         int // the binding that it hides, or -1; see Reader.enter
}

// scope is what prefixes mean at a place.
type scope struct {
	ns      []binding
	index   map[string]int // of prefixes in ns[:entered]
	entered int
}

// element is an open element. It holds places instead of strings: these are
// cheaper to write, and the garbage collector need not look at them.
type element struct {
	from, local, to int // its name in doc, and the local part of it
	space           int // the binding of its namespace in Reader.ns, or -1
	ns              int // len(Reader.ns) before the element's declarations
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

	kind          Kind
	space         string // of Name
	known         string // see Know
	local, nameTo int    // Local in doc
	from, to      int    // Chars in doc,
	made          string // or here if made
	isMade        bool
	attrs         []xml.Attr
	empty         bool // the current start tag was an empty-element tag
	rooted        bool // the root element has begun
	hasCR         bool
	elements      int
	added         int64 // bytes that references and captured elements have got more than they are

	open []element
	scope
	use     []int  // of needed
	decided []bool // likewise

	refs *refs // of a message in SOAP encoding

	parts  Parts
	xop    bool // xop:Include stands for a part
	inside bool // an xop:Include
	href   string

	places  []attrPlace // of attrs
	seen    map[xml.Name]struct{}
	scratch []byte
	copies  strings.Builder

	// Where open, ns, attrs and places begin: most messages need no more.
	someOpen   [8]element
	someNS     [8]binding
	someAttrs  [4]xml.Attr
	somePlaces [4]attrPlace
}

// NewReader returns a Reader over doc. It keeps no reference to doc. Trouble
// with the encoding is reported by the first call to Next, like all other.
func NewReader(doc []byte, o Options) *Reader {
	r := &Reader{lim: o.Limits.withDefaults(), strict: o.Strict, parts: o.Parts, xop: o.XOP && o.Parts != nil}
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

// receiver is what a message is received in before it becomes a string.
type receiver struct {
	buf bytes.Buffer
	src io.LimitedReader
}

var receivers = sync.Pool{New: func() any {
	v := new(receiver)
	v.buf.Grow(8 << 10)
	return v
}}

// ReadFrom reads src to its end and returns a Reader over it, or the error of
// src. It reads at most one byte more than Limits allow.
func ReadFrom(src io.Reader, o Options) (*Reader, error) {
	const keep = 1 << 20 // larger buffers are not worth their memory
	v := receivers.Get().(*receiver)
	v.src = io.LimitedReader{R: src, N: o.Limits.withDefaults().Bytes + 1}
	_, err := v.buf.ReadFrom(&v.src)
	var r *Reader
	if err == nil {
		r = NewReader(v.buf.Bytes(), o)
	}
	if v.buf.Cap() <= keep {
		v.buf.Reset()
		v.src.R = nil
		receivers.Put(v)
	}
	return r, err
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
	r.ns = append(r.someNS[:0], binding{prefix: "xml", space: XML})
	r.open, r.attrs, r.places = r.someOpen[:0], r.someAttrs[:0], r.somePlaces[:0]
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
func (r *Reader) Name() xml.Name { return xml.Name{Space: r.space, Local: r.Local()} }

// Local returns the local part of Name.
func (r *Reader) Local() string { return r.doc[r.local:r.nameTo] }

// Space returns the namespace of Name, empty if it has none.
func (r *Reader) Space() string { return r.space }

// Know tells that the message's elements are likely to be in this namespace.
// Comparing it with Space is a little faster then.
func (r *Reader) Know(space string) {
	r.known = space
	if r.space == space {
		r.space = space
	}
	for i := range r.ns {
		if r.ns[i].space == space {
			r.ns[i].space = space
		}
	}
}

// Is reports whether the Reader is at an element of that name.
func (r *Reader) Is(space, local string) bool { return r.Local() == local && r.space == space }

// Chars returns the characters of a Text, references resolved and line ends
// normalised. Neighbouring pieces of text may come as several Texts.
func (r *Reader) Chars() string {
	if r.included() {
		return r.loadText(r.href)
	}
	return r.piece()
}

// piece is Chars, but for an xop:Include the element itself.
func (r *Reader) piece() string {
	if r.isMade {
		return r.made
	}
	return r.doc[r.from:r.to]
}

// setChars sets Chars to doc[from:to].
func (r *Reader) setChars(from, to int) {
	r.from, r.to, r.isMade = from, to, false
}

// makeChars sets Chars to a string that is not in the message.
func (r *Reader) makeChars(s string) {
	r.made, r.isMade = s, true
}

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

// AttrSpan returns where in Document the value of such an attribute begins and
// ends, between its quotes, as Span does for the token.
func (r *Reader) AttrSpan(space, local string) (start, end int, ok bool) {
	for i := range r.attrs {
		a := &r.attrs[i]
		if a.Name.Local != local || a.Name.Space != space || i >= len(r.places) {
			continue
		}
		from := r.places[i].at
		open := strings.IndexAny(r.doc[from:], `"'`) // no name has quotes
		if open < 0 {
			break
		}
		start = from + open + 1
		n := strings.IndexByte(r.doc[start:], r.doc[start-1])
		return start, start + n, n >= 0
	}
	return 0, 0, false
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
	r.kind, r.attrs = EOF, nil
	r.setChars(0, 0)
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
			i, plain := plainText(rest)
			if !plain {
				if i = strings.IndexByte(rest, '<'); i < 0 {
					i = len(rest)
				}
			}
			r.pos = p + i
			if len(r.open) == 0 {
				if !isBlank(rest[:i]) {
					return r.syntax(p, "text outside the root element")
				}
				continue
			}
			if plain {
				r.kind = Text
				r.setChars(p, p+i)
				return Text
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
				r.kind = Text
				r.setChars(p+9, p+i)
				if r.hasCR && strings.IndexByte(rest[9:i], '\r') >= 0 {
					r.makeChars(r.keepScratch(appendLines(r.scratch[:0], rest[9:i])))
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
		return r.syntax(len(r.doc), "message ends inside element "+r.qname())
	case !r.rooted:
		return r.syntax(len(r.doc), "no root element")
	}
	r.kind = EOF
	return EOF
}

// qname returns the name of the innermost open element as it is written.
func (r *Reader) qname() string {
	e := &r.open[len(r.open)-1]
	return r.doc[e.from:e.to]
}

func (r *Reader) pop() Kind {
	e := &r.open[len(r.open)-1]
	r.setName(e)
	if len(r.ns) > e.ns {
		r.leave(e.ns)
	}
	r.open = r.open[:len(r.open)-1]
	r.kind = End
	if r.refs != nil {
		r.back()
	}
	return End
}

// setName makes e the element whose name Name returns.
func (r *Reader) setName(e *element) {
	r.local, r.nameTo = e.local, e.to
	space := ""
	if e.space >= 0 {
		space = r.ns[e.space].space
	}
	if r.space != space { // mostly it is the same: reading is cheaper than writing
		r.space = space
	}
}

func (r *Reader) endTag(p int) Kind {
	if len(r.open) == 0 {
		return r.syntax(p, "end tag without start tag")
	}
	name := r.qname()
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
