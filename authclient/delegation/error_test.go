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
	transition := Upstream{SPN: backSPN, ProtocolTransition: true}
	for _, tc := range []struct {
		name     string
		id       *authn.Identity
		account  string
		upstream Upstream
		spn      string
		is       error
		tried    []Method
		cause    string
		remedy   string
		fault    string
	}{
		{"double hop", ntlm, "front", Upstream{SPN: backSPN}, backSPN, ErrDoubleHop, nil, "double hop",
			"Set-ADAccountControl front -TrustedToAuthForDelegation $true (Samba: samba-tool delegation for-any-protocol front on)", "DoubleHop"},
		{"another login without evidence", oidc, "front", Upstream{SPN: backSPN}, backSPN, ErrNoEvidence, nil, "login by OIDC",
			"samba-tool delegation add-service front HTTP/back.corp.test", "NotDelegated"},
		{"anonymous", nil, "front", transition, backSPN, ErrNoEvidence, nil, "anonymous", "require a login", "NotDelegated"},
		{"not listed", ntlm, "front", transition, otherSPN, ErrNotListed, nil, otherSPN, "add the upstream", "NotDelegated"},
		{"sensitive, own ticket", w.kerberosLogin("sam", "front", frontSPN, false), "front", Upstream{SPN: backSPN}, backSPN,
			kerberos.ErrNotDelegable, nil, "not forwardable", "Set-ADAccountControl sam -AccountNotDelegated $false", "NotDelegated"},
		{"sensitive, NTLM", w.ntlmLogin("sam"), "front", transition, backSPN, kerberos.ErrNotDelegable, []Method{Transition}, "KDC", "sensitive", "NotDelegated"},
		{"protected", w.ntlmLogin("pru"), "front", transition, backSPN, kerberos.ErrNotDelegable, nil, "Protected Users", "service account", "NotDelegated"},
		{"account not trusted for transition", w.ntlmLogin("alice"), "plain", transition, backSPN, kerberos.ErrNotDelegable, []Method{Transition}, "KDC",
			"samba-tool delegation for-any-protocol plain on", "NotDelegated"},
		{"target not listed at the KDC", w.kerberosLogin("alice", "front", frontSPN, false), "front", Upstream{SPN: otherSPN}, otherSPN, nil, []Method{Constrained},
			"msDS-AllowedToDelegateTo", "samba-tool delegation add-service front HTTP/other.corp.test", "NotDelegated"},
		{"local account of the same name", local, "front", transition, backSPN, errNotOfDomain, []Method{Transition}, "no SID", "Principal", "NotDelegated"},
		{"OIDC user without a rule", oidc, "front", transition, backSPN, errNotOfDomain, []Method{Transition}, "no SID", "Principal", "NotDelegated"},
		{"unknown domain", &unmapped, "front", transition, backSPN, errNotOfDomain, []Method{Transition}, "ELSEWHERE", "Domains", "NotDelegated"},
		{"unknown user", &gone, "front", transition, backSPN, nil, []Method{Transition}, "does not exist", "", "NotDelegated"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := &world{w.KDC, t}
			d := w.delegator(tc.account, tc.upstream)
			c, m, err := d.Delegate(t.Context(), tc.id, target(tc.spn))
			var de *Error
			if c != nil || m != "" || !errors.As(err, &de) {
				t.Fatalf("credential %v, method %q, error %v", c, m, err)
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

func TestErrorForClients(t *testing.T) {
	t.Parallel()
	e := (&Error{
		Identity: &authn.Identity{Account: "alice", Domain: "CORP", Mechanism: authn.MechanismNTLM},
		Target:   target(backSPN),
		Tried:    []Attempt{{Transition, errors.New("kdc said INTERNALDETAIL")}},
	}).because(ErrDoubleHop, "cause INTERNALDETAIL", "run INTERNALDETAIL")

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
