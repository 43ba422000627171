package message

import (
	"cmp"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/wsdl"
)

// examples are values of the built-in types.
var examples = map[string]string{
	"string": "text", "normalizedString": "text", "token": "text", "anySimpleType": "text", "anyURI": "http://example.com/",
	"boolean": "true", "float": "1.5", "double": "1.5", "duration": "P1DT2H", "dateTime": "2026-01-31T12:00:00Z",
	"time": "12:00:00", "date": "2026-01-31", "gYearMonth": "2026-01", "gYear": "2026", "gMonthDay": "--01-31",
	"gDay": "---31", "gMonth": "--01", "hexBinary": "0FB7", "base64Binary": "dGV4dA==", "language": "en",
	"NMTOKEN": "name", "NMTOKENS": "name", "Name": "name", "NCName": "name", "IDREF": "id1", "IDREFS": "id1",
	"ENTITY": "name", "ENTITIES": "name", "yearMonthDuration": "P1Y2M", "dayTimeDuration": "P1DT2H",
	"dateTimeStamp": "2026-01-31T12:00:00Z",
}

func plainExample(builtin string) string {
	switch {
	case builtin == "decimal":
		return "1.5"
	case builtin == "negativeInteger" || builtin == "nonPositiveInteger":
		return "-1"
	case numeric[builtin] && examples[builtin] == "":
		return "1"
	}
	return cmp.Or(examples[builtin], "text")
}

// example returns a value of t that the schema allows, and what is to be said
// of others.
func (t *template) example(typ *wsdl.Type, e *wsdl.Element) (v, note string) {
	switch {
	case e.Fixed != nil:
		return *e.Fixed, "fixed"
	case e.Default != nil:
		_, note = t.value(typ, 0)
		return *e.Default, join("default", note)
	}
	return t.value(typ, 0)
}

// value makes a value of a simple type; a comment says what others there are.
func (t *template) value(typ *wsdl.Type, depth int) (v, note string) {
	s := typ.Simple
	if s == nil || depth > 20 {
		return "text", ""
	}
	if len(s.Enum) > 0 {
		var all []string
		for _, x := range s.Enum {
			all = append(all, x.Value)
		}
		v = all[0]
		if isQName(typ) {
			v = strings.TrimSpace(v)
			if _, local, ok := strings.Cut(v, ":"); ok {
				v = local
			}
		}
		if len(all) == 1 {
			return v, ""
		}
		return v, "one of " + list(all)
	}
	f := facetsOf(s)
	switch s.Variety {
	case wsdl.List:
		n := max(1, f.minLen)
		item, note := t.value(s.Item, depth+1)
		return strings.TrimSuffix(strings.Repeat(item+" ", min(n, maxRepeats)), " "), join("a list, separated by spaces", note)
	case wsdl.Union:
		if len(s.Members) == 0 {
			return "text", ""
		}
		return t.value(s.Members[0], depth+1)
	}
	name := ""
	if s.Atom != nil {
		name = s.Atom.Name.Local
	}
	note = join("xs:"+name, f.note())
	if name == "string" {
		note = f.note()
	}
	if len(f.patterns) > 0 {
		if v, ok := samplePattern(f, func(v string) bool { return f.fits(v) && parseable(name, v) }); ok {
			return v, note
		}
	}
	switch {
	case name == "ID":
		t.ids++
		return fmt.Sprintf("id%d", t.ids), note
	case name == "QName" || name == "NOTATION":
		return clark2(wire.XSD, "string"), note
	case numeric[name]:
		return f.number(name), note
	case name == "hexBinary":
		return strings.Repeat("0F", clamp(2, f)), note
	case name == "base64Binary":
		return base64Text(clamp(4, f)), note
	}
	v = plainExample(name)
	if lo := f.minIn; lo != "" && (f.maxIn == "" || lo != "") && examples[name] != "" && !strings.HasPrefix(v, "text") {
		return lo, note // a moment or a duration
	}
	if f.maxIn != "" && strings.ContainsAny(v, "-:P") {
		return f.maxIn, note
	}
	return fitLength(v, f), note
}

func parseable(name, v string) bool {
	parse := parsers[name]
	return parse == nil || parse(v) == nil
}

func clark2(space, local string) string { return "{" + space + "}" + local }

// fitLength cuts or pads v.
func fitLength(v string, f facets) string {
	const most = 4000
	for utf8.RuneCountInString(v) < min(f.minLen, most) {
		v += "x"
	}
	if f.maxLen >= 0 {
		if r := []rune(v); len(r) > f.maxLen {
			v = string(r[:f.maxLen])
		}
	}
	return v
}

// clamp returns a length near n that f allows.
func clamp(n int, f facets) int {
	n = max(n, min(f.minLen, 4000))
	if f.maxLen >= 0 {
		n = min(n, f.maxLen)
	}
	return n
}

func base64Text(n int) string {
	return fileText(&wsdl.Type{Simple: &wsdl.Simple{Atom: &wsdl.Type{Name: wsdl.QName{Local: "base64Binary"}}}}, strings.Repeat("x", n))
}

