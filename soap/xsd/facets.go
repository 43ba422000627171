package xsd

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// Facets restrict the values of a simple type (4.3). Generated code holds them;
// set the fields before the first call of Check. After that it is safe for
// concurrent use.
type Facets struct {
	Base  string  // local name of the built-in type: "token"
	Rules []Facet // all of which hold
	Enum  []string

	Item    *Facets   // of a list: Rules and Enum are about the list
	Members []*Facets // of a union: one of which holds

	once   sync.Once
	checks []func(string) error
	err    error
}

// Facet is one restriction, with the name it has in a schema.
type Facet struct{ Name, Value string }

// AnyText reports whether every text is a value of a built-in type.
func AnyText(base string) bool { return lexicals[base] == nil }

// Compile returns an error if the facets cannot be checked: a pattern that is
// none, a bound that is no value, a facet that does not fit the type.
func (f *Facets) Compile() error {
	f.once.Do(func() { f.err = f.compile() })
	if f.err != nil {
		return f.err
	}
	if f.Item != nil {
		if err := f.Item.Compile(); err != nil {
			return err
		}
	}
	for _, m := range f.Members {
		if err := m.Compile(); err != nil {
			return err
		}
	}
	return nil
}

// Check returns what is wrong with the lexical form of a value, or nil. The
// error is fit for a peer: it does not hold the value.
func (f *Facets) Check(s string) error {
	if err := f.Compile(); err != nil {
		return err
	}
	for _, check := range f.checks {
		if err := check(s); err != nil {
			return err
		}
	}
	return nil
}

var errNotMember = errors.New("not a value of any of the types allowed")

func (f *Facets) compile() error {
	space := whiteSpaceOf(f.Base)
	for _, r := range f.Rules {
		if r.Name == "whiteSpace" {
			space = r.Value
			break // the nearest
		}
	}
	normalize := normalizer(space)
	add := func(check func(string) error) {
		f.checks = append(f.checks, func(s string) error { return check(normalize(s)) })
	}
	switch {
	case f.Item != nil:
		normalize = Collapse
		add(func(s string) error {
			for _, item := range fields(s) {
				if err := f.Item.Check(item); err != nil {
					return err
				}
			}
			return nil
		})
	case len(f.Members) > 0:
		normalize = func(s string) string { return s }
		add(func(s string) error {
			for _, m := range f.Members {
				if m.Check(s) == nil {
					return nil
				}
			}
			return errNotMember
		})
	default:
		if parse := lexicals[f.Base]; parse != nil {
			base := f.Base
			add(func(s string) error {
				if parse(s) != nil {
					return errors.New("not an xs:" + base)
				}
				return nil
			})
		}
	}
	// Lengths before patterns: they bound what a pattern costs.
	rules := slices.Clone(f.Rules)
	slices.SortStableFunc(rules, func(a, b Facet) int { return cmp.Compare(rank(a), rank(b)) })
	for _, r := range rules {
		check, err := f.rule(r)
		if err != nil {
			return err
		}
		if check != nil {
			add(check)
		}
	}
	if len(f.Enum) > 0 {
		add(f.enumeration())
	}
	return nil
}

func rank(r Facet) int {
	if r.Name == "pattern" {
		return 1
	}
	return 0
}

func whiteSpaceOf(base string) string {
	switch base {
	case "string", "anySimpleType", "anyAtomicType", "":
		return "preserve"
	case "normalizedString":
		return "replace"
	}
	return "collapse"
}

func normalizer(space string) func(string) string {
	switch space {
	case "collapse":
		return Collapse
	case "replace":
		return func(s string) string { s, _ = ParseNormalizedString(s); return s } // never fails
	}
	return func(s string) string { return s }
}

