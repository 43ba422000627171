package soap

import (
	"encoding/xml"

	"github.com/soapward/soapward/soap/wire"
)

// Operation describes one operation of a binding. It is read-only once used.
type Operation struct {
	Service string // of the port type in Clark notation: {urn:example}Orders
	Name    string // local name of the operation
	Action  string // SOAPAction; may be empty

	// Action12 is the action in SOAP 1.2. Nil means that it is Action.
	Action12 *string

	// Input and Output name the elements in Body. The zero Name means that the
	// message has no element of its own: its type reads and writes the whole
	// Body (no part, or several).
	Input, Output xml.Name

	// RPC says that the operation is of rpc style, where the name of the answer's
	// element means nothing (SOAP 1.1 7.1).
	RPC bool

	// MTOM says that the service takes MTOM messages, so that binary content is
	// sent that way. MTOMRequired says that it takes no others, and answers so
	// as well, be there binary content or not (wsoma:OptimizedMimeSerialization).
	MTOM, MTOMRequired bool

	// Encoded says that the messages are in SOAP encoding (SOAP 1.1 5, SOAP 1.2
	// Part 2 3). Their types must be able to write it, as generated ones are.
	Encoded bool

	// OneWay operations have no answer.
	OneWay bool

	// Headers names the request's header blocks that the service reads, so
	// that the sender may mark them mustUnderstand.
	Headers []xml.Name

	// Faults makes an empty value of each declared fault detail.
	Faults []func() Detail

	// Addressing is the WS-Addressing that the description asks for. If it is
	// set, a client sends these header blocks and a server reads them.
	Addressing Addressing

	// AddressingRequired says that messages without the blocks are refused.
	AddressingRequired bool

	// InputAction and OutputAction are the wsa:Action of the request and the
	// answer. Empty means the one that WantAction tells.
	InputAction, OutputAction string

	// FaultActions are the wsa:Action of declared faults, by the name of their
	// detail.
	FaultActions map[xml.Name]string

	// Namespaces lists those that the messages use. Writing is a little faster
	// when it knows them; any others are found on the way.
	Namespaces []string
}

// String returns the operation's name in Clark notation.
func (o *Operation) String() string {
	for i := 0; i < len(o.Service); i++ {
		if o.Service[i] == '}' {
			return o.Service[:i+1] + o.Name
		}
	}
	return o.Name
}

// ActionFor returns the action of the operation in a version of SOAP.
func (o *Operation) ActionFor(v Version) string {
	if v == V12 && o.Action12 != nil {
		return *o.Action12
	}
	return o.Action
}

// Detail is the typed detail of a fault, an element that the WSDL declares.
// Generated code implements it. A handler returns one, alone or wrapped, to
// answer with that fault; a caller finds it with errors.As.
type Detail interface {
	error
	wire.Marshaler
	wire.Unmarshaler

	// DetailName returns the name of the element. It does not depend on the
	// value.
	DetailName() xml.Name
}

// EncodedDetail is a Detail that is sent in SOAP encoding.
type EncodedDetail interface {
	Detail
	EncodedDetail()
}

// Header is one header block.
type Header struct {
	Name           xml.Name
	MustUnderstand bool
	Role           string // SOAP 1.1 actor; empty means the ultimate receiver
	Relay          bool   // SOAP 1.2 only
	Encoded        bool   // of a block to send: write Value in SOAP encoding

	// Value is what to send. If it is nil, Raw is sent as it is.
	Value wire.Marshaler

	// Raw is the whole block as received.
	Raw wire.Raw
}

// Decode reads v from a received block.
func (h *Header) Decode(v wire.Unmarshaler) error { return h.Raw.Decode(v) }

// Roles that every receiver plays. SOAP 1.1 4.2.2, SOAP 1.2 Part 1 2.2.
const (
	next11   = "http://schemas.xmlsoap.org/soap/actor/next"
	next12   = space12 + "/role/next"
	ultimate = space12 + "/role/ultimateReceiver"
)

// ForUs reports whether the block is addressed to a node that is the ultimate
// receiver and acts in no further role.
func (h *Header) ForUs() bool {
	switch h.Role {
	case "", next11, next12, ultimate:
		return true
	}
	return false
}

func (h *Header) write(w *wire.Writer, v Version) {
	if h.Value == nil {
		w.Raw(h.Raw)
		return
	}
	env := v.Namespace()
	if h.MustUnderstand {
		w.NextAttr(xml.Name{Space: env, Local: "mustUnderstand"}, "1")
	}
	if h.Role != "" {
		role := "role"
		if v != V12 {
			role = "actor"
		}
		w.NextAttr(xml.Name{Space: env, Local: role}, h.Role)
	}
	if h.Relay && v == V12 {
		w.NextAttr(xml.Name{Space: env, Local: "relay"}, "1")
	}
	if h.Encoded {
		beginEncoded(w, v)
	}
	h.Value.MarshalWire(w, h.Name)
	w.Literal()
}
