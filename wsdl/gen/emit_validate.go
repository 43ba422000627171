package gen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/soapward/soapward/soap/xsd"
	"github.com/soapward/soapward/wsdl"
)

// emitValidate writes the method Validate of each struct beneath which the
// schema restricts something.
func (g *generator) emitValidate() {
	c := &checker{g: g, needs: map[*structT]bool{}, known: map[*wsdl.Type]*restriction{}, facets: map[*wsdl.Type]string{}}
	c.find()
	for _, s := range g.sortedStructs() {
		if c.needs[s] && !s.wraps && s.pkg == g.at {
			c.emitStruct(s)
		}
	}
	ifaces := slices.Clone(g.ifaceList)
	slices.SortFunc(ifaces, func(a, b *iface) int { return cmp.Compare(a.name, b.name) })
	for _, i := range ifaces {
		if c.iface(i) && i.base.pkg == g.at {
			c.emitIface(i)
		}
	}
	body := g.body.String()
	if body == "" {
		return
	}
	g.body.Reset()
	for _, decl := range c.decls {
		g.body.WriteString(decl)
	}
	g.body.WriteString(body)
}

// checker writes the checks of one package.
type checker struct {
	g      *generator
	needs  map[*structT]bool // has something to check, itself or below
	known  map[*wsdl.Type]*restriction
	facets map[*wsdl.Type]string // names of variables
	decls  []string
}

// method is the name of the method that checks: other packages call it if they
// have types of their own.
func (c *checker) method() string {
	if c.g.opt.PerNamespace {
		return "Check"
	}
	return "check"
}

// find fills needs.
func (c *checker) find() {
	for changed := true; changed; {
		changed = false
		for _, s := range c.g.order {
			if !c.needs[s] && c.hasChecks(s) {
				c.needs[s], changed = true, true
			}
		}
	}
}

func (c *checker) hasChecks(s *structT) bool {
	if s.wraps {
		return false // the type inside has the methods
	}
	if s.kind == choiceStruct || s.simple != nil && c.checked(s.simple) {
		return true
	}
	return slices.ContainsFunc(s.attrs, c.fieldChecked) || slices.ContainsFunc(s.fields, c.fieldChecked)
}

func (c *checker) fieldChecked(f *field) bool {
	switch {
	case f.kind == constField:
		return false
	case f.card == many && (f.min > 0 || f.max != wsdl.Unbounded), f.ptr:
		return true
	case f.kind == nestedField:
		return c.needs[f.nested]
	case f.kind == anyField:
		return false
	}
	return c.checked(f.val) || f.val.kind == ifaceValue && f.card == one && !f.nillable
}

// checked reports whether a value has something to check.
func (c *checker) checked(v *value) bool {
	switch {
	case v.kind == structValue:
		return c.needs[v.st]
	case v.kind == ifaceValue:
		return c.iface(v.iface)
	case v.enum != nil:
		return len(v.enum.values) > 0
	case v.simple == nil || v.kind == qnameValue:
		return false
	}
	return c.facetsOf(v).facets != nil
}

// restriction is what facetsOf found.
type restriction struct {
	facets *xsd.Facets
	notes  []string
}

func (c *checker) facetsOf(v *value) *restriction {
	k := c.known[v.of]
	if k == nil {
		k = new(restriction)
		k.facets, k.notes = facetsOf(v.of, v.simple)
		if f := k.facets; f != nil && v.kind == scalarValue && len(f.Rules)+len(f.Enum) == 0 && f.Item != nil && len(f.Item.Rules)+len(f.Item.Enum) == 0 {
			k.facets = nil // the Go type of the items says it all
		}
		c.known[v.of] = k
	}
	return k
}

func (c *checker) iface(i *iface) bool {
	return slices.ContainsFunc(i.impls, func(s *structT) bool { return c.needs[s] })
}

