package e2e

import (
	"testing"

	"github.com/soapward/soapward/internal/testenv"
)

// TestPHPCurl logs in with curl as PHP programs use it: one handle, several
// requests.
func TestPHPCurl(t *testing.T) {
	t.Parallel()
	foreignClient{argv: []string{testenv.NeedPHP(t, "curl"), "testdata/curl_call.php"}}.testLogins(t)
}
