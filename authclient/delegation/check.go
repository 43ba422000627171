package delegation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn"
)

// leavesPassword reports whether logins by a mechanism leave the password that
// the caller typed.
func leavesPassword(mechanism string) bool {
	return strings.EqualFold(mechanism, "Basic") || strings.EqualFold(mechanism, "Form")
}

// Plan returns the methods that could act at an upstream for callers who log
// in by a mechanism, as Identity.Mechanism names it. Mechanisms that it does
// not know leave nothing. Without any, or with AsService alone, such callers
// are not passed on.
func (d *Delegator) Plan(mechanism, spn string) []Method {
	u := d.upstream(spn)
	if u == nil {
		return nil
	}
	var ms []Method
	add := func(m Method, can bool) {
		if can && u.allows(m) {
			ms = append(ms, m)
		}
	}
	add(Constrained, mechanism == authn.MechanismKerberos && d.Client != nil)
	add(Forwarded, mechanism == authn.MechanismKerberos && d.knowsKDC())
	add(Password, leavesPassword(mechanism) && d.knowsKDC())
	add(Transition, d.Client != nil)
	add(AsService, true)
	return ms
}

// A Warning says that some callers of a route cannot be passed on to an
// upstream, or only as somebody else.
type Warning struct {
	Route     string
	Mechanism string // of the callers' login
	Upstream  string
	Reason    Reason // of the error that each of their calls will be; empty: Upstream.Service acts instead
	Remedies  []Remedy
}

// String returns the warning in words, without the remedies.
func (w Warning) String() string {
	s := fmt.Sprintf("upstream %s acts as the caller, but route %s accepts %s: such callers ", w.Upstream, w.Route, w.Mechanism)
	switch w.Reason {
	case "":
		return s + "are passed on as the service account"
	case ReasonNotListed:
		return fmt.Sprintf("upstream %s acts as the caller, but is not listed: callers of route %s cannot be passed on", w.Upstream, w.Route)
	case ReasonMethod:
		return s + "cannot be passed on by the methods that the upstream allows"
	case ReasonConfiguration:
		return s + "cannot be passed on unless a service account or the KDCs are configured"
	case ReasonNoPrincipal:
		return s + "cannot be passed on unless their login names a UPN: no realm is configured for their domain"
	}
	return s + "cannot be passed on unless protocol transition is configured"
}

// CheckRoute returns a warning for each mechanism, of those that a route
// accepts, whose callers cannot be passed on to an upstream as themselves. It
// is for a check of the configuration, before the first call fails. What only
// the directory knows, such as a missing right, it cannot tell.
func (d *Delegator) CheckRoute(route string, mechanisms []string, spn string) []Warning {
	u := d.upstream(spn)
	if u == nil {
		return []Warning{{route, "", spn, ReasonNotListed, []Remedy{words("add the upstream with this SPN to the delegation settings")}}}
	}
	var ws []Warning
	for _, m := range mechanisms {
		plan := d.Plan(m, spn)
		w := Warning{Route: route, Mechanism: m, Upstream: spn, Remedies: []Remedy{d.offerTransition(u)}}
		if len(plan) > 0 && plan[0] != AsService {
			// Such logins name their domain by its NetBIOS name.
			if m == authn.MechanismNTLM && d.Principal == nil && len(d.Domains) == 0 {
				w.Reason, w.Remedies = ReasonNoPrincipal, []Remedy{words("set Domains to the realm of each domain, such as CORP to CORP.TEST")}
				ws = append(ws, w)
			}
			continue
		}
		evidence := m == authn.MechanismKerberos || leavesPassword(m)
		switch {
		case len(plan) > 0:
		case evidence && u.Methods != nil:
			w.Reason = ReasonMethod
		case evidence:
			w.Reason = ReasonConfiguration
		case m == authn.MechanismNTLM:
			w.Reason = ReasonDoubleHop
			w.Remedies = append([]Remedy{words("accept Kerberos only on the route")}, w.Remedies...)
		default:
			w.Reason = ReasonNoEvidence
		}
		ws = append(ws, w)
	}
	return ws
}

// Check returns what is wrong with the settings themselves, or nil.
func (d *Delegator) Check() error {
	known := []Method{Constrained, Forwarded, Password, Transition}
	seen := map[string]bool{}
	for i := range d.Upstreams {
		u := &d.Upstreams[i]
		key := strings.ToLower(u.SPN)
		switch {
		case u.SPN == "":
			return fmt.Errorf("delegation: upstream %d has no SPN", i)
		case seen[key]:
			return fmt.Errorf("delegation: upstream %s is listed twice", u.SPN)
		case u.ProtocolTransition && d.Client == nil:
			return fmt.Errorf("delegation: upstream %s: protocol transition needs Client, the account that asks the KDC", u.SPN)
		}
		seen[key] = true
		for _, m := range u.Methods {
			switch {
			case !slices.Contains(known, m):
				return fmt.Errorf("delegation: upstream %s: %q is no method that can be listed", u.SPN, m)
			case m == Transition && !u.ProtocolTransition:
				return fmt.Errorf("delegation: upstream %s: %s is listed, and ProtocolTransition is off", u.SPN, m)
			}
		}
	}
	return nil
}
