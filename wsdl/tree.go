package wsdl

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// QName is a name in a namespace. It is comparable.
type QName struct {
	Space, Local string
}

// String returns {space}local, or local alone outside any namespace.
func (q QName) String() string {
	if q.Space == "" {
		return q.Local
	}
	return "{" + q.Space + "}" + q.Local
}

// IsZero reports whether q names nothing.
func (q QName) IsZero() bool { return q == QName{} }

// Limits of one XML document.
const (
	maxXMLDepth = 200
	maxXMLAttrs = 256  // per element
	maxXMLDecls = 1000 // namespace declarations in scope
)

// node is an element of a document, with its position and the namespace
// declarations that the QNames in its content need.
type node struct {
	name   QName
	attrs  []attr
	kids   []*node
	text   string // character data directly inside, unless blank
	parent *node
	decls  []attr // xmlns declarations: name.Local is the prefix
	pos    Position
	left   int // bytes to the end of the document, as UTF-8
}

type attr struct {
	name  QName
	value string
}

// attr returns the value of an attribute without namespace.
func (n *node) attr(local string) (string, bool) {
	for i := range n.attrs {
		if a := &n.attrs[i]; a.name.Local == local && a.name.Space == "" {
			return a.value, true
		}
	}
	return "", false
}

// get is attr with surrounding white space removed, "" when absent.
func (n *node) get(local string) string {
	v, _ := n.attr(local)
	return strings.TrimSpace(v)
}

// getNS returns the value of an attribute in a namespace.
func (n *node) getNS(space, local string) string {
	for i := range n.attrs {
		if a := &n.attrs[i]; a.name.Local == local && a.name.Space == space {
			return strings.TrimSpace(a.value)
		}
	}
	return ""
}

// child returns the first child of that name, or nil.
func (n *node) child(space, local string) *node {
	for _, k := range n.kids {
		if k.name.Local == local && k.name.Space == space {
			return k
		}
	}
	return nil
}

// lookup resolves a prefix by the declarations in scope.
func (n *node) lookup(prefix string) (string, bool) {
	if prefix == "xml" {
		return nsXML, true
	}
	for e := n; e != nil; e = e.parent {
		for i := len(e.decls) - 1; i >= 0; i-- {
			if e.decls[i].name.Local == prefix {
				return e.decls[i].value, e.decls[i].value != "" || prefix == ""
			}
		}
	}
	return "", prefix == ""
}

// qname resolves a QName that appears as text in n.
func (n *node) qname(s string) (QName, error) {
	prefix, local, ok := strings.Cut(strings.TrimSpace(s), ":")
	if !ok {
		prefix, local = "", prefix
	}
	if local == "" || strings.ContainsAny(local, ": \t\r\n{}") {
		return QName{}, fmt.Errorf("%q is not a qualified name", clip(s))
	}
	space, ok := n.lookup(prefix)
	if !ok {
		return QName{}, fmt.Errorf("prefix %q of %q is not declared", clip(prefix), clip(s))
	}
	return current(QName{space, local}), nil
}

// equal reports whether two trees say the same. Positions, documentation and
// the choice of prefixes for elements and attributes do not count.
func (n *node) equal(o *node) bool {
	if n == o {
		return true
	}
	if n.name != o.name || n.text != o.text || len(n.attrs) != len(o.attrs) {
		return false
	}
	for _, a := range n.attrs {
		if v := o.getNS(a.name.Space, a.name.Local); v != strings.TrimSpace(a.value) && localPart(v) != localPart(a.value) {
			return false
		}
	}
	a, b := n.withoutNotes(), o.withoutNotes()
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].equal(b[i]) {
			return false
		}
	}
	return true
}

func (n *node) withoutNotes() []*node {
	var out []*node
	for _, k := range n.kids {
		if k.name.Local != "annotation" && k.name.Local != "documentation" {
			out = append(out, k)
		}
	}
	return out
}

func localPart(s string) string {
	if _, l, ok := strings.Cut(strings.TrimSpace(s), ":"); ok && !strings.Contains(l, "/") {
		return l
	}
	return strings.TrimSpace(s)
}

// clip shortens text that a message quotes.
func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:77], "") + "..."
	}
	return s
}

// usualPrefixes are those that everybody knows, even where they are not
// declared.
var usualPrefixes = map[string]string{
	"xs": nsXSD, "xsd": nsXSD, "xsi": "http://www.w3.org/2001/XMLSchema-instance", "wsdl": nsWSDL,
	"soap": nsSOAP11, "soap12": nsSOAP12, "mime": nsMIME, "xmime": nsXMIME, "wsaw": nsWSAW, "wsam": nsWSAM,
}

