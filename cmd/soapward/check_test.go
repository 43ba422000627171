package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/health"
	"github.com/soapward/soapward/gateway/publish"
)

// checkWith runs soapward check with parts in place of a gateway's.
func checkWith(t *testing.T, parts *gatewayParts, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	build := func(context.Context, *config.Config, map[string]*publish.Publisher, *slog.Logger) (*gatewayParts, error) {
		return parts, nil
	}
	if parts.close == nil {
		parts.close = func() {}
	}
	root := newRootCommand()
	for _, c := range root.Commands() {
		if c.Name() == "check" {
			root.RemoveCommand(c)
		}
	}
	root.AddCommand(newCheckCommand(build))
	var out, errs bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&errs)
	code = execute(t.Context(), root, append([]string{"check"}, args...))
	return code, out.String(), errs.String()
}

// gatewayFile is a configuration with a service that has a description.
func gatewayFile(t *testing.T) string {
	t.Helper()
	wsdl, err := filepath.Abs("../../examples/wsdl/expenses.wsdl")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "gw.yaml")
	text := `listen: [{addr: "127.0.0.1:8080"}]
realms: {staff: {internal: {}}}
roles: {payroll: {users: ["STAFF\\carol"]}}
services:
  expenses: {match: {path: /expenses}, login: [staff/basic], wsdl: "` + wsdl + `", upstream: {url: "http://127.0.0.1:1"}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// What --explain asks is what was meant.
func TestCheckExplain(t *testing.T) {
	t.Parallel()
	file := gatewayFile(t)
	for _, tt := range []struct {
		args []string
		want string // method, URL, operation, caller, client
	}{
		{[]string{"--explain", "https://gw.test"}, "GET https://gw.test/ anybody from "},
		{[]string{"--explain", "http://gw.test/expenses?x", "--method", "PUT", "--client", "10.9.1.2"}, "PUT http://gw.test/expenses?x anybody from 10.9.1.2"},
		{[]string{"--explain", "http://gw.test/x", "--operation", "{urn:a}B", "--as", "anonymous"}, "POST http://gw.test/x {urn:a}B nobody from "},
		{[]string{"--explain", "http://gw.test/x", "--operation", "ListExpenses"}, "POST http://gw.test/x {http://example.com/expenses/2026}ListExpenses anybody from "},
		{
			[]string{"--explain", "http://gw.test/x", "--as", `CORP\alice`, "--as", `CORP\Payroll`, "--as", "payroll", "--as", "S-1-5-21-1-2-3-513"},
			`GET http://gw.test/x {"Account":"alice","Domain":"CORP","Groups":[{"SID":"","Name":"CORP\\Payroll"},{"SID":"S-1-5-21-1-2-3-513","Name":""}],"Roles":["payroll"]} from `,
		},
		{[]string{"--explain", "http://gw.test/x", "--as", "alice@corp.test"}, `GET http://gw.test/x {"UPN":"alice@corp.test"} from `},
		{[]string{"--explain", "http://gw.test/x", "--as", "s-1-5-18"}, `GET http://gw.test/x {"Groups":[{"SID":"s-1-5-18","Name":""}],"SID":"s-1-5-18"} from `},
		{[]string{"--explain", "http://gw.test/x", "--as", "payroll"}, `GET http://gw.test/x {"Account":"somebody","Roles":["payroll"]} from `},
	} {
		got := ""
		parts := &gatewayParts{explain: func(ctx context.Context, method string, u *url.URL, operation string, id *authn.Identity, anybody bool) *authz.Explanation {
			who := "nobody"
			switch {
			case anybody:
				who = "anybody"
			case id != nil:
				who = said(t, id)
			}
			client := ""
			if a, ok := authn.ClientFromContext(ctx); ok {
				client = a.String()
			}
			got = strings.Join(strings.Fields(fmt.Sprintf("%s %s %s", method, u, operation)), " ") + " " + who + " from " + client
			return &authz.Explanation{Method: method, Path: u.Path, Result: authz.Allowed, Why: "because"}
		}}
		code, stdout, stderr := checkWith(t, parts, append(tt.args, "-c", file)...)
		if code != exitDone || got != tt.want || !strings.Contains(stdout, "because") || strings.Contains(stdout, "is valid") {
			t.Errorf("%q: code %d, asked\n%s, want\n%s\n%s%s", tt.args, code, got, tt.want, stdout, stderr)
		}
	}
}

