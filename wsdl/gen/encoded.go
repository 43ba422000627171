package gen

import (
	"cmp"
	"slices"
	"strings"

	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/wsdl"
)

// How types appear in encoded messages (SOAP 1.1 5, SOAP 1.2 Part 2 3). A type
// that literal messages use as well keeps the shape that those need, with what
// encoded ones must say of it.

// arrayT is an array of SOAP encoding: a slice, with functions that read and
// write it.
type arrayT struct {
	pkg      *pkgT
	name     string // of the functions: readX, putX
	read     string // those, as seen from anywhere
	put      string
	typ      *wsdl.Type
	goType   string
	item     *value
	nilItem  bool // items are pointers
	itemType wsdl.QName
	inner    string // brackets of itemType
}

// isEncodedSpace reports whether space is that of SOAP encoding.
func isEncodedSpace(space string) bool { return space == wire.SOAPEnc11 || space == wire.SOAPEnc12 }

// isEncodedSimple reports whether t is a type of SOAP encoding that is one of
// XML Schema with an id (SOAP 1.1 5.2): soapenc:string.
func isEncodedSimple(t *wsdl.Type) bool {
	return isEncodedSpace(t.Name.Space) && t.Complex && t.Simple != nil
}

// isSlice reports whether t appears as a slice by itself.
func (g *generator) isSlice(t *wsdl.Type) bool {
	return t.Array != nil && g.encoded[t] && !g.literal[t]
}

// encodedValue is valueOf in encoded messages.
func (g *generator) encodedValue(t *wsdl.Type) *value {
	switch {
	case t.Array != nil:
		if a := g.arrayOf(t, 0); a != nil {
			return &value{kind: arrayValue, goType: a.goType, array: a, slice: true}
		}
		return &value{kind: anyValue, goType: "wire.Any"}
	case isEncodedSimple(t):
		v := g.simpleValue(t, t.Simple)
		v.encoded, v.typ = true, t.Name
		return v
	}
	v := g.valueOf(t, false)
	v.encoded = true
	switch v.kind {
	case structValue, ifaceValue, anyValue: // they tell their types themselves
	default:
		v.typ = typeName(t)
	}
	return v
}

// typeName returns the name that tells a receiver what t is, zero if it has
// none.
func typeName(t *wsdl.Type) wsdl.QName {
	if t.Name.IsZero() && !t.Complex {
		if b := t.BuiltinBase(); b != nil && b.Simple != nil {
			return b.Name
		}
	}
	return t.Name
}

// encodedField settles what SOAP encoding has to say of a field.
func (g *generator) encodedField(s *structT, f *field, e *wsdl.Element) {
	if !s.encoded {
		return
	}
	v := f.val
	if v.kind == arrayValue {
		f.nilSlice = f.nillable && f.card == one
		f.nillable = false
	}
	if !s.encOnly {
		return
	}
	if !e.Global {
		f.elem.Space = "" // SOAP 1.1 5.1: accessors are local names
	}
	switch {
	case v.kind == anyValue: // which can say by itself that it is nil
		f.nillable = false
	case f.card == many:
	case v.kind == structValue, v.kind == ifaceValue, isEncodedSimple(e.Type) && !v.slice:
		f.nillable = true
	}
	if f.card == opt {
		f.nilAway, f.nillable = !v.slice && v.kind != anyValue, false
	}
	// SOAP 1.1 5.1: a value may be left out. A call that lacks a number is
	// more likely a mistake.
	part := s.typ == nil && s.kind == complexStruct
	f.lax = !part || f.nillable || v.kind == arrayValue || v.kind == anyValue
}

// arrayOf returns the array of a type, or nil if it cannot be a slice: an
// array of itself, or of three dimensions and more.
func (g *generator) arrayOf(t *wsdl.Type, depth int) *arrayT {
	if a, ok := g.arrays[t]; ok {
		return a
	}
	g.arrays[t] = nil
	if t.Array.Rank > 2 || depth > maxDepth {
		return nil
	}
	a := &arrayT{typ: t, nilItem: t.Array.Nillable}
	// An array of arrays is told by what those hold: xsd:int[][3].
	inner := t.Array.Item
	for inner.Array != nil && len(a.inner) < maxDepth {
		a.inner = "[" + strings.Repeat(",", inner.Array.Rank-1) + "]" + a.inner
		inner = inner.Array.Item
	}
	if inner.Array != nil { // of itself, that is
		inner, a.inner = t.Array.Item, ""
	}
	a.itemType = typeName(inner)
	if item := t.Array.Item; item.Array != nil {
		a.item = &value{kind: anyValue, goType: "wire.Any"}
		if in := g.arrayOf(item, depth+1); in != nil {
			a.item = &value{kind: arrayValue, goType: in.goType, array: in, slice: true}
		}
	} else {
		a.item = g.encodedValue(item)
		a.nilItem = a.nilItem || isEncodedSimple(item)
	}
	switch a.item.kind {
	case arrayValue, ifaceValue, anyValue:
		a.nilItem = false // nil already
	}
	a.nilItem = a.nilItem && !a.item.slice
	a.goType = strings.Repeat("[]", t.Array.Rank)
	if a.nilItem {
		a.goType += "*"
	}
	a.goType += a.item.goType
	base := exported(t.Name.Local)
	if t.Name.IsZero() {
		base = exported(a.itemType.Local) + strings.Repeat("Array", 1+len(a.inner)/2)
	}
	a.pkg = g.packageOf(g.spaceOf(t))
	read, put := "read", "put"
	if g.opt.PerNamespace { // others need them
		read, put = "Read", "Put"
	}
	for n := base; a.name == ""; n += "Items" {
		if used := a.pkg.scope.used; !used[read+n] && !used[put+n] {
			used[read+n], used[put+n] = true, true
			a.name, a.read, a.put = n, g.ref(a.pkg, read+n), g.ref(a.pkg, put+n)
		}
	}
	g.arrays[t] = a
	g.arrayList = append(g.arrayList, a)
	return a
}

