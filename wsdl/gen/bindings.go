package gen

import (
	"cmp"
	"slices"
	"strings"

	"github.com/soapward/soapward/wsdl"
)

// pickPorts decides which port types and operations are generated, and marks
// their types.
//
// The bindings of a port type that send the same bodies become one client and
// one server, whatever their SOAP versions. One that sends others becomes a
// client and a server of its own, named for the binding.
func (g *generator) pickPorts() {
	for _, p := range g.d.Dropped {
		g.skip(p.Pos, "%s", p.Text)
	}
	for _, pt := range g.d.PortTypes {
		g.ports = append(g.ports, g.portsOf(pt)...)
	}
}

// namePorts reserves the names of clients and servers.
func (g *generator) namePorts() {
	for _, p := range g.ports {
		g.namePort(p)
	}
	for _, p := range g.ports {
		g.nameEndpoints(p)
	}
}

// portsOf groups the bindings of a port type.
func (g *generator) portsOf(pt *wsdl.PortType) []*portT {
	var ports []*portT
	for _, b := range g.d.Bindings {
		if b.PortType != pt {
			continue
		}
		if b.Version == wsdl.NotSOAP {
			g.skip(b.Pos, "binding %s is left out: it is not one of SOAP", b.Name.Local)
			continue
		}
		ops := g.usable(b)
		if len(ops) == 0 {
			continue
		}
		i := slices.IndexFunc(ports, func(p *portT) bool { return p.joins(b, ops) })
		if i < 0 {
			i = len(ports)
			ports = append(ports, &portT{pt: pt})
		}
		ports[i].join(b, ops)
	}
	for i, p := range ports {
		p.second = i > 0
		g.separate(p)
	}
	return ports
}

// usable returns the operations of a binding that can be generated.
func (g *generator) usable(b *wsdl.Binding) []*wsdl.BoundOperation {
	var ops []*wsdl.BoundOperation
	for _, op := range b.Operations {
		if why := unsupported(op); why != "" {
			g.skip(op.Pos, "operation %s is left out: %s", op.Name, why)
			continue
		}
		ops = append(ops, op)
	}
	return ops
}

// joins reports whether the operations of a further binding can be those of p.
func (p *portT) joins(b *wsdl.Binding, ops []*wsdl.BoundOperation) bool {
	return !slices.ContainsFunc(ops, func(bo *wsdl.BoundOperation) bool {
		op := p.find(bo)
		if op == nil {
			return false
		}
		action, known := op.actionOf(p, b.Version)
		return !sameBody(bo, op.op) || known && action != bo.Action
	})
}

func (p *portT) find(bo *wsdl.BoundOperation) *operation {
	for _, op := range p.ops {
		if op.op.Operation == bo.Operation {
			return op
		}
	}
	return nil
}

// actionOf returns the action of an operation in the bindings of p for a
// version, if there are any.
func (op *operation) actionOf(p *portT, v wsdl.SOAPVersion) (action string, known bool) {
	for _, b := range p.bindings {
		for _, bo := range b.Operations {
			if b.Version == v && bo.Operation == op.op.Operation {
				return bo.Action, true
			}
		}
	}
	return "", false
}

// join adds a binding.
func (p *portT) join(b *wsdl.Binding, ops []*wsdl.BoundOperation) {
	p.bindings = append(p.bindings, b)
	for _, bo := range ops {
		if op := p.find(bo); op != nil {
			op.also = append(op.also, bo)
		} else {
			p.ops = append(p.ops, &operation{op: bo})
		}
	}
}

// sameBody reports whether two bindings of an operation send the same bodies.
func sameBody(a, b *wsdl.BoundOperation) bool {
	same := func(m, n *wsdl.BoundMessage) bool {
		if m == nil || n == nil {
			return m == n
		}
		attached := slices.EqualFunc(m.Attached, n.Attached, func(a, b *wsdl.Attached) bool { return a.Part == b.Part })
		return m.Use == n.Use && slices.Equal(m.Body, n.Body) && attached && (a.Style != wsdl.RPCStyle || m.Namespace == n.Namespace)
	}
	return a.Style == b.Style && same(a.In, b.In) && same(a.Out, b.Out)
}

// separate settles the actions of operations, marks their types, and finds
// those that a server could not tell apart.
func (g *generator) separate(p *portT) {
	type key struct {
		in     wsdl.QName
		action string
	}
	seen := map[key]*operation{}
	for _, op := range p.ops {
		a11, has11 := op.actionOf(p, wsdl.SOAP11)
		a12, has12 := op.actionOf(p, wsdl.SOAP12)
		op.action = a11
		if !has11 {
			op.action = a12
		} else if has12 && a11 != a12 {
			op.action12 = &a12
		}
		keys := []key{{bodyName(op.op, op.op.In, false), op.action}}
		if op.action12 != nil {
			keys = append(keys, key{keys[0].in, *op.action12})
		}
		for _, k := range keys {
			if old := seen[k]; old != nil && !op.clientOnly {
				op.clientOnly = true
				g.skip(op.op.Pos, "operation %s is left out of the server: it takes the same body and action as %s (line %d)",
					op.op.Name, old.op.Name, old.op.Pos.Line)
			}
		}
		if !op.clientOnly {
			for _, k := range keys {
				seen[k] = op
			}
		}
		for _, bo := range op.all() {
			g.markOperation(bo)
		}
	}
}

