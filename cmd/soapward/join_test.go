package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory/computer"
	"github.com/soapward/soapward/directory/ldap"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/testenv"
)

// TestJoinScripts runs the command lines in testdata/join against a domain
// controller: $DC is its address, $CA its certificate. The files admin, jill,
// bob and dave have the passwords of those users.
func TestJoinScripts(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	for _, program := range []string{"kinit", "kvno", "klist"} {
		testenv.Need(t, program)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/join",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("DC", dc.IP)
			e.Setenv("CA", dc.CAFile)
			e.Setenv("OU", adtest.GatewaysDN)
			e.Setenv("KRB5_CONFIG", dc.Krb5Conf)
			return writePasswords(t, e.WorkDir)
		},
	})
}

// writePasswords writes the password files of users.
func writePasswords(t *testing.T, dir string) error {
	t.Helper()
	passwords := map[string]string{"admin": adtest.AdminPassword, "wrong": "n0t-1t"}
	for _, user := range []string{adtest.Jill, adtest.Bob, adtest.Dave} {
		passwords[user] = adtest.Password(t, user)
	}
	for user, password := range passwords {
		if err := os.WriteFile(filepath.Join(dir, user), []byte(password+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// passwordDir returns a directory with the password files of users.
func passwordDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := writePasswords(t, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// joinIn runs soapward join in this process with a network of its own, and
// files in dir.
func joinIn(t *testing.T, network joinNetwork, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	root := newRootCommand()
	for _, c := range root.Commands() {
		if c.Name() == "join" {
			root.RemoveCommand(c)
		}
	}
	root.AddCommand(newJoinCommand(network))
	var out, errOut bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&errOut)
	code = execute(t.Context(), root, append([]string{"join", "--domain", "corp.test"}, args...))
	return code, out.String(), errOut.String()
}

// dnsOf is a network whose DNS is the domain controller's.
func dnsOf(dc *adtest.DC) joinNetwork {
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, net.JoinHostPort(dc.IP, "53"))
	}}
	return joinNetwork{resolver: r, dialer: &net.Dialer{Resolver: r}}
}

// Without --controller, the domain's own DNS names one.
func TestJoinFindsController(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	dir := passwordDir(t)
	secret := filepath.Join(dir, "secret")
	code, out, errOut := joinIn(t, dnsOf(dc), "--computer", "DNS01", "--ca-file", dc.CAFile, "-u", "Administrator",
		"--password-file", filepath.Join(dir, "admin"), "--secret", secret, "--keytab", filepath.Join(dir, "keytab"), "--json")
	var r joinReport
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitDone {
		t.Fatalf("code %d, %v\n%s%s", code, err, out, errOut)
	}
	if r.Controller != dc.Host || r.Account != "DNS01$" || r.NetBIOS != adtest.NetBIOS || !r.Changed || r.KeyVersion == 0 || len(r.Left) > 0 {
		t.Errorf("%+v", r)
	}
	for _, c := range r.Checks {
		if c.State != "ok" {
			t.Errorf("check %+v", c)
		}
	}
	if code, out, errOut := joinIn(t, dnsOf(dc), "--computer", "DNS01", "--ca-file", dc.CAFile, "--secret", secret, "--rotate", "--max-age", "0"); code != exitDone || !strings.Contains(out, "password changed") {
		t.Errorf("rotate: code %d\n%s%s", code, out, errOut)
	}
}

// Who answers for DNS sends us to a server of his own.
func TestAttackJoinAtForeignController(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	dialled := false
	network := joinNetwork{
		resolver: srvAnswer("dc1.evil.example."),
		dialer: dialFunc(func(ctx context.Context) (net.Conn, error) {
			dialled = true
			var d net.Dialer
			return d.DialContext(ctx, "tcp", l.Addr().String())
		}),
	}
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("m4rked"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errOut := joinIn(t, network, "--computer", "GW01", "-u", "Administrator", "--password-file", password, "--secret", password+".x")
	if code != exitFailed || dialled || !strings.Contains(errOut, "evil.example") || !strings.Contains(errOut, "try: name a domain controller: --controller HOST") {
		t.Errorf("code %d, dialled %v, %s", code, dialled, errOut)
	}
}

type srvAnswer string

func (s srvAnswer) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", []*net.SRV{{Target: string(s), Port: 389}}, nil
}

type dialFunc func(ctx context.Context) (net.Conn, error)

func (f dialFunc) DialContext(ctx context.Context, _, _ string) (net.Conn, error) { return f(ctx) }

// adminConn is a connection of an administrator.
func adminConn(t *testing.T, dc *adtest.DC) *ldap.Conn {
	t.Helper()
	c, err := ldap.Dial(t.Context(), ldap.Config{URL: "ldaps://" + dc.IP, Roots: dc.Roots(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Bind(t.Context(), "Administrator@corp.test", authn.NewSecret(adtest.AdminPassword)); err != nil {
		t.Fatal(err)
	}
	return c
}

// newUnit makes an organizational unit for one test.
func newUnit(t *testing.T, c *ldap.Conn, name string) string {
	t.Helper()
	dn := ldap.Child("OU", name, "DC=corp,DC=test")
	if err := c.Add(t.Context(), dn, ldap.Attribute{Name: "objectClass", Values: []string{"organizationalUnit"}}); err != nil {
		t.Fatal(err)
	}
	return dn
}

// tree is what a unit has in it, with the number of the last change of each.
func tree(t *testing.T, c *ldap.Conn, dn string) []string {
	t.Helper()
	found, err := c.Search(t.Context(), ldap.Search{Base: dn, Attributes: []string{"uSNChanged"}})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range found {
		out = append(out, e.DN+" "+e.Value("uSNChanged"))
	}
	slices.Sort(out)
	return out
}

// A dry run writes nothing, in the directory or on the disk.
func TestJoinDryRun(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	c := adminConn(t, dc)
	ou := newUnit(t, c, "Dry")
	dir := passwordDir(t)
	secret, keytab := filepath.Join(dir, "secret"), filepath.Join(dir, "keytab")
	args := func(more ...string) []string {
		return append([]string{"--computer", "DRY01", "--controller", dc.IP, "--ca-file", dc.CAFile, "--secret", secret, "--keytab", keytab}, more...)
	}
	asAdmin := []string{"-u", "Administrator", "--password-file", filepath.Join(dir, "admin")}
	unchanged := func(what, want string, args []string) {
		t.Helper()
		directory, disk := tree(t, c, ou), snapshot(t, dir)
		code, out, errOut := joinIn(t, joinNetwork{}, append(args, "--dry-run")...)
		if code != exitDone || !strings.Contains(out, want) {
			t.Errorf("%s: code %d, want %q\n%s%s", what, code, want, out, errOut)
		}
		if got := tree(t, c, ou); !slices.Equal(got, directory) {
			t.Errorf("%s: the directory has %q, had %q", what, got, directory)
		}
		if got := snapshot(t, dir); !slices.Equal(got, disk) {
			t.Errorf("%s: the disk has %q, had %q", what, got, disk)
		}
	}
	create := args(append(asAdmin, "--ou", ou)...)
	unchanged("create", "account would be made", create)
	if code, out, errOut := joinIn(t, joinNetwork{}, create...); code != exitDone {
		t.Fatalf("code %d\n%s%s", code, out, errOut)
	}
	unchanged("reset", "password would be set anew", args(append(asAdmin, "--reset")...))
	unchanged("rotate", "password would stay", args("--rotate"))
	unchanged("rotate now", "password would be changed", args("--rotate", "--max-age", "0"))
}

// snapshot lists files with their content.
func snapshot(t *testing.T, dir string) []string {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range all {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %x", e.Name(), b))
	}
	return out
}

// No password is in any output, of what succeeds and what fails.
func TestAttackJoinSecretsInOutput(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	dir := passwordDir(t)
	secret := filepath.Join(dir, "secret")
	var all strings.Builder
	var made []string
	for _, args := range [][]string{
		{"-u", "Administrator", "--password-file", "admin"},
		{"-u", "Administrator", "--password-file", "admin"}, // the file is there
		{"-u", "Administrator", "--password-file", "admin", "--secret", "other"},
		{"-u", "Administrator", "--password-file", "wrong", "--secret", "other"},
		{"-u", "bob", "--password-file", "bob", "--reset"},
		{"-u", "Administrator", "--password-file", "admin", "--reset", "--json"},
		{"--rotate", "--max-age", "0", "--json"},
		{"--rotate"},
		{"--rotate", "--dry-run"},
	} {
		for i := range args {
			if i > 0 && args[i-1] == "--password-file" || args[i] == "other" {
				args[i] = filepath.Join(dir, args[i])
			}
		}
		if !slices.Contains(args, "--secret") {
			args = append(args, "--secret", secret)
		}
		args = append([]string{"--computer", "MARK01", "--controller", dc.IP, "--ca-file", dc.CAFile, "--keytab", filepath.Join(dir, "keytab")}, args...)
		_, out, errOut := joinIn(t, joinNetwork{}, args...)
		all.WriteString(out + errOut)
		b, err := os.ReadFile(secret)
		if err != nil {
			t.Fatalf("%v\n%s", err, &all)
		}
		if s := strings.TrimSpace(string(b)); !slices.Contains(made, s) {
			made = append(made, s)
		}
	}
	if len(made) != 3 {
		t.Errorf("%d passwords, want 3: made, reset, rotated\n%s", len(made), &all)
	}
	for _, s := range append(made, adtest.AdminPassword, "n0t-1t", adtest.Password(t, adtest.Bob)) {
		if strings.Contains(all.String(), s) {
			t.Errorf("a password is in the output:\n%s", &all)
		}
	}
}

// What is left for an administrator is told, and makes the command fail.
func TestJoinLeft(t *testing.T) {
	t.Parallel()
	r := joinReport{Action: "reset", Account: "GW01$", Domain: "corp.test", Changed: true}
	if err := r.failure(); err != nil {
		t.Errorf("nothing is left: %v", err)
	}
	r.Left = []joinLeft{{"service name HTTP/hr.corp.test", "insufficient access rights", "setspn -S HTTP/hr.corp.test GW01", "samba-tool spn add HTTP/hr.corp.test 'GW01$'"}}
	var b strings.Builder
	r.text(&b)
	const want = `
Left for an administrator, because neither the user nor the account may do it:
  service name HTTP/hr.corp.test
    insufficient access rights
    on Windows: setspn -S HTTP/hr.corp.test GW01
    on Samba:   samba-tool spn add HTTP/hr.corp.test 'GW01$'
`
	if !strings.HasSuffix(b.String(), want) {
		t.Errorf("got %s\nwant %s", &b, want)
	}
	if err := r.failure(); err == nil || !strings.Contains(err.Error(), "1 thing about it is left") {
		t.Errorf("got %v", err)
	}
	r.check("secure channel", "", errors.New("a\nb"), false)
	if err := r.failure(); err == nil || !strings.Contains(err.Error(), "the secure channel check failed") || r.Checks[0].Text != "a; b" {
		t.Errorf("got %v, %+v", err, r.Checks)
	}
}

// A name in the directory must not run anything where the advice is pasted.
func TestAttackAdviceToPaste(t *testing.T) {
	t.Parallel()
	for dn, want := range map[string]string{
		"CN=GW01,OU=Gateways,DC=corp,DC=test": "CN=GW01,OU=Gateways,DC=corp,DC=test",
		"CN=GW01,OU=$(id),DC=corp,DC=test":    "DN-OF-THE-ACCOUNT",
		`CN=GW01,OU=\"&calc,DC=corp,DC=test`:  "DN-OF-THE-ACCOUNT",
	} {
		j := joining{flags: &joinFlags{reset: true, user: "jill@corp.test"}}
		j.report.DN = dn
		if got := j.remedy(fmt.Errorf("%w: no", computer.ErrDenied)); !strings.Contains(got, `dsacls "`+want+`" /G "jill@corp.test:CA;Reset Password"`) {
			t.Errorf("%s: %s", dn, got)
		}
	}
}

// Anybody on the way can show a certificate. Its names are not ours to
// recommend, unless they are in the domain, and nothing a shell would run.
func TestAttackAdviceFromCertificate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		names       []string
		want, never string
	}{
		{[]string{"dc1.corp.test"}, "--controller dc1.corp.test", "between"},
		{[]string{"DC1.CORP.TEST", "corp.test"}, "--controller DC1.CORP.TEST", " or "},
		{[]string{"dc1.evil.example"}, "somebody may be in between", "evil"},
		{[]string{"dc1.corp.test.evil.example", "evilcorp.test"}, "somebody may be in between", "evil"},
		{[]string{"$(evil).corp.test", "a;evil;.corp.test", "evil\x1b[2J.corp.test", "*.corp.test"}, "somebody may be in between", "evil"},
		{nil, "somebody may be in between", " or "},
	} {
		j := joining{flags: &joinFlags{account: computer.Account{Domain: "Corp.Test"}}}
		host := x509.HostnameError{Certificate: &x509.Certificate{DNSNames: tt.names}, Host: "dc2.corp.test"}
		got := j.remedy(fmt.Errorf("ldap: %w", &tls.CertificateVerificationError{Err: host}))
		if !strings.Contains(got, tt.want) || strings.Contains(got, tt.never) {
			t.Errorf("%q: %q, want %q and not %q", tt.names, got, tt.want, tt.never)
		}
	}
}

// What others wrote into the directory neither steers the terminal nor looks
// like advice of ours.
func TestAttackDirectoryTextAtTerminal(t *testing.T) {
	t.Parallel()
	const evil = "CN=a\n  try: sh evil\r\x1b]0;x\a\u202e\tb"
	r := joinReport{
		Action: "reset", Account: "GW01$", DN: evil, ServiceNames: []string{evil},
		Left: []joinLeft{{evil, evil, evil, evil}},
	}
	r.check("secure channel", evil, nil, false)
	var b strings.Builder
	r.text(&b)
	printError(&b, fmt.Errorf("the account exists: %s", strings.ReplaceAll(evil, "\n", "")), false)
	if got := b.String(); strings.ContainsAny(got, "\r\x1b\a\u202e") || strings.Contains(got, "\n  try:") {
		t.Errorf("got %q", got)
	}
}

func TestParseAge(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]time.Duration{"30d": 720 * time.Hour, "0": 0, "0d": 0, "12h": 12 * time.Hour, "1h30m": 90 * time.Minute} {
		if got, err := parseAge(s); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "d", "-1d", "-1h", "1.5d", "999999d", "30"} {
		if got, err := parseAge(s); err == nil {
			t.Errorf("%s: %v", s, got)
		}
	}
}
