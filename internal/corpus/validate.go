package main

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/soapward/soapward/wsdl"
)

const nsWSDL = "http://schemas.xmlsoap.org/wsdl/"

// schemaSet writes the schemas of a description as files that libxml2 can
// read: it takes one location for each namespace only, and only what is
// imported. So there is a file for each namespace that includes all its
// schemas, and each schema imports all namespaces.
type schemaSet struct {
	dir        string
	d          *wsdl.Definitions
	namespaces []string            // in order
	parts      map[string][]string // files by namespace
	included   map[*wsdl.Document]string
	roots      map[*wsdl.Document]*node
	pending    []pendingSchema
	done       map[*wsdl.Document]bool
}

type pendingSchema struct {
	root *node
	doc  *wsdl.Document
	file string
}

// writeSchemas returns the file that imports everything.
func writeSchemas(dir string, d *wsdl.Definitions, builtin map[string]string, rpc *comparer) (string, error) {
	s := &schemaSet{dir: dir, d: d, parts: map[string][]string{}, included: map[*wsdl.Document]string{},
		roots: map[*wsdl.Document]*node{}, done: map[*wsdl.Document]bool{}}
	for _, doc := range d.Documents {
		root, err := parse(doc.Content)
		if err != nil {
			return "", err
		}
		s.roots[doc] = root
	}
	for _, doc := range d.Documents {
		root := s.roots[doc]
		if root.name != (xml.Name{Space: nsWSDL, Local: "definitions"}) {
			continue
		}
		for _, n := range root.elements() {
			switch n.name {
			case xml.Name{Space: nsWSDL, Local: "types"}:
				for _, k := range n.elements() {
					if k.name == (xml.Name{Space: nsXSD, Local: "schema"}) {
						s.add(k, doc)
					}
				}
			case xml.Name{Space: nsWSDL, Local: "import"}:
				location, _ := n.attr("", "location")
				s.imported(doc, location)
			}
		}
	}
	for _, space := range slices.Sorted(maps.Keys(builtin)) {
		if _, ok := s.parts[space]; ok {
			continue
		}
		file := filepath.Join(dir, fmt.Sprintf("builtin%d.xsd", len(s.parts)))
		if err := os.WriteFile(file, []byte(builtin[space]), 0o600); err != nil {
			return "", err
		}
		s.namespaces = append(s.namespaces, space)
		s.parts[space] = []string{file}
	}
	for q := range rpc.bodies {
		if _, ok := s.parts[q.Space]; !ok {
			s.namespaces = append(s.namespaces, q.Space)
			s.parts[q.Space] = nil
		}
	}
	for i := 0; i < len(s.pending); i++ { // grows by what is included
		if err := s.write(s.pending[i]); err != nil {
			return "", err
		}
	}
	for i, space := range s.namespaces {
		var b strings.Builder
		fmt.Fprintf(&b, `<xs:schema xmlns:xs="%s"`, nsXSD)
		if space != "" {
			writeAttr(&b, "targetNamespace", space)
		}
		b.WriteString(">\n")
		for _, f := range s.parts[space] {
			fmt.Fprintf(&b, "<xs:include schemaLocation=%q/>\n", filepath.Base(f))
		}
		if w := rpc.wrappers(space); w != "" {
			b.WriteString(s.imports(&space) + w)
		}
		b.WriteString("</xs:schema>\n")
		if err := os.WriteFile(s.file(i), []byte(b.String()), 0o600); err != nil {
			return "", err
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<xs:schema xmlns:xs=%q targetNamespace=%q>\n", nsXSD, "urn:soapward:all")
	b.WriteString(s.imports(nil))
	b.WriteString("</xs:schema>\n")
	driver := filepath.Join(dir, "all.xsd")
	return driver, os.WriteFile(driver, []byte(b.String()), 0o600)
}

func (s *schemaSet) file(i int) string { return filepath.Join(s.dir, fmt.Sprintf("ns%d.xsd", i)) }

// imports writes an xs:import for each namespace but the one given.
func (s *schemaSet) imports(but *string) string {
	var b strings.Builder
	for i, space := range s.namespaces {
		if but != nil && space == *but {
			continue
		}
		b.WriteString(`<xs:import xmlns:xs="` + nsXSD + `"`)
		if space != "" {
			writeAttr(&b, "namespace", space)
		}
		fmt.Fprintf(&b, " schemaLocation=%q/>\n", filepath.Base(s.file(i)))
	}
	return b.String()
}

// add takes a schema into the set of its namespace.
func (s *schemaSet) add(root *node, doc *wsdl.Document) {
	space, _ := root.attr("", "targetNamespace")
	if _, ok := s.parts[space]; !ok {
		s.namespaces = append(s.namespaces, space)
	}
	file := s.next(root, doc)
	s.parts[space] = append(s.parts[space], file)
	for _, n := range root.elements() {
		if n.name == (xml.Name{Space: nsXSD, Local: "import"}) {
			location, _ := n.attr("", "schemaLocation")
			s.imported(doc, location)
		}
	}
}

func (s *schemaSet) next(root *node, doc *wsdl.Document) string {
	file := filepath.Join(s.dir, fmt.Sprintf("schema%d.xsd", len(s.pending)))
	s.pending = append(s.pending, pendingSchema{root, doc, file})
	return file
}

func (s *schemaSet) imported(from *wsdl.Document, location string) {
	doc := refersTo(from, location)
	if doc == nil || s.done[doc] {
		return
	}
	s.done[doc] = true
	if root := s.roots[doc]; root != nil && root.name == (xml.Name{Space: nsXSD, Local: "schema"}) {
		s.add(root, doc)
	}
}

func refersTo(from *wsdl.Document, location string) *wsdl.Document {
	for _, r := range from.Refs {
		if r.Location == location || strings.TrimSpace(r.Location) == strings.TrimSpace(location) {
			return r.Document
		}
	}
	return nil
}

// write writes one schema, with its imports and includes pointing to our files.
func (s *schemaSet) write(p pendingSchema) error {
	space, _ := p.root.attr("", "targetNamespace")
	c := *p.root
	c.items = nil
	for _, it := range p.root.items {
		if it.elem == nil || it.elem.name.Space != nsXSD {
			c.items = append(c.items, it)
			continue
		}
		switch it.elem.name.Local {
		case "import":
			continue
		case "include", "redefine":
			location, _ := it.elem.attr("", "schemaLocation")
			doc := refersTo(p.doc, location)
			if doc == nil {
				continue
			}
			if s.included[doc] == "" {
				s.included[doc] = s.next(s.roots[doc], doc)
				for _, n := range s.roots[doc].elements() {
					if n.name == (xml.Name{Space: nsXSD, Local: "import"}) {
						location, _ := n.attr("", "schemaLocation")
						s.imported(doc, location)
					}
				}
			}
			e := *it.elem
			e.attrs = []attr{{name: xml.Name{Local: "schemaLocation"}, value: filepath.Base(s.included[doc])}}
			it.elem = &e
		}
		c.items = append(c.items, it)
	}
	var b strings.Builder
	c.write(&b, true)
	text := b.String()
	i := strings.IndexByte(text, '>') + 1 // attribute values have none: they are escaped
	return os.WriteFile(p.file, []byte(text[:i]+s.imports(&space)+text[i:]), 0o600)
}

// wrappers declares the elements that RPC style makes of operations (WSDL 1.1
// 3.5), with parts of whatever content.
func (c *comparer) wrappers(space string) string {
	var b strings.Builder
	for _, q := range slices.SortedFunc(maps.Keys(c.bodies), func(a, b wsdl.QName) int { return strings.Compare(a.Local, b.Local) }) {
		if q.Space != space || c.elements[q] != nil {
			continue
		}
		fmt.Fprintf(&b, "<xs:element name=%q><xs:complexType><xs:choice minOccurs=\"0\" maxOccurs=\"unbounded\">", q.Local)
		seen := map[wsdl.QName]bool{}
		for _, p := range c.bodies[q].Content.Children {
			e := p.Element
			if seen[e.Name] {
				continue
			}
			seen[e.Name] = true
			switch {
			case e.Global:
				fmt.Fprintf(&b, "<xs:element xmlns:p=%q ref=\"p:%s\"/>", e.Name.Space, e.Name.Local)
			case e.Type != nil && e.Type.Name.Local != "":
				fmt.Fprintf(&b, "<xs:element xmlns:p=%q name=%q type=\"p:%s\" form=\"unqualified\"/>", e.Type.Name.Space, e.Name.Local, e.Type.Name.Local)
			case len(e.Type.Content.Children) == 1:
				r := e.Type.Content.Children[0].Element
				fmt.Fprintf(&b, "<xs:element name=%q form=\"unqualified\"><xs:complexType><xs:sequence><xs:element xmlns:p=%q ref=\"p:%s\"/></xs:sequence></xs:complexType></xs:element>",
					e.Name.Local, r.Name.Space, r.Name.Local)
			}
		}
		b.WriteString("</xs:choice></xs:complexType></xs:element>\n")
	}
	return b.String()
}

// errSchemas means that libxml2 does not take the schemas, which says nothing
// about the messages.
var errSchemas = errors.New("libxml2 does not take the schemas")

// xmllint validates files and returns what is wrong with each, "" if nothing.
func xmllint(ctx context.Context, driver string, files []string) (map[string]string, error) {
	verdicts := map[string]string{}
	for batch := range slices.Chunk(files, 200) {
		cmd := exec.CommandContext(ctx, "xmllint", append([]string{"--noout", "--nonet", "--schema", driver}, batch...)...)
		out, err := cmd.CombinedOutput()
		text := string(out)
		if strings.Contains(text, "failed to compile") {
			first, _, _ := strings.Cut(text, "\n")
			return nil, fmt.Errorf("%w: %s", errSchemas, strings.TrimPrefix(first, filepath.Dir(driver)+"/"))
		}
		details := map[string]string{}
		known := 0
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if f, ok := strings.CutSuffix(line, " validates"); ok {
				verdicts[f] = ""
				known++
			} else if f, ok := strings.CutSuffix(line, " fails to validate"); ok {
				verdicts[f] = details[f]
				if verdicts[f] == "" {
					verdicts[f] = "invalid"
				}
				known++
			} else if f, rest, ok := strings.Cut(line, ":"); ok && details[f] == "" {
				details[f] = rest
			}
		}
		if known != len(batch) {
			return nil, fmt.Errorf("xmllint: %d of %d verdicts: %w: %s", known, len(batch), err, shorten(text, 300))
		}
	}
	return verdicts, nil
}
