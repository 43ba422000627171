package authz

import (
	"fmt"
	"testing"

	"github.com/soapward/soapward/authn"
)

// large is a policy with 1,000 roles, half of them by name, and a caller who has
// 200 groups.
func large(tb testing.TB) (*Policy, func() *authn.Identity) {
	tb.Helper()
	roles := map[string]Role{}
	for i := range 1000 {
		r := Role{Groups: []string{fmt.Sprintf("S-1-5-21-1-2-3-%d", 10000+i)}}
		if i%2 == 1 {
			r = Role{Groups: []string{fmt.Sprintf(`CORP\Group %d`, i)}}
		}
		roles[fmt.Sprintf("role %d", i)] = r
	}
	rs, err := NewRoles(Config{Roles: roles})
	if err != nil {
		tb.Fatal(err)
	}
	var rules []Rule
	for i := range 50 {
		rules = append(rules, Rule{Match: Match{Path: fmt.Sprintf("/part%d/*/x/", i)}, Roles: []string{"role 999", fmt.Sprintf("role %d", i)}})
	}
	p, err := NewPolicy(PolicyConfig{Roles: rs, Root: &Element{Elements: []*Element{{Match: Match{Host: "gw", Path: "/"}, Allow: rules}}}})
	if err != nil {
		tb.Fatal(err)
	}
	return p, func() *authn.Identity {
		id := &authn.Identity{Account: "alice", Domain: "CORP", SID: "S-1-5-21-1-2-3-1104"}
		for i := range 200 {
			id.Groups = append(id.Groups, authn.Group{SID: authn.SID(fmt.Sprintf("S-1-5-21-1-2-3-%d", 10000+i)), Name: fmt.Sprintf(`CORP\Group %d`, i)})
		}
		return id
	}
}

func BenchmarkDecide(b *testing.B) {
	p, caller := large(b)
	b.Run("known identity", func(b *testing.B) {
		r := &Request{Identity: caller(), Host: "gw:443", Method: "GET", Path: "/part49/7/x/y"}
		b.ReportAllocs()
		for b.Loop() {
			if err := p.Decide(b.Context(), r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("new identity", func(b *testing.B) {
		first := caller()
		b.ReportAllocs()
		for b.Loop() {
			id := *first
			if err := p.Decide(b.Context(), &Request{Identity: &id, Host: "gw:443", Method: "GET", Path: "/part49/7/x/y"}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A decision about a caller who was seen before allocates nothing.
func TestDecideAllocates(t *testing.T) {
	p, caller := large(t)
	r := &Request{Identity: caller(), Host: "gw:443", Method: "GET", Path: "/part49/7/x/y"}
	if err := p.Decide(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = p.Decide(t.Context(), r) }); n != 0 {
		t.Errorf("%v allocations for a decision, want none", n)
	}
}