func (c *checker) emitStruct(s *structT) {
	g := c.g
	if s.kind == complexStruct {
		g.p("// Validate reports what in x the schema does not allow, as an *xsd.InvalidError.")
		g.p("func (x *%s) Validate() error { return xsd.Validate(%q, x.%s) }\n", s.name, s.name, c.method())
	}
	if g.opt.PerNamespace {
		g.p("// %s adds to v what is not allowed.", c.method())
	}
	g.p("func (x *%s) %s(v *xsd.Validation) {", s.name, c.method())
	if s.kind == choiceStruct {
		if s.optEmpty {
			g.p("\tv.Require(x.set() <= 1, \"\", \"more than one field is set\")")
		} else {
			g.p("\tv.Require(x.set() == 1, \"\", \"not exactly one field is set\")")
		}
	}
	for _, f := range s.attrs {
		if c.fieldChecked(f) {
			c.emitField(s, f, f.attrType())
		}
	}
	if s.nilField != "" {
		g.p("\tif x.%s {", s.nilField)
		g.p("\t\treturn")
		g.p("\t}")
	}
	if s.simple != nil && c.checked(s.simple) {
		c.emitValue(s.simple, "Value", "x.Value", s.name, "\t")
	}
	if !s.mixed && s.simple == nil {
		for _, f := range s.fields {
			if c.fieldChecked(f) {
				c.emitField(s, f, f.goType())
			}
		}
	}
	g.p("}\n")
}

// emitField checks a field: whether it is there as often as it must, then what
// is in it.
func (c *checker) emitField(s *structT, f *field, goType string) {
	g, x := c.g, "x."+f.name
	below := f.kind == nestedField && c.needs[f.nested] || f.kind == elemField && c.checked(f.val)
	value := func(name, expr, ind string) {
		if f.kind == nestedField {
			c.emitInside(name, expr, ind)
		} else {
			c.emitValue(f.val, name, expr, s.name+f.name, ind)
		}
	}
	if f.card == many {
		c.emitCount(s, f)
		if below {
			g.p("\tfor i := range %s {", x)
			g.p("\t\tv.Enter(%q, i)", f.name)
			item, ind := x+"[i]", "\t\t"
			if nilItem := f.kind == elemField && f.nillable && f.val.kind != ifaceValue; nilItem {
				g.p("\t\tif %s != nil {", item)
				value("", deref(f.val, item), "\t\t\t")
				g.p("\t\t}")
			} else {
				value("", item, ind)
			}
			g.p("\t\tv.Leave()")
			g.p("\t}")
		}
		return
	}
	switch {
	case strings.HasPrefix(goType, "wire.Nillable["):
		g.p("\tif %s.Value != nil {", x)
		value(f.name, deref(f.val, x+".Value"), "\t\t")
		g.p("\t}")
	case strings.HasPrefix(goType, "*"), f.kind == elemField && f.val.kind == ifaceValue:
		must := f.ptr || f.kind == elemField && f.val.kind == ifaceValue && f.card == one && !f.nillable
		if must {
			g.p("\tv.Require(%s != nil, %q, \"not set\")", x, f.name)
		}
		if !below {
			return
		}
		g.p("\tif %s != nil {", x)
		if strings.HasPrefix(goType, "*") && f.kind == elemField {
			value(f.name, deref(f.val, x), "\t\t")
		} else {
			value(f.name, x, "\t\t")
		}
		g.p("\t}")
	case f.card == opt && f.kind == elemField && f.val.slice:
		g.p("\tif %s != nil {", x)
		value(f.name, x, "\t\t")
		g.p("\t}")
	default:
		value(f.name, x, "\t")
	}
}

// deref returns the value that a pointer points to, unless its methods are
// called.
func deref(v *value, x string) string {
	if v.kind == structValue || v.enum != nil {
		return x
	}
	return "*" + x
}

func (c *checker) emitCount(s *structT, f *field) {
	if f.min <= 0 && f.max == wsdl.Unbounded {
		return
	}
	low, ind := max(f.min, 0), "\t"
	n := "len(x." + f.name + ")"
	if s.kind == choiceStruct { // an alternative that is not the one has none
		c.g.p("\tif %s > 0 {", n)
		ind = "\t\t"
	}
	c.g.p("%sv.Count(%q, %s, %d, %d)", ind, f.name, n, low, f.max)
	if s.kind == choiceStruct {
		c.g.p("\t}")
	}
}

// emitInside goes into a struct.
func (c *checker) emitInside(name, x, ind string) {
	if name == "" {
		c.g.p("%s%s.%s(v)", ind, x, c.method())
		return
	}
	c.g.p("%sv.Enter(%q, -1)", ind, name)
	c.g.p("%s%s.%s(v)", ind, x, c.method())
	c.g.p("%sv.Leave()", ind)
}

