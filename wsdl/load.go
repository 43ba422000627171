package wsdl

import (
	"context"
	"fmt"
	"strings"
)

// loaded is a document that was read, or could not be.
type loaded struct {
	doc  *Document
	root *node // nil: reading failed, and a problem says so
	done bool  // its imports were followed
}

// A schema is an xs:schema element as one target namespace sees it. A schema
// without namespace that is included elsewhere (chameleon) makes several.
type schema struct {
	root      *node
	tns       string
	chameleon bool
	elemQual  bool
	attrQual  bool
}

type schemaKey struct {
	root *node
	tns  string
}

type kind int

const (
	kindType kind = iota
	kindElement
	kindAttribute
	kindGroup
	kindAttributeGroup
	kindMessage
	kindPortType
	kindBinding
	kindService
)

var kindNames = [...]string{"type", "element", "attribute", "group", "attribute group", "message", "port type", "binding", "service"}

type symKey struct {
	kind kind
	name QName
}

// symbol is a global component, found in pass 1 and built in pass 2.
type symbol struct {
	key   symKey
	node  *node
	in    *schema // nil for components of WSDL
	prior *symbol // what xs:redefine replaces

	typ  *Type
	elem *Element
	attr *Attribute
	part *Particle
	busy bool
}

// loader does pass 1: it reads documents and finds every global component.
type loader struct {
	r       *Resolver
	fetch   *fetcher
	probs   problems
	warn    problems
	dropped []Problem
	broken  bool // nothing else is wrong
	docs    map[string]*loaded
	order   []*Document
	schemas map[schemaKey]*schema
	syms    map[symKey]*symbol
	list    []*symbol // in document order
	byNS    map[string]bool
	types   map[QName]*Type
	maxDocs int
	left    int64
	depth   int
	nested  int // model groups and types being built inside each other
	queue   []*Type
	policy  policies
}

// read fetches and parses a document once. The error is for the main document;
// of imported ones it is recorded as a problem at the place of the import.
func (l *loader) read(ctx context.Context, uri, importer string, at Position, depth int) (*loaded, error) {
	if to, ok := l.r.Catalog[uri]; ok {
		if abs, err := absolute(to); err == nil {
			uri, importer = abs, ""
		}
	}
	if d := l.docs[uri]; d != nil {
		return d, nil
	}
	d := &loaded{}
	l.docs[uri] = d
	fail := func(pos Position, err error, format string, args ...any) (*loaded, error) {
		l.probs.add(pos, err, format, args...)
		return d, l.probs.err()
	}
	if at.URI == "" {
		at.URI = shown(uri)
	}
	if depth > l.depth {
		return fail(at, ErrTooLarge, "imports are nested deeper than %d", l.depth)
	}
	if len(l.docs) > l.maxDocs {
		return fail(at, ErrTooLarge, "more than %d documents are imported", l.maxDocs)
	}
	data, final, err := l.fetch.get(ctx, uri, importer, l.left)
	if err != nil {
		if depth == 0 {
			return d, fmt.Errorf("wsdl: open %s: %w", shown(uri), err)
		}
		return fail(at, err, "cannot read %s", shown(uri))
	}
	if final != uri {
		if known := l.docs[final]; known != nil && known != d {
			l.docs[uri] = known
			return known, nil
		}
		l.docs[final] = d
	}
	l.left -= int64(len(data))
	root, pos, err := parseXML(shown(final), data)
	if err != nil {
		return fail(pos, nil, "%v", err)
	}
	d.root = root
	d.doc = &Document{URI: final, Content: data, Namespace: root.get("targetNamespace"),
		Schema: root.name == QName{nsXSD, "schema"}}
	l.order = append(l.order, d.doc)
	return d, nil
}

// refer reads what n's location points to, on behalf of doc.
func (l *loader) refer(ctx context.Context, doc *Document, n *node, location string, depth int) *loaded {
	uri, err := relative(doc.URI, location)
	if err != nil {
		l.probs.add(n.pos, err, "location %q", clip(location))
		return nil
	}
	d, _ := l.read(ctx, uri, doc.URI, n.pos, depth)
	if d.root == nil {
		return nil
	}
	for _, r := range doc.Refs {
		if r.Location == location {
			return d
		}
	}
	doc.Refs = append(doc.Refs, Ref{location, d.doc})
	return d
}

