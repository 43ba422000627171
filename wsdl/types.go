package wsdl

import (
	"strconv"
	"strings"
)

// fillState tells how far a type is built.
type fillState int

const (
	empty fillState = iota
	filling
	filled
)

// maxNesting bounds recursion through anonymous types and groups.
const maxNesting = 150

const (
	maxMembers    = 1000    // of a union, those of its members included
	maxAttributes = 2000    // of one type
	maxComponents = 200_000 // of all schemas, and references to documents
)

// typeOf returns the type of a symbol. It may not be filled yet, so that types
// can refer to each other in cycles.
func (l *loader) typeOf(sym *symbol) *Type {
	if sym.typ == nil {
		sym.typ = l.newType(sym.node, sym.in, sym.key.name)
	}
	return sym.typ
}

func (l *loader) newType(n *node, s *schema, name QName) *Type {
	t := &Type{
		Name: name, Doc: doc(n), Pos: n.pos, Complex: n.name.Local == "complexType",
		Abstract: isTrue(n.get("abstract")), node: n, in: s,
	}
	l.queue = append(l.queue, t)
	return t
}

// anonymous makes the type written inside an element or attribute.
func (l *loader) anonymous(n *node, s *schema, owner string, outer *Type) *Type {
	t := l.newType(n, s, QName{})
	t.Owner, t.ownerType = owner, outer
	return t
}

// drain fills the types that were referred to.
func (l *loader) drain() {
	for len(l.queue) > 0 {
		t := l.queue[0]
		l.queue = l.queue[1:]
		l.fill(t)
	}
}

// fill builds a type, its bases first. It reports false for a type that is its
// own base.
func (l *loader) fill(t *Type) bool {
	switch t.state {
	case filled:
		return true
	case filling:
		return false
	}
	if l.nested++; l.nested > maxNesting {
		l.nested--
		l.probs.add(t.Pos, ErrTooLarge, "types are derived from each other more than %d deep", maxNesting)
		return false
	}
	t.state = filling
	if t.Complex {
		l.fillComplex(t)
		if isArrayBase(t.Name) {
			t.Array = &Array{Item: l.types[QName{nsXSD, xsdAnyType}], Rank: 1}
		}
	} else {
		l.fillSimple(t)
	}
	t.state = filled
	l.nested--
	if t.Base == nil {
		t.Base = l.types[QName{nsXSD, xsdAnyType}]
		if !t.Complex {
			t.Base = l.types[QName{nsXSD, "anySimpleType"}]
		}
		if t.Derivation == NotDerived {
			t.Derivation = Restriction
		}
	}
	if !t.Complex && t.Simple == nil {
		t.Simple = &Simple{Atom: l.types[QName{nsXSD, "string"}]} // after a problem
	}
	if !t.Name.IsZero() {
		t.Base.Derived = append(t.Base.Derived, t)
	}
	return true
}

// base resolves and fills the base of t.
func (l *loader) base(t *Type, n *node) *Type {
	ref, ok := n.attr("base")
	if !ok {
		for _, k := range n.kids {
			if (k.name == QName{nsXSD, "simpleType"}) {
				b := l.anonymous(k, t.in, t.Owner+t.Name.Local, t)
				l.fill(b)
				return b
			}
		}
		l.absent(n, "xs:"+n.name.Local+" without base", anyXML)
		return nil
	}
	b := l.typeRef(n, t.in, ref)
	if b == nil {
		return nil
	}
	// Inside xs:redefine the name of the type means what it was before.
	if b == t || !t.Name.IsZero() && b.Name == t.Name {
		sym := l.syms[symKey{kindType, t.Name}]
		for sym != nil && sym.node != t.node {
			sym = sym.prior
		}
		if sym == nil || sym.prior == nil {
			l.probs.add(n.pos, nil, "type %s is derived from itself", t.Name)
			return nil
		}
		b = l.typeOf(sym.prior)
	}
	if !l.fill(b) {
		l.probs.add(n.pos, nil, "type %s is derived from itself", b.Name)
		return nil
	}
	return b
}

