package wsdl

import (
	"context"
	"errors"
	"fmt"
	"net/url"
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
	place int     // in loader.list

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
	refs    map[*node]bool // those in Document.Refs
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

	referred   int       // references to documents that were followed
	missing    []Problem // documents that could not be read
	unresolved int       // references to what is not there
	brought    map[string]bool
	alike      map[likeness][]*symbol
	aliked     int // how much of list is in alike
	stand      map[QName]*Element

	moved string // how the first document was come to, if by a redirect
	login bool   // it is a page with a form to log in
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
		if depth > 0 && !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrOrigin) {
			l.miss(pos, err, format, args...)
			return d, nil
		}
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
			return d, openError(uri, err)
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
	if l.r.OnDocument != nil {
		l.r.OnDocument(shown(final))
	}
	if depth == 0 && final != uri {
		l.moved = " (redirected from " + shown(uri) + ")"
	}
	if page, login := webPage(data); page {
		what := "this is an HTML page, not a WSDL"
		if depth > 0 {
			what = "this is an HTML page, not a WSDL or schema"
		} else {
			what += l.moved
			l.login = login
		}
		if login {
			what += ", with a form to log in"
		}
		return fail(Position{shown(final), 1, 1}, nil, "%s", what)
	}
	root, pos, err := parseXML(shown(final), data, l.odd)
	if err != nil {
		return fail(pos, nil, "%v", err)
	}
	d.root = root
	d.doc = &Document{URI: final, Content: data, Namespace: root.get("targetNamespace"),
		Schema: root.name == QName{nsXSD, "schema"}}
	l.order = append(l.order, d.doc)
	return d, nil
}

// openError is an error of the first document. It names the document, unless
// err names the server that did not give it.
func openError(uri string, err error) error {
	if u, bad := url.Parse(uri); bad == nil && u.Host != "" && strings.Contains(err.Error(), u.Scheme+"://"+u.Host) {
		return fmt.Errorf("wsdl: %w", err)
	}
	return fmt.Errorf("wsdl: open %s: %w", shown(uri), err)
}

func (l *loader) odd(pos Position, text string) { l.warn.add(pos, nil, "%s", text) }

// miss records a document that cannot be used. That is a mistake only if
// something of it is needed.
func (l *loader) miss(pos Position, err error, format string, args ...any) {
	if len(l.missing) < maxProblems {
		l.missing = append(l.missing, Problem{Pos: pos, Err: err, Text: fmt.Sprintf(format, args...)})
	}
}

