package gen

import (
	"slices"
	"strings"

	"github.com/soapward/soapward/wsdl"
)

// Limits of what one description may make of itself.
const (
	maxParticles = 200_000 // groups that are used often multiply
	maxDepth     = 100
)

type generator struct {
	d   *wsdl.Definitions
	opt Options

	pkg       *scope
	typeNames map[wsdl.QName]string
	structs   map[any]*structT // by *wsdl.Type, or *wsdl.Element for a root of simple type
	order     []*structT
	enums     map[*wsdl.Type]*enumT
	enumList  []*enumT
	ifaces    map[*wsdl.Type]*iface
	ifaceList []*iface
	faults    map[*wsdl.Element]*structT
	ports     []*portT

	root    *pkgT
	bySpace map[string]*pkgT

	kept    map[string]*namesItem // of an earlier run
	members map[string]*scope     // by the key of what they are members of
	roots   map[*wsdl.Type]wsdl.QName

	reachList []*wsdl.Type
	literal   map[*wsdl.Type]bool // types that literal messages reach
	encoded   map[*wsdl.Type]bool // types that encoded messages reach
	arrays    map[*wsdl.Type]*arrayT
	arrayList []*arrayT
	loose     map[looseElement]*wsdl.Element
	queue     []*structT // to be filled
	particles int
	stream    bool                    // all base64 elements are streamed
	media     map[*wsdl.Type]bool     // those whose content is
	empty     map[*wsdl.Particle]bool // see emptyContent

	probs   []wsdl.Problem
	skipped []wsdl.Problem

	out
}

func (g *generator) problem(pos wsdl.Position, text string) {
	if len(g.probs) < 25 {
		g.probs = append(g.probs, wsdl.Problem{Pos: pos, Text: text})
	}
}

// plain reports whether t appears as a struct.
func plain(t *wsdl.Type) bool { return t.Complex && !t.Builtin }

// mark finds the types a message needs: content, attributes, and the types
// derived from those, which xsi:type may name.
func (g *generator) mark(t *wsdl.Type, use wsdl.Use) {
	reach := g.literal
	if use == wsdl.Encoded {
		reach = g.encoded
	}
	stack := []*wsdl.Type{t}
	for len(stack) > 0 {
		t := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if t == nil || t.Builtin || reach[t] {
			continue
		}
		if !g.reached(t) {
			g.reachList = append(g.reachList, t)
		}
		reach[t] = true
		switch {
		case !t.Complex || use == wsdl.Encoded && isEncodedSimple(t):
			continue
		case use == wsdl.Encoded && t.Array != nil:
			stack = append(stack, t.Array.Item)
			continue
		}
		stack = append(stack, t.Derived...)
		if !t.Mixed {
			g.elements(t.Content, 0, func(e *wsdl.Element) {
				stack = append(stack, e.Type)
				g.noteMedia(e)
				for _, m := range e.Members {
					stack = append(stack, m.Type)
				}
			})
		}
	}
}

// reached reports whether any message needs t.
func (g *generator) reached(t *wsdl.Type) bool { return g.literal[t] || g.encoded[t] }

// elements calls f for each element in a content model.
func (g *generator) elements(p *wsdl.Particle, depth int, f func(*wsdl.Element)) {
	if p == nil || depth > maxDepth {
		return
	}
	if g.particles++; g.particles > maxParticles {
		return
	}
	if p.Element != nil {
		f(p.Element)
	}
	for _, c := range p.Children {
		g.elements(c, depth+1, f)
	}
}

// nameTypes gives names to global types before all others, in document order,
// so that they change as little as possible when a description grows.
func (g *generator) nameTypes() {
	for _, t := range g.d.Types {
		if t.Complex && !t.Builtin && (g.literal[t] || g.encoded[t] && t.Array == nil && !isEncodedSimple(t)) {
			g.typeName(t.Name, "Type")
		}
	}
}

// typeName returns the Go name of a global type.
func (g *generator) typeName(q wsdl.QName, suffix string) string {
	if n, ok := g.typeNames[q]; ok {
		return n
	}
	base := exported(q.Local)
	n := g.packageOf(q.Space).scope.pick("type "+clark(q), base, base+suffix, base+spaceSuffix(q.Space))
	g.typeNames[q] = n
	return n
}

// outerName makes the name of an anonymous type of what it is written in.
func (g *generator) outerName(t *wsdl.Type) string {
	if t.OwnerType() == nil {
		return exported(t.Owner)
	}
	o := t.OwnerType()
	outer := ""
	switch {
	case g.structs[o] != nil:
		outer = g.structs[o].name
	case !o.Name.IsZero():
		outer = exported(o.Name.Local)
	default:
		outer = exported(o.Owner)
	}
	own := exported(t.Owner)
	stem, reply := strings.CutSuffix(outer, "Response")
	switch {
	case strings.HasSuffix(outer, own) && !o.Name.IsZero():
		return outer
	case reply && stem != "" && strings.HasPrefix(own, stem) && !g.packageOf(g.spaceOf(t)).scope.used[own]: // GetListResult in GetListResponse
		return own
	}
	return outer + own
}

