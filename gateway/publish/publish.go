// Package publish shows services to those who use them: their WSDL with the
// gateway's address, and pages that list services and operations.
package publish

import (
	"net/http"

	"github.com/soapward/soapward/gateway/config"
)

// A Publisher has the description of one service. It is safe for concurrent use.
type Publisher struct{}

// New reads the description of a service, which has one, and what it imports.
func New(name string, s *config.Service) (*Publisher, error) { panic("not built yet") }

// An Operation is one that the description has.
type Operation struct {
	Name   string // {namespace}Name, of the port type, as authz knows it
	Action string // SOAPAction, may be empty

	// Body is the first element of the request's body: {namespace}local.
	Body string
	Doc  string
}

// Operations lists the operations in the order of the description.
func (p *Publisher) Operations() []Operation { panic("not built yet") }

// Takes reports whether r asks for a description (?wsdl, ?singleWsdl, ?xsd=...).
func (p *Publisher) Takes(r *http.Request) bool { panic("not built yet") }

// ServeHTTP answers such a request.
func (p *Publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) { panic("not built yet") }

// Page lists services and operations. allowed says which services the caller of r
// may see.
func Page(services map[string]*Publisher, allowed func(r *http.Request, service string) bool) http.Handler {
	panic("not built yet")
}
