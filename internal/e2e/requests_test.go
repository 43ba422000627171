package e2e

import (
	"testing"

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
