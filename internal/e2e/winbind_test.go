package e2e

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/ntlm/winbind"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/testenv"
)

// winbindNTLM accepts domain logons on a host that is joined to the test domain.
func winbindNTLM(t *testing.T) *ntlm.Mechanism {
	t.Helper()
	m := adtest.StartMember(t)
	v := &winbind.Verifier{Command: m.Command("ntlm_auth"), Env: append(os.Environ(), m.Env()...)}
	t.Cleanup(func() { _ = v.Close() })
	names, err := v.Names(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &ntlm.Mechanism{Verifier: v, Names: names}
}

// TestWinbind has foreign clients log in to a service on a joined host.
func TestWinbind(t *testing.T) {
	t.Parallel()
	testenv.Need(t, "curl")
	testenv.NeedFile(t, "/etc/gss/mech.d/mech.ntlmssp.conf")
	dc := adtest.Start(t)
	m := winbindNTLM(t)
	s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: m}})
	withMIC := startServer(t, serverConfig{login: &iwa.Authenticator{
		NTLM: &ntlm.Mechanism{Verifier: m.Verifier, Names: m.Names, RequireMIC: true},
	}})
	password := adtest.Password(t, adtest.Alice)
	check := func(t *testing.T, body, status string) {
		t.Helper()
		if status != "200" {
			t.Fatalf("status = %s, body %q, want 200", status, body)
		}
		me := decodeWhoami(t, body)
		if me.User != `CORP\alice` || me.SID != authn.SID(dc.SID(t, adtest.Alice)) || me.Mechanism != authn.MechanismNTLM {
			t.Errorf("caller = %+v, want alice as the directory knows her", me)
		}
		for _, g := range []string{adtest.Payroll, adtest.Finance, adtest.Auditors, adtest.Staff} {
			if !slices.Contains(me.Groups, authn.SID(dc.SID(t, g))) {
				t.Errorf("groups %v lack %s", me.Groups, g)
			}
		}
		checkBody(t, me, "<a/>")
	}
	for _, name := range []string{`CORP\alice`, `corp.test\alice`, `alice`, `alice@corp.test`, `corp\ALICE`} {
		t.Run("curl --ntlm "+name, func(t *testing.T) {
			t.Parallel()
			body, status := curl(t, nil, name+":"+password, "--ntlm", "-d", "<a/>", s.URL)
			check(t, body, status)
		})
	}
	t.Run("gss-ntlmssp with MIC", func(t *testing.T) {
		t.Parallel()
		body, status := curl(t, gssNTLM(t, "CORP:alice:"+password), ":", "--negotiate", "-d", "<a/>", withMIC.URL)
		check(t, body, status)
	})
	for _, tt := range []struct{ user, password, reason string }{
		{`CORP\alice`, "wrong", string(authn.ReasonWrongPassword)},
		{`CORP\nobody`, "wrong", string(authn.ReasonUnknownUser)},
		{`EVIL\alice`, password, string(authn.ReasonUnknownUser)},
		{`CORP\dave`, adtest.Password(t, adtest.Dave), string(authn.ReasonDisabled)},
		{`CORP\locke`, adtest.Password(t, adtest.Locke), string(authn.ReasonLockedOut)},
	} {
		t.Run(tt.user+" "+tt.reason, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: m}})
			body, status := curl(t, nil, tt.user+":"+tt.password, "--ntlm", "-d", "<a/>", s.URL)
			if log := s.log.String(); status != "401" || !strings.Contains(log, "reason="+tt.reason) {
				t.Errorf("status = %s, want 401 and the reason %s in the log", status, tt.reason)
			}
			if strings.Contains(body, tt.reason) || strings.Contains(body, "NT_STATUS") {
				t.Errorf("the client is told the reason: %q", body)
			}
		})
	}
	t.Run("winbindd is gone", func(t *testing.T) {
		t.Parallel()
		v := &winbind.Verifier{
			Command: []string{"/usr/bin/env", "SELFTEST_WINBINDD_SOCKET_DIR=" + t.TempDir(), "ntlm_auth"},
			Env:     append(os.Environ(), adtest.StartMember(t).Env()...),
		}
		t.Cleanup(func() { _ = v.Close() })
		s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: &ntlm.Mechanism{Verifier: v, Names: m.Names}}})
		body, status := curl(t, nil, `CORP\alice:`+password, "--ntlm", "-d", "<a/>", s.URL)
		if status != "503" || strings.Contains(body, "winbind") || !strings.Contains(s.log.String(), "winbindd must run") {
			t.Errorf("status = %s, body %q; want 503, and what to do in the log only", status, body)
		}
	})
}
