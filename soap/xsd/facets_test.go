package xsd

import (
	"errors"
	"strings"
	"testing"
)

func TestFacets(t *testing.T) {
	t.Parallel()
	rules := func(nameValues ...string) (all []Facet) {
		for i := 0; i < len(nameValues); i += 2 {
			all = append(all, Facet{nameValues[i], nameValues[i+1]})
		}
		return all
	}
	size := &Facets{Base: "string", Enum: []string{"S", "M"}}
	percent := &Facets{Base: "int", Rules: rules("minInclusive", "0", "maxInclusive", "100")}
	tests := []struct {
		name string
		f    *Facets
		s    string
		want string // "" is valid
	}{
		{"length", &Facets{Base: "string", Rules: rules("length", "3")}, "äöü", ""},
		{"not the length", &Facets{Base: "string", Rules: rules("length", "3")}, "ab", "not of length 3"},
		{"long", &Facets{Base: "string", Rules: rules("maxLength", "2")}, "abc", "longer than 2"},
		{"nothing but empty", &Facets{Base: "string", Rules: rules("maxLength", "0")}, "a", "longer than 0"},
		{"short", &Facets{Base: "string", Rules: rules("minLength", "2")}, "ä", "shorter than 2"},
		{"space counts", &Facets{Base: "string", Rules: rules("maxLength", "1")}, "a ", "longer than 1"},
		{"space of a token does not", &Facets{Base: "token", Rules: rules("maxLength", "1")}, " a ", ""},
		{"whiteSpace", &Facets{Base: "string", Rules: rules("maxLength", "3", "whiteSpace", "collapse")}, " a  b ", ""},
		{"pattern", &Facets{Base: "string", Rules: rules("pattern", `\d+|x`, "pattern", ".{2}")}, "12", ""},
		{"one of two patterns", &Facets{Base: "string", Rules: rules("pattern", `\d+|x`, "pattern", ".{2}")}, "x", `does not match the pattern .{2}`},
		{"bytes", &Facets{Base: "base64Binary", Rules: rules("maxLength", "2")}, "YWI=", ""},
		{"many bytes", &Facets{Base: "base64Binary", Rules: rules("maxLength", "2")}, "YWJj", "longer than 2"},
		{"hex", &Facets{Base: "hexBinary", Rules: rules("length", "2")}, "00FF", ""},
		{"min", percent, "-1", "less than 0"},
		{"max", percent, "101", "more than 100"},
		{"between", percent, "+0100", ""},
		{"below", &Facets{Base: "decimal", Rules: rules("maxExclusive", "1.50")}, "1.5", "not less than 1.50"},
		{"just below", &Facets{Base: "decimal", Rules: rules("maxExclusive", "1.5")}, "1.4999999999999999999999999", ""},
		{"above", &Facets{Base: "decimal", Rules: rules("minExclusive", "-2")}, "-2.0", "not more than -2"},
		{"minus zero", &Facets{Base: "decimal", Rules: rules("minInclusive", "0")}, "-0.0", ""},
		{"digits", &Facets{Base: "decimal", Rules: rules("totalDigits", "3", "fractionDigits", "1")}, "0012.30", ""},
		{"many digits", &Facets{Base: "decimal", Rules: rules("totalDigits", "3")}, "12.34", "more than 3 digits"},
		{"behind the point", &Facets{Base: "decimal", Rules: rules("fractionDigits", "1")}, "12.34", "more than 1 digits behind the point"},
		{"double", &Facets{Base: "double", Rules: rules("maxInclusive", "1e3")}, "1001", "more than 1e3"},
		{"not a number", &Facets{Base: "double", Rules: rules("maxInclusive", "1e3")}, "NaN", ""},
		{"date", &Facets{Base: "date", Rules: rules("minInclusive", "2000-01-01")}, "1999-12-31", "less than 2000-01-01"},
		{"date with a zone", &Facets{Base: "date", Rules: rules("minInclusive", "2000-01-01")}, "1999-12-31Z", ""},
		{"duration", &Facets{Base: "duration", Rules: rules("maxInclusive", "P1D")}, "PT25H", "more than P1D"},
		{"a month or 30 days", &Facets{Base: "duration", Rules: rules("maxInclusive", "P30D")}, "P1M", ""},
		{"negative duration", &Facets{Base: "duration", Rules: rules("minInclusive", "PT0S")}, "-PT1S", "less than PT0S"},
		{"enumeration", size, "M", ""},
		{"not in it", size, "m", "not one of the values allowed"},
		{"by value", &Facets{Base: "decimal", Enum: []string{"1.0", "2"}}, "1", ""},
		{"list", &Facets{Item: size, Rules: rules("maxLength", "2")}, "S  M", ""},
		{"long list", &Facets{Item: size, Rules: rules("maxLength", "2")}, "S M S", "longer than 2"},
		{"item", &Facets{Item: size}, "S L", "not one of the values allowed"},
		{"union", &Facets{Members: []*Facets{percent, size}}, "S", ""},
		{"union, other member", &Facets{Members: []*Facets{percent, size}}, "7", ""},
		{"union, none", &Facets{Members: []*Facets{percent, size}}, "101", "not a value of any of the types allowed"},
		{"not an int", percent, "x", "not an xs:int"},
	}
	for _, tt := range tests {
		err := tt.f.Check(tt.s)
		if (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
			t.Errorf("%s: %q: %v, want %q", tt.name, tt.s, err, tt.want)
		}
	}
	for _, f := range []*Facets{
		{Base: "string", Rules: rules("pattern", "[")}, {Base: "string", Rules: rules("maxLength", "x")},
		{Base: "string", Rules: rules("minInclusive", "a")}, {Base: "int", Rules: rules("minInclusive", "a")},
		{Base: "int", Rules: rules("maxScale", "1")}, {Item: &Facets{Base: "string", Rules: rules("pattern", "[")}},
		{Members: []*Facets{{Base: "int", Rules: rules("minInclusive", "a")}}},
	} {
		if f.Compile() == nil || f.Check("1") == nil {
			t.Errorf("%+v is taken", f.Rules)
		}
	}
}

