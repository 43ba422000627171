package gen

import (
	"slices"
	"strings"

	"github.com/soapward/soapward/wsdl"
)

// simplify rewrites a particle to one that allows the same and is easier to
// show: groups of one are dissolved, and an element that others may stand in
// for becomes a choice between them.
func simplify(p *wsdl.Particle) *wsdl.Particle {
	if p.Kind == wsdl.ElementParticle && (len(p.Element.Members) > 0 || p.Element.Abstract) {
		c := &wsdl.Particle{Kind: wsdl.Choice, Min: p.Min, Max: p.Max, Pos: p.Pos}
		alt := func(e *wsdl.Element) {
			if e.Abstract {
				return
			}
			same := *e
			same.Members = nil
			c.Children = append(c.Children, &wsdl.Particle{Kind: wsdl.ElementParticle, Min: 1, Max: 1, Element: &same, Pos: p.Pos})
		}
		alt(p.Element)
		for _, m := range p.Element.Members {
			alt(m)
		}
		if len(c.Children) == 0 { // whatever may come is not declared
			return &wsdl.Particle{Kind: wsdl.AnyParticle, Min: 0, Max: p.Max, Pos: p.Pos, Wildcard: &wsdl.Wildcard{Any: true, Process: "lax"}}
		}
		p = c
	}
	for len(p.Children) == 1 {
		c := *p.Children[0]
		switch {
		case !p.Repeats():
			if p.Min == 0 {
				c.Min = 0
			}
		case c.Min <= 1: // (c?){n,m} and (c+){n,m} are c*, c+ as far as anybody can see
			if c.Min == 1 {
				c.Min = p.Min
			}
			if c.Max == wsdl.Unbounded || p.Max == wsdl.Unbounded || c.Max > 1<<20 || p.Max > 1<<20 {
				c.Max = wsdl.Unbounded
			} else {
				c.Max *= p.Max
			}
		default:
			return p
		}
		p = &c
		if p.Kind == wsdl.ElementParticle || p.Kind == wsdl.AnyParticle {
			if p.Kind == wsdl.ElementParticle && (len(p.Element.Members) > 0 || p.Element.Abstract) {
				return simplify(p)
			}
			break
		}
	}
	return p
}

// particle adds a particle of a sequence to s. optional is set inside a group
// that may be absent.
func (g *generator) particle(s *structT, p *wsdl.Particle, optional bool, depth int) {
	if p == nil {
		return
	}
	if g.particles++; g.particles > maxParticles || depth > maxDepth {
		g.problem(p.Pos, "the content model is too large")
		return
	}
	p = simplify(p)
	switch p.Kind {
	case wsdl.ElementParticle:
		g.element(s, p, optional)
	case wsdl.AnyParticle:
		g.wildcard(s, p)
	case wsdl.Choice:
		if len(p.Children) > 0 {
			g.choice(s, p, optional, depth)
		}
	default:
		if !p.Repeats() {
			for _, c := range p.Children {
				g.particle(s, c, optional || p.Min == 0, depth+1)
			}
			return
		}
		if len(p.Children) > 0 {
			g.group(s, p, many, depth)
		}
	}
}

func cardOf(p *wsdl.Particle, optional bool) card {
	switch {
	case p.Repeats():
		return many
	case optional || p.Min == 0:
		return opt
	}
	return one
}

func (g *generator) element(s *structT, p *wsdl.Particle, optional bool) *field {
	e := p.Element
	f := &field{kind: elemField, elem: e.Name, doc: e.Doc, card: cardOf(p, optional), min: p.Min, max: p.Max,
		nillable: e.Nillable, def: e.Default}
	if optional {
		f.min = 0
	}
	if e.Fixed != nil && f.card == one && !e.Nillable && e.Type.Simple != nil && !e.Type.Complex && s.kind == complexStruct {
		f.kind, f.fixed = constField, *e.Fixed
		s.fields = append(s.fields, f)
		return f
	}
	f.val = g.elementValue(e, s.encoded)
	if e.Nillable {
		switch f.val.kind {
		case structValue:
			f.val.st.nilled = true
		case ifaceValue:
			for _, s := range f.val.iface.impls {
				s.nilled = true
			}
		}
	}
	g.encodedField(s, f, e)
	f.name = s.takeField(clark(e.Name), exported(e.Name.Local))
	s.fields = append(s.fields, f)
	return f
}

