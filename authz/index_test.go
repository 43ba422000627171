package authz

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// The index answers as the matchers in their order do.
func TestIndex(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	operations := []string{"", "{urn:a}Pay", "{urn:a}Get", "{urn:b}Pay", "{}Pay", "Pay", "{urn:a}Pay*", "{*}Pay", "*", "Get"}
	paths := []string{"", "", "", "/a/", "/a/b"}
	for range 300 {
		n := few + random.IntN(20)
		var matches []Match
		var compiled []matcher
		for range n {
			m := Match{Operation: operations[random.IntN(len(operations))], Path: paths[random.IntN(len(paths))]}
			c, err := m.compile(false)
			if err != nil {
				t.Fatal(err)
			}
			matches, compiled = append(matches, m), append(compiled, c)
		}
		at := func(i int) *matcher { return &compiled[i] }
		x := newIndex(n, func(i int) (*matcher, Match) { return &compiled[i], matches[i] })
		for _, op := range append(operations, "{urn:a}Payment", "{urn:c}Pay") {
			for _, path := range []string{"/", "/a/b", "/a/c"} {
				r := &Request{Operation: op, Path: path}
				if got, want := x.first(r, n, at), (*index)(nil).first(r, n, at); got != want {
					t.Fatalf("%v: %+v: got %d, want %d", matches, r, got, want)
				}
			}
		}
	}
}

func BenchmarkDecideOperations(b *testing.B) {
	var rules []Rule
	for i := range 200 {
		rules = append(rules, Rule{Match: Match{Operation: fmt.Sprintf("{urn:hr}Operation%d", i)}, Roles: []string{Anonymous}})
	}
	p, err := NewPolicy(PolicyConfig{Root: &Element{Allow: rules}})
	if err != nil {
		b.Fatal(err)
	}
	r := &Request{Path: "/", Operation: "{urn:hr}Operation199"}
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Decide(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}
