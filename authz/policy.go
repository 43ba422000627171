package authz

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// A Request is one thing that somebody wants to do.
type Request struct {
	Identity *authn.Identity // nil for an anonymous caller
	Client   netip.Addr      // of the client, as proxies that are trusted tell it
	Host     string
	Method   string
	Path     string // as CleanPath returns it

	// Operation is the SOAP operation in Clark notation, as
	// soap.Operation.String returns it. Empty: it is none, or not known yet.
	Operation string
}

// An Element is a part of the configuration for which settings can be made: a
// gateway, a service, an operation or a path. What it does not set, it inherits
// from the one that it is in.
type Element struct {
	Name   string // for explanations: "gateway", "service hr"
	Source string // where it is written: "gw.yaml:31"

	// Match says which requests are the element's, of those that are of the
	// element around it. That of the root is not looked at.
	Match Match

	// Networks are those from which clients may come; others get 403 before
	// anybody asks them to log in. Nil inherits, and at the root allows all. An
	// empty list allows none.
	Networks []netip.Prefix

	// NetworksSource is where Networks is written.
	NetworksSource string

	// Allow are rules in the order in which they are tried. The first one that
	// matches the request decides: the caller has one of its roles, or is
	// refused. If none matches, everybody is refused. Nil inherits; where no
	// element has any, everybody who logged in is let in. An empty list refuses
	// everybody. A list takes the place of an inherited one.
	Allow []Rule

	// AllowSource is where Allow is written.
	AllowSource string

	// Settings are all other ones, such as the methods to log in, by name. The
	// Policy only inherits and explains them.
	Settings map[string]Setting

	// Elements are those within this one, in the order in which they are tried:
	// the first that matches a request is it.
	Elements []*Element
}

// A Setting is a value whose meaning is another package's.
type Setting struct {
	Value  any    // printed with fmt in the text of an explanation, with encoding/json in its JSON
	Source string // where it is written
}

// A Rule lets some callers do something.
type Rule struct {
	Match  Match
	Roles  []string // of which one is needed: roles, groups, Any, Anonymous
	Source string   // where it is written
}

// A Policy decides about requests. Make one with NewPolicy. It is safe for
// concurrent use and does not change.
type Policy struct {
	roles *Roles
	root  *node
}

// PolicyConfig is what a Policy is made of. It keeps the elements, which must not
// change afterwards.
type PolicyConfig struct {
	Root  *Element
	Roles *Roles // nil: none but the built-in ones

	// FoldPaths compares paths without regard to case, as IIS and others on
	// Windows do. It must be set if what is behind does so, or a path in another
	// spelling escapes the rules of its element.
	FoldPaths bool
}

// node is an Element with what it inherited.
type node struct {
	element  *Element
	match    matcher
	networks inherited[[]netip.Prefix]
	rules    inherited[[]rule]
	settings map[string]inherited[any]
	children []*node

	childIndex, ruleIndex *index
}

// inherited is a value and the element that set it, nil if none did.
type inherited[V any] struct {
	value  V
	source string
	from   *Element
}

// rule is a Rule, made ready.
type rule struct {
	*Rule
	match          matcher
	roles          []int32
	any, anonymous bool
}

// NewPolicy makes a Policy. A rule that names a role which does not exist is an
// error, and so is a pattern that no request can match. The error names each
// mistake, with its place.
func NewPolicy(c PolicyConfig) (*Policy, error) {
	if c.Root == nil {
		return nil, errors.New("authz: a policy needs an element")
	}
	rs := c.Roles
	if rs == nil {
		var err error
		if rs, err = NewRoles(Config{}); err != nil {
			return nil, err
		}
	}
	groups := map[string]string{}
	errs := collectGroups(c.Root, rs, groups)
	if len(errs) > 0 {
		return nil, fmt.Errorf("authz: %w", errors.Join(errs...))
	}
	rs, err := rs.with(groups)
	if err != nil {
		return nil, err
	}
	p := &Policy{roles: rs}
	if p.root, errs = p.build(c.Root, nil, c.FoldPaths); len(errs) > 0 {
		return nil, fmt.Errorf("authz: %w", errors.Join(errs...))
	}
	return p, nil
}

// Roles returns the roles that the policy asks: those it was made with, and the
// groups that its rules name.
func (p *Policy) Roles() *Roles { return p.roles }

