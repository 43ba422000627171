package netlogon_test

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/ntlm/netlogon"
	"github.com/soapward/soapward/authn/ntlm/ntlmtest"
	"github.com/soapward/soapward/internal/adtest"
)

func TestMain(m *testing.M) { os.Exit(adtest.Main(m)) }

// config is for a computer account of the test domain. Tests that run at the
// same time use one each.
func config(t testing.TB, dc *adtest.DC, computer string) netlogon.Config {
	t.Helper()
	return netlogon.Config{
		Account: computer + "$", Secrets: netlogon.Password(authn.NewSecret(adtest.Password(t, computer))),
		Domain: adtest.NetBIOS, DNSDomain: strings.ToLower(adtest.Realm), Controllers: []string{dc.IP},
		Logger: slog.New(slog.DiscardHandler),
	}
}

func newVerifier(t testing.TB, c netlogon.Config) *netlogon.Verifier {
	t.Helper()
	v, err := netlogon.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

// TestConformance runs what each verifier must do against a real domain
// controller, with an account in each state that it tells apart.
func TestConformance(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	v := newVerifier(t, config(t, dc, adtest.GW01))
	alice := authn.Identity{
		Account: "alice", Domain: "CORP", UPN: "alice@corp.test", DisplayName: "Alice Liddell",
		SID: authn.SID(dc.SID(t, adtest.Alice)),
	}
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
		Verifier: v, Names: v.Names(),
		Logins: []ntlmtest.Login{
			login(`CORP\alice`, adtest.Alice, alice),
			login(`corp.test\ALICE`, adtest.Alice, alice),
			login(`alice@corp.test`, adtest.Alice, alice),
			login(`alice`, adtest.Alice, alice),
			login(`CORP\bob`, adtest.Bob, authn.Identity{Account: "bob", Domain: "CORP", SID: authn.SID(dc.SID(t, adtest.Bob))}),
			login(`CORP\zoë`, adtest.Zoe, authn.Identity{Account: "zoë", DisplayName: "Zoë Größe", SID: authn.SID(dc.SID(t, adtest.Zoe))}),
		},
		Refusals: []ntlmtest.Refusal{
			refusal(`CORP\alice`, "n0t-1t", authn.ReasonWrongPassword),
			refusal(`CORP\nobody`, "n0t-1t", authn.ReasonUnknownUser),
			refusal(`EVIL\alice`, adtest.Password(t, adtest.Alice), authn.ReasonUnknownUser),
			right(adtest.Dave, authn.ReasonDisabled),
			right(adtest.Mike, authn.ReasonPasswordExpired),
			right(adtest.Erin, authn.ReasonAccountExpired),
			right(adtest.Nick, authn.ReasonRestricted),
			right(adtest.Locke, authn.ReasonLockedOut),
			// Before the right password nothing is told but that it is locked.
			refusal(`CORP\dave`, "n0t-1t", authn.ReasonWrongPassword),
			refusal(`CORP\erin`, "n0t-1t", authn.ReasonWrongPassword),
			refusal(`CORP\GW02$`, adtest.Password(t, adtest.GW02), authn.ReasonRestricted),
		},
	})
	for _, h := range v.Health() {
		if !h.Up || h.Err != nil {
			t.Errorf("%s: up %v, %v after the logins", h.Controller, h.Up, h.Err)
		}
	}
}

// login logs a user in with a mechanism that demands a MIC, so that the session
// key is needed.
func login(ctx context.Context, v ntlm.Verifier, names ntlm.Names, user, password string) (*authn.Identity, error) {
	cred, err := ntlm.NewCredential(user, authn.NewSecret(password))
	if err != nil {
		return nil, err
	}
	m := &ntlm.Mechanism{Verifier: v, Names: names, RequireMIC: true}
	a, i := m.NewAcceptor(authn.Exchange{Peer: "127.0.0.1:1"}), &ntlm.Initiator{Credential: cred}
	var id *authn.Identity
	var fromClient, fromServer []byte
	for range 2 {
		if fromClient, _, err = i.Step(ctx, fromServer); err != nil {
			return nil, err
		}
		if fromServer, id, err = a.Step(ctx, fromClient); err != nil {
			return nil, err
		}
	}
	return id, nil
}
