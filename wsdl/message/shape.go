package message

import (
	"encoding/xml"
	"slices"
	"strings"

	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/wsdl"
)

// schema finds the types and elements of a description by name.
type schema struct {
	types    map[xml.Name]*wsdl.Type
	byLocal  map[string][]*wsdl.Type
	elements map[xml.Name]*wsdl.Element
	global   []*wsdl.Element
	shapes   map[*wsdl.Type]*shape
	sizes    map[*wsdl.Particle]int
	anyType  *wsdl.Type

	encoded bool // of rpc/encoded messages, with arrays
	gaps    int  // items that arrays of the message left out
}

func newSchema(d *wsdl.Definitions) *schema {
	s := &schema{
		types: map[xml.Name]*wsdl.Type{}, byLocal: map[string][]*wsdl.Type{},
		elements: map[xml.Name]*wsdl.Element{}, shapes: map[*wsdl.Type]*shape{}, sizes: map[*wsdl.Particle]int{},
		global: d.Elements,
	}
	for _, t := range d.Types {
		s.types[xml.Name(t.Name)] = t
		s.byLocal[t.Name.Local] = append(s.byLocal[t.Name.Local], t)
	}
	for _, e := range d.Elements {
		s.elements[xml.Name(e.Name)] = e
	}
	s.anyType = &wsdl.Type{Name: wsdl.QName{Space: wire.XSD, Local: "anyType"}, Builtin: true, Complex: true, Mixed: true}
	return s
}

// forEncoded returns s for encoded messages.
func (s *schema) forEncoded() *schema {
	e := *s
	e.encoded = true
	return &e
}

// builtinNames are the simple types that an xsi:type may name.
var builtinNames = strings.Fields(`anySimpleType string boolean decimal float double duration dateTime time date
	gYearMonth gYear gMonthDay gDay gMonth hexBinary base64Binary anyURI QName NOTATION normalizedString token
	language NMTOKEN NMTOKENS Name NCName ID IDREF IDREFS ENTITY ENTITIES integer nonPositiveInteger
	negativeInteger long int short byte nonNegativeInteger unsignedLong unsignedInt unsignedShort unsignedByte
	positiveInteger`)

// typeNamed returns a type by name, nil if there is none.
func (s *schema) typeNamed(n xml.Name) *wsdl.Type {
	if t := s.types[n]; t != nil {
		return t
	}
	switch {
	case n.Space != wire.XSD:
		return nil
	case n.Local == "anyType":
		return s.anyType
	case slices.Contains(builtinNames, n.Local):
		t := &wsdl.Type{Name: wsdl.QName(n), Builtin: true, Simple: &wsdl.Simple{}}
		t.Simple.Atom = t
		s.types[n] = t
		return t
	}
	return nil
}

// isAny reports whether anything may stand in an element of type t.
func isAny(t *wsdl.Type) bool {
	return t == nil || t.Builtin && t.Complex
}

// isQName reports whether the values of t are qualified names.
func isQName(t *wsdl.Type) bool {
	return t != nil && t.Simple != nil && t.Simple.Variety == wsdl.Atomic && t.Simple.Atom != nil &&
		(t.Simple.Atom.Name.Local == "QName" || t.Simple.Atom.Name.Local == "NOTATION")
}

// slot is an element that may stand in the content of a type, under its key
// in JSON.
type slot struct {
	key  string
	elem *wsdl.Element
	many bool
}

// shape is how the content of a complex type looks in JSON.
type shape struct {
	slots []*slot
	byXML map[xml.Name]*slot
	byKey map[string]*slot
	wild  bool // "#any" may be there

	// ordered means that the schema does not tell in which order the elements
	// were, so that JSON must.
	ordered bool

	walked map[*wsdl.Particle]map[xml.Name]occurs // groups are shared
}

// occurs counts how often a name appears in a content model.
type occurs struct {
	times  int
	varies bool // one of them may be there or not
}

func (s *schema) shapeOf(t *wsdl.Type) *shape {
	if sh := s.shapes[t]; sh != nil {
		return sh
	}
	sh := &shape{byXML: map[xml.Name]*slot{}, byKey: map[string]*slot{}, ordered: t.Mixed, walked: map[*wsdl.Particle]map[xml.Name]occurs{}}
	s.shapes[t] = sh
	if t.Content != nil {
		for name, o := range sh.walk(t.Content) {
			if o.times < 2 {
				continue
			}
			if o.varies {
				sh.ordered = true
			}
			if sl := sh.byXML[name]; sl != nil {
				sl.many = true
			}
		}
	}
	sh.walked = nil
	locals := map[string]int{}
	for _, sl := range sh.slots {
		locals[sl.elem.Name.Local]++
	}
	for _, sl := range sh.slots {
		sl.key = sl.elem.Name.Local
		if locals[sl.key] > 1 {
			sl.key = clark(xml.Name(sl.elem.Name))
		}
		sh.byKey[sl.key] = sl
	}
	return sh
}

