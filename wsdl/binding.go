package wsdl

import (
	"strings"
)

func (l *loader) binding(sym *symbol, messages map[*symbol]*Message, portTypes map[*symbol]*PortType) *Binding {
	n := sym.node
	b := &Binding{Name: sym.key.name, Doc: doc(n), Pos: n.pos, node: n}
	style, space := DocumentStyle, ""
	for _, k := range n.kids {
		if k.name.Local == "binding" && (k.name.Space == nsSOAP11 || k.name.Space == nsSOAP12) {
			space = k.name.Space
			b.Version = SOAP11
			if space == nsSOAP12 {
				b.Version = SOAP12
			}
			b.Transport = k.get("transport")
			style = l.style(k, DocumentStyle)
		}
	}
	ps, _, why := l.find(kindPortType, n, nil, n.get("type"))
	if ps == nil {
		if b.Version != NotSOAP {
			l.drop(n.pos, "binding %s: %s", clip(b.Name.Local), why)
		}
		return nil
	}
	b.PortType = portTypes[ps]
	taken := map[*Operation]bool{}
	for _, k := range n.kids {
		if (k.name != QName{nsWSDL, "operation"}) {
			continue
		}
		op := matchOperation(b.PortType, k, taken)
		switch {
		case b.Version == NotSOAP:
			continue
		case op == nil:
			l.drop(k.pos, "operation %s: port type %s has no such operation", clip(k.get("name")), b.PortType.Name)
			continue
		case len(op.lost) > 0:
			for _, p := range op.lost {
				l.drop(p.Pos, "operation %s: %s", clip(op.Name), p.Text)
			}
			continue
		}
		taken[op] = true
		l.warnOf(op)
		bo := l.bound(op, k, space, style, messages)
		setActions(bo, b.PortType.Name)
		b.Operations = append(b.Operations, bo)
	}
	return b
}

// warnOf passes on what is odd about the messages of an operation.
func (l *loader) warnOf(op *Operation) {
	all := []*Message{op.Input, op.Output}
	for _, f := range op.Faults {
		all = append(all, f.Message)
	}
	for _, m := range all {
		if m == nil {
			continue
		}
		for _, p := range m.warns {
			l.unresolved++
			l.warn.add(p.Pos, p.Err, "operation %s: %s", clip(op.Name), p.Text)
		}
	}
}

func (l *loader) style(n *node, def Style) Style {
	switch v := n.get("style"); v {
	case "":
		return def
	case "document":
		return DocumentStyle
	case "rpc":
		return RPCStyle
	default:
		l.warn.add(n.pos, nil, "style %q is neither document nor rpc; %s is taken", clip(v), def)
		return def
	}
}

// matchOperation finds the operation a binding means. Overloads are told apart
// by the names of their input and output (WSDL 1.1 2.5).
func matchOperation(pt *PortType, n *node, taken map[*Operation]bool) *Operation {
	name := n.get("name")
	label := func(local string) string {
		if k := n.child(nsWSDL, local); k != nil {
			return k.get("name")
		}
		return ""
	}
	in, out := label("input"), label("output")
	var first, free *Operation
	for _, op := range pt.Operations {
		if op.Name != name {
			continue
		}
		if first == nil {
			first = op
		}
		if free == nil && !taken[op] {
			free = op
		}
		okIn := in == "" || op.Input == nil || op.Input.Label == in
		okOut := out == "" || op.Output == nil || op.Output.Label == out
		if okIn && okOut && !taken[op] {
			return op
		}
	}
	if free != nil {
		return free
	}
	return first
}

func (l *loader) bound(op *Operation, n *node, space string, style Style, messages map[*symbol]*Message) *BoundOperation {
	bo := &BoundOperation{Operation: op, Pos: n.pos, Style: style, bound: n}
	if k := n.child(space, "operation"); k != nil {
		bo.Action = k.get("soapAction")
		bo.Style = l.style(k, style)
	}
	if op.Input != nil {
		bo.In = l.boundMessage(op.Input, n.child(nsWSDL, "input"), space, messages)
	}
	if op.Output != nil {
		bo.Out = l.boundMessage(op.Output, n.child(nsWSDL, "output"), space, messages)
	}
	for _, f := range op.Faults {
		bf := &BoundFault{FaultMessage: f}
		for _, k := range n.kids {
			if (k.name == QName{nsWSDL, "fault"}) && k.get("name") == f.Name {
				if sf := k.child(space, "fault"); sf != nil {
					bf.Use, bf.Namespace = l.useOf(sf), sf.get("namespace")
				}
			}
		}
		bo.Faults = append(bo.Faults, bf)
	}
	bo.Wrapped = wrapped(bo)
	return bo
}

