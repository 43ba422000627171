package ntlm_test

import (
	"context"
	"encoding/hex"
	"testing"

	"github.com/Azure/go-ntlmssp"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
)

// TestPeerGoNTLMSSP has github.com/Azure/go-ntlmssp log in: 64-byte header, no
// MIC, no key exchange, no target requested.
func TestPeerGoNTLMSSP(t *testing.T) {
	t.Parallel()
	binding := authn.ChannelBinding("tls-server-end-point:x")
	for _, tt := range []struct {
		name, user, password string
		m                    ntlm.Mechanism
		reason               authn.Reason // "" means accepted
	}{
		{name: "domain and user", user: `CORP\alice`, password: password},
		{name: "UPN", user: "alice@corp.test", password: password},
		{name: "bare", user: "alice", password: password},
		{name: "outside ASCII", user: `CORP\Jürgen`, password: password},
		{name: "wrong password", user: "alice", password: "nicht", reason: authn.ReasonWrongPassword},
		{name: "MIC required", user: "alice", password: password, m: ntlm.Mechanism{RequireMIC: true}, reason: authn.ReasonIntegrity},
		{name: "binding required", user: "alice", password: password, m: ntlm.Mechanism{Binding: authn.BindingRequired}, reason: authn.ReasonChannelBinding},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := tt.m
			m.Verifier = newAccounts(t)
			m.Names = ntlm.Names{Domain: "CORP", Computer: "GW01"}
			a := m.NewAcceptor(authn.Exchange{Bindings: authn.Bindings{binding}})
			neg, err := ntlmssp.NewNegotiateMessage("", "")
			if err != nil {
				t.Fatal(err)
			}
			challenge, _, err := a.Step(context.Background(), neg)
			if err != nil {
				t.Fatal(err)
			}
			auth, err := ntlmssp.NewAuthenticateMessage(challenge, tt.user, tt.password, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, id, err := a.Step(context.Background(), auth)
			if tt.reason != "" {
				user := tt.user
				checkRefusal(t, id, err, tt.reason, user)
				return
			}
			if err != nil || id.Domain != "CORP" {
				t.Fatalf("identity %v, err %v", id, err)
			}
			if _, err := a.(authn.MessageSigner).GetMIC(nil); err == nil {
				t.Error("signs, although the client did not ask for it")
			}
		})
	}
}

// TestPeerGoNTLMSSPWithHash logs in with an NT hash.
func TestPeerGoNTLMSSPWithHash(t *testing.T) {
	t.Parallel()
	m := ntlm.Mechanism{Verifier: newAccounts(t)}
	a := m.NewAcceptor(authn.Exchange{})
	neg, err := ntlmssp.NewNegotiateMessage("SOMEDOMAIN", "SOMEHOST")
	if err != nil {
		t.Fatal(err)
	}
	challenge, _, err := a.Step(t.Context(), neg)
	if err != nil {
		t.Fatal(err)
	}
	hash := hexHash(ntlm.HashPassword(password))
	auth, err := ntlmssp.NewAuthenticateMessage(challenge, "alice", hash, &ntlmssp.AuthenticateMessageOptions{PasswordHashed: true, WorkstationName: "PC1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, id, err := a.Step(t.Context(), auth); err != nil || id.Account != "alice" {
		t.Errorf("identity %v, err %v", id, err)
	}
}

func hexHash(h ntlm.NTHash) string { return hex.EncodeToString(h.Reveal()) }
