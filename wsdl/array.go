package wsdl

import "strings"

// Array says that a type is an array of SOAP encoding, and of what.
// SOAP 1.1 5.4.2, SOAP 1.2 Part 2 3.1.6, WSDL 1.1 2.2.
type Array struct {
	Item *Type
	Rank int // dimensions: 1 for T[], 2 for T[,]

	// Nillable says that an element declares the items, and may be nil.
	Nillable bool
}

// maxRank bounds the brackets of an arrayType and the dimensions in one.
const maxRank = 8

// isArrayBase reports whether q is the type that arrays are derived from.
func isArrayBase(q QName) bool {
	return q.Local == "Array" && (q.Space == nsSOAPEnc11 || q.Space == nsSOAPEnc12)
}

// arrayOf finds what t, derived from an array by n, is an array of. own is the
// content that n gives it.
func (l *loader) arrayOf(t *Type, own *Particle, n *node) *Array {
	for _, k := range n.kids {
		if k.name != (QName{nsXSD, "attribute"}) {
			continue
		}
		if ref := k.getNS(nsWSDL, "arrayType"); ref != "" {
			if a := l.arrayType(t, k, ref); a != nil {
				return a
			}
		}
	}
	if e := onlyElement(own); e != nil {
		return &Array{Item: e.Type, Rank: 1, Nillable: e.Nillable}
	}
	return t.Base.Array
}

// onlyElement returns the one element that a content model consists of, or nil.
func onlyElement(p *Particle) *Element {
	for p != nil && p.Kind != ElementParticle {
		if len(p.Children) != 1 {
			return nil
		}
		p = p.Children[0]
	}
	if p == nil {
		return nil
	}
	return p.Element
}

// arrayType parses the value of wsdl:arrayType: a name, and brackets of which
// the last are those of the array itself. What is wrong with it is a warning: the
// array is one of anything then.
func (l *loader) arrayType(t *Type, n *node, ref string) *Array {
	name, brackets, _ := strings.Cut(ref, "[")
	item := l.typeRef(n, t.in, name)
	if item == nil {
		return nil
	}
	ranks := []int{}
	for _, dims := range strings.Split(brackets, "[") {
		dims, rest, _ := strings.Cut(dims, "]")
		if strings.TrimSpace(rest) != "" || strings.Trim(dims, "0123456789, *") != "" || strings.Count(dims, ",") >= maxRank || len(ranks) == maxRank {
			l.warn.add(n.pos, nil, "array of anything: wsdl:arrayType %q is malformed", clip(ref))
			return nil
		}
		ranks = append(ranks, strings.Count(dims, ",")+1)
	}
	last := len(ranks) - 1
	for _, rank := range ranks[:last] {
		item = &Type{
			Pos: n.pos, Complex: true, Base: t.Base, Derivation: Restriction, state: filled,
			Array: &Array{Item: item, Rank: rank},
		}
	}
	return &Array{Item: item, Rank: ranks[last]}
}
