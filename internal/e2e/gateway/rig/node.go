package rig

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

var built struct {
	sync.Once
	dir string
	err error
}

// Build makes the program soapward, with the race detector if the test has it, and
// returns its path. The first call of a
// process does it, and Remove removes it.
func Build(tb testing.TB) string {
	tb.Helper()
	tool := testenv.Need(tb, "go")
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "soapward-rig-*"); built.err != nil {
			return
		}
		args := append([]string{"build", "-o", filepath.Join(built.dir, "soapward")}, raceFlags...)
		out, err := exec.Command(tool, append(args, "github.com/soapward/soapward/cmd/soapward")...).CombinedOutput()
		if err != nil {
			built.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		tb.Fatal(built.err)
	}
	return filepath.Join(built.dir, "soapward")
}

// Remove removes what Build made. It is for a TestMain.
func Remove() error {
	if built.dir == "" {
		return nil
	}
	return os.RemoveAll(built.dir)
}

// Port returns one of 127.0.0.1 that nothing uses.
func Port(tb testing.TB) int {
	tb.Helper()
	port, err := testenv.FreePort()
	if err != nil {
		tb.Fatal(err)
	}
	return port
}

// Addr is that of a port of 127.0.0.1.
func Addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// A Node is soapward serve. Its methods are safe for concurrent use, apart from
// those that start and end it.
type Node struct {
	Name string
	Dir  string // of its files

	// Output gets the log, in place of Dir/log. It is set before Start.
	Output io.Writer

	program string
	ports   []int // that it listens on when it is ready
	admin   int
	proc    *testenv.Process
}

// NewNode is a gateway with the configuration Dir/gw.yaml that text becomes, which
// Start starts and the end of the test stops.
func NewNode(tb testing.TB, name, text string, files map[string]string, admin int, ports ...int) *Node {
	tb.Helper()
	n := &Node{Name: name, Dir: tb.TempDir(), program: Build(tb), ports: append(ports, admin), admin: admin}
	for file, content := range files {
		n.Write(tb, file, content)
	}
	n.Write(tb, "gw.yaml", text)
	tb.Cleanup(func() {
		began := time.Now()
		if err := n.Stop(); err != nil {
			tb.Errorf("node %s: %v", n.Name, err)
		}
		if took := time.Since(began); took > 2*time.Second {
			tb.Logf("node %s took %v to stop", n.Name, took.Round(time.Millisecond))
		}
		if log := n.Log(); strings.Contains(log, "DATA RACE") {
			tb.Errorf("node %s: a data race:\n%s", n.Name, tail(n.unusual(), 12000))
		}
		if tb.Failed() {
			tb.Logf("the end of the log of node %s, without logins and requests:\n%s", n.Name, tail(n.unusual(), 6000))
		}
	})
	return n
}

// StartNode makes a node and starts it. Its log is in Dir/log.
func StartNode(tb testing.TB, name, text string, files map[string]string, admin int, ports ...int) *Node {
	tb.Helper()
	n := NewNode(tb, name, text, files, admin, ports...)
	n.Start(tb)
	return n
}

func tail(s string, n int) string {
	if len(s) > n {
		return "..." + s[len(s)-n:]
	}
	return s
}

// Write puts a file into the place of another one, as an editor does.
func (n *Node) Write(tb testing.TB, name, content string) {
	tb.Helper()
	path := filepath.Join(n.Dir, name)
	if err := errors.Join(os.WriteFile(path+".new", []byte(content), 0o600), os.Rename(path+".new", path)); err != nil {
		tb.Fatal(err)
	}
}

