package authclient_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

// A KDC cannot be reached, and NTLM takes its place only where that is allowed.
func ExampleKerberosFirst() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Www-Authenticate"] = []string{"Negotiate", "NTLM"}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()

	password := authn.NewSecret("secret")
	client, err := kerberos.NewPasswordClient(kerberos.Config{
		Realms: map[string]kerberos.Realm{"CORP.TEST": {KDCs: []string{"127.0.0.1:1"}}},
	}, "alice@CORP.TEST", password)
	if err != nil {
		fmt.Println(err)
		return
	}
	transport := &authclient.Transport{Source: authclient.Static(&authclient.KerberosFirst{
		Kerberos: &authclient.Kerberos{Client: client},
		NTLM:     &authclient.NTLM{User: `CORP\alice`, Password: password},
		// AllowNTLM: true would log in by NTLM here.
	})}
	defer transport.CloseIdleConnections()

	_, err = (&http.Client{Transport: transport}).Get(server.URL)
	fmt.Println(errors.Is(err, authclient.ErrNTLMNotAllowed))
	// Output: true
}

// Base names the proxy, Proxy is who logs in there.
func ExampleTransport_proxy() {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") == "" {
			w.Header().Set("Proxy-Authenticate", "Basic")
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		fmt.Fprint(w, r.URL) // a real one would get this
	}))
	defer proxy.Close()
	address, err := url.Parse(proxy.URL)
	if err != nil {
		fmt.Println(err)
		return
	}

	transport := &authclient.Transport{
		Base: &http.Transport{Proxy: http.ProxyURL(address)},
		Proxy: authclient.Static(&authclient.Basic{ // or NTLM, Kerberos, KerberosFirst
			User: "alice", Password: authn.NewSecret("secret"), AllowInsecureHTTP: true,
		}),
	}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("http://app.corp.test/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	fmt.Println(resp.Status)
	// Output: 200 OK
}
