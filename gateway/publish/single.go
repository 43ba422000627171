package publish

import (
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/soapward/soapward/soap/wire"
)

// single makes one document of all: the schemas go into wsdl:types, and what
// imported WSDLs hold beside that of the main one. That of the prefix xml stays
// where it is, as zeep asks w3.org for it where an import does not say where. An
// error says why that cannot be.
func single(list []*source) (*document, error) {
	main := list[0]
	if len(list) == 1 {
		return main.out, nil
	}
	f := &folder{e: &pieces{doc: &document{query: "singlewsdl"}}}
	for _, s := range list {
		s.apart = s.name.isSchema() && s.Namespace == wire.XML
		switch {
		case s.apart:
			continue
		case s.name.isWSDL() && s.Namespace != main.Namespace:
			return nil, fmt.Errorf("it is written in several namespaces, %q and %q", main.Namespace, s.Namespace)
		case s.name.isSchema() && s.name.space != wire.XSD:
			return nil, errors.New("its schemas are of a draft of XML Schema")
		}
		if err := s.foldable(); err != nil {
			return nil, err
		}
		l, err := lay(s.text)
		if err != nil {
			return nil, err
		}
		f.sources, f.layouts = append(f.sources, s), append(f.layouts, l)
	}
	if f.layouts[0].end < 0 {
		return nil, errors.New("its main document is empty")
	}
	f.fold()
	f.e.finish()
	return f.e.doc, nil
}

// foldable says why a document cannot be a part of another one.
func (s *source) foldable() error {
	for _, p := range s.places {
		to := s.refs[p.element]
		switch {
		case p.kind != kindReference || to == nil:
		case p.what == "redefine" || p.what == "override":
			return errors.New("a schema in it changes another one (xs:" + p.what + ")")
		case to.name.isSchema() && to.Namespace == "" && p.attr == "schemaLocation":
			return errors.New("a schema in it includes one without a namespace")
		}
	}
	return nil
}

// span is an element of a text.
type span struct {
	name     root
	from, to int
	tag      int // where its start tag ends
	end      int // where its end tag begins; -1: it has none
}

// layout is how a document is built.
type layout struct {
	span             // its first element
	children []span  // of that
	types    *span   // the first wsdl:types
	inner    []inner // children of all wsdl:types
}

// inner is a schema within wsdl:types.
type inner struct {
	span
	types span
}

// lay finds the layout of a document.
func lay(text string) (*layout, error) {
	r := wire.NewReader([]byte(text), wire.Options{Limits: limits})
	l := new(layout)
	var at [4]span // open elements by their depths
	for {
		kind := r.Next()
		from, to := r.Span()
		depth := r.Depth()
		switch kind {
		case wire.EOF:
			for i := range l.children {
				if l.children[i].name == (root{wsdlSpace, "types"}) && l.children[i].end >= 0 {
					l.types = &l.children[i]
					break
				}
			}
			return l, r.Err()
		case wire.Start:
			if depth < len(at) {
				at[depth] = span{name: root{r.Space(), r.Local()}, from: from, tag: to}
			}
		case wire.End:
			depth++
			if depth >= len(at) {
				continue
			}
			s := at[depth]
			s.to, s.end = max(to, s.tag), from
			if s.to == s.tag { // an empty-element tag
				s.end = -1
			}
			switch {
			case depth == 1:
				l.span = s
			case depth == 2:
				l.children = append(l.children, s)
			case at[2].name == root{wsdlSpace, "types"}:
				l.inner = append(l.inner, inner{s, at[2]})
			}
		}
	}
}

// folder puts documents into the first of them.
type folder struct {
	sources []*source
	layouts []*layout
	e       *pieces
}

