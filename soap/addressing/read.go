package addressing

import (
	"encoding/xml"
	"errors"
	"strings"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
)

// Names returns the blocks that a receiver which uses this package understands.
func Names(v soap.Addressing) []xml.Name {
	var all []xml.Name
	for _, local := range []string{"Action", "To", "MessageID", "RelatesTo", "ReplyTo", "FaultTo", "From"} {
		all = append(all, xml.Name{Space: v.Namespace(), Local: local})
	}
	return all
}

// VersionOf returns the version that the namespace of a block belongs to.
func VersionOf(space string) soap.Addressing {
	switch space {
	case soap.Addressing10.Namespace():
		return soap.Addressing10
	case soap.Addressing200408.Namespace():
		return soap.Addressing200408
	}
	return soap.AddressingUnset
}

// Actions returns the text of every wsa:Action among the blocks, of both
// versions: for those who only want to know whether one contradicts.
func Actions(headers []soap.Header) []string {
	var all []string
	for i := range headers {
		h := &headers[i]
		if h.Name.Local != "Action" || VersionOf(h.Name.Space) == soap.AddressingUnset {
			continue
		}
		var s text
		if err := h.Decode(&s); err != nil {
			s = "" // a block that holds no text names no action
		}
		all = append(all, string(s))
	}
	return all
}

// Read finds the blocks of WS-Addressing among those of a message that are for
// us. It returns nil if there is none. What is wrong with them is an *Error; the
// Message beside it then has what could be read.
func Read(headers []soap.Header) (*Message, error) {
	var m *Message
	var err error
	seen := map[string]bool{}
	for i := range headers {
		h := &headers[i]
		v := VersionOf(h.Name.Space)
		if v == soap.AddressingUnset || !h.ForUs() {
			continue
		}
		if m == nil {
			m = &Message{Version: v}
		}
		fail := func(kind Kind) {
			if err == nil {
				err = &Error{Version: m.Version, Kind: kind, Header: h.Name.Local}
			}
		}
		if v != m.Version { // whoever looks at the one kind would not see the other
			fail(InvalidAddressingHeader)
			continue
		}
		local := h.Name.Local
		switch local {
		case "Action", "To", "MessageID", "ReplyTo", "FaultTo", "From": // 3.2: at most once
			if seen[local] {
				fail(InvalidCardinality)
				continue
			}
			seen[local] = true
		}
		switch local {
		case "Action", "To", "MessageID", "RelatesTo":
			m.text(h, fail)
		case "ReplyTo", "FaultTo":
			e := new(Endpoint)
			if kind := e.read(h, v); kind != 0 {
				fail(kind)
				continue
			}
			if local == "ReplyTo" {
				m.ReplyTo = e
			} else {
				m.FaultTo = e
			}
		}
	}
	return m, err
}

// text reads a block that holds an address.
func (m *Message) text(h *soap.Header, fail func(Kind)) {
	var t text
	if err := h.Decode(&t); err != nil || t == "" {
		fail(InvalidAddress)
		return
	}
	switch h.Name.Local {
	case "Action":
		m.Action = string(t)
	case "To":
		m.To = string(t)
	case "MessageID":
		m.MessageID = string(t)
	case "RelatesTo":
		if m.RelatesTo == "" && isReply(h) {
			m.RelatesTo = string(t)
		}
	}
}

// isReply reports whether a RelatesTo means an answer: there are other
// relations, and the Submission spells this one as a qualified name.
func isReply(h *soap.Header) bool {
	r := h.Raw.Reader(wire.Options{})
	if !r.Child() {
		return false
	}
	s, ok := r.Attr("", "RelationshipType")
	return !ok || s == soap.Addressing10.Namespace()+"/reply" || s == "Reply" || strings.HasSuffix(s, ":Reply")
}

// text is the characters of a block, without space around them.
type text string

// UnmarshalWire implements wire.Unmarshaler.
func (t *text) UnmarshalWire(r *wire.Reader) { *t = text(strings.TrimSpace(r.Text())) }

var (
	errTwice     = errors.New("element is there twice")
	errParameter = errors.New("reference parameter that cannot be a header block")
)

// read reads an endpoint reference. The result is zero, or what is wrong.
func (e *Endpoint) read(h *soap.Header, v soap.Addressing) Kind {
	if err := h.Decode(e); err != nil {
		return InvalidEPR
	}
	if e.Address == "" {
		return MissingAddressInEPR
	}
	if v != soap.Addressing10 {
		return 0
	}
	for _, p := range e.Parameters.Elements() {
		if _, err := mark(p, v.Namespace()); err != nil || VersionOf(p.Name().Space) != soap.AddressingUnset {
			return InvalidEPR
		}
	}
	return 0
}

// UnmarshalWire implements wire.Unmarshaler.
func (e *Endpoint) UnmarshalWire(r *wire.Reader) {
	*e = Endpoint{}
	space := r.Space()
	parameters, properties := false, false
	for r.Child() {
		switch {
		case r.Is(space, "Address"):
			if e.Address != "" {
				r.Fail(errTwice)
				return
			}
			e.Address = strings.TrimSpace(r.Text())
		case r.Is(space, "ReferenceParameters") && !parameters: // at most one: Core 2.2
			parameters = true
			e.Parameters = e.Parameters.Append(r.Content())
		case r.Is(space, "ReferenceProperties") && !properties: // Submission 2.1
			properties = true
			e.Parameters = e.Parameters.Append(r.Content())
		case r.Is(space, "ReferenceParameters"), r.Is(space, "ReferenceProperties"):
			r.Fail(errTwice)
			return
		default:
			r.Skip() // metadata, extensions
		}
	}
}