// takeField names a field. A name that a method has gets a suffix, one that
// another field has a number.
func (s *structT) takeField(key, name string) string {
	if s.names.used[name] && !slices.ContainsFunc(s.fields, func(f *field) bool { return f.name == name }) {
		name += "Field"
	}
	return s.names.pick(s.names.unique(key), name)
}

func (g *generator) wildcard(s *structT, p *wsdl.Particle) {
	f := &field{kind: anyField, wild: p.Wildcard, card: opt, min: p.Min, max: p.Max}
	if p.Repeats() {
		f.card = many
	}
	f.name = s.names.pick(s.names.unique("any"), "Any")
	s.fields = append(s.fields, f)
}

// nest adds a field that holds a struct for a part of a content model.
func (g *generator) nest(s *structT, kind structKind, c card, label string, p *wsdl.Particle) *structT {
	n := &structT{kind: kind, built: true, pkg: s.pkg, encoded: s.encoded, encOnly: s.encOnly, outer: s}
	what := strings.ToLower(label) + " of " + firstName(p, 0)
	g.nameStruct(n, s.key+"/"+what, s.name+label)
	n.names = g.memberScope(n.key)
	plural := label
	if c == many {
		plural += "s"
	}
	f := &field{kind: nestedField, nested: n, card: c, min: p.Min, max: p.Max, name: s.names.pick(s.names.unique(what), plural)}
	if c == many {
		f.doc = "in document order"
		if g.emptyContent(p) {
			f.min = 0 // an empty one is as good as none
		}
	}
	s.fields = append(s.fields, f)
	g.order = append(g.order, n)
	return n
}

// firstName returns the name of the first element in a content model.
func firstName(p *wsdl.Particle, depth int) string {
	if p.Element != nil {
		return clark(p.Element.Name)
	}
	for _, c := range p.Children {
		if depth < maxDepth {
			if n := firstName(c, depth+1); n != "" {
				return n
			}
		}
	}
	return ""
}

func (g *generator) choice(s *structT, p *wsdl.Particle, optional bool, depth int) {
	c := cardOf(p, optional)
	if c == one && g.emptyContent(p) {
		c = opt
	}
	n := g.nest(s, choiceStruct, c, "Choice", p)
	n.doc = []string{n.name + " is one of several alternatives: exactly one field is set."}
	g.alternatives(n, p, depth)
	n.optEmpty = c == many && g.emptyContent(p)
}

// alternatives adds the alternatives of a choice to its struct.
func (g *generator) alternatives(n *structT, p *wsdl.Particle, depth int) {
	for _, c := range p.Children {
		if g.particles++; g.particles > maxParticles || depth > maxDepth {
			g.problem(p.Pos, "the content model is too large")
			return
		}
		c = simplify(c)
		switch c.Kind {
		case wsdl.ElementParticle:
			g.element(n, c, true)
		case wsdl.AnyParticle:
			g.wildcard(n, c)
		case wsdl.Choice:
			if !c.Repeats() {
				g.alternatives(n, c, depth+1) // a choice in a choice is one choice
				continue
			}
			g.choice(n, c, true, depth+1)
		default:
			if len(c.Children) == 0 {
				continue
			}
			k := opt
			if c.Repeats() {
				k = many
			}
			g.group(n, c, k, depth+1)
		}
	}
}

// group adds a sequence that needs a struct of its own.
func (g *generator) group(s *structT, p *wsdl.Particle, c card, depth int) {
	n := g.nest(s, groupStruct, c, "Group", p)
	n.doc = []string{n.name + " is a group of elements that belong together."}
	for _, k := range p.Children {
		g.particle(n, k, false, depth+1)
	}
}

// emptiable reports whether a particle may match nothing. Answers are kept:
// groups are shared, and may contain each other many times over.
func (g *generator) emptiable(p *wsdl.Particle) bool {
	return p.Min == 0 || g.emptyContent(p)
}

// emptyContent is emptiable for one occurrence of p.
func (g *generator) emptyContent(p *wsdl.Particle) bool {
	if known, ok := g.empty[p]; ok {
		return known
	}
	may := false
	switch p.Kind {
	case wsdl.ElementParticle, wsdl.AnyParticle:
	case wsdl.Choice:
		may = len(p.Children) == 0 || slices.ContainsFunc(p.Children, g.emptiable)
	default:
		may = !slices.ContainsFunc(p.Children, func(c *wsdl.Particle) bool { return !g.emptiable(c) })
	}
	g.empty[p] = may
	return may
}
