package wsdl

import "strings"

// define does pass 2: it builds every component of the description.
func (l *loader) define(main *loaded) *Definitions {
	d := &Definitions{
		URI: main.doc.URI, Name: main.root.get("name"), TargetNamespace: main.root.get("targetNamespace"),
		Doc: doc(main.root), Documents: l.order,
	}
	// Built-in schemas join the list while types refer to them.
	for i := 0; i < len(l.list); i++ {
		switch sym := l.list[i]; sym.key.kind {
		case kindType:
			l.typeOf(sym)
		case kindElement:
			l.elementOf(sym)
		case kindAttribute:
			l.attributeOf(sym)
		}
		l.drain()
	}
	messages := map[*symbol]*Message{}
	portTypes := map[*symbol]*PortType{}
	bindings := map[*symbol]*Binding{}
	for _, sym := range l.list {
		if sym.key.kind == kindMessage {
			var m *Message
			found := l.capture(func() { m = l.message(sym) })
			m.probs = found
			messages[sym] = m
		}
	}
	for _, sym := range l.list {
		if sym.key.kind == kindPortType {
			pt := l.portType(sym, messages)
			portTypes[sym] = pt
			d.PortTypes = append(d.PortTypes, pt)
		}
	}
	for _, sym := range l.list {
		if sym.key.kind == kindBinding {
			var b *Binding
			l.drop(l.capture(func() { b = l.binding(sym, messages, portTypes) }))
			if b != nil {
				bindings[sym] = b
				d.Bindings = append(d.Bindings, b)
			}
		}
	}
	for _, sym := range l.list {
		if sym.key.kind == kindService {
			d.Services = append(d.Services, l.service(sym, bindings))
		}
	}
	l.attachPolicies(d)
	l.drain() // types of parts
	l.substitutions()
	for _, sym := range l.list {
		switch {
		case sym.key.kind == kindType && sym.typ != nil:
			d.Types = append(d.Types, sym.typ)
		case sym.key.kind == kindElement && sym.elem != nil:
			d.Elements = append(d.Elements, sym.elem)
		}
	}
	d.Warnings = l.warn.list
	d.Dropped = l.dropped
	bound := 0
	for _, b := range d.Bindings {
		bound += len(b.Operations)
	}
	if bound == 0 || !l.r.AllowBroken {
		l.broken = bound > 0 && len(l.probs.list) == 0 && len(l.dropped) > 0
		for _, p := range l.dropped {
			l.probs.add(p.Pos, p.Err, "%s", p.Text)
		}
	}
	return d
}

// capture runs f and returns the problems it found, without recording them.
func (l *loader) capture(f func()) []Problem {
	saved := l.probs
	l.probs = problems{}
	f()
	found := l.probs.list
	l.probs = saved
	return found
}

// drop records why an operation of a SOAP binding cannot be used.
func (l *loader) drop(ps []Problem) {
	for _, p := range ps {
		if len(l.dropped) < maxDropped {
			l.dropped = append(l.dropped, p)
		}
	}
}

func (l *loader) dropOperation(op *Operation, ps []Problem) {
	for _, p := range ps {
		p.Text = "operation " + clip(op.Name) + ": " + p.Text
		l.drop([]Problem{p})
	}
}

// substitutions tells each head of a substitution group its members.
func (l *loader) substitutions() {
	for _, sym := range l.list {
		if sym.key.kind != kindElement || sym.elem == nil {
			continue
		}
		seen := map[*Element]bool{sym.elem: true}
		h := sym.elem.Head
		for ; h != nil && !seen[h]; h = h.Head {
			seen[h] = true
			h.Members = append(h.Members, sym.elem)
		}
		if h == sym.elem {
			l.probs.add(sym.elem.Pos, nil, "element %s is in its own substitution group", sym.elem.Name)
		}
	}
}

func (l *loader) message(sym *symbol) *Message {
	m := &Message{Name: sym.key.name, Doc: doc(sym.node), Pos: sym.node.pos, node: sym.node}
	for _, n := range sym.node.kids {
		if (n.name != QName{nsWSDL, "part"}) {
			continue
		}
		p := &Part{Name: n.get("name"), Pos: n.pos}
		if ref, ok := n.attr("element"); ok {
			es := l.find(kindElement, n, nil, ref)
			if es == nil {
				continue
			}
			p.Element = l.elementOf(es)
		} else if ref, ok := n.attr("type"); ok {
			if p.Type = l.typeRef(n, nil, ref); p.Type == nil {
				continue
			}
		} else {
			l.probs.add(n.pos, nil, "part %q of message %s has neither element nor type", clip(p.Name), m.Name)
			continue
		}
		m.Parts = append(m.Parts, p)
	}
	return m
}