// A long value is compared digit by digit, not made a number of first.
func TestLongDecimal(t *testing.T) {
	t.Parallel()
	f := &Facets{Base: "decimal", Rules: []Facet{{"minInclusive", "0"}, {"totalDigits", "18"}}}
	if err := f.Check(strings.Repeat("9", 400)); err == nil || err.Error() != "more than 18 digits" {
		t.Errorf("got %v", err)
	}
}

func TestValidation(t *testing.T) {
	t.Parallel()
	sku := &Facets{Base: "string", Rules: []Facet{{"maxLength", "2"}}}
	lines := []string{"ab", "abc", "secret"}
	err := Validate("Order", func(v *Validation) {
		v.Text("ID", sku, "ab")
		CheckValue(v, "Count", &Facets{Base: "int", Rules: []Facet{{"maxInclusive", "5"}}}, AppendInt32, 6)
		v.Count("Lines", len(lines), 1, 2)
		for i, l := range lines {
			v.Enter("Lines", i)
			v.Text("Sku", sku, l)
			v.Leave()
		}
		v.Enter("Customer", -1)
		v.Require(false, "", "exactly one field must be set")
		v.Leave()
		v.Count("More", 0, 1, -1)
	})
	var e *InvalidError
	if !errors.As(err, &e) || err.Error() != "Order.Count: more than 5 (and 5 more)" || len(e.Problems) != 6 {
		t.Fatalf("got %v", err)
	}
	want := []string{"Order.Count: more than 5", "Order.Lines: more than 2 elements", "Order.Lines[1].Sku: longer than 2",
		"Order.Lines[2].Sku: longer than 2", "Order.Customer: exactly one field must be set", "Order.More: fewer than 1 elements"}
	for i, p := range e.Problems {
		if p.String() != want[i] {
			t.Errorf("got %s, want %s", p, want[i])
		}
	}
	if err := Validate("X", func(v *Validation) { v.Text("A", sku, "a") }); err != nil {
		t.Error(err)
	}
	err = Validate("X", func(v *Validation) {
		for range 1000 {
			v.Require(false, "A", "b")
		}
	})
	if !errors.As(err, &e) || len(e.Problems) != maxProblems {
		t.Errorf("%d problems", len(e.Problems))
	}
}
