package e2e

import (
	"testing"

	"github.com/soapward/soapward/internal/testenv"
)

func TestRequestsNTLM(t *testing.T) {
	t.Parallel()
	python := testenv.NeedPython(t, "requests_ntlm")
	env := []string{"OPENSSL_CONF=" + writeFile(t, "openssl.cnf", legacyOpenSSL)}
	foreignClient{
		argv: []string{python, "testdata/requests_call.py"}, env: env,
		fails: map[string]string{
			"1 MB post": "it sends the body with each leg of the handshake, and more than 256 KiB of it end the connection",
		},
	}.testLogins(t)
}
