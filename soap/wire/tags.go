package wire

import (
	"encoding/xml"
	"strings"
)

// rawAttr is an attribute before its prefix is resolved.
type rawAttr struct {
	qname, value string
	colon, at    int
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
func (r *Reader) push(p int, qname string, colon, base int) Kind {
	if len(r.ns) > base && r.declaredTwice(base) {
		return r.syntax(p, "namespace prefix declared twice")
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

// lookup returns what a prefix means.
func (r *Reader) lookup(prefix string) (space string, ok bool) {
	if i := r.find(prefix); i >= 0 {
		return r.ns[i].space, true
	}
	return "", prefix == ""
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
