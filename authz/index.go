package authz

import "strings"

// index finds the first of some matchers that fits a request. A service may have
// hundreds of operations: those that are written out are looked up by name, and
// only the others are tried one by one.
type index struct {
	byOperation map[string]int // the first that names it
	others      []int          // in order
}

// few matchers are faster tried one by one.
const few = 8

// newIndex makes an index of n matchers, which at returns.
func newIndex(n int, at func(i int) (*matcher, Match)) *index {
	if n < few {
		return nil
	}
	x := &index{byOperation: make(map[string]int)}
	for i := range n {
		c, m := at(i)
		if !c.namesOperation(m) {
			x.others = append(x.others, i)
		} else if _, ok := x.byOperation[m.Operation]; !ok {
			x.byOperation[m.Operation] = i
		}
	}
	return x
}

// namesOperation reports whether a request matches if and only if its operation
// is the text of the match.
func (m *matcher) namesOperation(text Match) bool {
	return text.Operation != "" && text.Host == "" && text.Path == "" && text.Method == "" &&
		m.space != "" && !m.anySpace && !strings.Contains(m.operation, "*")
}

// first returns the first matcher that fits, or -1.
func (x *index) first(r *Request, n int, at func(i int) *matcher) int {
	if x == nil {
		for i := range n {
			if at(i).why(r) == "" {
				return i
			}
		}
		return -1
	}
	best, ok := x.byOperation[r.Operation]
	if !ok || r.Operation == "" {
		best = n
	}
	for _, i := range x.others {
		if i > best {
			break
		}
		if at(i).why(r) == "" {
			return i
		}
	}
	if best == n {
		return -1
	}
	return best
}

func (n *node) indexed() *node {
	n.childIndex = newIndex(len(n.children), func(i int) (*matcher, Match) {
		return &n.children[i].match, n.children[i].element.Match
	})
	n.ruleIndex = newIndex(len(n.rules.value), func(i int) (*matcher, Match) {
		r := &n.rules.value[i]
		return &r.match, r.Match
	})
	return n
}

// child returns the element in n that the request belongs to, or nil.
func (n *node) child(r *Request) *node {
	if i := n.childIndex.first(r, len(n.children), func(i int) *matcher { return &n.children[i].match }); i >= 0 {
		return n.children[i]
	}
	return nil
}

// rule returns the rule that decides, or nil.
func (n *node) rule(r *Request) *rule {
	if i := n.ruleIndex.first(r, len(n.rules.value), func(i int) *matcher { return &n.rules.value[i].match }); i >= 0 {
		return &n.rules.value[i]
	}
	return nil
}
