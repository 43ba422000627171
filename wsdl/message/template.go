package message

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"

	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/wsdl"
)

// Limits of a template. Optional elements beyond them are left out.
const (
	maxTemplateNodes = 250     // elements
	maxTemplateDepth = 12      // of optional elements
	minTemplateDepth = 2       // the same, where fewer levels would still be too long
	maxRequired      = 5000    // elements that must be there
	maxSteps         = 100_000 // particles looked at
	maxNesting       = 200     // of elements that must be there
	maxRepeats       = 100     // of an element that must be there several times
)

// node is an element of a template.
type node struct {
	name  xml.Name
	attrs []nodeAttr
	text  string
	qname bool   // text is a qualified name in Clark notation
	notes string // a comment beside the element
	kids  []*node
	after []string // comments for what is left out, after kids
}

type nodeAttr struct {
	name   xml.Name
	value  string
	qname  bool
	suffix string // after a qualified name
}

// template makes an example of the elements of a type.
type template struct {
	s     *schema
	left  int // nodes
	depth int
	limit int                // of depth, for optional elements
	open  map[*wsdl.Type]int // types of the elements around
	steps int                // particles
	ids   int

	encoded bool
	mixed   bool // the element around has mixed content
}

func (b *Body) node() (*node, bool) {
	for limit := maxTemplateDepth; ; limit-- {
		t := &template{s: b.s, left: maxTemplateNodes, limit: limit, open: map[*wsdl.Type]int{}, encoded: b.encoded}
		n, ok := t.element(b.elem, "", true)
		if t.left > 0 || limit == minTemplateDepth { // fewer levels, but each of them whole
			return n, ok
		}
	}
}

// Template returns an example of the body as XML: each element in order, with
// values that the schema allows, and comments on what may be left out, what may
// be repeated and what else may stand in a place. Types that contain themselves
// end where they may.
func (b *Body) Template() string {
	n, ok := b.node()
	if !ok {
		n.after = append(n.after, "this is not complete: the schema asks for an element within itself, or for too many")
	}
	p := &printer{bare: b.bare}
	return p.document(n)
}

// HeaderTemplates returns an example of each of Headers as XML, as Template
// does of the body, but without comments.
func (o *Operation) HeaderTemplates() []string {
	var all []string
	for _, e := range o.headers {
		n, _ := (&Body{s: o.schema, elem: e}).node()
		all = append(all, (&printer{plain: true}).document(n))
	}
	return all
}

// TemplateJSON returns the example of Template as JSON.
func (b *Body) TemplateJSON() ([]byte, error) {
	n, _ := b.node()
	p := &printer{plain: true}
	raw, err := wire.ParseRaw(strings.TrimSpace(p.document(n)))
	if err != nil {
		return nil, fmt.Errorf("message: template: %w", err)
	}
	r := raw.Reader(wire.Options{})
	r.Child()
	v := &value{kind: object}
	if b.bare {
		b.s.readBare(r, b.elem.Type, v)
	} else {
		v = b.s.readElement(r, b.elem.Type)
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("message: template: %w", err)
	}
	return v.json(), nil
}

// element makes an example of e. It reports false for one that would have no
// end.
func (t *template) element(e *wsdl.Element, notes string, root bool) (*node, bool) {
	n := &node{name: xml.Name(e.Name)}
	t.left--
	typ := e.Type
	var more []string
	if notes != "" {
		more = append(more, notes)
	}
	if typ != nil && !isAny(typ) {
		others := concrete(typ)
		if typ.Abstract {
			if len(others) == 0 {
				n.notes = "the schema has no type for this element"
				return n, true
			}
			typ = t.pick(others)
			n.attrs = append(n.attrs, typeAttr(typ))
		} else if t.encoded && !root && (!typ.Name.IsZero() || typ.Array != nil) {
			n.attrs = append(n.attrs, typeAttr(typ))
		}
		if names := t.typeNames(others, typ); names != "" && typ.Complex {
			more = append(more, "xsi:type may be "+names)
		}
	}
	if e.Nillable {
		more = append(more, `may be xsi:nil="true"`)
	}
	if t.depth >= maxNesting || typ != nil && t.open[typ] > 1 {
		return n, false
	}
	t.depth++
	if typ != nil {
		t.open[typ]++
	}
	outer := t.mixed
	t.mixed = typ != nil && typ.Mixed
	ok := true
	switch {
	case typ == nil || isAny(typ):
		more = append(more, "anything")
	case t.s.isArray(typ):
		t.array(n, typ)
	default:
		attrNotes := t.attributes(n, typ)
		if typ.Simple != nil {
			var note string
			n.text, note = t.example(typ, e)
			n.qname = isQName(typ)
			if note != "" {
				more = append(more, note)
			}
		} else {
			if typ.Mixed {
				more = append(more, "text may stand between the elements")
			}
			switch {
			case typ.Content == nil:
			case t.s.huge(typ.Content):
				more, ok = append(more, "the schema allows more elements than can be shown"), false
			default:
				n.kids, n.after, ok = t.particle(typ.Content, "", false)
			}
		}
		more = append(more, attrNotes...)
	}
	t.depth, t.mixed = t.depth-1, outer
	if typ != nil {
		t.open[typ]--
	}
	if e.Doc != "" && !root {
		more = append(more, firstSentence(e.Doc))
	}
	n.notes = strings.Join(more, "; ")
	return n, ok
}

