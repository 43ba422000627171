package e2e

import (
	"testing"

	"github.com/soapward/soapward/internal/testenv"
)

// TestNodeHTTPNTLM logs in with httpntlm, which SOAP clients of Node.js use.
func TestNodeHTTPNTLM(t *testing.T) {
	t.Parallel()
	node := testenv.Need(t, "node")
	foreignClient{
		argv:        []string{node, "testdata/node/call.js", testenv.NodeModules(t, "testdata/node")},
		logsInAgain: true,
	}.testLogins(t)
}
