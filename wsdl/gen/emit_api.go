package gen

import (
	"strings"

	"github.com/soapward/soapward/wsdl"
)

// emitClient writes the operations and the clients.
func (g *generator) emitClient() {
	for _, p := range g.ports {
		g.emitOperations(p)
		g.emitPortClient(p)
	}
	g.emitHeaderOptions()
}

func (g *generator) emitOperations(p *portT) {
	g.p("// Operations of %s.", p.called())
	g.p("var (")
	for _, op := range p.ops {
		g.p("\t%s = &soap.Operation{", op.varName)
		g.p("\t\tService: %q,", "{"+p.pt.Name.Space+"}"+p.pt.Name.Local)
		g.p("\t\tName: %q,", op.op.Name)
		if op.action != "" {
			g.p("\t\tAction: %q,", op.action)
		}
		if op.action12 != nil {
			g.p("\t\tAction12: new(%q),", *op.action12)
		}
		if !op.in.elem.IsZero() {
			g.p("\t\tInput: %s,", g.name(op.in.elem))
		}
		switch {
		case op.out == nil:
			g.p("\t\tOneWay: true,")
		case !op.out.elem.IsZero():
			g.p("\t\tOutput: %s,", g.name(op.out.elem))
		}
		if op.op.Style == wsdl.RPCStyle {
			g.p("\t\tRPC: true,")
		}
		switch policy := op.op.Policy; {
		case policy == nil:
		case policy.MTOMRequired:
			g.p("\t\tMTOM: true,")
			g.p("\t\tMTOMRequired: true,")
		case policy.MTOM:
			g.p("\t\tMTOM: true,")
		}
		if op.op.In.Use == wsdl.Encoded || op.op.Out != nil && op.op.Out.Use == wsdl.Encoded {
			g.p("\t\tEncoded: true,")
		}
		var headers []string
		for _, h := range op.headers {
			if !h.out {
				headers = append(headers, g.name(h.elem))
			}
		}
		if len(headers) > 0 {
			g.p("\t\tHeaders: []xml.Name{%s},", strings.Join(headers, ", "))
		}
		if len(op.faults) > 0 {
			g.p("\t\tFaults: []func() soap.Detail{")
			for _, f := range op.faults {
				g.p("\t\t\tfunc() soap.Detail { return new(%s) },", g.ref(f.pkg, f.name))
			}
			g.p("\t\t},")
		}
		g.emitAddressing(p, op)
		if ns := op.namespaces(); len(ns) > 0 {
			var vars []string
			for _, n := range ns {
				vars = append(vars, g.space(n))
			}
			g.p("\t\tNamespaces: []string{%s},", strings.Join(vars, ", "))
		}
		g.p("\t}")
	}
	g.p(")\n")
}

func (g *generator) emitPortClient(p *portT) {
	g.emitAddresses(p)
	c := p.name + "Client"
	g.comment("", c+" calls "+p.called()+". It is safe for concurrent use.", p.pt.Doc)
	g.p("type %s struct {", c)
	g.p("\tsoap *soapclient.Client")
	g.p("}\n")
	g.emitConstructors(p)
	for _, op := range p.ops {
		g.comment("", g.docOf(op)...)
		if op.out == nil {
			g.p("func (c *%s) %s(ctx context.Context, req *%s, opts ...soapclient.CallOption) error {", c, op.method, op.in.goType)
			g.p("\treturn soapclient.Send(ctx, c.soap, %s, req, opts...)", op.varName)
		} else {
			g.p("func (c *%s) %s(ctx context.Context, req *%s, opts ...soapclient.CallOption) (*%s, error) {", c, op.method, op.in.goType, op.out.goType)
			g.p("\treturn soapclient.Call[%s, %s](ctx, c.soap, %s, req, opts...)", op.in.goType, op.out.goType, op.varName)
		}
		g.p("}\n")
	}
}

