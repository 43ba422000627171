package delegation

import (
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

func TestPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.delegator("front",
		Upstream{SPN: backSPN},
		Upstream{SPN: otherSPN, ProtocolTransition: true, Service: &authclient.Kerberos{}})
	limited := w.delegator("front", Upstream{SPN: backSPN, ProtocolTransition: true, Methods: []Method{Transition}})
	noClient := w.delegator("front", Upstream{SPN: backSPN, ProtocolTransition: true})
	noClient.Client = nil
	noClient.Kerberos = kerberos.Config{}
	for _, tc := range []struct {
		d              *Delegator
		mechanism, spn string
		want           []Method
	}{
		{d, authn.MechanismKerberos, backSPN, []Method{Constrained, Forwarded}},
		{d, authn.MechanismNTLM, backSPN, nil},
		{d, "Basic", backSPN, []Method{Password}},
		{d, authn.MechanismNTLM, otherSPN, []Method{Transition, AsService}},
		{d, authn.MechanismKerberos, otherSPN, []Method{Constrained, Forwarded, Transition, AsService}},
		{d, authn.MechanismKerberos, "HTTP/unknown", nil},
		{d, "OIDC", backSPN, nil},
		{d, "OIDC", otherSPN, []Method{Transition, AsService}},
		{d, "Form", backSPN, []Method{Password}},
		{limited, authn.MechanismKerberos, backSPN, []Method{Transition}},
		{noClient, authn.MechanismNTLM, backSPN, nil},
		{noClient, authn.MechanismKerberos, backSPN, nil},
		{noClient, "Basic", backSPN, nil},
	} {
		if got := tc.d.Plan(tc.mechanism, tc.spn); !slices.Equal(got, tc.want) {
			t.Errorf("Plan(%s, %s) = %v, want %v", tc.mechanism, tc.spn, got, tc.want)
		}
	}
}

func TestCheckRoute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.delegator("front",
		Upstream{SPN: backSPN},
		Upstream{SPN: otherSPN, ProtocolTransition: true},
		Upstream{SPN: frontSPN, Service: &authclient.Kerberos{}},
		Upstream{SPN: plainSPN, Methods: []Method{Forwarded}})
	noClient := &Delegator{Upstreams: []Upstream{{SPN: backSPN}}}
	noDomains := w.delegator("front", Upstream{SPN: otherSPN, ProtocolTransition: true})
	noDomains.Domains = nil
	all := []string{authn.MechanismKerberos, authn.MechanismNTLM, "Basic", "OIDC"}
	double := "upstream " + backSPN + " acts as the caller, but route /hr accepts NTLM: such callers cannot be passed on unless protocol transition is configured"
	for _, tc := range []struct {
		name    string
		d       *Delegator
		spn     string
		reasons []Reason
		first   string
	}{
		{"no transition", d, backSPN, []Reason{ReasonDoubleHop, ReasonNoEvidence}, double},
		{"transition", d, otherSPN, nil, ""},
		{"transition, domain unknown", noDomains, otherSPN, []Reason{ReasonNoPrincipal}, "accepts NTLM: such callers cannot be passed on unless their login names a UPN"},
		{"service account", d, frontSPN, []Reason{"", ""}, "accepts NTLM: such callers are passed on as the service account"},
		{"methods limited", d, plainSPN, []Reason{ReasonDoubleHop, ReasonMethod, ReasonNoEvidence}, "accepts NTLM"},
		{"nothing configured", noClient, backSPN, []Reason{ReasonConfiguration, ReasonDoubleHop, ReasonConfiguration, ReasonNoEvidence}, "accepts Kerberos: such callers cannot be passed on unless a service account"},
		{"not listed", d, "HTTP/unknown", []Reason{ReasonNotListed}, "upstream HTTP/unknown acts as the caller, but is not listed"},
	} {
		var reasons []Reason
		ws := tc.d.CheckRoute("/hr", all, tc.spn)
		for _, w := range ws {
			reasons = append(reasons, w.Reason)
			if len(w.Remedies) == 0 {
				t.Errorf("%s: %v: no remedies", tc.name, w)
			}
		}
		if !slices.Equal(reasons, tc.reasons) || len(ws) > 0 && !strings.Contains(ws[0].String(), tc.first) {
			t.Errorf("%s: %q %v, want %q and first %q", tc.name, reasons, ws, tc.reasons, tc.first)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tc := range []struct {
		name string
		us   []Upstream
		want string // empty: nothing wrong
	}{
		{"good", []Upstream{{SPN: backSPN, ProtocolTransition: true, Methods: []Method{Constrained, Transition}}, {SPN: otherSPN}}, ""},
		{"no name", []Upstream{{}}, "no SPN"},
		{"twice", []Upstream{{SPN: backSPN}, {SPN: strings.ToLower(backSPN)}}, "listed twice"},
		{"unknown method", []Upstream{{SPN: backSPN, Methods: []Method{"s4u"}}}, `"s4u" is no method`},
		{"service account as a method", []Upstream{{SPN: backSPN, Methods: []Method{AsService}}}, "is no method"},
		{"transition listed only", []Upstream{{SPN: backSPN, Methods: []Method{Transition}}}, "ProtocolTransition is off"},
	} {
		err := w.delegator("front", tc.us...).Check()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
	if err := (&Delegator{Upstreams: []Upstream{{SPN: backSPN, ProtocolTransition: true}}}).Check(); err == nil {
		t.Error("transition without an account")
	}
}
