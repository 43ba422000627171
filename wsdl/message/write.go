package message

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"

	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/wsdl"
)

// encoder writes values as XML, in the order of the schema.
type encoder struct {
	s    *schema
	w    *wire.Writer
	path []string // of keys, for errors
	err  error    // the first one
	lack error    // the first thing that is missing: what is wrong says more

	emptyOK bool // the element has a default, so it may be empty
	args    bool // the values are arguments, where text may be meant as XML
	encoded bool // each element but the outermost says its type
}

func (x *encoder) fail(format string, args ...any) {
	if x.err == nil {
		x.err = x.located(fmt.Errorf(format, args...))
	}
}

// lacks is fail for what is missing.
func (x *encoder) lacks(format string, args ...any) {
	if x.lack == nil {
		x.lack = x.located(fmt.Errorf(format, args...))
	}
}

func (x *encoder) located(err error) error {
	where := strings.Join(x.path, ".")
	if where == "" {
		where = "the message"
	}
	return fmt.Errorf("message: %s: %w", where, err)
}

func (x *encoder) within(key string, f func()) {
	x.path = append(x.path, key)
	f()
	x.path = x.path[:len(x.path)-1]
}

// special splits the members that are no elements off.
type special struct {
	attrs    []member
	text     *value
	content  *value
	xml      *value
	isNil    bool
	elements []member
}

// typeMember finds the xsi:type among the members.
func typeMember(v *value, declared *wsdl.Type) (string, *value) {
	if w := v.get("@xsi:type"); w != nil {
		return "@xsi:type", w
	}
	if key := xsiKey("type", declared); key == "@type" {
		return key, v.get(key)
	}
	return "", nil
}

func (x *encoder) split(v *value, declared, t *wsdl.Type) special {
	var sp special
	typeKey, _ := typeMember(v, declared)
	nilKey := xsiKey("nil", declared, t)
	for _, m := range v.members {
		switch {
		case m.key == typeKey:
		case m.key == nilKey || m.key == "@xsi:nil":
			if m.val.text != "true" && m.val.text != "false" {
				x.within(m.key, func() { x.fail("must be true or false") })
			}
			sp.isNil = m.val.text == "true"
		case strings.HasPrefix(m.key, "@"):
			sp.attrs = append(sp.attrs, m)
		case m.key == "#text" || m.key == "$":
			if !m.val.scalar() {
				x.within(m.key, func() { x.fail("is %s, but must be text", m.val.kind) })
			}
			sp.text = m.val
		case m.key == "#content":
			sp.content = m.val
		case m.key == "#xml":
			sp.xml = m.val
		default:
			sp.elements = append(sp.elements, m)
		}
	}
	return sp
}

// element writes v as e.
func (x *encoder) element(e *wsdl.Element, v *value) {
	if x.err != nil {
		return
	}
	if len(x.path) > maxJSONDepth {
		x.fail("nested more than %d deep", maxJSONDepth)
		return
	}
	t := e.Type
	if v.kind == object {
		if key, w := typeMember(v, e.Type); w != nil {
			if t = x.typeOf(key, w, e.Type); t == nil {
				return
			}
		}
	}
	if t != nil && t.Abstract && v.kind != null {
		x.fail(`needs "@type", because the type %s is abstract: one of %s`, t.Name.Local, strings.Join(x.s.alternatives(t), ", "))
		return
	}
	if t != e.Type || x.encoded && len(x.path) > 0 && t != nil && !t.Name.IsZero() && v.kind != null && t.Array == nil {
		x.w.NextType(xml.Name(t.Name))
	}
	switch {
	case x.s.isArray(t) && v.kind != null && v.get("#xml") == nil && !isNil(v):
		x.array(e, t, v)
	case v.kind == array:
		x.fail("is not repeated: give one value, not an array")
	case v.kind == null:
		if !e.Nillable {
			x.fail("cannot be null: leave it out instead, if it is optional")
			return
		}
		x.w.Nil(xml.Name(e.Name))
	case v.kind == object:
		sp := x.split(v, e.Type, t)
		if sp.isNil {
			x.w.NextAttr(xml.Name{Space: wire.XSI, Local: "nil"}, "true")
		}
		x.w.Start(xml.Name(e.Name))
		x.attributes(t, sp.attrs)
		if !sp.isNil {
			x.emptyOK = e.Default != nil || e.Fixed != nil
			x.content(t, &sp)
		} else if len(sp.elements) > 0 || sp.text != nil || sp.content != nil || sp.xml != nil {
			x.fail("is nil, but has a value too")
		}
		x.w.End()
	case x.args && x.s.holdsXML(t) && strings.HasPrefix(strings.TrimLeft(v.text, "\ufeff \t\r\n"), "<"):
		at := strings.Join(x.path, ".")
		x.fail("XML is given as text, and would be escaped: write %s.#any='<...>' or %s.#any=@FILE for an element, or %s.#text=... if text is meant", at, at, at)
	default: // text
		x.w.Start(xml.Name(e.Name))
		x.attributes(t, nil)
		x.emptyOK = e.Default != nil || e.Fixed != nil
		x.content(t, &special{text: v})
		x.w.End()
	}
}

