package message

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/wsdl"
)

// maxGap bounds how many items an array may leave out before one that it has.
const maxGap = 10_000

var errGap = errors.New("array item at a malformed index, or far behind the others")

// isArray reports whether t is an array of SOAP encoding in an encoded message.
func (s *schema) isArray(t *wsdl.Type) bool { return s.encoded && t != nil && t.Array != nil }

// itemType names what an array of t holds, as arrayType wants it: the innermost
// type, and brackets for each array in between (SOAP 1.1 5.4.2).
func itemType(t *wsdl.Type) (name xml.Name, inner string) {
	item := t.Array.Item
	for item != nil && item.Array != nil && len(inner) < 16 {
		inner = "[" + strings.Repeat(",", item.Array.Rank-1) + "]" + inner
		item = item.Array.Item
	}
	if item != nil && item.Array != nil { // of itself, that is
		item, inner = t.Array.Item, ""
	}
	if item != nil && item.Name.IsZero() && !item.Complex {
		item = item.BuiltinBase()
	}
	if item == nil || item.Name.IsZero() {
		return xml.Name{Space: wire.XSD, Local: "anyType"}, inner
	}
	return xml.Name(item.Name), inner
}

// itemElement stands for the items of an array, whose name means nothing.
func itemElement(t *wsdl.Type) *wsdl.Element {
	return &wsdl.Element{Name: wsdl.QName{Local: "item"}, Type: t.Array.Item, Nillable: true}
}

// arrayItems returns the items of an array that is given as a list, as one
// item, or as an object with the list in "item", as the XML looks.
func (x *encoder) arrayItems(v *value) []*value {
	switch {
	case v.kind == array:
		return v.items
	case v.kind == object:
		if w := v.get("item"); w != nil {
			if w.kind == array {
				return w.items
			}
			return []*value{w}
		}
		if v.onlyAttributes() { // @type alone
			return nil
		}
	}
	return []*value{v}
}

// at is within for an item of the value that the path leads to.
func (x *encoder) at(i int, f func()) {
	if len(x.path) == 0 {
		x.within(fmt.Sprintf("item[%d]", i), f)
		return
	}
	whole := x.path[len(x.path)-1]
	x.path[len(x.path)-1] += fmt.Sprintf("[%d]", i)
	f()
	x.path[len(x.path)-1] = whole
}

// array writes v as e, which is an array of type t.
func (x *encoder) array(e *wsdl.Element, t *wsdl.Type, v *value) {
	name, inner := itemType(t)
	item, at := itemElement(t), 0
	put := func(_ *wire.Writer, _ xml.Name, v *value) {
		x.at(at, func() { x.element(item, v) })
		at++
	}
	items := x.arrayItems(v)
	switch t.Array.Rank {
	case 1:
		wire.WriteArray(x.w, xml.Name(e.Name), name, inner, items, put)
	case 2:
		var rows [][]*value
		for i, row := range items {
			if row.kind != array {
				x.at(i, func() { x.fail("is %s, but must be an array: a row", row.kind) })
				return
			}
			rows = append(rows, row.items)
		}
		wire.WriteRows(x.w, xml.Name(e.Name), name, inner, rows, put)
	default:
		x.fail("is an array of %d dimensions: give the request as XML", t.Array.Rank)
	}
}

// readArray makes a list of the array that r is at the start of. Items that it
// leaves out before others are null (SOAP 1.1 5.4.2.1, 5.4.2.2).
func (s *schema) readArray(r *wire.Reader, t *wsdl.Type) *value {
	v := &value{kind: array}
	if t.Array.Rank == 2 {
		for _, row := range wire.ReadRows(r, func(r *wire.Reader) *value { return s.readElement(r, t.Array.Item) }) {
			list := &value{kind: array}
			for _, item := range row {
				if item == nil {
					item = &value{}
				}
				list.items = append(list.items, item)
			}
			v.items = append(v.items, list)
		}
		return v
	}
	next := s.index(r, "offset", 0)
	for r.Child() {
		next = s.index(r, "position", next)
		if s.gaps += max(0, next-len(v.items)); s.gaps > maxGap || r.Err() != nil {
			r.Fail(errGap)
			return v
		}
		for len(v.items) < next {
			v.items = append(v.items, &value{})
		}
		item := s.readElement(r, t.Array.Item)
		if next < len(v.items) {
			v.items[next] = item
		} else {
			v.items = append(v.items, item)
		}
		next++
	}
	return v
}

// index returns the index in an attribute, "[3]", or other without one.
func (s *schema) index(r *wire.Reader, attr string, other int) int {
	a, ok := r.Attr(soapEncoding11, attr)
	if !ok {
		return other
	}
	n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(a), "[]"))
	if err != nil || n < 0 || n > maxIndex {
		r.Fail(errGap)
		return other
	}
	return n
}

// array makes an example of an array of type t: one item.
func (t *template) array(n *node, typ *wsdl.Type) {
	name, inner := itemType(typ)
	size := strings.TrimSuffix(strings.Repeat("1,", typ.Array.Rank), ",")
	n.attrs = append(n.attrs, nodeAttr{
		name: xml.Name{Space: soapEncoding11, Local: "arrayType"}, value: clark(name), qname: true, suffix: inner + "[" + size + "]",
	})
	kid, ok := t.element(itemElement(typ), "may be repeated", false)
	if !ok { // it holds itself, so let it be empty
		n.attrs[len(n.attrs)-1].suffix = inner + "[" + strings.ReplaceAll(size, "1", "0") + "]"
		n.after = append(n.after, "the item is not shown because it would contain itself")
		return
	}
	n.kids = append(n.kids, kid)
}

// ofEncoding reports whether an attribute is one of those that SOAP encoding
// gives to all its types, which say nothing to whoever writes a message.
func ofEncoding(t *wsdl.Type, a *wsdl.Attribute) bool {
	if a.Required {
		return false
	}
	if isEncodingSpace(a.Name.Space) {
		return true
	}
	for range maxNesting {
		if t == nil {
			break
		}
		if isEncodingSpace(t.Name.Space) {
			return a.Name.Local == "id" || a.Name.Local == "href"
		}
		t = t.Base
	}
	return false
}

func isEncodingSpace(space string) bool { return space == soapEncoding11 || space == wire.SOAPEnc12 }