func typeAttr(typ *wsdl.Type) nodeAttr {
	name := xml.Name(typ.Name)
	if typ.Array != nil { // as the codec writes it
		name = xml.Name{Space: soapEncoding11, Local: "Array"}
	}
	return nodeAttr{name: xml.Name{Space: wire.XSI, Local: "type"}, value: clark(name), qname: true}
}

// pick takes the first type that is not open yet.
func (t *template) pick(types []*wsdl.Type) *wsdl.Type {
	for _, c := range types {
		if t.open[c] == 0 {
			return c
		}
	}
	return types[0]
}

// shown is how many names a comment lists.
const shown = 8

func (t *template) typeNames(types []*wsdl.Type, but *wsdl.Type) string {
	var names []string
	for _, d := range types {
		if d != but {
			names = append(names, t.s.typeText(xml.Name(d.Name)))
		}
	}
	return list(names)
}

// list joins names, but not all of many.
func list(names []string) string {
	if len(names) > shown {
		return strings.Join(names[:shown], ", ") + fmt.Sprintf(" and %d more", len(names)-shown)
	}
	return strings.Join(names, ", ")
}

func firstSentence(doc string) string {
	s := strings.Join(strings.Fields(doc), " ")
	if i := strings.Index(s, ". "); i > 0 {
		s = s[:i]
	}
	s = strings.TrimSuffix(s, ".")
	if r := []rune(s); len(r) > 100 {
		s = string(r[:97]) + "..."
	}
	return s
}

func (t *template) attributes(n *node, typ *wsdl.Type) (notes []string) {
	for _, a := range typ.Attributes {
		if a.Type == nil || ofEncoding(typ, a) {
			continue
		}
		key := attrKey(typ, xml.Name(a.Name))
		var note []string
		if !a.Required {
			note = append(note, "optional")
		}
		if !a.Required && refersToID(a.Type) {
			notes = append(notes, key+": optional, an ID")
			continue
		}
		v, about := t.example(a.Type, &wsdl.Element{Default: a.Default, Fixed: a.Fixed})
		if about != "" {
			note = append(note, about)
		}
		n.attrs = append(n.attrs, nodeAttr{name: xml.Name(a.Name), value: v, qname: isQName(a.Type)})
		if len(note) > 0 {
			notes = append(notes, key+": "+strings.Join(note, ", "))
		}
	}
	return notes
}

func refersToID(t *wsdl.Type) bool {
	for _, x := range append([]*wsdl.Type{t}, itemsOf(t)...) {
		if b := x.BuiltinBase(); b != nil && (strings.HasPrefix(b.Name.Local, "IDREF") || strings.HasPrefix(b.Name.Local, "ENTIT")) {
			return true
		}
	}
	return false
}

func itemsOf(t *wsdl.Type) []*wsdl.Type {
	if t.Simple != nil && t.Simple.Item != nil {
		return []*wsdl.Type{t.Simple.Item}
	}
	return nil
}

// particle makes an example of p: each element as often as it must be there,
// but at least once. It reports false if p must be there and would have no end.
func (t *template) particle(p *wsdl.Particle, notes string, optional bool) (kids []*node, after []string, ok bool) {
	optional = optional || p.Min == 0
	if p.Max == 0 {
		return nil, nil, true
	}
	about := countNote(p)
	if notes != "" && about != "" {
		about = "; " + about
	}
	about = notes + about
	if optional && (t.left <= 0 || t.depth > t.limit) {
		return nil, []string{t.leftOut(p, "the template is long")}, true
	}
	if t.steps++; t.left < -maxRequired || t.steps > maxSteps {
		return nil, nil, false
	}
	for range min(max(p.Min, 1), maxRepeats) {
		k, a, fine := t.once(p, about, optional)
		if !fine {
			if !optional {
				return append(kids, k...), after, false
			}
			return nil, []string{t.leftOut(p, "it would contain itself")}, true
		}
		kids, after = append(kids, k...), append(after, a...)
		about = ""
	}
	return kids, after, true
}

