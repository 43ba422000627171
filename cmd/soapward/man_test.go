package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/internal/testenv"
)

// Each command that is listed has a page in which nothing is lost, and which two
// readers of manual pages take without a warning.
func TestManPages(t *testing.T) {
	t.Parallel()
	mandoc, groff := testenv.Need(t, "mandoc"), testenv.Need(t, "groff")
	dir := t.TempDir()
	root := newRootCommand()
	if err := writeManPages(root, dir, "2026-11-26"); err != nil {
		t.Fatal(err)
	}
	n := 0
	_ = eachCommand(root, func(c *cobra.Command) error {
		n++
		file := filepath.Join(dir, manName(c)+".1")
		if out, err := testenv.Try(t, nil, "", mandoc, "-T", "lint", "-W", "warning", file); err != nil || out != "" {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
		if out, err := testenv.Try(t, nil, "", groff, "-man", "-ww", "-z", file); err != nil || out != "" {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
		text := testenv.Run(t, []string{"LC_ALL=C.UTF-8"}, "", mandoc, "-T", "utf8", "-O", "width=300", file)
		text = strings.Join(strings.Fields(unbold(text)), " ")
		for _, want := range append(strings.Split(c.Example, "\n"), strings.Split(c.Long, "\n")...) {
			if want = strings.Join(strings.Fields(want), " "); !strings.Contains(text, want) {
				t.Errorf("%s lacks %q", file, want)
			}
		}
		return nil
	})
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != n || n < 10 {
		t.Errorf("%d pages for %d commands, %v", len(files), n, err)
	}
}

// unbold takes out what prints a letter twice, or underlines it.
func unbold(s string) string {
	var out []rune
	for _, r := range s {
		if r == '\b' && len(out) > 0 {
			out = out[:len(out)-1]
			continue
		}
		out = append(out, r)
	}
	return string(out)
}
