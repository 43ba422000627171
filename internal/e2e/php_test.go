package e2e

import (
	"testing"

	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/internal/testenv"
)

// TestPHPCurl logs in with curl as PHP programs use it: one handle, several
// requests.
func TestPHPCurl(t *testing.T) {
	t.Parallel()
	client := foreignClient{argv: []string{testenv.NeedPHP(t, "curl"), "testdata/curl_call.php"}}
	client.testLogins(t)

	// Without a user it is who GSSAPI says, as a service with a ticket would be.
	t.Run("Negotiate", func(t *testing.T) {
		t.Parallel()
		s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: localNTLM(t)}})
		client.env = gssNTLM(t, "CORP:alice:"+localPass)
		for _, a := range client.call(t, foreignCall{url: s.URL, body: "<a/>", count: 2}) {
			checkLocalAlice(t, a.body, a.status, "<a/>")
		}
		checkLoginLogged(t, s)
	})
}