// said is what an identity has.
func said(t *testing.T, id *authn.Identity) string {
	t.Helper()
	v := map[string]any{}
	for name, x := range map[string]any{"Account": id.Account, "Domain": id.Domain, "UPN": id.UPN, "SID": id.SID} {
		if fmt.Sprint(x) != "" {
			v[name] = x
		}
	}
	if len(id.Groups) > 0 {
		v["Groups"] = id.Groups
	}
	if len(id.Roles) > 0 {
		v["Roles"] = id.Roles
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCheckDial(t *testing.T) {
	t.Parallel()
	parts := &gatewayParts{checks: []health.Check{
		{Name: "realm corp: kdc dc1.corp.test", Kind: health.KDC, Essential: true, Remedy: "look at the name", Run: func(context.Context) error {
			return errors.New("config: dial: no such host")
		}},
		{Name: "service hr: backend http://127.0.0.1:8080", Kind: health.Backend, Run: func(context.Context) error { return nil }},
		{Name: "service api: backend http://127.0.0.1:8081", Kind: health.Backend, Run: func(context.Context) error { return errors.New("refused") }},
	}}
	file := gatewayFile(t)
	code, stdout, stderr := checkWith(t, parts, "--dial", "-c", file)
	if code != exitFailed || stderr != "soapward: 2 things that the configuration names are not there\n" {
		t.Errorf("code %d, %s", code, stderr)
	}
	const want = `  what                                        time   state
✗ realm corp: kdc dc1.corp.test               < 1ms  failed
✓ service hr: backend http://127.0.0.1:8080   < 1ms  ok
✗ service api: backend http://127.0.0.1:8081  < 1ms  failed, not essential

realm corp: kdc dc1.corp.test
       dial: no such host
  try: look at the name

service api: backend http://127.0.0.1:8081
       refused
`
	if stdout != want {
		t.Errorf("got\n%s\nwant\n%s", stdout, want)
	}
	code, stdout, _ = checkWith(t, parts, "--dial", "--json", "-c", file)
	var report checkReport
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatal(err)
	}
	if code != exitFailed || len(report.Checks) != 3 || report.Checks[0].OK || report.Checks[0].Remedy != "look at the name" || !report.Checks[1].OK || !report.Valid {
		t.Errorf("code %d, %+v", code, report)
	}
	code, stdout, _ = checkWith(t, &gatewayParts{}, "--dial", "-c", file)
	if code != exitDone || !strings.Contains(stdout, "names nothing that could be looked for") {
		t.Errorf("code %d, %s", code, stdout)
	}
}

// Checks run at once, and none longer than allowed.
func TestDialAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var checks []health.Check
		for range 20 {
			checks = append(checks, health.Check{Name: "slow", Run: func(ctx context.Context) error { time.Sleep(time.Second); return nil }})
		}
		checks = append(checks, health.Check{Name: "silent", Run: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }})
		start := time.Now()
		got := dialAll(t.Context(), checks, 3*time.Second)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
		for i, r := range got[:20] {
			if !r.OK || r.Milliseconds != 1000 {
				t.Errorf("%d: %+v", i, r)
			}
		}
		if last := got[20]; last.OK || last.took != 3*time.Second {
			t.Errorf("%+v", last)
		}
	})
}

