package wsdl

import "strings"

// content builds the content model written in n, or nil. Several particles, or
// elements without a group, are a sequence; drafts allow that.
func (l *loader) content(t *Type, n *node) *Particle {
	var all []*node
	bare := false
	for _, k := range n.kids {
		if k.name.Space != nsXSD {
			continue
		}
		switch k.name.Local {
		case "sequence", "choice", "all", "group":
			all = append(all, k)
		case "element", "any":
			all = append(all, k)
			bare = true
		}
	}
	switch {
	case len(all) == 0:
		return nil
	case len(all) == 1 && !bare:
		return l.particle(t, t.in, all[0])
	}
	l.warn.add(all[0].pos, nil, "xs:%s has particles outside a group; they are taken for an xs:sequence", n.name.Local)
	p := &Particle{Kind: Sequence, Min: 1, Max: 1, Pos: all[0].pos}
	for _, k := range all {
		if c := l.particle(t, t.in, k); c != nil {
			p.Children = append(p.Children, c)
		}
	}
	return p
}

// particle builds one particle, nil for one that may not occur at all or that
// has a problem.
func (l *loader) particle(t *Type, s *schema, n *node) *Particle {
	if l.nested++; l.nested > maxNesting {
		l.nested--
		l.probs.add(n.pos, ErrTooLarge, "groups are nested deeper than %d", maxNesting)
		return nil
	}
	defer func() { l.nested-- }()
	lo, hi := l.occurs(n)
	if hi == 0 {
		return nil
	}
	p := &Particle{Min: lo, Max: hi, Pos: n.pos}
	switch n.name.Local {
	case "sequence":
		p.Kind = Sequence
	case "choice":
		p.Kind = Choice
	case "all":
		p.Kind = All
	case "element":
		p.Kind = ElementParticle
		if p.Element = l.localElement(t, s, n); p.Element == nil {
			return nil
		}
		return p
	case "any":
		p.Kind = AnyParticle
		p.Wildcard = wildcard(n, s)
		return p
	case "group":
		return l.groupRef(t, s, n, p)
	}
	for _, k := range n.kids {
		if k.name.Space != nsXSD || k.name.Local == "annotation" {
			continue
		}
		switch k.name.Local {
		case "sequence", "choice", "all", "element", "any", "group":
			if c := l.particle(t, s, k); c != nil {
				p.Children = append(p.Children, c)
			}
		default:
			l.warn.add(k.pos, nil, "xs:%s is not allowed in xs:%s and ignored", clip(k.name.Local), n.name.Local)
		}
	}
	return p
}

// groupRef replaces a reference to a group by the group's content.
func (l *loader) groupRef(t *Type, s *schema, n *node, p *Particle) *Particle {
	ref, ok := n.attr("ref")
	if !ok {
		l.absent(n, "xs:group without ref", anyXML)
		return anyParticle(n.pos)
	}
	sym, _, why := l.find(kindGroup, n, s, ref)
	for sym != nil && sym.busy && sym.prior != nil {
		sym = sym.prior // a redefined group refers to what it was before
	}
	if sym == nil {
		l.absent(n, why, anyXML)
		return anyParticle(n.pos)
	}
	if sym.busy {
		l.probs.add(n.pos, nil, "group %s contains itself", sym.key.name)
		return nil
	}
	if sym.part == nil {
		sym.busy = true
		for _, k := range sym.node.kids {
			if k.name.Space == nsXSD && (k.name.Local == "sequence" || k.name.Local == "choice" || k.name.Local == "all") {
				sym.part = l.particle(nil, sym.in, k)
				break
			}
		}
		sym.busy = false
		if sym.part == nil {
			sym.part = &Particle{Kind: Sequence, Min: 1, Max: 1, Pos: sym.node.pos}
		}
	}
	if p.Min == 1 && p.Max == 1 {
		return sym.part
	}
	if sym.part.Min == 1 && sym.part.Max == 1 {
		g := *sym.part
		g.Min, g.Max = p.Min, p.Max
		return &g
	}
	p.Kind = Sequence
	p.Children = []*Particle{sym.part}
	return p
}

