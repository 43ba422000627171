package gen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/soapward/soapward/wsdl"
)

// emitNestedRead writes readChild of a choice or group: it is called with the
// Reader at a child that the struct accepts.
func (g *generator) emitNestedRead(s *structT) {
	if s.kind == choiceStruct {
		g.p("// readChild reads one alternative. It reports whether the Reader is at another")
		g.p("// child then.")
		g.p("func (x *%s) readChild(r *wire.Reader) bool {", s.name)
		// No loop: switchLocal is indented for one, which gofmt puts right.
		g.switchLocal(s, false, nil, func(i int, ind string) {
			f := s.fields[i]
			if f.kind == nestedField {
				e := g.enter(f, ind)
				g.p("%sreturn %s", ind, e)
				return
			}
			if f.kind != elemField || f.card != many {
				if f.kind == elemField {
					g.p("%sr.Require(%s, %q)", ind, f.isUnset(), "element is there twice")
				}
				g.readField(f, ind)
				g.p("%sreturn r.Child()", ind)
				return
			}
			g.p("%sfor {", ind)
			g.readField(f, ind+"\t")
			g.p("%s\tif !r.Child() {", ind)
			g.p("%s\t\treturn false", ind)
			g.p("%s\t}", ind)
			bound := ""
			if f.max != wsdl.Unbounded {
				bound = fmt.Sprintf(" || len(x.%s) >= %d", f.name, f.max)
			}
			same := fmt.Sprintf("r.Is(%s, %q)", g.space(f.elem.Space), f.elem.Local)
			switch {
			case s.encOnly:
				same = fmt.Sprintf("(r.Local() == %q)", f.elem.Local)
			case s.loose()[f.elem.Local]:
				same = fmt.Sprintf("(r.Local() == %q && r.In(%s))", f.elem.Local, g.space(f.elem.Space))
			}
			g.p("%s\tif !%s%s {", ind, same, bound)
			g.p("%s\t\treturn true", ind)
			g.p("%s\t}", ind)
			g.p("%s}", ind)
		})
		g.p("\tr.Unknown()")
		g.p("\treturn r.Child()")
		g.p("}\n")
		return
	}
	var required []int
	for i, f := range s.fields {
		if f.required() {
			required = append(required, i)
		}
	}
	g.p("// readChild reads elements of the group as long as they are in order. It")
	g.p("// reports whether the Reader is at another child then.")
	if len(required) > 0 {
		g.p("func (x *%s) readChild(r *wire.Reader) bool {", s.name)
		g.p("\tvar seen [%d]bool", len(required))
		g.p("\tmore := x.readGroup(r, &seen)")
		for n, i := range required {
			g.p("\tr.Require(seen[%d], %q)", n, "element "+s.fields[i].elem.Local+" is missing")
		}
		g.p("\treturn more")
		g.p("}\n")
		g.p("func (x *%s) readGroup(r *wire.Reader, seen *[%d]bool) bool {", s.name, len(required))
	} else {
		g.p("func (x *%s) readChild(r *wire.Reader) bool {", s.name)
	}
	g.p("\tfor at := 0; ; {")
	g.switchLocal(s, true, nil, func(i int, ind string) {
		f := s.fields[i]
		g.p("%sat = %d", ind, f.after(i))
		if n := slices.Index(required, i); n >= 0 {
			g.p("%sseen[%d] = true", ind, n)
		}
		if f.kind == nestedField {
			e := g.enter(f, ind)
			g.p("%sif !%s {", ind, e)
		} else {
			g.readField(f, ind)
			g.p("%sif !r.Child() {", ind)
		}
		g.p("%s\treturn false", ind)
		g.p("%s}", ind)
		g.p("%scontinue", ind)
	})
	g.p("\t\treturn true")
	g.p("\t}")
	g.p("}\n")
}

func (g *generator) writeNested(f *field) {
	x := "x." + f.name
	switch {
	case f.card == many:
		if f.min > 0 || f.max != wsdl.Unbounded {
			g.writeCount(f)
		}
		g.p("\tfor i := range %s {", x)
		g.p("\t\t%s[i].writeChildren(w)", x)
		g.p("\t}")
	case f.card == one && f.ptr:
		g.p("\tif w.Require(%s != nil, %q); %s != nil {", x, f.name+" is not set", x)
		g.p("\t\t%s.writeChildren(w)", x)
		g.p("\t}")
	case f.card == opt:
		g.p("\tif %s != nil {", x)
		g.p("\t\t%s.writeChildren(w)", x)
		g.p("\t}")
	default:
		g.p("\t%s.writeChildren(w)", x)
	}
}

// isSet is a condition that a field of a choice is set.
func (f *field) isSet() string {
	x := "x." + f.name
	switch {
	case f.kind == anyField && f.card != many:
		return "!" + x + ".IsZero()"
	case f.card == many:
		return "len(" + x + ") > 0"
	case f.kind == elemField && strings.HasPrefix(f.goType(), "wire.Nillable["):
		return "!" + x + ".IsZero()"
	}
	return x + " != nil"
}

// isUnset is the opposite of isSet.
func (f *field) isUnset() string {
	x := "x." + f.name
	switch {
	case f.kind == anyField && f.card != many:
		return x + ".IsZero()"
	case f.card == many:
		return "len(" + x + ") == 0"
	case f.kind == elemField && strings.HasPrefix(f.goType(), "wire.Nillable["):
		return x + ".IsZero()"
	}
	return x + " == nil"
}

// emitNestedWrite writes writeChildren of a choice or group.
func (g *generator) emitNestedWrite(s *structT) {
	if s.kind == choiceStruct {
		g.p("// set returns how many alternatives are set.")
		g.p("func (x *%s) set() (n int) {", s.name)
		for _, f := range s.fields {
			g.p("\tif %s {", f.isSet())
			g.p("\t\tn++")
			g.p("\t}")
		}
		g.p("\treturn n")
		g.p("}\n")
	}
	g.p("func (x *%s) writeChildren(w *wire.Writer) {", s.name)
	if s.kind == choiceStruct {
		cond := "x.set() == 1"
		if s.optEmpty {
			cond = "x.set() <= 1"
		}
		g.p("\tw.Require(%s, %q)", cond, "exactly one field of "+s.name+" must be set")
	}
	for _, f := range s.fields {
		if s.kind == choiceStruct && f.card == many {
			f2 := *f
			f2.min = 0 // whether it is set at all is known by its length
			g.writeField(&f2)
			continue
		}
		g.writeField(f)
	}
	g.p("}\n")
}

// after returns which field may come next when a part of field i was read.
func (f *field) after(i int) int {
	if f.card == many || f.kind == nestedField && !f.nested.whole() {
		return i
	}
	return i + 1
}

// whole reports whether readChild reads all that an occurrence of s can have.
func (s *structT) whole() bool {
	if s.kind == groupStruct {
		return true
	}
	for _, f := range s.fields {
		if f.kind != elemField && f.card == many || f.kind == nestedField && !f.nested.whole() {
			return false
		}
	}
	return true
}
