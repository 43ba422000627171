package admin

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/adtest"
	"github.com/soapward/soapward/internal/e2e/peers"
)

// A job is a command that goes on.
type job struct {
	cmd  *exec.Cmd
	out  *peers.Log
	done chan error
}

// start starts a command whose both outputs can be read while it goes on.
func (o *office) start(t *testing.T, args ...string) *job {
	t.Helper()
	j := &job{cmd: o.command(t, nil, args...), out: new(peers.Log), done: make(chan error, 1)}
	j.cmd.Stdout, j.cmd.Stderr = j.out, j.out
	if err := j.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { j.done <- j.cmd.Wait() }()
	return j
}

// says waits until the command printed something, and returns the last part of it.
func (j *job) says(t *testing.T, what *regexp.Regexp) string {
	t.Helper()
	var found []string
	eventually(t, func() error {
		if found = what.FindStringSubmatch(j.out.String()); found == nil {
			return fmt.Errorf("no %s in %s", what, j.out)
		}
		return nil
	})
	return found[len(found)-1]
}

// opened waits until the command opened a page.
func (o *office) opened(t *testing.T) (page string) {
	t.Helper()
	file := filepath.Join(o.home, "opened")
	eventually(t, func() error {
		text, err := os.ReadFile(file)
		page = strings.TrimSpace(string(text))
		return err
	})
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	return page
}

// logIn logs a user in at the provider, in the browser that the command opens.
func (o *office) logIn(t *testing.T, b *peers.Chrome, user string) string {
	t.Helper()
	j := o.start(t, "login", "--server", o.server, "--ca-file", filepath.Join(o.Dir, "gw.pem"))
	b.Open(o.opened(t))
	o.atProvider(b, user)
	if err := <-j.done; err != nil {
		t.Fatalf("login: %v: %s", err, j.out)
	}
	return j.out.String()
}

