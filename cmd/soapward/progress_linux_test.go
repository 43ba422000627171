package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// On a terminal a line says what is going on, and is gone at the end.
func TestGenerateProgress(t *testing.T) {
	t.Parallel()
	master, slave := openTerminal(t)
	cmd, out := onTerminal(t, master, slave, []string{"TERM=xterm"},
		"generate", "-o", filepath.Join(t.TempDir(), "expenses"), filepath.Join("..", "..", "examples", "wsdl", "expenses.wsdl"))
	if code := exitCode(t, cmd); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	eventually(t, "the summary", func() bool { return strings.Contains(out.String(), "package expenses, 11 types") })
	before, _, _ := strings.Cut(out.String(), "package expenses")
	for _, want := range []string{"read document 1: ", "read document 3: ", "generate from 3 documents with "} {
		if !strings.Contains(before, want) {
			t.Errorf("%q is not in %q", want, before)
		}
	}
	if i := strings.LastIndex(before, "\r\x1b[K"); i < strings.LastIndex(before, " ...") {
		t.Errorf("the line stays: %q", before)
	}
}
