package message

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/wsdl"
)

// Body is what the SOAP body of one direction of an operation may hold.
type Body struct {
	s *schema

	// elem is the element in the body. If bare is set, the body itself is
	// described as if it were one, because it holds none or several.
	elem *wsdl.Element
	bare bool

	anyName bool // the name of the element means nothing (SOAP 1.1 7.1)
	encoded bool
}

func newBody(s *schema, op *wsdl.BoundOperation, m *wsdl.BoundMessage, reply bool) *Body {
	b := &Body{s: s, encoded: m.Use == wsdl.Encoded}
	if b.encoded {
		b.s = s.forEncoded()
	}
	seq := &wsdl.Particle{Kind: wsdl.Sequence, Min: 1, Max: 1}
	for _, p := range m.Body {
		e := p.Element
		if e == nil {
			// Part accessors have no namespace (WS-I Basic Profile 1.1 R2735).
			// Those without a value may be nil when they are encoded.
			e = &wsdl.Element{Name: wsdl.QName{Local: p.Name}, Type: p.Type, Nillable: b.encoded}
		}
		seq.Children = append(seq.Children, &wsdl.Particle{Kind: wsdl.ElementParticle, Min: 1, Max: 1, Element: e})
	}
	t := &wsdl.Type{Complex: true, Content: seq}
	switch {
	case op.Style == wsdl.RPCStyle: // WSDL 1.1 3.5
		name := op.Name
		if reply {
			name += "Response"
		}
		b.anyName = reply
		b.elem = &wsdl.Element{Name: wsdl.QName{Space: m.Namespace, Local: name}, Type: t}
	case len(m.Body) == 1 && m.Body[0].Element != nil:
		b.elem = m.Body[0].Element
	default:
		if len(m.Body) == 1 { // the type is that of the body
			t = m.Body[0].Type
		}
		b.bare = true
		b.elem = &wsdl.Element{Name: wsdl.QName{Local: "Body"}, Type: t}
	}
	return b
}

// Name returns the name of the element in the body, the zero Name if the body
// does not hold just one.
func (b *Body) Name() xml.Name {
	if b.bare {
		return xml.Name{}
	}
	return xml.Name(b.elem.Name)
}

// Request is a body to send, with the header blocks that came with it.
type Request struct {
	Body    wire.Raw
	Headers []soap.Header
	Version soap.Version // of the envelope it came in; zero for none
}

// FromJSON makes a request of JSON. An error names the place in it.
func (b *Body) FromJSON(data []byte) (*Request, error) {
	v, err := parseJSON(data)
	if err != nil {
		return nil, err
	}
	return b.encode(v)
}

func (b *Body) encode(v *value) (*Request, error) { return b.encodeFrom(v, false) }

// encodeFrom writes v, which may be made of arguments, as the body.
func (b *Body) encodeFrom(v *value, args bool) (*Request, error) {
	// An object that holds the element itself is understood too.
	if v.kind == object && len(v.members) == 1 && v.members[0].key == b.elem.Name.Local && !b.bare && !b.has(v.members[0].key) {
		v = v.members[0].val
	}
	x := &encoder{s: b.s, w: wire.NewWriter(nil), encoded: b.encoded, args: args}
	if b.encoded {
		x.w.Encoded(false)
	}
	x.w.Start(xml.Name{Local: "x"})
	if b.bare {
		switch v.kind {
		case null:
			v = &value{kind: object}
		case object:
		default:
			return nil, fmt.Errorf("message: the message is %s, but must be an object", v.kind)
		}
		sp := x.split(v, nil, b.elem.Type)
		x.content(b.elem.Type, &sp)
	} else {
		if b.encoded {
			x.w.NextAttr(xml.Name{Space: soapEnvelope11, Local: "encodingStyle"}, soapEncoding11)
		}
		x.element(b.elem, v)
	}
	x.w.End()
	if err := cmp.Or(x.err, x.lack); err != nil {
		return nil, err
	}
	doc, err := x.w.Bytes()
	if err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	r := wire.NewReader(doc, ample(len(doc)))
	r.Next()
	body := r.Content()
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	return &Request{Body: body}, nil
}

// has reports whether the element in the body has a child of that key.
func (b *Body) has(key string) bool {
	t := b.elem.Type
	if t == nil || t.Simple != nil || isAny(t) {
		return false
	}
	return b.s.shapeOf(t).byKey[key] != nil
}