// collectGroups finds the groups that rules name in place of roles.
func collectGroups(e *Element, rs *Roles, groups map[string]string) (errs []error) {
	for _, r := range e.Allow {
		for _, name := range r.Roles {
			if _, ok := rs.find(name); ok || directory.FoldName(name) == Any || directory.FoldName(name) == Anonymous {
				continue
			}
			if parseGroup(name).kind == plainRef {
				errs = append(errs, at(r.Source, fmt.Errorf("there is no role %q%s", name, suggest(name, append(rs.Names(), Any, Anonymous)))))
				continue
			}
			groups[name] = r.Source
		}
	}
	for _, child := range e.Elements {
		errs = append(errs, collectGroups(child, rs, groups)...)
	}
	return errs
}

// build makes a node and those below it. parent is nil at the root.
func (p *Policy) build(e *Element, parent *node, foldPaths bool) (*node, []error) {
	n := &node{element: e, settings: map[string]inherited[any]{}}
	var errs []error
	if parent != nil {
		n.networks, n.rules = parent.networks, parent.rules
		for name, s := range parent.settings {
			n.settings[name] = s
		}
		var err error
		if n.match, err = e.Match.compile(foldPaths); err != nil {
			errs = append(errs, at(e.Source, err))
		}
	}
	if e.Networks != nil {
		n.networks = inherited[[]netip.Prefix]{e.Networks, e.NetworksSource, e}
		for _, net := range e.Networks {
			if !net.IsValid() || net.Masked() != net || net.Addr().Is4In6() {
				errs = append(errs, at(e.NetworksSource, fmt.Errorf("%v is not a network, such as 10.0.0.0/8", net)))
			}
		}
	}
	for name, s := range e.Settings {
		n.settings[name] = inherited[any]{s.Value, s.Source, e}
	}
	if e.Allow != nil {
		n.rules = inherited[[]rule]{make([]rule, 0, len(e.Allow)), e.AllowSource, e}
		for i := range e.Allow {
			r, err := p.compileRule(&e.Allow[i], foldPaths)
			if err != nil {
				errs = append(errs, at(e.Allow[i].Source, err))
			}
			n.rules.value = append(n.rules.value, r)
		}
	}
	for _, child := range e.Elements {
		c, childErrs := p.build(child, n, foldPaths)
		errs = append(errs, childErrs...)
		n.children = append(n.children, c)
	}
	return n.indexed(), errs
}

func (p *Policy) compileRule(r *Rule, foldPaths bool) (rule, error) {
	m, err := r.Match.compile(foldPaths)
	c := rule{Rule: r, match: m}
	if len(r.Roles) == 0 && err == nil {
		err = fmt.Errorf("a rule for %s names no role: write %q for everybody who logs in", r.Match, Any)
	}
	for _, name := range r.Roles {
		i, ok := p.roles.find(name)
		if !ok {
			i, ok = p.roles.find(groupRole(parseGroup(name)))
		}
		switch {
		case ok:
			c.roles = append(c.roles, i)
		case directory.FoldName(name) == Any:
			c.any = true
		case directory.FoldName(name) == Anonymous:
			c.anonymous = true
		}
	}
	return c, err
}

// find returns the element of a request.
func (p *Policy) find(r *Request) *node {
	n := p.root
	for c := n.child(r); c != nil; c = n.child(r) {
		n = c
	}
	return n
}

// Setting returns the value of a setting for a request, nil if no element around
// it has one. The identity is not looked at.
func (p *Policy) Setting(r *Request, name string) any { return p.find(r).settings[name].value }

// A DeniedError is why a caller may not do something, for the log: the caller is
// told only that it is so.
type DeniedError struct {
	Caller    string // as Identity.String returns it
	Client    netip.Addr
	Method    string
	Path      string
	Operation string
	Element   string // where the decision was made
	Rule      string // what decided
	Source    string // where that is written; may be empty
}

func (e *DeniedError) Error() string {
	what := e.Operation
	if what == "" {
		what = strings.TrimSpace(e.Method + " " + e.Path)
	}
	s := fmt.Sprintf("authz: %s may not call %s: %s", e.Caller, what, e.Rule)
	if e.Source != "" {
		s += " (" + e.Source + ")"
	}
	return s
}

// LogValue implements slog.LogValuer.
func (e *DeniedError) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("user", e.Caller), slog.String("peer", address(e.Client)), slog.String("op", e.Operation),
		slog.String("element", e.Element), slog.String("rule", e.Rule), slog.String("source", e.Source))
}

