package testenv

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"testing"
	"time"
)

// maxLine bounds a line of StartLines.
const maxLine = 1 << 20

// Lines is a program that answers line by line, for one question at a time.
type Lines struct {
	in  io.Writer
	out *bufio.Scanner
}

// Ask writes a line and returns the answer. It fails the test, which need not
// be the one that started the program, if there is none.
func (l *Lines) Ask(tb testing.TB, line string) string {
	tb.Helper()
	if _, err := io.WriteString(l.in, line+"\n"); err != nil {
		tb.Fatal(err)
	}
	if !l.out.Scan() {
		tb.Fatalf("%.60s: no answer: %v", line, l.out.Err())
	}
	return l.out.Text()
}

// AskJSON is Ask with a question and an answer that are JSON.
func (l *Lines) AskJSON(tb testing.TB, question, answer any) {
	tb.Helper()
	b, err := json.Marshal(question)
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal([]byte(l.Ask(tb, string(b))), answer); err != nil {
		tb.Fatal(err)
	}
}

// StartLines starts a program that answers each line on its standard input with
// one on its standard output, as long as the test runs. One that hangs is
// killed after a minute, which ends its output.
func StartLines(tb testing.TB, cmd *exec.Cmd) *Lines {
	tb.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	deadline := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	tb.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // it has nothing more to say
		deadline.Stop()
		if tb.Failed() {
			tb.Logf("%s wrote:\n%s", cmd.Path, &stderr)
		}
	})
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxLine)
	return &Lines{in, lines}
}
