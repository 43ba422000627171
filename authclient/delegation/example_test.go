package delegation_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
)

// A caller who logged in by NTLM cannot be passed on, and the error says so.
func ExampleSource() {
	source := delegation.Source(&delegation.Delegator{
		Upstreams: []delegation.Upstream{{SPN: "HTTP/back.corp.test"}},
	})
	caller := &authn.Identity{Account: "alice", Domain: "CORP", Mechanism: authn.MechanismNTLM}
	ctx := authn.NewContext(context.Background(), caller) // the middleware does this

	back, _ := url.Parse("https://back.corp.test/")
	_, err := source.Credential(ctx, authclient.TargetOf(back))
	fmt.Println(err)
	fmt.Println("double hop:", errors.Is(err, delegation.ErrDoubleHop))
	// Output:
	// delegation: act for CORP\alice (NTLM) at HTTP/back.corp.test: the caller logged in by NTLM, which leaves nothing that could be shown to a second server (double hop)
	// double hop: true
}
