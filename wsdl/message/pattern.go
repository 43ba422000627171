package message

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
)

// What is looked into is bounded: a pattern in bytes, and the work with all of
// those of a type in steps of an automaton.
const (
	maxPattern     = 2000
	maxPatternWork = 50_000_000
)

// samplePattern makes a text that matches one of the patterns of a type (XML
// Schema 2 appendix F) and is fine. It reports false where it finds none.
func samplePattern(f facets, fine func(string) bool) (string, bool) {
	type alternative struct { // those of one step are
		tree   *syntax.Regexp
		re     *regexp.Regexp
		states int
	}
	var all []alternative
	work := 0
	for _, p := range f.patterns {
		if len(p) > maxPattern {
			return "", false
		}
		tree, err := syntax.Parse(goPattern(p), syntax.Perl)
		if err != nil {
			return "", false
		}
		prog, err := syntax.Compile(tree.Simplify())
		if err != nil {
			return "", false
		}
		if work += 100 * len(prog.Inst); work > maxPatternWork {
			return "", false
		}
		re, err := regexp.Compile(`^(?:` + goPattern(p) + `)$`)
		if err != nil {
			return "", false
		}
		all = append(all, alternative{tree, re, len(prog.Inst)})
	}
	matches := func(s string) bool {
		for _, a := range all {
			if work += a.states * len(s); work > maxPatternWork {
				return false
			}
			if a.re.MatchString(s) {
				return true
			}
		}
		return false
	}
	for _, a := range all {
		for _, more := range []int{0, 1, 2, 3, 5, 8, 13, 21, 34} {
			s := sampleOf(a.tree, more, 0)
			if matches(s) && fine(s) {
				return s, true
			}
		}
	}
	return "", false
}

// goPattern translates what XML Schema writes differently.
func goPattern(p string) string {
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case c == '\\' && i+1 < len(p):
			i++
			switch p[i] {
			case 'i':
				b.WriteString(`[A-Za-z_:]`)
			case 'c':
				b.WriteString(`[-A-Za-z0-9._:]`)
			default:
				b.WriteByte('\\')
				b.WriteByte(p[i])
			}
		case c == '^' && (i == 0 || p[i-1] != '['), c == '$':
			b.WriteString(`\` + string(c)) // no anchors there
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// sampleOf makes a text of a pattern: each repetition as often as it must be
// there and up to more times more.
func sampleOf(re *syntax.Regexp, more, depth int) string {
	if depth > 100 {
		return ""
	}
	sub := func(i int) string { return sampleOf(re.Sub[i], more, depth+1) }
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		return string(pickRune(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "x"
	case syntax.OpCapture:
		return sub(0)
	case syntax.OpConcat:
		var b strings.Builder
		for i := range re.Sub {
			b.WriteString(sub(i))
		}
		return b.String()
	case syntax.OpAlternate:
		return sub(0)
	case syntax.OpStar:
		return repeat(sub(0), more)
	case syntax.OpPlus:
		return repeat(sub(0), 1+more)
	case syntax.OpQuest:
		return repeat(sub(0), min(more, 1))
	case syntax.OpRepeat:
		n := re.Min + more
		if re.Max >= 0 {
			n = min(n, re.Max)
		}
		return repeat(sub(0), n)
	}
	return ""
}

// repeat is strings.Repeat, bounded.
func repeat(s string, n int) string {
	const most = 4000
	if len(s) > 0 {
		n = min(n, most/len(s)+1)
	}
	return strings.Repeat(s, n)
}

// pickRune takes a letter or a digit of a class, if it has one.
func pickRune(class []rune) rune {
	for _, want := range []rune{'a', 'A', '1', '0'} {
		for i := 0; i+1 < len(class); i += 2 {
			if class[i] <= want && want <= class[i+1] {
				return want
			}
		}
	}
	for i := 0; i+1 < len(class); i += 2 {
		for r := class[i]; r <= class[i+1] && r < class[i]+200; r++ {
			if unicode.IsPrint(r) && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
				return r
			}
		}
	}
	if len(class) > 0 {
		return class[0]
	}
	return 'x'
}