// all returns an operation as each binding has it.
func (op *operation) all() []*wsdl.BoundOperation {
	return append([]*wsdl.BoundOperation{op.op}, op.also...)
}

func (g *generator) markOperation(bo *wsdl.BoundOperation) {
	g.notePolicy(bo)
	for _, m := range []*wsdl.BoundMessage{bo.In, bo.Out} {
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
	for _, f := range bo.Faults {
		for _, part := range f.Message.Parts {
			g.markPart(part, f.Use)
		}
	}
}

// namePort names a port type and the methods of its operations.
func (g *generator) namePort(p *portT) {
	p.key = "client " + clark(p.pt.Name)
	candidates := []string{exported(p.pt.Name.Local)}
	if p.second {
		b := p.bindings[0].Name
		p.key = "client of binding " + clark(b)
		candidates = []string{exported(b.Local), exported(p.pt.Name.Local)}
	}
	p.name = g.pkg.pick(p.key, candidates...)
	methods := g.memberScope(p.key)
	for _, op := range p.ops {
		key, names := methodNames(p, op)
		op.key = methods.unique(key)
		op.method = methods.pick(op.key, names...)
	}
}

// methodNames lists names for the method of an operation. Overloads are told
// apart by the name of their input, as bindings do (WSDL 1.1 2.5), or else by
// their message.
func methodNames(p *portT, op *operation) (key string, names []string) {
	name, in := exported(op.op.Name), op.op.Input
	if !slices.ContainsFunc(p.ops, func(o *operation) bool { return o != op && o.op.Name == op.op.Name }) {
		return op.op.Name, []string{name}
	}
	names = []string{name, exported(in.Name.Local)}
	switch in.Label {
	case "", op.op.Name, op.op.Name + "Request", op.op.Name + "Solicit": // what it is called without a label (WSDL 1.1 2.4.5)
	default:
		names = append([]string{exported(in.Label)}, names...)
	}
	return op.op.Name + "(" + cmp.Or(in.Label, in.Name.Local) + ")", names
}

// nameEndpoints finds the ports of services that p is served at, and names
// what is generated for each if there are several.
func (g *generator) nameEndpoints(p *portT) {
	for _, s := range g.d.Services {
		for _, port := range s.Ports {
			if port.Location != "" && slices.Contains(p.bindings, port.Binding) {
				p.ends = append(p.ends, &endpoint{port: port, service: s})
			}
		}
	}
	if len(p.ends) == 1 {
		p.ends[0].url, p.ends[0].function = p.name+"URL", "New"+p.name+"Client"
		return
	}
	// Before the others, so that their names never change for its sake.
	first := p.first(0)
	for _, e := range p.ends {
		local := exported(e.port.Name)
		if e == first && local == p.name {
			e.url, e.function = p.name+"URL", "New"+p.name+"Client"
			continue
		}
		n := g.pkg.pick(g.pkg.unique("port "+clark(e.service.Name)+"/"+e.port.Name), local, exported(e.service.Name.Local)+local)
		e.url, e.function = n+"URL", "New"+n+"Client"
	}
}

// first returns the endpoint that calls go to unless the program says
// otherwise: the first of a version; of any, SOAP 1.1 before 1.2, for zero. It
// is nil if there is none.
func (p *portT) first(v wsdl.SOAPVersion) *endpoint {
	var found *endpoint
	for _, e := range p.ends {
		switch ev := e.port.Binding.Version; {
		case v != 0 && ev != v:
		case found == nil, ev < found.port.Binding.Version:
			found = e
		}
	}
	return found
}

// speaks reports whether a binding of p is of that version.
func (p *portT) speaks(v wsdl.SOAPVersion) bool {
	return slices.ContainsFunc(p.bindings, func(b *wsdl.Binding) bool { return b.Version == v })
}

// versions is what p speaks, for people.
func (p *portT) versions() string {
	var all []string
	for _, v := range []wsdl.SOAPVersion{wsdl.SOAP11, wsdl.SOAP12} {
		if p.speaks(v) {
			all = append(all, v.String())
		}
	}
	return strings.Join(all, " and ")
}

// served returns the operations that a server can have.
func (p *portT) served() []*operation {
	return slices.DeleteFunc(slices.Clone(p.ops), func(op *operation) bool { return op.clientOnly })
}

// called is what p is, for people.
func (p *portT) called() string {
	if p.second {
		return p.pt.Name.Local + " as bound by " + p.bindings[0].Name.Local
	}
	return p.pt.Name.Local
}