// facets are the restrictions of a type that matter to examples.
type facets struct {
	minLen, maxLen int // maxLen -1: none
	patterns       []string
	minIn, minEx   string
	maxIn, maxEx   string
	total, frac    int // -1: none
}

func facetsOf(s *wsdl.Simple) facets {
	f := facets{maxLen: -1, total: -1, frac: -1}
	for _, x := range s.Facets { // the nearest one comes first and is the narrowest
		n, _ := strconv.Atoi(strings.TrimSpace(x.Value))
		v := strings.TrimSpace(x.Value)
		switch x.Name {
		case "length":
			f.minLen, f.maxLen = n, n
		case "minLength":
			f.minLen = max(f.minLen, n)
		case "maxLength":
			if f.maxLen < 0 || n < f.maxLen {
				f.maxLen = n
			}
		case "pattern":
			f.patterns = append(f.patterns, x.Value)
		case "minInclusive":
			f.minIn = cmp.Or(f.minIn, v)
		case "minExclusive":
			f.minEx = cmp.Or(f.minEx, v)
		case "maxInclusive":
			f.maxIn = cmp.Or(f.maxIn, v)
		case "maxExclusive":
			f.maxEx = cmp.Or(f.maxEx, v)
		case "totalDigits":
			f.total = n
		case "fractionDigits":
			f.frac = n
		}
	}
	return f
}

func (f facets) fits(v string) bool {
	n := utf8.RuneCountInString(v)
	return n >= f.minLen && (f.maxLen < 0 || n <= f.maxLen)
}

// note says what the facets ask for.
func (f facets) note() string {
	var all []string
	switch {
	case f.maxLen >= 0 && f.minLen == f.maxLen:
		all = append(all, fmt.Sprintf("%d long", f.maxLen))
	case f.maxLen >= 0 && f.minLen > 0:
		all = append(all, fmt.Sprintf("%d to %d long", f.minLen, f.maxLen))
	case f.maxLen >= 0:
		all = append(all, fmt.Sprintf("at most %d long", f.maxLen))
	case f.minLen > 0:
		all = append(all, fmt.Sprintf("at least %d long", f.minLen))
	}
	for _, b := range []struct{ word, v string }{{"at least", f.minIn}, {"more than", f.minEx}, {"at most", f.maxIn}, {"less than", f.maxEx}} {
		if b.v != "" {
			all = append(all, b.word+" "+b.v)
		}
	}
	if f.total >= 0 {
		all = append(all, fmt.Sprintf("at most %d digits", f.total))
	}
	if f.frac >= 0 {
		all = append(all, fmt.Sprintf("at most %d behind the point", f.frac))
	}
	for _, p := range f.patterns {
		if len(p) > 100 {
			p = p[:100] + "..."
		}
		all = append(all, "pattern "+p)
	}
	return strings.Join(all, ", ")
}

// number returns a number near the usual example that lies within the bounds.
func (f facets) number(name string) string {
	v := plainExample(name)
	whole := name != "decimal" && name != "float" && name != "double"
	if f.frac == 0 || f.total == 1 {
		v = strings.TrimSuffix(v, ".5")
	}
	x, ok := new(big.Rat).SetString(v)
	if !ok {
		return v
	}
	rat := func(s string) *big.Rat {
		if len(s) > 100 || strings.ContainsAny(s, "eE/") { // an exponent may be huge
			return nil
		}
		r, ok := new(big.Rat).SetString(s)
		if !ok {
			return nil
		}
		return r
	}
	fine := func(x *big.Rat) bool {
		for _, b := range []struct {
			limit string
			ok    func(int) bool
		}{
			{f.minIn, func(c int) bool { return c >= 0 }}, {f.minEx, func(c int) bool { return c > 0 }},
			{f.maxIn, func(c int) bool { return c <= 0 }}, {f.maxEx, func(c int) bool { return c < 0 }},
		} {
			if l := rat(b.limit); l != nil && !b.ok(x.Cmp(l)) {
				return false
			}
		}
		return true
	}
	if fine(x) {
		return v
	}
	if fine(new(big.Rat)) && name != "positiveInteger" && name != "negativeInteger" {
		return "0"
	}
	one := big.NewRat(1, 1)
	small := big.NewRat(1, 10)
	if whole {
		small = one
	}
	for _, c := range []struct {
		s string
		d *big.Rat
	}{{f.minIn, nil}, {f.maxIn, nil}, {f.minEx, one}, {f.minEx, small}, {f.maxEx, new(big.Rat).Neg(one)}, {f.maxEx, new(big.Rat).Neg(small)}} {
		l := rat(c.s)
		if l == nil {
			continue
		}
		if c.d == nil {
			if fine(l) {
				return c.s
			}
			continue
		}
		if l = new(big.Rat).Add(l, c.d); fine(l) {
			digits := 1
			if l.IsInt() {
				digits = 0
			}
			return l.FloatString(max(digits, fraction(c.s)))
		}
	}
	return v
}

func fraction(s string) int {
	if _, f, ok := strings.Cut(s, "."); ok {
		return len(f)
	}
	return 0
}
