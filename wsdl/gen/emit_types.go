package gen

import (
	"cmp"
	"slices"
	"strings"
)

// emitTypes writes the declarations of all types.
func (g *generator) emitTypes() {
	if g.at != g.root {
		g.emitPartDoc(g.at)
	} else {
		g.comment("", "Package "+g.opt.Package+" calls and serves "+g.services()+".", g.d.Doc)
		g.body.WriteString(packageMark)
		if g.opt.Directive != "" {
			g.p("//go:generate %s\n", g.opt.Directive)
		}
	}
	for _, st := range g.sortedStructs() {
		if st.pkg == g.at {
			g.emitStruct(st)
		}
	}
	ifaces := slices.Clone(g.ifaceList)
	slices.SortFunc(ifaces, func(a, b *iface) int { return cmp.Compare(a.name, b.name) })
	for _, i := range ifaces {
		if i.base.pkg == g.at {
			g.emitIface(i)
		}
	}
	enums := slices.Clone(g.enumList)
	slices.SortFunc(enums, func(a, b *enumT) int { return cmp.Compare(a.name, b.name) })
	for _, e := range enums {
		if e.pkg == g.at {
			g.emitEnum(e)
		}
	}
}

func (g *generator) services() string {
	var names []string
	for _, p := range g.ports {
		if n := p.pt.Name.Local + ofSpace(p.pt.Name); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return strings.Join(names, " and ")
}

func (g *generator) emitStruct(s *structT) {
	g.comment("", s.doc...)
	if len(s.fields)+len(s.attrs) == 0 && s.simple == nil && !s.mixed && !s.anyAttr {
		g.p("type %s struct{}\n", s.name)
		if s.fault != nil {
			g.emitFault(s)
		}
		return
	}
	g.p("type %s struct {", s.name)
	if s.wraps {
		g.p("\t%s", s.simple.goType)
		g.p("}\n")
		g.emitFault(s)
		return
	}
	for _, f := range s.fields {
		if f.kind != constField {
			g.emitField(f, f.goType(), "")
		}
	}
	if s.simple != nil {
		g.p("\tValue %s", s.simple.goType)
	}
	if s.mixed {
		g.comment("\t", "Content is text and elements, as they are.")
		g.p("\tContent wire.Raw")
	}
	for _, f := range s.attrs {
		if f.kind != constField {
			g.emitField(f, f.attrType(), " // attribute")
		}
	}
	if s.anyAttr {
		g.p("\tAttrs []xml.Attr // any others")
	}
	if s.nilField != "" {
		g.p("\t%s bool // xsi:nil: the attributes count, the content does not", s.nilField)
	}
	g.p("}\n")
	for _, f := range s.attrs {
		g.emitDefault(s, f)
	}
	if s.fault != nil {
		g.emitFault(s)
	}
}

func (g *generator) emitField(f *field, typ, note string) {
	doc := f.doc
	if f.def != nil && note != "" { // an attribute
		doc = strings.TrimSpace(doc + " Default: " + *f.def + ".")
	}
	if f.kind == anyField {
		note = " // elements of any kind"
	}
	if len(doc) > 0 && len(doc) <= 50 && note == "" {
		note = " // " + printable(doc)
		doc = ""
	}
	g.comment("\t", doc)
	g.p("\t%s %s%s", f.name, typ, note)
}

// goType is the type of the field of an element.
func (f *field) goType() string {
	if f.kind == anyField {
		if f.card == many {
			return "[]wire.Raw"
		}
		return "wire.Raw"
	}
	if f.kind == nestedField {
		switch {
		case f.card == many:
			return "[]" + f.nested.name
		case f.card == opt || f.ptr:
			return "*" + f.nested.name
		}
		return f.nested.name
	}
	t := f.val.goType
	nilable := f.val.kind == ifaceValue
	switch {
	case f.card == many && f.nillable && !nilable:
		return "[]*" + t
	case f.card == many:
		return "[]" + t
	case f.nillable && f.card == opt:
		return "wire.Nillable[" + t + "]"
	case f.nillable && !nilable, f.ptr:
		return "*" + t
	case f.card == opt && !nilable && !f.val.slice:
		return "*" + t
	}
	return t
}

func (f *field) attrType() string {
	if f.card == opt && !f.val.slice {
		return "*" + f.val.goType
	}
	return f.val.goType
}

// emitDefault writes the method that gives an attribute its default. The
// default of an element means something else: see withDefault.
func (g *generator) emitDefault(s *structT, f *field) {
	if f.def == nil || f.card != opt || f.kind != elemField || f.val.kind != textValue {
		return
	}
	m := s.names.pick(s.names.unique("@"+clark(f.elem)+" or default"), f.name+"OrDefault")
	g.p("// %s returns %s, or its default if it is absent.", m, f.name)
	g.p("func (x *%s) %s() %s {", s.name, m, f.val.goType)
	g.p("\tif x.%s == nil {", f.name)
	g.p("\t\treturn %q", *f.def)
	g.p("\t}")
	g.p("\treturn *x.%s", f.name)
	g.p("}\n")
}

// emitFault makes a struct an error.
func (g *generator) emitFault(s *structT) {
	g.p("// DetailName implements soap.Detail.")
	g.p("func (*%s) DetailName() xml.Name { return %s }\n", s.name, g.name(s.fault.Name))
	g.p("// Error returns what the fault says for people.")
	g.p("func (x *%s) Error() string {", s.name)
	if expr, cond := g.faultText(s); expr != "" {
		g.p("\tif %s {", cond)
		g.p("\t\treturn %s", expr)
		g.p("\t}")
	}
	g.p("\treturn %q", s.fault.Name.Local)
	g.p("}\n")
	if s.faultEncoded {
		g.p("// EncodedDetail implements soap.EncodedDetail.")
		g.p("func (*%s) EncodedDetail() {}\n", s.name)
		g.p("var _ soap.EncodedDetail = (*%s)(nil)\n", s.name)
		return
	}
	g.p("var _ soap.Detail = (*%s)(nil)\n", s.name)
}

// faultText finds a field of a fault that holds text for people.
func (g *generator) faultText(s *structT) (expr, cond string) {
	fields := s.fields
	if s.wraps {
		if inner := g.structs[s.fault.Type]; inner != nil {
			fields = inner.fields
		}
	} else if s.simple != nil && s.simple.goType == "string" {
		return "x.Value", `x.Value != ""`
	}
	for _, want := range []string{"message", "reason", "description", "text", "detail", "errormessage", "faultstring", "errordescription"} {
		for _, f := range fields {
			if f.kind != elemField || strings.ToLower(f.elem.Local) != want || f.val.goType != "string" {
				continue
			}
			sel := "x." + f.name
			if s.wraps {
				sel = "x." + s.simple.st.name + "." + f.name
			}
			switch f.goType() {
			case "string":
				return sel, sel + ` != ""`
			case "*string":
				return "*" + sel, sel + " != nil && *" + sel + ` != ""`
			case "wire.Nillable[string]":
				return sel + ".Get()", sel + `.Get() != ""`
			}
		}
	}
	return "", ""
}

func (g *generator) emitIface(i *iface) {
	var names []string
	for _, s := range i.impls {
		names = append(names, "*"+s.name)
	}
	if len(names) > 12 {
		names = append(names[:12], "and others")
	}
	article := " is a "
	if strings.ContainsRune("AEIO", rune(i.base.name[0])) {
		article = " is an "
	}
	doc := i.name + article + i.base.name + " or of a type derived from it: " + strings.Join(names, ", ") + "."
	if len(names) == 0 {
		doc = i.name + " is of a type derived from " + i.base.name + ", of which there is none."
	}
	g.comment("", doc)
	g.p("type %s interface {", i.name)
	g.p("\twire.Marshaler")
	g.p("\twire.Unmarshaler")
	g.p("\t%s()", i.marker)
	g.p("}\n")
	for _, s := range i.impls {
		g.p("func (*%s) %s() {}", s.name, i.marker)
	}
	g.p("")
}

func (g *generator) emitEnum(e *enumT) {
	g.comment("", e.doc...)
	g.p("type %s string\n", e.name)
	if len(e.values) == 0 {
		return
	}
	g.p("// Values of %s.", e.name)
	g.p("const (")
	for _, v := range e.values {
		g.comment("\t", v.doc)
		g.p("\t%s %s = %q", v.name, e.name, v.text)
	}
	g.p(")\n")
	g.p("// Known reports whether the schema lists the value.")
	g.p("func (v %s) Known() bool {", e.name)
	g.p("\tswitch v {")
	var names []string
	for _, v := range e.values {
		names = append(names, v.name)
	}
	g.p("\tcase %s:", strings.Join(names, ", "))
	g.p("\t\treturn true")
	g.p("\t}")
	g.p("\treturn false")
	g.p("}\n")
}

// unsetIfEmpty reports whether "" means that a program did not set f: it is
// required, without default, and of an enumeration that does not have it.
func (f *field) unsetIfEmpty() bool {
	return f.card == one && f.def == nil && f.val.enum != nil && !hasEmpty(f.val.enum)
}

func hasEmpty(e *enumT) bool {
	return slices.ContainsFunc(e.values, func(v enumValue) bool { return v.text == "" })
}