func wildcard(n *node, s *schema) *Wildcard {
	w := &Wildcard{Process: n.get("processContents")}
	if w.Process == "" {
		w.Process = "strict"
	}
	switch v := n.get("namespace"); v {
	case "", "##any":
		w.Any = true
	case "##other":
		w.Not = true
		w.Namespaces = []string{s.tns}
	default:
		for _, ns := range strings.Fields(v) {
			switch ns {
			case "##targetNamespace":
				ns = s.tns
			case "##local":
				ns = ""
			}
			w.Namespaces = append(w.Namespaces, ns)
		}
	}
	return w
}

// elementOf builds the global element of a symbol.
func (l *loader) elementOf(sym *symbol) *Element {
	if sym.elem == nil {
		sym.elem = &Element{Global: true}
		if l.nested++; l.nested <= 2*maxNesting {
			l.element(sym.elem, nil, sym.in, sym.node, sym.key.name)
		} else {
			l.probs.add(sym.node.pos, ErrTooLarge, "substitution groups are nested too deep")
		}
		l.nested--
	}
	return sym.elem
}

func (l *loader) localElement(t *Type, s *schema, n *node) *Element {
	if ref, ok := n.attr("ref"); ok {
		return l.elementRef(n, s, ref)
	}
	name := n.get("name")
	if name == "" || strings.ContainsAny(name, badInName) {
		l.warn.add(n.pos, nil, "element %q without a proper name is ignored", clip(name))
		return nil
	}
	q := QName{"", name}
	if form := n.get("form"); form == "qualified" || form == "" && s.elemQual {
		q.Space = s.tns
	}
	e := &Element{}
	l.element(e, t, s, n, q)
	return e
}

// element fills an element declaration.
func (l *loader) element(e *Element, outer *Type, s *schema, n *node, name QName) {
	e.Name, e.Doc, e.Pos = name, doc(n), n.pos
	e.Nillable = isTrue(n.get("nillable")) || isTrue(n.get("nullable")) // the second is of a draft
	e.Abstract = isTrue(n.get("abstract"))
	e.Default, e.Fixed = optional(n, "default"), optional(n, "fixed")
	if ref, ok := n.attr("substitutionGroup"); ok && e.Global {
		if sym, _, why := l.find(kindElement, n, s, ref); sym != nil {
			e.Head = l.elementOf(sym)
		} else {
			l.absent(n, why, "the element stands for itself only")
		}
	}
	e.Type = l.typeIn(n, s, outer, name.Local)
	if e.Type == nil && e.Head != nil && e.Head.Type != nil {
		e.Type = e.Head.Type
	}
	if e.Type == nil {
		e.Type = l.types[QName{nsXSD, xsdAnyType}]
	}
	if e.ContentTypes = contentTypes(n); e.ContentTypes == "" {
		e.ContentTypes = contentTypes(e.Type.node)
	}
}

// contentTypes reads xmime:expectedContentTypes (Describing Media Content of
// Binary Data in XML 2.2), which elements and types may carry.
func contentTypes(n *node) string {
	if n == nil {
		return ""
	}
	return orString(n.getNS(nsXMIME, "expectedContentTypes"), n.getNS(nsXMIME2004, "expectedContentTypes"))
}

// typeIn returns the type that n names or contains, or nil.
func (l *loader) typeIn(n *node, s *schema, outer *Type, owner string) *Type {
	if ref, ok := n.attr("type"); ok {
		return l.typeRef(n, s, ref)
	}
	for _, k := range n.kids {
		if k.name.Space == nsXSD && (k.name.Local == "complexType" || k.name.Local == "simpleType") {
			return l.anonymous(k, s, owner, outer)
		}
	}
	return nil
}

func optional(n *node, name string) *string {
	v, ok := n.attr(name)
	if !ok {
		return nil
	}
	return &v
}

// attributes adds the attributes written in n to t.
func (l *loader) attributes(t *Type, n *node) {
	l.attributesIn(t, t.in, n, map[*node]bool{})
}

