// Package addressing reads and writes the header blocks of WS-Addressing: what
// a message is for, which one it answers, and where answers go. Clients and
// servers of this module use it by themselves, as soap.Operation says; most
// programs never meet it.
//
//   - Message is the blocks of one message. Read finds them, Headers makes
//     them, Answer makes those of the answer.
//   - Error is what is wrong with the blocks, as the fault to answer with.
//
// Both versions in use are understood: WS-Addressing 1.0 of 2005/08 and the
// Submission of 2004/08. Sections cited are those of the Core of 1.0 unless
// they say otherwise.
//
// Nothing here or in the packages that use it ever sends a message to an
// address found in one: an answer goes back on the connection that the request
// came on, or nowhere. Other wishes are refused. wsa:To is read and not compared
// with anything: behind a proxy it is seldom the address that a server knows.
//
// Compatibility: exported names keep their meaning within a major version.
package addressing

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"strings"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
)

// Message is the WS-Addressing blocks of one message. Empty fields are absent.
type Message struct {
	Version   soap.Addressing
	Action    string // what the message means
	To        string
	MessageID string

	// RelatesTo is the MessageID of the request that the message answers.
	RelatesTo string

	ReplyTo, FaultTo *Endpoint // where answers shall go

	// Parameters are the blocks that the receiver of an answer asked for, to
	// know it by.
	Parameters []soap.Header
}

// Endpoint is an endpoint reference.
type Endpoint struct {
	Address    string
	Parameters wire.Raw // its reference parameters
}

// Anonymous returns the address that stands for the way back on the
// connection. Core 2.1, Submission 2.3.
func Anonymous(v soap.Addressing) string {
	if v == soap.Addressing200408 {
		return v.Namespace() + "/role/anonymous"
	}
	return v.Namespace() + "/anonymous"
}

// none stands for answers that nobody wants. Core 2.1.
const none = "http://www.w3.org/2005/08/addressing/none"

// IsAnonymous reports whether answers for e go back on the connection. That is
// also what no endpoint at all means.
func (e *Endpoint) IsAnonymous() bool {
	return e == nil || e.Address == Anonymous(soap.Addressing10) || e.Address == Anonymous(soap.Addressing200408)
}

// IsNone reports whether answers for e are to be thrown away.
func (e *Endpoint) IsNone() bool { return e != nil && e.Address == none }

// FaultAction returns the action of a fault whose description gives none:
// that of a fault about addressing, or of any other. SOAP Binding 6,
// Submission 4.
func FaultAction(v soap.Addressing, aboutAddressing bool) string {
	if v == soap.Addressing10 && !aboutAddressing {
		return v.Namespace() + "/soap/fault"
	}
	return v.Namespace() + "/fault"
}

// NewMessageID returns an identifier that nobody else uses.
func NewMessageID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	s := hex.EncodeToString(b[:]) // RFC 9562 5.4
	return "urn:uuid:" + s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// Request returns the blocks of a request for op to the given address.
func Request(v soap.Addressing, op *soap.Operation, to string) *Message {
	m := &Message{Version: v, Action: op.WantAction(), To: to, MessageID: NewMessageID()}
	if !op.OneWay {
		m.ReplyTo = &Endpoint{Address: Anonymous(v)}
	}
	return m
}

// Answer returns the blocks of the answer to m, with the parameters that the
// endpoint at asked for.
func (m *Message) Answer(action string, at *Endpoint) *Message {
	a := &Message{Version: m.Version, Action: action, MessageID: NewMessageID(), RelatesTo: m.MessageID}
	if m.Version == soap.Addressing200408 {
		a.To = Anonymous(m.Version) // required there (Submission 3)
	}
	if at != nil {
		a.Parameters = parameters(m.Version, at.Parameters)
	}
	return a
}

// FaultEndpoint returns where a fault goes, as ReplyTo says for an answer; nil
// is the connection. 3.4.
func (m *Message) FaultEndpoint() *Endpoint {
	if m.FaultTo != nil {
		return m.FaultTo
	}
	return m.ReplyTo
}

// Headers returns the blocks to write. Action and To are marked mustUnderstand
// if must is set.
func (m *Message) Headers(must bool) []soap.Header {
	var hs []soap.Header
	space := m.Version.Namespace()
	add := func(local string, v wire.Marshaler, must bool) {
		hs = append(hs, soap.Header{Name: xml.Name{Space: space, Local: local}, MustUnderstand: must, Value: v})
	}
	text := func(local, s string, must bool) {
		if s != "" {
			add(local, chars(s), must)
		}
	}
	text("Action", m.Action, must)
	text("MessageID", m.MessageID, false)
	text("RelatesTo", m.RelatesTo, false)
	if m.ReplyTo != nil {
		add("ReplyTo", m.ReplyTo, false)
	}
	if m.FaultTo != nil {
		add("FaultTo", m.FaultTo, false)
	}
	text("To", m.To, must)
	return append(hs, m.Parameters...)
}

// chars is a block that holds text.
type chars string

// MarshalWire implements wire.Marshaler.
func (c chars) MarshalWire(w *wire.Writer, name xml.Name) { w.Element(name, string(c)) }

// MarshalWire implements wire.Marshaler.
func (e *Endpoint) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	w.Element(xml.Name{Space: name.Space, Local: "Address"}, e.Address)
	if !e.Parameters.IsZero() {
		w.Start(xml.Name{Space: name.Space, Local: "ReferenceParameters"})
		w.Raw(e.Parameters)
		w.End()
	}
	w.End()
}

// parameters makes blocks of the reference parameters of an endpoint. In 1.0
// each carries an attribute that says what it is (SOAP Binding 3.4). Read has
// checked that it can be added.
func parameters(v soap.Addressing, raw wire.Raw) []soap.Header {
	var hs []soap.Header
	for _, e := range raw.Elements() {
		if v == soap.Addressing10 {
			marked, err := mark(e, v.Namespace())
			if err != nil {
				continue
			}
			e = marked
		}
		hs = append(hs, soap.Header{Name: e.Name(), Raw: e})
	}
	return hs
}

// mark adds wsa:IsReferenceParameter to an element.
func mark(e wire.Raw, space string) (wire.Raw, error) {
	r := e.Reader(wire.Options{})
	if r.Child() {
		if _, has := r.Attr(space, "IsReferenceParameter"); has {
			return e, nil
		}
	}
	s := e.String()
	n := strings.IndexAny(s, " \t\r\n/>")
	if n < 0 {
		return wire.Raw{}, errParameter
	}
	return wire.ParseRaw(s[:n] + ` xmlns:soapward-wsa="` + space + `" soapward-wsa:IsReferenceParameter="true"` + s[n:])
}