// rule makes the check of one facet.
func (f *Facets) rule(r Facet) (func(string) error, error) {
	bad := func() error { return fmt.Errorf("xsd: %s of %q for xs:%s cannot be checked", r.Name, r.Value, f.Base) }
	must := func(ok bool, text string) error {
		if ok {
			return nil
		}
		return errors.New(text)
	}
	switch r.Name {
	case "whiteSpace":
		return nil, nil
	case "pattern":
		p, err := CompilePattern(r.Value)
		if err != nil {
			return nil, err
		}
		text := "does not match the pattern " + shorten(r.Value)
		return func(s string) error { return must(p.Match(s), text) }, nil
	case "length", "minLength", "maxLength", "totalDigits", "fractionDigits":
		n, err := strconv.Atoi(trim(r.Value))
		if err != nil || n < 0 {
			return nil, bad()
		}
		return f.counted(r.Name, n, must), nil
	case "minInclusive", "minExclusive", "maxInclusive", "maxExclusive":
		compare := orders[f.Base]
		if compare == nil || f.Item != nil || len(f.Members) > 0 {
			return nil, bad()
		}
		if _, ok := compare(r.Value, r.Value); !ok {
			return nil, bad()
		}
		fits, text := bound(r)
		return func(s string) error {
			c, ok := compare(s, r.Value)
			return must(!ok || fits(c), text) // values that cannot be compared are let through
		}, nil
	}
	return nil, bad()
}

func shorten(s string) string {
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + "..."
	}
	return s
}

func bound(r Facet) (fits func(int) bool, text string) {
	v := shorten(trim(r.Value))
	switch r.Name {
	case "minInclusive":
		return func(c int) bool { return c >= 0 }, "less than " + v
	case "minExclusive":
		return func(c int) bool { return c > 0 }, "not more than " + v
	case "maxInclusive":
		return func(c int) bool { return c <= 0 }, "more than " + v
	}
	return func(c int) bool { return c < 0 }, "not less than " + v
}

// counted makes the checks of what is counted: characters, bytes, items,
// digits. 4.3.1 to 4.3.3, 4.3.11, 4.3.12.
func (f *Facets) counted(name string, n int, must func(bool, string) error) func(string) error {
	unit := strconv.Itoa(n)
	count := f.length()
	switch name {
	case "length":
		return func(s string) error { c := count(s); return must(c < 0 || c == n, "not of length "+unit) }
	case "minLength":
		return func(s string) error { c := count(s); return must(c < 0 || c >= n, "shorter than "+unit) }
	case "maxLength":
		return func(s string) error { return must(count(s) <= n, "longer than "+unit) }
	case "totalDigits":
		return func(s string) error { t, _ := digitsOf(s); return must(t <= n, "more than "+unit+" digits") }
	}
	return func(s string) error {
		_, d := digitsOf(s)
		return must(d <= n, "more than "+unit+" digits behind the point")
	}
}

// length returns the function that counts what the length of the type is in. It
// returns -1 for what has no length.
func (f *Facets) length() func(string) int {
	switch {
	case f.Item != nil:
		return func(s string) int { return len(fields(s)) }
	case f.Base == "hexBinary":
		return func(s string) int { return len(s) / 2 }
	case f.Base == "base64Binary":
		return func(s string) int {
			b, err := ParseBase64(s)
			if err != nil {
				return base64.StdEncoding.DecodedLen(len(s))
			}
			return len(b)
		}
	case f.Base == "QName", f.Base == "NOTATION":
		return func(string) int { return -1 } // 4.3.1: means nothing for them
	}
	return utf8.RuneCountInString
}

// digitsOf counts the digits of a decimal, in all and behind the point, without
// zeros that mean nothing.
func digitsOf(s string) (total, fraction int) {
	_, whole, frac := splitDecimal(trim(s))
	return max(len(whole)+len(frac), 1), len(frac)
}

var errNotListed = errors.New("not one of the values allowed")

// enumeration compares values where it can, and else their text. 4.3.5.
func (f *Facets) enumeration() func(string) error {
	compare := orders[f.Base]
	if f.Item != nil || len(f.Members) > 0 {
		compare = nil
	}
	return func(s string) error {
		for _, e := range f.Enum {
			if s == e || f.Base != "string" && s == Collapse(e) {
				return nil
			}
			if compare != nil {
				if c, ok := compare(s, e); ok && c == 0 {
					return nil
				}
			}
		}
		return errNotListed
	}
}