// holdsXML reports whether any element may stand in an element of type t.
func (s *schema) holdsXML(t *wsdl.Type) bool {
	return isAny(t) || t.Simple == nil && !(t.Content != nil && s.huge(t.Content)) && s.shapeOf(t).wild
}

// isNil reports whether v is an object that says to be nil.
func isNil(v *value) bool {
	for _, key := range []string{"@nil", "@xsi:nil"} {
		if w := v.get(key); w != nil {
			return w.text == "true"
		}
	}
	return false
}

// typeOf resolves an xsi:type.
func (x *encoder) typeOf(key string, w *value, declared *wsdl.Type) (t *wsdl.Type) {
	x.within(key, func() {
		fits := func(t *wsdl.Type) bool {
			return t != nil && (isAny(declared) || t.Is(declared) || t.Name == declared.Name || t.Builtin && declared.Builtin)
		}
		name := parseClark(w.text)
		if local, ok := strings.CutPrefix(w.text, "xs:"); ok {
			name = xml.Name{Space: wire.XSD, Local: local}
		}
		if t = x.s.typeNamed(name); !fits(t) && name.Space == "" {
			var found []*wsdl.Type
			for _, c := range x.s.byLocal[name.Local] {
				if fits(c) {
					found = append(found, c)
				}
			}
			t = nil
			if len(found) == 1 {
				t = found[0]
			} else if len(found) > 1 {
				x.fail("%q may be any of %d types: write it as {namespace}%s", w.text, len(found), name.Local)
				return
			}
		}
		if !fits(t) {
			t = nil
			x.fail("there is no such type here: %q%s", w.text, didYouMean(w.text, x.s.alternatives(declared)))
		}
	})
	return t
}

// alternatives lists the types that may stand for t.
func (s *schema) alternatives(t *wsdl.Type) []string {
	var all []string
	if isAny(t) {
		for _, n := range builtinNames {
			all = append(all, "xs:"+n)
		}
		return all
	}
	for _, d := range concrete(t) {
		all = append(all, s.typeText(xml.Name(d.Name)))
	}
	return all
}

// maxAlternatives bounds how many derived types are looked at.
const maxAlternatives = 1000

// concrete lists t and the types derived from it that are not abstract and
// have a name.
func concrete(t *wsdl.Type) []*wsdl.Type {
	var all []*wsdl.Type
	todo := []*wsdl.Type{t}
	for i := 0; i < len(todo) && i < maxAlternatives; i++ {
		if !todo[i].Abstract && !todo[i].Name.IsZero() {
			all = append(all, todo[i])
		}
		todo = append(todo, todo[i].Derived...)
	}
	return all
}

func (x *encoder) attributes(t *wsdl.Type, given []member) {
	have := map[xml.Name]bool{}
	for _, m := range given {
		x.within(m.key, func() {
			name, decl := x.attr(t, m.key)
			if x.err != nil {
				return
			}
			if !m.val.scalar() {
				x.fail("is %s, but an attribute is text", m.val.kind)
				return
			}
			have[name] = true
			s := m.val.text
			if decl == nil {
				x.w.Attr(name, s)
				return
			}
			s = x.lexical(decl.Type, m.val)
			if isQName(decl.Type) {
				x.w.AttrQName(name, parseClark(s))
			} else {
				x.w.Attr(name, s)
			}
		})
	}
	if t == nil {
		return
	}
	for _, a := range t.Attributes {
		if a.Required && !have[xml.Name(a.Name)] {
			x.lacks("the attribute %q is missing", attrKey(t, xml.Name(a.Name)))
		}
	}
}

func (x *encoder) attr(t *wsdl.Type, key string) (xml.Name, *wsdl.Attribute) {
	var known []string
	if t != nil {
		for _, a := range t.Attributes {
			k := attrKey(t, xml.Name(a.Name))
			if k == key || "@"+clark(xml.Name(a.Name)) == key {
				return xml.Name(a.Name), a
			}
			known = append(known, k)
		}
	}
	name := parseClark(key[1:])
	switch local, ok := strings.CutPrefix(key, "@xml:"); {
	case ok:
		name = xml.Name{Space: wire.XML, Local: local}
	case strings.HasPrefix(key, "@xsi:"):
		name = xml.Name{Space: wire.XSI, Local: key[5:]}
	}
	if !wire.IsNCName(name.Local) || name.Space == "http://www.w3.org/2000/xmlns/" {
		x.fail("is no name of an attribute")
		return name, nil
	}
	if name.Space == wire.XSI || t == nil || t.AnyAttribute != nil && t.AnyAttribute.Allows(name.Space) {
		return name, nil
	}
	x.fail("there is no such attribute%s", didYouMean(key, known))
	return name, nil
}

