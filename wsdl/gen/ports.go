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

// pickPorts decides which port types and operations are generated, reserves
// their names and marks their types. A port type that several bindings serve
// is generated once, from the binding with the most operations that can be
// generated, SOAP 1.1 before 1.2.
func (g *generator) pickPorts() {
	for _, p := range g.d.Dropped {
		g.skip(p.Pos, "%s", p.Text)
	}
	for _, pt := range g.d.PortTypes {
		var best *portT
		var failed []wsdl.Problem
		for _, b := range g.d.Bindings {
			if b.PortType != pt || b.Version == wsdl.NotSOAP {
				continue
			}
			before := len(g.skipped)
			p := g.port(pt, b)
			lost := slices.Clone(g.skipped[before:])
			g.skipped = g.skipped[:before]
			if best == nil || len(p.ops) > len(best.ops) || len(p.ops) == len(best.ops) && p.version < best.version {
				best, failed = p, lost
			}
		}
		g.skipped = append(g.skipped, failed...)
		if best == nil || len(best.ops) == 0 {
			continue
		}
		g.ports = append(g.ports, best)
	}
	for _, p := range g.ports {
		base := exported(p.pt.Name.Local)
		for i := 1; ; i++ {
			p.name = base
			if i > 1 {
				p.name = fmt.Sprint(base, i)
			}
			own := []string{p.name + "Client", p.name + "Server", "New" + p.name + "Client", "Register" + p.name,
				"Unimplemented" + p.name, p.name + "URL"}
			if !slices.ContainsFunc(own, func(n string) bool { return g.pkg.used[n] }) {
				for _, n := range own {
					g.pkg.take(n)
				}
				break
			}
		}
		methods := newScope()
		for _, op := range p.ops {
			op.method = methods.take(exported(op.op.Name))
		}
	}
	g.pkg.take("WSDL")
	g.pkg.take("WSDLFile")
}

// port picks the operations of a binding that can be generated and marks their
// types.
func (g *generator) port(pt *wsdl.PortType, b *wsdl.Binding) *portT {
	p := &portT{pt: pt, version: b.Version}
	for _, s := range g.d.Services {
		for _, port := range s.Ports {
			if port.Binding == b && p.location == "" {
				p.location = port.Location
			}
		}
	}
	type key struct {
		in     wsdl.QName
		action string
	}
	seen := map[key]*wsdl.BoundOperation{}
	for _, op := range b.Operations {
		if why := unsupported(op); why != "" {
			g.skip(op.Pos, "operation %s is left out: %s", op.Name, why)
			continue
		}
		k := key{bodyName(op, op.In, false), op.Action}
		if old := seen[k]; old != nil {
			g.skip(op.Pos, "operation %s is left out: it takes the same body and action as the one at %s", op.Name, old.Pos)
			continue
		}
		seen[k] = op
		for _, m := range []*wsdl.BoundMessage{op.In, op.Out} {
			if m == nil {
				continue
			}
			for _, part := range m.Body {
				g.markPart(part, m.Use)
			}
			for _, h := range m.Headers {
				g.markPart(h.Part, h.Use)
			}
		}
		for _, f := range op.Faults {
			for _, part := range f.Message.Parts {
				g.markPart(part, f.Use)
			}
		}
		p.ops = append(p.ops, &operation{op: op})
	}
	return p
}

func (g *generator) markPart(p *wsdl.Part, use wsdl.Use) {
	if p.Element != nil {
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
			case p.Element == nil && (len(m.Body) > 1 || !bodyType(p.Type)):
				return fmt.Sprintf("part %q has the type %s, which cannot be that of a whole body", p.Name, p.Type.Name)
			case p.Element == nil:
			case p.Element.Abstract:
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
			op.in = g.message(op, op.op.In, false)
			if op.op.Out != nil {
				op.out = g.message(op, op.op.Out, true)
			}
			op.varName = g.pkg.take("op" + p.name + op.method)
		}
	}
	for _, p := range g.ports {
		for _, op := range p.ops {
			for _, f := range op.op.Faults {
				if s := g.faultStruct(f); s != nil && !slices.Contains(op.faults, s) {
					op.faults = append(op.faults, s)
				}
			}
			g.headers(op, op.op.In, false, headers)
			g.headers(op, op.op.Out, true, headers)
		}
	}
}

func (g *generator) message(op *operation, m *wsdl.BoundMessage, reply bool) *message {
	r := &message{elem: bodyName(op.op, m, reply)}
	rpc := op.op.Style == wsdl.RPCStyle
	switch {
	case !rpc && len(m.Body) == 0:
		r.goType = "wire.Empty"
	case !rpc && len(m.Body) == 1 && m.Body[0].Element != nil:
		r.goType = g.rootType(m.Body[0].Element, m.Use)
	case !rpc && len(m.Body) == 1 && plain(m.Body[0].Type):
		r.goType = g.structOf(m.Body[0].Type).name
	case !rpc && len(m.Body) == 1:
		r.goType = "wire.Any"
	default: // a struct of the parts
		base := op.method
		if reply {
			base += "Response"
		}
		s := &structT{name: g.pkg.take(base, base+"Message"), names: fieldScope(), built: true}
		s.doc = []string{s.name + " holds the parts of the message of " + op.op.Name + "."}
		s.encoded = m.Use == wsdl.Encoded
		s.encOnly = s.encoded
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
		g.order = append(g.order, s)
		r.goType = s.name
	}
	return r
}

// rootType returns the Go type of an element that is a message by itself.
func (g *generator) rootType(e *wsdl.Element, use wsdl.Use) string {
	if s := g.rootStruct(e, use == wsdl.Encoded); s != nil {
		return s.name
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
		g.skip(f.Message.Pos, "fault %s stays an untyped detail: only a fault with one part that is an element, or encoded, gets a type", f.Name)
		return nil
	}
	if s := g.faults[e]; s != nil {
		return s
	}
	var s *structT
	if plain(e.Type) && !e.Type.Name.IsZero() && !g.polymorphic(e.Type) || !plain(e.Type) && e.Type.Builtin && e.Type.Simple == nil {
		// A named type may serve elsewhere as well: wrap it.
		base := exported(e.Name.Local)
		s = &structT{names: fieldScope(), built: true}
		inner := "wire.Any"
		if plain(e.Type) {
			inner = g.structOf(e.Type).name
		}
		s.name = g.pkg.take(base, base+"Fault", base+"Error")
		s.doc = []string{s.name + " is the fault " + e.Name.Local + ofSpace(e.Name) + ".", e.Doc}
		s.simple = &value{goType: inner} // embedded
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
		t := &headerT{elem: e.Name, goType: g.rootType(e, h.Use), out: reply, encoded: h.Use == wsdl.Encoded}
		op.headers = append(op.headers, t)
		if seen[e.Name] {
			t.method = ""
			continue
		}
		seen[e.Name] = true
		base := exported(e.Name.Local)
		for i := 1; ; i++ {
			n := base
			if i > 1 {
				n = fmt.Sprint(base, i)
			}
			if !g.pkg.used["With"+n] && !g.pkg.used[n+"From"] && !g.pkg.used["Find"+n] {
				g.pkg.take("With" + n)
				g.pkg.take(n + "From")
				g.pkg.take("Find" + n)
				t.method = n
				break
			}
		}
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
