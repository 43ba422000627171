package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/totp"
	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/e2e/peers"
	"github.com/soapward/soapward/internal/pgtest"
	"github.com/soapward/soapward/internal/testenv"
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := adtest.Main(m)
	if err := errors.Join(pgtest.Stop(), peers.RemoveSoapward()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// An office is a gateway as a company has it, one of its administrators' browsers,
// and his machine.
type office struct {
	*peers.Gateway
	dc         *adtest.DC
	provider   *peers.Provider
	browser    *peers.Chrome
	scriptless bool   // it runs no scripts
	server     string // the admin listener
	services   string
	home       string // of the command line
	config     string // as it was at first
	bin        string // with xdg-open

	local struct {
		secret   string // of the second factor
		last     int64  // step of the last code
		recovery []string
	}
}

const (
	localAdmin    = "admin"
	localPassword = "correct horse battery staple"
)

const officeConfig = `# The gateway of an office.
listen: [{addr: "%SERVICES%"}]
admin:
  addr: "%ADMIN%"
  tls: {cert: gw.pem, key: gw.key}
  url: "https://%ADMIN%"
  login: [it]
  roles: {administrator: [gwadmins], operator: [gwoperators], viewer: [gwviewers]}
log: {level: debug}
store: {driver: sqlite, dsn: users.db}
passwords: {memory_kib: 8192, passes: 1}
realms:
  corp:
    kerberos: {realm: CORP.TEST, kdc: ["%DC%"], keytab: "%KEYTAB%"}
    ntlm: {verifier: netlogon, computer: GW02$, secret: {file: gw02.secret}}
    ad: {url: "ldaps://%DC%", domain: corp.test, default_domain: CORP, ca_file: "%DCCA%", bind_user: jill@corp.test, bind_password: {file: jill.secret}, timeout: 5s}
  staff: {internal: {}}
  it: {oidc: {issuer: "%ISSUER%", client_id: web, client_secret: {file: web.secret}, desktop_client_id: desktop, ca_file: gw.pem, timeout: 2s}}
roles:
  gwadmins: {claims: [{name: groups, value: admins}]}
  gwoperators: {claims: [{name: groups, value: operators}]}
  gwviewers: {claims: [{name: groups, value: viewers}], groups: ['CORP\Payroll']}
services:
  pay:
    match: {path: /pay/}
    login: [corp/basic]
    allow: [{path: /pay/boss, roles: [gwviewers]}, {path: /pay/, roles: [any]}]
    upstream: {url: "%BACKEND%", identity: {header: X-Remote-User}}
`

// staff are the users of the provider.
func staff() map[string]map[string]any {
	user := func(name, group string) map[string]any {
		return map[string]any{
			"email": name + "@corp.test", "email_verified": true, "name": strings.ToUpper(name[:1]) + name[1:] + " Example",
			"preferred_username": name, "groups": []string{"staff", group},
		}
	}
	return map[string]map[string]any{
		"alice": user("alice", "admins"), "olga": user("olga", "operators"), "victor": user("victor", "viewers"), "erin": user("erin", "nothing"),
	}
}

// startOffice starts all that the tests of one gateway share.
func startOffice(t *testing.T) *office {
	t.Helper()
	admin := "127.0.0.1:" + strconv.Itoa(peers.FreePort(t))
	services := "127.0.0.1:" + strconv.Itoa(peers.FreePort(t))
	o := &office{dc: adtest.Start(t), server: "https://" + admin, services: "http://" + services, home: t.TempDir()}
	files, cert, ca := certificate(t)
	o.provider = peers.StartProvider(t, peers.ProviderConfig{
		Redirects: []string{o.server + "/console/login/it/callback"}, LogoutRedirects: []string{o.server + "/console/login"},
		Backchannel: o.server + "/console/login/it/backchannel",
		TLS:         &tls.Config{Certificates: []tls.Certificate{cert}}, CAFile: ca, Users: staff(),
	})
	files["web.secret"] = o.provider.ClientSecret
	files["gw02.secret"], files["jill.secret"] = adtest.Password(t, adtest.GW02), adtest.Password(t, adtest.Jill)
	o.config = strings.NewReplacer("%ADMIN%", admin, "%SERVICES%", services, "%DC%", o.dc.IP, "%DCCA%", o.dc.CAFile,
		"%KEYTAB%", o.dc.Keytab(adtest.Web), "%ISSUER%", o.provider.Issuer, "%BACKEND%", startBackend(t)).Replace(officeConfig)
	o.Gateway = peers.StartGateway(t, o.config, files, admin)
	o.bin = machine(t)
	return o
}

// certificate returns the one that httptest has, for all servers of the test, and a
// file of those that are trusted.
func certificate(t *testing.T) (files map[string]string, cert tls.Certificate, ca string) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	cert = s.TLS.Certificates[0]
	s.Close()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]string{
		"gw.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})),
		"gw.key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
	}
	ca = filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, ca, files["gw.pem"], 0o600)
	return files, cert, ca
}

func writeFile(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// startBackend is a server that says who it was told the caller is.
func startBackend(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Remote-User"))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// machine makes a directory of programs whose xdg-open writes down where it is led.
func machine(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "xdg-open"), "#!/bin/sh\nprintf '%s\\n' \"$1\" > \"$HOME/opened.new\" && mv \"$HOME/opened.new\" \"$HOME/opened\"\n", 0o700)
	return dir
}