// emitArrayCodecs writes the functions of all arrays.
func (g *generator) emitArrayCodecs() {
	arrays := slices.Clone(g.arrayList)
	slices.SortFunc(arrays, func(a, b *arrayT) int { return cmp.Compare(a.name, b.name) })
	for _, a := range arrays {
		if a.pkg == g.at {
			g.emitArrayCodec(a)
		}
	}
}

func (g *generator) emitArrayCodec(a *arrayT) {
	what := "an array of " + a.itemType.Local + a.inner
	if !a.typ.Name.IsZero() {
		what = "the array " + a.typ.Name.Local
	}
	read, write := "wire.ReadArray", "wire.WriteArray"
	if a.typ.Array.Rank > 1 {
		read, write = "wire.ReadRows", "wire.WriteRows"
	}
	v, t := a.item, strings.TrimLeft(a.goType[2*a.typ.Array.Rank:], "")
	g.p("// %s reads %s.", a.read, what)
	g.p("func %s(r *wire.Reader) %s {", a.read, a.goType)
	g.p("\treturn %s(r, func(r *wire.Reader) %s {", read, t)
	if a.nilItem || v.kind == ifaceValue {
		g.p("\t\tif r.Nil() {")
		g.p("\t\t\tr.Skip()")
		g.p("\t\t\treturn nil")
		g.p("\t\t}")
	}
	switch {
	case a.nilItem:
		g.newValue(v, "\t\t")
		g.p("\t\treturn v")
	case byMethod(v):
		g.p("\t\tvar v %s", t)
		g.p("\t\tv.UnmarshalWire(r)")
		g.p("\t\treturn v")
	default:
		g.p("\t\treturn %s", readExpr(v))
	}
	g.p("\t})")
	g.p("}\n")

	g.p("// %s writes %s.", a.put, what)
	g.p("func %s(w *wire.Writer, name xml.Name, list %s) {", a.put, a.goType)
	g.p("\t%s(w, name, %s, %q, list, func(w *wire.Writer, name xml.Name, v %s) {", write, g.name(a.itemType), a.inner, t)
	if a.nilItem || v.kind == ifaceValue || v.kind == arrayValue {
		g.p("\t\tif v == nil {")
		g.p("\t\t\tw.Nil(name)")
		g.p("\t\t\treturn")
		g.p("\t\t}")
	}
	g.writeElement(v, "name", "v", a.nilItem, "\t\t")
	g.p("\t})")
	g.p("}\n")
}

// returnValue returns which part of an encoded answer may have any name: the
// return value (SOAP 1.1 7.1), which is the one that parameterOrder does not
// name (WSDL 1.1 2.4.6), or else the first. Parts travel in the order of the
// message, by which gSOAP reads them whatever their names are.
func returnValue(op *wsdl.BoundOperation, m *wsdl.BoundMessage) int {
	if len(op.ParameterOrder) > 0 {
		return max(0, slices.IndexFunc(m.Body, func(p *wsdl.Part) bool { return !slices.Contains(op.ParameterOrder, p.Name) }))
	}
	return 0
}

// looseElement is a part with a type that travels as an element by itself.
type looseElement struct {
	name wsdl.QName
	typ  *wsdl.Type
}

// partElement returns the element that a header or a fault is: the one its part
// names, or for an encoded part with a type, one called like the part (WSDL 1.1
// 3.6, 3.7). It returns nil for a literal part with a type.
func (g *generator) partElement(p *wsdl.Part, use wsdl.Use, space string) *wsdl.Element {
	if p.Element != nil || use != wsdl.Encoded {
		return p.Element
	}
	key := looseElement{wsdl.QName{Space: space, Local: p.Name}, p.Type}
	if g.loose[key] == nil {
		g.loose[key] = &wsdl.Element{Name: key.name, Type: p.Type, Pos: p.Pos, Global: true}
	}
	return g.loose[key]
}
