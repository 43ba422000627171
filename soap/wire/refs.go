package wire

import (
	"encoding/xml"
	"errors"
	"slices"
	"strings"
)

// SOAP encoding of messages.
const (
	SOAPEnc11 = "http://schemas.xmlsoap.org/soap/encoding/" // SOAP 1.1 5
	SOAPEnc12 = "http://www.w3.org/2003/05/soap-encoding"   // SOAP 1.2 Part 2 3
	SOAPRPC12 = "http://www.w3.org/2003/05/soap-rpc"        // SOAP 1.2 Part 2 4
)

var (
	errOutside    = errors.New("reference to something outside the message")
	errNoTarget   = errors.New("reference to an id that no element of the body has")
	errTwoTargets = errors.New("reference to an id that several elements have")
	errCycle      = errors.New("reference to an element from within itself: values that contain themselves are not supported")
	errChain      = errors.New("reference to an element that is a reference itself")
	errFilled     = errors.New("reference with content of its own")
)

// refs is what a Reader of an encoded message knows.
type refs struct {
	from    int // targets stand behind this offset: in the body
	targets map[string]target
	jumps   []jump
	spare   [][]binding // for Reader.ns in jumps
	still   bool        // references are not followed
	soap12  bool
}

// target is an element with an id.
type target struct {
	at, end int
	scope   *scopeNode // what prefixes mean around it
	twice   bool
}

// scopeNode holds the declarations of one element; those of its ancestors are
// shared, so that an index of a message is not larger than the message.
type scopeNode struct {
	outer *scopeNode
	decls []binding
}

// jump is an element that is being read in the place of a reference.
type jump struct {
	at    int // of the target
	depth int // len(Reader.open) outside of it
	pos   int // where reading goes on after it
	name  elementName
	scope
}

// elementName is what Name returns, the local part as a place in Reader.doc.
type elementName struct {
	space     string
	local, to int
}

func (r *Reader) rename(n elementName) { r.space, r.local, r.nameTo = n.space, n.local, n.to }

// Encoded tells the Reader that what follows, up to the end of the message, is
// in SOAP encoding. From then on an element that is a reference (href of SOAP
// 1.1 5.4.1, enc:ref of SOAP 1.2 Part 2 3.1.5.2) is read as if the element it
// leads to, with its attributes, stood in its place under its own name. Each
// reference gets a copy.
//
// What is not a tree, and what becomes larger than Limits.References, is
// refused.
func (r *Reader) Encoded(soap12 bool) {
	if r.refs == nil {
		r.refs = &refs{from: r.tok, soap12: soap12}
	}
}

// IsTarget reports whether the element the Reader is at the start of has an
// id, so that references may lead to it.
func (r *Reader) IsTarget() bool {
	if r.refs == nil {
		return false
	}
	_, ok := r.id()
	return ok
}

func (r *Reader) id() (string, bool) {
	if r.refs.soap12 {
		if s, ok := r.Attr(SOAPEnc12, "id"); ok {
			return s, true
		}
	}
	return r.Attr("", "id")
}

// reference returns the id that the current element refers to.
func (r *Reader) reference() (id string, ok bool) {
	if r.refs.soap12 {
		if s, ok := r.Attr(SOAPEnc12, "ref"); ok {
			return strings.TrimPrefix(s, "#"), true // PHP writes href's form
		}
		return "", false
	}
	s, _ := r.Attr("", "href")
	if strings.HasPrefix(s, "cid:") { // an attachment; others may be links in a text
		r.Fail(errOutside)
	}
	return strings.CutPrefix(s, "#")
}

// follow goes to the target of the element just opened, if that is a reference.
func (r *Reader) follow() Kind {
	x := r.refs
	if x.still || len(r.attrs) == 0 {
		return Start
	}
	id, ok := r.reference()
	if !ok {
		return r.kind
	}
	if x.targets == nil {
		if x.targets = r.findTargets(); r.err != nil {
			return EOF
		}
	}
	to, ok := x.targets[id]
	switch {
	case !ok:
		r.Fail(errNoTarget)
		return EOF
	case to.twice:
		r.Fail(errTwoTargets)
		return EOF
	case slices.ContainsFunc(x.jumps, func(j jump) bool { return j.at == to.at }):
		r.Fail(errCycle)
		return EOF
	}
	var ns []binding
	if n := len(x.spare) - 1; n >= 0 {
		ns, x.spare = x.spare[n], x.spare[:n]
	}
	ns = to.scope.append(ns[:0])
	// What references add is bounded, so that ten lines which refer to each
	// other ten times do not become a billion. Many prefixes cost time as well.
	const perPrefix = 32
	r.added += int64(to.end-to.at) + perPrefix*int64(max(0, len(ns)-few))
	if r.added > r.lim.References {
		return r.limit("references", r.lim.References, r.tok)
	}
	name := elementName{r.space, r.local, r.nameTo}
	position, placed := r.Attr(SOAPEnc11, "position") // of the array it is in
	x.still = true
	defer func() { x.still = false }()
	for k := r.Next(); k != End; k = r.Next() {
		switch {
		case k == EOF:
			return EOF
		case k == Start, !isBlank(r.piece()):
			r.rename(name)
			r.Fail(errFilled)
			return EOF
		}
	}
	x.jumps = append(x.jumps, jump{to.at, len(r.open), r.pos, name, r.scope})
	r.scope = scope{ns: ns}
	r.tok = to.at
	r.attrs = r.attrs[:0]
	if r.startTag(to.at) != Start {
		return EOF
	}
	if _, again := r.reference(); again || r.err != nil {
		r.Fail(errChain)
		return EOF
	}
	r.rename(name)
	r.attrs = slices.DeleteFunc(r.attrs, func(a xml.Attr) bool { return a.Name == namePosition })
	if placed {
		r.attrs = append(r.attrs, xml.Attr{Name: namePosition, Value: position})
	}
	return Start
}

