package gen

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/soapward/soapward/wsdl"
)

func (g *generator) skip(pos wsdl.Position, format string, args ...any) {
	g.skipped = append(g.skipped, wsdl.Problem{Pos: pos, Text: fmt.Sprintf(format, args...)})
}

func (g *generator) markPart(p *wsdl.Part, use wsdl.Use) {
	if p.Element != nil {
		g.noteMedia(p.Element)
		g.mark(p.Element.Type, use)
	} else {
		g.mark(p.Type, use)
	}
}

// unsupported tells why an operation cannot be generated yet, or "".
func unsupported(op *wsdl.BoundOperation) string {
	if op.In == nil {
		return "it has no input: notifications are not supported"
	}
	for _, m := range []*wsdl.BoundMessage{op.In, op.Out} {
		if m == nil {
			continue
		}
		for _, p := range m.Body {
			switch {
			case op.Style == wsdl.RPCStyle:
			case p.Element == nil && m.Use == wsdl.Encoded:
				return fmt.Sprintf("part %q of its message has a type, and in document style nothing says what an encoded one is called", p.Name)
			case p.Element != nil && p.Element.Abstract:
				return fmt.Sprintf("the element %s of its message is abstract", p.Element.Name)
			}
		}
	}
	return ""
}

// bodyType reports whether t can be the type of a body (WSDL 1.1 3.5: a part
// with a type in document style).
func bodyType(t *wsdl.Type) bool {
	return t.Complex && t.Simple == nil && !t.Abstract
}

// bodyName is the name of the element in the body. It is zero if the message
// is the body itself: no part, several, or one with a type.
func bodyName(op *wsdl.BoundOperation, m *wsdl.BoundMessage, reply bool) wsdl.QName {
	switch {
	case m == nil:
		return wsdl.QName{}
	case op.Style == wsdl.RPCStyle: // WSDL 1.1 3.5
		name := op.Name
		if reply {
			name += "Response"
		}
		return wsdl.QName{Space: m.Namespace, Local: name}
	case len(m.Body) != 1 || m.Body[0].Element == nil:
		return wsdl.QName{}
	}
	return m.Body[0].Element.Name
}

// bindMessages makes the structs of messages, faults and headers.
func (g *generator) bindMessages() {
	headers := map[wsdl.QName]bool{}
	for _, p := range g.ports {
		for _, op := range p.ops {
			op.in = g.message(p, op, op.op.In, false)
			if op.op.Out != nil {
				op.out = g.message(p, op, op.op.Out, true)
			}
			op.varName = g.pkg.take("op" + p.name + op.method)
		}
	}
	for _, p := range g.ports {
		for _, op := range p.ops {
			for _, bo := range op.all() {
				for _, f := range bo.Faults {
					if s := g.faultStruct(f); s != nil && !slices.Contains(op.faults, s) {
						op.faults = append(op.faults, s)
					}
				}
				g.headers(op, bo.In, false, headers)
				g.headers(op, bo.Out, true, headers)
			}
		}
	}
}

func (g *generator) message(p *portT, op *operation, m *wsdl.BoundMessage, reply bool) *message {
	r := &message{elem: bodyName(op.op, m, reply)}
	rpc := op.op.Style == wsdl.RPCStyle
	switch {
	case !rpc && len(m.Body) == 0:
		r.goType = "wire.Empty"
	case !rpc && len(m.Body) == 1 && m.Body[0].Element != nil:
		r.goType = g.rootType(m.Body[0].Element, m.Use)
	case !rpc && len(m.Body) == 1 && plain(m.Body[0].Type) && bodyType(m.Body[0].Type):
		s := g.structOf(m.Body[0].Type)
		r.goType = g.ref(s.pkg, s.name)
	case !rpc && len(m.Body) == 1 && bodyType(m.Body[0].Type): // xs:anyType
		r.goType = "wire.Any"
	default: // a struct of the parts
		// Document style has no rule for several parts with types, or one whose
		// type cannot be that of a whole body; peers that have such descriptions
		// send elements named for the parts, as in RPC style.
		s := g.messageStruct(p, op, reply)
		s.encoded = m.Use == wsdl.Encoded
		s.encOnly = s.encoded
		s.rpc = rpc && !s.encoded
		if s.encoded && reply {
			s.anyName = 1 + returnValue(op.op, m)
		}
		for _, part := range m.Body {
			// Part accessors have no namespace (WS-I Basic Profile 1.1 R2735).
			e := &wsdl.Element{Name: wsdl.QName{Local: part.Name}, Type: part.Type, Pos: part.Pos}
			if part.Element != nil {
				e = part.Element
			}
			g.element(s, &wsdl.Particle{Kind: wsdl.ElementParticle, Min: 1, Max: 1, Element: e, Pos: part.Pos}, false)
		}
		r.st, r.goType = s, g.ref(s.pkg, s.name)
	}
	g.withAttachments(p, op, m, r, reply)
	return r
}