// slotAt returns the slot of the element that r is at, nil if there is none.
// Peers that get the namespace wrong are understood where that leaves no doubt.
func (sh *shape) slotAt(r *wire.Reader) *slot {
	if sl := sh.byXML[r.Name()]; sl != nil || sh.wild {
		return sl
	}
	if sl := sh.byKey[r.Local()]; sl != nil && r.In(sl.elem.Name.Space) {
		return sl
	}
	return nil
}

// anyName stands for wildcards among the names of a content model.
var anyName = xml.Name{Local: "#any"}

// maxContent bounds the particles of a content model. Groups that hold each
// other twice, in sixty steps, have more of them than anybody can look at.
const maxContent = 50_000

// huge reports whether a content model has more than maxContent particles.
func (s *schema) huge(p *wsdl.Particle) bool { return s.size(p) > maxContent }

func (s *schema) size(p *wsdl.Particle) int {
	n, ok := s.sizes[p]
	if !ok {
		n = 1
		for _, c := range p.Children {
			n = min(n+s.size(c), maxContent+1)
		}
		s.sizes[p] = n
	}
	return n
}

func (sh *shape) walk(p *wsdl.Particle) map[xml.Name]occurs {
	if known, ok := sh.walked[p]; ok {
		return known
	}
	found := sh.walkNew(p)
	sh.walked[p] = found
	return found
}

func (sh *shape) walkNew(p *wsdl.Particle) map[xml.Name]occurs {
	found := map[xml.Name]occurs{}
	switch p.Kind {
	case wsdl.ElementParticle:
		n := 0
		for _, e := range standIns(p.Element) {
			sl := sh.byXML[xml.Name(e.Name)]
			if sl == nil {
				sl = &slot{elem: e}
				sh.byXML[xml.Name(e.Name)] = sl
				sh.slots = append(sh.slots, sl)
			}
			sl.many = sl.many || p.Repeats()
			found[xml.Name(e.Name)] = occurs{1, p.Min != p.Max}
			n++
		}
		if p.Repeats() && n > 1 {
			sh.ordered = true
		}
		return found
	case wsdl.AnyParticle:
		sh.wild = true
		found[anyName] = occurs{1, p.Min != p.Max}
		return found
	}
	for _, c := range p.Children {
		for name, o := range sh.walk(c) {
			old, seen := found[name]
			switch {
			case !seen:
			case p.Kind == wsdl.Choice:
				o = occurs{max(o.times, old.times), o.varies || old.varies}
			default:
				o = occurs{min(o.times+old.times, 2), o.varies || old.varies}
			}
			found[name] = o
		}
	}
	if p.Repeats() {
		if len(found) > 1 {
			sh.ordered = true
		}
		for name := range found {
			if sl := sh.byXML[name]; sl != nil {
				sl.many = true
			}
		}
	}
	return found
}

// standIns returns the elements that may stand in the place of e: itself and
// those of its substitution group, unless they are abstract.
func standIns(e *wsdl.Element) []*wsdl.Element {
	var all []*wsdl.Element
	for _, x := range append([]*wsdl.Element{e}, e.Members...) {
		if !x.Abstract {
			all = append(all, x)
		}
	}
	return all
}

// attrKey is the name of an attribute in JSON.
func attrKey(t *wsdl.Type, n xml.Name) string {
	switch {
	case n.Space == wire.XML:
		return "@xml:" + n.Local
	case n.Space == "":
		return "@" + n.Local
	}
	if t != nil {
		only := false
		for _, a := range t.Attributes {
			if a.Name.Local == n.Local {
				if xml.Name(a.Name) != n {
					return "@" + clark(n)
				}
				only = true
			}
		}
		if only {
			return "@" + n.Local
		}
	}
	return "@" + clark(n)
}

// xsiKey is the name of xsi:type or xsi:nil in JSON: short, unless one of the
// types has an attribute called so.
func xsiKey(local string, types ...*wsdl.Type) string {
	for _, t := range types {
		if t != nil && slices.ContainsFunc(t.Attributes, func(a *wsdl.Attribute) bool { return a.Name.Local == local }) {
			return "@xsi:" + local
		}
	}
	return "@" + local
}

// typeText names t in JSON: by its local name if no other type has that.
func (s *schema) typeText(n xml.Name) string {
	if n.Space == wire.XSD {
		return "xs:" + n.Local
	}
	if len(s.byLocal[n.Local]) == 1 && s.types[n] != nil {
		return n.Local
	}
	return clark(n)
}

func clark(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return "{" + n.Space + "}" + n.Local
}

// parseClark takes {namespace}name apart.
func parseClark(s string) xml.Name {
	if strings.HasPrefix(s, "{") {
		if i := strings.LastIndexByte(s, '}'); i > 0 {
			return xml.Name{Space: s[1:i], Local: s[i+1:]}
		}
	}
	return xml.Name{Local: s}
}
