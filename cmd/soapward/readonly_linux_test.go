package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
)

// onReadOnly returns soapward on a machine, as a container may be, where nothing but
// a directory can be written: the configuration cannot, nor can temporary files.
func onReadOnly(t *testing.T, writable string, args ...string) *exec.Cmd {
	t.Helper()
	soapward, err := exec.LookPath("soapward")
	if err != nil {
		t.Fatal(err)
	}
	cmd := testenv.ReadOnly(t, writable, soapward, args...)
	cmd.Env, cmd.Dir = append(os.Environ(), "TMPDIR="), "/"
	return cmd
}

// The gateway needs nothing but its store to be written, and says what it cannot do.
func TestServeReadOnly(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	sock, consoleSock, db := filepath.Join(state, "gw.sock"), filepath.Join(state, "admin.sock"), filepath.Join(state, "s.db")
	file := serveFile(t, "unix:"+sock, fmt.Sprintf("store: {driver: sqlite, dsn: %q}\nadmin: {addr: %q, local: {allow_without_second_factor: true}}\n", db, "unix:"+consoleSock), hello)
	add := onReadOnly(t, state, "user", "add", "root", "--local-admin", "-c", file)
	add.Env = append(add.Env, passwordVariable+"="+localPassword)
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := onReadOnly(t, state, "serve", "-c", file)
	out := startServe(t, cmd)
	answers := func() bool { got, err := fetchUnix(sock); return err == nil && got == "hello" }
	eventually(t, "an answer", answers)
	if !strings.Contains(out.String(), "no directory for temporary files can be written") {
		t.Errorf("nothing says that temporary files cannot be made:\n%s", out)
	}

	// A configuration of the console is refused before anything is done.
	ask := func(method, path, token string, body any) (int, string) {
		t.Helper()
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+path, bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := (&http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", consoleSock)
			},
		}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	var given struct{ Token string }
	code, text := ask("POST", "/admin/v1/token", "", map[string]string{"user": "root", "password": localPassword})
	if err := json.Unmarshal([]byte(text), &given); err != nil || given.Token == "" {
		t.Fatalf("%d %s", code, text)
	}
	var set map[string]any
	_, text = ask("GET", "/admin/v1/config", given.Token, nil)
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	main := set["files"].([]any)[0].(map[string]any)
	main["text"] = main["text"].(string) + "# changed\n"
	code, text = ask("PUT", "/admin/v1/config", given.Token, map[string]any{"files": set["files"], "digest": set["digest"]})
	if code != http.StatusConflict || !strings.Contains(text, "the gateway cannot write "+file+": read-only file system") || !strings.Contains(text, `"kind":"refused"`) {
		t.Errorf("apply: %d %s", code, text)
	}

	// By hand, from outside, it can be changed, as a ConfigMap is.
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(before, "# by hand\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Signal(syscall.SIGHUP)
	eventually(t, "the reload", func() bool { return strings.Contains(out.String(), `"msg":"configuration reloaded"`) })
	if !answers() {
		t.Error("no answer after the reload")
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if code := exitCode(t, cmd); code != exitDone {
		t.Errorf("exit code %d", code)
	}

	// What needs to write says so, and what to do.
	nothing := t.TempDir()
	fresh := serveFile(t, "unix:"+sock, fmt.Sprintf("store: {driver: sqlite, dsn: %q}\n", filepath.Join(state, "new.db")), hello)
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"a store that is there", []string{"serve", "-c", file}, db + ".lock: read-only file system: SQLite makes files beside the database, so this process must be able to write the directory " + state},
		{"a command on it", []string{"user", "list", "-c", file}, db + ": read-only file system: SQLite makes files beside the database"},
		{"a new store", []string{"serve", "-c", fresh}, state + "/new.db: read-only file system: SQLite makes files beside the database"},
		{"check", []string{"check", "-c", file}, "try: TMPDIR="},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := onReadOnly(t, nothing, tt.args...).CombinedOutput()
			if err == nil || !strings.Contains(string(b), tt.want) {
				t.Errorf("%v\n%s\nwant %s", err, b, tt.want)
			}
		})
	}
	check := onReadOnly(t, nothing, "check", "-c", file)
	check.Env = append(check.Env, "TMPDIR="+nothing)
	if b, err := check.CombinedOutput(); err != nil {
		t.Errorf("check with TMPDIR: %v\n%s", err, b)
	}
}