// emitAddresses writes a constant for each address.
func (g *generator) emitAddresses(p *portT) {
	if len(p.ends) == 0 {
		return
	}
	if len(p.ends) == 1 {
		g.p("// %sURL is the address that the description gives.", p.name)
		g.p("const %sURL = %q\n", p.name, p.ends[0].port.Location)
		return
	}
	g.p("// Addresses that the description gives for %s.", p.pt.Name.Local)
	g.p("const (")
	if first := p.first(0); first.url != p.name+"URL" {
		g.p("\t%sURL = %s", p.name, first.url)
	}
	for _, e := range p.ends {
		g.p("\t%s = %q // SOAP %s", e.url, e.port.Location, e.port.Binding.Version)
	}
	g.p(")\n")
}

// emitConstructors writes functions that make clients: one that follows the
// version in the soapclient.Client, and one for each port if there are several.
func (g *generator) emitConstructors(p *portT) {
	c := p.name + "Client"
	doc := "New" + c + " returns a client that sends its calls through c."
	first, v := p.first(0), wsdl.SOAP11
	if !p.speaks(v) {
		v = wsdl.SOAP12
	}
	url := `""`
	if first != nil {
		url = p.name + "URL"
		doc += " Without a URL in c, calls go to " + url
	}
	other := p.first(wsdl.SOAP12)
	if !p.speaks(wsdl.SOAP11) || other == first {
		other = nil
	}
	switch {
	case other != nil:
		doc += ", or to " + other.url + " if the Version of c is soap.V12."
	case first != nil:
		doc += "."
	}
	if p.speaks(wsdl.SOAP11) && p.speaks(wsdl.SOAP12) && other == nil {
		doc += " The Version of c may be soap.V12 as well."
	}
	g.comment("", doc)
	g.p("func New%s(c *soapclient.Client) *%s {", c, c)
	if other != nil {
		g.p("\tif c.Version == soap.V12 {")
		g.p("\t\treturn &%s{c.At(%s, soap.V12)}", c, other.url)
		g.p("\t}")
	}
	g.p("\treturn &%s{c.At(%s, soap.V%s)}", c, url, goVersion(v))
	g.p("}\n")
	for _, e := range p.ends {
		if e.function == "New"+c {
			continue
		}
		v := e.port.Binding.Version
		g.comment("", e.function+" returns a client for the port "+e.port.Name+": it speaks SOAP "+v.String()+" to "+e.url+
			", unless c has a Version or a URL.")
		g.p("func %s(c *soapclient.Client) *%s {", e.function, c)
		g.p("\treturn &%s{c.At(%s, soap.V%s)}", c, e.url, goVersion(v))
		g.p("}\n")
	}
}

// goVersion is the end of the name of a soap.Version.
func goVersion(v wsdl.SOAPVersion) string { return strings.ReplaceAll(v.String(), ".", "") }

// doc is the comment of an operation's method.
func (g *generator) docOf(op *operation) []string {
	first := op.method + " calls the operation " + op.op.Name + "."
	if op.out == nil {
		first = op.method + " sends to the one-way operation " + op.op.Name + "."
	}
	paras := []string{first, op.op.Doc}
	if len(op.faults) > 0 {
		var names []string
		for _, f := range op.faults {
			names = append(names, "*"+g.ref(f.pkg, f.name))
		}
		paras = append(paras, "Its faults: "+strings.Join(names, ", ")+".")
	}
	return paras
}

func (g *generator) emitHeaderOptions() {
	for _, p := range g.ports {
		for _, op := range p.ops {
			for _, h := range op.headers {
				if h.method == "" {
					continue
				}
				n := g.name(h.elem)
				g.p("// With%s adds the header block %s to a call.", h.method, h.elem.Local)
				g.p("func With%s(v *%s) soapclient.CallOption {", h.method, h.goType)
				encoded := ""
				if h.encoded {
					encoded = ", Encoded: true"
				}
				g.p("\treturn soapclient.WithHeader(soap.Header{Name: %s, Value: v%s})", n, encoded)
				g.p("}\n")
				g.comment("", "Find"+h.method+" returns the header block "+h.elem.Local+" among those that soapclient.ReceiveHeaders stored, or nil.")
				g.p("func Find%s(headers []soap.Header) (*%s, error) {", h.method, h.goType)
				g.p("\tfor i := range headers {")
				g.p("\t\tif headers[i].Name == %s {", n)
				g.p("\t\t\tv := new(%s)", h.goType)
				g.p("\t\t\treturn v, headers[i].Decode(v)")
				g.p("\t\t}")
				g.p("\t}")
				g.p("\treturn nil, nil")
				g.p("}\n")
			}
		}
	}
}

