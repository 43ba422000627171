package wsdl

import (
	"fmt"
	"strings"
)

// find resolves a reference made by name in n. What is not there by that name
// may be there by one that is obviously meant: that is a warning. Else the
// symbol is nil and the text tells why; q is the name as far as it is known.
func (l *loader) find(k kind, n *node, s *schema, ref string) (sym *symbol, q QName, why string) {
	q, why = refName(n, s, ref)
	if why == "" {
		if sym := l.named(k, q); sym != nil {
			return sym, q, ""
		}
		why = fmt.Sprintf("there is no %s %s", kindNames[k], q)
		if k <= kindAttributeGroup && !l.byNS[q.Space] && q.Space != nsXSD {
			why += "; no schema of that namespace was imported"
		}
	}
	if sym = l.guess(k, n, s, q, ref); sym != nil {
		l.warn.add(n.pos, nil, "%s; %s is taken", why, sym.key.name)
		return sym, sym.key.name, ""
	}
	return nil, q, why
}

// named returns the symbol of that name, from a built-in schema if need be.
func (l *loader) named(k kind, q QName) *symbol {
	if sym := l.syms[symKey{k, q}]; sym != nil {
		return sym
	}
	if l.builtin(q.Space) {
		return l.syms[symKey{k, q}]
	}
	return nil
}

// refName resolves the prefix of a reference made in n, or tells why not.
func refName(n *node, s *schema, ref string) (QName, string) {
	q, err := n.qname(ref)
	if err != nil {
		return QName{}, err.Error()
	}
	if s != nil && s.chameleon && q.Space == "" {
		q.Space = s.tns
	}
	return q, ""
}

// likeness is what symbols have in common that differ by namespace only.
type likeness struct {
	kind  kind
	local string
}

// guess finds what a reference means that leads nowhere: something of that name
// in the namespace it is written in, or the only one of that name anywhere.
// Elements and attributes have their namespace on the wire, so for them this
// is done only if nothing at all is known of the namespace.
func (l *loader) guess(k kind, n *node, s *schema, q QName, ref string) *symbol {
	local := localName(ref)
	if (k == kindElement || k == kindAttribute) && (q.Space == nsXSD || q.Local != "" && l.byNS[q.Space]) {
		return nil
	}
	if sym := l.syms[symKey{k, QName{targetNamespace(n, s), local}}]; sym != nil {
		return sym
	}
	if l.alike == nil {
		l.alike = map[likeness][]*symbol{}
	}
	for ; l.aliked < len(l.list); l.aliked++ {
		sym := l.list[l.aliked]
		if !strings.HasPrefix(sym.node.pos.URI, builtinURI) {
			like := likeness{sym.key.kind, sym.key.name.Local}
			l.alike[like] = append(l.alike[like], sym)
		}
	}
	if all := l.alike[likeness{k, local}]; len(all) == 1 {
		return l.syms[all[0].key]
	}
	return nil
}

// localName returns a reference without its prefix.
func localName(ref string) string {
	_, local, ok := strings.Cut(strings.TrimSpace(ref), ":")
	if !ok {
		return strings.TrimSpace(ref)
	}
	return local
}

// targetNamespace is that of the schema, or of the WSDL, that n is in.
func targetNamespace(n *node, s *schema) string {
	if s != nil {
		return s.tns
	}
	for n.parent != nil {
		n = n.parent
	}
	return n.get("targetNamespace")
}

// absent records a reference to what is not there. What stands for it takes
// anything.
func (l *loader) absent(n *node, why, instead string) {
	l.unresolved++
	l.warn.add(n.pos, nil, "%s; %s", why, instead)
}

const (
	anyXML  = "any XML is taken in its place"
	anyText = "any text is taken in its place"
)

// builtinNamed returns the type of XML Schema that a reference means whose
// namespace is not right, or nil.
func (l *loader) builtinNamed(q QName, ref string) *Type {
	if q.Space != nsXSD && q.Local != "" && l.byNS[q.Space] {
		return nil
	}
	return l.types[QName{nsXSD, localName(ref)}]
}

