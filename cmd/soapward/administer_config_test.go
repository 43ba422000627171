package main

import (
	"context"
	"strings"
	"testing"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/admintest"
)

// Going back to what keeps out who goes back takes --force, as applying it does.
func TestConfigRollBackForce(t *testing.T) {
	t.Parallel()
	o := officeAt(t, apiFor(&admin.Caller{Name: "root", Role: admin.Administrator}, &admintest.Fake{Answer: func(_ context.Context, method string, args []any) (any, error) {
		if method == "RollBack" && args[2] != true {
			return nil, &admin.Error{Kind: admin.Refused, Text: "it would keep you out: why", Remedy: "roll back with force if that is meant"}
		}
		return &admin.ConfigVersion{ID: 42}, nil
	}}))
	code, _, errs := o.run("config", "rollback", "7", "--server", o.server)
	if code != 1 || !strings.Contains(errs, "keep you out: why") || !strings.Contains(errs, "try: roll back with force") {
		t.Errorf("without: exit code %d, %s", code, errs)
	}
	code, out, errs := o.run("config", "rollback", "7", "--force", "--server", o.server)
	if code != 0 || !strings.Contains(out, "version 42 is in force, with the files of version 7") {
		t.Errorf("with --force: exit code %d, %s%s", code, out, errs)
	}
}
