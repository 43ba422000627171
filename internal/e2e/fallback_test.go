package e2e

import (
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/spnego"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/testenv"
)

// TestCurlFallsBackToNTLM: the client is logged in to the realm and prefers
// Kerberos, and it is NTLM that it gets in by. Both ends prove then that nobody
// changed the list of mechanisms.
func TestCurlFallsBackToNTLM(t *testing.T) {
	t.Parallel()
	testenv.NeedFile(t, "/etc/gss/mech.d/mech.ntlmssp.conf")
	dc := adtest.Start(t)
	env := append(dc.Env(), "KRB5CCNAME=FILE:"+dc.Kinit(t, adtest.Alice),
		"NTLM_USER_FILE="+writeFile(t, "ntlm", "CORP:alice:"+localPass+"\n"))
	for _, tt := range []struct {
		name, host string
		mechs      []asn1.ObjectIdentifier // offered, the preferred first
		tokens     int                     // sent by the client
	}{
		{"the server takes no Kerberos", "web.corp.test", []asn1.ObjectIdentifier{spnego.OIDKerberos, spnego.OIDNTLM}, 3},
		// The library drops Kerberos when it gets no ticket.
		{"the KDC does not know the service", "unknown.corp.test", []asn1.ObjectIdentifier{spnego.OIDNTLM}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: localNTLM(t)}})
			headers := filepath.Join(t.TempDir(), "headers")
			body, status := curl(t, env, ":", "--negotiate", "-d", "<a/>", "-D", headers,
				"--resolve", tt.host+":"+s.Port+":127.0.0.1", s.At(tt.host, "/"))
			checkLocalAlice(t, body, status, "<a/>")
			checkLoginLogged(t, s)

			sent := s.Tokens(t, "Negotiate")
			if len(sent) != tt.tokens {
				t.Fatalf("client sent %d tokens, want %d", len(sent), tt.tokens)
			}
			first, err := spnego.ParseInit(sent[0])
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(first.MechTypes, tt.mechs, asn1.ObjectIdentifier.Equal) {
				t.Errorf("client offers %v, want %v", first.MechTypes, tt.mechs)
			}
			if kerberos := bytes.HasPrefix(first.MechToken, []byte{0x60}); kerberos != tt.mechs[0].Equal(spnego.OIDKerberos) {
				t.Errorf("first token %x is not of the first mechanism", first.MechToken)
			}
			last, err := spnego.ParseResp(sent[len(sent)-1])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ntlm.ParseAuthenticate(last.ResponseToken); err != nil || len(last.MechListMIC) == 0 {
				t.Errorf("last token has no mechListMIC beside AUTHENTICATE: %x, %v", last.MechListMIC, err)
			}
			if answer := lastNegotiate(t, headers); answer.State != spnego.AcceptCompleted || len(answer.MechListMIC) == 0 {
				t.Errorf("server's last token %+v, want a mechListMIC", answer)
			}
		})
	}
}

// lastNegotiate returns the last token of the server in the headers of all
// answers, as curl wrote them.
func lastNegotiate(t *testing.T, file string) *spnego.NegTokenResp {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var last string
	for line := range strings.Lines(string(b)) {
		if _, token, ok := strings.Cut(line, "Negotiate "); ok {
			last = strings.TrimSpace(token)
		}
	}
	token, err := base64.StdEncoding.DecodeString(last)
	if err != nil {
		t.Fatal(err)
	}
	r, err := spnego.ParseResp(token)
	if err != nil {
		t.Fatalf("token %q: %v", last, err)
	}
	return r
}
