package gen

import (
	"cmp"
	"slices"
	"strings"

	"github.com/soapward/soapward/wsdl"
)

// emitCodec writes MarshalWire and UnmarshalWire of all structs. It collects
// the names they use, so their declarations come last.
func (g *generator) emitCodec() {
	for _, s := range g.sortedStructs() {
		if s.wraps || s.pkg != g.at {
			continue
		}
		if s.kind == complexStruct {
			g.emitUnmarshal(s)
			g.emitMarshal(s)
			continue
		}
		g.emitNestedRead(s)
		g.emitNestedWrite(s)
	}
	ifaces := slices.Clone(g.ifaceList)
	slices.SortFunc(ifaces, func(a, b *iface) int { return cmp.Compare(a.name, b.name) })
	for _, i := range ifaces {
		if i.base.pkg == g.at {
			g.emitIfaceCodec(i)
		}
	}
	g.emitArrayCodecs()
	// Names the client and server need are collected here too, so that one
	// list serves the package.
	ports := g.ports
	if g.at != g.root {
		ports = nil
	}
	for _, p := range ports {
		for _, op := range p.ops {
			for _, m := range []*message{op.in, op.out} {
				if m != nil && !m.elem.IsZero() {
					g.name(m.elem)
				}
			}
			for _, h := range op.headers {
				g.name(h.elem)
			}
			for _, f := range op.faults {
				if f.pkg == g.at {
					g.name(f.fault.Name)
				}
			}
			for _, ns := range op.namespaces() {
				g.space(ns)
			}
		}
	}
	body := g.body.String()
	refs := g.refs
	g.reset()
	g.refs = refs
	g.p("// The runtime this code was generated for. If it is undefined, run soapward")
	g.p("// generate again with the release of soapward that go.mod names.")
	g.p("const _ = soap.GeneratedV1\n")
	if len(g.spaceList) > 0 {
		g.p("// Namespaces.")
		g.p("const (")
		for _, s := range g.spaceList {
			g.p("\t%s = %q", g.spaceVars[s], s)
		}
		g.p(")\n")
	}
	if len(g.nameList) > 0 {
		g.p("// Names of elements, attributes and types.")
		g.p("var (")
		for _, q := range g.nameList {
			if q.Space == "" {
				g.p("\t%s = xml.Name{Local: %q}", g.nameVars[q], q.Local)
			} else {
				g.p("\t%s = xml.Name{Space: %s, Local: %q}", g.nameVars[q], g.space(q.Space), q.Local)
			}
		}
		g.p(")\n")
	}
	g.body.WriteString(body)
}

func (g *generator) emitUnmarshal(s *structT) {
	g.p("// UnmarshalWire implements wire.Unmarshaler.")
	g.p("func (x *%s) UnmarshalWire(r *wire.Reader) {", s.name)
	g.p("\t*x = %s{}", s.name)
	g.readAttrs(s)
	g.readAttached(s)
	if s.nilField != "" {
		g.p("\tif r.Nil() {")
		g.p("\t\tx.%s = true", s.nilField)
		g.p("\t\tr.Skip()")
		g.p("\t\treturn")
		g.p("\t}")
	}
	switch {
	case s.body() != nil:
		g.p("\tx.%s.UnmarshalWire(r)", s.body().name)
	case s.simple != nil && byMethod(s.simple):
		g.p("\tx.Value.UnmarshalWire(r)")
	case s.simple != nil:
		g.p("\tx.Value = %s", readExpr(s.simple))
	case s.mixed:
		g.p("\tx.Content = r.Content()")
	default:
		g.readContent(s)
	}
	g.p("}\n")
}

func (g *generator) emitMarshal(s *structT) {
	g.p("// MarshalWire implements wire.Marshaler.")
	g.p("func (x *%s) MarshalWire(w *wire.Writer, name xml.Name) {", s.name)
	g.writeAttached(s)
	if f := s.body(); f != nil {
		g.p("\tx.%s.MarshalWire(w, name)", f.name)
		g.p("}\n")
		return
	}
	if v := s.simple; v != nil && (v.kind == ifaceValue || v.kind == arrayValue || byMethod(v) && s.typ == nil) { // a root
		g.writeElement(s.simple, "name", "x.Value", false, "\t")
		g.p("}\n")
		return
	}
	switch {
	case s.encoded && s.typ != nil && !s.typ.Name.IsZero():
		g.p("\tw.Typed(%s)", g.name(s.typ.Name))
	case s.typ == nil && s.simple != nil && s.simple.encoded && !s.simple.typ.IsZero(): // a root
		g.p("\tw.Typed(%s)", g.name(s.simple.typ))
	}
	g.p("\tw.Start(name)")
	for _, f := range s.attrs {
		g.writeAttr(f)
	}
	if s.anyAttr {
		g.p("\tfor _, a := range x.Attrs {")
		g.p("\t\tw.Attr(a.Name, a.Value)")
		g.p("\t}")
	}
	if s.nilField != "" {
		g.p("\tif x.%s {", s.nilField)
		g.p("\t\tw.EndNil()")
		g.p("\t\treturn")
		g.p("\t}")
	}
	switch {
	case s.simple != nil:
		g.writeText(s.simple, "x.Value", "\t")
	case s.mixed:
		g.p("\tw.Raw(x.Content)")
	default:
		for _, f := range s.fields {
			g.writeField(f)
		}
	}
	g.p("\tw.End()")
	g.p("}\n")
}