func (f *folder) fold() {
	main, l := f.sources[0], f.layouts[0]
	f.e.add(usualDeclaration + "\n")
	at := 0
	switch {
	case l.types != nil:
		main.cut(f.e, 0, l.types.tag)
		f.schemas()
		at = l.types.tag
	default:
		at = l.tag
		if c := l.children; len(c) > 0 && c[0].name == (root{wsdlSpace, "documentation"}) {
			at = c[0].to
		}
		main.cut(f.e, 0, at)
		f.e.add("\n" + `<types xmlns="` + wsdlSpace + `">`)
		f.schemas()
		f.e.add("</types>")
	}
	main.cut(f.e, at, l.end)
	for i, s := range f.sources[1:] {
		if l := f.layouts[i+1]; s.name.isWSDL() {
			for _, c := range l.children {
				if c.name != (root{wsdlSpace, "types"}) && c.name != (root{wsdlSpace, "documentation"}) {
					f.move(s, c, l.span)
				}
			}
		}
	}
	f.e.add(main.text[l.end:])
}

// schemas adds those of all documents but the first: those that others import
// come before these, since zeep looks for what it has not seen yet elsewhere.
func (f *folder) schemas() {
	for i, s := range slices.Backward(f.sources) {
		l := f.layouts[i]
		if i == 0 {
			continue
		}
		if s.name.isSchema() {
			f.move(s, l.span)
		}
		for _, in := range l.inner {
			f.move(s, in.span, l.span, in.types)
		}
	}
}

// move adds an element of another document, with the prefixes that those around
// it declare there.
func (f *folder) move(s *source, el span, around ...span) {
	if s.dropped(el) {
		return
	}
	have := declared(s.text[el.from:el.tag])
	var more []xml.Attr
	for _, a := range slices.Backward(around) {
		for _, d := range declared(s.text[a.from:a.tag]) {
			same := func(x xml.Attr) bool { return x.Name == d.Name }
			if !slices.ContainsFunc(have, same) && !slices.ContainsFunc(more, same) {
				more = append(more, d)
			}
		}
	}
	plain := func(x xml.Attr) bool { return x.Name.Space == "" }
	if !slices.ContainsFunc(have, plain) && !slices.ContainsFunc(more, plain) {
		more = append(more, xml.Attr{Name: xml.Name{Local: "xmlns"}})
	}
	name := el.from + 1
	name += strings.IndexAny(s.text[name:el.tag], " \t\r\n/>")
	f.e.add("\n" + s.text[el.from:name])
	for _, a := range more {
		n := a.Name.Local
		if a.Name.Space != "" {
			n = a.Name.Space + ":" + n
		}
		f.e.add(" " + n + `="` + escape(a.Value) + `"`)
	}
	s.cut(f.e, name, el.to)
}

// declared returns the namespace declarations of a start tag.
func declared(tag string) (list []xml.Attr) {
	t, _ := xml.NewDecoder(strings.NewReader(tag)).RawToken() // it was read before
	start, _ := t.(xml.StartElement)
	for _, a := range start.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			list = append(list, a)
		}
	}
	return list
}

// dropped reports whether an element is a reference that has no place in one
// document.
func (s *source) dropped(el span) bool {
	return slices.ContainsFunc(s.places, func(p place) bool {
		return p.element == el.from && p.kind == kindReference && s.refs[p.element] != nil && p.attr == "location"
	})
}

// cut is copy for one document: what refers to a document is left out.
func (s *source) cut(e *pieces, from, to int) {
	for _, p := range s.places {
		ref := s.refs[p.element]
		if p.kind != kindReference || p.from < from || p.to > to || ref == nil || ref.apart {
			continue
		}
		start, end := p.element, p.end
		if p.attr == "schemaLocation" && p.what == "import" { // the namespace is needed
			name := p.element + strings.LastIndex(s.text[p.element:p.from], p.attr)
			start, end = len(strings.TrimRight(s.text[:name], " \t\r\n")), p.to+1
		}
		s.copy(e, from, start)
		from = end
	}
	s.copy(e, from, to)
}
