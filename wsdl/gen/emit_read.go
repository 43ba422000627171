package gen

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/soapward/soapward/wsdl"
)

// readExpr is an expression that consumes the current element and has its
// value. Structs and wire.Any are read by their method instead.
func readExpr(v *value) string {
	value := "wire.Value"
	if v.encoded {
		value = "wire.ValueOrZero"
	}
	switch v.kind {
	case scalarValue, textListValue:
		if v.base64 && !v.encoded {
			return "r.Base64()"
		}
		return value + "(r, " + v.parse + ")"
	case refValue:
		return "r.Ref()"
	case arrayValue:
		return v.array.read + "(r)"
	case qnameValue:
		return "r.QNameValue()"
	case qnameListValue:
		return "r.QNameList()"
	case ifaceValue:
		return v.iface.read + "(r)"
	}
	e := "r.Text()"
	if v.parse != "" {
		e = value + "(r, " + v.parse + ")"
	}
	if v.enum != nil {
		e = v.goType + "(" + e + ")"
	}
	return e
}

// byMethod reports whether values are read by UnmarshalWire into place.
func byMethod(v *value) bool {
	return v.kind == structValue || v.kind == anyValue || v.kind == binaryValue
}

// readField writes the statements that consume the current element as a field.
func (g *generator) readField(f *field, ind string) {
	x := "x." + f.name
	switch f.kind {
	case constField:
		g.p("%sr.Skip()", ind)
		return
	case anyField:
		if f.card == many {
			g.p("%s%s = append(%s, r.Raw())", ind, x, x)
		} else {
			g.p("%s%s = r.Raw()", ind, x)
		}
		return
	}
	v, t := f.withDefault(), f.val.goType
	isNil := "r.Nil()"
	if f.nilAttrs() {
		isNil = "r.NilOnly()"
	}
	switch gt := f.goType(); {
	case f.card == many && f.nillable && v.kind != ifaceValue:
		g.p("%sif %s {", ind, isNil)
		g.p("%s\tr.Skip()", ind)
		g.p("%s\t%s = append(%s, nil)", ind, x, x)
		g.p("%s} else {", ind)
		g.newValue(v, ind+"\t")
		g.p("%s\t%s = append(%s, v)", ind, x, x)
		g.p("%s}", ind)
	case f.card == many && f.nillable:
		g.p("%sif %s {", ind, isNil)
		g.p("%s\tr.Skip()", ind)
		g.p("%s\t%s = append(%s, nil)", ind, x, x)
		g.p("%s} else {", ind)
		g.p("%s\t%s = append(%s, %s)", ind, x, x, readExpr(v))
		g.p("%s}", ind)
	case f.card == many && byMethod(v):
		g.p("%s%s = append(wire.More(r, %s), %s{})", ind, x, x, t)
		g.p("%s%s[len(%s)-1].UnmarshalWire(r)", ind, x, x)
	case f.card == many:
		g.p("%s%s = append(%s, %s)", ind, x, x, readExpr(v))
	case strings.HasPrefix(gt, "wire.Nillable["):
		g.p("%sif %s {", ind, isNil)
		g.p("%s\tr.Skip()", ind)
		g.p("%s\t%s = %s{Nil: true}", ind, x, gt)
		g.p("%s} else {", ind)
		g.newValue(v, ind+"\t")
		g.p("%s\t%s = %s{Value: v}", ind, x, gt)
		g.p("%s}", ind)
	case f.nillable || f.nilAway:
		g.p("%sif %s {", ind, isNil)
		g.p("%s\tr.Skip()", ind)
		g.p("%s} else {", ind)
		if v.kind == ifaceValue {
			g.p("%s\t%s = %s", ind, x, readExpr(v))
		} else {
			g.newValue(v, ind+"\t")
			g.p("%s\t%s = v", ind, x)
		}
		g.p("%s}", ind)
	case byMethod(v) && gt == t && v.encoded && v.kind == structValue: // of a type that is literal as well
		g.p("%sif r.Nil() {", ind)
		g.p("%s\tr.Skip()", ind)
		g.p("%s} else {", ind)
		g.p("%s\t%s.UnmarshalWire(r)", ind, x)
		g.p("%s}", ind)
	case byMethod(v) && gt == t:
		g.p("%s%s.UnmarshalWire(r)", ind, x)
	case byMethod(v):
		g.p("%s%s = new(%s)", ind, x, t)
		g.p("%s%s.UnmarshalWire(r)", ind, x)
	case gt == t:
		g.p("%s%s = %s", ind, x, readExpr(v))
		if f.unsetIfEmpty() && !v.encoded {
			g.p("%sr.Require(%s != \"\" || r.Lenient(), %q)", ind, x, f.elem.Local+" is empty, which its enumeration is not")
		}
		if v.slice && f.card == opt && v.kind != arrayValue {
			g.p("%sif %s == nil {", ind, x)
			g.p("%s\t%s = %s{}", ind, x, t)
			g.p("%s}", ind)
		}
	default:
		g.p("%sv := %s", ind, readExpr(v))
		g.p("%s%s = &v", ind, x)
	}
}