// typeRef resolves a reference to a type by name. It is nil if there is none.
func (l *loader) typeRef(n *node, s *schema, ref string) *Type {
	q, why := refName(n, s, ref)
	if why == "" && q.Space == nsXSD {
		if t := l.types[q]; t != nil {
			return t
		}
	}
	prefix, _, _ := strings.Cut(strings.ToLower(ref), ":")
	if b := l.builtinNamed(q, ref); b != nil && why != "" && strings.HasPrefix(prefix, "x") { // xs, xsd
		l.warn.add(n.pos, nil, "%s; the type of XML Schema is taken", why)
		return b
	}
	if why != "" && strings.Contains(prefix, "enc") { // soapenc, SOAP-ENC
		if sym := l.named(kindType, QName{nsSOAPEnc11, localName(ref)}); sym != nil {
			l.warn.add(n.pos, nil, "%s; %s is taken", why, sym.key.name)
			return l.typeOf(sym)
		}
	}
	sym, q, why := l.find(kindType, n, s, ref)
	if sym != nil {
		return l.typeOf(sym)
	}
	if b := l.builtinNamed(q, ref); b != nil {
		l.warn.add(n.pos, nil, "%s; the type of XML Schema is taken", why)
		return b
	}
	if sym := l.syms[symKey{kindElement, q}]; sym != nil {
		if e := l.elementOf(sym); e.Type != nil { // nil while it is being built
			l.warn.add(n.pos, nil, "%s; that of the element is taken", why)
			return e.Type
		}
	}
	l.absent(n, why, anyXML)
	return nil
}

// elementRef resolves a reference to a global element. One that is not there
// is made up. It is nil only if the reference is no name at all.
func (l *loader) elementRef(n *node, s *schema, ref string) *Element {
	if q, why := refName(n, s, ref); why == "" && q.Space == nsXSD && !l.byNS[nsXSD] {
		return l.standIn(n, q) // a schema inside a message, as data sets have it
	}
	sym, q, why := l.find(kindElement, n, s, ref)
	if sym != nil {
		return l.elementOf(sym)
	}
	if q.Local == "" {
		q = QName{targetNamespace(n, s), localName(ref)}
		if q.Local == "" || strings.ContainsAny(q.Local, badInName) {
			l.absent(n, why, "it is left out")
			return nil
		}
	}
	e := l.standIn(n, q)
	if sym := l.syms[symKey{kindType, q}]; sym != nil {
		l.warn.add(n.pos, nil, "%s; one of the type of that name is taken", why)
		e.Type = l.typeOf(sym)
		return e
	}
	l.absent(n, why, anyXML)
	return e
}

// standIn makes an element of any content.
func (l *loader) standIn(n *node, q QName) *Element {
	e := l.stand[q]
	if e == nil {
		e = &Element{Name: q, Pos: n.pos, Global: true, Type: l.types[QName{nsXSD, xsdAnyType}]}
		l.stand[q] = e
	}
	return e
}

// open makes t take any content and attributes: something it is made of is not
// there.
func (l *loader) open(t *Type) {
	a := l.types[QName{nsXSD, xsdAnyType}]
	t.Base, t.Derivation = a, Restriction
	t.Mixed, t.Content, t.AnyAttribute, t.Simple, t.Attributes = true, a.Content, a.AnyAttribute, nil, nil
}

// anyParticle is content of which nothing is known.
func anyParticle(pos Position) *Particle {
	return &Particle{Kind: AnyParticle, Min: 0, Max: Unbounded, Pos: pos, Wildcard: &Wildcard{Any: true, Process: "lax"}}
}

// badInName are characters no name has.
const badInName = ": \t\r\n<>&{}\""

// attributeRef resolves a reference to a global attribute. One that is not
// there is made up. It is nil only if the reference is no name at all.
func (l *loader) attributeRef(n *node, s *schema, ref string) *Attribute {
	sym, q, why := l.find(kindAttribute, n, s, ref)
	if sym != nil {
		return l.attributeOf(sym)
	}
	if q.Local == "" {
		l.absent(n, why, "it is left out")
		return nil
	}
	l.absent(n, why, anyText)
	return &Attribute{Name: q, Pos: n.pos, Type: l.types[QName{nsXSD, "anySimpleType"}]}
}
