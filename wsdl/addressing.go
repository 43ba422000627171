package wsdl

import "strings"

// Namespaces of WS-Addressing in descriptions: of its attributes and policies,
// by the version of the headers they speak of.
const (
	nsWSA2004  = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
	nsWSAP2004 = "http://schemas.xmlsoap.org/ws/2004/08/addressing/policy"
	nsWSAM     = "http://www.w3.org/2007/05/addressing/metadata"
	nsWSAM2    = "http://www.w3.org/2007/02/addressing/metadata" // draft
	nsWSAW     = "http://www.w3.org/2006/05/addressing/wsdl"
	nsWSAW2    = "http://www.w3.org/2006/02/addressing/wsdl" // drafts
	nsWSAW3    = "http://www.w3.org/2005/02/addressing/wsdl"
)

// AddressingVersion tells which headers of WS-Addressing a service speaks.
type AddressingVersion int

// Versions of WS-Addressing, by the date in their namespace.
const (
	NoAddressing     AddressingVersion = iota
	Addressing200408                   // the member submission
	Addressing200508                   // 1.0
)

// String returns "none", "2004/08" or "2005/08".
func (v AddressingVersion) String() string {
	switch v {
	case Addressing200408:
		return "2004/08"
	case Addressing200508:
		return "2005/08"
	}
	return "none"
}

// setActions gives the messages of an operation their WS-Addressing actions.
func setActions(bo *BoundOperation, portType QName) {
	op := bo.Operation
	in, out := op.Name, op.Name+"Response" // WSDL 1.1 2.4.5
	switch {
	case op.Input == nil && op.Output == nil: // only a fault: nothing to name
	case op.Input == nil:
		out = op.Name
	case op.Output == nil:
	case solicits(op.node):
		in, out = op.Name+"Response", op.Name+"Solicit"
	default:
		in = op.Name + "Request"
	}
	if bo.In != nil {
		// WS-Addressing Metadata 4.4.1: a SOAPAction is the action unless one
		// is written.
		bo.In.Action = orString(writtenAction(op.Input.use), orString(bo.Action,
			defaultAction(portType, orString(op.Input.Label, in))))
	}
	if bo.Out != nil {
		bo.Out.Action = orString(writtenAction(op.Output.use), defaultAction(portType, orString(op.Output.Label, out)))
	}
	for _, f := range bo.Faults {
		f.Action = orString(writtenAction(f.Message.use), defaultAction(portType, op.Name, "Fault", f.Name))
	}
}

// solicits reports whether the output of an operation comes first.
func solicits(n *node) bool {
	for _, k := range n.kids {
		if k.name.Space == nsWSDL && (k.name.Local == "input" || k.name.Local == "output") {
			return k.name.Local == "output"
		}
	}
	return false
}

// writtenAction returns the action attribute of a wsdl:input, wsdl:output or
// wsdl:fault, newest version first.
func writtenAction(n *node) string {
	if n == nil {
		return ""
	}
	for _, space := range []string{nsWSAM, nsWSAM2, nsWSAW, nsWSAW2, nsWSAW3, nsWSA, nsWSA2004} {
		if v := n.getNS(space, "Action"); v != "" {
			return v
		}
	}
	return ""
}

// defaultAction makes an action after the pattern of WS-Addressing Metadata
// 4.4.4.
func defaultAction(portType QName, names ...string) string {
	delim := "/"
	if len(portType.Space) > 4 && strings.EqualFold(portType.Space[:4], "urn:") {
		delim = ":"
	}
	return strings.TrimSuffix(portType.Space, delim) + delim + portType.Local + delim + strings.Join(names, delim)
}
