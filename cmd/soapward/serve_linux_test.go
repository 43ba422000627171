package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

// serveFile writes a configuration of one service that needs no login, at an
// address.
func serveFile(t *testing.T, addr, more string, backend http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(backend)
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "gw.yaml")
	text := fmt.Sprintf("listen: [{addr: %q}]\nservices: {one: {match: {path: /}, login: [none], upstream: {url: %q}}}\n%s", addr, s.URL, more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

// fetchUnix gets a page over a Unix socket.
func fetchUnix(path string) (string, error) {
	c := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	return fetchPage(c, "http://gw/")
}

func fetchPage(c *http.Client, url string) (string, error) {
	res, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

// startServe runs soapward serve and returns what it writes to standard error.
func startServe(t *testing.T, cmd *exec.Cmd) *buffer {
	t.Helper()
	out := new(buffer)
	cmd.Stderr = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // if it has not ended
		if t.Failed() {
			t.Logf("standard error:\n%s", out)
		}
	})
	return out
}

// systemd is told of readiness, reloads, the watchdog and the end.
func TestServeNotifies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sock := filepath.Join(dir, "gw.sock")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "notify")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = notify.Close() }()
	file := serveFile(t, "unix:"+sock, "", hello)
	cmd := exec.Command("soapward", "serve", "-c", file)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(dir, "notify"), "WATCHDOG_USEC=200000")
	out := startServe(t, cmd)
	wait := func(want string) string {
		t.Helper()
		b := make([]byte, 4096)
		for {
			_ = notify.SetReadDeadline(time.Now().Add(20 * time.Second))
			n, err := notify.Read(b)
			if err != nil {
				t.Fatalf("want %s: %v", want, err)
			}
			if got := string(b[:n]); strings.HasPrefix(got, want) {
				return got
			}
		}
	}
	wait("READY=1")
	if got, err := fetchUnix(sock); got != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	if log := out.String(); strings.Count(log, "login: none: everybody") != 1 {
		t.Errorf("the log warns of the open service other than once:\n%s", log)
	}
	wait("WATCHDOG=1")
	_ = cmd.Process.Signal(syscall.SIGHUP)
	if got := wait("RELOADING=1"); !strings.Contains(got, "\nMONOTONIC_USEC=") {
		t.Errorf("told %q", got)
	}
	wait("READY=1")
	if err := os.WriteFile(file, []byte("lsten: []"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Signal(syscall.SIGHUP)
	wait("RELOADING=1")
	wait("READY=1") // with the configuration of before
	if got, err := fetchUnix(sock); got != "hello" {
		t.Errorf("after a wrong configuration: %q, %v", got, err)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	wait("STOPPING=1")
	if code := exitCode(t, cmd); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(sock); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, `{"time":`) {
			t.Errorf("a line that is no JSON: %q", line)
		}
	}
	if got := out.String(); !strings.Contains(got, `did you mean \"listen\"?`) {
		t.Errorf("nothing says why the configuration was refused:\n%s", got)
	}
}

// systemd opens the socket, and starts the gateway at the first connection,
// which is not lost.
func TestServeSocketActivation(t *testing.T) {
	t.Parallel()
	activate := testenv.Need(t, "systemd-socket-activate")
	soapward, err := exec.LookPath("soapward")
	if err != nil {
		t.Fatal(err)
	}
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	cmd := exec.Command(activate, "-l", addr, "--fdname=gw", "-E", "PATH", soapward, "serve", "-c", serveFile(t, "systemd:gw", "", hello))
	startServe(t, cmd)
	eventually(t, "an answer", func() bool {
		got, err := fetchPage(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, "http://"+addr)
		return err == nil && got == "hello"
	})
	_ = cmd.Process.Signal(syscall.SIGHUP)
	if got, err := fetchPage(http.DefaultClient, "http://"+addr); got != "hello" {
		t.Errorf("after a reload: %q, %v", got, err)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if code := exitCode(t, cmd); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// On a terminal it says where it listens and for whom.
func TestServeSummary(t *testing.T) {
	t.Parallel()
	master, slave := openTerminal(t)
	sock := filepath.Join(t.TempDir(), "gw.sock")
	cmd, out := onTerminal(t, master, slave, []string{"TERM=dumb"}, "serve", "-c", serveFile(t, "unix:"+sock, "", hello))
	eventually(t, "the summary", func() bool { return strings.Contains(out.String(), "login none") })
	for _, want := range []string{"soapward serves", "listens at", "gw.sock, plain HTTP", "service", "one: /, login none"} {
		if got := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	eventually(t, "an answer", func() bool {
		got, err := fetchUnix(sock)
		return err == nil && got == "hello"
	})
	_, _ = master.WriteString("\x03") // Ctrl-C
	if code := exitCode(t, cmd); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := out.String(); strings.Contains(got, `{"time"`) {
		t.Errorf("JSON on a terminal: %s", got)
	}
}

// The first signal lets requests end, a second one does not wait for them.
func TestServeStopsAtOnce(t *testing.T) {
	t.Parallel()
	sock := filepath.Join(t.TempDir(), "gw.sock")
	entered, release := make(chan struct{}), make(chan struct{})
	defer close(release) // before the backend is closed
	file := serveFile(t, "unix:"+sock, "shutdown: {grace: 5m}\n", func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-release
	})
	cmd := exec.Command("soapward", "serve", "-c", file, "--log-format", "text")
	out := startServe(t, cmd)
	eventually(t, "it listens", func() bool {
		c, err := net.Dial("unix", sock)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	go func() { _, _ = fetchUnix(sock) }()
	select {
	case <-entered:
	case <-time.After(20 * time.Second):
		t.Fatal("the request does not arrive")
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	eventually(t, "it stops", func() bool { return strings.Contains(out.String(), "msg=stopping grace=5m0s") })
	eventually(t, "the end", func() bool { // the second signal counts as soon as the first is seen
		return cmd.Process.Signal(syscall.SIGTERM) != nil || cmd.ProcessState != nil || gone(cmd.Process.Pid)
	})
	err := cmd.Wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("it ended by %v", err)
	}
}

// gone reports whether a child has ended and waits for its parent.
func gone(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(b), ") Z ")
}
