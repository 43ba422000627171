package soap

import (
	"encoding/xml"
	"errors"
	"fmt"
	"slices"

	"github.com/soapward/soapward/soap/wire"
)

// ErrVersion means that a message is not an envelope of SOAP 1.1 or 1.2.
var ErrVersion = errors.New("soap: not a SOAP 1.1 or 1.2 envelope")

// Errors that say where an envelope is not built as it must be.
var (
	errHeaderPlace = errors.New("header not in front of the body, or twice")
	errNoBody      = errors.New("envelope without body")
	errAfterBody   = errors.New("element after the body")
	errSecond      = errors.New("more than one element in the body")
	errNoElement   = errors.New("no element in the body")
)

// Message is a received envelope, read up to the start of its body. It is for
// one goroutine at a time.
type Message struct {
	Version Version
	Headers []Header
	Body    xml.Name // first element in the body; zero if there is none

	// Encoded makes Decode and Fault read SOAP encoding: references are
	// followed, and behind the first element of the body others may stand for
	// them to lead to (SOAP 1.1 5.1). It is that of the Operation; Read leaves
	// it false.
	Encoded bool

	r *wire.Reader // at the start of Body
}

// Read reads an envelope up to its body. r must be fresh.
func Read(r *wire.Reader) (*Message, error) {
	if r.Next() != wire.Start {
		return nil, r.Err()
	}
	m := &Message{r: r}
	switch {
	case r.Is(space11, "Envelope"):
		m.Version = V11
	case r.Is(space12, "Envelope"):
		m.Version = V12
	default:
		return nil, fmt.Errorf("%w: %s at %s", ErrVersion, clark(r.Name()), r.Pos())
	}
	env := m.Version.Namespace()
	for headers := false; r.Child(); {
		switch {
		case r.Is(env, "Body"):
			m.Body, _ = r.Peek()
			return m, r.Err()
		case r.Is(env, "Header") && !headers:
			headers = true
			m.readHeaders(env)
		default:
			r.Fail(errHeaderPlace)
		}
	}
	r.Fail(errNoBody)
	return nil, r.Err()
}

func (m *Message) readHeaders(env string) {
	r := m.r
	for r.Child() {
		h := Header{Name: xml.Name{Space: r.Keep(r.Space()), Local: r.Keep(r.Local())}}
		h.MustUnderstand = isTrue(r, env, "mustUnderstand")
		h.Relay = isTrue(r, env, "relay")
		role := "actor"
		if m.Version == V12 {
			role = "role"
		}
		s, _ := r.Attr(env, role)
		h.Role = r.Keep(s)
		h.Raw = r.Raw()
		m.Headers = append(m.Headers, h)
	}
}

// isTrue reads a boolean attribute. Anything but a clear no is a yes: a block
// must not lose its mustUnderstand by being misspelt.
func isTrue(r *wire.Reader, space, local string) bool {
	switch s, ok := r.Attr(space, local); {
	case !ok, s == "0", s == "false":
		return false
	default:
		return true
	}
}

// Header returns the first header block of that name.
func (m *Message) Header(name xml.Name) (*Header, bool) {
	for i := range m.Headers {
		if m.Headers[i].Name == name {
			return &m.Headers[i], true
		}
	}
	return nil, false
}

// IsFault reports whether the body is a fault.
func (m *Message) IsFault() bool {
	return m.Body == xml.Name{Space: m.Version.Namespace(), Local: "Fault"}
}

// Decode reads v from the one element of the body and checks that the message
// ends properly. If name is the zero Name, v is read from the body itself.
// Another element than name is an error.
func (m *Message) Decode(name xml.Name, v wire.Unmarshaler) error {
	r := m.r
	if m.Encoded {
		r.Encoded(m.Version == V12)
	}
	if name == (xml.Name{}) {
		return m.end(r.Decode(v))
	}
	if m.Body != name {
		if m.Body.Local == "" {
			r.Fail(errNoElement)
		} else {
			r.Fail(fmt.Errorf("body holds %s instead of %s", clark(m.Body), clark(name)))
		}
		return r.Err()
	}
	r.Know(name.Space)
	r.Child()
	if err := r.Decode(v); err != nil {
		return err
	}
	for r.Child() {
		if !r.IsTarget() {
			r.Fail(errSecond)
		}
		r.Skip()
	}
	return m.end(r.Err())
}

