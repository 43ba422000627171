package wsdl

import (
	"regexp"
	"slices"
	"strings"
)

// Group is problems of one cause.
type Group struct {
	// Text is what they say. Where they differ, by a name for example, it has
	// what each says.
	Text  string
	Count int
	First Position
}

// variable is what differs between problems of one cause: names and what is
// quoted, numbers, and names of operations and the like.
var variable = regexp.MustCompile(`\{[^{}]*\}[^\s:;,)]*|"(?:[^"\\]|\\.)*"|\d+|\b(?:operation|binding|fault|header|message) [^\s:;,{"]+`)

// GroupProblems sorts problems by cause, in the order of the first of each. What
// they differ by is listed up to that many values, at least one, in Text.
func GroupProblems(list []Problem, values int) []Group {
	values = max(values, 1)
	type group struct {
		Group
		between []string   // texts around the variables
		seen    [][]string // of each variable
	}
	var all []*group
	byCause := map[string]*group{}
	for _, p := range list {
		first := p.Pos
		p.Pos = Position{}
		text := p.String()
		between := variable.Split(text, -1)
		found := variable.FindAllString(text, -1)
		cause := strings.Join(between, "\x00")
		g := byCause[cause]
		if g == nil {
			g = &group{Group: Group{First: first}, between: between, seen: make([][]string, len(found))}
			byCause[cause] = g
			all = append(all, g)
		}
		g.Count++
		for i, v := range found {
			if len(g.seen[i]) <= values && !slices.Contains(g.seen[i], v) {
				g.seen[i] = append(g.seen[i], v)
			}
		}
	}
	out := make([]Group, len(all))
	for i, g := range all {
		var b strings.Builder
		for j, text := range g.between {
			b.WriteString(text)
			if j < len(g.seen) {
				b.WriteString(few(g.seen[j], values))
			}
		}
		g.Text = b.String()
		out[i] = g.Group
	}
	return out
}

// few lists some of what was seen.
func few(seen []string, most int) string {
	common := "" // operation A, B; {urn:x}A, B
	switch first := seen[0]; first[0] {
	case '{':
		common = first[:strings.IndexByte(first, '}')+1]
	case '"':
	default:
		if i := strings.IndexByte(first, ' '); i > 0 {
			common = first[:i+1]
		}
	}
	var b strings.Builder
	for i, v := range seen {
		switch {
		case i == most:
			return b.String() + ", ..."
		case i > 0:
			b.WriteString(", ")
			v = strings.TrimPrefix(v, common)
		}
		b.WriteString(v)
	}
	return b.String()
}
