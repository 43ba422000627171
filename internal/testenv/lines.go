package testenv

import (
	"bufio"
	"bytes"
	"io"
	"os/exec"
	"testing"
	"time"
)

// maxLine bounds a line of StartLines.
const maxLine = 1 << 20

// StartLines starts a program that answers each line on its standard input with
// one on its standard output, as long as the test runs. One that hangs is
// killed after a minute, which ends its output.
func StartLines(tb testing.TB, cmd *exec.Cmd) (io.Writer, *bufio.Scanner) {
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
	return in, lines
}
