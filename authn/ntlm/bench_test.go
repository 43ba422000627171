package ntlm

import (
	"context"
	"testing"

	"github.com/soapward/soapward/authn"
)

// BenchmarkAccept is the server's part of a login: both messages, the local
// verifier, MIC, channel binding and keys.
func BenchmarkAccept(b *testing.B) {
	ctx := context.Background()
	binding := authn.ChannelBinding("tls-server-end-point:0123456789abcdef0123456789abcdef")
	m := &Mechanism{Verifier: testAccounts(b), Names: testNames, Now: testClock, RequireMIC: true}
	m.testOnlyChallenge = func() [8]byte { return specServerChallenge }
	x := authn.Exchange{Bindings: authn.Bindings{binding}}
	i := benchInitiator(b, binding)
	neg, _, _ := i.Step(ctx, nil)
	challenge, _, err := m.NewAcceptor(x).Step(ctx, neg)
	if err != nil {
		b.Fatal(err)
	}
	auth, _, err := i.Step(ctx, challenge)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		a := m.NewAcceptor(x)
		if _, _, err := a.Step(ctx, neg); err != nil {
			b.Fatal(err)
		}
		if _, id, err := a.Step(ctx, auth); err != nil || id == nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInitiate is the client's part.
func BenchmarkInitiate(b *testing.B) {
	ctx := context.Background()
	binding := authn.ChannelBinding("tls-server-end-point:0123456789abcdef0123456789abcdef")
	m := &Mechanism{Verifier: testAccounts(b), Names: testNames}
	neg, _, _ := benchInitiator(b, binding).Step(ctx, nil)
	challenge, _, err := m.NewAcceptor(authn.Exchange{}).Step(ctx, neg)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		i := benchInitiator(b, binding)
		if _, _, err := i.Step(ctx, nil); err != nil {
			b.Fatal(err)
		}
		if _, done, err := i.Step(ctx, challenge); err != nil || !done {
			b.Fatal(err)
		}
	}
}

func benchInitiator(b *testing.B, binding authn.ChannelBinding) *Initiator {
	b.Helper()
	cred, err := NewCredential(`CORP\alice`, authn.NewSecret(testPassword))
	if err != nil {
		b.Fatal(err)
	}
	return &Initiator{Credential: cred, TargetName: "HTTP/gw01.corp.test", Binding: binding}
}
