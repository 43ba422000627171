package main

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/admintest"
	"github.com/soapward/soapward/admin/api"
)

// TestLoginTLS has a certificate of somebody unknown, trusted by --ca-file, at the
// login and for ever after.
func TestLoginTLS(t *testing.T) {
	t.Parallel()
	a := api.New(&admintest.Fake{})
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/admin/v1/login":
			_, _ = w.Write([]byte(`{"providers":[],"local":true}`))
		case r.URL.Path == "/admin/v1/token":
			_, _ = w.Write([]byte(`{"token":"t","expires":"2999-01-01T00:00:00Z","name":"root","role":"operator"}`))
		default:
			a.ServeHTTP(w, r.WithContext(admin.NewContext(r.Context(), &admin.Caller{Name: "root", Role: admin.Operator, Local: true})))
		}
	}))
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	o := &office{t: t, server: s.URL, home: t.TempDir()}
	ca := filepath.Join(o.home, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{passwordVariable + "=secret", codeVariable + "=123456"}
	login := []string{"login", "--server", s.URL, "--local", "root"}
	code, _, errs := o.with(env, login...)
	if code != 1 || !strings.Contains(errs, "has a certificate of somebody who is not known here") || !strings.Contains(errs, "--ca-file FILE") {
		t.Errorf("without it: %d, %s", code, errs)
	}
	if code, out, errs := o.with(env, append(login, "--ca-file", ca)...); code != 0 || !strings.Contains(out, "as root (operator)") {
		t.Fatalf("with it: %d, %s%s", code, out, errs)
	}
	if out := o.must("whoami"); !strings.Contains(out, "root (operator)") {
		t.Errorf("later: %s", out)
	}
	// What a server makes up does not steer the terminal, whatever shows it.
	for _, args := range [][]string{
		{"status"}, {"realm", "list"}, {"config", "versions"}, {"config", "show"}, {"session", "list", "--server", s.URL}, {"audit", "logins", "--server", s.URL},
		{"audit", "changes", "--server", s.URL}, {"realm", "test", "x", "--kind", "provider"}, {"sync", "--server", s.URL, "--realm", "corp"},
		{"user", "list", "--server", s.URL}, {"user", "unblock", "--server", s.URL}, {"user", "sessions", "x", "--server", s.URL}, {"config", "rollback", "7"},
		{"session", "end", "x", "--server", s.URL}, {"user", "clear-passwords", "--yes", "--server", s.URL},
	} {
		for _, format := range []string{"", "--json"} {
			all := args
			if format != "" {
				all = append(append([]string{}, args...), format)
			}
			code, out, errs := o.run(all...)
			if code == exitInterrupted || code < 0 || code == exitUsage && !strings.Contains(errs, "clear-passwords") {
				t.Errorf("%q: %d %s", all, code, errs)
			}
			if args[0] != "config" && strings.ContainsAny(out+errs, "\x1b\x07\u009b\u202e") {
				t.Errorf("%q prints %q", all, out+errs)
			}
		}
	}
	if code, _, errs := o.run("user", "list", "--server", s.URL, "-c", "x"); code != 2 {
		t.Errorf("%d, %s", code, errs)
	}
}