// testCommandLine is the work of an administrator by the command line.
func testCommandLine(t *testing.T, o *office) {
	b := o.borrow(t)
	if out := o.logIn(t, b, "alice"); !strings.Contains(out, "as "+alice+" (administrator)") || !strings.Contains(out, "renewed") {
		t.Errorf("login: %s", out)
	}
	if got := b.Text("body"); !strings.Contains(got, "You are logged in") || !strings.HasPrefix(b.URL(), "http://127.0.0.1:") {
		t.Errorf("the browser shows %s: %s", b.URL(), got)
	}
	tokens := filepath.Join(o.home, "soapward", "tokens.json")
	if info, err := os.Stat(tokens); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("tokens: %v, %v", info, err)
	}
	if status, who := o.call(t, "/pay/x", `CORP\bob`, adtest.Password(t, adtest.Bob)); status != 200 || who != `CORP\bob` {
		t.Errorf("bob at the service: %d %s", status, who)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"whoami"}, alice + " (administrator)"},
		{[]string{"user", "list", "--server", o.server}, `CORP\bob`},
		{[]string{"status", "--server", o.server}, "is ready"},
		{[]string{"session", "list", "--server", o.server}, alice},
		{[]string{"realm", "test", "it", "--kind", "provider", "--server", o.server}, "+ "},
		{[]string{"sync", "--server", o.server}, "corp: done"},
	} {
		if out := o.must(t, tt.args...); !strings.Contains(out, tt.want) {
			t.Errorf("%q: %s", tt.args, out)
		}
	}
	if here, there := o.must(t, "user", "list", "--json", "-c", o.File), o.must(t, "user", "list", "--json", "--server", o.server); here != there {
		t.Errorf("at the store: %s\nat the gateway: %s", here, there)
	}

	// Logins as they come.
	j := o.start(t, "audit", "logins", "--follow", "--server", o.server)
	eventually(t, func() error {
		o.call(t, "/pay/x", `CORP\carol`, adtest.Password(t, adtest.Carol))
		if !strings.Contains(j.out.String(), `CORP\carol`) {
			return fmt.Errorf("no word of carol: %s", j.out)
		}
		return nil
	})
	if err := j.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-j.done

	// The configuration.
	mine := filepath.Join(o.home, "gw.yaml")
	writeFile(t, mine, strings.Replace(o.config, "services:", "servises:", 1), 0o600)
	if code, out, errs := o.run(t, nil, "config", "apply", mine, "--server", o.server); code != 1 || !strings.Contains(out+errs, "servises") {
		t.Errorf("a wrong configuration: %d %s%s", code, out, errs)
	}
	writeFile(t, mine, o.config+"# by the command line\n", 0o600)
	o.must(t, "config", "apply", mine, "--server", o.server, "--comment", "by alice")
	if text, err := os.ReadFile(o.File); err != nil || !bytes.HasSuffix(text, []byte("# by the command line\n")) {
		t.Errorf("the file: %s, %v", text, err)
	}

	// Ended, by herself and by another administrator: the provider still knows her.
	for range 3 { // within a second the provider makes one ID token, which counts once
		o.must(t, "session", "end", "--user", alice, "--server", o.server)
		if out := o.must(t, "whoami"); !strings.Contains(out, alice) {
			t.Errorf("after the end of the session: %s", out)
		}
	}
	o.signInLocally(t, b)
	b.Open(o.at("/user?name=it%5Calice%40corp.test"))
	b.Submit("form[action='/console/sessions/end'] button:not(table button)")
	if out := o.must(t, "whoami"); !strings.Contains(out, alice) {
		t.Errorf("after an administrator ended it: %s", out)
	}
	// Disabled, she is not renewed.
	o.must(t, "user", "disable", alice, "-c", o.File)
	if code, out, errs := o.run(t, nil, "whoami"); code != 1 || !strings.Contains(errs, "try: ") {
		t.Errorf("disabled: %d %s%s", code, out, errs)
	}
	o.must(t, "user", "enable", alice, "-c", o.File)
	// By a code, with a browser anywhere.
	b = o.borrow(t)
	j = o.start(t, "login", "--device", "--server", o.server)
	b.Open(j.says(t, regexp.MustCompile(`\n  (https://\S+)`)))
	code := j.says(t, regexp.MustCompile(`with the code (\S+)\.`))
	if got := b.Text("body"); !strings.Contains(got, code) {
		t.Errorf("the page does not show the code %s: %s", code, got)
	}
	b.Submit("button[autofocus]")
	o.atProvider(b, "olga")
	if err := <-j.done; err != nil {
		t.Fatalf("login --device: %v: %s", err, j.out)
	}
	if out := o.must(t, "whoami"); !strings.Contains(out, `it\olga@corp.test (operator)`) {
		t.Errorf("whoami: %s", out)
	}
	if code, _, errs := o.run(t, nil, "config", "apply", mine, "--server", o.server); code != 1 || !strings.Contains(errs, "administrator") {
		t.Errorf("an operator applies: %d %s", code, errs)
	}
	// When the provider forgot her, she is told to log in.
	o.must(t, "session", "end", "--user", `it\olga@corp.test`, "-c", o.File)
	o.renew(t, "", nil)
	if code, out, errs := o.run(t, nil, "whoami"); code != 1 || !strings.Contains(errs, "soapward login") {
		t.Errorf("without a refresh token: %d %s%s", code, out, errs)
	}
	o.must(t, "logout")
	if code, _, errs := o.run(t, nil, "user", "list", "--server", o.server); code != 1 || !strings.Contains(errs, "not logged in") {
		t.Errorf("after logging out: %d %s", code, errs)
	}

	// A local administrator, as the provider is away.
	o.provider.SetDown(true)
	defer o.provider.SetDown(false)
	if code, out, errs := o.run(t, []string{"SOAPWARD_PASSWORD=" + localPassword, "SOAPWARD_CODE=" + o.code(t)},
		"login", "--local", localAdmin, "--server", o.server, "--ca-file", filepath.Join(o.Dir, "gw.pem")); code != 0 || !strings.Contains(out, "as admin (administrator)") {
		t.Errorf("login --local: %d %s%s", code, out, errs)
	}
	o.must(t, "user", "list", "--server", o.server)
	o.must(t, "logout")
	o.put(t, o.config)
	if text, err := os.ReadFile(tokens); err != nil && !errors.Is(err, os.ErrNotExist) || strings.Contains(string(text), alice) {
		t.Errorf("tokens after logging out: %s, %v", text, err)
	}
}
