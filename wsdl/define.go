package wsdl

import (
	"fmt"
	"slices"
	"strings"
)

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
			warns := l.captureWarnings(func() { m = l.message(sym) })
			m.warns = warns // said if an operation uses it
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
			if b := l.binding(sym, messages, portTypes); b != nil {
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
	d.Dropped = l.dropped
	bound := 0
	for _, b := range d.Bindings {
		bound += len(b.Operations)
	}
	if bound == 0 {
		for _, p := range l.dropped {
			l.probs.add(p.Pos, p.Err, "%s", p.Text)
		}
	}
	l.judgeMissing(bound > 0)
	d.Warnings = l.warn.list
	return d
}

// judgeMissing decides whether documents that could not be read are mistakes.
func (l *loader) judgeMissing(usable bool) {
	if l.unresolved == 0 && len(l.dropped) == 0 || l.r.AllowBroken {
		for _, p := range l.missing {
			l.warn.add(p.Pos, p.Err, "%s", p.Text)
		}
		return
	}
	if len(l.missing) == 0 {
		return
	}
	l.broken = usable && len(l.probs.list) == 0
	others := l.probs
	l.probs = problems{}
	for _, p := range slices.Concat(l.missing, others.list) { // the cause first
		l.probs.add(p.Pos, p.Err, "%s", p.Text)
	}
	l.probs.more += others.more
}

// captureWarnings runs f and returns what it warns of, without recording that.
func (l *loader) captureWarnings(f func()) []Problem {
	warn, unresolved := l.warn, l.unresolved
	l.warn = problems{}
	f()
	found := l.warn.list
	l.warn, l.unresolved = warn, unresolved
	return found
}

// drop records why an operation of a SOAP binding cannot be used.
func (l *loader) drop(pos Position, format string, args ...any) {
	p := Problem{Pos: pos, Text: fmt.Sprintf(format, args...)}
	if len(l.dropped) < maxDropped && !slices.Contains(l.dropped, p) { // several bindings have the operation
		l.dropped = append(l.dropped, p)
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
			if p.Element = l.elementRef(n, nil, ref); p.Element == nil {
				continue
			}
		} else if ref, ok := n.attr("type"); ok {
			p.Type = l.typeRef(n, nil, ref)
		} else {
			l.absent(n, fmt.Sprintf("part %q of message %s has neither element nor type", clip(p.Name), m.Name), anyXML)
		}
		if p.Element == nil && p.Type == nil {
			p.Type = l.types[QName{nsXSD, xsdAnyType}]
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
			l.warn.add(n.pos, nil, "operation without name is ignored")
			continue
		}
		l.messagesOf(op, n, messages)
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
			op.Input = l.messageOf(op, k, messages)
		case "output":
			op.Output = l.messageOf(op, k, messages)
		case "fault":
			if m := l.messageOf(op, k, messages); m != nil {
				op.Faults = append(op.Faults, &FaultMessage{Name: k.get("name"), Message: m})
			}
		}
	}
}

// messageOf returns a copy of the message n refers to, with the label given
// there. An operation is lost without its message, unless that is of a fault.
func (l *loader) messageOf(op *Operation, n *node, messages map[*symbol]*Message) *Message {
	ref := n.get("message")
	if ref == "" {
		l.warn.add(n.pos, nil, "operation %s: wsdl:%s without message is taken for an empty one", clip(op.Name), n.name.Local)
		return &Message{Name: QName{targetNamespace(n, nil), op.Name}, Label: n.get("name"), Pos: n.pos, node: n, use: n}
	}
	sym, _, why := l.find(kindMessage, n, nil, ref)
	switch {
	case sym != nil:
	case n.name.Local == "fault":
		l.absent(n, "operation "+clip(op.Name)+": "+why, "the fault is ignored")
		return nil
	default:
		op.lost = append(op.lost, Problem{Pos: n.pos, Text: why})
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
		bs, _, why := l.find(kindBinding, n, nil, n.get("binding"))
		if bs == nil {
			l.absent(n, why, "the port is ignored")
			continue
		}
		if bindings[bs] == nil {
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
