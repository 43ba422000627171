package wire

import (
	"encoding/xml"
	"strings"
)

// attrPlace is where an attribute stands, and where in its name the colon does,
// -1 if it has none.
type attrPlace struct{ at, colon int }

// name scans a QName at p and returns the offset behind it and that of its
// colon, -1 if it has none. It returns p if there is no name.
func (r *Reader) name(p int) (end, colon int) {
	s := r.doc[p:]
	n, class := ncName(s)
	if n == 0 {
		return p, -1
	}
	colon = -1
	if n < len(s) && s[n] == ':' {
		local, c := ncName(s[n+1:])
		colon = p + n
		n += 1 + local
		class |= c
		if local == 0 || n < len(s) && s[n] == ':' {
			return p, -1
		}
	}
	end = p + n
	if class&nameHigh != 0 {
		first := p
		if colon >= 0 {
			if first = colon + 1; !IsNCName(r.doc[p:colon]) {
				return p, -1
			}
		}
		if !IsNCName(r.doc[first:end]) {
			return p, -1
		}
	}
	return end, colon
}

// ncName returns how many bytes at the start of s can be a name without colon,
// and what they are.
func ncName(s string) (n int, class uint8) {
	if s == "" || nameClass[s[0]]&nameStart == 0 {
		return 0, 0
	}
	for ; n < len(s); n++ {
		c := nameClass[s[n]]
		if c == 0 {
			break
		}
		class |= c
	}
	return n, class
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
	e := element{from: p + 1, local: max(p, colon) + 1, to: j, ns: len(r.ns)}
	r.places = r.places[:0]
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
	return r.push(e)
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
		value = r.keepScratch(b)
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
	r.attrs = append(r.attrs, xml.Attr{Name: xml.Name{Local: qname}, Value: value})
	r.places = append(r.places, attrPlace{p, colon})
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
	if space == r.known {
		space = r.known
	}
	for i := range r.ns[:min(len(r.ns), few)] {
		if r.ns[i].space == space {
			space = r.ns[i].space
			break
		}
	}
	r.ns = append(r.ns, binding{prefix: prefix, space: space})
	return true
}

// push resolves the names of a start tag and opens the element.
func (r *Reader) push(e element) Kind {
	p := e.from - 1
	if len(r.ns) > e.ns && r.declaredTwice(e.ns) {
		return r.syntax(p, "namespace prefix declared twice")
	}
	prefix := ""
	if e.local > e.from {
		prefix = r.doc[e.from : e.local-1]
	}
	if e.space = r.find(prefix); e.space < 0 && prefix != "" {
		return r.syntax(p, "undeclared prefix "+prefix)
	}
	r.setName(&e)
	for i, at := range r.places {
		if at.colon < 0 {
			continue // no prefix, no namespace: Namespaces in XML 6.2
		}
		n := &r.attrs[i].Name
		b := r.find(n.Local[:at.colon])
		if b < 0 {
			return r.syntax(at.at, "undeclared prefix "+n.Local[:at.colon])
		}
		n.Space, n.Local = r.ns[b].space, n.Local[at.colon+1:]
	}
	if len(r.attrs) > 1 && r.duplicate() {
		return r.syntax(p, "attribute given twice")
	}
	r.open = append(r.open, e)
	r.rooted = true
	r.kind = Start
	if r.xop && r.Is(xopSpace, xopInclude.Local) {
		return r.include(p)
	}
	if r.refs != nil {
		return r.follow()
	}
	return Start
}

func (r *Reader) duplicate() bool {
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

// few is how many bindings or attributes are looked through one by one.
const few = 12

// declaredTwice reports whether a prefix occurs twice in ns[base:].
func (r *Reader) declaredTwice(base int) bool {
	if len(r.ns)-base > few {
		r.enter()
	}
	for i := base; i < len(r.ns); i++ {
		if i < r.entered {
			if r.ns[i].outer >= base {
				return true
			}
			continue
		}
		for j := base; j < i; j++ {
			if r.ns[i].prefix == r.ns[j].prefix {
				return true
			}
		}
	}
	return false
}

// find returns which binding of a prefix counts, or -1. Where there are many it
// uses index: a message must not make each name cost a walk through all of them.
func (r *Reader) find(prefix string) int {
	if len(r.ns) <= few {
		return find(r.ns, prefix)
	}
	r.enter()
	if i, ok := r.index[prefix]; ok {
		return i
	}
	return -1
}

// enter makes index know all bindings.
func (r *Reader) enter() {
	if r.index == nil {
		r.index = make(map[string]int, len(r.ns))
	}
	for ; r.entered < len(r.ns); r.entered++ {
		b := &r.ns[r.entered]
		b.outer = -1
		if i, ok := r.index[b.prefix]; ok {
			b.outer = i
		}
		r.index[b.prefix] = r.entered
	}
}

// leave forgets the bindings from ns[n] on.
func (r *Reader) leave(n int) {
	for ; r.entered > n; r.entered-- {
		b := &r.ns[r.entered-1]
		if b.outer < 0 {
			delete(r.index, b.prefix)
		} else {
			r.index[b.prefix] = b.outer
		}
	}
	r.ns = r.ns[:n]
}

func find(ns []binding, prefix string) int {
	for i := len(ns) - 1; i >= 0; i-- {
		if ns[i].prefix == prefix {
			return i
		}
	}
	return -1
}
