package main

import (
	"strings"
	"testing"

	"github.com/soapward/soapward/admin"
)

// TestPrintTest: names that are longer than their column ran into their values.
func TestPrintTest(t *testing.T) {
	t.Parallel()
	cmd, out := newRootCommand(), new(strings.Builder)
	cmd.SetOut(out)
	err := printTest(cmd, &admin.Test{Realm: "it", Kind: "provider"}, &admin.TestResult{OK: true, Steps: []admin.TestStep{
		{Name: "provider", OK: true, Text: "well", Details: []admin.Detail{{Name: "keys", Value: "rsa"}, {Name: "names itself in answers", Value: "yes"}}},
	}})
	if err != nil || !strings.Contains(out.String(), "names itself in answers  yes") || !strings.Contains(out.String(), "keys                     rsa") {
		t.Errorf("%v\n%s", err, out)
	}
}
