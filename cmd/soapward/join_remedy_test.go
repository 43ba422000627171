package main

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/directory/computer"
	"github.com/soapward/soapward/directory/ldap"
	"github.com/soapward/soapward/internal/adtest"
)

// What certutil writes on Windows is DER.
func TestJoinAuthorityInDER(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	dir := passwordDir(t)
	text, err := os.ReadFile(dc.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	der := filepath.Join(dir, "ca.cer")
	if err := os.WriteFile(der, block.Bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errOut := joinIn(t, joinNetwork{}, "--computer", "DER01", "--controller", dc.IP, "--ca-file", der, "-u", "Administrator",
		"--password-file", filepath.Join(dir, "admin"), "--secret", filepath.Join(dir, "secret"), "--dry-run")
	if code != exitDone {
		t.Errorf("code %d\n%s%s", code, out, errOut)
	}
}

// A name that DNS does not have is told once, not for each port.
func TestJoinUnknownController(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	code, _, errOut := joinIn(t, dnsOf(dc), "--computer", "DNS02", "--controller", "absent.corp.test", "-u", "Administrator",
		"--secret", filepath.Join(t.TempDir(), "secret"))
	if code != exitFailed || strings.Count(errOut, "no such host") != 1 || !strings.Contains(errOut, "\n  try: check the name, and whether this machine asks the domain's DNS server\n") {
		t.Errorf("code %d, %s", code, errOut)
	}
}

// --reset of an account that is disabled, as samba-tool makes them: it is not
// the password that keeps it from logging in.
func TestJoinResetDisabled(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	c := adminConn(t, dc)
	dn := ldap.Child("CN", "OFF01", newUnit(t, c, "Off"))
	if err := c.Add(t.Context(), dn, ldap.Attribute{Name: "objectClass", Values: []string{"computer"}},
		ldap.Attribute{Name: "sAMAccountName", Values: []string{"OFF01$"}},
		ldap.Attribute{Name: "userAccountControl", Values: []string{"4098"}}); err != nil {
		t.Fatal(err)
	}
	dir := passwordDir(t)
	code, out, errOut := joinIn(t, joinNetwork{}, "--computer", "OFF01", "--controller", dc.IP, "--ca-file", dc.CAFile, "-u", "Administrator",
		"--password-file", filepath.Join(dir, "admin"), "--secret", filepath.Join(dir, "secret"), "--reset")
	if code != exitFailed || !strings.Contains(out, "samba-tool user enable 'OFF01$'") ||
		!strings.Contains(errOut, "\n  try: give the commands above to an administrator; soapward join --rotate") {
		t.Errorf("code %d\n%s%s", code, out, errOut)
	}
}

func TestRemedyOfFiles(t *testing.T) {
	t.Parallel()
	j := joining{flags: &joinFlags{}}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("computer: lock: %w", &fs.PathError{Op: "open", Path: "gw01.secret.lock", Err: fs.ErrPermission}), "may write gw01.secret.lock and its directory"},
		{fmt.Errorf("%w: gw01.secret.lock", computer.ErrLocked), "wait until it is done"},
		{errors.New("else"), ""},
	} {
		if got := j.remedy(tt.err); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
}
