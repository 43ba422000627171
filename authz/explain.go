package authz

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Result is how an Explanation ends.
type Result string

// Results of an Explanation.
const (
	Allowed Result = "allowed"
	Denied  Result = "denied"
	Unknown Result = "unknown"           // nobody could say
	Depends Result = "depends on caller" // the caller was not given
)

// An Explanation says which policy is in force for a request, where each part of
// it is written, and how it decides. String prints it for people; the names in
// its JSON are stable.
type Explanation struct {
	Caller    string `json:"caller,omitempty"` // empty: not given
	Client    string `json:"client,omitempty"`
	Host      string `json:"host,omitempty"`
	Method    string `json:"method,omitempty"`
	Path      string `json:"path,omitempty"`
	Operation string `json:"operation,omitempty"`

	Elements []ExplainedElement `json:"elements"` // from the outermost to the one that decides
	Settings []ExplainedSetting `json:"settings"` // in order of their names; networks is one
	Rules    []ExplainedRule    `json:"rules"`    // up to the one that decides

	Result Result `json:"result"`
	Why    string `json:"why"`
	Source string `json:"source,omitempty"` // where what decided is written
}

// An ExplainedElement is one that the request belongs to.
type ExplainedElement struct {
	Name   string `json:"name"`
	Match  string `json:"match"`
	Source string `json:"source,omitempty"`
}

// An ExplainedSetting is the value in force.
type ExplainedSetting struct {
	Name      string `json:"name"`
	Value     any    `json:"value"`
	Element   string `json:"element,omitempty"` // that set it
	Inherited bool   `json:"inherited"`         // it is not the innermost one
	Source    string `json:"source,omitempty"`
}

// An ExplainedRule is one that was tried.
type ExplainedRule struct {
	Match   string   `json:"match"`
	Roles   []string `json:"roles"`
	Source  string   `json:"source,omitempty"`
	Decides bool     `json:"decides"`
	Differs string   `json:"differs,omitempty"` // what keeps it from deciding: operation, path, method, host
}

// Explain tells how Decide decides. Without anyCaller it is for the identity of
// r, and nil is an anonymous caller; with it the identity is not looked at, nor
// is a client whose address is not given.
func (p *Policy) Explain(ctx context.Context, r *Request, anyCaller bool) *Explanation {
	e := &Explanation{Host: r.Host, Method: r.Method, Path: r.Path, Operation: r.Operation, Rules: []ExplainedRule{}}
	if !anyCaller {
		e.Caller = r.Identity.String()
	}
	if r.Client.IsValid() {
		e.Client = r.Client.String()
	}
	n := p.root
	e.Elements = []ExplainedElement{explainElement(n)}
descend:
	for _, c := range n.children {
		if c.match.why(r) == "" {
			n = c
			e.Elements = append(e.Elements, explainElement(c))
			goto descend
		}
	}
	e.explainSettings(n)
	if (r.Client.IsValid() || !anyCaller) && !n.admits(r) {
		d := n.deniedNetwork(r)
		e.Result, e.Why, e.Source = Denied, d.Rule, d.Source
		return e
	}
	for i := range n.rules.value {
		rule := &n.rules.value[i]
		differs := rule.match.why(r)
		e.Rules = append(e.Rules, ExplainedRule{
			Match: rule.Match.String(), Roles: rule.Roles, Source: rule.Source, Decides: differs == "", Differs: differs,
		})
		if differs == "" {
			e.decideByRule(ctx, p, r, rule, anyCaller)
			return e
		}
	}
	e.decideWithoutRule(n, r, anyCaller)
	return e
}

func explainElement(n *node) ExplainedElement {
	return ExplainedElement{Name: n.element.Name, Match: n.element.Match.String(), Source: n.element.Source}
}

func (e *Explanation) explainSettings(n *node) {
	e.Settings = []ExplainedSetting{}
	add := func(name string, value any, source string, from *Element) {
		e.Settings = append(e.Settings, ExplainedSetting{
			Name: name, Value: value, Element: from.Name, Inherited: from != n.element, Source: cmp.Or(source, from.Source),
		})
	}
	for _, name := range slices.Sorted(maps.Keys(n.settings)) {
		s := n.settings[name]
		add(name, s.value, s.source, s.from)
	}
	if n.networks.from != nil {
		add("networks", n.networks.value, n.networks.source, n.networks.from)
	}
}