// ample are limits for what the user gave, which is in memory already.
func ample(size int) wire.Options {
	n := size + 1024
	return wire.Options{Limits: wire.Limits{
		Bytes: 8 * int64(n), Depth: 2 * maxJSONDepth, Elements: n, Attributes: n, Namespaces: n, Name: n,
	}}
}

// FromXML makes a request of XML: of the element in the body, of which only the
// name is compared with the description, or of a whole envelope, of which nothing
// is.
func (b *Body) FromXML(data []byte) (*Request, error) {
	r := wire.NewReader(data, ample(len(data)))
	if r.Next() != wire.Start {
		return nil, fmt.Errorf("message: %w", r.Err())
	}
	for _, v := range []soap.Version{soap.V11, soap.V12} {
		if r.Is(v.Namespace(), "Envelope") {
			return fromEnvelope(data)
		}
	}
	if b.bare {
		return b.fromContent(r)
	}
	if r.Name() != b.Name() {
		return nil, fmt.Errorf("message: the element in the body must be %s, not %s", clark(b.Name()), clark(r.Name()))
	}
	raw := r.Raw()
	if r.Err() == nil && r.Next() != wire.EOF {
		return nil, errors.New("message: more than one element")
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	return &Request{Body: raw}, nil
}

// fromContent takes an element Body that stands for the body itself.
func (b *Body) fromContent(r *wire.Reader) (*Request, error) {
	if r.Local() != "Body" {
		return nil, errors.New("message: the body does not hold one element: give <Body> with its content, or a whole envelope")
	}
	raw := r.Content()
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	return &Request{Body: raw}, nil
}

func fromEnvelope(data []byte) (*Request, error) {
	m, err := soap.Read(wire.NewReader(data, ample(len(data))))
	if err != nil {
		return nil, fmt.Errorf("message: read the envelope: %w", err)
	}
	raw, err := m.Raw()
	if err != nil {
		return nil, fmt.Errorf("message: read the envelope: %w", err)
	}
	return &Request{Body: raw, Headers: m.Headers, Version: m.Version}, nil
}

// JSON returns the content of a body as JSON. What the description does not
// know is in it as XML.
func (b *Body) JSON(body wire.Raw) ([]byte, error) {
	v, err := b.decode(body)
	if err != nil {
		return nil, err
	}
	return v.json(), nil
}

func (b *Body) decode(body wire.Raw) (*value, error) {
	if b.encoded {
		inlined, err := inline(body)
		if err != nil {
			return nil, err
		}
		body, b.s.gaps = inlined, 0
	}
	r := body.Reader(wire.Options{})
	v := &value{kind: object}
	if b.bare {
		b.s.readBare(r, b.elem.Type, v)
	} else if r.Child() {
		if r.Name() == b.Name() || b.anyName || r.Local() == b.elem.Name.Local {
			v = b.s.readElement(r, b.elem.Type)
		} else {
			v.add("#any", &value{kind: array, items: []*value{{kind: text, text: r.Raw().String()}}})
		}
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("message: read the body: %w", err)
	}
	return v, nil
}

// readBare reads the body itself as if it were an element.
func (s *schema) readBare(r *wire.Reader, t *wsdl.Type, v *value) {
	if isAny(t) {
		s.readAny(r, v)
	} else {
		s.readComplex(r, t, v)
	}
}

// anyJSON returns XML as JSON: each element that the schema knows by that, and
// others as XML.
func (s *schema) anyJSON(content string) ([]byte, error) {
	raw, err := wire.ParseRaw(content)
	if err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	v := &value{kind: object}
	if t := strings.TrimSpace(raw.Text()); t != "" {
		v.add("#text", &value{kind: text, text: t})
	}
	var unknown []*value
	for r := raw.Reader(wire.Options{}); r.Child(); {
		e := s.elements[r.Name()]
		if e == nil || v.get(e.Name.Local) != nil {
			unknown = append(unknown, &value{kind: text, text: r.Raw().String()})
			continue
		}
		v.add(e.Name.Local, s.readElement(r, e.Type))
	}
	if len(unknown) > 0 {
		v.add("#any", &value{kind: array, items: unknown})
	}
	return v.json(), nil
}

const (
	soapEnvelope11 = "http://schemas.xmlsoap.org/soap/envelope/"
	soapEncoding11 = "http://schemas.xmlsoap.org/soap/encoding/"
)
