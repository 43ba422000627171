package main

import (
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/soapward/soapward/wsdl"
)

const nsXSI = "http://www.w3.org/2001/XMLSchema-instance"

// loss is one way in which a message is not what it was.
type loss struct {
	Class   string // such as "lost element"
	Message string // its name
	Detail  string
}

// comparer compares messages by the types of one description.
type comparer struct {
	types    map[wsdl.QName]*wsdl.Type
	elements map[wsdl.QName]*wsdl.Element
	children map[*wsdl.Type]map[wsdl.QName]*wsdl.Element
	bodies   map[wsdl.QName]*wsdl.Type // wrappers of RPC style
	found    []loss
}

func newComparer(d *wsdl.Definitions) *comparer {
	c := &comparer{
		types: map[wsdl.QName]*wsdl.Type{}, elements: map[wsdl.QName]*wsdl.Element{},
		children: map[*wsdl.Type]map[wsdl.QName]*wsdl.Element{}, bodies: map[wsdl.QName]*wsdl.Type{},
	}
	for _, t := range d.Types {
		c.types[t.Name] = t
	}
	for _, e := range d.Elements {
		c.elements[e.Name] = e
	}
	for _, b := range d.Bindings {
		for _, op := range b.Operations {
			if op.Style == wsdl.RPCStyle {
				c.wrapper(op.In, op.Name)
				c.wrapper(op.Out, op.Name+"Response")
			}
		}
	}
	return c
}

// wrapper makes the type of the element that holds the parts (WSDL 1.1 3.5).
func (c *comparer) wrapper(m *wsdl.BoundMessage, name string) {
	if m == nil {
		return
	}
	t := &wsdl.Type{Complex: true, Content: &wsdl.Particle{Kind: wsdl.Sequence}}
	add := func(t *wsdl.Type, e *wsdl.Element) {
		t.Content.Children = append(t.Content.Children, &wsdl.Particle{Kind: wsdl.ElementParticle, Element: e})
	}
	for _, p := range m.Body {
		accessor := &wsdl.Element{Name: wsdl.QName{Local: p.Name}, Type: p.Type}
		if p.Element != nil { // as it stands, or inside an accessor
			accessor.Type = &wsdl.Type{Complex: true, Content: &wsdl.Particle{Kind: wsdl.Sequence}}
			add(accessor.Type, p.Element)
			add(t, p.Element)
		}
		add(t, accessor)
	}
	c.bodies[wsdl.QName{Space: m.Namespace, Local: name}] = t
}

// compare returns how message b differs from a, "" for Message. It is empty
// when they mean the same.
func (c *comparer) compare(a, b *node) []loss {
	c.found = nil
	q := wsdl.QName(a.name)
	t := c.bodies[q]
	if e := c.elements[q]; e != nil {
		t = e.Type
	}
	c.element(a, b, t, "")
	return c.found
}

func (c *comparer) lose(class, path, format string, args ...any) {
	if len(c.found) < 20 {
		c.found = append(c.found, loss{Class: class, Detail: path + ": " + fmt.Sprintf(format, args...)})
	}
}

// element compares two elements whose declared type is t, nil if there is none.
func (c *comparer) element(a, b *node, t *wsdl.Type, path string) {
	path += "/" + a.name.Local
	if a.name != b.name {
		class := "wrong element"
		if a.name.Local == b.name.Local {
			class = "wrong namespace"
		}
		c.lose(class, path, "{%s}%s became {%s}%s", a.name.Space, a.name.Local, b.name.Space, b.name.Local)
		return
	}
	if name, ok := a.attr(nsXSI, "type"); ok {
		if q, ok := a.qname(name); ok {
			t = c.named(wsdl.QName(q))
		}
	}
	c.attributes(a, b, t, path)
	ka, kb := a.elements(), b.elements()
	if len(ka) == 0 && len(kb) == 0 {
		if onlyElements(t) && strings.TrimSpace(a.text()+b.text()) == "" {
			return
		}
		c.value("changed value", path, simpleOf(t), a, b, a.text(), b.text())
		return
	}
	if !c.sameNames(ka, kb, path) {
		return
	}
	for i := range ka {
		c.element(ka[i], kb[i], c.child(t, ka[i]), path)
	}
	c.between(a, b, t, path)
}

// onlyElements reports whether white space means nothing in t.
func onlyElements(t *wsdl.Type) bool { return t != nil && t.Complex && !t.Mixed && t.Simple == nil }

// simpleOf returns the type of text, nil if it is not known.
func simpleOf(t *wsdl.Type) *wsdl.Simple {
	if t == nil {
		return nil
	}
	return t.Simple
}

// named returns a type by name, a built-in one as well.
func (c *comparer) named(q wsdl.QName) *wsdl.Type {
	if q.Space != nsXSD {
		return c.types[q]
	}
	if q.Local == "anyType" {
		return nil
	}
	t := &wsdl.Type{Name: q, Builtin: true}
	t.Simple = &wsdl.Simple{Atom: t}
	return t
}

// child returns the type of a child element of t.
func (c *comparer) child(t *wsdl.Type, n *node) *wsdl.Type {
	q := wsdl.QName(n.name)
	if t != nil {
		m := c.children[t]
		if m == nil {
			m = map[wsdl.QName]*wsdl.Element{}
			c.children[t] = m
			collect(t.Content, m, map[*wsdl.Particle]bool{})
		}
		if e := m[q]; e != nil {
			return e.Type
		}
	}
	if e := c.elements[q]; e != nil { // in place of a wildcard
		return e.Type
	}
	return nil
}