// structOf returns the struct of a complex type. It is filled later, so that
// types may refer to each other in cycles.
func (g *generator) structOf(t *wsdl.Type) *structT {
	if s := g.structs[t]; s != nil {
		return s
	}
	s := &structT{typ: t, pkg: g.packageOf(g.spaceOf(t)), encoded: g.encoded[t], encOnly: g.encoded[t] && !g.literal[t]}
	if t.Name.IsZero() {
		base := g.outerName(t)
		g.nameStruct(s, g.typeKey(t), base, base+"Element")
		s.doc = []string{s.name + " is the content of the element " + t.Owner + ".", t.Doc}
	} else {
		s.name = g.typeName(t.Name, "Type")
		s.key = g.typeKey(t)
		s.names = g.memberScope(s.key, structNames...)
		s.doc = []string{s.name + " is the type " + t.Name.Local + ofSpace(t.Name) + ".", t.Doc}
	}
	g.structs[t] = s
	g.order = append(g.order, s)
	g.queue = append(g.queue, s)
	return s
}

func ofSpace(q wsdl.QName) string {
	if q.Space == "" {
		return ""
	}
	return " of " + q.Space
}

// fillAll fills structs until none is left.
func (g *generator) fillAll() {
	for len(g.queue) > 0 {
		s := g.queue[0]
		g.queue = g.queue[1:]
		g.fill(s)
	}
}

func (g *generator) fill(s *structT) {
	t := s.typ
	if s.built || t == nil {
		return
	}
	s.built = true
	if !g.opt.PerNamespace && !s.names.keeps("Check") {
		delete(s.names.used, "Check")
	}
	for _, method := range structNames[4:] {
		if s.fault != nil {
			s.names.fixed(method)
		} else if !s.names.keeps(method) {
			delete(s.names.used, method)
		}
	}
	for _, a := range t.Attributes {
		g.attribute(s, a)
	}
	if s.anyAttr = t.AnyAttribute != nil; s.anyAttr {
		s.names.fixed("Attrs")
	}
	switch {
	case t.Simple != nil:
		s.simple = g.contentValue(t)
		s.names.fixed("Value")
	case t.Mixed:
		s.mixed = true
		s.names.fixed("Content")
	default:
		g.particle(s, t.Content, false, 0)
	}
	// Attributes are named after elements, which are met more often.
	for _, f := range s.attrs {
		if f.kind != constField {
			n := exported(f.elem.Local)
			f.name = s.names.pick(s.names.unique("@"+clark(f.elem)), n, n+"Attr")
		}
	}
}

func (g *generator) attribute(s *structT, a *wsdl.Attribute) {
	f := &field{kind: elemField, elem: a.Name, doc: a.Doc, card: opt, def: a.Default}
	if a.Required {
		f.card = one
	}
	if a.Required && a.Fixed != nil {
		f.kind, f.fixed = constField, *a.Fixed
		s.attrs = append(s.attrs, f)
		return
	}
	if a.Fixed != nil {
		f.def = a.Fixed
	}
	f.val = g.simpleValue(a.Type, simpleOf(a.Type))
	s.attrs = append(s.attrs, f)
}

// simpleOf is the simple type of an attribute, text when it is not known.
func simpleOf(t *wsdl.Type) *wsdl.Simple {
	if t.Simple != nil {
		return t.Simple
	}
	return &wsdl.Simple{Atom: &wsdl.Type{Name: wsdl.QName{Space: xsdSpace, Local: "string"}, Builtin: true}}
}

// valueOf says how the content of an element appears in Go. encoded says that
// it does so in encoded messages.
func (g *generator) valueOf(t *wsdl.Type, encoded bool) *value {
	if encoded {
		return g.encodedValue(t)
	}
	switch {
	case t.Builtin && (t.Simple == nil || t.Name.Local == "anySimpleType" || t.Name.Local == "anyAtomicType"):
		return &value{kind: anyValue, goType: "wire.Any"}
	case !t.Complex:
		return g.simpleValue(t, t.Simple)
	case g.polymorphic(t):
		i := g.ifaceOf(t)
		return &value{kind: ifaceValue, goType: g.ref(i.base.pkg, i.name), iface: i}
	}
	s := g.structOf(t)
	return &value{kind: structValue, goType: g.ref(s.pkg, s.name), st: s}
}

// polymorphic reports whether an element of type t may hold other types.
func (g *generator) polymorphic(t *wsdl.Type) bool {
	return plain(t) && !t.Name.IsZero() && (t.Abstract || len(t.Derived) > 0)
}

