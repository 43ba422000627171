package archtest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	attackName = regexp.MustCompile(`\bTestAttack\w+`)
	attackFunc = regexp.MustCompile(`(?m)^func (TestAttack\w+)\(`)
	snippet    = regexp.MustCompile("(?s)<!-- (\\S+\\.go) -->\n```go\n(.*?)```")
	code       = regexp.MustCompile("(?ms)^```.*?^```")
	link       = regexp.MustCompile(`\]\(([^)#\s]+)\)`)
)

// checkThreatModel compares the tests that the threat model names with those
// that the sources have.
func checkThreatModel(model string, sources []string) []string {
	named, exist := map[string]bool{}, map[string]bool{}
	for _, n := range attackName.FindAllString(model, -1) {
		named[n] = true
	}
	for _, s := range sources {
		for _, m := range attackFunc.FindAllStringSubmatch(s, -1) {
			exist[m[1]] = true
		}
	}
	var bad []string
	for n := range named {
		if !exist[n] {
			bad = append(bad, "the threat model names "+n+", which does not exist")
		}
	}
	for n := range exist {
		if !named[n] {
			bad = append(bad, "the threat model does not name "+n)
		}
	}
	slices.Sort(bad)
	return bad
}

// checkSnippets compares the Go code in a document with the files it says it is
// from.
func checkSnippets(name, document string, read func(string) (string, error)) []string {
	var bad []string
	for _, m := range snippet.FindAllStringSubmatch(document, -1) {
		content, err := read(m[1])
		switch {
		case err != nil:
			bad = append(bad, fmt.Sprintf("%s: %v", name, err))
		case strings.TrimSpace(m[2]) == "":
			bad = append(bad, fmt.Sprintf("%s: the snippet of %s is empty", name, m[1]))
		case !strings.Contains(unindent(content), unindent(m[2])):
			bad = append(bad, fmt.Sprintf("%s: the snippet is not in %s", name, m[1]))
		}
	}
	return bad
}

// unindent drops indentation and the space that gofmt aligns comments with, so
// that a snippet may stand at another depth.
func unindent(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.Join(strings.Fields(l), " ")
	}
	return strings.Join(lines, "\n")
}

// links returns the files that a document links to, relative to its folder. In
// code, f[T](x) is no link.
func links(document string) []string {
	var out []string
	for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(document, ""), -1) {
		if !strings.Contains(m[1], "://") {
			out = append(out, m[1])
		}
	}
	return out
}
