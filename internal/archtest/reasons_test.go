package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// reasonFiles have the reasons that operators find in logs, as constants whose
// names fit.
var reasonFiles = []struct{ file, names string }{
	{"authn/errors.go", "^Reason"},
	{"authn/decision.go", "^Outcome(Refused|Blocked|Unavailable)$"},
	{"authclient/delegation/reason.go", "^Reason"},
	{"gateway/backend/backend.go", "^Reason"},
	{"gateway/inbound/refuse.go", "."},
	{"gateway/outbound/answer.go", "^reason"},
	{"gateway/observe/decisions.go", "^reason"},
}

// The page on troubleshooting has each reason, and no others.
func TestTroubleshooting(t *testing.T) {
	t.Parallel()
	root := moduleRoot(t)
	var reasons []string
	for _, f := range reasonFiles {
		found, err := constants(filepath.Join(root, f.file), regexp.MustCompile(f.names))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d reasons, %v", f.file, len(found), err)
		}
		reasons = append(reasons, found...)
	}
	reasons = append(reasons, "panic") // of gateway/observe, in a call
	for _, bad := range checkReasons(readFile(t, filepath.Join(root, "docs/troubleshooting.md")), reasons) {
		t.Error(bad)
	}
}

func TestCheckReasons(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, page string
		want       int
	}{
		{"all", "| `a` | x |\n| `b`, `c` | x |\n", 0},
		{"in text only", "| `a` | `c` |\n`b`\n| `b` | x |", 1},
		{"one too many", "| `a` |\n| `b` |\n| `c` |\n| `d` |", 1},
	} {
		if got := checkReasons(tt.page, []string{"a", "b", "c", "c"}); len(got) != tt.want {
			t.Errorf("%s: %q, want %d", tt.name, got, tt.want)
		}
	}
}

var (
	firstCell = regexp.MustCompile("(?m)^\\| (`[^|]+`) \\|")
	reason    = regexp.MustCompile("`([^`]+)`")
)

// checkReasons compares the first cells of a page's tables with the reasons.
func checkReasons(page string, reasons []string) (bad []string) {
	var told []string
	for _, m := range firstCell.FindAllStringSubmatch(page, -1) {
		for _, r := range reason.FindAllStringSubmatch(m[1], -1) {
			told = append(told, r[1])
		}
	}
	slices.Sort(reasons)
	for _, r := range slices.Compact(reasons) {
		if !slices.Contains(told, r) {
			bad = append(bad, fmt.Sprintf("troubleshooting has no row %q", r))
		}
	}
	for _, r := range told {
		if !slices.Contains(reasons, r) {
			bad = append(bad, fmt.Sprintf("troubleshooting has a row %q, which is no reason", r))
		}
	}
	return bad
}

// constants returns the values of a file's string constants whose names fit.
func constants(file string, names *regexp.Regexp) (values []string, err error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		return nil, err
	}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			for i, name := range v.Names {
				if i >= len(v.Values) || !names.MatchString(name.Name) {
					continue
				}
				if lit, ok := v.Values[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
					text, err := strconv.Unquote(lit.Value)
					if err != nil {
						return nil, err
					}
					if !strings.Contains(text, " ") {
						values = append(values, text)
					}
				}
			}
		}
	}
	return values, nil
}
