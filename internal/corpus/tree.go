package main

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// node is an element with its prefixes as written.
type node struct {
	name   xml.Name // resolved
	prefix string
	attrs  []attr
	decls  []attr // namespace declarations: name.Local is the prefix
	items  []item
	up     *node
}

type attr struct {
	name   xml.Name // resolved
	prefix string
	value  string
}

// item is text or an element inside an element.
type item struct {
	text string
	elem *node
}

func (n *node) elements() []*node {
	var all []*node
	for _, it := range n.items {
		if it.elem != nil {
			all = append(all, it.elem)
		}
	}
	return all
}

func (n *node) text() string {
	var b strings.Builder
	for _, it := range n.items {
		b.WriteString(it.text)
	}
	return b.String()
}

func (n *node) attr(space, local string) (string, bool) {
	for _, a := range n.attrs {
		if a.name.Space == space && a.name.Local == local {
			return a.value, true
		}
	}
	return "", false
}

// lookup resolves a prefix.
func (n *node) lookup(prefix string) (string, bool) {
	if prefix == "xml" {
		return "http://www.w3.org/XML/1998/namespace", true
	}
	for ; n != nil; n = n.up {
		for _, d := range n.decls {
			if d.name.Local == prefix {
				return d.value, true
			}
		}
	}
	return "", prefix == ""
}

// qname resolves a QName in the scope of n.
func (n *node) qname(s string) (xml.Name, bool) {
	prefix, local, ok := strings.Cut(strings.TrimSpace(s), ":")
	if !ok {
		prefix, local = "", prefix
	}
	space, ok := n.lookup(prefix)
	return xml.Name{Space: space, Local: local}, ok && local != ""
}

// parse reads a document.
func parse(doc []byte) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader(utf8Of(doc)))
	d.CharsetReader = func(name string, in io.Reader) (io.Reader, error) {
		switch strings.ToLower(name) {
		case "utf-16", "us-ascii": // utf8Of did it
			return in, nil
		case "iso-8859-1", "windows-1252":
			b, err := io.ReadAll(in)
			runes := make([]rune, len(b))
			for i, c := range b {
				runes[i] = rune(c)
			}
			return strings.NewReader(string(runes)), err
		}
		return nil, fmt.Errorf("encoding %q", name)
	}
	var root, cur *node
	for {
		tok, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			if root == nil || cur != nil {
				return nil, errors.New("the document is not complete")
			}
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			n, err := newNode(tok, cur)
			if err != nil {
				return nil, err
			}
			switch {
			case cur != nil:
				cur.items = append(cur.items, item{elem: n})
			case root != nil:
				return nil, errors.New("more than one document element")
			default:
				root = n
			}
			cur = n
		case xml.EndElement:
			if cur == nil || cur.prefix != tok.Name.Space || cur.name.Local != tok.Name.Local {
				return nil, fmt.Errorf("end tag %s does not match", tok.Name.Local)
			}
			cur = cur.up
		case xml.CharData:
			if cur == nil {
				continue
			}
			if k := len(cur.items); k > 0 && cur.items[k-1].elem == nil {
				cur.items[k-1].text += string(tok)
			} else {
				cur.items = append(cur.items, item{text: string(tok)})
			}
		}
	}
}

func newNode(tok xml.StartElement, up *node) (*node, error) {
	n := &node{prefix: tok.Name.Space, up: up}
	for _, a := range tok.Attr {
		switch {
		case a.Name.Space == "xmlns":
			n.decls = append(n.decls, attr{name: xml.Name{Local: a.Name.Local}, value: a.Value})
		case a.Name.Space == "" && a.Name.Local == "xmlns":
			n.decls = append(n.decls, attr{value: a.Value})
		default:
			n.attrs = append(n.attrs, attr{prefix: a.Name.Space, name: xml.Name{Local: a.Name.Local}, value: a.Value})
		}
	}
	space, ok := n.lookup(n.prefix)
	n.name = xml.Name{Space: space, Local: tok.Name.Local}
	for i := range n.attrs {
		if a := &n.attrs[i]; ok && a.prefix != "" {
			a.name.Space, ok = n.lookup(a.prefix)
		}
	}
	if !ok {
		return nil, fmt.Errorf("element %s has a prefix that is not declared", tok.Name.Local)
	}
	return n, nil
}

// utf8Of decodes UTF-16 and drops a byte order mark.
func utf8Of(doc []byte) []byte {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(doc, []byte{0xEF, 0xBB, 0xBF}):
		return doc[3:]
	case bytes.HasPrefix(doc, []byte{0xFE, 0xFF}):
		order, doc = binary.BigEndian, doc[2:]
	case bytes.HasPrefix(doc, []byte{0xFF, 0xFE}):
		order, doc = binary.LittleEndian, doc[2:]
	case bytes.HasPrefix(doc, []byte{'<', 0}):
		order = binary.LittleEndian
	case bytes.HasPrefix(doc, []byte{0, '<'}):
		order = binary.BigEndian
	default:
		return doc
	}
	units := make([]uint16, len(doc)/2)
	for i := range units {
		units[i] = order.Uint16(doc[2*i:])
	}
	return []byte(string(utf16.Decode(units)))
}

// document writes n as a document of its own, with all prefixes in scope.
func (n *node) document() string {
	var b strings.Builder
	n.write(&b, true)
	return b.String()
}

func (n *node) write(b *strings.Builder, root bool) {
	tag := n.name.Local
	if n.prefix != "" {
		tag = n.prefix + ":" + tag
	}
	b.WriteString("<" + tag)
	decls := n.decls
	if root {
		seen := map[string]bool{}
		decls = nil
		for o := n; o != nil; o = o.up {
			for _, d := range o.decls {
				if !seen[d.name.Local] {
					seen[d.name.Local] = true
					decls = append(decls, d)
				}
			}
		}
	}
	for _, d := range decls {
		name := "xmlns"
		if d.name.Local != "" {
			name += ":" + d.name.Local
		}
		writeAttr(b, name, d.value)
	}
	for _, a := range n.attrs {
		name := a.name.Local
		if a.prefix != "" {
			name = a.prefix + ":" + name
		}
		writeAttr(b, name, a.value)
	}
	b.WriteString(">")
	for _, it := range n.items {
		if it.elem != nil {
			it.elem.write(b, false)
		} else {
			_ = xml.EscapeText(b, []byte(it.text)) // to memory
		}
	}
	b.WriteString("</" + tag + ">")
}

func writeAttr(b *strings.Builder, name, value string) {
	b.WriteString(" " + name + `="`)
	_ = xml.EscapeText(b, []byte(value)) // to memory
	b.WriteString(`"`)
}
