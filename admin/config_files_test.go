package admin

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A file that cannot be written leaves the others as they were, and so does undo.
func TestAttackWritePartly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	read := func(name string) string {
		b, err := os.ReadFile(path(name))
		if errors.Is(err, os.ErrNotExist) {
			return "none"
		}
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for name, text := range map[string]string{"a": "a1", "b": "b1", "gone": "g1"} {
		if err := os.WriteFile(path(name), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	asBefore := func(what string) {
		t.Helper()
		if read("a") != "a1" || read("b") != "b1" || read("new") != "none" || read("gone") != "g1" {
			t.Errorf("%s: %s %s %s %s", what, read("a"), read("b"), read("new"), read("gone"))
		}
		entries, _ := os.ReadDir(dir)
		if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return strings.Contains(e.Name(), "tmp") }) {
			t.Errorf("%s: %v is left", what, entries)
		}
	}
	whole := func() *plan {
		return &plan{
			main: path("a"), remove: []string{path("gone")},
			files:  []ConfigFile{{Path: path("a"), Text: "a2"}, {Path: path("new"), Text: "n2"}, {Path: path("b"), Text: "b2"}},
			before: map[string]string{path("a"): "a1", path("b"): "b1", path("gone"): "g1"},
		}
	}
	p := whole()
	p.remove = append(p.remove, path("missing")) // the last step fails
	if _, err := p.write(); err == nil {
		t.Error("a file that is not there was removed")
	}
	asBefore("the last step")

	p = whole()
	p.files = append(p.files, ConfigFile{Path: path("nowhere/c"), Text: "c2"})
	if _, err := p.write(); err == nil {
		t.Error("a file was written into no directory")
	}
	asBefore("a temporary file")

	undo, err := whole().write()
	if err != nil || read("a") != "a2" || read("b") != "b2" || read("new") != "n2" || read("gone") != "none" {
		t.Fatalf("%v: %s %s %s %s", err, read("a"), read("b"), read("new"), read("gone"))
	}
	if info, err := os.Stat(path("a")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := undo(); err != nil {
		t.Error(err)
	}
	asBefore("undo")
}