// at is a page of the console.
func (o *office) at(path string) string { return o.server + "/console" + path }

// call asks a service as a user, and returns the status and who the backend was told.
func (o *office) call(t *testing.T, path, user, password string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, o.services+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// edit changes the configuration by hand, and returns when the gateway saw it.
func (o *office) edit(t *testing.T, change func(string) string) {
	t.Helper()
	text, err := os.ReadFile(o.File)
	if err != nil {
		t.Fatal(err)
	}
	o.put(t, change(string(text)))
}

func (o *office) put(t *testing.T, text string) {
	t.Helper()
	before := o.reloads(t)
	if err := errors.Join(os.WriteFile(o.File+".new", []byte(text), 0o600), os.Rename(o.File+".new", o.File), syscall.Kill(o.PID(), syscall.SIGHUP)); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if o.reloads(t) == before {
			return errors.New("the gateway did not take the configuration")
		}
		return nil
	})
}

// reloads is how often the gateway put another configuration into force.
func (o *office) reloads(t *testing.T) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, o.server+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := trusting.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), `soapward_reloads_total{result="done"} `)
	line, _, _ := strings.Cut(after, "\n")
	return line
}

// trusting does not look at certificates: all are the test's own.
var trusting = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}

// eventually waits until cond returns nil.
func eventually(t *testing.T, cond func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := testenv.Poll(ctx, cond); err != nil {
		t.Fatal(err)
	}
}

// for hands the browser over, signed out.
func (o *office) borrow(t *testing.T) *peers.Chrome {
	t.Helper()
	b := o.browser
	b.For(t)
	o.scripts(true)
	b.Open("about:blank")
	b.DevTools("Network.clearBrowserCookies", map[string]any{})
	b.Window(1440, 900, "light")
	return b
}

// scripts has pages run scripts, or not.
func (o *office) scripts(run bool) {
	o.scriptless = !run
	o.browser.DevTools("Emulation.setScriptExecutionDisabled", map[string]any{"value": !run})
}

// code is what the administrator's telephone shows: one that was used counts no more,
// so that a recovery code takes its place when tests are faster than time.
func (o *office) code(t *testing.T) string {
	t.Helper()
	now := time.Now().Unix() / int64(totp.Step.Seconds())
	step := max(o.local.last+1, now-1)
	if step > now+1 {
		if len(o.local.recovery) == 0 {
			t.Fatal("no recovery codes are left")
		}
		code := o.local.recovery[0]
		o.local.recovery = o.local.recovery[1:]
		return code
	}
	o.local.last = step
	code, err := totp.At(o.local.secret, time.Unix(step*int64(totp.Step.Seconds()), 0))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// signInLocally signs the local administrator in.
func (o *office) signInLocally(t *testing.T, b *peers.Chrome) {
	t.Helper()
	b.Open(o.at("/login/local"))
	b.Fill("#user", localAdmin)
	b.Fill("#password", localPassword)
	b.Submit("main button")
	b.Fill("#code", o.code(t))
	b.Submit("main button")
	if b.URL() != o.at("/") {
		t.Fatalf("at %s: %s", b.URL(), b.Text("body"))
	}
}

// signIn signs a user of the provider in, from the page that offers it.
func (o *office) signIn(b *peers.Chrome, user string) {
	b.Open(o.at("/login"))
	b.Click("main a.primary")
	o.atProvider(b, user)
	b.Wait("the way back", func() bool { return strings.HasPrefix(b.URL(), o.server+"/") })
}

// atProvider does what a user does at the pages of the provider.
func (o *office) atProvider(b *peers.Chrome, user string) {
	b.Wait("the provider's page", func() bool {
		return strings.HasPrefix(b.URL(), o.provider.Issuer+"/interaction/") && b.Has("input[name=login]")
	})
	b.Fill("input[name=login]", user)
	b.Fill("input[name=password]", "any")
	b.Submit("button[type=submit]")
	if strings.HasPrefix(b.URL(), o.provider.Issuer+"/interaction/") {
		b.Submit("form button[type=submit]")
	}
}

// renew starts the provider again, with other keys.
func (o *office) renew(t *testing.T, issuer string, users map[string]map[string]any) {
	t.Helper()
	if err := o.provider.Renew(issuer, users); err != nil {
		t.Fatal(err)
	}
}

// who is whom the console takes the browser for.
func (o *office) who(b *peers.Chrome) string {
	b.Open(o.at("/account"))
	if !b.Has("main .facts") {
		return ""
	}
	return b.Text("main .card:first-of-type .facts")
}

// run runs soapward as the administrator's own user.
func (o *office) run(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := o.command(t, env, args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func (o *office) command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, o.Program, args...)
	cmd.Env = append([]string{"PATH=" + o.bin + ":" + os.Getenv("PATH"), "HOME=" + o.home, "XDG_CONFIG_HOME=" + o.home, "DISPLAY=:0", "TZ=UTC"}, env...)
	return cmd
}

// must runs a command line that has to succeed, and returns what it printed.
func (o *office) must(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := o.run(t, nil, args...)
	if code != 0 {
		t.Fatalf("soapward %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// password writes a password into a file.
func (o *office) password(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	writeFile(t, file, text+"\n", 0o600)
	return file
}
