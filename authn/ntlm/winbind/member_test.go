package winbind_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/ntlm/ntlmtest"
	"github.com/soapward/soapward/authn/ntlm/winbind"
	"github.com/soapward/soapward/internal/adtest"
)

// memberVerifier is one on the host that is joined to the test domain.
func memberVerifier(t *testing.T, options ...string) *winbind.Verifier {
	t.Helper()
	m := adtest.StartMember(t)
	v := &winbind.Verifier{
		Command: append(m.Command("ntlm_auth"), options...),
		Env:     append(os.Environ(), m.Env()...),
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

func memberNames(t *testing.T, v *winbind.Verifier) ntlm.Names {
	t.Helper()
	n, err := v.Names(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestConformance runs what each verifier must do on a joined host, with an
// account in each state that its domain controller tells apart.
func TestConformance(t *testing.T) {
	t.Parallel()
	v := memberVerifier(t)
	dc := adtest.Start(t)
	alice := authn.Identity{Account: "alice", Domain: "CORP", SID: authn.SID(dc.SID(t, adtest.Alice))}
	for _, g := range []string{adtest.Payroll, adtest.Finance, adtest.Auditors, adtest.Staff} {
		alice.Groups = append(alice.Groups, authn.Group{SID: authn.SID(dc.SID(t, g)), Name: `CORP\` + g})
	}
	login := func(name, user string, want authn.Identity) ntlmtest.Login {
		return ntlmtest.Login{Name: name, Password: adtest.Password(t, user), Want: want}
	}
	refusal := func(name, password string, r authn.Reason) ntlmtest.Refusal {
		return ntlmtest.Refusal{Name: name, Password: password, Reason: r}
	}
	right := func(user string, r authn.Reason) ntlmtest.Refusal {
		return refusal(`CORP\`+user, adtest.Password(t, user), r)
	}
	ntlmtest.Run(t, ntlmtest.Config{
		Verifier: v, Names: memberNames(t, v),
		Logins: []ntlmtest.Login{
			login(`CORP\alice`, adtest.Alice, alice),
			login(`corp.test\ALICE`, adtest.Alice, alice),
			login(`alice@corp.test`, adtest.Alice, alice),
			login(`alice`, adtest.Alice, alice),
			login(`CORP\bob`, adtest.Bob, authn.Identity{Account: "bob", Domain: "CORP", SID: authn.SID(dc.SID(t, adtest.Bob))}),
			login(`CORP\zoë`, adtest.Zoe, authn.Identity{Account: "zoë", Domain: "CORP", SID: authn.SID(dc.SID(t, adtest.Zoe))}),
		},
		Refusals: []ntlmtest.Refusal{
			refusal(`CORP\alice`, "n0t-1t", authn.ReasonWrongPassword),
			refusal(`CORP\nobody`, "n0t-1t", authn.ReasonUnknownUser),
			refusal(`EVIL\alice`, adtest.Password(t, adtest.Alice), authn.ReasonUnknownUser),
			refusal(adtest.MemberName+`\alice`, adtest.Password(t, adtest.Alice), authn.ReasonUnknownUser),
			right(adtest.Dave, authn.ReasonDisabled),
			right(adtest.Mike, authn.ReasonPasswordExpired),
			right(adtest.Erin, authn.ReasonAccountExpired),
			right(adtest.Nick, authn.ReasonRestricted),
			right(adtest.Walt, authn.ReasonRestricted),
			right(adtest.Locke, authn.ReasonLockedOut),
			// Before the right password nothing is told.
			refusal(`CORP\dave`, "n0t-1t", authn.ReasonWrongPassword),
			refusal(`CORP\erin`, "n0t-1t", authn.ReasonWrongPassword),
			refusal(`CORP\GW02$`, adtest.Password(t, adtest.GW02), authn.ReasonRestricted),
		},
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	want := ntlm.Names{Domain: "CORP", Computer: adtest.MemberName, DNS: ntlm.DNSNames{Domain: "corp.test", Computer: "member1.corp.test"}}
	v := memberVerifier(t)
	if got := memberNames(t, v); got != want {
		t.Errorf("Names = %+v, want %+v", got, want)
	}
	if err := v.Check(t.Context()); err != nil {
		t.Errorf("Check = %v", err)
	}
}

// login logs a user in with a mechanism that demands a MIC, so that the session
// key is needed.
func login(t *testing.T, v ntlm.Verifier, names ntlm.Names, user, password string) (*authn.Identity, error) {
	t.Helper()
	cred, err := ntlm.NewCredential(user, authn.NewSecret(password))
	if err != nil {
		t.Fatal(err)
	}
	m := &ntlm.Mechanism{Verifier: v, Names: names, RequireMIC: true}
	a, i := m.NewAcceptor(authn.Exchange{Peer: "127.0.0.1:1"}), &ntlm.Initiator{Credential: cred}
	var id *authn.Identity
	var fromClient, fromServer []byte
	for range 2 {
		if fromClient, _, err = i.Step(t.Context(), fromServer); err != nil {
			t.Fatal(err)
		}
		if fromServer, id, err = a.Step(t.Context(), fromClient); err != nil {
			return nil, err
		}
	}
	return id, nil
}

func checkRefused(t *testing.T, id *authn.Identity, err error, want authn.Reason) *authn.RefusedError {
	t.Helper()
	var re *authn.RefusedError
	if id != nil || !errors.As(err, &re) || re.Reason != want {
		t.Fatalf("identity %v, err %v; want refused as %s", id, err, want)
	}
	return re
}

func TestMembershipRequired(t *testing.T) {
	t.Parallel()
	v := memberVerifier(t, `--require-membership-of=CORP\`+adtest.Staff)
	names := memberNames(t, v)
	if _, err := login(t, v, names, `CORP\bob`, adtest.Password(t, adtest.Bob)); err != nil {
		t.Errorf("a member of the group: %v", err)
	}
	id, err := login(t, v, names, `CORP\zoë`, adtest.Password(t, adtest.Zoe))
	if re := checkRefused(t, id, err, authn.ReasonWrongTarget); !strings.Contains(re.Hint, "--require-membership-of") {
		t.Errorf("hint %q", re.Hint)
	}
}

// The domain controller compares the challenge's computer with the account of
// the host that asks.
func TestAttackChallengeOfAnotherComputer(t *testing.T) {
	t.Parallel()
	v := memberVerifier(t)
	names := memberNames(t, v)
	names.Computer = "OTHER"
	id, err := login(t, v, names, `CORP\alice`, adtest.Password(t, adtest.Alice))
	if re := checkRefused(t, id, err, authn.ReasonWrongTarget); !strings.Contains(re.Hint, "Verifier.Names") {
		t.Errorf("hint %q", re.Hint)
	}
}

// TestUnreachable has programs of Samba that look for a winbindd where there
// is none. To them that is the same as one that they may not use.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	m := adtest.StartMember(t)
	env := append(os.Environ(), m.Env()...)
	nowhere := append(slices.Clone(env), "SELFTEST_WINBINDD_SOCKET_DIR="+t.TempDir())
	for _, tt := range []struct {
		name  string
		v     *winbind.Verifier
		hints []string // one each of Check and a login
	}{
		{"no winbindd", &winbind.Verifier{Command: m.Command("ntlm_auth"), Env: nowhere}, []string{"winbindd must run", "winbindd must run"}},
		{"privileged pipe", &winbind.Verifier{
			// wbinfo works, and ntlm_auth gets no answer.
			Command: append([]string{"/usr/bin/env", "SELFTEST_WINBINDD_SOCKET_DIR=" + t.TempDir()}, m.Command("ntlm_auth")...),
			Env:     env,
		}, []string{"usermod -a -G winbindd_priv", "usermod -a -G winbindd_priv"}},
		{"no ntlm_auth", &winbind.Verifier{Command: []string{"no-such-program"}, Env: env}, []string{"install Samba's winbind", "install Samba's winbind"}},
		{"no wbinfo", &winbind.Verifier{Lookup: []string{"no-such-program"}}, []string{"install Samba's winbind", "install Samba's winbind"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			defer func() { _ = tt.v.Close() }()
			_, loginErr := login(t, tt.v, ntlm.Names{Domain: "CORP", Computer: adtest.MemberName}, `CORP\alice`, adtest.Password(t, adtest.Alice))
			for i, err := range []error{tt.v.Check(t.Context()), loginErr} {
				if !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, authn.ErrBadCredentials) {
					t.Errorf("%d: err = %v, want unavailable", i, err)
				}
				if err != nil && !strings.Contains(err.Error(), tt.hints[i]) {
					t.Errorf("%d: err = %v, want %q said", i, err, tt.hints[i])
				}
			}
		})
	}
}

// Whoever winbindd knows beside the accounts of domains cannot log in by that.
func TestAttackNamesOfWinbindd(t *testing.T) {
	t.Parallel()
	v := memberVerifier(t)
	names := memberNames(t, v)
	for _, name := range []string{`Unix User\root`, `BUILTIN\Administrators`, `NT AUTHORITY\SYSTEM`, `CORP\` + adtest.Payroll, `.\alice`} {
		id, err := login(t, v, names, name, adtest.Password(t, adtest.Alice))
		if !errors.Is(err, authn.ErrBadCredentials) {
			t.Errorf("%s: identity %v, err %v; want refused", name, id, err)
		}
	}
}