// emitValue checks a value. name is its field, empty where Enter has named it.
func (c *checker) emitValue(v *value, name, x, hint, ind string) {
	g := c.g
	switch {
	case v.kind == structValue:
		c.emitInside(name, x, ind)
	case v.kind == ifaceValue:
		if name == "" {
			g.p("%s%s(v, %s)", ind, v.iface.check, x)
			return
		}
		g.p("%sv.Enter(%q, -1)", ind, name)
		g.p("%s%s(v, %s)", ind, v.iface.check, x)
		g.p("%sv.Leave()", ind)
	case v.enum != nil:
		g.p("%sv.Require(%s.Known(), %q, \"not one of the values allowed\")", ind, x, name)
	case v.kind == textListValue:
		g.p("%sv.Text(%q, %s, wire.TextList(%s))", ind, name, c.facetsVar(v, hint), x)
	case v.kind == scalarValue:
		g.p("%sxsd.CheckValue(v, %q, %s, %s, %s)", ind, name, c.facetsVar(v, hint), v.app, x)
	default:
		g.p("%sv.Text(%q, %s, %s)", ind, name, c.facetsVar(v, hint), x)
	}
}

func (c *checker) emitIface(i *iface) {
	g := c.g
	if g.opt.PerNamespace {
		g.p("// %s adds to v what is not allowed.", i.check)
	}
	g.p("func %s(v *xsd.Validation, x %s) {", i.check, i.name)
	g.p("\tswitch x := x.(type) {")
	for _, s := range i.impls {
		if c.needs[s] {
			g.p("\tcase *%s:", s.name)
			g.p("\t\tif x != nil {")
			g.p("\t\t\tx.%s(v)", c.method())
			g.p("\t\t}")
		}
	}
	g.p("\t}")
	g.p("}\n")
}

// facetsVar returns the variable with the facets of a type. hint names those of
// a type without name.
func (c *checker) facetsVar(v *value, hint string) string {
	if name, ok := c.facets[v.of]; ok {
		return name
	}
	k := c.facetsOf(v)
	base, of := hint, hint
	if !v.of.Name.IsZero() {
		base, of = exported(v.of.Name.Local), v.of.Name.Local+ofSpace(v.of.Name)
	}
	name := c.g.at.scope.take("facets"+base, "facets"+hint)
	c.facets[v.of] = name
	var decl out
	paragraphs := []string{name + " are the facets of " + of + "."}
	for _, n := range k.notes {
		paragraphs = append(paragraphs, "Not checked: "+n+".")
	}
	decl.comment("", paragraphs...)
	decl.p("var %s = %s\n", name, facetsLiteral(k.facets))
	c.decls = append(c.decls, decl.body.String())
	return name
}

func facetsLiteral(f *xsd.Facets) string { return "&xsd.Facets" + facetsFields(f) }

func facetsFields(f *xsd.Facets) string {
	var b strings.Builder
	b.WriteString("{")
	sep := ""
	put := func(format string, args ...any) {
		b.WriteString(sep)
		fmt.Fprintf(&b, format, args...)
		sep = ", "
	}
	if f.Base != "" {
		put("Base: %q", f.Base)
	}
	if f.Item != nil {
		put("Item: %s", facetsLiteral(f.Item))
	}
	if len(f.Members) > 0 {
		put("Members: []*xsd.Facets{")
		for _, m := range f.Members {
			b.WriteString("\n" + facetsFields(m) + ",")
		}
		b.WriteString("\n}")
	}
	if len(f.Rules) > 0 {
		put("Rules: []xsd.Facet{")
		for _, r := range f.Rules {
			fmt.Fprintf(&b, "\n{Name: %q, Value: %s},", r.Name, quoted(r.Value))
		}
		b.WriteString("\n}")
	}
	if len(f.Enum) > 0 {
		put("Enum: %#v", f.Enum)
	}
	b.WriteString("}")
	return b.String()
}

// quoted prefers back quotes, in which patterns read as they are written.
func quoted(s string) string {
	if strings.Contains(s, `\`) && !strings.ContainsAny(s, "`\r\n\t") && printable(s) == s {
		return "`" + s + "`"
	}
	return fmt.Sprintf("%q", s)
}