// withDefault is the value of an element's field, read so that an empty element
// means its default (XML Schema 1 3.3.4). Text stays empty: written again, it
// means the same.
func (f *field) withDefault() *value {
	if f.def == nil || f.val.kind != scalarValue {
		return f.val
	}
	v := *f.val
	v.parse, v.base64 = fmt.Sprintf("wire.Default(%s, %q)", v.parse, *f.def), false
	return &v
}

// newValue declares v, a pointer to what the current element holds.
func (g *generator) newValue(v *value, ind string) {
	g.p("%sv := new(%s)", ind, v.goType)
	if byMethod(v) {
		g.p("%sv.UnmarshalWire(r)", ind)
	} else {
		g.p("%s*v = %s", ind, readExpr(v))
	}
}

// enter is an expression that reads the current element, and those after it
// which belong together with it, into a nested field. It reports whether the
// Reader is at another child then.
func (g *generator) enter(f *field, ind string) string {
	x := "x." + f.name
	switch {
	case f.card == many:
		g.p("%s%s = append(wire.More(r, %s), %s{})", ind, x, x, f.nested.name)
		return x + "[len(" + x + ")-1].readChild(r)"
	case f.nested.kind == groupStruct && f.card == opt:
		g.p("%sr.Require(%s == nil, %q)", ind, x, "a group of elements is there twice")
		g.p("%s%s = new(%s)", ind, x, f.nested.name)
	case f.card == opt || f.ptr:
		g.p("%sif %s == nil {", ind, x)
		g.p("%s\t%s = new(%s)", ind, x, f.nested.name)
		g.p("%s}", ind)
	}
	return x + ".readChild(r)"
}

// dispatch is what to do with one element name.
type dispatch struct {
	name  wsdl.QName
	field int
}

// dispatches groups the names that fields accept by their local part.
func (s *structT) dispatches() (locals []string, by map[string][]dispatch, wild []int) {
	by = map[string][]dispatch{}
	for i, f := range s.fields {
		names, w := f.accepts()
		if len(w) > 0 {
			wild = append(wild, i)
		}
		seen := map[wsdl.QName]bool{}
		for _, n := range names {
			if seen[n] {
				continue
			}
			seen[n] = true
			if by[n.Local] == nil {
				locals = append(locals, n.Local)
			}
			by[n.Local] = append(by[n.Local], dispatch{n, i})
		}
	}
	return locals, by, wild
}

// isSpace is a condition on the namespace of the current element.
func (g *generator) isSpace(space string) string {
	return "r.Space() == " + g.space(space)
}

// allows is a condition on the namespace of the current element that a field's
// wildcards allow it.
func (g *generator) allows(f *field) string {
	_, wild := f.accepts()
	var conds []string
	for _, w := range wild {
		switch {
		case w.Any:
			return ""
		case w.Not:
			c := `r.Space() != ""`
			for _, n := range w.Namespaces {
				if n != "" {
					c += " && r.Space() != " + g.space(n)
				}
			}
			conds = append(conds, c)
		default:
			for _, n := range w.Namespaces {
				conds = append(conds, g.isSpace(n))
			}
		}
	}
	if len(conds) == 0 {
		return "false"
	}
	return strings.Join(conds, " || ")
}

// required reports whether reading must see the element of a field.
func (f *field) required() bool {
	return f.kind == elemField && f.card == one && !f.lax
}