// parseXML reads a document into a tree and tells warn what is odd about it.
// On failure it returns the position as well.
func parseXML(uri string, data []byte, warn func(Position, string)) (*node, Position, error) {
	pos := Position{URI: uri, Line: 1, Column: 1}
	text, unread, err := toUTF8(data)
	if err != nil {
		return nil, pos, err
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	// The text is UTF-8 by now, whatever its declaration says.
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }

	var root, cur *node
	var chars strings.Builder
	var texts [][]byte // of cur and the elements around it
	depth, decls := 0, 0
	var doctype *Position
	flush := func() {
		if s := chars.String(); cur != nil && strings.TrimSpace(s) != "" {
			texts[depth-1] = append(texts[depth-1], s...)
		}
		chars.Reset()
	}
	for {
		pos.Line, pos.Column = d.InputPos()
		left := len(text) - int(d.InputOffset())
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			pos.Line, pos.Column = d.InputPos()
			var se *xml.SyntaxError
			if errors.As(err, &se) {
				err = errors.New(se.Msg)
			}
			return nil, pos, fmt.Errorf("not well-formed XML: %w", err)
		}
		switch t := t.(type) {
		case xml.Directive:
			if bytes.HasPrefix(bytes.TrimSpace(t), []byte("DOCTYPE")) {
				doctype = &Position{URI: uri, Line: pos.Line, Column: pos.Column}
			}
		case xml.CharData:
			if cur != nil {
				chars.Write(t)
			} else if len(bytes.TrimSpace(t)) > 0 {
				return nil, pos, errors.New("not well-formed XML: text outside the document element")
			}
		case xml.StartElement:
			flush()
			if depth++; depth > maxXMLDepth {
				return nil, pos, fmt.Errorf("elements are nested deeper than %d", maxXMLDepth)
			}
			if cur == nil && root != nil {
				return nil, pos, errors.New("not well-formed XML: more than one document element")
			}
			n, err := newNode(t, cur, pos, warn)
			if err != nil {
				return nil, pos, err
			}
			if decls += len(n.decls); decls > maxXMLDecls {
				return nil, pos, fmt.Errorf("more than %d namespace declarations are in scope", maxXMLDecls)
			}
			n.left = left
			if unread != "" && !n.isASCII() {
				return nil, pos, fmt.Errorf("encoding %q is not supported outside documentation; save the document as UTF-8", unread)
			}
			// Schemas of the W3C begin with one. Nothing in it is read: an entity
			// it declares is one that is not known.
			if cur == nil && doctype != nil && n.name != (QName{nsXSD, "schema"}) {
				return nil, *doctype, errors.New("document type declarations are refused")
			}
			if cur == nil {
				root = n
			} else {
				cur.kids = append(cur.kids, n)
			}
			cur = n
			if len(texts) < depth {
				texts = append(texts, nil)
			}
			texts[depth-1] = texts[depth-1][:0]
		case xml.EndElement:
			flush()
			if cur == nil {
				return nil, pos, errors.New("not well-formed XML: unexpected end tag")
			}
			space, ok := cur.lookup(t.Name.Space)
			if !ok {
				space = usualPrefixes[t.Name.Space]
			}
			if isDraft(space) {
				space = nsXSD
			}
			if (QName{space, t.Name.Local}) != cur.name {
				return nil, pos, fmt.Errorf("not well-formed XML: end tag %q closes element %q of line %d",
					clip(t.Name.Local), clip(cur.name.Local), cur.pos.Line)
			}
			cur.text = string(texts[depth-1])
			depth--
			decls -= len(cur.decls)
			cur = cur.parent
		}
	}
	if cur != nil {
		return nil, pos, fmt.Errorf("not well-formed XML: element %q of line %d is not closed", clip(cur.name.Local), cur.pos.Line)
	}
	if root == nil && doctype != nil {
		return nil, *doctype, errors.New("document type declarations are refused")
	}
	if root == nil {
		return nil, pos, errors.New("the document is empty")
	}
	return root, root.pos, nil
}

// isASCII reports whether nothing of a tag was lost by toASCII.
func (n *node) isASCII() bool {
	s := n.name.Local
	for _, a := range n.attrs {
		s += a.name.Local + a.value
	}
	return !strings.ContainsRune(s, utf8.RuneError)
}

// newNode makes the node of a start tag and resolves its names.
func newNode(t xml.StartElement, parent *node, pos Position, warn func(Position, string)) (*node, error) {
	n := &node{parent: parent, pos: pos}
	if len(t.Attr) > maxXMLAttrs {
		return nil, fmt.Errorf("element %q has more than %d attributes", clip(t.Name.Local), maxXMLAttrs)
	}
	for _, a := range t.Attr {
		switch {
		case a.Name.Space == "xmlns":
			n.decls = append(n.decls, attr{QName{"", a.Name.Local}, a.Value})
		case a.Name.Space == "" && a.Name.Local == "xmlns":
			n.decls = append(n.decls, attr{QName{}, a.Value})
		}
	}
	resolve := func(prefix string) (string, error) {
		space, ok := n.lookup(prefix)
		if ok {
			return space, nil
		}
		if space = usualPrefixes[prefix]; space == "" {
			return "", fmt.Errorf("prefix %q is not declared", clip(prefix))
		}
		warn(pos, fmt.Sprintf("prefix %q is not declared; %s is taken", prefix, space))
		return space, nil
	}
	space, err := resolve(t.Name.Space)
	if err != nil {
		return nil, err
	}
	n.name = QName{space, t.Name.Local}
	if isDraft(space) {
		n.name.Space = nsXSD
	}
	for _, a := range t.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		q := QName{"", a.Name.Local}
		if a.Name.Space != "" {
			if q.Space, err = resolve(a.Name.Space); err != nil {
				return nil, err
			}
		}
		for _, b := range n.attrs {
			if b.name == q {
				return nil, fmt.Errorf("not well-formed XML: attribute %q appears twice", clip(a.Name.Local))
			}
		}
		n.attrs = append(n.attrs, attr{q, a.Value})
	}
	return n, nil
}
