package addressing

import (
	"encoding/xml"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
)

// Kind is a predefined fault. SOAP Binding 6.4.
type Kind int

// The kinds. Those from InvalidAddress on are refinements of
// InvalidAddressingHeader.
const (
	InvalidAddressingHeader         Kind = iota + 1
	MessageAddressingHeaderRequired      // a block is missing
	ActionNotSupported                   // no operation has the action
	InvalidAddress                       // a block that holds no address
	InvalidEPR                           // an endpoint reference that is not one
	InvalidCardinality                   // a block is there twice
	MissingAddressInEPR
	ActionMismatch                // wsa:Action is another than SOAPAction
	OnlyAnonymousAddressSupported // answers shall go to somebody else
)

var kindNames = map[Kind]string{
	InvalidAddressingHeader: "InvalidAddressingHeader", MessageAddressingHeaderRequired: "MessageAddressingHeaderRequired",
	ActionNotSupported: "ActionNotSupported", InvalidAddress: "InvalidAddress", InvalidEPR: "InvalidEPR",
	InvalidCardinality: "InvalidCardinality", MissingAddressInEPR: "MissingAddressInEPR",
	ActionMismatch: "ActionMismatch", OnlyAnonymousAddressSupported: "OnlyAnonymousAddressSupported",
}

var kindReasons = map[Kind]string{
	InvalidAddressingHeader:         "a header representing a message addressing property is not valid",
	MessageAddressingHeaderRequired: "a required header representing a message addressing property is not present",
	ActionNotSupported:              "the action cannot be processed at the receiver",
	InvalidAddress:                  "the header holds no address",
	InvalidEPR:                      "the header holds no valid endpoint reference",
	InvalidCardinality:              "the header is there more than once",
	MissingAddressInEPR:             "the endpoint reference has no address",
	ActionMismatch:                  "wsa:Action and SOAPAction disagree",
	OnlyAnonymousAddressSupported:   "answers go back on the connection of the request, not to another address",
}

// Error is what is wrong with the blocks of a message.
type Error struct {
	Version soap.Addressing
	Kind    Kind
	Header  string // local name of the block; may be empty
	Text    string // more, for the peer; may be empty
}

func (e *Error) Error() string { return "addressing: " + e.reason() }

func (e *Error) reason() string {
	s := kindReasons[e.Kind]
	if e.Header != "" {
		s += " (wsa:" + e.Header + ")"
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// Fault returns the fault to answer with. Its Err is e.
func (e *Error) Fault() *soap.Fault {
	f := &soap.Fault{Code: soap.CodeClient, Reason: e.reason(), Err: e}
	space := e.Version.Namespace()
	code := func(local string) { f.Subcodes = append(f.Subcodes, xml.Name{Space: space, Local: local}) }
	if e.Version == soap.Addressing200408 { // Submission 4
		switch e.Kind {
		case MessageAddressingHeaderRequired:
			code("MessageInformationHeaderRequired")
		case ActionNotSupported:
			code("ActionNotSupported")
		default:
			code("InvalidMessageInformationHeader")
		}
		return f
	}
	if e.Kind >= InvalidAddress {
		code(kindNames[InvalidAddressingHeader])
	}
	code(kindNames[e.Kind])
	if e.Header != "" {
		if raw, err := wire.RawOf(qname{Space: space, Local: e.Header}, xml.Name{Space: space, Local: "ProblemHeaderQName"}); err == nil {
			f.Detail = raw
		}
	}
	return f
}

// FaultDetail returns the block that tells the detail of a fault about
// addressing where the fault itself must not (SOAP 1.1 4.4, SOAP Binding 6.2).
func FaultDetail(v soap.Addressing, detail wire.Raw) soap.Header {
	return soap.Header{Name: xml.Name{Space: v.Namespace(), Local: "FaultDetail"}, Value: content(detail)}
}

type content wire.Raw

// MarshalWire implements wire.Marshaler.
func (c content) MarshalWire(w *wire.Writer, name xml.Name) {
	w.Start(name)
	w.Raw(wire.Raw(c))
	w.End()
}

type qname xml.Name

// MarshalWire implements wire.Marshaler.
func (q qname) MarshalWire(w *wire.Writer, name xml.Name) { w.QNameElement(name, xml.Name(q)) }