func (t *template) once(p *wsdl.Particle, notes string, optional bool) (kids []*node, after []string, ok bool) {
	switch p.Kind {
	case wsdl.ElementParticle:
		fit := standIns(p.Element)
		if len(fit) == 0 {
			return nil, []string{"no element of the schema can stand for the abstract " + p.Element.Name.Local}, true
		}
		if len(fit) > 1 {
			var names []string
			for _, e := range fit[1:] {
				names = append(names, e.Name.Local)
			}
			notes = join(notes, "or one of "+list(names))
		}
		if p.Min == 0 && fit[0].Type != nil && t.open[fit[0].Type] > 0 {
			return nil, nil, false // once is enough
		}
		n, ok := t.element(fit[0], notes, false)
		return []*node{n}, nil, ok
	case wsdl.AnyParticle:
		if optional || t.mixed { // in mixed content it is seldom meant as the schema says
			return nil, []string{join(notes, "any element"+t.ofSpaces(p.Wildcard)+" goes here")}, true
		}
		n, ok := t.anyElement(p.Wildcard, join(notes, "any element"+t.ofSpaces(p.Wildcard)))
		return []*node{n}, nil, ok
	case wsdl.Choice:
		for i, c := range p.Children {
			k, a, ok := t.particle(c, join(notes, t.instead(p, i)), optional)
			if ok && (len(k) > 0 || len(p.Children) == i+1 || c.Min == 0) {
				return k, a, true
			}
		}
		return nil, nil, len(p.Children) == 0
	}
	for _, c := range p.Children {
		k, a, fine := t.particle(c, notes, false)
		if !fine {
			return nil, nil, false
		}
		if len(k) > 0 {
			notes = ""
		}
		if len(a) > 0 && len(kids)+len(k) > 0 && c != p.Children[len(p.Children)-1] {
			// A comment in the middle stands at the element before it.
			all := append(kids, k...)
			last := all[len(all)-1]
			last.notes = join(last.notes, "then: "+strings.Join(a, "; "))
			a = nil
		}
		kids, after = append(kids, k...), append(after, a...)
	}
	return kids, after, true
}

// anyElement makes an example for a wildcard: an element of the schema if it
// must be one.
func (t *template) anyElement(w *wsdl.Wildcard, notes string) (*node, bool) {
	n := &node{name: xml.Name{Space: "urn:example", Local: "anything"}, text: "text", notes: notes}
	if w == nil || w.Process != "" && w.Process != "strict" && w.Allows(n.name.Space) {
		return n, true
	}
	for _, e := range t.s.global {
		if !w.Allows(e.Name.Space) || e.Abstract || e.Type != nil && t.open[e.Type] > 0 {
			continue
		}
		if n, ok := t.element(e, notes, false); ok {
			return n, true
		}
	}
	if !w.Any && !w.Not && len(w.Namespaces) > 0 {
		n.name.Space = w.Namespaces[0]
	}
	n.notes = join(n.notes, "the description has none")
	return n, true
}

// instead says what else a choice allows.
func (t *template) instead(p *wsdl.Particle, but int) string {
	var names []string
	for i, c := range p.Children {
		if i == but {
			continue
		}
		if group := firstNames(c, nil); len(group) > 0 {
			names = append(names, strings.Join(group, " or "))
		} else if all := allNames(c, nil); len(all) > 0 {
			names = append(names, all[0])
		}
	}
	names = slices.Compact(names)
	if len(names) == 0 {
		return ""
	}
	return "choice: this or " + list(names)
}

func allNames(p *wsdl.Particle, names []string) []string {
	if p.Kind == wsdl.ElementParticle {
		return append(names, p.Element.Name.Local)
	}
	for _, c := range p.Children {
		names = allNames(c, names)
	}
	return names
}

func (t *template) ofSpaces(w *wsdl.Wildcard) string {
	if w == nil || w.Any {
		return ""
	}
	if w.Not {
		return " of another namespace"
	}
	return " of " + list(w.Namespaces)
}

// leftOut says what a template does not show.
func (t *template) leftOut(p *wsdl.Particle, why string) string {
	names := allNames(p, nil)
	return "optional, not shown because " + why + ": " + list(names)
}

func countNote(p *wsdl.Particle) string {
	switch {
	case p.Max == wsdl.Unbounded && p.Min == 0:
		return "optional, may be repeated"
	case p.Max == wsdl.Unbounded:
		return fmt.Sprintf("may be repeated, at least %d", p.Min)
	case p.Max > 1:
		return fmt.Sprintf("%d to %d times", p.Min, p.Max)
	case p.Min == 0:
		return "optional"
	}
	return ""
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}
