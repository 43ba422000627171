package ntlm

import (
	"context"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
)

var testNames = Names{
	Domain: "CORP", Computer: "GW01",
	DNS: DNSNames{Domain: "corp.test", Computer: "gw01.corp.test", Forest: "corp.test"},
}

// testPassword is looked for in everything printed.
const testPassword = "Pa55w0rd-ünï"

var testTime = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func testClock() time.Time { return testTime }

func testAccounts(t testing.TB) *Accounts {
	t.Helper()
	as, err := NewAccounts("CORP", "corp.test",
		Account{
			Name: "alice", Password: authn.NewSecret(testPassword), DisplayName: "Alice Example",
			UPN: "alice@corp.test", SID: "S-1-5-21-1-2-3-1001",
			Groups: []authn.Group{{SID: "S-1-5-21-1-2-3-513", Name: `CORP\Domain Users`}},
		},
		Account{Name: "mallory", Password: authn.NewSecret("mallory's own"), Disabled: true},
		Account{Name: "jürgen", Password: authn.NewSecret(testPassword), UPN: "j@other.test"},
	)
	if err != nil {
		t.Fatal(err)
	}
	return as
}

// login runs the exchange of i with a and returns what the acceptor says of
// AUTHENTICATE.
func login(t testing.TB, a authn.Acceptor, i authn.Initiator) (*authn.Identity, error) {
	t.Helper()
	ctx := context.Background()
	neg, done, err := i.Step(ctx, nil)
	if err != nil || done {
		t.Fatalf("first step of the initiator: done %v, %v", done, err)
	}
	chal, id, err := a.Step(ctx, neg)
	if err != nil || id != nil {
		t.Fatalf("first step of the acceptor: identity %v, %v", id, err)
	}
	auth, done, err := i.Step(ctx, chal)
	if err != nil || !done {
		t.Fatalf("second step of the initiator: done %v, %v", done, err)
	}
	reply, id, err := a.Step(ctx, auth)
	if len(reply) != 0 || (id == nil) == (err == nil) {
		t.Fatalf("second step of the acceptor: reply %x, identity %v, %v", reply, id, err)
	}
	return id, err
}

func TestExchange(t *testing.T) {
	t.Parallel()
	tls := authn.ChannelBinding("tls-server-end-point:abcdefgh")
	accounts := testAccounts(t)
	for _, tt := range []struct {
		name    string
		user    string
		binding authn.ChannelBinding
		target  string
		m       Mechanism
		want    string
	}{
		{name: "domain and user", user: `CORP\alice`, want: `CORP\alice`},
		{name: "other case", user: `corp\ALICE`, want: `CORP\alice`},
		{name: "DNS domain", user: `corp.test\alice`, want: `CORP\alice`},
		{name: "UPN", user: "Alice@Corp.Test", want: `CORP\alice`},
		{name: "bare", user: "alice", want: `CORP\alice`},
		{name: "NetBIOS domain behind", user: "alice@CORP", want: `CORP\alice`},
		{name: "local", user: `.\alice`, want: `CORP\alice`},
		{name: "UPN of another domain", user: "j@other.test", want: `CORP\jürgen`},
		{name: "name outside ASCII", user: `CORP\JÜRGEN`, want: `CORP\jürgen`},
		{name: "TLS", user: "alice", binding: tls, want: `CORP\alice`},
		{name: "TLS required", user: "alice", binding: tls, m: Mechanism{Binding: authn.BindingRequired}, want: `CORP\alice`},
		{name: "binding off", user: "alice", binding: tls, m: Mechanism{Binding: authn.BindingOff}, want: `CORP\alice`},
		{name: "MIC required", user: "alice", m: Mechanism{RequireMIC: true}, want: `CORP\alice`},
		{name: "target", user: "alice", target: "HTTP/gw01.corp.test:8443",
			m: Mechanism{TargetNames: []string{"HTTP/other", "http/GW01.corp.test"}}, want: `CORP\alice`},
		{name: "no TLS, target required", user: "alice", target: "HTTP/gw01",
			m: Mechanism{Binding: authn.BindingRequired, TargetNames: []string{"gw01"}}, want: `CORP\alice`},
		{name: "no target, any allowed", user: "alice",
			m: Mechanism{TargetNames: []string{"gw01"}}, want: `CORP\alice`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := tt.m
			m.Verifier, m.Names, m.Now = accounts, testNames, testClock
			c, err := NewCredential(tt.user, authn.NewSecret(testPassword))
			if err != nil {
				t.Fatal(err)
			}
			a := m.NewAcceptor(authn.Exchange{Bindings: authn.Bindings{tt.binding}})
			i := &Initiator{Credential: c, Binding: tt.binding, TargetName: tt.target}
			id, err := login(t, a, i)
			if err != nil {
				t.Fatal(err)
			}
			if id.String() != tt.want || id.Mechanism != "NTLM" || !id.AuthTime.Equal(testTime) || id.Evidence != nil {
				t.Errorf("identity %+v, want %s", id, tt.want)
			}
			checkSigners(t, a.(authn.MessageSigner), i)
		})
	}
}

// checkSigners sends two messages each way.
func checkSigners(t *testing.T, a, i authn.MessageSigner) {
	t.Helper()
	for _, dir := range []struct {
		name     string
		from, to authn.MessageSigner
	}{{"to server", i, a}, {"to client", a, i}} {
		for _, msg := range []string{"first", "second"} {
			mic, err := dir.from.GetMIC([]byte(msg))
			if err != nil {
				t.Fatalf("%s: GetMIC: %v", dir.name, err)
			}
			if err := dir.to.VerifyMIC([]byte(msg), mic); err != nil {
				t.Errorf("%s: VerifyMIC of %s: %v", dir.name, msg, err)
			}
		}
	}
}
