package xsd

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Pattern is a regular expression of XML Schema (appendix F), which differs from
// those of Go: it matches the whole value, ^ and $ are characters, classes can
// be subtracted, and \i, \c and blocks exist. It is safe for concurrent use.
type Pattern struct {
	source  string
	re      *regexp.Regexp
	longest int // characters that can match; unbounded if there is no limit
}

const (
	unbounded     = -1
	maxPattern    = 16 << 10 // bytes of a pattern
	maxNesting    = 100
	maxRepeat     = 100_000 // of one quantifier
	goRepeat      = 1000    // what package regexp takes
	maxTranslated = 4 << 20
)

// A PatternError says why a pattern cannot be used.
type PatternError struct {
	Pattern string
	Offset  int // bytes
	Msg     string
}

func (e *PatternError) Error() string {
	p := e.Pattern
	if len(p) > 80 {
		p = strings.ToValidUTF8(p[:80], "") + "..."
	}
	return fmt.Sprintf("xsd: pattern %q: %s at byte %d", p, e.Msg, e.Offset)
}

// CompilePattern translates a pattern. The error is a *PatternError.
func CompilePattern(pattern string) (*Pattern, error) {
	p := &patternParser{src: pattern}
	if len(pattern) > maxPattern {
		return nil, p.fail("longer than " + strconv.Itoa(maxPattern) + " bytes")
	}
	if !utf8.ValidString(pattern) {
		return nil, p.fail("invalid UTF-8")
	}
	expr, longest, err := p.alternatives(0)
	if err == nil && p.at < len(pattern) {
		err = p.fail("unexpected )")
	}
	if err != nil {
		return nil, err
	}
	re, err := regexp.Compile(`\A(?:` + expr + `)\z`)
	if err != nil {
		p.at = 0
		return nil, p.fail("too complex") // its syntax is ours
	}
	return &Pattern{source: pattern, re: re, longest: longest}, nil
}

// String returns the pattern as it was written.
func (p *Pattern) String() string { return p.source }

// Match reports whether the whole of s matches.
func (p *Pattern) Match(s string) bool {
	// A long value must not be walked through a pattern with many states.
	if p.longest != unbounded && len(s) > p.longest*utf8.UTFMax {
		return false
	}
	return p.re.MatchString(s)
}

type patternParser struct {
	src string
	at  int
	out int // bytes translated so far
}

func (p *patternParser) fail(msg string) error {
	return &PatternError{Pattern: p.src, Offset: p.at, Msg: msg}
}

// next returns the character at the parser, 0 at the end.
func (p *patternParser) next() (r rune, size int) {
	if p.at >= len(p.src) {
		return 0, 0
	}
	return utf8.DecodeRuneInString(p.src[p.at:])
}

// alternatives reads branches up to the end or a closing parenthesis. Each
// method returns the translation and the number of characters that it can
// match.
func (p *patternParser) alternatives(depth int) (string, int, error) {
	if depth > maxNesting {
		return "", 0, p.fail("nested too deeply")
	}
	var b strings.Builder
	longest, branch := 0, 0
	for {
		r, size := p.next()
		switch {
		case size == 0, r == ')':
			return b.String(), most(longest, branch), nil
		case r == '|':
			p.at++
			b.WriteByte('|')
			longest, branch = most(longest, branch), 0
			continue
		}
		atom, n, err := p.atom(depth)
		if err != nil {
			return "", 0, err
		}
		piece, times, err := p.quantify(atom)
		if err != nil {
			return "", 0, err
		}
		if p.out += len(piece); p.out > maxTranslated {
			return "", 0, p.fail("too complex")
		}
		b.WriteString(piece)
		switch {
		case branch == unbounded, n == 0 || times == 0:
		case n == unbounded, times == unbounded, n > (1<<30)/times, branch > 1<<30-n*times:
			branch = unbounded
		default:
			branch += n * times
		}
	}
}

func most(a, b int) int {
	if a == unbounded || b == unbounded {
		return unbounded
	}
	return max(a, b)
}

// atom reads a character, a class or a group. F, productions 9 to 11.
func (p *patternParser) atom(depth int) (string, int, error) {
	r, size := p.next()
	switch r {
	case '(':
		p.at++
		expr, n, err := p.alternatives(depth + 1)
		if err != nil {
			return "", 0, err
		}
		if r, _ := p.next(); r != ')' {
			return "", 0, p.fail("missing )")
		}
		p.at++
		return "(?:" + expr + ")", n, nil
	case '[':
		set, err := p.class(0)
		return set.String(), 1, err
	case '.':
		p.at++
		return `[^\n\r]`, 1, nil
	case '\\':
		set, _, _, err := p.escape()
		return set.String(), 1, err
	case '?', '*', '+', '{', '}', ']':
		return "", 0, p.fail("unexpected " + string(r))
	}
	p.at += size
	return regexp.QuoteMeta(string(r)), 1, nil
}

// quantify reads a quantifier behind an atom and returns the atom with it, and
// how often that can match at most. Productions 4 to 8.
func (p *patternParser) quantify(atom string) (string, int, error) {
	r, _ := p.next()
	switch r {
	case '?':
		p.at++
		return atom + "?", 1, nil
	case '*', '+':
		p.at++
		return atom + string(r), unbounded, nil
	case '{':
	default:
		return atom, 1, nil
	}
	text, _, ok := strings.Cut(p.src[p.at+1:], "}")
	if !ok {
		return "", 0, p.fail("missing }")
	}
	low, high, isRange := strings.Cut(text, ",")
	n, errN := strconv.ParseUint(low, 10, 31)
	m := n
	var errM error
	endless := isRange && high == ""
	if isRange && !endless {
		m, errM = strconv.ParseUint(high, 10, 31)
	}
	switch {
	case errN != nil || errM != nil || m < n:
		return "", 0, p.fail("not a quantity")
	case m > maxRepeat:
		return "", 0, p.fail("a quantity of more than " + strconv.Itoa(maxRepeat))
	case 2*int(m/goRepeat+1)*len(atom) > maxTranslated:
		return "", 0, p.fail("too complex")
	}
	p.at += len(text) + 2
	if endless {
		return "(?:" + repeat(atom, int(n), int(n)) + atom + "*)", unbounded, nil
	}
	return "(?:" + repeat(atom, int(n), int(m)) + ")", int(m), nil
}

// repeat writes a quantity in steps that package regexp takes: first what must
// be there, then what may.
func repeat(atom string, n, m int) string {
	var b strings.Builder
	may := m - n
	for n > 0 {
		step := min(n, goRepeat)
		fmt.Fprintf(&b, "%s{%d}", atom, step)
		n -= step
	}
	// One step after the other, each with an end: x{0,1000}x{0,1000} would leave
	// open which of the two a character belongs to, at a cost for each.
	ends := 0
	for ; may > goRepeat; may -= goRepeat {
		fmt.Fprintf(&b, "(?:%s{0,%d}|%s{%d}", atom, goRepeat-1, atom, goRepeat)
		ends++
	}
	if may > 0 {
		fmt.Fprintf(&b, "%s{0,%d}", atom, may)
	}
	b.WriteString(strings.Repeat(")", ends))
	return b.String()
}