// ifaceOf returns the interface for t and the types derived from it.
func (g *generator) ifaceOf(t *wsdl.Type) *iface {
	if i := g.ifaces[t]; i != nil {
		return i
	}
	base := g.structOf(t)
	i := &iface{base: base}
	i.name = base.pkg.scope.pick("any "+base.key, "Any"+base.name)
	i.marker = "is" + base.name
	i.read, i.put, i.check = "read"+i.name, "put"+i.name, "check"+i.name
	if g.opt.PerNamespace { // others need them
		i.read, i.put, i.check = g.ref(base.pkg, "Read"+i.name), g.ref(base.pkg, "Put"+i.name), g.ref(base.pkg, "Check"+i.name)
		for _, verb := range []string{"Read", "Put", "Check"} {
			base.pkg.scope.used[verb+i.name] = true
		}
	}
	g.ifaces[t] = i
	g.ifaceList = append(g.ifaceList, i)
	seen := map[*wsdl.Type]bool{}
	var add func(t *wsdl.Type)
	add = func(t *wsdl.Type) {
		if seen[t] {
			return
		}
		seen[t] = true
		if !t.Abstract {
			s := g.structOf(t)
			i.impls = append(i.impls, s)
			s.ifaces = append(s.ifaces, i)
		}
		for _, d := range t.Derived {
			add(d)
		}
	}
	add(t)
	return i
}

// rootStruct returns the struct of an element that is a message by itself, or
// nil for xs:anyType.
func (g *generator) rootStruct(e *wsdl.Element, encoded bool) *structT {
	if plain(e.Type) && !g.polymorphic(e.Type) && !g.isSlice(e.Type) {
		s := g.structOf(e.Type)
		if e.Type.Name.IsZero() && len(s.doc) == 2 && e.Doc != e.Type.Doc {
			s.doc = append(s.doc, e.Doc)
		}
		return s
	}
	if !e.Type.Builtin || e.Type.Simple != nil || plain(e.Type) {
		if s := g.structs[e]; s != nil {
			return s
		}
		base := exported(e.Name.Local)
		s := &structT{built: true, pkg: g.packageOfElement(e)}
		g.nameStruct(s, "element "+clark(e.Name), base, base+"Element")
		s.doc = []string{s.name + " is the element " + e.Name.Local + ofSpace(e.Name) + ".", e.Doc}
		s.names.fixed("Value")
		g.structs[e] = s
		s.simple = g.elementValue(e, encoded)
		g.order = append(g.order, s)
		return s
	}
	return nil
}

// breakCycles puts required structs behind pointers where a struct would
// otherwise contain itself.
func (g *generator) breakCycles() {
	state := map[*structT]int{}
	var visit func(s *structT)
	visit = func(s *structT) {
		state[s] = 1
		for _, f := range s.fields {
			var to *structT
			switch {
			case f.card != one || f.nillable || f.ptr:
			case f.kind == nestedField:
				to = f.nested
			case f.kind == elemField && f.val.kind == structValue:
				to = f.val.st
			}
			switch {
			case to == nil:
			case state[to] == 1:
				f.ptr = true
			case state[to] == 0:
				visit(to)
			}
		}
		state[s] = 2
	}
	for _, s := range g.order {
		if state[s] == 0 {
			visit(s)
		}
	}
}

// accepts returns the element names a struct's content may begin with or hold,
// and its wildcards.
func (s *structT) accepts() (names []wsdl.QName, wild []*wsdl.Wildcard) {
	for _, f := range s.fields {
		n, w := f.accepts()
		names = append(names, n...)
		wild = append(wild, w...)
	}
	return names, wild
}

func (f *field) accepts() (names []wsdl.QName, wild []*wsdl.Wildcard) {
	switch f.kind {
	case nestedField:
		return f.nested.accepts()
	case anyField:
		return nil, []*wsdl.Wildcard{f.wild}
	case bodyField, attachedField:
		return nil, nil
	}
	return []wsdl.QName{f.elem}, nil
}

// ordered reports whether names alone do not tell which field an element
// belongs to.
func (s *structT) ordered() bool {
	seen := map[wsdl.QName]bool{}
	wilds := 0
	for _, f := range s.fields {
		names, wild := f.accepts()
		if len(wild) > 0 {
			wilds++
		}
		own := map[wsdl.QName]bool{}
		for _, n := range names {
			if seen[n] && !own[n] {
				return true
			}
			seen[n], own[n] = true, true
		}
	}
	return wilds > 1
}

// sortedStructs orders output by name, so that small edits of a description
// make small edits of the code.
func (g *generator) sortedStructs() []*structT {
	all := slices.Clone(g.order)
	slices.SortFunc(all, func(a, b *structT) int { return strings.Compare(a.name, b.name) })
	return all
}
