package gen

import "fmt"

// loose returns the local names by which alone a lenient Reader may know the
// elements of s: those that nothing else in the content which s is a part of
// could be meant by, be it another element or a wildcard.
func (s *structT) loose() map[string]bool {
	for s.outer != nil {
		s = s.outer
	}
	names, wild := s.accepts()
	if len(wild) > 0 {
		return nil
	}
	loose, space := map[string]bool{}, map[string]string{}
	for _, n := range names {
		first, again := space[n.Local]
		space[n.Local] = n.Space
		loose[n.Local] = !again || loose[n.Local] && first == n.Space
	}
	return loose
}

// accepted is a condition on the current element, whose local name is that of d,
// that it is d. loose is what s.loose returns.
func (g *generator) accepted(s *structT, d dispatch, loose map[string]bool) string {
	cond := g.isSpace(d.name.Space)
	switch {
	case !loose[d.name.Local]:
	case s.rpc: // parts have no namespace, but many peers take that of the wrapper
		return "(" + cond + " || r.Lenient())"
	default:
		cond = fmt.Sprintf("r.In(%s)", g.space(d.name.Space))
		if s.fields[d.field].nilMeansNone(s) {
			return cond + " && !r.Nil()" // else it is unknown: skipped, or refused by a strict Reader
		}
	}
	if s.encoded && !s.encOnly && d.name.Space != "" {
		cond = "(" + cond + ` || r.Space() == "")` // accessors of encoded messages have none
	}
	return cond
}

// nilMeansNone reports whether xsi:nil, which the schema does not allow for f, is
// what a peer says for nothing at all.
func (f *field) nilMeansNone(s *structT) bool {
	return s.kind == complexStruct && !s.encoded && f.kind == elemField && f.card == opt && !f.nillable && !f.nilAway && f.val.kind != anyValue
}
