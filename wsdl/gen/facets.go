package gen

import (
	"slices"
	"strings"

	"github.com/soapward/soapward/soap/xsd"
	"github.com/soapward/soapward/wsdl"
)

// facetsOf returns what a type restricts, nil if that is nothing: an int is
// known to be one by its Go type. notes tells what cannot be checked.
func facetsOf(t *wsdl.Type, s *wsdl.Simple) (f *xsd.Facets, notes []string) {
	f, notes = allFacets(t, s)
	switch {
	case len(f.Rules) > 0 || len(f.Enum) > 0:
		return f, notes
	case f.Item != nil && !trivial(f.Item), len(f.Members) > 0 && !slices.ContainsFunc(f.Members, trivial):
		return f, notes
	}
	return nil, notes
}

// trivial reports whether any text at all is a value.
func trivial(f *xsd.Facets) bool {
	return len(f.Rules)+len(f.Enum)+len(f.Members) == 0 && f.Item == nil && xsd.AnyText(f.Base)
}

func allFacets(t *wsdl.Type, s *wsdl.Simple) (f *xsd.Facets, notes []string) {
	f = &xsd.Facets{}
	sub := func(t *wsdl.Type) *xsd.Facets {
		m, n := allFacets(t, simpleOf(t))
		notes = append(notes, n...)
		return m
	}
	switch s.Variety {
	case wsdl.List:
		f.Item = sub(s.Item)
	case wsdl.Union:
		for _, m := range s.Members {
			f.Members = append(f.Members, sub(m))
		}
	default:
		f.Base = s.Atom.Name.Local
	}
	for _, e := range s.Enum {
		if !slices.Contains(f.Enum, e.Value) {
			f.Enum = append(f.Enum, e.Value)
		}
	}
	add := func(name, value string) {
		r := xsd.Facet{Name: name, Value: value}
		alone := &xsd.Facets{Base: f.Base, Item: f.Item, Members: f.Members, Rules: []xsd.Facet{r}}
		if err := alone.Compile(); err != nil {
			notes = append(notes, strings.TrimPrefix(err.Error(), "xsd: "))
			return
		}
		f.Rules = append(f.Rules, r)
	}
	seen := map[string]bool{}
	for _, step := range facetSteps(t, s) {
		var patterns []string // of one step: any of them may match (XML Schema 2 4.3.4)
		for _, r := range step {
			switch {
			case r.Name == "pattern":
				patterns = append(patterns, r.Value)
			case seen[r.Name], r.Name == "whiteSpace" && s.Variety != wsdl.Atomic: // a base is never narrower
			default:
				seen[r.Name] = true
				add(r.Name, r.Value)
			}
		}
		if len(patterns) > 0 {
			add("pattern", strings.Join(patterns, "|"))
		}
	}
	if len(f.Rules) == 1 && f.Rules[0].Name == "whiteSpace" && len(f.Enum) == 0 {
		f.Rules = nil // restricts nothing
	}
	return f, notes
}

// facetSteps returns the facets of a type and of each type it restricts.
func facetSteps(t *wsdl.Type, s *wsdl.Simple) [][]wsdl.Facet {
	var steps [][]wsdl.Facet
	all := s.Facets
	for b := t.Base; len(all) > 0; b = b.Base {
		inherited := 0
		if b != nil && b.Simple != nil {
			inherited = min(len(b.Simple.Facets), len(all))
		}
		if own := all[:len(all)-inherited]; len(own) > 0 {
			steps = append(steps, own)
		}
		all = all[len(all)-inherited:]
		if b == nil {
			break
		}
	}
	return steps
}
