package delegation

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/internal/kdc"
	"github.com/soapward/soapward/soap"
)

func TestDelegateRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ntlm := w.ntlmLogin("alice")
	oidc := &authn.Identity{Account: "alice", Domain: "CORP", Mechanism: "OIDC"}
	local := &authn.Identity{Account: "alice", Domain: "CORP", Mechanism: authn.MechanismNTLM}
	unmapped := *ntlm
	unmapped.Domain = "ELSEWHERE"
	gone := *ntlm
	gone.Account = "nobody"
	noGroups := *w.ntlmLogin("pru")
	noGroups.Groups = nil
	dora, doraTicket := w.ntlmLogin("dora"), w.kerberosLogin("dora", "front", frontSPN, false)
	sue, noPAC := w.kerberosLogin("sue", "front", frontSPN, false), &authn.Identity{UPN: "nora@corp.test", Mechanism: "OIDC"}
	byPassword := w.ntlmLogin("alice")
	byPassword.Evidence = &password.Secret{User: "alice", Password: authn.NewSecret("not hers")}
	transition := Upstream{SPN: backSPN, ProtocolTransition: true}
	// What happens after the logins.
	for name, change := range map[string]func(*kdc.Account){
		"dora": func(a *kdc.Account) { a.Disabled = true },
		"sue":  func(a *kdc.Account) { a.Sensitive = true },
		"nora": func(a *kdc.Account) { a.NoPAC = true },
	} {
		if err := w.Update(name, change); err != nil {
			t.Fatal(err)
		}
	}
	rbcd := Upstream{SPN: otherSPN, Account: "other"}
	for _, tc := range []struct {
		name     string
		id       *authn.Identity
		account  string
		upstream Upstream
		spn      string
		reason   Reason
		is       error
		tried    []Method
		cause    string
		remedy   string
		fault    string
	}{
		{"double hop", ntlm, "front", Upstream{SPN: backSPN}, backSPN, ReasonDoubleHop, ErrDoubleHop, nil, "double hop",
			"samba-tool delegation for-any-protocol front on && samba-tool delegation add-service front HTTP/back.corp.test " +
				"(PowerShell: Set-ADAccountControl -Identity 'front' -TrustedToAuthForDelegation $true; Set-ADUser -Identity 'front' -Add @{'msDS-AllowedToDelegateTo'='HTTP/back.corp.test'})", "DoubleHop"},
		{"another login without evidence", oidc, "front", Upstream{SPN: backSPN}, backSPN, ReasonNoEvidence, ErrNoEvidence, nil, "login by OIDC",
			"samba-tool delegation add-service front HTTP/back.corp.test", "NotDelegated"},
		{"anonymous", nil, "front", transition, backSPN, ReasonNoEvidence, ErrNoEvidence, nil, "anonymous", "require a login", "NotDelegated"},
		{"not listed", ntlm, "front", transition, otherSPN, ReasonNotListed, ErrNotListed, nil, otherSPN, "add the upstream", "NotDelegated"},
		{"sensitive, own ticket", w.kerberosLogin("sam", "front", frontSPN, false), "front", transition, backSPN, ReasonSensitive,
			kerberos.ErrNotDelegable, nil, "marked as sensitive", "samba-tool user sensitive sam off (PowerShell: Set-ADAccountControl -Identity 'sam' -AccountNotDelegated $false)", "NotDelegated"},
		{"sensitive, NTLM", w.ntlmLogin("sam"), "front", transition, backSPN, ReasonSensitive, kerberos.ErrNotDelegable, []Method{Transition},
			"marked as sensitive and cannot be delegated (S4U2Proxy: the KDC of CORP.TEST says KDC_ERR_BADOPTION", "samba-tool user sensitive sam off", "NotDelegated"},
		{"protected", w.ntlmLogin("pru"), "front", transition, backSPN, ReasonProtectedUser, kerberos.ErrProtectedUser, nil, "Protected Users",
			"samba-tool group removemembers 'Protected Users' pru", "NotDelegated"},
		{"protected, as only the KDC's ticket tells", &noGroups, "front", transition, backSPN, ReasonProtectedUser, kerberos.ErrProtectedUser, []Method{Transition},
			"Protected Users", "Remove-ADGroupMember -Identity 'Protected Users' -Members 'pru'", "NotDelegated"},
		{"disabled since", doraTicket, "front", transition, backSPN, ReasonAccountDisabled, nil, []Method{Constrained},
			"the account is disabled, or an authentication policy forbids it (S4U2Proxy: the KDC of CORP.TEST says KDC_ERR_POLICY", "samba-tool user enable dora", "NotDelegated"},
		{"disabled, NTLM", dora, "front", transition, backSPN, ReasonAccountDisabled, nil, []Method{Transition}, "(S4U2Self", "Enable-ADAccount -Identity 'dora'", "NotDelegated"},
		{"sensitive since, which the KDC says as if it were not listed", sue, "front", Upstream{SPN: backSPN}, backSPN, ReasonSensitive, nil, []Method{Constrained},
			"marked as sensitive", "samba-tool user sensitive sue off", "NotDelegated"},
		{"account not trusted for transition", w.ntlmLogin("alice"), "plain", transition, backSPN, ReasonNoTransitionRight, kerberos.ErrNotDelegable, []Method{Transition},
			"plain has no right", "samba-tool delegation for-any-protocol plain on", "NotDelegated"},
		{"account not trusted, or the user sensitive", noPAC, "plain", transition, backSPN, ReasonNotDelegable, kerberos.ErrNotDelegable, []Method{Transition},
			"the ticket does not tell which", "samba-tool delegation for-any-protocol plain on", "NotDelegated"},
		{"our own account is sensitive", w.ntlmLogin("alice"), "limited", transition, backSPN, ReasonServiceAccount, kerberos.ErrLimitedClient, []Method{Transition},
			"limited, which acts for callers, is itself", "samba-tool user sensitive limited off", "NotDelegated"},
		{"target not listed at the KDC", w.kerberosLogin("alice", "front", frontSPN, false), "front", rbcd, otherSPN, ReasonNotAllowedTarget, nil, []Method{Constrained},
			"msDS-AllowedToDelegateTo", "samba-tool delegation add-service front HTTP/other.corp.test", "NotDelegated"},
		{"target not listed, NTLM", w.ntlmLogin("alice"), "front", Upstream{SPN: otherSPN, ProtocolTransition: true, Account: "other"}, otherSPN, ReasonNotAllowedTarget, nil, []Method{Transition},
			"resource-based", "samba-tool delegation add-principal other front", "NotDelegated"},
		{"target unknown", w.kerberosLogin("alice", "front", frontSPN, false), "front", Upstream{SPN: "HTTP/nowhere", Account: "no'body"}, "HTTP/nowhere", ReasonUnknownTarget, nil, []Method{Constrained},
			"no account of the domain has the name HTTP/nowhere", `samba-tool spn add HTTP/nowhere 'no'\''body'`, "NotDelegated"},
		{"evidence that is of no use here", &authn.Identity{Account: "alice", Mechanism: "hook", Evidence: otherEvidence{}}, "front", Upstream{SPN: backSPN}, backSPN, ReasonNoEvidence,
			ErrNoEvidence, nil, "login by hook", "protocol transition", "NotDelegated"},
		{"password of a local account", &authn.Identity{Account: "alice", Mechanism: "Basic", Evidence: byPassword.Evidence}, "front", Upstream{SPN: backSPN, Methods: []Method{Constrained}}, backSPN,
			ReasonNoPrincipal, errNotOfDomain, nil, "no SID", "AllowUPN", "NotDelegated"},
		{"local account of the same name", local, "front", transition, backSPN, ReasonNoPrincipal, errNotOfDomain, []Method{Transition}, "no SID", "Principal", "NotDelegated"},
		{"OIDC user without a rule", oidc, "front", transition, backSPN, ReasonNoPrincipal, errNotOfDomain, []Method{Transition}, "no SID", "AllowUPN", "NotDelegated"},
		{"unknown domain", &unmapped, "front", transition, backSPN, ReasonNoPrincipal, errNotOfDomain, []Method{Transition}, "ELSEWHERE", `set Domains in the settings of the Delegator: the short name of the domain, "ELSEWHERE"`, "NotDelegated"},
		{"unknown user", &gone, "front", transition, backSPN, ReasonUnknownUser, nil, []Method{Transition}, "does not know the account", "spelling", "NotDelegated"},
		{"method not allowed", w.kerberosLogin("alice", "front", frontSPN, false), "front", Upstream{SPN: backSPN, Methods: []Method{Password}}, backSPN, ReasonMethod, ErrNoEvidence, nil,
			"by s4u2proxy, which is not among the methods", "add s4u2proxy", "NotDelegated"},
		{"wrong password", byPassword, "front", transition, backSPN, ReasonWrongPassword, authn.ErrBadCredentials, []Method{Password}, "is not that of the domain's account", "log in again", "NotDelegated"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := &world{w.KDC, t}
			d := w.delegator(tc.account, tc.upstream)
			d.AllowUPN = map[string][]string{"OIDC": {"corp.test"}}
			c, m, err := d.Delegate(t.Context(), tc.id, target(tc.spn))
			var de *Error
			if c != nil || m != "" || !errors.As(err, &de) {
				t.Fatalf("credential %v, method %q, error %v", c, m, err)
			}
			if de.Reason != tc.reason {
				t.Errorf("reason %s, want %s", de.Reason, tc.reason)
			}
			if n := len(de.Tried); n > 0 && de.Tried[n-1].Reason != tc.reason {
				t.Errorf("last attempt: reason %s, want %s", de.Tried[n-1].Reason, tc.reason)
			}
			if tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("%v is not %v", err, tc.is)
			}
			if errors.Is(err, ErrDoubleHop) != (tc.is == ErrDoubleHop) {
				t.Errorf("%v: ErrDoubleHop %v", err, errors.Is(err, ErrDoubleHop))
			}
			var tried []Method
			for _, a := range de.Tried {
				tried = append(tried, a.Method)
			}
			if !slices.Equal(tried, tc.tried) {
				t.Errorf("tried %v, want %v", tried, tc.tried)
			}
			if !strings.Contains(de.Cause, tc.cause) || !strings.Contains(de.Remedy, tc.remedy) {
				t.Errorf("cause  %q, want %q in it\nremedy %q, want %q in it", de.Cause, tc.cause, de.Remedy, tc.remedy)
			}
			if q, _ := de.SOAPFault(); q != (xml.Name{Space: Namespace, Local: tc.fault}) {
				t.Errorf("subcode %v, want %s", q, tc.fault)
			}
		})
	}
}

