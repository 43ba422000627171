package publish

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/wsdl"
)

// document is one that is published: a text with gaps.
type document struct {
	query string // that it is asked for by, in small letters
	parts []part
	tail  string
	size  int
}

// part is a piece of text, and what follows it.
type part struct {
	text string
	to   *document // the address of a document, or
	old  *url.URL  // that of the service, which was this one; nil: nothing follows
}

// source is a document of the description while it is made ready.
type source struct {
	*wsdl.Document
	name   root
	text   string
	places []place
	refs   map[int]*source // that elements refer to, by where these begin
	out    *document
	apart  bool // it is not put into another one
}

// read makes the documents of a description ready to be looked at. Those that
// are neither WSDL nor schema are left out: an import leads to them by mistake.
func read(d *wsdl.Definitions) ([]*source, error) {
	by := make(map[*wsdl.Document]*source)
	var list []*source
	for _, doc := range d.Documents {
		text, err := doc.Text()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", doc.URI, err)
		}
		s := &source{Document: doc, text: text}
		r := wire.NewReader([]byte(text), wire.Options{Limits: limits})
		if s.name, s.places, err = find(r); err != nil {
			return nil, fmt.Errorf("%s: %w", doc.URI, err)
		}
		if s.name.isWSDL() || s.name.isSchema() {
			by[doc], list = s, append(list, s)
		}
	}
	for _, s := range list {
		s.refs = make(map[int]*source, len(s.Refs))
		for _, ref := range s.Refs {
			if to := by[ref.Document]; to != nil {
				s.refs[len(s.text)-ref.Left] = to
			}
		}
	}
	return list, nil
}

// nameAll gives documents the names that they are asked for by, as IIS does. They
// stay the same as long as the order of the imports does.
func nameAll(list []*source) {
	wsdls, schemas := 0, 0
	for i, s := range list {
		s.out = new(document)
		switch {
		case i == 0:
			s.out.query = "wsdl"
		case s.name.isWSDL():
			s.out.query = "wsdl=wsdl" + strconv.Itoa(wsdls)
			wsdls++
		default:
			s.out.query = "xsd=xsd" + strconv.Itoa(schemas)
			schemas++
		}
	}
}

// whole makes the document of s as it was written.
func (s *source) whole() {
	e := &pieces{doc: s.out}
	e.add(usualDeclaration + "\n")
	s.copy(e, 0, len(s.text))
	e.finish()
}

// copy adds a part of the text, which holds whole places only.
func (s *source) copy(e *pieces, from, to int) {
	for _, p := range s.places {
		if p.from < from || p.to > to {
			continue
		}
		switch p.kind {
		case kindIdentity:
			e.add(s.text[from:p.from])
		case kindReference:
			ref := s.refs[p.element]
			if ref == nil {
				continue // such as one that every program brings along
			}
			e.add(s.text[from:p.from])
			e.gap(part{to: ref.out})
		case kindAddress:
			old, err := url.Parse(p.old)
			if err != nil {
				old = new(url.URL) // such as a text to be replaced by hand
			}
			if old.Scheme != "" && old.Scheme != "http" && old.Scheme != "https" {
				continue // nobody takes that here: net.tcp, jms
			}
			e.add(s.text[from:p.from])
			e.gap(part{old: old})
		}
		from = p.to
	}
	e.add(s.text[from:to])
}

// pieces collects the parts of a document.
type pieces struct {
	doc  *document
	text strings.Builder
}

func (e *pieces) add(s string) { e.text.WriteString(s) }

// gap adds a place that is filled when the document is asked for.
func (e *pieces) gap(p part) {
	p.text = e.text.String()
	e.doc.size += len(p.text)
	e.doc.parts = append(e.doc.parts, p)
	e.text.Reset()
}

func (e *pieces) finish() {
	e.doc.tail = e.text.String()
	if !strings.HasSuffix(e.doc.tail, "\n") {
		e.doc.tail += "\n"
	}
	e.doc.size += len(e.doc.tail)
}

// render returns the document for clients at a place.
func (d *document) render(at *endpoint) []byte {
	out := make([]byte, 0, d.size+len(d.parts)*128)
	for _, p := range d.parts {
		out = append(out, p.text...)
		switch {
		case p.to != nil:
			out = append(out, escape(at.document(p.to))...)
		case p.old != nil:
			out = append(out, escape(at.service(p.old))...)
		}
	}
	return append(out, d.tail...)
}