// wsdl registers the components of a WSDL document and of what it imports.
func (l *loader) wsdl(ctx context.Context, d *loaded, depth int) {
	if d.done || ctx.Err() != nil {
		return
	}
	d.done = true
	root := d.root
	tns := root.get("targetNamespace")
	for _, n := range root.kids {
		if n.name.Space != nsWSDL {
			continue // extensions such as policies
		}
		switch n.name.Local {
		case "import":
			l.wsdlImport(ctx, d, n, depth)
		case "types":
			for _, k := range n.kids {
				switch {
				case k.name == QName{nsXSD, "schema"}:
					l.schema(ctx, d, k, k.get("targetNamespace"), depth)
				case k.name.Local == "schema" && (k.name.Space == nsXSD1999 || k.name.Space == nsXSD2000):
					l.probs.add(k.pos, nil, "schema of the draft %s, which is not supported", k.name.Space)
				}
			}
		case "message":
			l.declare(symKey{kindMessage, QName{tns, n.get("name")}}, n, nil)
		case "portType":
			l.declare(symKey{kindPortType, QName{tns, n.get("name")}}, n, nil)
		case "binding":
			l.declare(symKey{kindBinding, QName{tns, n.get("name")}}, n, nil)
		case "service":
			l.declare(symKey{kindService, QName{tns, n.get("name")}}, n, nil)
		case "documentation":
		default:
			l.warn.add(n.pos, nil, "unknown element wsdl:%s is ignored", clip(n.name.Local))
		}
	}
}

func (l *loader) wsdlImport(ctx context.Context, d *loaded, n *node, depth int) {
	location, ok := n.attr("location")
	if !ok || location == "" {
		l.probs.add(n.pos, nil, "wsdl:import without location")
		return
	}
	im := l.refer(ctx, d.doc, n, location, depth+1)
	if im == nil {
		return
	}
	switch im.root.name {
	case QName{nsWSDL, "definitions"}:
		l.wsdl(ctx, im, depth+1)
	case QName{nsXSD, "schema"}: // not allowed, yet written by some
		l.schema(ctx, im, im.root, im.root.get("targetNamespace"), depth+1)
	default:
		l.probs.add(n.pos, nil, "%s is not a WSDL: its document element is %s", shown(im.doc.URI), im.root.name)
	}
}

// schema registers the components of a schema as part of namespace tns.
func (l *loader) schema(ctx context.Context, d *loaded, root *node, tns string, depth int) {
	key := schemaKey{root, tns}
	if l.schemas[key] != nil || ctx.Err() != nil {
		return
	}
	s := &schema{
		root: root, tns: tns, chameleon: tns != root.get("targetNamespace"),
		elemQual: root.get("elementFormDefault") == "qualified",
		attrQual: root.get("attributeFormDefault") == "qualified",
	}
	l.schemas[key] = s
	l.byNS[tns] = true
	for _, n := range root.kids {
		if n.name.Space != nsXSD {
			continue
		}
		switch n.name.Local {
		case "import":
			l.schemaImport(ctx, d, n, depth)
		case "include":
			l.include(ctx, d, s, n, depth)
		case "redefine":
			l.include(ctx, d, s, n, depth)
			for _, k := range n.kids {
				l.component(s, k, true)
			}
		case "annotation", "notation":
		default:
			l.component(s, n, false)
		}
	}
}

var schemaKinds = map[string]kind{
	"simpleType": kindType, "complexType": kindType, "element": kindElement, "attribute": kindAttribute,
	"group": kindGroup, "attributeGroup": kindAttributeGroup,
}

// component registers one global component of a schema.
func (l *loader) component(s *schema, n *node, redefine bool) {
	k, ok := schemaKinds[n.name.Local]
	if n.name.Space != nsXSD || !ok {
		if n.name.Space == nsXSD && n.name.Local != "annotation" {
			l.probs.add(n.pos, nil, "xs:%s is not allowed here", clip(n.name.Local))
		}
		return
	}
	key := symKey{k, QName{s.tns, n.get("name")}}
	if !redefine {
		l.declare(key, n, s)
		return
	}
	prior := l.syms[key]
	if prior == nil {
		l.probs.add(n.pos, nil, "xs:redefine of %s %s, which the redefined schema does not have", kindNames[k], key.name)
		return
	}
	sym := &symbol{key: key, node: n, in: s, prior: prior}
	l.syms[key] = sym
	for i, x := range l.list {
		if x == prior {
			l.list[i] = sym
		}
	}
}

// declare registers a component. The first of several wins, with a warning
// unless they say the same.
func (l *loader) declare(key symKey, n *node, s *schema) {
	if key.name.Local == "" {
		l.probs.add(n.pos, nil, "%s without name", kindNames[key.kind])
		return
	}
	if strings.ContainsAny(key.name.Local, ": \t\r\n<>&{}\"") {
		l.probs.add(n.pos, nil, "%q is not a name", clip(key.name.Local))
		return
	}
	if old := l.syms[key]; old != nil {
		if !old.node.equal(n) {
			l.warn.add(n.pos, nil, "%s %s was declared differently at %s, which is used", kindNames[key.kind], key.name, old.node.pos)
		}
		return
	}
	sym := &symbol{key: key, node: n, in: s}
	l.syms[key] = sym
	l.list = append(l.list, sym)
}