// Denied reports that it is a decision, for soapserver.Authorize.
func (e *DeniedError) Denied() bool { return true }

// Decide returns nil if the request is allowed, a *DeniedError if not, and an
// error wrapping authn.ErrUnavailable if nobody could say.
func (p *Policy) Decide(ctx context.Context, r *Request) error {
	n := p.find(r)
	if !n.admits(r) {
		return n.deniedNetwork(r)
	}
	return p.decideRules(ctx, n, r)
}

// Admit is the part of Decide that needs no login: whether the client's network
// may use the element.
func (p *Policy) Admit(r *Request) error {
	if n := p.find(r); !n.admits(r) {
		return n.deniedNetwork(r)
	}
	return nil
}

// AllowsAnonymous reports whether an anonymous caller may do something. If the
// operation is not known, it must be so for all that the rules of the element
// may be about.
func (p *Policy) AllowsAnonymous(r *Request) bool {
	n := p.find(r)
	if !n.admits(r) || n.rules.from == nil {
		return false
	}
	for i := range n.rules.value {
		rule := &n.rules.value[i]
		switch differs := rule.match.why(r); {
		case differs == "":
			return rule.anonymous
		case differs == "operation" && r.Operation == "" && !rule.anonymous:
			return false
		}
	}
	return false
}

func (n *node) admits(r *Request) bool {
	if n.networks.from == nil {
		return true
	}
	a := r.Client.Unmap().WithZone("")
	for _, net := range n.networks.value {
		if net.Contains(a) {
			return true
		}
	}
	return false
}

func (p *Policy) decideRules(ctx context.Context, n *node, r *Request) error {
	id := known(r.Identity)
	if n.rules.from == nil {
		if id == nil {
			return n.denied(r, loginNeeded, "")
		}
		return nil
	}
	rule := n.rule(r)
	if rule == nil {
		return n.denied(r, noRule, n.rules.source)
	}
	ok, err := p.satisfies(ctx, id, rule)
	if err != nil {
		return err
	}
	if !ok {
		return n.denied(r, rule.needs(), rule.Source)
	}
	return nil
}

// What decides where no rule does.
const (
	noRule      = "no rule matches, and what no rule allows is refused"
	loginNeeded = "no rule is set: everybody who logs in is let in, and nobody else"
)

// satisfies reports whether a caller has one of a rule's roles.
func (p *Policy) satisfies(ctx context.Context, id *authn.Identity, r *rule) (bool, error) {
	if r.anonymous || r.any && id != nil {
		return true, nil
	}
	var failed error
	for _, i := range r.roles {
		ok, err := p.roles.has(ctx, id, i)
		if ok {
			return true, nil
		}
		if err != nil {
			failed = err
		}
	}
	return false, failed
}

func (r *rule) needs() string {
	if len(r.Roles) == 1 {
		return fmt.Sprintf("the rule for %s needs the role %s", r.Match, r.Roles[0])
	}
	return fmt.Sprintf("the rule for %s needs one of the roles %s", r.Match, strings.Join(r.Roles, ", "))
}

func (n *node) denied(r *Request, rule, source string) *DeniedError {
	return &DeniedError{
		Caller: r.Identity.String(), Client: r.Client, Method: r.Method, Path: r.Path, Operation: r.Operation,
		Element: n.element.Name, Rule: rule, Source: source,
	}
}

func (n *node) deniedNetwork(r *Request) *DeniedError {
	return n.denied(r, fmt.Sprintf("the client %s is not in %s", address(r.Client), networks(n.networks.value)), n.networks.source)
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return "of unknown address"
	}
	return a.String()
}

func networks(ns []netip.Prefix) string {
	if len(ns) == 0 {
		return "any network, since none is listed"
	}
	var s []string
	for _, n := range ns {
		s = append(s, n.String())
	}
	return strings.Join(s, ", ")
}

// StatusOf returns the HTTP status for an error of Decide or of a Guard.
func StatusOf(err error) int {
	var denied *DeniedError
	var path *PathError
	switch {
	case errors.As(err, &denied):
		return http.StatusForbidden
	case errors.As(err, &path), errors.Is(err, ErrMethod):
		return http.StatusBadRequest
	}
	return http.StatusServiceUnavailable
}