// single reports whether reading may see the element of a field once.
func (f *field) single() bool {
	return (f.kind == elemField || f.kind == constField) && f.card != many
}

// readContent writes the loop that reads the children of a complex struct.
func (g *generator) readContent(s *structT) {
	ordered := s.ordered()
	nested := false
	flags := map[int]int{}
	for i, f := range s.fields {
		nested = nested || f.kind == nestedField
		if f.single() && (!ordered || f.required()) {
			flags[i] = len(flags)
		}
	}
	if len(flags) > 0 {
		g.p("\tvar seen [%d]bool", len(flags))
	}
	if ordered {
		g.p("\tat := 0")
	}
	next := "continue"
	if nested {
		g.p("\tfor more := r.Child(); more; {")
	} else {
		g.p("\tfor r.Child() {")
	}
	emit := func(i int, ind string) {
		f := s.fields[i]
		if ordered {
			g.p("%sat = %d", ind, f.after(i))
		}
		if n, ok := flags[i]; ok {
			g.p("%sr.Once(&seen[%d])", ind, n)
		}
		if f.kind == nestedField {
			e := g.enter(f, ind)
			g.p("%smore = %s", ind, e)
		} else {
			g.readField(f, ind)
			if nested {
				g.p("%smore = r.Child()", ind)
			}
		}
		g.p("%s%s", ind, next)
	}
	g.switchLocal(s, ordered, flags, emit)
	if n, ok := flags[s.anyName-1]; ok && !nested && !ordered {
		g.p("\t\tif !seen[%d] && r.Space() != wire.SOAPRPC12 {", n)
		emit(s.anyName-1, "\t\t\t")
		g.p("\t\t}")
	}
	g.p("\t\tr.Unknown()")
	if nested {
		g.p("\t\tmore = r.Child()")
	}
	g.p("\t}")
	for i, f := range s.fields {
		if n, ok := flags[i]; ok && f.required() {
			g.p("\tr.Require(seen[%d], %q)", n, "element "+f.elem.Local+" is missing")
		}
		if f.kind == nestedField && f.nested.kind == choiceStruct && f.card != many {
			x := "x." + f.name
			switch {
			case f.card == one && !f.ptr:
				g.p("\tr.Require(%s.set() == 1, %q)", x, "exactly one of the elements of "+f.nested.name+" is needed")
			case f.card == one:
				g.p("\tr.Require(%s != nil && %s.set() == 1, %q)", x, x, "exactly one of the elements of "+f.nested.name+" is needed")
			default:
				g.p("\tr.Require(%s == nil || %s.set() == 1, %q)", x, x, "more than one of the elements of "+f.nested.name)
			}
		}
	}
}

// switchLocal writes the switch over the local name of the current element,
// then the tests for wildcards. emit writes what happens for a field and must
// leave the place. What a wildcard allows as well belongs to a field with a flag
// once only.
func (g *generator) switchLocal(s *structT, ordered bool, flags map[int]int, emit func(i int, ind string)) {
	locals, by, wild := s.dispatches()
	loose := s.loose()
	if len(locals) > 0 {
		g.p("\t\tswitch r.Local() {")
		for k := 0; k < len(locals); k++ {
			local := locals[k]
			ds := by[local]
			labels := strconv.Quote(local)
			// Neighbours that go to the same nested struct share a case.
			for len(ds) == 1 && s.fields[ds[0].field].kind == nestedField && k+1 < len(locals) {
				nd := by[locals[k+1]]
				if len(nd) != 1 || nd[0].field != ds[0].field || nd[0].name.Space != ds[0].name.Space {
					break
				}
				k++
				labels += ", " + strconv.Quote(locals[k])
			}
			g.p("\t\tcase %s:", labels)
			for _, d := range ds {
				cond := g.accepted(s, d, loose)
				if ordered {
					cond = fmt.Sprintf("at <= %d && %s", d.field, cond)
				} else if s.encOnly && len(ds) == 1 {
					// Stacks differ in the namespace of accessors.
					emit(d.field, "\t\t\t")
					continue
				}
				if n, ok := flags[d.field]; ok && !ordered && s.allowsAny(wild, d.name.Space) {
					cond += fmt.Sprintf(" && !seen[%d]", n)
				}
				g.p("\t\t\tif %s {", cond)
				emit(d.field, "\t\t\t\t")
				g.p("\t\t\t}")
			}
		}
		g.p("\t\t}")
	}
	for _, i := range wild {
		cond := g.allows(s.fields[i])
		if ordered {
			if strings.Contains(cond, "||") {
				cond = "(" + cond + ")"
			}
			if cond != "" {
				cond = " && " + cond
			}
			cond = fmt.Sprintf("at <= %d%s", i, cond)
		}
		if f := s.fields[i]; !ordered && f.kind == anyField && f.card != many {
			if cond != "" {
				cond = " && (" + cond + ")"
			}
			cond = "x." + f.name + ".IsZero()" + cond
		}
		if cond == "" {
			cond = "true"
		}
		g.p("\t\tif %s {", cond)
		emit(i, "\t\t\t")
		g.p("\t\t}")
	}
}