// rootType returns the Go type of an element that is a message by itself.
func (g *generator) rootType(e *wsdl.Element, use wsdl.Use) string {
	if s := g.rootStruct(e, use == wsdl.Encoded); s != nil {
		return g.ref(s.pkg, s.name)
	}
	return "wire.Any"
}

// faultStruct returns the error type of a declared fault, nil for one that has
// no element as its detail, and so no name to know it by.
func (g *generator) faultStruct(f *wsdl.BoundFault) *structT {
	var e *wsdl.Element
	if len(f.Message.Parts) == 1 {
		e = g.partElement(f.Message.Parts[0], f.Use, f.Namespace)
	}
	if e == nil || g.isSlice(e.Type) {
		hint := ""
		if len(f.Message.Parts) == 1 && e == nil && plain(f.Message.Parts[0].Type) {
			hint = "; its detail can be decoded as " + g.structOf(f.Message.Parts[0].Type).name
		}
		g.skip(f.Message.Pos, "fault %s stays an untyped detail: only a fault with one part that is an element, or encoded, gets a type%s", f.Name, hint)
		return nil
	}
	if s := g.faults[e]; s != nil {
		return s
	}
	var s *structT
	if plain(e.Type) && !e.Type.Name.IsZero() && !g.polymorphic(e.Type) || !plain(e.Type) && e.Type.Builtin && e.Type.Simple == nil {
		// A named type may serve elsewhere as well: wrap it.
		base := exported(e.Name.Local)
		s = &structT{built: true, pkg: g.packageOfElement(e)}
		s.simple = &value{goType: "wire.Any"} // embedded
		if plain(e.Type) {
			st := g.structOf(e.Type)
			s.simple = &value{goType: g.ref(st.pkg, st.name), st: st}
		}
		g.nameStruct(s, "fault "+clark(e.Name), base, base+"Fault", base+"Error")
		s.doc = []string{s.name + " is the fault " + e.Name.Local + ofSpace(e.Name) + ".", e.Doc}
		s.wraps = true
		g.order = append(g.order, s)
	} else {
		s = g.rootStruct(e, f.Use == wsdl.Encoded)
	}
	s.fault, s.faultEncoded = e, f.Use == wsdl.Encoded
	g.faults[e] = s
	return s
}

func (g *generator) headers(op *operation, m *wsdl.BoundMessage, reply bool, seen map[wsdl.QName]bool) {
	if m == nil {
		return
	}
	for _, h := range m.Headers {
		e := g.partElement(h.Part, h.Use, h.Namespace)
		if e == nil {
			g.skip(h.Part.Pos, "header %s is left to the program: only headers that are elements, or encoded, get a type", h.Part.Name)
			continue
		}
		if slices.ContainsFunc(op.headers, func(t *headerT) bool { return t.elem == e.Name && t.out == reply }) {
			continue // of another binding
		}
		t := &headerT{elem: e.Name, goType: g.rootType(e, h.Use), out: reply, encoded: h.Use == wsdl.Encoded}
		op.headers = append(op.headers, t)
		if seen[e.Name] {
			t.method = ""
			continue
		}
		seen[e.Name] = true
		t.method = g.pkg.pick("header "+clark(e.Name), exported(e.Name.Local))
	}
}

// namespaces lists what the messages of an operation certainly use.
func (op *operation) namespaces() []string {
	var all []string
	for _, m := range []*message{op.in, op.out} {
		if m != nil && m.elem.Space != "" && !slices.Contains(all, m.elem.Space) {
			all = append(all, m.elem.Space)
		}
	}
	slices.SortFunc(all, cmp.Compare[string])
	return all
}
