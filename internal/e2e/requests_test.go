package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/testenv"
)

// requestsClient is Python's requests with requests_ntlm.
func requestsClient(t *testing.T) foreignClient {
	t.Helper()
	return foreignClient{
		argv: []string{testenv.NeedPython(t, "requests_ntlm"), "testdata/requests_call.py"},
		env:  []string{"OPENSSL_CONF=" + writeFile(t, "openssl.cnf", legacyOpenSSL)},
		mayFail: map[string]string{
			"1 MB post": "it sends the body with each leg of the handshake, and more than 256 KiB of it end the connection",
		},
	}
}

func TestRequestsNTLM(t *testing.T) {
	t.Parallel()
	requestsClient(t).testLogins(t)
}

// Python's requests with requests_kerberos, which wants the server's proof with
// each answer. It sends each request without a login first.
func TestRequestsKerberos(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	client := foreignClient{
		argv: []string{testenv.NeedPython(t, "requests", "requests_kerberos"), "testdata/requests_kerberos_call.py"},
		env:  append(dc.Env(), "KRB5CCNAME=FILE:"+dc.Kinit(t, adtest.Alice)),
	}
	for _, tls := range []bool{false, true} {
		for name, body := range map[string]string{"get": "", "post": "<a/>", "1 MB post": strings.Repeat("<a/>", 1<<18)} {
			t.Run(fmt.Sprintf("%s tls=%v", name, tls), func(t *testing.T) {
				t.Parallel()
				s := startServer(t, serverConfig{login: &iwa.Authenticator{Kerberos: domainKerberos(t, dc, adtest.Web)}, tls: tls})
				for _, a := range client.call(t, foreignCall{url: s.URL, domain: "web.corp.test", body: body, count: 3, caFile: s.CAFile}) {
					if a.status != "200" {
						t.Fatalf("status %s, body %q, want 200", a.status, a.body)
					}
					me := decodeWhoami(t, a.body)
					if me.User != `CORP\alice` || me.SID != authn.SID(dc.SID(t, adtest.Alice)) || !slices.Contains(me.Groups, authn.SID(dc.SID(t, adtest.Payroll))) {
						t.Errorf("caller = %+v, want alice and her groups", me)
					}
					checkBody(t, me, body)
				}
			})
		}
	}
	t.Run("binding required", func(t *testing.T) {
		t.Parallel()
		m := domainKerberos(t, dc, adtest.Web)
		m.Binding = authn.BindingRequired
		s := startServer(t, serverConfig{login: &iwa.Authenticator{Kerberos: m}, tls: true})
		a := client.call(t, foreignCall{url: s.URL, domain: "web.corp.test", count: 1, caFile: s.CAFile})[0]
		checkRefused(t, s, a.status, a.body, authn.ReasonChannelBinding)
		if !strings.Contains(s.log.String(), "the client sends no channel bindings") {
			t.Error("log does not say what the client lacks")
		}
	})
	t.Run("another service", func(t *testing.T) {
		t.Parallel()
		s := startServer(t, serverConfig{login: &iwa.Authenticator{Kerberos: domainKerberos(t, dc, adtest.Web)}})
		a := client.call(t, foreignCall{url: s.URL, domain: "other.corp.test", count: 1})[0]
		checkRefused(t, s, a.status, a.body, authn.ReasonWrongTarget)
	})
}
