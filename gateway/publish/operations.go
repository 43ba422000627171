package publish

import (
	"strings"

	"github.com/soapward/soapward/wsdl"
)

// An Operation is one that the description has.
type Operation struct {
	Name   string // {namespace}Name, of the port type, as authz knows it
	Action string // SOAPAction, may be empty

	// Body is the first element of the request's body: {namespace}local, or local
	// for one without a namespace. It is empty for a body without elements, and
	// for one that the description does not name.
	Body string
	Doc  string
}

// Split returns the namespace of the name, which may be none, and the rest.
func (o *Operation) Split() (space, local string) {
	i := strings.LastIndexByte(o.Name, '}')
	return strings.TrimPrefix(o.Name[:max(i, 0)], "{"), o.Name[i+1:]
}

// operations lists what SOAP bindings offer, each once.
func operations(d *wsdl.Definitions) []Operation {
	var list []Operation
	known := make(map[Operation]bool)
	for _, b := range d.Bindings {
		if b.Version == wsdl.NotSOAP || b.PortType == nil {
			continue
		}
		for _, o := range b.Operations {
			op := Operation{
				Name:   clark(b.PortType.Name.Space, o.Name),
				Action: o.Action, Body: body(o), Doc: o.Doc,
			}
			if !known[op] {
				known[op] = true
				list = append(list, op)
			}
		}
	}
	return list
}

// body names the first element of the request of o.
func body(o *wsdl.BoundOperation) string {
	switch {
	case o.In == nil:
		return ""
	case o.Style == wsdl.RPCStyle: // SOAP 1.1 7.1
		return clark(o.In.Namespace, o.Name)
	case len(o.In.Body) > 0 && o.In.Body[0].Element != nil:
		n := o.In.Body[0].Element.Name
		return clark(n.Space, n.Local)
	}
	return ""
}

// clark returns a name with its namespace, and one that has none as it is, which
// is how package inbound names what it finds in a message.
func clark(space, local string) string {
	if space == "" {
		return local
	}
	return "{" + space + "}" + local
}