// back returns from a jump if the element that ended is its target.
func (r *Reader) back() {
	x := r.refs
	if n := len(x.jumps) - 1; n >= 0 && x.jumps[n].depth == len(r.open) {
		x.spare = append(x.spare, r.ns)
		r.pos, r.scope = x.jumps[n].pos, x.jumps[n].scope
		r.rename(x.jumps[n].name)
		x.jumps = x.jumps[:n]
	}
}

// findTargets finds the elements in the body that have an id.
func (r *Reader) findTargets() map[string]target {
	d := &Reader{lim: r.lim, refs: &refs{still: true, soap12: r.refs.soap12}}
	d.init(r.doc)
	all := map[string]target{}
	scope := &scopeNode{decls: slices.Clone(d.ns)}
	type level struct {
		id    string
		at    int
		outer *scopeNode
	}
	var open []level
	for {
		switch d.Next() {
		case EOF:
			if d.err != nil {
				r.stop(d.err)
			}
			return all
		case Start:
			l := level{at: d.tok, outer: scope}
			if e := d.open[len(d.open)-1]; e.ns < len(d.ns) {
				scope = &scopeNode{scope, slices.Clone(d.ns[e.ns:])}
			}
			if id, ok := d.id(); ok && d.tok > r.refs.from {
				l.id = id
			}
			open = append(open, l)
		case End:
			l := open[len(open)-1]
			open, scope = open[:len(open)-1], l.outer
			if l.id != "" {
				_, twice := all[l.id]
				all[l.id] = target{l.at, d.pos, l.outer, twice}
			}
		}
	}
}

// append appends all bindings of a scope, outermost first.
func (s *scopeNode) append(dst []binding) []binding {
	var chain []*scopeNode
	for ; s != nil; s = s.outer {
		chain = append(chain, s)
	}
	for _, s := range slices.Backward(chain) {
		dst = append(dst, s.decls...)
	}
	return dst
}

// copyRaw is appendRaw for an encoded message: references are replaced, so
// that what is kept is complete in itself.
func (r *Reader) copyRaw() string {
	var w Writer
	start, depth := r.tok, len(r.open)-1
	for {
		switch r.kind {
		case Start:
			r.copyStart(&w)
		case Text:
			w.Text(r.Chars())
		case End:
			w.End()
			if len(r.open) == depth {
				b, err := w.Bytes()
				r.Fail(err)
				// Each element declares what it uses: see appendRaw.
				if r.added += int64(len(b)); r.added > r.lim.References {
					r.limit("references", r.lim.References, start)
				}
				return string(b)
			}
		default:
			return ""
		}
		if int64(len(w.buf)) > r.lim.References {
			r.limit("references", r.lim.References, start)
		}
		r.Next()
	}
}

// copyStart writes the start of the current element. Attributes that hold a
// name of a type get its prefix right.
func (r *Reader) copyStart(w *Writer) {
	w.Start(r.Name())
	for _, a := range r.attrs {
		switch a.Name {
		case xml.Name{Local: "id"}, xml.Name{Space: SOAPEnc12, Local: "id"}: // led here
			continue
		case xsiType, nameItemType:
			if q, err := r.QName(a.Value); err == nil {
				w.AttrQName(a.Name, q)
				continue
			}
		case nameArrayType:
			name, size, _ := strings.Cut(a.Value, "[")
			if q, err := r.QName(name); err == nil {
				w.BeginAttr(a.Name)
				w.QName(q)
				w.Text("[" + size)
				w.EndAttr()
				continue
			}
		}
		w.Attr(a.Name, a.Value)
	}
}