func (l *loader) schemaImport(ctx context.Context, d *loaded, n *node, depth int) {
	space := n.get("namespace")
	written := n.get("schemaLocation")
	location := written
	if space == nsXSD {
		return
	}
	if _, ok := l.r.Catalog[space]; ok && space != "" {
		location = space // which read looks up
	}
	_, known := builtinSchemas[space]
	if location == "" {
		return // found among the other schemas, or built in
	}
	if known {
		uri, err := relative(d.doc.URI, location)
		if err != nil || foreign(d.doc.URI, uri) {
			return // brought along: no need to ask w3.org
		}
	}
	before := len(l.probs.list)
	im := l.refer(ctx, d.doc, n, location, depth+1)
	if im == nil {
		if known && len(l.probs.list) > before { // the file is missing, but we have our own
			l.probs.list = l.probs.list[:before]
		}
		return
	}
	if written != "" && written != location {
		d.doc.Refs = append(d.doc.Refs, Ref{written, im.doc})
	}
	switch im.root.name {
	case QName{nsXSD, "schema"}:
		if got := im.root.get("targetNamespace"); got != space {
			l.warn.add(n.pos, nil, "import of namespace %q found a schema of namespace %q", clip(space), clip(got))
		}
		l.schema(ctx, im, im.root, im.root.get("targetNamespace"), depth+1)
	case QName{nsWSDL, "definitions"}: // the types of another WSDL
		l.wsdl(ctx, im, depth+1)
	default:
		l.probs.add(n.pos, nil, "%s is not a schema: its document element is %s", shown(im.doc.URI), im.root.name)
	}
}

// foreign reports whether uri is on the network at another origin than base.
func foreign(base, uri string) bool {
	return strings.HasPrefix(uri, "http") && hostOf(uri) != hostOf(base)
}

func hostOf(uri string) string {
	_, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return ""
	}
	host, _, _ := strings.Cut(rest, "/")
	return strings.ToLower(host)
}

// include adds an included schema to s, in the namespace of s even when the
// included one has none (XML Schema 1 4.2.1).
func (l *loader) include(ctx context.Context, d *loaded, s *schema, n *node, depth int) {
	location := n.get("schemaLocation")
	if location == "" {
		l.probs.add(n.pos, nil, "xs:%s without schemaLocation", n.name.Local)
		return
	}
	in := l.refer(ctx, d.doc, n, location, depth+1)
	if in == nil {
		return
	}
	if (in.root.name != QName{nsXSD, "schema"}) {
		l.probs.add(n.pos, nil, "%s is not a schema: its document element is %s", shown(in.doc.URI), in.root.name)
		return
	}
	if got := in.root.get("targetNamespace"); got != "" && got != s.tns {
		l.probs.add(n.pos, nil, "xs:%s of a schema of another namespace, %q", n.name.Local, clip(got))
		return
	}
	l.schema(ctx, in, in.root, s.tns, depth+1)
}

// builtin registers the schemas this package brings along for a namespace
// nobody gave a schema of. It reports whether there is one.
func (l *loader) builtin(space string) bool {
	file, ok := builtinSchemas[space]
	if !ok || l.byNS[space] {
		return false
	}
	data, err := builtinFiles.ReadFile(file)
	if err != nil {
		return false
	}
	root, _, err := parseXML(builtinURI+space, data)
	if err != nil {
		l.probs.add(Position{URI: builtinURI + space}, err, "built-in schema")
		return false
	}
	d := &loaded{doc: &Document{URI: builtinURI + space, Schema: true, Namespace: space}, root: root}
	l.schema(context.Background(), d, root, space, 0)
	return true
}

// find resolves a reference made by name in n. It records a problem when there
// is nothing of that name.
func (l *loader) find(k kind, n *node, s *schema, ref string) *symbol {
	q, ok := l.refName(n, s, ref)
	if !ok {
		return nil
	}
	return l.findName(k, n, q)
}

// refName resolves the prefix of a reference made in n. It records a problem
// when that is not declared.
func (l *loader) refName(n *node, s *schema, ref string) (QName, bool) {
	q, err := n.qname(ref)
	if err != nil {
		l.probs.add(n.pos, nil, "%v", err)
		return QName{}, false
	}
	if s != nil && s.chameleon && q.Space == "" {
		q.Space = s.tns
	}
	return q, true
}

func (l *loader) findName(k kind, n *node, q QName) *symbol {
	if sym := l.syms[symKey{k, q}]; sym != nil {
		return sym
	}
	if l.builtin(q.Space) {
		if sym := l.syms[symKey{k, q}]; sym != nil {
			return sym
		}
	}
	hint := ""
	if !l.byNS[q.Space] && q.Space != nsXSD && k <= kindAttributeGroup {
		hint = "; no schema of that namespace was imported"
	}
	l.probs.add(n.pos, nil, "there is no %s %s%s", kindNames[k], q, hint)
	return nil
}
