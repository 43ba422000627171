package inbound

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/config"
)

// level is an element while a policy is made: its settings with what it inherits.
type level struct {
	logins
	rules []authz.Rule // of the element or one around it; nil: none
	open  bool         // the rules are those of login: [none]
}

// logins are the settings that say how callers log in, and no others.
type logins config.Settings

// inherit takes what own sets. It reports whether that was anything.
func (l *logins) inherit(own *config.Settings) (changed bool) {
	if len(own.Login) > 0 {
		l.Login, changed = own.Login, true
	}
	if own.ChannelBinding != "" {
		l.ChannelBinding, changed = own.ChannelBinding, true
	}
	if own.NotNegotiate != nil {
		l.NotNegotiate, changed = own.NotNegotiate, true
	}
	if own.Session != nil {
		l.Session, changed = own.Session, true
	}
	if own.ChannelBindingHash != nil {
		l.ChannelBindingHash, changed = own.ChannelBindingHash, true
	}
	if own.AllowForwarded != nil {
		l.AllowForwarded, changed = own.AllowForwarded, true
	}
	return changed
}

func (l *logins) anonymous() bool { return len(l.Login) == 1 && l.Login[0].Method == config.None }

// Names of settings in a policy.
const (
	settingLogin        = "login"
	settingBinding      = "channel_binding"
	settingNotNegotiate = "not_negotiate"
	settingSession      = "session"
	settingHashes       = "channel_binding_hash"
	settingForwarded    = "allow_forwarded"

	// settingChain is the login chain, which decides but is not explained.
	settingChain = "chain"
)

// builder makes the policy of one service.
type builder struct {
	c       *config.Config
	s       *config.Service       // nil for the gateway's own pages
	chain   func(l logins) *chain // nil to explain
	rules   bool                  // operations are named
	methods bool                  // so are methods
	early   bool                  // some log in differently
}

// newPolicy makes the policy of a service. Each has one of its own: the router
// knows already which it is, and whether paths are folded is the service's.
func newPolicy(c *config.Config, name string, s *config.Service, roles *authz.Roles, chain func(logins) *chain) (*authz.Policy, *builder, error) {
	b := &builder{c: c, s: s, chain: chain}
	root := &authz.Element{Name: "gateway", Source: c.Position(&c.Defaults)}
	top := level{}
	b.settle(root, &top, &c.Defaults, &c.Defaults.Login)
	fold := false
	if s != nil {
		fold = s.CaseInsensitivePaths
		e := &authz.Element{Name: serviceElement(name), Source: c.Position(s)}
		inner := top
		b.settle(e, &inner, &s.Settings, &s.Login)
		for i := range s.Elements {
			el := &s.Elements[i]
			child := &authz.Element{
				Name: "path " + el.Path, Source: c.Position(el),
				Match: authz.Match{Path: el.Path, Operation: el.Operation},
			}
			if el.Operation != "" {
				child.Name = "operation " + el.Operation
				b.rules = true
				b.early = new(logins).inherit(&el.Settings) || b.early
			}
			l := inner
			b.settle(child, &l, &el.Settings, &el.Login)
			e.Elements = append(e.Elements, child)
		}
		root.Elements = []*authz.Element{e}
	}
	p, err := authz.NewPolicy(authz.PolicyConfig{Root: root, Roles: roles, FoldPaths: fold})
	if err != nil {
		return nil, nil, fmt.Errorf("inbound: service %s: %w", name, err)
	}
	return p, b, nil
}