func (l *loader) fillSimple(t *Type) {
	if _, ok := t.node.attr("base"); ok { // of a draft
		t.Derivation = Restriction
		if b := l.base(t, t.node); b != nil && b.Simple != nil {
			t.Base = b
			t.Simple = l.restrictSimple(b.Simple, t.node)
		}
		return
	}
	for _, n := range t.node.kids {
		if n.name.Space != nsXSD {
			continue
		}
		switch n.name.Local {
		case "restriction":
			t.Derivation = Restriction
			b := l.base(t, n)
			if b == nil {
				return
			}
			t.Base = b
			if b.Simple == nil {
				l.warn.add(n.pos, nil, "a simple type cannot restrict %s, which is not one; %s", b.Name, anyText)
				t.Base = nil
				return
			}
			t.Simple = l.restrictSimple(b.Simple, n)
			return
		case "list":
			t.Derivation = ByList
			item := l.member(t, n, "itemType")
			if item == nil {
				item = l.types[QName{nsXSD, "string"}]
			}
			t.Simple = &Simple{Variety: List, Item: item}
			return
		case "union":
			t.Derivation = ByUnion
			t.Simple = &Simple{Variety: Union}
			for _, ref := range strings.Fields(n.get("memberTypes")) {
				if m := l.typeRef(n, t.in, ref); m != nil {
					if !l.fill(m) {
						l.probs.add(n.pos, nil, "union type %s is a member of itself", t.Name)
						continue
					}
					t.Simple.Members = append(t.Simple.Members, m)
				}
			}
			for _, k := range n.kids {
				if (k.name == QName{nsXSD, "simpleType"}) {
					m := l.anonymous(k, t.in, t.Owner+t.Name.Local, t)
					l.fill(m)
					t.Simple.Members = append(t.Simple.Members, m)
				}
			}
			for _, m := range t.Simple.Members {
				t.Simple.size += m.Simple.members()
			}
			if t.Simple.size > maxMembers {
				l.probs.add(n.pos, ErrTooLarge, "union type has more than %d members, those of its members included", maxMembers)
				t.Simple.Members, t.Simple.size = nil, 0
			}
			return
		case "annotation":
		default:
			l.warn.add(n.pos, nil, "xs:%s is not allowed in xs:simpleType and ignored", clip(n.name.Local))
		}
	}
	l.warn.add(t.Pos, nil, "simple type without restriction, list or union; %s", anyText)
}

// member resolves the item type of a list, by attribute or written inside.
func (l *loader) member(t *Type, n *node, attr string) *Type {
	if ref, ok := n.attr(attr); ok {
		m := l.typeRef(n, t.in, ref)
		if m == nil {
			return nil
		}
		if !l.fill(m) {
			l.probs.add(n.pos, nil, "list type %s is an item of itself", t.Name)
			return nil
		}
		if m.Simple == nil {
			l.warn.add(n.pos, nil, "%s cannot be an item of a list: it is not a simple type; %s", m.Name, anyText)
			return nil
		}
		return m
	}
	if k := n.child(nsXSD, "simpleType"); k != nil {
		m := l.anonymous(k, t.in, t.Owner+t.Name.Local+"Item", t)
		l.fill(m)
		return m
	}
	l.warn.add(n.pos, nil, "xs:list without item type; %s", anyText)
	return nil
}

// restrictSimple applies the facets written in n to a base.
func (l *loader) restrictSimple(b *Simple, n *node) *Simple {
	s := *b
	s.Enum = nil
	var facets []Facet
	for _, k := range n.kids {
		if k.name.Space != nsXSD {
			continue
		}
		switch k.name.Local {
		case "enumeration":
			v, _ := k.attr("value")
			s.Enum = append(s.Enum, EnumValue{Value: v, Doc: doc(k)})
		case "pattern", "length", "minLength", "maxLength", "minInclusive", "maxInclusive",
			"minExclusive", "maxExclusive", "totalDigits", "fractionDigits", "whiteSpace":
			v, _ := k.attr("value")
			facets = append(facets, Facet{k.name.Local, v})
		}
	}
	if s.Enum == nil {
		s.Enum = b.Enum
	}
	s.Facets = append(facets, b.Facets...)
	return &s
}

func (l *loader) fillComplex(t *Type) {
	n := t.node
	t.Mixed = isTrue(n.get("mixed")) || n.get("content") == "mixed" // the second is of a draft
	if _, ok := n.attr("base"); ok {
		l.draftDerived(t, n)
		return
	}
	for _, k := range n.kids {
		if k.name.Space != nsXSD {
			continue
		}
		switch k.name.Local {
		case "simpleContent":
			l.simpleContent(t, k)
			return
		case "complexContent":
			if v, ok := k.attr("mixed"); ok {
				t.Mixed = isTrue(strings.TrimSpace(v))
			}
			l.complexContent(t, k)
			return
		}
	}
	t.Content = l.content(t, n)
	l.attributes(t, n)
}

// derivation returns the xs:extension or xs:restriction inside n.
func (l *loader) derivation(t *Type, n *node) *node {
	for _, k := range n.kids {
		if k.name.Space == nsXSD && (k.name.Local == "extension" || k.name.Local == "restriction") {
			t.Derivation = Extension
			if k.name.Local == "restriction" {
				t.Derivation = Restriction
			}
			return k
		}
	}
	l.absent(n, "xs:"+n.name.Local+" without extension or restriction", anyXML)
	l.open(t)
	return nil
}

