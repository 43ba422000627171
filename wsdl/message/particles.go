package message

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"

	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/wsdl"
)

// pending are the values that are not written yet, by element.
type pending struct {
	of  map[xml.Name][]indexed
	any []indexed
}

type indexed struct {
	key string
	val *value
}

func (x *encoder) elements(t *wsdl.Type, members []member) {
	if t.Content != nil && x.s.huge(t.Content) {
		x.fail("the schema allows more elements than can be looked at: give it as XML")
		return
	}
	sh := x.s.shapeOf(t)
	p := &pending{of: map[xml.Name][]indexed{}}
	for _, m := range members {
		var name xml.Name
		whole := false // one element for the list
		x.within(m.key, func() {
			if m.key == "#any" {
				return
			}
			if sl := x.slot(sh, m.key); sl != nil {
				name, whole = xml.Name(sl.elem.Name), x.s.isArray(sl.elem.Type) && !sl.many
			}
		})
		if x.err != nil {
			return
		}
		list := []indexed{{m.key, m.val}}
		if m.val.kind == array && !whole {
			list = nil
			for i, item := range m.val.items {
				list = append(list, indexed{fmt.Sprintf("%s[%d]", m.key, i), item})
			}
		}
		if m.key == "#any" {
			p.any = append(p.any, list...)
		} else {
			p.of[name] = append(p.of[name], list...)
		}
	}
	if t.Content != nil {
		x.particle(t.Content, p, t.Content.Min > 0)
	}
	for _, sl := range sh.slots { // in order, so that the same error comes first
		if left := p.of[xml.Name(sl.elem.Name)]; len(left) > 0 {
			x.within(left[0].key, func() {
				if !sl.many && strings.HasSuffix(left[0].key, "]") {
					x.fail("is one too many: %s is not repeated", sl.key)
				} else {
					x.fail("does not fit: it is one too many, or excludes another element (a choice)")
				}
			})
		}
	}
	for _, left := range p.any { // where the schema has no place
		x.within(left.key, func() {
			if sh.wild {
				x.fail("does not fit: xs:any does not allow it, or not so often")
			} else {
				x.fail("the schema has no xs:any here")
			}
		})
	}
}

// particle writes what is pending of p, and returns how many elements that
// were. If must is set, p has to be there.
func (x *encoder) particle(p *wsdl.Particle, pend *pending, must bool) (n int) {
	for i := 0; x.err == nil && (p.Max == wsdl.Unbounded || i < p.Max); i++ {
		k := x.once(p, pend, must && i == 0)
		if n += k; k == 0 {
			break
		}
	}
	return n
}

func (x *encoder) once(p *wsdl.Particle, pend *pending, must bool) (n int) {
	switch p.Kind {
	case wsdl.ElementParticle:
		for _, e := range standIns(p.Element) {
			if list := pend.of[xml.Name(e.Name)]; len(list) > 0 {
				pend.of[xml.Name(e.Name)] = list[1:]
				x.within(list[0].key, func() { x.element(e, list[0].val) })
				return 1
			}
		}
		if must {
			x.missing(p)
		}
	case wsdl.AnyParticle:
		for i, a := range pend.any {
			r, err := wire.ParseRaw(a.val.text)
			if err == nil && !p.Wildcard.Allows(r.Name().Space) {
				continue
			}
			pend.any = slices.Delete(pend.any, i, i+1)
			x.within(a.key, func() { x.raw(a.val, true) })
			return 1
		}
	case wsdl.Choice:
		best, most := -1, 0
		for i, c := range p.Children {
			k := pend.reach(c)
			if k > most {
				best, most = i, k
			}
			if p.Repeats() && k > 0 {
				break // the order of the schema
			}
		}
		switch {
		case best >= 0:
			return x.particle(p.Children[best], pend, p.Children[best].Min > 0)
		case must && !slices.ContainsFunc(p.Children, emptiable):
			x.missing(p)
		}
	default:
		var absent *wsdl.Particle
		for _, c := range p.Children {
			k := x.particle(c, pend, must && c.Min > 0)
			if k == 0 && absent == nil && !emptiable(c) {
				absent = c
			}
			n += k
		}
		if n > 0 && absent != nil {
			x.missing(absent)
		}
	}
	return n
}

// reach counts the elements pending that p may take.
func (pend *pending) reach(p *wsdl.Particle) (n int) {
	switch p.Kind {
	case wsdl.ElementParticle:
		for _, e := range standIns(p.Element) {
			if len(pend.of[xml.Name(e.Name)]) > 0 {
				n++
			}
		}
	case wsdl.AnyParticle:
		for _, a := range pend.any {
			if r, err := wire.ParseRaw(a.val.text); err == nil && p.Wildcard.Allows(r.Name().Space) {
				return 1
			}
		}
	default:
		for _, c := range p.Children {
			n += pend.reach(c)
		}
	}
	return n
}

// emptiable reports whether p may be there without any element.
func emptiable(p *wsdl.Particle) bool {
	switch {
	case p.Min == 0:
		return true
	case p.Kind == wsdl.ElementParticle || p.Kind == wsdl.AnyParticle:
		return p.Kind == wsdl.AnyParticle // left to the server
	case p.Kind == wsdl.Choice:
		return len(p.Children) == 0 || slices.ContainsFunc(p.Children, emptiable)
	}
	return !slices.ContainsFunc(p.Children, func(c *wsdl.Particle) bool { return !emptiable(c) })
}

// missing complains that nothing is given for p.
func (x *encoder) missing(p *wsdl.Particle) {
	names := firstNames(p, nil)
	switch {
	case len(names) == 0:
	case len(names) == 1:
		x.lacks("%q is missing", names[0])
	default:
		slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(len(a), len(b)) })
		x.lacks("one of %s is missing", strings.Join(names[:min(len(names), 8)], ", "))
	}
}

func firstNames(p *wsdl.Particle, names []string) []string {
	switch p.Kind {
	case wsdl.ElementParticle:
		for _, e := range standIns(p.Element) {
			names = append(names, e.Name.Local)
		}
	case wsdl.Choice:
		for _, c := range p.Children {
			names = firstNames(c, names)
		}
	case wsdl.Sequence, wsdl.All:
		for _, c := range p.Children {
			if !emptiable(c) {
				return firstNames(c, names)
			}
		}
	}
	return names
}