func (e *Explanation) decideByRule(ctx context.Context, p *Policy, r *Request, rule *rule, anyCaller bool) {
	e.Source = rule.Source
	switch {
	case rule.anonymous:
		e.Result, e.Why = Allowed, "the rule lets everybody in"
		return
	case anyCaller:
		e.Result, e.Why = Depends, rule.needs()
		return
	}
	id := known(r.Identity)
	if rule.any && id != nil {
		e.Result, e.Why = Allowed, "the rule lets everybody in who logged in"
		return
	}
	var failed error
	for _, i := range rule.roles {
		switch ok, err := p.roles.has(ctx, id, i); {
		case ok:
			e.Result, e.Why = Allowed, "the caller has the role "+p.roles.names[i]
			return
		case err != nil:
			failed = err
		}
	}
	if failed != nil {
		e.Result, e.Why = Unknown, failed.Error()
		return
	}
	e.Result, e.Why = Denied, rule.needs()
}

func (e *Explanation) decideWithoutRule(n *node, r *Request, anyCaller bool) {
	switch {
	case n.rules.from != nil:
		e.Result, e.Why, e.Source = Denied, noRule, n.rules.source
	case anyCaller:
		e.Result, e.Why = Depends, "no rule is set: everybody who logs in is let in"
	case known(r.Identity) == nil:
		e.Result, e.Why = Denied, loginNeeded
	default:
		e.Result, e.Why = Allowed, "no rule is set: everybody who logs in is let in"
	}
}

// String returns the explanation as text of several lines.
func (e *Explanation) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(cells ...string) { fmt.Fprintln(w, strings.Join(cells, "\t")) }
	what := strings.TrimSpace(e.Method + " " + e.Host + e.Path)
	if e.Operation != "" {
		what = strings.TrimSpace(what + " " + e.Operation)
	}
	line("request", printable(what))
	line("caller", printable(cmp.Or(e.Caller, "any")+fromClient(e.Client)))
	for i, el := range e.Elements {
		name := "element"
		if i > 0 {
			name = "in it"
		}
		what := el.Name
		if el.Match != el.Name { // that of a path is its path
			what += ": " + el.Match
		}
		line(name, printable(what), el.Source)
	}
	for _, s := range e.Settings {
		from := s.Source
		if s.Inherited {
			from = strings.TrimSpace(from + " (inherited from " + s.Element + ")")
		}
		line(s.Name, printable(strings.Trim(fmt.Sprint(s.Value), "[]")), from)
	}
	for i, r := range e.Rules {
		state := "decides"
		if !r.Decides {
			state = "not this " + r.Differs
		}
		line(fmt.Sprintf("rule %d", i+1), printable(r.Match+": "+strings.Join(r.Roles, ", ")), strings.TrimSpace(r.Source+" "+state))
	}
	line("result", string(e.Result)+": "+printable(e.Why), e.Source)
	_ = w.Flush() // a strings.Builder takes everything
	return trimLines(b.String())
}

func fromClient(client string) string {
	if client == "" {
		return ""
	}
	return " from " + client
}

// printable keeps what a caller chose from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || 0x7f <= r && r < 0xa0 || 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 {
			return '?'
		}
		return r
	}, s)
}

func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// ExplainPath is what an explanation says of a path that is refused before any
// policy is asked.
func ExplainPath(r *Request, err error) *Explanation {
	var p *PathError
	why := err.Error()
	if errors.As(err, &p) {
		why = "the path is refused with 400: " + p.Why
	}
	return &Explanation{
		Host: r.Host, Method: r.Method, Path: r.Path, Operation: r.Operation,
		Elements: []ExplainedElement{}, Settings: []ExplainedSetting{}, Rules: []ExplainedRule{},
		Result: Denied, Why: why,
	}
}

// An ElementPolicy is what is in force at an element, inherited settings included,
// unless an element within it decides. Without rules everybody who logged in is let
// in.
type ElementPolicy struct {
	ExplainedElement
	Settings []ExplainedSetting
	Rules    []ExplainedRule // none of them decides: that depends on the request
}

// Elements lists what is in force at each element: the root first, then those in
// it, each followed by those that it has itself.
func (p *Policy) Elements() []ElementPolicy { return p.root.list(nil) }

func (n *node) list(all []ElementPolicy) []ElementPolicy {
	var e Explanation
	e.explainSettings(n)
	one := ElementPolicy{ExplainedElement: explainElement(n), Settings: e.Settings, Rules: []ExplainedRule{}}
	for i := range n.rules.value {
		r := &n.rules.value[i]
		one.Rules = append(one.Rules, ExplainedRule{Match: r.Rule.Match.String(), Roles: r.Roles, Source: r.Source})
	}
	all = append(all, one)
	for _, c := range n.children {
		all = c.list(all)
	}
	return all
}
