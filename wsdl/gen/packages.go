package gen

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/soapward/soapward/wsdl"
)

// pkgT is a generated package: the one with the clients and servers, which is
// g.root, or one with types of some namespaces.
type pkgT struct {
	index  int
	name   string
	dir    string // below the root, "" for it
	scope  *scope
	spaces []string
}

// References to names of a package are written with marks around its index
// until it is known from where they are seen. No text of a description brings
// such marks: identifiers have none, and comments lose them.
const (
	refOpen  = '\uE000'
	refClose = '\uE001'
)

// ref is how source of any package writes a name of p.
func (g *generator) ref(p *pkgT, name string) string {
	if !g.opt.PerNamespace {
		return name
	}
	return string(refOpen) + strconv.Itoa(p.index) + string(refClose) + name
}

// resolve replaces references in source of the current package, and notes what
// it imports.
func (o *out) resolve(s string) string {
	for i, p := range o.packages {
		if p != o.at && strings.Contains(s, string(refOpen)+strconv.Itoa(i)+string(refClose)) {
			o.refs[i] = true
		}
	}
	return o.seen(s)
}

// seen is resolve for text that needs no import.
func (o *out) seen(s string) string {
	if !strings.ContainsRune(s, refOpen) {
		return s
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, string(refOpen))
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		var digits string
		digits, s, _ = strings.Cut(rest, string(refClose))
		i, err := strconv.Atoi(digits)
		if err != nil || i < 0 || i >= len(o.packages) {
			continue // not ours
		}
		if p := o.packages[i]; p != o.at {
			b.WriteString(p.name + ".")
		}
	}
}

// spaceOf returns the namespace that a type belongs to: its own, or that of
// what it is written in.
func (g *generator) spaceOf(t *wsdl.Type) string {
	for t.Name.IsZero() && t.OwnerType() != nil {
		t = t.OwnerType()
	}
	if !t.Name.IsZero() {
		return t.Name.Space
	}
	return g.rootElement(t).Space
}

// packageOf returns the package of what belongs to a namespace.
func (g *generator) packageOf(space string) *pkgT {
	if p := g.bySpace[space]; p != nil {
		return p
	}
	return g.root
}

// packageOfElement returns the package of what an element needs for itself.
func (g *generator) packageOfElement(e *wsdl.Element) *pkgT {
	if g.loose[looseElement{e.Name, e.Type}] == e { // of no schema
		return g.root
	}
	return g.packageOf(e.Name.Space)
}

// divide decides which namespaces share a package. Go packages cannot import
// each other in a circle, so namespaces that need each other go together: the
// strongly connected parts of the graph of what needs what. A type needs those
// of its elements and attributes; and since a value of a type is read and
// written as any derived from it, base and derived types need each other.
func (g *generator) divide() {
	g.root = &pkgT{name: g.opt.Package, scope: g.pkg}
	g.packages = []*pkgT{g.root}
	g.at = g.root
	g.bySpace = map[string]*pkgT{}
	if !g.opt.PerNamespace {
		return
	}
	var spaces []string
	needs := map[string][]string{}
	add := func(s string) {
		if _, ok := needs[s]; !ok {
			needs[s] = nil
			spaces = append(spaces, s)
		}
	}
	edge := func(from, to string) {
		add(from)
		add(to)
		if from != to && !slices.Contains(needs[from], to) {
			needs[from] = append(needs[from], to)
		}
	}
	uses := func(from string, t *wsdl.Type) {
		for t != nil && t.Simple != nil && t.Simple.Variety == wsdl.List {
			t = t.Simple.Item
		}
		// An enumeration may be that of a base.
		for ; t != nil && !t.Builtin; t = t.Base {
			edge(from, g.spaceOf(t))
			if t.Complex {
				return
			}
		}
	}
	for _, t := range g.reachList {
		from := g.spaceOf(t)
		add(from)
		for _, d := range t.Derived {
			if g.reached(d) {
				edge(from, g.spaceOf(d))
				edge(g.spaceOf(d), from)
			}
		}
		if t.Simple != nil {
			uses(from, t)
		}
		if t.Array != nil {
			uses(from, t.Array.Item)
		}
		for _, a := range t.Attributes {
			uses(from, a.Type)
		}
		g.elements(t.Content, 0, func(e *wsdl.Element) {
			uses(from, e.Type)
			for _, m := range e.Members {
				uses(from, m.Type)
			}
		})
	}
	for _, e := range g.d.Elements {
		if g.reached(e.Type) || e.Type.Builtin {
			uses(e.Name.Space, e.Type)
			add(e.Name.Space)
		}
	}
	taken := newScope(g.opt.Package, "r", "w", "x", "v", "a", "q", "i", "s", "c", "t", "ok", "at", "err", "more", "seen", "got", "name", "req",
		"opts", "ctx", "call", "sub", "headers", "client", "answer", "handler", "service", schemaDir, "internal", "testdata", "vendor")
	for name := range importPaths {
		taken.used[name] = true
	}
	for name := range packageScope().used {
		taken.used[name] = true
	}
	for _, group := range connected(spaces, needs) {
		p := &pkgT{index: len(g.packages), scope: packageScope(), spaces: group}
		name := spacePackage(group[0])
		p.name = taken.take(name, strings.TrimSuffix(name, "types")+"types")
		p.dir = p.name
		g.packages = append(g.packages, p)
		for _, s := range group {
			g.bySpace[s] = p
		}
	}
}