func (l *loader) simpleContent(t *Type, n *node) {
	k := l.derivation(t, n)
	if k == nil {
		return
	}
	b := l.base(t, k)
	if b == nil {
		b = l.types[QName{nsXSD, "string"}]
	}
	t.Base = b
	t.Simple = b.Simple
	if inner := k.child(nsXSD, "simpleType"); inner != nil && t.Derivation == Restriction {
		in := l.anonymous(inner, t.in, t.Owner+t.Name.Local+"Value", t)
		l.fill(in)
		t.Simple = in.Simple
	}
	if t.Simple == nil {
		l.warn.add(k.pos, nil, "xs:simpleContent with base %s, which has elements; %s", b.Name, anyText)
		t.Simple = &Simple{Atom: l.types[QName{nsXSD, "string"}]}
	}
	if t.Derivation == Restriction {
		t.Simple = l.restrictSimple(t.Simple, k)
	}
	l.inherit(t, b, k)
}

func (l *loader) complexContent(t *Type, n *node) {
	k := l.derivation(t, n)
	if k == nil {
		return
	}
	b := l.base(t, k)
	if b == nil {
		l.open(t)
		return
	}
	t.Base = b
	own := l.content(t, k)
	l.derivedContent(t, b, own)
	l.inherit(t, b, k)
	if b.Array != nil {
		t.Array = l.arrayOf(t, own, k)
	}
}

// derivedContent joins the content of a base with what its derived type adds.
func (l *loader) derivedContent(t, b *Type, own *Particle) {
	switch {
	case t.Derivation == Restriction:
		t.Content = own
	case b.Name == QName{nsXSD, xsdAnyType}:
		// Anything may come first. Who adds elements to that will hardly mean
		// text beside them.
		t.AnyAttribute, t.Content = b.AnyAttribute, b.Content
		if own == nil {
			t.Mixed = true
		} else {
			t.Content = &Particle{Kind: Sequence, Min: 1, Max: 1, Pos: own.Pos, Children: []*Particle{b.Content, own}}
		}
	case b.Simple != nil && b.Content == nil && own == nil:
		t.Simple = b.Simple // written as complexContent by mistake
	case own == nil:
		t.Content = b.Content
		t.Mixed = t.Mixed || b.Mixed
	case b.Content == nil:
		t.Content = own
	default:
		t.Content = &Particle{Kind: Sequence, Min: 1, Max: 1, Pos: own.Pos, Children: []*Particle{b.Content, own}}
		t.Mixed = t.Mixed || b.Mixed
	}
}

// inherit gives t the attributes of its base and then those written in n.
func (l *loader) inherit(t, b *Type, n *node) {
	if !b.Builtin {
		t.Attributes = append(t.Attributes, b.Attributes...)
		if t.Derivation == Extension {
			t.AnyAttribute = b.AnyAttribute
		}
	}
	l.attributes(t, n)
}

// doc returns the documentation of a component, white space tidied.
func doc(n *node) string {
	a := n.child(nsXSD, "annotation")
	if a == nil {
		a = n
	}
	var parts []string
	for _, k := range a.kids {
		if k.name.Local == "documentation" {
			if s := strings.Join(strings.Fields(allText(k, 0)), " "); s != "" {
				parts = append(parts, s)
			}
		}
	}
	s := strings.Join(parts, " ")
	if len(s) > 2000 {
		s = strings.ToValidUTF8(s[:2000], "") + " ..."
	}
	return s
}

func allText(n *node, depth int) string {
	s := n.text
	if depth < 10 {
		for _, k := range n.kids {
			s += " " + allText(k, depth+1)
		}
	}
	return s
}

func isTrue(s string) bool { return s == "true" || s == "1" }

// occurs reads minOccurs and maxOccurs.
func (l *loader) occurs(n *node) (lo, hi int) {
	lo, hi = 1, 1
	if v, ok := n.attr("minOccurs"); ok {
		i, err := strconv.Atoi(strings.TrimSpace(v))
		if err != nil || i < 0 {
			l.warn.add(n.pos, nil, "minOccurs=%q is not a number; 1 is taken", clip(v))
		} else {
			lo = i
		}
	}
	if v, ok := n.attr("maxOccurs"); ok {
		v = strings.TrimSpace(v)
		i, err := strconv.Atoi(v)
		switch {
		case v == "unbounded" || v == "*": // the second is of a draft
			hi = Unbounded
		case err != nil || i < 0:
			l.warn.add(n.pos, nil, "maxOccurs=%q is neither a number nor unbounded; unbounded is taken", clip(v))
			hi = Unbounded
		default:
			hi = i
		}
	}
	if hi != Unbounded && hi < lo {
		if _, ok := n.attr("maxOccurs"); ok {
			l.warn.add(n.pos, nil, "minOccurs=%d is larger than maxOccurs=%d, which is ignored", lo, hi)
		}
		hi = lo
	}
	return lo, hi
}
