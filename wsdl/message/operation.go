package message

import (
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/wsdl"
)

// Catalog is what a description offers to callers. It is for one goroutine at
// a time.
type Catalog struct {
	// Operations are those of all SOAP ports, in document order. One that
	// several ports offer is there for each.
	Operations []*Operation
}

// Operation is one operation of one port.
type Operation struct {
	Service string // name of the wsdl:service; may be empty
	Port    string // name of the wsdl:port, or of the binding that no port uses
	Name    string
	Label   string // name of the wsdl:input, which tells overloads apart; may be empty
	Doc     string // of the description, on one line; may be empty
	URL     string // address of the port; may be empty
	Version soap.Version
	Action  string
	Encoded bool // rpc/encoded

	Input  *Body
	Output *Body // nil for a one-way operation

	Headers []xml.Name // header blocks that the request is described with

	headers  []*wsdl.Element // of Headers
	schema   *schema
	portType *wsdl.PortType
}

// New lists the operations of a description.
func New(d *wsdl.Definitions) *Catalog {
	c := &Catalog{}
	s := newSchema(d)
	served := map[*wsdl.Binding]bool{}
	for _, sv := range d.Services {
		for _, p := range sv.Ports {
			if p.Binding != nil {
				served[p.Binding] = true
				c.binding(s, p.Binding, sv.Name.Local, p.Name, p.Location)
			}
		}
	}
	for _, b := range d.Bindings {
		if !served[b] {
			c.binding(s, b, "", b.Name.Local, "")
		}
	}
	return c
}

func (c *Catalog) binding(s *schema, b *wsdl.Binding, service, port, location string) {
	if b.Version == wsdl.NotSOAP {
		return
	}
	for _, op := range b.Operations {
		if op.In == nil {
			continue // a notification: the server is the caller
		}
		o := &Operation{
			Service: service, Port: port, Name: op.Name, Doc: strings.Join(strings.Fields(op.Doc), " "), URL: location,
			Version: soap.V11, Action: op.Action, schema: s, portType: b.PortType,
			Encoded: op.In.Use == wsdl.Encoded || op.Out != nil && op.Out.Use == wsdl.Encoded,
			Input:   newBody(s, op, op.In, false),
		}
		if op.In.Message != nil {
			o.Label = op.In.Message.Label
		}
		if b.Version == wsdl.SOAP12 {
			o.Version = soap.V12
		}
		if op.Out != nil {
			o.Output = newBody(s, op, op.Out, true)
		}
		for _, h := range op.In.Headers {
			if h.Part != nil && h.Part.Element != nil {
				o.Headers = append(o.Headers, xml.Name(h.Part.Element.Name))
				o.headers = append(o.headers, h.Part.Element)
			}
		}
		c.Operations = append(c.Operations, o)
	}
}

// Query says which operation is wanted. Zero fields match all.
type Query struct {
	Name    string // NAME, or NAME:INPUT where operations have the same name
	Port    string // name of the port or of the service
	Version soap.Version
}

// ErrNoOperations means that a description has no operation that can be
// called.
var ErrNoOperations = errors.New("message: the description has no SOAP operation")

// Find picks the operation that q asks for. Of several ports of one interface
// it takes the first with SOAP 1.1, or else the first. An error names the
// choices.
func (c *Catalog) Find(q Query) (*Operation, error) {
	if len(c.Operations) == 0 {
		return nil, ErrNoOperations
	}
	ports, err := c.ports(q)
	if err != nil {
		return nil, err
	}
	name, label, hasLabel := strings.Cut(q.Name, ":")
	var found []*Operation
	var names, labels []string
	for _, o := range ports {
		if !slices.Contains(names, o.Name) {
			names = append(names, o.Name)
		}
		if o.Name != name {
			continue
		}
		if !slices.Contains(labels, name+":"+o.Label) {
			labels = append(labels, name+":"+o.Label)
		}
		if !hasLabel || o.Label == label {
			found = append(found, o)
		}
	}
	switch {
	case len(found) == 0 && len(labels) > 0:
		return nil, fmt.Errorf("message: there is no operation %q%s", q.Name, didYouMean(q.Name, labels))
	case len(found) == 0:
		return nil, fmt.Errorf("message: there is no operation %q%s", q.Name, didYouMean(q.Name, names))
	}
	best := found[0]
	for _, o := range found[1:] {
		switch {
		case o.portType != best.portType:
			return nil, fmt.Errorf("message: several ports have an operation %s that differ: choose one of %s", name, portList(found))
		case o.Port == best.Port && o.Service == best.Service:
			return nil, fmt.Errorf("message: there are %d operations named %s: choose one of %s", len(labels), name, strings.Join(labels, ", "))
		case o.Version < best.Version && (o.URL != "" || best.URL == ""):
			best = o
		}
	}
	return best, nil
}

// ports returns the operations of the ports that q allows.
func (c *Catalog) ports(q Query) ([]*Operation, error) {
	var all []*Operation
	var names, versions []string
	for _, o := range c.Operations {
		for _, n := range []string{o.Port, o.Service} {
			if n != "" && !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
		if q.Port != "" && o.Port != q.Port && o.Service != q.Port {
			continue
		}
		if v := o.Version.String(); !slices.Contains(versions, v) {
			versions = append(versions, v)
		}
		if q.Version == 0 || o.Version == q.Version {
			all = append(all, o)
		}
	}
	switch {
	case len(all) > 0:
		return all, nil
	case len(versions) > 0:
		return nil, fmt.Errorf("message: no port speaks SOAP %v; there is SOAP %s", q.Version, strings.Join(versions, " and "))
	}
	return nil, fmt.Errorf("message: there is no port %q%s", q.Port, didYouMean(q.Port, names))
}

func portList(ops []*Operation) string {
	var all []string
	for _, o := range ops {
		if !slices.Contains(all, o.Port) {
			all = append(all, o.Port)
		}
	}
	return strings.Join(all, ", ")
}

// Detail returns an element of a fault's detail as JSON, by the schema if that
// has the element.
func (o *Operation) Detail(xmlText string) ([]byte, error) { return o.schema.anyJSON(xmlText) }
