package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn/oidc/oidctest"
	"github.com/soapward/soapward/gateway"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/internal/testenv"
)

// fakeBrowser is xdg-open in tests: it goes where it is led, once.
func fakeBrowser() {
	r, err := http.Get(os.Args[len(os.Args)-1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, _ = io.Copy(io.Discard, r.Body)
	_ = r.Body.Close()
}

// An office is a gateway in this process, with a provider for its administrators
// and the machine of one of them.
type office struct {
	t        *testing.T
	provider *oidctest.Provider
	server   string
	file     string // configuration
	home     string
	log      *testenv.Log
}

const localPassword = "Marked-correct-horse-battery"

func newOffice(t *testing.T) *office {
	t.Helper()
	return newOfficeAt(t, oidctest.New(t, oidctest.Options{}), "")
}

// newOfficeAt is one whose realm it has more keys.
func newOfficeAt(t *testing.T, p *oidctest.Provider, more string) *office {
	t.Helper()
	o := &office{t: t, provider: p, home: t.TempDir(), log: &testenv.Log{}}
	dir := t.TempDir()
	ports := [2]int{}
	for i := range ports {
		var err error
		if ports[i], err = testenv.FreePort(); err != nil {
			t.Fatal(err)
		}
	}
	o.server = fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	o.file = filepath.Join(dir, "gw.yaml")
	text := fmt.Sprintf(`listen: [{addr: "127.0.0.1:%d"}]
admin:
  addr: "127.0.0.1:%d"
  url: %s
  login: [it]
  roles: {administrator: [gwadmins], viewer: [gwviewers]}
  local: {allow_without_second_factor: true}
store: {driver: sqlite, dsn: s.db}
passwords: {memory_kib: 8192, passes: 1}
realms:
  staff: {internal: {}}
  it: {oidc: {issuer: %q, client_id: web, client_secret: {file: web.secret}, desktop_client_id: desktop%s}}
roles:
  gwadmins: {users: ['it\alice@example.com']}
  gwviewers: {claims: [{name: groups, value: viewers}]}
services:
  hr: {match: {path: /hr/}, login: [staff/basic], allow: [{path: /hr/, roles: [any]}], upstream: {url: "http://127.0.0.1:1"}}
`, ports[1], ports[0], o.server, o.provider.Issuer, more)
	for name, content := range map[string]string{o.file: text, filepath.Join(dir, "web.secret"): "web-secret", filepath.Join(dir, "pw"): localPassword + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, out, errs := o.run("user", "add", "root", "--local-admin", "-c", o.file, "--password-file", filepath.Join(dir, "pw")); code != 0 {
		t.Fatal(out, errs)
	}
	c, err := config.Load(o.file)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(c, o.file, gateway.Options{Logger: slog.New(slog.NewTextHandler(o.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", o.log)
		}
	})
	o.provider.SignIn("alice")
	return o
}

// run runs soapward as a user of the machine, who has a screen.
func (o *office) run(args ...string) (code int, stdout, stderr string) {
	o.t.Helper()
	return o.with(nil, args...)
}

// with is run with more of the environment.
func (o *office) with(env []string, args ...string) (code int, stdout, stderr string) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "soapward", args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + o.home, "XDG_CONFIG_HOME=" + o.home, "DISPLAY=:0", "TZ=UTC"}, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		o.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// must runs a command line that has to succeed, and returns what it printed.
func (o *office) must(args ...string) string {
	o.t.Helper()
	code, out, errs := o.run(args...)
	if code != 0 {
		o.t.Fatalf("soapward %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

func (o *office) tokens() string { return filepath.Join(o.home, "soapward", "tokens.json") }

// kept is what the file of tokens has for the gateway.
func (o *office) kept() *serverLogin {
	o.t.Helper()
	all, err := (&tokenFile{o.tokens()}).read()
	if err != nil {
		o.t.Fatal(err)
	}
	return all.Servers[o.server]
}

// change edits that.
func (o *office) change(f func(l *serverLogin)) {
	o.t.Helper()
	err := (&tokenFile{o.tokens()}).change(o.t.Context(), func(all *tokenSet, _ func() error) error {
		f(all.Servers[o.server])
		return nil
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// TestAdminister is a day of an administrator: he logs in with the provider, works
// by each group of commands at a gateway, and logs out.
func TestAdminister(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	code, out, errs := o.run("login", "--server", o.server)
	if code != 0 || !strings.Contains(out, `logged in to `+o.server+` as it\alice@example.com (administrator), until`) || !strings.Contains(out, "renewed") ||
		!strings.Contains(errs, "\n  "+o.provider.Issuer+"/") {
		t.Fatalf("login: %d, %s%s", code, out, errs)
	}
	info, err := os.Stat(o.tokens())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if info, err = os.Stat(filepath.Dir(o.tokens())); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	first := o.kept()
	o.must("user", "add", "carol", "--server", o.server, "--no-password", "--email", "carol@example.com")
	listed := o.must("user", "list", "--server", o.server, "--json")
	if here := o.must("user", "list", "-c", o.file, "--json"); here != listed {
		t.Errorf("at the gateway: %s\nat the store: %s", listed, here)
	}
	pw := filepath.Join(o.home, "pw2")
	if err := os.WriteFile(pw, []byte("Marked-another-long-password"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := []string{"--server", o.server}
	for _, tt := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"whoami"}, 0, []string{o.server + `: it\alice@example.com (administrator)`}},
		{[]string{"whoami", "--json"}, 0, []string{`"role": "administrator"`, `"provider": "it"`, `"renewed": true`}},
		{[]string{"status"}, 0, []string{"is ", "version", "NEEDS", "LISTENS AT", "admin", "double hops: 0"}},
		{[]string{"status", "--json", "--since", "7d"}, 0, []string{`"health"`, `"step_seconds"`}},
		{[]string{"user", "disable", "carol"}, 0, []string{"carol is disabled"}},
		{[]string{"user", "enable", "carol"}, 0, []string{"carol is active"}},
		{[]string{"user", "passwd", "carol", "--password-file", pw}, 1, []string{"soapward: "}},
		{[]string{"user", "roles", "carol", "--grant", "gwviewers"}, 0, []string{"carol"}},
		{[]string{"user", "sessions", "carol"}, 0, []string{"no sessions"}},
		{[]string{"user", "unblock"}, 0, []string{"nobody is blocked"}},
		{[]string{"user", "disable", "nobody"}, 1, []string{"there is no user nobody", "try: soapward user list"}},
		{[]string{"user", "delete", "carol"}, 0, []string{"carol was deleted"}},
		{[]string{"user", "import", "x.csv"}, 1, nil},
		{[]string{"audit", "changes", "--target", "carol"}, 0, []string{"user.disable", `it\alice@example.com`, "state"}},
		{[]string{"audit", "logins"}, 0, []string{"accepted", `it\alice@example.com`}},
		{[]string{"session", "list"}, 0, []string{`it\alice@example.com`, "soapward/"}},
		{[]string{"realm", "list"}, 0, []string{"staff", "it", "provider"}},
		{[]string{"realm", "test", "it", "--kind", "provider"}, 0, []string{"+ ", "authorization endpoint ", "/authorize\n"}},
		{[]string{"realm", "test", "staff", "--kind", "internal", "-u", "root", "--password-file", pw}, 1, []string{"! ", "internal of realm staff failed"}},
		{[]string{"realm", "test", "nothing"}, 1, []string{"soapward realm list"}},
		{[]string{"sync"}, 1, []string{"has no realm with ad"}},
		{[]string{"sync", "--dry-run"}, 1, []string{"has no realm with ad"}},
		{[]string{"sync", "--force"}, 2, []string{"not for a gateway"}},
		{[]string{"config", "show"}, 0, []string{"desktop_client_id: desktop"}},
		{[]string{"config", "show", "--json"}, 0, []string{`"digest": "`}},
		{[]string{"config", "show", "other.yaml"}, 1, []string{"no file other.yaml", "gw.yaml"}},
		{[]string{"config", "versions"}, 0, []string{"(by hand)"}},
		{[]string{"user", "list", "-c", o.file}, 2, []string{"exclude each other"}},
	} {
		code, out, errs := o.run(append(append([]string{}, tt.args...), at...)...)
		if code != tt.code {
			t.Errorf("%q: exit code %d, want %d\n%s%s", tt.args, code, tt.code, out, errs)
		}
		for _, w := range tt.want {
			if !strings.Contains(out+errs, w) {
				t.Errorf("%q does not say %q:\n%s%s", tt.args, w, out, errs)
			}
		}
	}

	// The configuration, there and back, with the environment for --server.
	env := []string{serverVariable + "=" + o.server}
	text, err := os.ReadFile(o.file)
	if err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(o.home, "gw.yaml")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(mine, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		text string
		args []string
		code int
		want string
	}{
		{string(text) + "# more\n", []string{"config", "diff", mine}, 0, "+ # more"},
		{string(text) + "# more\n", []string{"config", "check", mine}, 0, "1 file differs"},
		{string(text) + "liisten: []\n", []string{"config", "check", mine}, 1, "liisten"},
		{string(text) + "liisten: []\n", []string{"config", "apply", mine}, 1, "the configuration is wrong"},
		{string(text) + "# more\n", []string{"config", "apply", mine, "--digest", "0000"}, 1, "soapward: "},
		{string(text) + "# more\n", []string{"config", "apply", mine, "--comment", "more"}, 0, "is in force"},
		{string(text), []string{"config", "versions"}, 0, "more"},
		{string(text), []string{"config", "rollback", "1"}, 0, "version 1"},
		{string(text), []string{"config", "rollback", "99"}, 1, "there is no version 99\n  try: soapward config versions\n"},
	} {
		write(tt.text)
		code, out, errs := o.with(env, tt.args...)
		if code != tt.code || !strings.Contains(out+errs, tt.want) {
			t.Errorf("%q: exit code %d, want %d and %q\n%s%s", tt.args, code, tt.code, tt.want, out, errs)
		}
	}
	if now, err := os.ReadFile(o.file); err != nil || string(now) != string(text) {
		t.Errorf("the configuration after going back is\n%s, %v", now, err)
	}

	// Ended elsewhere, a token is renewed in silence.
	o.must("session", "end", "--user", `it\alice@example.com`, "--server", o.server)
	o.must("whoami")
	if again := o.kept(); again.Token.Reveal() == first.Token.Reveal() || again.Refresh.Reveal() == first.Refresh.Reveal() {
		t.Error("the token was not renewed")
	}
	last := o.kept().Token.Reveal()
	if n := o.provider.Granted("alice"); n != 1 {
		t.Errorf("%d refresh tokens are good before logging out", n)
	}
	if code, out, errs := o.run("logout"); code != 0 || !strings.Contains(out, "logged out of "+o.server) || errs != "" {
		t.Errorf("logout: %d, %s%s", code, out, errs)
	}
	if n := o.provider.Granted("alice"); n != 0 {
		t.Errorf("%d refresh tokens are good after logging out", n)
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", o.server+"/admin/v1/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+last)
	if res, err := http.DefaultClient.Do(r); err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the token after logging out: %v, %v", res, err)
	}
	if code, _, errs := o.run("user", "list", "--server", o.server); code != 1 || !strings.Contains(errs, "not logged in") || !strings.Contains(errs, "try: soapward login --server "+o.server) {
		t.Errorf("after logging out: %d, %s", code, errs)
	}
	if code, _, errs := o.run("status"); code != 2 || !strings.Contains(errs, "which gateway?") {
		t.Errorf("without a gateway: %d, %s", code, errs)
	}
	if strings.Contains(o.log.String(), "Marked-") || strings.Contains(o.log.String(), last) {
		t.Error("the log has a password or a token")
	}
}

// TestLoginWays are other logins than that of the browser, and why one fails.
func TestLoginWays(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	pw := filepath.Join(o.home, "pw")
	wrong := filepath.Join(o.home, "wrong")
	for name, text := range map[string]string{pw: localPassword, wrong: "Marked-wrong-password"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	closed, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	page, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: http.HandlerFunc(webPage), ReadHeaderTimeout: time.Minute}
	go func() { _ = web.Serve(page) }()
	t.Cleanup(func() { _ = web.Close() })
	for _, tt := range []struct {
		name   string
		before func(s *oidctest.Switches)
		user   string
		args   []string
		code   int
		want   []string
	}{
		{"local", nil, "", []string{"--server", o.server, "--local", "root", "--password-file", pw}, 0, []string{"as root (administrator)"}},
		{"a wrong password", nil, "", []string{"--server", o.server, "--local", "root", "--password-file", wrong}, 1, []string{"did not take the login", "reference"}},
		{"with no role", nil, "bob", []string{"--server", o.server}, 1, []string{"you are no administrator", "admin.roles", "reference"}},
		{"refused", func(s *oidctest.Switches) { s.Deny = "access_denied" }, "alice", []string{"--server", o.server}, 1, []string{"it refuses the login"}},
		{"a provider that is down", func(s *oidctest.Switches) { s.Down = true }, "alice", []string{"--server", o.server}, 1, []string{"it does not answer", "--local USER"}},
		{"no device", func(s *oidctest.Switches) { s.NoDevice = true }, "alice", []string{"--server", o.server, "--device"}, 1, []string{"device"}},
		{"another provider", nil, "alice", []string{"--server", o.server, "--provider", "x"}, 2, []string{`no provider "x", but it`}},
		{"nobody there", nil, "", []string{"--server", fmt.Sprintf("http://127.0.0.1:%d", closed)}, 1, []string{"no connection to", "admin.addr"}},
		{"no TLS", nil, "", []string{"--server", strings.Replace(o.server, "http:", "https:", 1)}, 1, []string{"TLS"}},
		{"a web page", nil, "", []string{"--server", "http://" + page.Addr().String()}, 1, []string{"does not answer as a gateway", "admin.url"}},
		{"plain HTTP", nil, "", []string{"--server", "http://gw.corp.test"}, 1, []string{"plain HTTP", "https://"}},
		{"no URL", nil, "", []string{"--server", "gw.corp.test"}, 2, []string{"want https://HOST"}},
		{"no such file", nil, "", []string{"--server", o.server, "--ca-file", "none.pem"}, 1, []string{"none.pem"}},
		{"a file without certificates", nil, "", []string{"--server", o.server, "--ca-file", pw}, 1, []string{"has none in PEM"}},
		{"local and provider", nil, "", []string{"--server", o.server, "--local", "root", "--provider", "it"}, 2, []string{"--local"}},
	} {
		o.provider.Reset()
		if tt.before != nil {
			o.provider.Set(tt.before)
		}
		o.provider.SignIn(tt.user)
		code, out, errs := o.run(append([]string{"login"}, tt.args...)...)
		if code != tt.code {
			t.Errorf("%s: exit code %d, want %d\n%s%s", tt.name, code, tt.code, out, errs)
		}
		for _, w := range tt.want {
			if !strings.Contains(out+errs, w) {
				t.Errorf("%s does not say %q:\n%s%s", tt.name, w, out, errs)
			}
		}
		if strings.Contains(out+errs, "Marked-") {
			t.Errorf("%s prints a password", tt.name)
		}
	}

	// Over SSH: a code, and a browser elsewhere.
	o.provider.Reset()
	if out, err := o.elsewhere(nil, "login", "--server", o.server); err != nil || !strings.Contains(out, `as it\alice@example.com (administrator)`) {
		t.Errorf("%v, %s", err, out)
	}
	o.must("whoami", "--server", o.server)
}

// elsewhere runs soapward over SSH, and has alice type the code that it shows into a
// browser on another machine.
func (o *office) elsewhere(env []string, args ...string) (output string, err error) {
	o.t.Helper()
	cmd := exec.CommandContext(o.t.Context(), "soapward", args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "XDG_CONFIG_HOME=" + o.home, "SSH_CONNECTION=x"}, env...)
	var out buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	approved := false
	for {
		select {
		case err := <-ended:
			return out.String(), err
		case <-time.After(20 * time.Millisecond):
		}
		_, rest, found := strings.Cut(out.String(), "with the code ")
		if code, _, whole := strings.Cut(rest, "."); found && whole && !approved {
			approved = o.provider.ApproveDevice(code, "alice")
		}
	}
}
