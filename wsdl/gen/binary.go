package gen

import (
	"strings"

	"github.com/soapward/soapward/wsdl"
)

// swaRef is the type of a reference to an attachment. Attachments Profile 1.0
// 4.4.
var swaRef = wsdl.QName{Space: "http://ws-i.org/profiles/basic/1.1/xsd", Local: "swaRef"}

const goBinary = "wire.Binary"

// elementValue says how the content of an element appears in Go. Encoded
// messages have no binaries of their own kind.
func (g *generator) elementValue(e *wsdl.Element, encoded bool) *value {
	v := g.valueOf(e.Type, encoded)
	if encoded {
		return v
	}
	for t := e.Type; t != nil && !t.Complex; t = t.Base {
		if t.Name == swaRef {
			return &value{kind: refValue, goType: goBinary}
		}
	}
	if v.base64 && (g.stream || e.ContentTypes != "") {
		return &value{kind: binaryValue, goType: goBinary}
	}
	return v
}

// contentValue is elementValue for the simple content of a complex type, such
// as xmime:base64Binary.
func (g *generator) contentValue(t *wsdl.Type) *value {
	v := g.simpleValue(t, t.Simple)
	if v.base64 && (g.stream || g.media[t]) {
		return &value{kind: binaryValue, goType: goBinary}
	}
	return v
}

// noteMedia remembers that the content of a type with attributes is expected
// to be of some media type.
func (g *generator) noteMedia(e *wsdl.Element) {
	if e != nil && e.ContentTypes != "" && e.Type.Complex {
		g.media[e.Type] = true
	}
}

// notePolicy remembers that a service takes MTOM.
func (g *generator) notePolicy(bo *wsdl.BoundOperation) {
	if bo.Policy != nil && bo.Policy.MTOM {
		g.stream = true
	}
}

// withAttachments adds fields for attachments to the struct of a message. A
// message that has no struct of its own gets one around its body.
func (g *generator) withAttachments(p *portT, op *operation, m *wsdl.BoundMessage, r *message, reply bool) {
	if len(m.Attached) == 0 {
		return
	}
	s := r.st
	if s == nil {
		s = g.messageStruct(p, op, reply)
		if r.goType != "wire.Empty" {
			f := &field{kind: bodyField, val: &value{goType: r.goType}}
			f.name = s.names.pick(s.names.unique("body"), exported(m.Body[0].Name))
			if e := m.Body[0].Element; e != nil {
				f.doc = "the element " + e.Name.Local
			}
			s.fields = append(s.fields, f)
		}
		r.goType = g.ref(s.pkg, s.name)
	}
	for _, a := range m.Attached {
		f := &field{kind: attachedField, elem: wsdl.QName{Local: a.Part.Name}, val: &value{kind: binaryValue, goType: goBinary}}
		f.doc = strings.TrimSuffix("attachment, "+strings.Join(a.Types, " or "), ", ")
		f.name = s.takeField("attachment "+a.Part.Name, exported(a.Part.Name))
		s.fields = append(s.fields, f)
	}
}

// messageStruct makes the struct of the parts of a message.
func (g *generator) messageStruct(p *portT, op *operation, reply bool) *structT {
	base, direction, what := op.method, "input", "request"
	if reply {
		base, direction, what = base+"Response", "output", "answer"
	}
	s := &structT{built: true, pkg: g.root}
	g.nameStruct(s, direction+" of "+p.key+"/"+op.key, base, p.name+base, base+"Message")
	s.doc = []string{s.name + " is the " + what + " of the operation " + op.op.Name + ", with a field for each part."}
	g.order = append(g.order, s)
	return s
}

// body is the field that the whole body of a message is, apart from
// attachments; nil for other structs.
func (s *structT) body() *field {
	if len(s.fields) > 0 && s.fields[0].kind == bodyField {
		return s.fields[0]
	}
	return nil
}

// readAttached writes the statements that find attachments.
func (g *generator) readAttached(s *structT) {
	for _, f := range s.fields {
		if f.kind == attachedField {
			g.p("\tx.%s = r.Part(%q)", f.name, f.elem.Local)
		}
	}
}

// writeAttached writes the statements that attach them.
func (g *generator) writeAttached(s *structT) {
	for _, f := range s.fields {
		if f.kind == attachedField {
			g.p("\tw.Part(%q, x.%s)", f.elem.Local, f.name)
		}
	}
}