// emitServer writes the interfaces and their registration.
func (g *generator) emitServer() {
	for _, p := range g.ports {
		g.emitPortServer(p)
	}
	for _, h := range g.headerUses() {
		if len(h.in) == 0 {
			continue
		}
		g.comment("", h.method+"From returns the header block "+h.elem.Local+" of the request that a handler serves, or nil.")
		g.p("func %sFrom(ctx context.Context) (*%s, error) {", h.method, h.goType)
		g.p("\tcall := soapserver.FromContext(ctx)")
		g.p("\tif call == nil {")
		g.p("\t\treturn nil, nil")
		g.p("\t}")
		g.p("\treturn Find%s(call.Headers)", h.method)
		g.p("}\n")
	}
}

func (g *generator) emitPortServer(p *portT) {
	server, none := p.name+"Server", "Unimplemented"+p.name
	g.comment("", server+" is what a service for "+p.called()+" implements. Embed "+none+
		" to stay compatible with operations that are added later.", p.pt.Doc)
	g.p("type %s interface {", server)
	for i, op := range p.served() {
		if i > 0 {
			g.p("")
		}
		doc := g.docOf(op)
		doc[0] = op.method + " serves the operation " + op.op.Name + "."
		g.comment("\t", doc...)
		if op.out == nil {
			g.p("\t%s(ctx context.Context, req *%s) error", op.method, op.in.goType)
		} else {
			g.p("\t%s(ctx context.Context, req *%s) (*%s, error)", op.method, op.in.goType, op.out.goType)
		}
	}
	g.p("}\n")
	g.comment("", "Register"+p.name+" adds the operations of h to s, and the description unless s has one.")
	g.p("func Register%s(s *soapserver.Service, h %s) {", p.name, server)
	for _, op := range p.served() {
		if op.out == nil {
			g.p("\tsoapserver.HandleOneWay(s, %s, h.%s)", op.varName, op.method)
		} else {
			g.p("\tsoapserver.Handle(s, %s, h.%s)", op.varName, op.method)
		}
	}
	g.p("\tif s.WSDL == nil {")
	g.p("\t\ts.WSDL, s.WSDLFile = WSDL(), WSDLFile")
	g.p("\t}")
	g.p("}\n")
	g.comment("", none+" answers each operation with a fault that says it is not implemented.")
	g.p("type %s struct{}\n", none)
	for _, op := range p.served() {
		g.p("// %s implements %s.", op.method, server)
		fault := `soap.Faultf(soap.CodeServer, "operation ` + op.op.Name + ` is not implemented")`
		if op.out == nil {
			g.p("func (%s) %s(context.Context, *%s) error {", none, op.method, op.in.goType)
			g.p("\treturn %s", fault)
		} else {
			g.p("func (%s) %s(context.Context, *%s) (*%s, error) {", none, op.method, op.in.goType, op.out.goType)
			g.p("\treturn nil, %s", fault)
		}
		g.p("}\n")
	}
	g.p("var _ %s = %s{}\n", server, none)
}

// emitSchema writes the package's copy of the description.
func (g *generator) emitSchema(docs []File, main string) {
	for _, f := range docs {
		g.p("//go:embed %s", f.Name)
	}
	g.p("var schemaFiles embed.FS\n")
	g.p("// WSDLFile is the name of the description in WSDL.")
	g.p("const WSDLFile = %q\n", main)
	g.p("// WSDL returns the description this package was generated from, with what it")
	g.p("// imports.")
	g.p("func WSDL() fs.FS {")
	g.p("\tsub, err := fs.Sub(schemaFiles, %q)", schemaDir)
	g.p("\tif err != nil {")
	g.p("\t\tpanic(err) // the name is a constant")
	g.p("\t}")
	g.p("\treturn sub")
	g.p("}")
}
