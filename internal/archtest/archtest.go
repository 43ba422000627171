// Package archtest keeps the shape of the module: which package may import
// which, and how long a file gets. Its test runs the checks on the module; the
// rules themselves are in rules.go, and each has a test that it can fail.
package archtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
)

const module = "github.com/soapward/soapward"

// pkg is what go list says of a package, with paths of this module relative to
// its root.
type pkg struct {
	path        string
	onlyTests   bool     // there is nothing in it to import
	imports     []string // of the package itself
	testImports []string // of its tests
}

// loadPackages lists the packages of the module in dir.
func loadPackages(dir string) ([]pkg, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,GoFiles,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		var ee *exec.ExitError
		if errors.As(err, &ee) {
			return nil, fmt.Errorf("archtest: go list: %w\n%s", err, ee.Stderr)
		}
		return nil, fmt.Errorf("archtest: go list: %w", err)
	}
	var pkgs []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath                                  string
			GoFiles, Imports, TestImports, XTestImports []string
		}
		if err := d.Decode(&p); err == io.EOF {
			return pkgs, nil
		} else if err != nil {
			return nil, fmt.Errorf("archtest: output of go list: %w", err)
		}
		pkgs = append(pkgs, pkg{
			path:        relative(p.ImportPath),
			onlyTests:   len(p.GoFiles) == 0,
			imports:     relatives(p.Imports),
			testImports: relatives(slices.Concat(p.TestImports, p.XTestImports)),
		})
	}
}

// relative marks our own packages by a leading "./".
func relative(importPath string) string {
	if importPath == module {
		return "./."
	}
	if in, ours := strings.CutPrefix(importPath, module+"/"); ours {
		return "./" + in
	}
	return importPath
}

func relatives(in []string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = relative(s)
	}
	return out
}

func isOurs(p string) bool { return strings.HasPrefix(p, "./") }

// isStandard reports whether an import path is of the standard library: its
// first element has no dot.
func isStandard(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return !strings.Contains(first, ".")
}

// under reports whether p is pattern, or below it where pattern ends in "/...".
func under(p, pattern string) bool {
	if dir, ok := strings.CutSuffix(pattern, "/..."); ok {
		return p == dir || strings.HasPrefix(p, dir+"/")
	}
	return p == pattern
}

func underAny(p string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return under(p, pattern) })
}

// checkImports returns what the packages do that the rules forbid.
func checkImports(pkgs []pkg, r rules) []string {
	var bad []string
	report := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	for _, p := range pkgs {
		allowed, known := r.packageRule(p.path)
		if !known && !p.onlyTests {
			report("%s is in no rule: add it to the table with what it may import", p.path)
			continue
		}
		for _, im := range p.imports {
			switch {
			case isOurs(im):
				if !underAny(im, allowed.imports) {
					report("%s imports %s, which the table does not allow", p.path, im)
				}
				if r.testOnly(im) && !r.testOnly(p.path) {
					report("%s imports %s, which is for tests only", p.path, im)
				}
			case im == "testing" && !r.testOnly(p.path):
				report("%s imports testing outside of a test", p.path)
			case isStandard(im):
			case allowed.standardOnly:
				report("%s imports %s; it may import the standard library only", p.path, im)
			case !r.mayUse(p.path, im, false):
				report("%s imports %s, which belongs to another package", p.path, im)
			}
		}
		for _, im := range p.testImports {
			switch {
			case isOurs(im), isStandard(im):
			case !r.mayUse(p.path, im, true):
				report("the tests of %s import %s, which belongs to another package", p.path, im)
			}
		}
		for _, im := range slices.Concat(p.imports, p.testImports) {
			if under(im, "./cmd/...") {
				report("%s imports %s; nothing imports a command", p.path, im)
			}
		}
	}
	return bad
}

// packageRule returns the most exact rule for a package.
func (r rules) packageRule(p string) (packageRule, bool) {
	if rule, ok := r.packages[p]; ok {
		return rule, true
	}
	for dir := p; dir != "."; dir = path.Dir(dir) {
		pattern := "./" + strings.TrimPrefix(dir, "./") + "/..."
		if rule, ok := r.packages[pattern]; ok {
			return rule, true
		}
	}
	return packageRule{}, false
}

func (r rules) testOnly(p string) bool { return underAny(p, r.tests) }

// mayUse reports whether package p, or its tests, may import a package of
// another module. A module that is in no rule belongs to nobody.
func (r rules) mayUse(p, im string, test bool) bool {
	// The most exact rule decides, so that x/crypto/md4 has owners of its own.
	var best *ownerRule
	for i, o := range r.owners {
		if under(im, o.module+"/...") && (best == nil || len(o.module) > len(best.module)) {
			best = &r.owners[i]
		}
	}
	if best == nil {
		return false
	}
	return underAny(p, best.packages) || test && underAny(p, best.tests)
}
