package password_test

import (
	"crypto/tls"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/password"
)

// The users that log in by NTLM can log in by Basic as well.
func ExampleBasic() {
	accounts, err := ntlm.NewAccounts("CORP", "", ntlm.Account{Name: "alice", Password: authn.NewSecret("correct horse")})
	if err != nil {
		log.Fatal(err)
	}
	mw := &authn.Middleware{Authenticators: []authn.Authenticator{
		&password.Basic{Verifier: accounts, Realm: "corp"},
	}}
	h := mw.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %v", authn.FromContext(r.Context()))
	}))

	r := httptest.NewRequest(http.MethodGet, "https://host/", nil)
	r.TLS = &tls.ConnectionState{}
	r.SetBasicAuth("alice", "correct horse")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 hello CORP\alice
}