// writeText writes the characters of a value.
func (g *generator) writeText(v *value, x, ind string) {
	switch v.kind {
	case binaryValue:
		g.p("%sw.BinaryText(%s)", ind, x)
	case scalarValue:
		if v.base64 && !v.encoded {
			g.p("%sw.Base64Text(%s)", ind, x)
			break
		}
		g.p("%swire.PutText(w, %s, %s)", ind, v.app, x)
	case qnameValue:
		g.p("%sw.QName(%s)", ind, x)
	case qnameListValue:
		g.p("%sw.QNameList(%s)", ind, x)
	case textListValue:
		g.p("%sw.Text(wire.TextList(%s))", ind, x)
	default:
		if v.enum != nil {
			x = "string(" + x + ")"
		}
		g.p("%sw.Text(%s)", ind, x)
	}
}

func (g *generator) writeAttr(f *field) {
	n := g.name(f.elem)
	if f.kind == constField {
		g.p("\tw.Attr(%s, %q)", n, f.fixed)
		return
	}
	x, ind := "x."+f.name, "\t"
	if f.card == opt {
		g.p("\tif %s != nil {", x)
		ind = "\t\t"
		if f.attrType() != f.val.goType {
			x = "*" + x
		}
	} else if f.unsetIfEmpty() {
		g.p("\tw.Require(%s != \"\", %q)", x, f.name+" is not set")
	}
	switch f.val.kind {
	case scalarValue:
		g.p("%swire.PutAttr(w, %s, %s, %s)", ind, n, f.val.app, x)
	case qnameValue:
		g.p("%sw.AttrQName(%s, %s)", ind, n, x)
	case qnameListValue:
		g.p("%sw.BeginAttr(%s)", ind, n)
		g.p("%sw.QNameList(%s)", ind, x)
		g.p("%sw.EndAttr()", ind)
	case textListValue:
		g.p("%sw.Attr(%s, wire.TextList(%s))", ind, n, x)
	default:
		if f.val.enum != nil {
			x = "string(" + x + ")"
		}
		g.p("%sw.Attr(%s, %s)", ind, n, x)
	}
	if f.card == opt {
		g.p("\t}")
	}
}

// writeElement writes an element that holds x. ptr tells that x is a pointer.
func (g *generator) writeElement(v *value, n, x string, ptr bool, ind string) {
	if byMethod(v) {
		g.p("%s%s.MarshalWire(w, %s)", ind, x, n)
		return
	}
	if ptr {
		x = "*" + x
	}
	if v.encoded && !v.typ.IsZero() {
		g.p("%sw.Typed(%s)", ind, g.name(v.typ))
	}
	switch v.kind {
	case refValue:
		g.p("%sw.Ref(%s, %s)", ind, n, x)
	case arrayValue:
		g.p("%s%s(w, %s, %s)", ind, v.array.put, n, x)
	case scalarValue:
		if v.base64 && !v.encoded {
			g.p("%sw.Base64(%s, %s)", ind, n, x)
			break
		}
		g.p("%swire.Put(w, %s, %s, %s)", ind, n, v.app, x)
	case qnameValue:
		g.p("%sw.QNameElement(%s, %s)", ind, n, x)
	case qnameListValue:
		g.p("%sw.Start(%s)", ind, n)
		g.p("%sw.QNameList(%s)", ind, x)
		g.p("%sw.End()", ind)
	case textListValue:
		g.p("%sw.Element(%s, wire.TextList(%s))", ind, n, x)
	case ifaceValue:
		g.p("%s%s(w, %s, %s)", ind, v.iface.put, n, x)
	default:
		if v.enum != nil {
			x = "string(" + x + ")"
		}
		g.p("%sw.Element(%s, %s)", ind, n, x)
	}
}

