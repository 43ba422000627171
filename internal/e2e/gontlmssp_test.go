package e2e

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/Azure/go-ntlmssp"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
)

// Azure/go-ntlmssp sends a short AUTHENTICATE without MIC, and offers the token
// under Negotiate if that is challenged.
func TestGoNTLMSSP(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		negotiate bool
		user      string
		password  string
		body      string       // empty: GET
		reason    authn.Reason // "" means that it is let in
	}{
		{"Negotiate", true, `CORP\alice`, localPass, strings.Repeat("<a/>", 1000), ""},
		{"Negotiate, GET", true, `CORP\alice`, localPass, "", ""},
		{"NTLM", false, `CORP\alice`, localPass, strings.Repeat("<a/>", 1000), ""},
		{"NTLM, GET", false, `CORP\alice`, localPass, "", ""},
		// It sends the body with each leg, and more than 256 KiB of it end the
		// connection, so that its answer comes on another one.
		{"NTLM, 1 MB", false, `CORP\alice`, localPass, strings.Repeat("<a/>", 1<<18), authn.ReasonOutOfOrder},
		{"user principal name", true, `alice@corp.test`, localPass, "<a/>", ""},
		{"no domain", true, `alice`, localPass, "<a/>", ""},
		{"wrong password", true, `CORP\alice`, "wrong", "<a/>", authn.ReasonWrongPassword},
		{"wrong password, NTLM", false, `CORP\alice`, "wrong", "<a/>", authn.ReasonWrongPassword},
		{"wrong password, GET", true, `CORP\alice`, "wrong", "", authn.ReasonWrongPassword},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: localNTLM(t), NoNegotiate: !tt.negotiate}})
			// It keeps no track of who a connection is logged in as, so each
			// user needs a transport.
			base := http.DefaultTransport.(*http.Transport).Clone()
			t.Cleanup(base.CloseIdleConnections)
			client := &http.Client{Transport: ntlmssp.Negotiator{RoundTripper: base}}
			method := http.MethodPost
			if tt.body == "" {
				method = http.MethodGet
			}
			req, err := http.NewRequestWithContext(t.Context(), method, s.URL, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			req.SetBasicAuth(tt.user, tt.password)
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			got, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			status := strconv.Itoa(resp.StatusCode)
			if tt.reason != "" {
				checkRefused(t, s, status, string(got), tt.reason)
				return
			}
			checkLocalAlice(t, string(got), status, tt.body)
			checkLoginLogged(t, s)
		})
	}
}
