package gokrb5test

import (
	"os"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
)

// childVariable names the test that a process was started for.
const childVariable = "SOAPWARD_TEST_GOKRB5_CHILD"

// inChild runs the calling test once more in a process of its own, for what
// changes a whole process: gokrb5's one replay cache, the resolver, a data race
// that ends it. It reports true in that process, and false in the first one,
// together with what the other printed and how it ended.
func inChild(t *testing.T, env ...string) (child bool, output string, err error) {
	t.Helper()
	if os.Getenv(childVariable) == t.Name() {
		return true, "", nil
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	output, err = testenv.Try(t, append(env, childVariable+"="+t.Name()), "", self,
		"-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	return false, output, err
}

// runInChild is inChild for tests whose other process has to succeed.
func runInChild(t *testing.T) (child bool) {
	t.Helper()
	child, output, err := inChild(t)
	if err != nil || !child && !strings.Contains(output, "--- PASS: "+t.Name()+" ") {
		t.Errorf("in a process of its own: %v\n%s", err, output)
	}
	return child
}
