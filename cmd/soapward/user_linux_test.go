package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A new password is asked for twice on a terminal, and shown never.
func TestNewPasswordPrompt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		first, second string
		code          int
		want          string
	}{
		{"twice the same", "seven green boats", "seven green boats", 0, "carol was added"},
		{"too short, and not asked for again", "short boats", "", 1, "Use at least 12 characters"},
		{"two that differ", "seven green boats", "seven green goats", 1, "the two passwords differ; nothing was changed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			master, slave := openTerminal(t)
			cmd, out := onTerminal(t, master, slave, nil, "user", "add", "carol", "--store", "sqlite:"+filepath.Join(t.TempDir(), "users.db"))
			eventually(t, "the first prompt", func() bool { return strings.Contains(out.String(), "Password of carol (new): ") && unechoed(t, slave) })
			_, _ = master.WriteString(tt.first + "\n") // told by what comes
			if tt.second != "" {
				eventually(t, "the second prompt", func() bool {
					return strings.Contains(out.String(), "Password of carol (again): ") && unechoed(t, slave)
				})
				_, _ = master.WriteString(tt.second + "\n")
			}
			if code := exitCode(t, cmd); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			eventually(t, tt.want, func() bool { return strings.Contains(out.String(), tt.want) })
			if strings.Contains(out.String(), "boats") {
				t.Errorf("the password is shown: %q", out.String())
			}
		})
	}
}

// An import of many users shows how far it is, on a terminal only, and takes the
// line away at the end.
func TestImportProgress(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var b strings.Builder
	b.WriteString("name\n")
	for i := range 12_000 {
		fmt.Fprintf(&b, "user%d\n", i)
	}
	file := filepath.Join(dir, "users.csv")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	master, slave := openTerminal(t)
	cmd, out := onTerminal(t, master, slave, []string{"TERM=xterm"}, "user", "import", file, "--store", "sqlite:"+filepath.Join(dir, "users.db"))
	if code := exitCode(t, cmd); code != 0 {
		t.Errorf("exit code %d: %s", code, out.String())
	}
	want := "12000 users were added, 0 existed"
	eventually(t, want, func() bool { return strings.Contains(out.String(), want) })
	for _, part := range []string{"read 10000 users of users.csv", "5000 of 12000 users, 42 %"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("%q was not shown: %q", part, out.String())
		}
	}
}
