package publish

import (
	"strings"

	"github.com/soapward/soapward/soap/wire"
)

// Namespaces that an address can stand in.
const (
	wsdlSpace     = "http://schemas.xmlsoap.org/wsdl/"
	soapSpace     = "http://schemas.xmlsoap.org/wsdl/soap/"
	soap12Space   = "http://schemas.xmlsoap.org/wsdl/soap12/"
	httpSpace     = "http://schemas.xmlsoap.org/wsdl/http/"
	wsaSpace      = "http://www.w3.org/2005/08/addressing"
	wsa2004Space  = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
	identitySpace = "http://schemas.xmlsoap.org/ws/2006/02/addressingidentity"
)

// xsdSpaces are those of XML Schema, and of its drafts.
var xsdSpaces = map[string]bool{
	wire.XSD: true, "http://www.w3.org/1999/XMLSchema": true, "http://www.w3.org/2000/10/XMLSchema": true,
}

// kind says what stands at a place.
type kind int

const (
	kindAddress   kind = iota // where a service is called
	kindReference             // where another document is
	kindIdentity              // an element about the account of the server
)

// place is one in the text of a description that says where something is.
type place struct {
	kind     kind
	element  int    // where its element begins
	from, to int    // what is replaced
	old      string // what it says, without white space around it

	// Of a reference:
	attr string // that holds it
	what string // local name of the element
	end  int    // where the element ends
}

// root is the name of a document's first element.
type root struct{ space, local string }

func (n root) isWSDL() bool   { return n == root{wsdlSpace, "definitions"} }
func (n root) isSchema() bool { return xsdSpaces[n.space] && n.local == "schema" }

// limits are those of package wsdl, or above them.
var limits = wire.Limits{Bytes: 64 << 20, Elements: 1 << 22, Namespaces: 1001}

// find reads a document to its end, and returns the places in the order of its
// text, r.Document().
func find(r *wire.Reader) (name root, places []place, err error) {
	var port, endpoint, content, skipped int // depths of what is open; 0: none
	var open []int                           // references, by their places
	var depths []int                         // of these
	var text strings.Builder
	last := place{}
	for {
		switch r.Next() {
		case wire.EOF:
			return name, places, r.Err()
		case wire.Text:
			if content > 0 {
				text.WriteString(r.Chars())
			}
		case wire.End:
			start, end := r.Span()
			if n := len(open); n > 0 && depths[n-1] == r.Depth()+1 {
				places[open[n-1]].end = end
				open, depths = open[:n-1], depths[:n-1]
			}
			switch r.Depth() + 1 {
			case content:
				content = 0
				if start > last.from {
					last.to, last.old = start, strings.TrimSpace(text.String())
					places = append(places, last)
				}
			case skipped:
				skipped, last.to = 0, end
				places = append(places, last)
			case endpoint:
				endpoint = 0
			case port:
				port = 0
			}
		case wire.Start:
			start, end := r.Span()
			if r.Depth() == 1 {
				name = root{r.Space(), strings.Clone(r.Local())}
			}
			switch {
			case content > 0 || skipped > 0:
				content = 0 // an address has no elements in it
			case r.Is(wsdlSpace, "port"):
				port = r.Depth()
			case port > 0 && (r.Is(wsaSpace, "EndpointReference") || r.Is(wsa2004Space, "EndpointReference")):
				endpoint = r.Depth()
			case endpoint > 0 && (r.Is(wsaSpace, "Address") || r.Is(wsa2004Space, "Address")):
				content, last = r.Depth(), place{kind: kindAddress, element: start, from: end}
				text.Reset()
			case endpoint > 0 && r.Is(identitySpace, "Identity"):
				skipped, last = r.Depth(), place{kind: kindIdentity, element: start, from: start}
			default:
				if attr, k := located(r); attr != "" {
					if from, to, ok := r.AttrSpan("", attr); ok {
						old, _ := r.Attr("", attr)
						if k == kindReference {
							open, depths = append(open, len(places)), append(depths, r.Depth())
						}
						places = append(places, place{
							kind: k, element: start, from: from, to: to, old: strings.TrimSpace(old),
							attr: attr, what: r.Local(),
						})
					}
				}
			}
		}
	}
}

// located returns the attribute of the current element that holds a location.
func located(r *wire.Reader) (attr string, k kind) {
	switch space, local := r.Space(), r.Local(); {
	case local == "address" && (space == soapSpace || space == soap12Space || space == httpSpace):
		return "location", kindAddress
	case local == "import" && space == wsdlSpace, local == "include" && space == wsdlSpace:
		return "location", kindReference
	case xsdSpaces[space] && (local == "import" || local == "include" || local == "redefine" || local == "override"):
		return "schemaLocation", kindReference
	}
	return "", 0
}