// settle gives an element its settings. l is what it inherits before, and what
// those in it inherit after. login is the address of the field, which says where
// it is written.
func (b *builder) settle(e *authz.Element, l *level, own *config.Settings, login *[]config.Login) {
	set := func(name string, value any, at any) {
		if e.Settings == nil {
			e.Settings = map[string]authz.Setting{}
		}
		e.Settings[name] = authz.Setting{Value: value, Source: cmp.Or(b.c.Position(at), e.Source)}
	}
	l.inherit(own)
	if len(own.Login) > 0 {
		set(settingLogin, own.Login, login)
	}
	if own.ChannelBinding != "" {
		set(settingBinding, own.ChannelBinding, &own.ChannelBinding)
	}
	if own.NotNegotiate != nil {
		set(settingNotNegotiate, clients(own.NotNegotiate), &own.NotNegotiate)
	}
	if own.Session != nil {
		set(settingSession, *own.Session, &own.Session)
	}
	if own.ChannelBindingHash != nil {
		set(settingHashes, len(own.ChannelBindingHash), &own.ChannelBindingHash)
	}
	if own.AllowForwarded != nil {
		set(settingForwarded, *own.AllowForwarded, &own.AllowForwarded)
	}
	if own.Networks != nil {
		e.Networks = prefixes(own.Networks)
		e.NetworksSource = b.c.Position(&own.Networks)
	}
	b.settleRules(e, l, own, login)
	if b.chain != nil && (b.s == nil || own != &b.c.Defaults) {
		set(settingChain, b.chain(l.logins), own)
	}
}

// settleRules gives an element its rules. One that lets everybody come without a
// login, and says nothing else, lets everybody in; and one in it that wants a
// login again does not inherit that.
func (b *builder) settleRules(e *authz.Element, l *level, own *config.Settings, login *[]config.Login) {
	switch {
	case len(own.Allow) > 0:
		for i := range own.Allow {
			e.Allow = append(e.Allow, b.convert(&own.Allow[i])...)
		}
		e.AllowSource = b.c.Position(&own.Allow)
		l.rules, l.open = e.Allow, false
	case len(own.Login) == 0:
	case l.anonymous():
		at := b.c.Position(login)
		e.Allow, e.AllowSource = []authz.Rule{{Roles: []string{authz.Anonymous}, Source: at}}, at
		l.open = true
	case l.open:
		at := b.c.Position(login)
		e.Allow, e.AllowSource = l.rules, at
		if l.rules == nil {
			e.Allow = []authz.Rule{{Roles: []string{authz.Any}, Source: at}}
		}
		l.open = false
	}
	if own == &b.c.Defaults && b.s != nil && len(b.s.Allow) > 0 {
		return // they are not in force
	}
	for i := range e.Allow {
		b.rules = b.rules || e.Allow[i].Match.Operation != ""
		b.methods = b.methods || e.Allow[i].Match.Method != ""
	}
}

// convert makes a rule for each method of one of the configuration.
func (b *builder) convert(r *config.Rule) (out []authz.Rule) {
	rule := authz.Rule{Match: authz.Match{Operation: r.Operation, Path: r.Path}, Roles: r.Roles, Source: b.c.Position(r)}
	if len(r.Methods) == 0 {
		return []authz.Rule{rule}
	}
	for _, method := range r.Methods {
		rule.Match.Method = method
		out = append(out, rule)
	}
	return out
}

func prefixes(networks []config.Network) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(networks))
	for _, n := range networks {
		out = append(out, n.Prefix)
	}
	return out
}

// clients prints who is not offered Negotiate.
func clients(c *config.Clients) string {
	var s []string
	for _, n := range c.Networks {
		s = append(s, n.String())
	}
	return strings.Join(append(s, c.UserAgents...), ", ")
}

// names returns the services in order.
func names(services map[string]*config.Service) []string { return slices.Sorted(maps.Keys(services)) }

// Roles are the roles of a caller, for backend.Options: those of the service's
// policy, and those that an operator granted to the user. Roles that nobody could
// find out are left out, and there is a warning. It is for contexts of requests
// that a Handler passes on.
func Roles(ctx context.Context, id *authn.Identity) []string {
	c := callOf(ctx)
	if c == nil {
		return id.Roles
	}
	names, err := c.service.policy.Roles().Of(ctx, id)
	if err != nil {
		c.service.logger.LogAttrs(ctx, slog.LevelWarn, "roles not known", slog.String("ref", authn.Ref(ctx)), slog.Any("user", id), slog.String("cause", err.Error()))
	}
	for _, granted := range id.Roles {
		if !slices.Contains(names, granted) {
			names = append(names, granted)
		}
	}
	return names
}