func (l *loader) useOf(n *node) Use {
	switch v := n.get("use"); v {
	case "", "literal":
		return Literal
	case "encoded":
		return Encoded
	default:
		l.warn.add(n.pos, nil, "use %q is neither literal nor encoded; literal is taken", clip(v))
		return Literal
	}
}

func (l *loader) boundMessage(m *Message, n *node, space string, messages map[*symbol]*Message) *BoundMessage {
	bm := &BoundMessage{Message: m}
	header := map[string]bool{}
	attached := map[string]*Attached{}
	var body *node
	var walk func(n *node, depth int)
	walk = func(n *node, depth int) {
		for _, k := range n.kids {
			switch {
			case k.name == QName{space, "body"}:
				if body == nil {
					body = k
				}
			case k.name == QName{space, "header"}:
				l.header(bm, k, messages, header)
			case k.name.Space == nsMIME && depth < 3:
				switch k.name.Local {
				case "multipartRelated":
					bm.Multipart = true
				case "content":
					if bm.Multipart {
						addContent(attached, k)
					}
				}
				walk(k, depth+1)
			}
		}
	}
	if n != nil {
		walk(n, 0)
	}
	var only map[string]bool
	if body != nil {
		bm.Use = l.useOf(body)
		bm.Namespace = body.get("namespace")
		if parts, ok := body.attr("parts"); ok {
			only = map[string]bool{}
			for _, p := range strings.Fields(parts) {
				only[p] = true
			}
		}
	}
	for _, p := range m.Parts {
		if a := attached[p.Name]; a != nil && !only[p.Name] {
			a.Part = p
			bm.Attached = append(bm.Attached, a)
			continue
		}
		if only != nil && !only[p.Name] || only == nil && header[p.Name] {
			continue
		}
		bm.Body = append(bm.Body, p)
	}
	return bm
}

// addContent notes a mime:content. Several for one part are alternatives (WSDL
// 1.1 5.1).
func addContent(attached map[string]*Attached, n *node) {
	name := n.get("part")
	a := attached[name]
	if a == nil {
		a = &Attached{}
		attached[name] = a
	}
	if t := n.get("type"); t != "" && t != "*/*" && len(a.Types) < maxMediaTypes {
		a.Types = append(a.Types, t)
	}
}

const maxMediaTypes = 16 // of one attachment

// header adds a soap:header. own collects the parts of the message itself that
// travel as headers.
//
// A header that refers to nothing is a warning: a program can still send the
// block by hand.
func (l *loader) header(bm *BoundMessage, n *node, messages map[*symbol]*Message, own map[string]bool) {
	sym, _, why := l.find(kindMessage, n, nil, n.get("message"))
	if sym == nil {
		l.absent(n, why, "the header is ignored")
		return
	}
	name := n.get("part")
	for _, p := range messages[sym].Parts {
		if p.Name == name {
			bm.Headers = append(bm.Headers, &Header{Message: sym.key.name, Part: p, Use: l.useOf(n), Namespace: n.get("namespace")})
			if sym.key.name == bm.Message.Name {
				own[name] = true
			}
			return
		}
	}
	l.warn.add(n.pos, nil, "header is ignored: message %s has no part %q", sym.key.name, clip(name))
}

// wrapped recognises the document/literal wrapped convention.
func wrapped(bo *BoundOperation) bool {
	if bo.Style != DocumentStyle || bo.In == nil || bo.In.Use != Literal || len(bo.In.Body) != 1 {
		return false
	}
	e := bo.In.Body[0].Element
	if e == nil || e.Name.Local != bo.Name || !e.Type.Complex || e.Type.Simple != nil || len(e.Type.Attributes) > 0 {
		return false
	}
	c := e.Type.Content
	if c == nil {
		return true
	}
	if c.Kind != Sequence || c.Repeats() {
		return false
	}
	for _, k := range c.Children {
		if k.Kind != ElementParticle {
			return false
		}
	}
	return true
}