type otherEvidence struct{}

func (otherEvidence) EvidenceKind() string { return "other" }

func TestErrorForClients(t *testing.T) {
	t.Parallel()
	e := (&Error{
		Identity: &authn.Identity{Account: "alice", Domain: "CORP", Mechanism: authn.MechanismNTLM},
		Target:   target(backSPN),
		Tried:    []Attempt{{Transition, ReasonRefused, errors.New("kdc said INTERNALDETAIL")}},
	}).because(ReasonDoubleHop, ErrDoubleHop, "cause INTERNALDETAIL", words("run INTERNALDETAIL"))

	f := soap.AsFault(fmt.Errorf("call: %w", e))
	if len(f.Subcodes) != 1 || f.Subcodes[0] != (xml.Name{Space: Namespace, Local: "DoubleHop"}) || f.Ref == "" || f.Internal() {
		t.Errorf("fault %+v", f)
	}
	r := httptest.NewRecorder()
	e.Problem("ref-1").ServeHTTP(r, nil)
	var p Problem
	if err := json.Unmarshal(r.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	want := Problem{Type: "urn:soapward:delegation:DoubleHop", Title: p.Title, Status: 502, Ref: "ref-1"}
	if r.Code != 502 || r.Header().Get("Content-Type") != "application/problem+json" || p != want || p.Title == "" {
		t.Errorf("%d %v %+v", r.Code, r.Header(), p)
	}
	for _, s := range []string{f.Reason, r.Body.String()} {
		if strings.Contains(s, "INTERNALDETAIL") || strings.Contains(s, "alice") || strings.Contains(s, "back.corp") {
			t.Errorf("a client sees %q", s)
		}
	}

	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "err", e)
	for _, s := range []string{`CORP\alice`, "err.mech=NTLM", "err.upstream=" + backSPN, "s4u2self+s4u2proxy: kdc said", "err.cause=", "err.remedy="} {
		if !strings.Contains(log.String(), s) {
			t.Errorf("the log does not tell %q: %s", s, log.String())
		}
	}
	if s := e.Error(); !strings.HasPrefix(s, `delegation: act for CORP\alice (NTLM) at HTTP/back.corp.test: `) {
		t.Errorf("text %q", s)
	}
}

func TestExpiredEvidence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.kerberosLogin("alice", "front", frontSPN, true)
	d := w.delegator("front", Upstream{SPN: backSPN})
	d.testOnlyNow = func() time.Time { return id.Expires.Add(time.Second) }
	_, _, err := d.Delegate(t.Context(), id, target(backSPN))
	var de *Error
	if !errors.Is(err, ErrNoEvidence) || !errors.As(err, &de) || !strings.Contains(de.Remedy, "log in again") {
		t.Errorf("%v", err)
	}
}