func TestCheckDoubleHop(t *testing.T) {
	t.Parallel()
	parts := &gatewayParts{warnings: []delegation.Warning{
		{Route: "hr", Mechanism: "NTLM", Upstream: "sharepoint", Reason: delegation.ReasonDoubleHop, Remedies: []delegation.Remedy{{What: "take Kerberos only"}, {What: "act as service"}}},
	}}
	code, stdout, stderr := checkWith(t, parts, "-c", gatewayFile(t))
	for _, want := range []string{"! upstreams.sharepoint: upstream sharepoint acts as the caller, but route hr accepts NTLM", "  try: take Kerberos only; or act as service"} {
		if code != exitDone || !strings.Contains(stdout, want) {
			t.Errorf("code %d, no %q in\n%s%s", code, want, stdout, stderr)
		}
	}
}

func TestGroupWarnings(t *testing.T) {
	t.Parallel()
	var list []checkWarning
	for i := range 7 {
		list = append(list, checkWarning{fmt.Sprintf("k%d", i), "gw.yaml:1", "same", "r"})
	}
	list = append(list, checkWarning{"x", "gw.yaml:2", "other", "r"})
	got := groupWarnings(list)
	if len(got) != 2 || got[0].place() != "k0, k1, k2, k3, k4 and 2 more" || got[1].place() != "gw.yaml:2: x" {
		t.Errorf("got %+v", got)
	}
}

// Certificates that clients refuse, or will, are warnings; files that are none are
// errors.
func TestCheckCertificates(t *testing.T) {
	t.Parallel()
	now := time.Now()
	dir := t.TempDir()
	c := &config.Config{Listen: []config.Listener{
		{Addr: ":80"},
		{Addr: ":443", TLS: certificateFor(t, dir, "good", now.Add(90*24*time.Hour))},
		{Addr: ":444", TLS: certificateFor(t, dir, "soon", now.Add(48*time.Hour))},
	}, Admin: &config.Admin{Addr: ":9180", TLS: certificateFor(t, dir, "old", now.Add(-time.Hour))}}
	got, err := checkCertificates(c, now)
	if err != nil || len(got) != 2 || got[0].Key != "listen[2].tls" || !strings.Contains(got[0].Text, "soon.pem ends on") ||
		got[1].Key != "admin.tls" || !strings.Contains(got[1].Text, "old.pem ended on") {
		t.Errorf("got %+v, %v", got, err)
	}
	c.Listen[1].TLS.Key = c.Listen[2].TLS.Key
	if _, err := checkCertificates(c, now); err == nil || !strings.Contains(err.Error(), "listen[1].tls: certificate ") {
		t.Errorf("key of another: %v", err)
	}
	if err := os.Chmod(string(c.Admin.TLS.Key), 0o644); err != nil {
		t.Fatal(err)
	}
	c.Listen = nil
	if _, err := checkCertificates(c, now); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("key that others can read: %v", err)
	}
}

// certificateFor makes a certificate in a directory that ends at a time.
func certificateFor(t *testing.T, dir, name string, end time.Time) *config.TLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: end.Add(-24 * time.Hour), NotAfter: end, DNSNames: []string{name + ".test"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := &config.TLS{Cert: config.Path(filepath.Join(dir, name+".pem")), Key: config.Path(filepath.Join(dir, name+".key"))}
	for file, block := range map[config.Path]*pem.Block{files.Cert: {Type: "CERTIFICATE", Bytes: der}, files.Key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(string(file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// What is not built is closed, also after errors.
func TestCheckCloses(t *testing.T) {
	t.Parallel()
	closed := 0
	parts := &gatewayParts{close: func() { closed++ }}
	if code, _, stderr := checkWith(t, parts, "-c", gatewayFile(t), "--explain", "http://a/", "--operation", "None"); code != exitFailed || !strings.Contains(stderr, `no WSDL of the configuration has an operation "None"`) {
		t.Errorf("code %d, %s", code, stderr)
	}
	if closed != 1 {
		t.Errorf("closed %d times", closed)
	}
}