// Raw returns the content of the body and checks that the message ends
// properly.
func (m *Message) Raw() (wire.Raw, error) {
	x := m.r.Content()
	return x, m.end(m.r.Err())
}

// Fault reads the fault in the body. The Fault's Err is the typed detail if op
// declares it; op may be nil.
func (m *Message) Fault(op *Operation) (*Fault, error) {
	if !m.IsFault() {
		return nil, errors.New("soap: the message is not a fault")
	}
	f := &Fault{fromPeer: true}
	m.Encoded = m.Encoded || op != nil && op.Encoded
	if err := m.Decode(m.Body, (*faultXML)(f)); err != nil {
		return nil, err
	}
	if op != nil {
		f.Err = typedDetail(op, f.Detail)
	}
	return f, nil
}

// end checks that nothing follows the body.
func (m *Message) end(err error) error {
	if err != nil {
		return err
	}
	r := m.r
	if r.Child() {
		r.Fail(errAfterBody)
		return r.Err()
	}
	r.Next() // white space, comments, then nothing
	return r.Err()
}

// Write writes a message whose body holds v as an element called name. If name
// is the zero Name, v is the body itself. The caller looks at w for errors.
func Write(w *wire.Writer, v Version, op *Operation, headers []Header, name xml.Name, body wire.Marshaler) {
	begin(w, v, op, headers, name.Space)
	inBody := xml.Name{Space: v.Namespace(), Local: "Body"}
	if name == (xml.Name{}) {
		body.MarshalWire(w, inBody)
	} else {
		w.Start(inBody)
		if op != nil && op.Encoded {
			beginEncoded(w, v)
		}
		body.MarshalWire(w, name)
		w.End()
	}
	w.End()
}

// WriteFault writes a message whose body is a fault.
func WriteFault(w *wire.Writer, v Version, headers []Header, f *Fault) {
	if v == V12 {
		headers = slices.Clip(headers) // the caller's
		for _, q := range f.NotUnderstood {
			headers = append(headers,
				Header{Name: xml.Name{Space: space12, Local: "NotUnderstood"}, Value: notUnderstood(q)})
		}
	}
	begin(w, v, nil, headers, "")
	w.Start(xml.Name{Space: v.Namespace(), Local: "Body"})
	f.write(w, v)
	w.End()
	w.End()
}

// beginEncoded makes the next element, and what is in it, an encoded one. SOAP
// 1.1 4.1.1, SOAP 1.2 Part 1 5.1.1.
func beginEncoded(w *wire.Writer, v Version) {
	w.Encoded(v == V12)
	w.NextAttr(xml.Name{Space: v.Namespace(), Local: "encodingStyle"}, encodingSpace(v))
}

// encodingSpace is the namespace of SOAP encoding.
func encodingSpace(v Version) string {
	if v == V12 {
		return wire.SOAPEnc12
	}
	return wire.SOAPEnc11
}

func begin(w *wire.Writer, v Version, op *Operation, headers []Header, space string) {
	env := v.Namespace()
	w.Declaration()
	w.Declare("s", env)
	w.Declare("", space)
	if op != nil {
		if op.Encoded {
			w.Declare("xsi", wire.XSI)
			w.Declare("xsd", wire.XSD)
			w.Declare("enc", encodingSpace(v))
		}
		for _, ns := range op.Namespaces {
			w.Declare("", ns)
		}
	}
	w.Start(xml.Name{Space: env, Local: "Envelope"})
	if len(headers) > 0 {
		w.Start(xml.Name{Space: env, Local: "Header"})
		for i := range headers {
			headers[i].write(w, v)
		}
		w.End()
	}
}

func clark(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return "{" + n.Space + "}" + n.Local
}