// connected returns the strongly connected parts of a graph, each in the order
// of nodes, and they in that of their first one.
func connected(nodes []string, edges map[string][]string) [][]string {
	// With few nodes, asking for each what it reaches is quick enough.
	reach := map[string]map[string]bool{}
	for _, n := range nodes {
		seen := map[string]bool{n: true}
		for todo := []string{n}; len(todo) > 0; {
			k := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			for _, to := range edges[k] {
				if !seen[to] {
					seen[to] = true
					todo = append(todo, to)
				}
			}
		}
		reach[n] = seen
	}
	var groups [][]string
	done := map[string]bool{}
	for _, n := range nodes {
		if done[n] {
			continue
		}
		var group []string
		for _, m := range nodes {
			if reach[n][m] && reach[m][n] {
				group = append(group, m)
				done[m] = true
			}
		}
		groups = append(groups, group)
	}
	return groups
}

// spacePackage makes a package name of a namespace: its last word that is not
// a version or a date.
func spacePackage(space string) string {
	words := strings.FieldsFunc(space, func(r rune) bool { return strings.ContainsRune("/:#?=&", r) })
	for _, w := range slices.Backward(words) {
		if i := strings.LastIndexByte(w, '.'); i >= 0 && path.Ext(w) != "" {
			switch path.Ext(w) {
			case ".xsd", ".wsdl", ".asmx", ".svc", ".com", ".org", ".net":
				w = w[:i]
			}
		}
		letters := 0
		for _, r := range w {
			if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
				letters++
			}
		}
		if letters > 1 {
			if name := PackageName(w); name != "service" && name != "http" && name != "https" && name != "urn" {
				return name
			}
		}
	}
	return "types"
}

// part marks packages that belong to the one in the directory above, so that
// the command knows them again.
const part = "//soapward:part"

// emitPartDoc writes what stands above the package clause of a part.
func (g *generator) emitPartDoc(p *pkgT) {
	var names []string
	for _, s := range p.spaces {
		if s == "" {
			s = "without name"
		}
		names = append(names, s)
	}
	what := "the namespace " + names[0]
	if n := len(names) - 1; n > 0 {
		what = "the namespaces " + strings.Join(names[:n], ", ") + " and " + names[n] + ", which need each other,"
	}
	g.comment("", "Package "+p.name+" has the types of "+what+" for package "+g.opt.Package+".")
	g.body.WriteString(packageMark)
	fmt.Fprintf(&g.body, "%s\n\n", part)
}

// IsPart reports whether a Go file of a directory was written by Generate with
// Options.PerNamespace for the package in the directory above.
func IsPart(data []byte) bool {
	return Written(".gen.go", data) && strings.Contains(string(data), "\n"+part+"\n")
}