func collect(p *wsdl.Particle, m map[wsdl.QName]*wsdl.Element, seen map[*wsdl.Particle]bool) {
	if p == nil || seen[p] {
		return
	}
	seen[p] = true
	if e := p.Element; e != nil {
		for _, e := range append([]*wsdl.Element{e}, e.Members...) {
			if m[e.Name] == nil {
				m[e.Name] = e
			}
		}
	}
	for _, k := range p.Children {
		collect(k, m, seen)
	}
}

func (c *comparer) attributes(a, b *node, t *wsdl.Type, path string) {
	for _, x := range a.attrs {
		v, ok := b.attr(x.name.Space, x.name.Local)
		xsi := x.name.Space == nsXSI
		what := x.name.Local
		switch {
		case !ok && xsi && what == "nil" && saysNo(x.value): // like none at all: XML Schema 1 2.6.2
		case !ok && xsi:
			c.lose("lost xsi:"+what, path, "xsi:%s=%q", what, x.value)
		case !ok:
			c.lose("lost attribute", path, "%s=%q", what, x.value)
		case xsi && what == "type":
			p, _ := a.qname(x.value)
			q, _ := b.qname(v)
			if p != q {
				c.lose("changed xsi:type", path, "{%s}%s became {%s}%s", p.Space, p.Local, q.Space, q.Local)
			}
		case xsi && what == "nil":
			p, _ := primitive("boolean", strings.TrimSpace(x.value), a)
			if q, _ := primitive("boolean", strings.TrimSpace(v), b); p != q {
				c.lose("changed xsi:nil", path, "%s became %s", x.value, v)
			}
		default:
			// A line break in an attribute is read as a blank (XML 1.0 3.3.3).
			plain := strings.NewReplacer("\n", " ", "\t", " ", "\r", " ").Replace(x.value)
			if v != plain {
				c.value("changed attribute", path+"/@"+what, attributeType(t, x.name), a, b, x.value, v)
			}
		}
	}
	for _, x := range b.attrs {
		if _, ok := a.attr(x.name.Space, x.name.Local); !ok {
			c.lose("added attribute", path, "%s=%q", x.name.Local, x.value)
		}
	}
}

func saysNo(value string) bool {
	v := strings.TrimSpace(value)
	return v == "false" || v == "0"
}

func attributeType(t *wsdl.Type, name xml.Name) *wsdl.Simple {
	if t == nil {
		return nil
	}
	for _, a := range t.Attributes {
		if a.Name == wsdl.QName(name) {
			return simpleOf(a.Type)
		}
	}
	return nil
}

// value compares text by its type. Text of no known type must be the same.
func (c *comparer) value(class, path string, s *wsdl.Simple, a, b *node, x, y string) {
	if x == y && (s == nil || s.Atom == nil || s.Atom.Name.Local != "QName") {
		return
	}
	if s != nil {
		p, okP := canonical(s, x, a)
		q, okQ := canonical(s, y, b)
		if okP && okQ && p == q {
			return
		}
		if !okP && x == y {
			return // not of its type before either
		}
	} else if x == y {
		return
	}
	c.lose(class, path, "%q became %q", shorten(x, 80), shorten(y, 80))
}

// sameNames compares the children by name and says what became of them.
func (c *comparer) sameNames(a, b []*node, path string) bool {
	same := len(a) == len(b)
	count, locals := map[xml.Name]int{}, map[string]int{}
	for _, n := range b {
		count[n.name]++
		locals[n.name.Local]++
	}
	for i, n := range a {
		same = same && n.name == b[i].name
	}
	if same {
		return true
	}
	before := len(c.found)
	for _, n := range a {
		switch {
		case count[n.name] > 0:
			count[n.name]--
			locals[n.name.Local]--
		case locals[n.name.Local] > 0:
			c.lose("wrong namespace", path, "%s of %q", n.name.Local, n.name.Space)
			locals[n.name.Local]--
		default:
			c.lose("lost element", path, "%s", n.name.Local)
		}
	}
	if len(c.found) == before {
		for _, n := range b {
			if count[n.name] > 0 {
				c.lose("added element", path, "%s", n.name.Local)
				count[n.name]--
			}
		}
	}
	if len(c.found) == before {
		c.lose("changed order", path, "of the children")
	}
	return false
}

// between compares the text around the children. In content that is not mixed
// white space means nothing.
func (c *comparer) between(a, b *node, t *wsdl.Type, path string) {
	mixed := t == nil || t.Mixed
	runs := func(n *node) []string {
		all := []string{""}
		for _, it := range n.items {
			if it.elem != nil {
				all = append(all, "")
			} else {
				all[len(all)-1] += it.text
			}
		}
		return all
	}
	ra, rb := runs(a), runs(b)
	for i := range ra {
		x, y := ra[i], rb[i]
		if !mixed && strings.TrimSpace(x) == strings.TrimSpace(y) {
			continue
		}
		if x != y {
			c.lose("changed mixed text", path, "%q became %q", shorten(x, 80), shorten(y, 80))
			return
		}
	}
}
