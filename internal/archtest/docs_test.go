package archtest

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestModuleDocs holds the documents against the code: each attack test is in
// the threat model, each snippet is from the file it names, each link leads to
// a file.
func TestModuleDocs(t *testing.T) {
	t.Parallel()
	root := moduleRoot(t)
	names, err := loadFiles(root)
	if err != nil {
		t.Fatal(err)
	}
	var tests []string
	for _, name := range names {
		path := filepath.Join(root, name)
		switch {
		case strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, "internal/archtest/"):
			tests = append(tests, readFile(t, path))
		case strings.HasSuffix(name, ".md"):
			doc := readFile(t, path)
			for _, bad := range checkSnippets(name, doc, func(f string) (string, error) {
				b, err := os.ReadFile(filepath.Join(root, f))
				return string(b), err
			}) {
				t.Error(bad)
			}
			for _, l := range links(doc) {
				if _, err := os.Stat(filepath.Join(filepath.Dir(path), l)); err != nil {
					t.Errorf("%s links to %s, which is not there", name, l)
				}
			}
		}
	}
	for _, bad := range checkThreatModel(readFile(t, filepath.Join(root, "docs/threat-model.md")), tests) {
		t.Error(bad)
	}
}

func TestCheckThreatModel(t *testing.T) {
	t.Parallel()
	sources := []string{"func TestAttackOne(t *testing.T) {\n", "func TestAttackTwo(t *testing.T) {\nfunc TestOther("}
	for _, tt := range []struct {
		model string
		want  []string
	}{
		{"`TestAttackOne`, `TestAttackTwo`", nil},
		{"`TestAttackOne`", []string{"the threat model does not name TestAttackTwo"}},
		{"`TestAttackOne`, `TestAttackTwo`, `TestAttackGone`", []string{"the threat model names TestAttackGone, which does not exist"}},
	} {
		if got := checkThreatModel(tt.model, sources); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.model, got, tt.want)
		}
	}
}

func TestCheckSnippets(t *testing.T) {
	t.Parallel()
	read := func(name string) (string, error) {
		if name != "a.go" {
			return "", errors.New("no such file")
		}
		return "package a\n\nfunc f() {\n\tg()  // why\n\th()\n}\n", nil
	}
	for doc, want := range map[string]int{
		"<!-- a.go -->\n```go\ng() // why\nh()\n```": 0,
		"<!-- a.go -->\n```go\ng()\nh()\n```":        1,
		"<!-- a.go -->\n```go\n```":                  1,
		"<!-- b.go -->\n```go\ng()\n```":             1,
		"```go\nwhatever\n```":                       0,
	} {
		if got := checkSnippets("x.md", doc, read); len(got) != want {
			t.Errorf("%q: %q, want %d complaints", doc, got, want)
		}
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	doc := "[a](a.md)\n```go\nf[T](ctx)\n```\n[web](https://b.test/) [c](c/d.md)\n```\n[x](y)\n```"
	if got, want := links(doc), []string{"a.md", "c/d.md"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