func (l *loader) portType(sym *symbol, messages map[*symbol]*Message) *PortType {
	pt := &PortType{Name: sym.key.name, Doc: doc(sym.node), Pos: sym.node.pos, node: sym.node}
	for _, n := range sym.node.kids {
		if (n.name != QName{nsWSDL, "operation"}) {
			continue
		}
		op := &Operation{Name: n.get("name"), Doc: doc(n), Pos: n.pos, node: n, ParameterOrder: strings.Fields(n.get("parameterOrder"))}
		if op.Name == "" {
			l.probs.add(n.pos, nil, "operation without name")
			continue
		}
		op.probs = l.capture(func() { l.messagesOf(op, n, messages) })
		for _, m := range []*Message{op.Input, op.Output} {
			if m != nil {
				op.probs = append(op.probs, m.probs...)
			}
		}
		for _, f := range op.Faults {
			op.probs = append(op.probs, f.Message.probs...)
		}
		pt.Operations = append(pt.Operations, op)
	}
	return pt
}

func (l *loader) messagesOf(op *Operation, n *node, messages map[*symbol]*Message) {
	for _, k := range n.kids {
		if k.name.Space != nsWSDL {
			continue
		}
		switch k.name.Local {
		case "input":
			op.Input = l.messageOf(k, messages)
		case "output":
			op.Output = l.messageOf(k, messages)
		case "fault":
			if m := l.messageOf(k, messages); m != nil {
				op.Faults = append(op.Faults, &FaultMessage{Name: k.get("name"), Message: m})
			}
		}
	}
}

// messageOf returns a copy of the message n refers to, with the label given there.
func (l *loader) messageOf(n *node, messages map[*symbol]*Message) *Message {
	ref, ok := n.attr("message")
	if !ok {
		l.probs.add(n.pos, nil, "wsdl:%s without message", n.name.Local)
		return nil
	}
	sym := l.find(kindMessage, n, nil, ref)
	if sym == nil {
		return nil
	}
	m := *messages[sym]
	m.Label, m.use = n.get("name"), n
	if s := doc(n); s != "" {
		m.Doc = s
	}
	return &m
}

func (l *loader) service(sym *symbol, bindings map[*symbol]*Binding) *Service {
	s := &Service{Name: sym.key.name, Doc: doc(sym.node), Pos: sym.node.pos}
	for _, n := range sym.node.kids {
		if (n.name != QName{nsWSDL, "port"}) {
			continue
		}
		var bs *symbol
		for _, p := range l.capture(func() { bs = l.find(kindBinding, n, nil, n.get("binding")) }) {
			l.warn.add(p.Pos, p.Err, "%s", p.Text)
		}
		if bs == nil || bindings[bs] == nil {
			continue
		}
		p := &Port{Name: n.get("name"), Doc: doc(n), Pos: n.pos, Binding: bindings[bs]}
		for _, k := range n.kids {
			if k.name.Local == "address" {
				p.Location = k.get("location")
			}
		}
		p.node = n
		s.Ports = append(s.Ports, p)
	}
	return s
}

func (l *loader) binding(sym *symbol, messages map[*symbol]*Message, portTypes map[*symbol]*PortType) *Binding {
	n := sym.node
	ps := l.find(kindPortType, n, nil, n.get("type"))
	if ps == nil {
		return nil
	}
	b := &Binding{Name: sym.key.name, Doc: doc(n), Pos: n.pos, PortType: portTypes[ps], node: n}
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
	taken := map[*Operation]bool{}
	for _, k := range n.kids {
		if (k.name != QName{nsWSDL, "operation"}) {
			continue
		}
		op := matchOperation(b.PortType, k, taken)
		if op == nil {
			l.probs.add(k.pos, nil, "port type %s has no operation %q", b.PortType.Name, clip(k.get("name")))
			continue
		}
		taken[op] = true
		if b.Version == NotSOAP {
			continue
		}
		if len(op.probs) > 0 {
			l.dropOperation(op, op.probs)
			continue
		}
		var bo *BoundOperation
		if found := l.capture(func() { bo = l.bound(op, k, space, style, messages) }); len(found) > 0 {
			l.dropOperation(op, found)
			continue
		}
		setActions(bo, b.PortType.Name)
		b.Operations = append(b.Operations, bo)
	}
	return b
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
		l.probs.add(n.pos, nil, "style %q is neither document nor rpc", clip(v))
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
		l.probs.add(n.pos, nil, "use %q is neither literal nor encoded", clip(v))
		return Literal
	}
}

func (l *loader) boundMessage(m *Message, n *node, space string, messages map[*symbol]*Message) *BoundMessage {
	bm := &BoundMessage{Message: m}
	header := map[string]bool{}
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
				if k.name.Local == "multipartRelated" {
					bm.Multipart = true
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
		if only != nil && !only[p.Name] || only == nil && header[p.Name] {
			continue
		}
		bm.Body = append(bm.Body, p)
	}
	return bm
}

// header adds a soap:header. own collects the parts of the message itself that
// travel as headers.
//
// A header that refers to nothing is a warning: a program can still send the
// block by hand.
func (l *loader) header(bm *BoundMessage, n *node, messages map[*symbol]*Message, own map[string]bool) {
	var sym *symbol
	for _, p := range l.capture(func() { sym = l.find(kindMessage, n, nil, n.get("message")) }) {
		l.warn.add(p.Pos, p.Err, "header is ignored: %s", p.Text)
	}
	if sym == nil {
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
