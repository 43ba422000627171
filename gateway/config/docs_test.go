package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Configurations in documents, which say that they are some, can be used.
func TestDocuments(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range append(files, "../../README.md") {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		bad, found := checkDocument(filepath.Base(file), string(b))
		n += found
		for _, err := range bad {
			t.Error(err)
		}
	}
	if n < 10 {
		t.Errorf("%d configurations were found", n)
	}
}

func TestCheckDocument(t *testing.T) {
	t.Parallel()
	const good = "<!-- configuration -->\n```yaml\nlisten: [{addr: \":80\"}]\n```\n"
	for _, tt := range []struct {
		name, document string
		bad, found     int
	}{
		{"good", "a\n" + good + "b\n" + good, 0, 2},
		{"wrong", "<!-- configuration -->\n```yaml\nlsten: []\n```\n", 1, 1},
		{"not one", "```yaml\nlsten: []\n```\n", 0, 0},
		{"no block behind it", "<!-- configuration -->\ntext\n", 1, 0},
	} {
		if bad, found := checkDocument("a.md", tt.document); len(bad) != tt.bad || found != tt.found {
			t.Errorf("%s: %v, %d found", tt.name, bad, found)
		}
	}
}

var (
	configMark  = regexp.MustCompile(`(?m)^<!-- configuration -->$`)
	configBlock = regexp.MustCompile("(?ms)^<!-- configuration -->\n```yaml\n(.*?)^```$")
)

// checkDocument parses the configurations in a document, each of which stands by
// itself behind a mark.
func checkDocument(name, document string) (bad []error, found int) {
	blocks := configBlock.FindAllStringSubmatch(document, -1)
	if marks := configMark.FindAllString(document, -1); len(marks) != len(blocks) {
		bad = append(bad, fmt.Errorf("%s: %d marks, and %d blocks behind them", name, len(marks), len(blocks)))
	}
	for i, m := range blocks {
		if _, err := Parse(fmt.Sprintf("%s, configuration %d", name, i+1), []byte(m[1])); err != nil {
			bad = append(bad, err)
		}
	}
	return bad, len(blocks)
}
