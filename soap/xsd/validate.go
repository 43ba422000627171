package xsd

import (
	"strconv"
	"strings"
)

// InvalidError says where a value does not obey its schema. It never holds what
// the value is.
type InvalidError struct {
	Problems []Problem // at least one, at most 20
}

// Problem is one place of a value that does not obey its schema.
type Problem struct {
	Path string // such as Order.Lines[3].Sku
	Text string // such as "longer than 20"
}

func (p Problem) String() string { return p.Path + ": " + p.Text }

func (e *InvalidError) Error() string {
	var b strings.Builder
	b.WriteString(e.Problems[0].String())
	if n := len(e.Problems) - 1; n > 0 {
		b.WriteString(" (and " + strconv.Itoa(n) + " more)")
	}
	return b.String()
}

const maxProblems = 20

// Validation collects what is wrong with a value. Generated code calls it; most
// programs call the method Validate of a generated type instead. It is for one
// goroutine.
type Validation struct {
	path     []step
	problems []Problem
}

type step struct {
	name  string
	index int // -1 for none
}

// Validate runs check, and returns an *InvalidError if it found anything. name
// is what paths begin with.
func Validate(name string, check func(*Validation)) error {
	v := Validation{path: []step{{name, -1}}}
	check(&v)
	if len(v.problems) == 0 {
		return nil
	}
	return &InvalidError{v.problems}
}

// Enter goes into a field, or with an index that is not negative into an
// element of one, until Leave.
func (v *Validation) Enter(field string, index int) { v.path = append(v.path, step{field, index}) }

// Leave goes back to where Enter was called.
func (v *Validation) Leave() { v.path = v.path[:len(v.path)-1] }

// Require notes text unless ok. field may be empty: the place itself.
func (v *Validation) Require(ok bool, field, text string) {
	if ok || len(v.problems) == maxProblems {
		return
	}
	var b strings.Builder
	for i, s := range v.path {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.name)
		if s.index >= 0 {
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		}
	}
	if field != "" {
		b.WriteString("." + field)
	}
	v.problems = append(v.problems, Problem{b.String(), text})
}

// Count notes a number of elements outside of its bounds. A negative high is
// none.
func (v *Validation) Count(field string, n, low, high int) {
	v.Require(n >= low, field, "fewer than "+strconv.Itoa(low)+" elements")
	v.Require(high < 0 || n <= high, field, "more than "+strconv.Itoa(high)+" elements")
}

// Text checks the lexical form of a value.
func (v *Validation) Text(field string, f *Facets, s string) {
	if err := f.Check(s); err != nil {
		v.Require(false, field, err.Error())
	}
}

// CheckValue checks a value that app appends the lexical form of.
func CheckValue[T any](v *Validation, field string, f *Facets, app func([]byte, T) []byte, x T) {
	v.Text(field, f, string(app(nil, x)))
}