// Start starts the node after Kill or Stop, and returns when it listens.
func (n *Node) Start(tb testing.TB) {
	tb.Helper()
	cmd := exec.Command(n.program, "serve", "-c", filepath.Join(n.Dir, "gw.yaml"))
	cmd.Stderr, cmd.Stdout = n.Output, n.Output
	if n.Output == nil {
		log, err := os.OpenFile(filepath.Join(n.Dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			tb.Fatal(err)
		}
		defer func() { _ = log.Close() }() // the process has its own
		cmd.Stderr, cmd.Stdout = log, log
	}
	var err error
	if n.proc, err = testenv.StartProcess(cmd); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	var addrs []string
	for _, p := range n.ports {
		addrs = append(addrs, Addr(p))
	}
	if err := n.proc.WaitListening(ctx, addrs...); err != nil {
		tb.Fatalf("node %s: %v\n%s", n.Name, err, tail(n.Log(), 6000))
	}
}

// Kill ends the node as a crash would.
func (n *Node) Kill(tb testing.TB) {
	tb.Helper()
	if err := n.proc.Kill(); err != nil {
		tb.Fatal(err)
	}
	n.proc = nil
}

// Stop ends the node as its administrator would.
func (n *Node) Stop() error {
	if n.proc == nil {
		return nil
	}
	err := n.proc.Stop()
	n.proc = nil
	return err
}

// Reload has the node read its configuration again, and returns when it did.
func (n *Node) Reload(ctx context.Context) error {
	before, err := n.Metric(ctx, `soapward_reloads_total{result="done"}`)
	if err != nil {
		return err
	}
	process, err := os.FindProcess(n.proc.PID())
	if err != nil {
		return err
	}
	if err := process.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return testenv.Poll(ctx, func() error {
		after, err := n.Metric(ctx, `soapward_reloads_total{result="done"}`)
		if err == nil && after <= before {
			err = fmt.Errorf("rig: node %s did not reload", n.Name)
		}
		return err
	})
}

// PID is that of the process.
func (n *Node) PID() int { return n.proc.PID() }

// Log is all that the node wrote.
func (n *Node) Log() string {
	b, _ := os.ReadFile(filepath.Join(n.Dir, "log")) // a test that looks for something does not find it
	return string(b)
}

// unusual is the log without the lines that each request has.
func (n *Node) unusual() string {
	var b strings.Builder
	for l := range strings.Lines(n.Log()) {
		if !strings.Contains(l, `"msg":"request`) && !strings.Contains(l, `"msg":"login"`) {
			b.WriteString(l)
		}
	}
	return b.String()
}

// A Line is one of a log.
type Line struct {
	Level   string
	Msg     string
	Ref     string
	Status  int
	Reason  string
	Refusal string
	Cause   json.RawMessage
	Text    string `json:"-"` // all of it
}

// ParseLine reads a line of a log. It is false for what is none.
func ParseLine(b []byte) (Line, bool) {
	var l Line
	if json.Unmarshal(b, &l) != nil {
		return l, false
	}
	l.Text = strings.TrimSpace(string(b))
	return l, true
}

// Word is why the request was not answered, in one word.
func (l *Line) Word() string { return cmp.Or(l.Refusal, l.Reason) }

// LinesOf returns what the log says of a request.
func (n *Node) LinesOf(ref string) (lines []Line) {
	b, _ := os.ReadFile(filepath.Join(n.Dir, "log"))
	return linesOf(b, ref)
}

func linesOf(log []byte, ref string) (lines []Line) {
	if ref == "" {
		return nil
	}
	for l := range bytes.Lines(log) {
		if !bytes.Contains(l, []byte(`"`+ref+`"`)) {
			continue
		}
		if line, ok := ParseLine(l); ok && line.Ref == ref {
			lines = append(lines, line)
		}
	}
	return lines
}

// Metrics returns the values of all series, by name and labels as they stand in
// the page.
func (n *Node) Metrics(ctx context.Context) (map[string]float64, error) {
	page, err := n.Page(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	values := make(map[string]float64)
	for l := range strings.Lines(page) {
		name, value, ok := cutLast(strings.TrimSpace(l))
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil && !strings.HasPrefix(l, "#") {
			values[name] = v
		}
	}
	return values, nil
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, ' ')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

// Metric returns the value of a series, zero if there is none yet.
func (n *Node) Metric(ctx context.Context, series string) (float64, error) {
	all, err := n.Metrics(ctx)
	return all[series], err
}

// Page returns one of the administrator's pages, whatever its status.
func (n *Node) Page(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+Addr(n.admin)+path, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

// Run runs the program with the node's configuration and returns what it wrote.
func (n *Node) Run(tb testing.TB, args ...string) string {
	tb.Helper()
	return testenv.Run(tb, nil, "", n.program, append(args, "-c", filepath.Join(n.Dir, "gw.yaml"))...)
}
