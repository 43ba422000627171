package xsd

import (
	"errors"
	"strings"
	"testing"
)

func TestPattern(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern string
		yes, no []string
	}{
		{`[A-Z]{3}-\d+`, []string{"ABC-1", "ABC-٣"}, []string{"", "ABC-", "xABC-1", "ABC-1x", "ABC-1\n", "abc-1"}},
		{`a|b`, []string{"a", "b"}, []string{"", "ab", "a|b"}},
		{``, []string{""}, []string{"a"}},
		{`a|`, []string{"", "a"}, []string{"b"}},
		{`^a$`, []string{"^a$"}, []string{"a"}},
		{`.`, []string{"x", "ü", "\t"}, []string{"\n", "\r", "", "xy"}},
		{`\i\c*`, []string{"a", "_a-1.b", "ns:x", "é"}, []string{"1a", "-a", "", "a b"}},
		{`[\i-[:]][\c-[:]]*`, []string{"a", "_a-1"}, []string{"ns:x", ":", "1"}},
		{`[a-z-[aeiou]]+`, []string{"bcd", "z"}, []string{"a", "abc", "-"}},
		{`[^a-c-[x-z]]`, []string{"d", "1"}, []string{"a", "x", "y"}},
		{`[\w-[\d_-[5]]]`, []string{"a", "5"}, []string{"1", "_"}},
		{`[a\-z]+`, []string{"a-z"}, []string{"b"}},
		{`[-az]+`, []string{"-", "a-z"}, []string{"b"}},
		{`[az-]+`, []string{"-", "a-z"}, []string{"b"}},
		{`[.$^|?*+(){}]+`, []string{".$^|?*+(){}"}, []string{"a"}},
		{`[\]\[\\]+`, []string{`][\`}, []string{"a"}},
		{`\p{Lu}\P{Lu}`, []string{"Aa", "Ä1"}, []string{"aa", "AA"}},
		{`\p{IsBasicLatin}*`, []string{"abc ~", ""}, []string{"ü"}},
		{`[\p{IsGreek}\s]+`, []string{"α β"}, []string{"a"}},
		{`\S+\s\S+`, []string{"a b"}, []string{"a\u00a0b", "ab"}},
		{`\w+`, []string{"aB1ü", "a$"}, []string{"a b", "a-b", "."}},
		{`(ab){2,3}`, []string{"abab", "ababab"}, []string{"ab", "abababab"}},
		{`x{2}`, []string{"xx"}, []string{"x", "xxx"}},
		{`x{2,}`, []string{"xx", "xxxxxxxx"}, []string{"x"}},
		{`x{0}`, []string{""}, []string{"x"}},
		{`.{0,4000}`, []string{"", strings.Repeat("ü", 4000)}, []string{strings.Repeat("x", 4001)}},
		{`x{1500}`, []string{strings.Repeat("x", 1500)}, []string{strings.Repeat("x", 1499), strings.Repeat("x", 1501)}},
		{`(\d{1,3}\.){3}\d{1,3}`, []string{"127.0.0.1"}, []string{"127.0.0", "127,0,0,1"}},
		{`[\-+]?\d*\.?\d+`, []string{"-1.5", ".5"}, []string{"."}},
		{`https?:\/\/.+`, []string{"http://h"}, []string{"ftp://h"}},
		{`(?:a)`, nil, nil},
	} {
		p, err := CompilePattern(tt.pattern)
		if tt.yes == nil {
			if err == nil {
				t.Errorf("%s is taken", tt.pattern)
			}
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		for _, s := range tt.yes {
			if !p.Match(s) {
				t.Errorf("%s does not match %.40q", tt.pattern, s)
			}
		}
		for _, s := range tt.no {
			if p.Match(s) {
				t.Errorf("%s matches %.40q", tt.pattern, s)
			}
		}
	}
}

func TestPatternErrors(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		`(a`: "missing )", `a)`: "unexpected )", `[a`: "missing ]", `[]`: "an empty class", `a{`: "missing }", `a{x}`: "not a quantity",
		`a{3,2}`: "not a quantity", `*a`: "unexpected *", `a**`: "unexpected *", `\q`: `unknown escape \q`, `\`: `\ at the end`,
		`\p{Xx}`: "unknown category Xx", `\p{IsNowhere}`: "unknown block IsNowhere", `\p`: `\p without {...}`, `[z-a]`: "not a range",
		`[a-\d]`: "not a range", `[a-z-[b]c]`: "goes on behind", `[[a]]`: "unexpected [", `a{200000}`: "a quantity of more than 100000",
		`\1`: `unknown escape \1`, `\bword`: `unknown escape \b`, "\xff": "invalid UTF-8",
		strings.Repeat("(", 200): "nested too deeply", strings.Repeat("a", 20_000): "longer than 16384 bytes",
		`((a{1000}){1000}){1000}`: "too complex",
	} {
		_, err := CompilePattern(pattern)
		var pe *PatternError
		if !errors.As(err, &pe) || !strings.Contains(pe.Msg, want) || len(err.Error()) > 300 {
			t.Errorf("%.40q: got %v, want %s", pattern, err, want)
		}
	}
}

// A value longer than anything that can match costs nothing.
func TestPatternLongValue(t *testing.T) {
	t.Parallel()
	for pattern, longest := range map[string]int{
		`[a-z]{0,1000}`: 1000, `(ab|c){3}d?`: 7, `a*`: unbounded, `(a|b+)c`: unbounded, `(a{1000}){500}`: unbounded, ``: 0, `(a*){0}b`: 1,
	} {
		p, err := CompilePattern(pattern)
		if pattern == `(a{1000}){500}` {
			if err == nil {
				t.Errorf("%s is taken", pattern) // package regexp refuses it
			}
			continue
		}
		if err != nil || p.longest != longest {
			t.Errorf("%s: %v, %v, want %d", pattern, p, err, longest)
		}
	}
}

// A long quantity does not cost more than its length.
func TestPatternLongQuantity(t *testing.T) {
	t.Parallel()
	p, err := CompilePattern(`[a-z]{0,40000}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 999, 1000, 1001, 39_999, 40_000} {
		if !p.Match(strings.Repeat("x", n)) || p.Match(strings.Repeat("x", n)+"-") {
			t.Errorf("%d", n)
		}
	}
	if p.Match(strings.Repeat("x", 40_001)) {
		t.Error("one too many")
	}
}

func FuzzPattern(f *testing.F) {
	for _, s := range []string{`[A-Z]{3}-\d+`, `[\i-[:]][\c-[:]]*`, `\p{IsGreek}|\P{L}+`, `(a|b){2,}`, `[^-a\]]`} {
		f.Add(s, "ABC-1")
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		p, err := CompilePattern(pattern)
		if err == nil {
			p.Match(s)
		} else if !errors.As(err, new(*PatternError)) {
			t.Errorf("%v", err)
		}
	})
}
