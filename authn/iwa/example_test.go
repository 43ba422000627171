package iwa_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
)

// Logins that are bound to the server's certificate, so that nobody in between
// can pass them on. BindingRequired keeps out the clients that send no binding,
// such as curl with NTLM.
func ExampleNewTLSListener() {
	issued := httptest.NewTLSServer(nil) // in the place of tls.LoadX509KeyPair
	defer issued.Close()
	config := &tls.Config{Certificates: issued.TLS.Certificates}

	accounts, err := ntlm.NewAccounts("CORP", "corp.test", ntlm.Account{Name: "alice", Password: authn.NewSecret("secret")})
	if err != nil {
		fmt.Println(err)
		return
	}
	guard := &authn.Middleware{Authenticators: []authn.Authenticator{&iwa.Authenticator{NTLM: &ntlm.Mechanism{
		Verifier: accounts, Names: ntlm.Names{Domain: "CORP", Computer: "GW01"},
		Binding: authn.BindingRequired,
	}}}}
	server := iwa.Server(guard.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, authn.FromContext(r.Context()))
	})))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() { _ = server.Serve(iwa.NewTLSListener(l, config)) }() // ends with Close
	defer func() { _ = server.Close() }()

	transport := &authclient.Transport{
		Base:   issued.Client().Transport.(*http.Transport).Clone(), // trusts the certificate
		Source: authclient.Static(&authclient.NTLM{User: `CORP\alice`, Password: authn.NewSecret("secret")}),
	}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("https://" + l.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	caller, err := io.ReadAll(resp.Body)
	fmt.Println(string(caller), err)
	// Output: CORP\alice <nil>
}