// allowsAny reports whether a repeated wildcard among the fields allows a
// namespace.
func (s *structT) allowsAny(fields []int, space string) bool {
	for _, i := range fields {
		if f := s.fields[i]; f.kind == anyField && f.wild.Allows(space) {
			return true
		}
	}
	return false
}

// readAttrs writes the loop over attributes.
func (g *generator) readAttrs(s *structT) {
	var fields []*field
	for _, f := range s.attrs {
		if f.kind != constField {
			fields = append(fields, f)
		}
	}
	if len(fields) == 0 && !s.anyAttr {
		return
	}
	var seen []int
	for i, f := range fields {
		if f.card == one {
			seen = append(seen, i)
		}
	}
	if len(seen) > 0 {
		g.p("\tvar got [%d]bool", len(seen))
	}
	g.p("\tfor _, a := range r.Attrs() {")
	if len(fields) > 0 || s.anyAttr && len(s.attrs) > 0 {
		g.p("\t\tswitch a.Name {")
		n := 0
		for _, f := range s.attrs {
			if f.kind == constField && s.anyAttr {
				g.p("\t\tcase %s: // fixed", g.name(f.elem))
			}
		}
		for _, f := range fields {
			g.p("\t\tcase %s:", g.name(f.elem))
			expr := readAttr(f.val)
			if f.attrType() == f.val.goType {
				g.p("\t\t\tx.%s = %s", f.name, expr)
				if f.unsetIfEmpty() {
					g.p("\t\t\tr.Require(x.%s != \"\" || r.Lenient(), %q)", f.name, "attribute "+f.elem.Local+" is empty, which its enumeration is not")
				}
			} else {
				g.p("\t\t\tv := %s", expr)
				g.p("\t\t\tx.%s = &v", f.name)
			}
			if f.card == one {
				g.p("\t\t\tgot[%d] = true", n)
				n++
			}
		}
		if s.anyAttr {
			g.p("\t\tdefault:")
			g.anyAttr("\t\t\t")
		}
		g.p("\t\t}")
	} else {
		g.anyAttr("\t\t")
	}
	g.p("\t}")
	for n, i := range seen {
		g.p("\tr.Require(got[%d], %q)", n, "attribute "+fields[i].elem.Local+" is missing")
	}
}

func (g *generator) anyAttr(ind string) {
	g.p("%sif a.Name.Space != wire.XSI {", ind)
	g.p("%s\tx.Attrs = append(x.Attrs, xml.Attr{", ind)
	g.p("%s\t\tName:  xml.Name{Space: r.Keep(a.Name.Space), Local: r.Keep(a.Name.Local)},", ind)
	g.p("%s\t\tValue: r.Keep(a.Value),", ind)
	g.p("%s\t})", ind)
	g.p("%s}", ind)
}

func readAttr(v *value) string {
	switch v.kind {
	case scalarValue, textListValue:
		return "wire.AttrValue(r, a, " + v.parse + ")"
	case qnameValue:
		return "r.AttrQName(a)"
	case qnameListValue:
		return "r.AttrQNameList(a)"
	}
	e := "r.Keep(a.Value)"
	if v.parse != "" {
		e = "wire.AttrValue(r, a, " + v.parse + ")"
	}
	if v.enum != nil {
		e = v.goType + "(" + e + ")"
	}
	return e
}
