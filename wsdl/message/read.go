package message

import (
	"encoding/xml"
	"strings"

	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soap/xsd"
	"github.com/soapward/soapward/wsdl"
)

// readElement makes JSON of the element that r is at the start of, and
// consumes it. What the schema does not know is kept as XML.
func (s *schema) readElement(r *wire.Reader, declared *wsdl.Type) *value {
	t := declared
	v := &value{kind: object}
	name, hasType := r.Type()
	if hasType {
		if known := s.typeNamed(name); known != nil && (!s.isArray(declared) || known.Array == nil || known.Is(declared)) {
			t = known // but SOAP-ENC:Array, which says less than what is declared
		}
		if !s.plainType(name, declared, t) {
			v.add(xsiKey("type", declared, t), &value{kind: text, text: s.typeText(name)})
		}
	}
	isNil := r.Nil()
	if isNil {
		v.add(xsiKey("nil", declared, t), &value{kind: boolean, text: "true"})
	}
	for _, a := range r.Attrs() {
		if a.Name.Space == wire.XSI && (a.Name.Local == "type" || a.Name.Local == "nil") {
			continue
		}
		if s.encoded && a.Name.Space == soapEncoding11 { // of arrays
			continue
		}
		v.add(attrKey(t, a.Name), s.readAttr(r, t, a))
	}
	switch {
	case isNil:
		r.Skip()
		if len(v.members) == 1 {
			return &value{}
		}
	case s.isArray(t):
		list := s.readArray(r, t)
		if len(v.members) == 0 {
			return list
		}
		v.add("item", list)
	case isAny(t):
		s.readAny(r, v)
	case t.Simple != nil:
		s.readSimple(r, t, v)
	default:
		s.readComplex(r, t, v)
	}
	if len(v.members) == 1 && v.members[0].key == "#text" {
		return v.members[0].val
	}
	return v
}

// plainType reports whether the xsi:type of an encoded message says no more
// than the description: there each element may have one (SOAP 1.1 5.1).
func (s *schema) plainType(name xml.Name, declared, t *wsdl.Type) bool {
	if !s.encoded || declared == nil {
		return false
	}
	return name == xml.Name(declared.Name) || t == declared && declared.Array != nil && name == xml.Name{Space: soapEncoding11, Local: "Array"}
}

func (s *schema) readAttr(r *wire.Reader, t *wsdl.Type, a xml.Attr) *value {
	if t != nil {
		for _, d := range t.Attributes {
			if xml.Name(d.Name) != a.Name || d.Type == nil {
				continue
			}
			if isQName(d.Type) {
				return &value{kind: text, text: clark(r.AttrQName(a))}
			}
			return scalarOf(d.Type, r.Keep(a.Value))
		}
	}
	return &value{kind: text, text: r.Keep(a.Value)}
}

// readAny reads an element that may hold anything.
func (s *schema) readAny(r *wire.Reader, v *value) {
	if _, ok := r.Peek(); ok {
		v.add("#xml", &value{kind: text, text: r.Content().String()})
		return
	}
	v.add("#text", &value{kind: text, text: r.Text()})
}

func (s *schema) readSimple(r *wire.Reader, t *wsdl.Type, v *value) {
	if _, ok := r.Peek(); ok { // against the schema
		v.add("#xml", &value{kind: text, text: r.Content().String()})
		return
	}
	if !isQName(t) {
		v.add("#text", scalarOf(t, r.Text()))
		return
	}
	scope := r.Scope()
	raw := strings.TrimSpace(r.Text())
	if q, err := scope.QName(raw); err == nil {
		raw = clark(xml.Name{Space: strings.Clone(q.Space), Local: strings.Clone(q.Local)})
	}
	v.add("#text", &value{kind: text, text: raw})
}

func (s *schema) readComplex(r *wire.Reader, t *wsdl.Type, v *value) {
	sh := s.shapeOf(t)
	content := &value{kind: array}
	addTo := map[string]*value{}
	put := func(key string, many bool, w *value) {
		if sh.ordered {
			content.items = append(content.items, &value{kind: object, members: []member{{key, w}}})
			return
		}
		old := addTo[key]
		switch {
		case old == nil && many:
			w = &value{kind: array, items: []*value{w}}
			fallthrough
		case old == nil:
			addTo[key] = w
			v.add(key, w)
		case many:
			old.items = append(old.items, w)
		default: // twice, against the schema
			first := *old
			*old = value{kind: array, items: []*value{&first, w}}
			addTo[key] = old
		}
	}
	twice := map[string]bool{}
	for {
		switch r.Next() {
		case wire.Text:
			s := r.Chars()
			if t.Mixed && s != "" {
				if n := len(content.items); n > 0 && content.items[n-1].kind == text {
					content.items[n-1].text += s
				} else {
					content.items = append(content.items, &value{kind: text, text: r.Keep(s)})
				}
			} else if strings.TrimSpace(s) != "" {
				put("#any", true, &value{kind: text, text: escapeText(s)}) // against the schema
			}
		case wire.Start:
			if sl := sh.slotAt(r); sl != nil {
				many := sl.many || twice[sl.key]
				if !many && !sh.ordered && addTo[sl.key] != nil {
					twice[sl.key] = true
				}
				put(sl.key, many, s.readElement(r, sl.elem.Type))
			} else {
				put("#any", true, &value{kind: text, text: r.Raw().String()})
			}
		default: // the end, or an error
			if sh.ordered && len(content.items) > 0 {
				v.add("#content", content)
			}
			return
		}
	}
}

func escapeText(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder never fails
	return b.String()
}

// numeric are the built-in types whose values may be JSON numbers.
var numeric = map[string]bool{
	"decimal": true, "float": true, "double": true, "integer": true, "nonPositiveInteger": true,
	"negativeInteger": true, "long": true, "int": true, "short": true, "byte": true, "nonNegativeInteger": true,
	"unsignedLong": true, "unsignedInt": true, "unsignedShort": true, "unsignedByte": true, "positiveInteger": true,
}

// scalarOf makes JSON of a value of a simple type.
func scalarOf(t *wsdl.Type, s string) *value {
	if t.Simple == nil || t.Simple.Variety != wsdl.Atomic || t.Simple.Atom == nil {
		return &value{kind: text, text: s}
	}
	switch name := t.Simple.Atom.Name.Local; {
	case numeric[name]:
		if n := strings.TrimSpace(s); isJSONNumber(n) {
			return &value{kind: number, text: n}
		}
	case name == "boolean":
		if b, err := xsd.ParseBool(s); err == nil {
			if b {
				return &value{kind: boolean, text: "true"}
			}
			return &value{kind: boolean, text: "false"}
		}
	}
	return &value{kind: text, text: s}
}
