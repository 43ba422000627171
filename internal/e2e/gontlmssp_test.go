package e2e

import (
	"io"
	"net/http"
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
		status    int
	}{
		{"Negotiate", true, `CORP\alice`, localPass, http.StatusOK},
		{"NTLM", false, `CORP\alice`, localPass, http.StatusOK},
		{"user principal name", true, `alice@corp.test`, localPass, http.StatusOK},
		{"no domain", true, `alice`, localPass, http.StatusOK},
		{"wrong password", true, `CORP\alice`, "wrong", http.StatusUnauthorized},
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
			body := strings.Repeat("<a/>", 1000)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader(body))
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
			if resp.StatusCode != tt.status {
				t.Fatalf("status = %s, body %q, want %d", resp.Status, got, tt.status)
			}
			if tt.status == http.StatusOK {
				checkLocalAlice(t, string(got), "200", body)
				return
			}
			if !strings.Contains(s.log.String(), "reason="+string(authn.ReasonWrongPassword)) {
				t.Error("log does not name the reason")
			}
		})
	}
}
