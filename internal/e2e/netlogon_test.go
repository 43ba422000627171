package e2e

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/ntlm/netlogon"
	"github.com/soapward/soapward/internal/adtest"
)

// netlogonNTLM takes users of the test domain, verified by a domain controller.
// Each test that runs beside others needs a computer account of its own.
func netlogonNTLM(t *testing.T, controller, computer string) *ntlm.Mechanism {
	t.Helper()
	v, err := netlogon.New(netlogon.Config{
		Account: computer + "$", Secrets: netlogon.Password(authn.NewSecret(adtest.Password(t, computer))),
		Domain: adtest.NetBIOS, DNSDomain: "corp.test", Controllers: []string{controller},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return &ntlm.Mechanism{Verifier: v, Names: v.Names()}
}

// TestCurlDomain: domain users log in by NTLM, and the service knows their
// groups.
func TestCurlDomain(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	m := netlogonNTLM(t, dc.IP, adtest.GW01)
	s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: m}})
	for _, name := range []string{`CORP\alice`, `corp.test\alice`, `alice`, `alice@corp.test`, `corp\ALICE`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, status := curl(t, nil, name+":"+adtest.Password(t, adtest.Alice), "--ntlm", "-d", "<a/>", s.URL)
			if status != "200" {
				t.Fatalf("status = %s, body %q, want 200", status, body)
			}
			me := decodeWhoami(t, body)
			checkDomainAlice(t, dc, me)
			checkBody(t, me, "<a/>")
		})
	}
	t.Run("NTLM inside Negotiate, by gss-ntlmssp", func(t *testing.T) {
		t.Parallel()
		m := *m
		m.RequireMIC = true // needs the session key that the controller sends
		s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: &m}})
		env := gssNTLM(t, "CORP:alice:"+adtest.Password(t, adtest.Alice))
		body, status := curl(t, env, ":", "--negotiate", "-d", "<a/>", s.URL)
		if status != "200" {
			t.Fatalf("status = %s, body %q, want 200", status, body)
		}
		checkDomainAlice(t, dc, decodeWhoami(t, body))
	})
	for user, reason := range map[string]authn.Reason{
		adtest.Dave: authn.ReasonDisabled, adtest.Locke: authn.ReasonLockedOut, adtest.Mike: authn.ReasonPasswordExpired,
		adtest.Erin: authn.ReasonAccountExpired, adtest.Nick: authn.ReasonRestricted, adtest.Walt: authn.ReasonRestricted,
	} {
		t.Run("refused: "+user, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: m}})
			body, status := curl(t, nil, `CORP\`+user+":"+adtest.Password(t, user), "--ntlm", s.URL)
			if status != "401" || !strings.Contains(s.log.String(), "reason="+string(reason)) {
				t.Errorf("status = %s, want 401 and the reason %s in the log", status, reason)
			}
			if strings.Contains(body, string(reason)) {
				t.Errorf("the client is told the reason: %q", body)
			}
		})
	}
}

func checkDomainAlice(t *testing.T, dc *adtest.DC, me whoami) {
	t.Helper()
	if me.User != `CORP\alice` || me.UPN != "alice@corp.test" || me.DisplayName != "Alice Liddell" ||
		me.Mechanism != authn.MechanismNTLM || me.SID != authn.SID(dc.SID(t, adtest.Alice)) {
		t.Errorf("caller = %+v, want alice as the directory knows her", me)
	}
	for _, g := range []string{adtest.Payroll, adtest.Finance, adtest.Auditors, adtest.Staff} {
		if !slices.Contains(me.Groups, authn.SID(dc.SID(t, g))) || !slices.Contains(me.GroupNames, `CORP\`+g) {
			t.Errorf("groups %v (%v) lack %s", me.Groups, me.GroupNames, g)
		}
	}
	if me.Evidence != "" {
		t.Errorf("evidence %q after NTLM, want none", me.Evidence)
	}
}

// TestDomainControllerDown: that is not the user's fault, and the operator
// finds the cause under the reference that the client got.
func TestDomainControllerDown(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: netlogonNTLM(t, "127.0.0.1:1", adtest.GW02)}})
	body, status := curl(t, nil, `CORP\alice:whatever`, "--ntlm", s.URL)
	_, ref, _ := strings.Cut(body, "(reference ")
	ref, _, _ = strings.Cut(ref, ")")
	if status != "503" || ref == "" {
		t.Fatalf("status = %s, body %q, want 503 and a reference", status, body)
	}
	var line string
	for l := range strings.Lines(s.log.String()) {
		if strings.Contains(l, "ref="+ref) {
			line = l
		}
	}
	for _, want := range []string{"level=ERROR", "status=503", "127.0.0.1:1", "connection refused"} {
		if !strings.Contains(line, want) {
			t.Errorf("log line %q lacks %q", line, want)
		}
	}
	if strings.Contains(body, "127.0.0.1:1") {
		t.Errorf("the client is told of the controller: %q", body)
	}
}