// TestAttackAdminServerSteersTerminal has a server make up names that would steer
// the terminal.
func TestAttackAdminServerSteersTerminal(t *testing.T) {
	t.Parallel()
	const evil = "\x1b[2Jevil\u202e\u009b31m\n! alice is root"
	fill := func(v any) any {
		switch p := v.(type) {
		case *admin.Overview:
			p.Version, p.Refused, p.Warning, p.Report.Why = evil, evil, []string{evil}, evil
			p.Report.Ready = false
			p.Report.Checks[0].Name, p.Report.Checks[0].Error, p.Listens[0].Addr, p.Logins[0].Mechanism = evil, evil, evil, evil
		}
		return v
	}
	fake := &admintest.Fake{Answer: func(_ context.Context, method string, _ []any) (any, error) {
		switch method {
		case "Overview":
			return fill(admintest.Fill[*admin.Overview]()), nil
		case "Realms":
			return []admin.Realm{{Name: evil, Methods: []string{evil}, Tests: []admin.TestKind{evil}}}, nil
		case "Versions":
			return []admin.ConfigVersion{{ID: 1, Actor: evil, Comment: evil, Node: evil}}, nil
		case "ListSessions":
			return &admin.SessionPage{Sessions: []admin.Session{{ID: evil, User: evil, UserAgent: evil, Peer: evil}}}, nil
		case "Logins":
			return &admin.LoginPage{Logins: []admin.Login{{User: evil, Mechanism: evil, Reason: evil, Detail: evil, Ref: evil, Peer: evil, Outcome: evil}}}, nil
		case "Changes":
			return &admin.ChangePage{Changes: []admin.Change{{Actor: evil, Target: evil, Action: evil, Before: []byte(`{"a":1}`), After: []byte(`{"a":"\u001b[2J"}`)}}}, nil
		case "Test":
			return &admin.TestResult{Steps: []admin.TestStep{{Name: evil, Text: evil, Remedy: evil, Details: []admin.Detail{{Name: evil, Value: evil}}}}}, nil
		case "CheckFiles":
			return &admin.ConfigCheck{Problems: []admin.ConfigProblem{{File: evil, Text: evil}}, Warnings: []string{evil}, Diff: []admin.FileDiff{{Path: evil, Lines: []admin.DiffLine{{Op: "+", Text: evil}, {Op: evil, Text: evil}}}}}, nil
		}
		return nil, &admin.Error{Kind: admin.Refused, Text: evil, Remedy: evil}
	}}
	o := officeAt(t, apiFor(&admin.Caller{Name: evil, Role: admin.Operator}, fake))
	file := filepath.Join(o.home, "x.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	at := []string{"--server", o.server}
	for _, args := range [][]string{
		{"status"}, {"whoami"}, {"realm", "list"}, {"realm", "test", "x", "--kind", "provider"}, {"config", "versions"}, {"config", "show"}, {"session", "list"},
		{"audit", "logins"}, {"audit", "changes"}, {"user", "list"}, {"user", "disable", "x"}, {"user", "unblock"}, {"sync"}, {"sync", "--realm", "x"}, {"config", "check", file},
	} {
		_, out, errs := o.run(append(append([]string{}, args...), at...)...)
		if strings.ContainsAny(out+errs, "\x1b\u009b\u202e") || strings.Contains(out+errs, "\n! alice") {
			t.Errorf("%q prints %q", args, out+errs)
		}
		if out+errs == "" {
			t.Errorf("%q prints nothing", args)
		}
	}
}

// TestFollowLogins shows logins as they come, and ends with Ctrl-C.
func TestFollowLogins(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	o := officeAt(t, apiFor(&admin.Caller{Name: "root", Role: admin.Operator}, &admintest.Fake{Answer: func(_ context.Context, method string, args []any) (any, error) {
		n := asked.Add(1)
		if method == "Changes" {
			return &admin.ChangePage{Changes: []admin.Change{{ID: n, Actor: "root", Action: "user.disable", Target: "carol"}}}, nil
		}
		if q := args[0].(admin.LoginQuery); q.NewerID == 0 {
			return &admin.LoginPage{Logins: []admin.Login{{ID: 41, User: "before"}}}, nil
		}
		return &admin.LoginPage{Logins: []admin.Login{{ID: 40 + n, User: "carol", Outcome: "refused", Mechanism: "Basic", Reason: "wrong-password"}}}, nil
	}}))
	for _, tt := range []struct{ args, want string }{
		{"audit logins --follow --server " + o.server, "refused carol Basic wrong-password\n"},
		{"audit logins --follow --json --server " + o.server, `{"time":"0001-01-01T00:00:00Z","outcome":"refused","user":"carol"`},
		{"audit changes --follow --server " + o.server, "user.disable carol by root\n"},
	} {
		cmd := exec.CommandContext(t.Context(), "soapward", strings.Fields(tt.args)...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "XDG_CONFIG_HOME=" + o.home}
		var out, errs buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(30 * time.Second); strings.Count(out.String(), tt.want) < 2 && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || strings.Count(out.String(), tt.want) < 2 || strings.Contains(out.String(), "before") || errs.String() != "" {
			t.Errorf("%s: exit code %d, %s%s", tt.args, code, &out, &errs)
		}
	}
}
