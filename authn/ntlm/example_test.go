package ntlm_test

import (
	"context"
	"fmt"
	"log"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
)

// A service that knows its users itself. Package iwa carries the messages over
// HTTP; here they are handed over by hand.
func Example() {
	accounts, err := ntlm.NewAccounts("CORP", "corp.test",
		ntlm.Account{Name: "alice", Password: authn.NewSecret("correct horse")})
	if err != nil {
		log.Fatal(err)
	}
	server := &ntlm.Mechanism{Verifier: accounts, Names: ntlm.Names{Domain: "CORP", Computer: "GW01"}}

	credential, err := ntlm.NewCredential(`CORP\alice`, authn.NewSecret("correct horse"))
	if err != nil {
		log.Fatal(err)
	}
	client := &ntlm.Initiator{Credential: credential, TargetName: "HTTP/gw01.corp.test"}

	ctx := context.Background()
	acceptor := server.NewAcceptor(authn.Exchange{})
	negotiate, _, _ := client.Step(ctx, nil)
	challenge, _, _ := acceptor.Step(ctx, negotiate)
	authenticate, _, _ := client.Step(ctx, challenge)
	_, id, err := acceptor.Step(ctx, authenticate)
	fmt.Println(id, id.Mechanism, err)
	// Output: CORP\alice NTLM <nil>
}

// A tool that shows people what is in a token.
func ExampleParseChallenge() {
	m := &ntlm.Mechanism{Verifier: new(ntlm.Accounts), Names: ntlm.Names{Domain: "CORP", Computer: "GW01"}}
	client := &ntlm.Initiator{Credential: ntlm.Credential{User: "alice", Hash: ntlm.HashPassword("x")}}
	negotiate, _, _ := client.Step(context.Background(), nil)
	token, _, _ := m.NewAcceptor(authn.Exchange{}).Step(context.Background(), negotiate)

	c, err := ntlm.ParseChallenge(token)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.TargetName, c.TargetInfo.Text(ntlm.AVComputer))
	fmt.Println(c.Flags.Has(ntlm.FlagExtendedSecurity))
	// Output:
	// CORP GW01
	// true
}
