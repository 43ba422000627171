package gen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/soapward/soapward/wsdl"
)

// headerUse is a header block and the methods whose requests or answers have it.
type headerUse struct {
	elem   wsdl.QName
	method string // WithMethod, FindMethod
	goType string
	in     []string
	out    []string
}

// headerUses returns the header blocks of all operations.
func (g *generator) headerUses() []*headerUse {
	var all []*headerUse
	for _, p := range g.ports {
		for _, op := range p.ops {
			for _, h := range op.headers {
				i := slices.IndexFunc(all, func(u *headerUse) bool { return u.elem == h.elem })
				if i < 0 {
					i = len(all)
					all = append(all, &headerUse{elem: h.elem, method: h.method, goType: h.goType})
				}
				u := all[i]
				name := op.method
				if len(g.ports) > 1 {
					name = p.name + "." + name
				}
				if h.out {
					u.out = append(u.out, name)
				} else {
					u.in = append(u.in, name)
				}
			}
		}
	}
	return all
}

// headerNames are those of an operation's header blocks, as its package calls
// them.
func (op *operation) headerNames(uses []*headerUse, out bool) []string {
	var names []string
	for _, u := range uses {
		if slices.ContainsFunc(op.headers, func(h *headerT) bool { return h.elem == u.elem && h.out == out }) {
			names = append(names, u.method)
		}
	}
	return names
}

// readmeHeaders tells of header blocks.
func (g *generator) readmeHeaders() {
	uses := g.headerUses()
	if len(uses) == 0 {
		return
	}
	operations := 0
	for _, p := range g.ports {
		operations += len(p.ops)
	}
	list := func(names []string) string {
		const most = 8
		switch n := len(names); {
		case n == 0:
			return "-"
		case n == operations && n > 1:
			return "all"
		case n > most:
			return "`" + strings.Join(names[:most], "`, `") + fmt.Sprintf("` and %d more", n-most)
		}
		return "`" + strings.Join(names, "`, `") + "`"
	}
	g.p("## Headers\n")
	g.p("| header | type | in requests of | in answers of |")
	g.p("|---|---|---|---|")
	for _, u := range uses {
		g.p("| %s | `%s` | %s | %s |", markdown(u.elem.Local), u.goType, list(u.in), list(u.out))
	}
	q := g.qualifier()
	sent := slices.IndexFunc(uses, func(u *headerUse) bool { return len(u.in) > 0 })
	got := slices.IndexFunc(uses, func(u *headerUse) bool { return len(u.out) > 0 })
	method := func(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }
	if sent >= 0 {
		u := uses[sent]
		g.p("\nA header goes with each call:\n")
		g.p("```go")
		g.p("client.%s(ctx, req, %sWith%s(&%s{}))", method(u.in[0]), q, u.method, qualified(q, u.goType))
		g.p("```\n")
		g.p("and a handler of a server finds it, nil if there is none:\n")
		g.p("```go")
		g.p("header, err := %s%sFrom(ctx)", q, u.method)
		g.p("```")
	}
	if got >= 0 {
		u := uses[got]
		g.p("\nThe headers of an answer are asked for:\n")
		g.p("```go")
		g.p("var headers []soap.Header")
		g.p("client.%s(ctx, req, soapclient.ReceiveHeaders(&headers))", method(u.out[0]))
		g.p("header, err := %sFind%s(headers)", q, u.method)
		g.p("```\n")
		g.p("A handler sends them with the method `Reply` of `soapserver.FromContext(ctx)`.")
	}
	g.p("")
}

// qualified is how examples write a type: q stands before those of the package
// itself.
func qualified(q, goType string) string {
	if strings.ContainsAny(goType, "."+string(refOpen)) { // of the runtime, or of another package
		return goType
	}
	return q + goType
}