func (x *encoder) content(t *wsdl.Type, sp *special) {
	switch {
	case x.err != nil:
	case sp.xml != nil:
		if len(sp.elements) > 0 || sp.text != nil || sp.content != nil {
			x.within("#xml", func() { x.fail("excludes all other content") })
			return
		}
		x.within("#xml", func() { x.raw(sp.xml, false) })
	case isAny(t):
		if len(sp.elements) == 1 && sp.elements[0].key == "#any" && sp.content == nil && sp.text == nil {
			x.rawList(sp.elements[0].val)
			return
		}
		if len(sp.elements) > 0 || sp.content != nil {
			x.fail(`may hold anything: give its content as XML, {"#xml": "<...>"}, or choose a type with "@type"`)
			return
		}
		if sp.text != nil {
			x.w.Text(sp.text.text)
		}
	case t.Simple != nil:
		if len(sp.elements) > 0 {
			x.fail("holds text alone, but %q is given", sp.elements[0].key)
			return
		}
		if sp.content != nil {
			x.fail(`holds text alone, but "#content" is given`)
			return
		}
		v := sp.text
		if v == nil {
			v = &value{kind: text}
		}
		if v.text == "" && x.emptyOK {
			return
		}
		if s := x.lexical(t, v); isQName(t) {
			x.w.QName(parseClark(s))
		} else {
			x.w.Text(s)
		}
	case sp.content != nil:
		if len(sp.elements) > 0 || sp.text != nil {
			x.within("#content", func() { x.fail("excludes all other content") })
			return
		}
		x.listed(t, sp.content)
	case sp.text != nil && t.Mixed && len(sp.elements) == 0:
		x.w.Text(sp.text.text)
	case sp.text != nil && sp.text.text != "":
		x.fail("holds elements, but text is given%s", x.hint(t))
	default:
		x.elements(t, sp.elements)
	}
}

// hint names the first elements of t.
func (x *encoder) hint(t *wsdl.Type) string {
	var keys []string
	for _, sl := range x.s.shapeOf(t).slots[:min(3, len(x.s.shapeOf(t).slots))] {
		keys = append(keys, sl.key)
	}
	if len(keys) == 0 {
		return ""
	}
	return ", such as " + strings.Join(keys, ", ")
}

// raw writes XML that was given as text: one element, or any content.
func (x *encoder) raw(v *value, one bool) {
	if v.kind != text && v.kind != file {
		x.fail("is %s, but must be a string with XML", v.kind)
		return
	}
	r, err := wire.ParseRaw(v.text)
	if err == nil && one && (len(r.Elements()) != 1 || strings.TrimSpace(r.Text()) != "") {
		err = errors.New("not one element")
	}
	if err != nil {
		x.fail("%w", err)
		return
	}
	x.w.Raw(r)
}

// rawList writes "#any" where anything may stand: an element, or several.
func (x *encoder) rawList(v *value) {
	if v.kind != array {
		x.within("#any", func() { x.raw(v, true) })
		return
	}
	for i, item := range v.items {
		x.within(fmt.Sprintf("#any[%d]", i), func() { x.raw(item, true) })
	}
}

// listed writes "#content".
func (x *encoder) listed(t *wsdl.Type, v *value) {
	sh := x.s.shapeOf(t)
	if v.kind != array {
		x.within("#content", func() { x.fail("is %s, but must be an array", v.kind) })
		return
	}
	for i, item := range v.items {
		x.within(fmt.Sprintf("#content[%d]", i), func() {
			switch {
			case item.kind == text && t.Mixed:
				x.w.Text(item.text)
			case item.kind != object || len(item.members) != 1:
				x.fail("must be an object with one member")
			case item.members[0].key == "#any":
				x.within("#any", func() { x.raw(item.members[0].val, true) })
			default:
				x.within(item.members[0].key, func() {
					if sl := x.slot(sh, item.members[0].key); sl != nil {
						x.element(sl.elem, item.members[0].val)
					}
				})
			}
		})
	}
}

// slot finds the element that a key names.
func (x *encoder) slot(sh *shape, key string) *slot {
	if sl := sh.byKey[key]; sl != nil {
		return sl
	}
	var same, all []string
	for _, sl := range sh.slots {
		if clark(xml.Name(sl.elem.Name)) == key {
			return sl
		}
		if sl.elem.Name.Local == key {
			same = append(same, sl.key)
		}
		all = append(all, sl.key)
	}
	at := strings.IndexByte(key, '@')
	switch {
	case at > 0 && sh.byKey[key[:at]] != nil:
		x.fail("there is no such element; an attribute is written %s.%s", key[:at], key[at:])
	case len(same) > 0:
		x.fail("may be any of %s", strings.Join(same, ", "))
	case len(all) == 0:
		x.fail("there is no such element; none is allowed here")
	default:
		x.fail("there is no such element%s", didYouMean(key, all))
	}
	return nil
}