// refer reads what n's location points to, on behalf of doc.
func (l *loader) refer(ctx context.Context, doc *Document, n *node, location string, depth int) *loaded {
	l.referred++
	uri, err := relative(doc.URI, location)
	if err != nil {
		l.miss(n.pos, err, "location %q", clip(location))
		return nil
	}
	d, _ := l.read(ctx, uri, doc.URI, n.pos, depth)
	if d.root == nil {
		return nil
	}
	if !l.refs[n] {
		l.refs[n] = true
		doc.Refs = append(doc.Refs, Ref{location, d.doc, n.left})
	}
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
		if n.name.Space == nsXSD {
			l.typesItem(ctx, d, n, depth) // not inside wsdl:types, as it should be
			continue
		}
		if n.name.Space != nsWSDL {
			continue // extensions such as policies
		}
		switch n.name.Local {
		case "import", "include": // the second is of WSDL 2.0
			l.wsdlImport(ctx, d, n, depth)
		case "types":
			for _, k := range n.kids {
				l.typesItem(ctx, d, k, depth)
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

// typesItem registers one thing found in wsdl:types.
func (l *loader) typesItem(ctx context.Context, d *loaded, n *node, depth int) {
	if n.name.Local == "schema" && (n.name.Space == nsWSDL || n.name.Space == "") {
		l.warn.add(n.pos, nil, "schema is taken for xs:schema, although its namespace is %q", n.name.Space)
		n.rename(n.name.Space)
	}
	switch n.name {
	case QName{nsXSD, "schema"}:
		l.schema(ctx, d, n, n.get("targetNamespace"), depth)
	case QName{nsXSD, "import"}:
		l.schemaImport(ctx, d, n, depth)
	case QName{nsWSDL, "import"}:
		l.wsdlImport(ctx, d, n, depth)
	}
}

func (l *loader) wsdlImport(ctx context.Context, d *loaded, n *node, depth int) {
	location := n.get("location")
	if location == "" {
		l.warn.add(n.pos, nil, "wsdl:%s without location is ignored", n.name.Local)
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
		l.miss(n.pos, nil, "%s is not a WSDL: its document element is %s", shown(im.doc.URI), im.root.name)
	}
}

// tooMany reports whether there is more than anybody describes: a schema without
// namespace that is included in many, say, counts in each of them.
func (l *loader) tooMany() bool { return len(l.list)+l.referred > maxComponents }

// schema registers the components of a schema as part of namespace tns.
func (l *loader) schema(ctx context.Context, d *loaded, root *node, tns string, depth int) {
	key := schemaKey{root, tns}
	if l.schemas[key] != nil || ctx.Err() != nil || l.tooMany() {
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
			l.warn.add(n.pos, nil, "xs:%s is not allowed here and ignored", clip(n.name.Local))
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
		l.warn.add(n.pos, nil, "xs:redefine of %s %s, which the redefined schema does not have", kindNames[k], key.name)
		l.declare(key, n, s)
		return
	}
	sym := &symbol{key: key, node: n, in: s, prior: prior, place: prior.place}
	l.syms[key] = sym
	l.list[sym.place] = sym
}

// declare registers a component. The first of several wins, with a warning
// unless they say the same.
func (l *loader) declare(key symKey, n *node, s *schema) {
	if key.name.Local == "" {
		l.warn.add(n.pos, nil, "%s without name is ignored", kindNames[key.kind])
		return
	}
	if strings.ContainsAny(key.name.Local, ": \t\r\n<>&{}\"") {
		l.warn.add(n.pos, nil, "%s is ignored: %q is not a name", kindNames[key.kind], clip(key.name.Local))
		return
	}
	if old := l.syms[key]; old != nil {
		if !old.node.equal(n) && !strings.HasPrefix(n.pos.URI, builtinURI) {
			l.warn.add(n.pos, nil, "%s %s was declared differently at %s, which is used", kindNames[key.kind], key.name, old.node.pos)
		}
		return
	}
	sym := &symbol{key: key, node: n, in: s, place: len(l.list)}
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
	before := len(l.missing)
	im := l.refer(ctx, d.doc, n, location, depth+1)
	if im == nil {
		if known { // the file is missing, but we have our own
			l.missing = l.missing[:before]
		}
		return
	}
	if written != "" && written != location {
		d.doc.Refs = append(d.doc.Refs, Ref{written, im.doc, n.left})
	}
	switch im.root.name {
	case QName{nsXSD, "schema"}:
		got := im.root.get("targetNamespace")
		if got != space {
			l.warn.add(n.pos, nil, "import of namespace %q found a schema of namespace %q", clip(space), clip(got))
		}
		if got == "" { // taken as if it were included
			got = space
		}
		l.schema(ctx, im, im.root, got, depth+1)
	case QName{nsWSDL, "definitions"}: // the types of another WSDL
		l.wsdl(ctx, im, depth+1)
	default:
		l.miss(n.pos, nil, "%s is not a schema: its document element is %s", shown(im.doc.URI), im.root.name)
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
		l.warn.add(n.pos, nil, "xs:%s without schemaLocation is ignored", n.name.Local)
		return
	}
	in := l.refer(ctx, d.doc, n, location, depth+1)
	if in == nil {
		return
	}
	if (in.root.name != QName{nsXSD, "schema"}) {
		l.miss(n.pos, nil, "%s is not a schema: its document element is %s", shown(in.doc.URI), in.root.name)
		return
	}
	if got := in.root.get("targetNamespace"); got != "" && got != s.tns {
		l.warn.add(n.pos, nil, "xs:%s of a schema of another namespace, %q, is taken for xs:import", n.name.Local, clip(got))
		l.schema(ctx, in, in.root, got, depth+1)
		return
	}
	l.schema(ctx, in, in.root, s.tns, depth+1)
}

// builtin registers the schemas this package brings along for a namespace of
// which something is missing. It reports whether there is one.
func (l *loader) builtin(space string) bool {
	file, ok := builtinSchemas[space]
	if !ok || l.brought[space] {
		return false
	}
	l.brought[space] = true
	data, err := builtinFiles.ReadFile(file)
	if err != nil {
		return false
	}
	root, _, err := parseXML(builtinURI+space, data, l.odd)
	if err != nil {
		l.probs.add(Position{URI: builtinURI + space}, err, "built-in schema")
		return false
	}
	d := &loaded{doc: &Document{URI: builtinURI + space, Schema: true, Namespace: space}, root: root}
	l.schema(context.Background(), d, root, space, 0)
	return true
}
