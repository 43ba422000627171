package site_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/doctor"
	"github.com/soapward/soapward/internal/doctor/site"
)

var update = flag.Bool("update", false, "write the table of docs/howto-doctor.md again")

// The table in the documentation is the catalog.
func TestDocumentedFindings(t *testing.T) {
	t.Parallel()
	file := filepath.Join("..", "..", "..", "docs", "howto-doctor.md")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- findings: made by go test ./internal/doctor/site -update -->\n", "<!-- end of findings -->"
	before, rest, ok := strings.Cut(string(b), begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", file)
	}
	want := table()
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("the table of %s is not that of the catalog: go test ./internal/doctor/site -update", file)
	}
}

func table() string {
	var b strings.Builder
	b.WriteString("| id | kind | what | what to do |\n|---|---|---|---|\n")
	for _, e := range site.Catalog() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", e.ID, e.Severity, cell(e.What), cell(e.Remedy))
	}
	return b.String()
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// Each finding of the catalog is one that the code makes, has all its words, and
// is there once.
func TestCatalog(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]bool{}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") || f == "catalog.go" {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"([a-z]+\d?\.[a-z0-9-]+)"`).FindAllStringSubmatch(string(b), -1) {
			made[m[1]] = true
		}
	}
	seen := map[string]bool{}
	for _, e := range site.Catalog() {
		if seen[e.ID] {
			t.Errorf("%s is there twice", e.ID)
		}
		seen[e.ID] = true
		if !made[e.ID] {
			t.Errorf("nothing makes %s", e.ID)
		}
		if e.What == "" || e.Remedy == "" && e.Severity != doctor.Good {
			t.Errorf("%s lacks words", e.ID)
		}
	}
	for _, m := range regexp.MustCompile(`found\("([^"]+)"`).FindAllStringSubmatch(source(t, files), -1) {
		if !seen[m[1]] {
			t.Errorf("%s is not in the catalog", m[1])
		}
	}
}

func source(t *testing.T, files []string) string {
	t.Helper()
	var b strings.Builder
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	}
	return b.String()
}
