package stdxml

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/soapward/soapward/soap/wire"
)

// Element holds a generated type, for encoding/xml: as a field of a struct with
// encoding/xml tags, or by itself for xml.Unmarshal and
// xml.Encoder.EncodeElement, which names it. A pointer to T must implement wire.Marshaler to be written and wire.Unmarshaler
// to be read.
//
// encoding/xml does not tell which prefixes a document declares around an
// element. A qualified name in text or in xsi:type can be read only if its
// prefix is declared in the element itself.
type Element[T any] struct{ V T }

// MarshalXML implements xml.Marshaler.
func (e Element[T]) MarshalXML(enc *xml.Encoder, start xml.StartElement) error {
	m, ok := any(&e.V).(wire.Marshaler)
	if !ok {
		return fmt.Errorf("stdxml: %T is not a wire.Marshaler", e.V)
	}
	if !wire.IsNCName(start.Name.Local) { // what encoding/xml makes of the name of a generic type
		return errors.New("stdxml: an Element by itself has no name: use xml.Encoder.EncodeElement")
	}
	doc, err := wire.Marshal(m, start.Name)
	if err != nil {
		return err
	}
	root, content, err := cut(string(doc))
	if err != nil {
		return err
	}
	root.Attr = append(root.Attr, start.Attr...)
	return enc.EncodeElement(struct {
		Content string `xml:",innerxml"`
	}{content}, root)
}

// cut takes the tags off a document. Names in the start tag keep their prefixes,
// as parts of the name: encoding/xml would declare each again in its own way.
func cut(doc string) (root xml.StartElement, content string, err error) {
	d := xml.NewDecoder(strings.NewReader(doc))
	for {
		t, err := d.RawToken()
		if err != nil {
			return root, "", err
		}
		if s, ok := t.(xml.StartElement); ok {
			root = s.Copy()
			break
		}
	}
	prefixed := func(n xml.Name) xml.Name {
		if n.Space == "" {
			return n
		}
		return xml.Name{Local: n.Space + ":" + n.Local}
	}
	root.Name = prefixed(root.Name)
	for i := range root.Attr {
		root.Attr[i].Name = prefixed(root.Attr[i].Name)
	}
	// Elements without namespace must not fall into one of the document.
	root.Attr = append(root.Attr, xml.Attr{Name: xml.Name{Local: "xmlns"}})
	from := int(d.InputOffset())
	to := strings.LastIndex(doc, "</")
	if to < from { // an empty element
		return root, "", nil
	}
	return root, doc[from:to], nil
}

// UnmarshalXML implements xml.Unmarshaler.
func (e *Element[T]) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	u, ok := any(&e.V).(wire.Unmarshaler)
	if !ok {
		return fmt.Errorf("stdxml: %T is not a wire.Unmarshaler", e.V)
	}
	var b strings.Builder
	depth := 0
	var t xml.Token = start
	for {
		switch x := t.(type) {
		case xml.StartElement:
			if depth++; depth > maxDepth {
				return errDeep
			}
			if err := appendStart(&b, x); err != nil {
				return err
			}
		case xml.EndElement:
			b.WriteString("</" + ownPrefix(x.Name) + x.Name.Local + ">")
			depth--
		case xml.CharData:
			if err := xml.EscapeText(&b, x); err != nil {
				return err
			}
		}
		if depth == 0 {
			break
		}
		var err error
		if t, err = d.Token(); err != nil {
			return err
		}
	}
	limits := wire.Limits{Bytes: int64(b.Len()), Elements: b.Len(), Depth: maxDepth}
	return wire.Unmarshal([]byte(b.String()), u, wire.Options{Limits: limits})
}

const maxDepth = 256

var errDeep = errors.New("stdxml: elements are nested too deeply")

// ownPrefix is a prefix that documents do not use themselves.
func ownPrefix(n xml.Name) string {
	if n.Space == "" {
		return ""
	}
	return "_e:"
}

// appendStart writes a start tag with prefixes of its own. What the tag
// declares is kept, for names in values.
func appendStart(b *strings.Builder, x xml.StartElement) error {
	declare := func(p, space string) error {
		b.WriteString(" xmlns:" + p + `="`)
		if err := xml.EscapeText(b, []byte(space)); err != nil {
			return err
		}
		b.WriteByte('"')
		return nil
	}
	b.WriteString("<" + ownPrefix(x.Name) + x.Name.Local)
	if x.Name.Space != "" {
		if err := declare("_e", x.Name.Space); err != nil {
			return err
		}
	}
	for i, a := range x.Attr {
		name := a.Name.Local
		switch {
		case a.Name.Space == "xmlns":
			name = "xmlns:" + name
		case a.Name.Space == wire.XML:
			name = "xml:" + name
		case a.Name.Space != "":
			p := "_a" + strconv.Itoa(i)
			if err := declare(p, a.Name.Space); err != nil {
				return err
			}
			name = p + ":" + name
		}
		b.WriteString(" " + name + `="`)
		if err := xml.EscapeText(b, []byte(a.Value)); err != nil {
			return err
		}
		b.WriteByte('"')
	}
	b.WriteByte('>')
	return nil
}

var (
	_ xml.Marshaler   = Element[wire.Empty]{}
	_ xml.Unmarshaler = (*Element[wire.Empty])(nil)
)
