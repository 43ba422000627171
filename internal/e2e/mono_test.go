package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/internal/testenv"
)

// monoClient compiles the client of testdata/mono.
func monoClient(t *testing.T) foreignClient {
	t.Helper()
	program := filepath.Join(t.TempDir(), "call.exe")
	testenv.Run(t, nil, "", testenv.Need(t, "mcs"), "-r:Mono.Security", "-out:"+program, "testdata/mono/call.cs")
	return foreignClient{argv: []string{testenv.Need(t, "mono"), program}}
}

// TestAttackMonoNTLMv1: what HttpWebRequest sends by itself is NTLMv1, which
// is refused, and the log says what to change. TestMono makes that change.
func TestAttackMonoNTLMv1(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig{login: &iwa.Authenticator{NTLM: localNTLM(t), NoNegotiate: true}})
	call := foreignCall{url: s.URL, domain: localDomain, user: localUser, password: localPass, body: "<a/>", count: 1}
	answer := monoClient(t).call(t, call)[0]
	checkRefused(t, s, answer.status, answer.body, authn.ReasonWeak)
	if log := s.log.String(); !strings.Contains(log, "NTLMv1 response") || !strings.Contains(log, "NtlmSettings.DefaultAuthLevel = NtlmAuthLevel.NTLMv2_only") {
		t.Error("log does not say what was sent and what to change")
	}
}

// TestMono logs in with Mono's HttpWebRequest, told to speak NTLMv2.
func TestMono(t *testing.T) {
	t.Parallel()
	client := monoClient(t)
	client.argv = append(client.argv, "v2")
	client.mayFail = map[string]string{
		"1 MB post": "it sends the body before it is logged in, and does not read the answer that comes before the body's end",
	}
	client.testLogins(t)
}
