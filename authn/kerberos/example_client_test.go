package kerberos_test

import (
	"context"
	"fmt"
	"log"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/kdc"
)

// A service takes in a caller who did not come by Kerberos and calls another
// service in that caller's name. A KDC in this process stands for the domain
// controller.
func ExampleClient_S4U2Self() {
	dc, err := kdc.New(kdc.Config{Realm: "CORP.TEST"})
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range []kdc.Account{
		{Name: "alice", Password: "of alice"},
		{Name: "svc-front", Password: "of front", TrustedToAuth: true, DelegateTo: []string{"HTTP/back.corp.test"}},
		{Name: "svc-back", Password: "of back", SPNs: []string{"HTTP/back.corp.test"}},
	} {
		if err := dc.Add(a); err != nil {
			log.Fatal(err)
		}
	}
	if err := dc.Start("127.0.0.1:0"); err != nil {
		log.Fatal(err)
	}
	defer func() { _ = dc.Close() }()

	cfg := kerberos.Config{
		DefaultRealm: "CORP.TEST",
		Realms:       map[string]kerberos.Realm{"CORP.TEST": {KDCs: []string{dc.Addr()}}},
	}
	front, err := kerberos.NewPasswordClient(cfg, "svc-front", authn.NewSecret("of front"))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	evidence, err := front.S4U2Self(ctx, "alice")
	if err != nil {
		log.Fatal(err)
	}
	ticket, err := front.S4U2Proxy(ctx, evidence, "HTTP/back.corp.test")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ticket)

	// The back end: its keytab and one login with the ticket.
	b, err := dc.Keytab("svc-back")
	if err != nil {
		log.Fatal(err)
	}
	keytab, err := kerberos.ParseKeytab(b)
	if err != nil {
		log.Fatal(err)
	}
	back := &kerberos.Mechanism{Keytab: keytab, SPNs: []string{"HTTP/back.corp.test"}}
	initiator := ticket.NewInitiator(kerberos.InitiatorConfig{})
	request, _, err := initiator.Step(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	reply, caller, err := back.NewAcceptor(authn.Exchange{}).Step(ctx, request)
	if err != nil {
		log.Fatal(err)
	}
	_, proven, err := initiator.Step(ctx, reply)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the back end sees", caller, "and has proved itself:", proven)

	// Output:
	// ticket of alice@CORP.TEST for HTTP/back.corp.test@CORP.TEST
	// the back end sees CORP\alice and has proved itself: true
}