// writeField writes the statements that write a field of a sequence.
func (g *generator) writeField(f *field) {
	x := "x." + f.name
	switch f.kind {
	case constField:
		g.p("\tw.Element(%s, %q)", g.name(f.elem), f.fixed)
		return
	case anyField:
		if f.card == many {
			g.p("\tfor _, v := range %s {", x)
			g.p("\t\tw.Raw(v)")
			g.p("\t}")
		} else {
			g.p("\tw.Raw(%s)", x)
		}
		return
	case nestedField:
		g.writeNested(f)
		return
	case bodyField, attachedField: // written apart from the content
		return
	}
	v, n, gt := f.val, g.name(f.elem), f.goType()
	switch {
	case f.card == many:
		if f.min > 0 || f.max != wsdl.Unbounded {
			g.writeCount(f)
		}
		g.writeSlice(f, n)
	case strings.HasPrefix(gt, "wire.Nillable["):
		g.p("\tif %s.Value != nil {", x)
		g.writeElement(v, n, x+".Value", true, "\t\t")
		g.p("\t} else if %s.Nil {", x)
		g.p("\t\tw.Nil(%s)", n)
		g.p("\t}")
	case f.nillable || f.nilSlice:
		g.p("\tif %s != nil {", x)
		g.writeElement(v, n, x, v.kind != ifaceValue && !f.nilSlice, "\t\t")
		g.p("\t} else {")
		g.p("\t\tw.Nil(%s)", n)
		g.p("\t}")
	case f.card == opt:
		g.p("\tif %s != nil {", x)
		g.writeElement(v, n, x, gt != v.goType, "\t\t")
		g.p("\t}")
	case f.ptr:
		g.p("\tif w.Require(%s != nil, %q); %s != nil {", x, f.name+" is not set", x)
		g.writeElement(v, n, x, true, "\t\t")
		g.p("\t}")
	default:
		if f.unsetIfEmpty() {
			g.p("\tw.Require(%s != \"\", %q)", x, f.name+" is not set")
		}
		g.writeElement(v, n, x, false, "\t")
	}
}

func (g *generator) writeCount(f *field) {
	x := "x." + f.name
	switch {
	case f.min > 0 && f.max != wsdl.Unbounded:
		g.p("\tw.Require(len(%s) >= %d && len(%s) <= %d, \"%s has fewer than %d or more than %d elements\")", x, f.min, x, f.max, f.name, f.min, f.max)
	case f.min > 0:
		g.p("\tw.Require(len(%s) >= %d, \"%s has fewer than %d elements\")", x, f.min, f.name, f.min)
	default:
		g.p("\tw.Require(len(%s) <= %d, \"%s has more than %d elements\")", x, f.max, f.name, f.max)
	}
}

func (g *generator) writeSlice(f *field, n string) {
	x, v := "x."+f.name, f.val
	if byMethod(v) && !f.nillable {
		g.p("\tfor i := range %s {", x)
		g.p("\t\t%s[i].MarshalWire(w, %s)", x, n)
		g.p("\t}")
		return
	}
	g.p("\tfor _, v := range %s {", x)
	ind := "\t\t"
	if f.nillable {
		g.p("\t\tif v == nil {")
		g.p("\t\t\tw.Nil(%s)", n)
		g.p("\t\t\tcontinue")
		g.p("\t\t}")
	}
	g.writeElement(v, n, "v", f.nillable && v.kind != ifaceValue, ind)
	g.p("\t}")
}

func (g *generator) emitIfaceCodec(i *iface) {
	g.p("// %s reads the type that xsi:type names.", i.read)
	g.p("func %s(r *wire.Reader) %s {", i.read, i.name)
	base := i.base.typ
	g.p("\tt, ok := r.Type()")
	if base.Abstract {
		g.p("\tif !ok {")
		g.p("\t\tr.Require(false, %q)", "xsi:type is missing: "+base.Name.Local+" is abstract")
	} else {
		g.p("\tif !ok || t == %s {", g.name(base.Name))
		g.p("\t\tv := new(%s)", i.base.name)
		g.p("\t\tv.UnmarshalWire(r)")
		g.p("\t\treturn v")
	}
	g.p("\t}")
	g.p("\tswitch t {")
	for _, s := range i.impls {
		if s == i.base {
			continue
		}
		g.p("\tcase %s:", g.name(s.typ.Name))
		g.p("\t\tv := new(%s)", s.name)
		g.p("\t\tv.UnmarshalWire(r)")
		g.p("\t\treturn v")
	}
	g.p("\t}")
	g.p("\tr.Require(false, \"xsi:type \"+t.Local+%q)", " is not derived from "+base.Name.Local)
	g.p("\treturn nil")
	g.p("}\n")

	g.p("// %s writes v with its xsi:type.", i.put)
	g.p("func %s(w *wire.Writer, name xml.Name, v %s) {", i.put, i.name)
	g.p("\tswitch v := v.(type) {")
	for _, s := range i.impls {
		g.p("\tcase *%s:", s.name)
		g.p("\t\tif v == nil {")
		g.p("\t\t\tw.Require(false, %q)", "a nil *"+s.name)
		g.p("\t\t\treturn")
		g.p("\t\t}")
		if s != i.base {
			g.p("\t\tw.NextType(%s)", g.name(s.typ.Name))
		}
		g.p("\t\tv.MarshalWire(w, name)")
	}
	g.p("\tdefault:")
	g.p("\t\tw.Require(false, %q)", "a value of type "+i.base.name+" is not set")
	g.p("\t}")
	g.p("}\n")
}