// attributesIn is attributes for a schema. groups are the attribute groups
// that were added.
func (l *loader) attributesIn(t *Type, s *schema, n *node, groups map[*node]bool) {
	for _, k := range n.kids {
		if k.name.Space != nsXSD {
			continue
		}
		switch k.name.Local {
		case "attribute":
			l.attribute(t, s, k)
		case "anyAttribute":
			t.AnyAttribute = wildcard(k, s)
		case "attributeGroup":
			ref, ok := k.attr("ref")
			if !ok {
				l.warn.add(k.pos, nil, "xs:attributeGroup without ref is ignored")
				continue
			}
			sym, _, why := l.find(kindAttributeGroup, k, s, ref)
			if sym == nil {
				l.absent(k, why, "any attribute is taken in its place")
				t.AnyAttribute = &Wildcard{Any: true, Process: "lax"}
				continue
			}
			for sym != nil && sym.prior != nil && sym.node == n {
				sym = sym.prior // a redefined group refers to what it was before
			}
			if groups[sym.node] {
				continue // contains itself, or appears twice: once is enough
			}
			groups[sym.node] = true
			l.attributesIn(t, sym.in, sym.node, groups)
		}
	}
}

func (l *loader) attribute(t *Type, s *schema, n *node) {
	a := &Attribute{Pos: n.pos, Doc: doc(n), Required: n.get("use") == "required",
		Default: optional(n, "default"), Fixed: optional(n, "fixed")}
	if ref, ok := n.attr("ref"); ok {
		g := l.attributeRef(n, s, ref)
		if g == nil {
			return
		}
		a.Name, a.Type = g.Name, g.Type
		if a.Default == nil && a.Fixed == nil {
			a.Default, a.Fixed = g.Default, g.Fixed
		}
		if a.Doc == "" {
			a.Doc = g.Doc
		}
	} else {
		name := n.get("name")
		if name == "" || strings.ContainsAny(name, badInName) {
			l.warn.add(n.pos, nil, "attribute %q without a proper name is ignored", clip(name))
			return
		}
		a.Name = QName{"", name}
		if form := n.get("form"); form == "qualified" || form == "" && s.attrQual {
			a.Name.Space = s.tns
		}
		a.Type = l.attributeType(n, s, t, name)
	}
	prohibited := n.get("use") == "prohibited"
	for i, old := range t.Attributes {
		if old.Name != a.Name {
			continue
		}
		// Own slice: the one at hand may be shared with the base.
		rest := append([]*Attribute(nil), t.Attributes[:i]...)
		if !prohibited {
			rest = append(rest, a)
		}
		t.Attributes = append(rest, t.Attributes[i+1:]...)
		return
	}
	if len(t.Attributes) >= maxAttributes {
		l.probs.add(n.pos, ErrTooLarge, "a type has more than %d attributes", maxAttributes)
		return
	}
	if !prohibited {
		t.Attributes = append(t.Attributes, a)
	}
}

func (l *loader) attributeOf(sym *symbol) *Attribute {
	if sym.attr == nil {
		n := sym.node
		sym.attr = &Attribute{Name: sym.key.name, Doc: doc(n), Pos: n.pos, Default: optional(n, "default"), Fixed: optional(n, "fixed")}
		sym.attr.Type = l.attributeType(n, sym.in, nil, sym.key.name.Local)
	}
	return sym.attr
}

func (l *loader) attributeType(n *node, s *schema, outer *Type, name string) *Type {
	t := l.typeIn(n, s, outer, name)
	if t == nil {
		return l.types[QName{nsXSD, "anySimpleType"}]
	}
	if t.Complex && !t.Builtin && l.fill(t) && t.Simple != nil && t.Simple.Atom != nil {
		return t.Simple.Atom // soapenc:int and the like
	}
	if t.Complex && (!t.Builtin || t.Name.Local != xsdAnyType) {
		l.warn.add(n.pos, nil, "attribute %q has type %s, which is not a simple type; %s", clip(name), t.Name, anyText)
		return l.types[QName{nsXSD, "string"}]
	}
	return t
}
