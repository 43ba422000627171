package soap

import (
	"strings"
)

// Addressing is a version of WS-Addressing, header blocks that say where a
// message goes and what it answers. Package soap/addressing reads and writes
// them.
type Addressing int

// The versions.
const (
	AddressingUnset  Addressing = 0  // whatever else decides
	AddressingOff    Addressing = -1 // none
	Addressing10     Addressing = 10 // W3C Recommendation of 9 May 2006, namespace 2005/08
	Addressing200408 Addressing = 8  // W3C Submission of August 2004
)

// Namespace returns the namespace of the header blocks, "" if there are none.
func (a Addressing) Namespace() string {
	switch a {
	case Addressing10:
		return "http://www.w3.org/2005/08/addressing"
	case Addressing200408:
		return "http://schemas.xmlsoap.org/ws/2004/08/addressing"
	}
	return ""
}

// String returns "1.0", "2004/08", "off" or "unset".
func (a Addressing) String() string {
	switch a {
	case Addressing10:
		return "1.0"
	case Addressing200408:
		return "2004/08"
	case AddressingOff:
		return "off"
	}
	return "unset"
}

// WantAction returns the wsa:Action of the request: InputAction, else Action,
// else the default. Web Services Addressing 1.0 Metadata 4.4.
func (o *Operation) WantAction() string {
	switch {
	case o.InputAction != "":
		return o.InputAction
	case o.Action != "":
		return o.Action
	case o.OneWay:
		return o.defaultAction("")
	}
	return o.defaultAction("Request")
}

// ReplyAction returns the wsa:Action of the answer: OutputAction, else the
// default.
func (o *Operation) ReplyAction() string {
	if o.OutputAction != "" {
		return o.OutputAction
	}
	return o.defaultAction("Response")
}

// defaultAction makes an action of the names in the description. Web Services
// Addressing 1.0 Metadata 4.4.4.
func (o *Operation) defaultAction(suffix string) string {
	space, portType, ok := strings.Cut(strings.TrimPrefix(o.Service, "{"), "}")
	if !ok {
		space, portType = "", o.Service
	}
	sep := "/"
	if strings.HasPrefix(strings.ToLower(space), "urn:") {
		sep = ":"
	}
	return strings.TrimSuffix(space, sep) + sep + portType + sep + o.Name + suffix
}

// HasAction reports whether a request for the operation may say that a is its
// action, in the SOAPAction header or in wsa:Action.
func (o *Operation) HasAction(a string) bool {
	return a == o.Action || a == o.ActionFor(V12) || a == o.WantAction()
}
