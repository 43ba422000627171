package gen

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/wsdl"
)

// scratchModule makes a module that uses this one as it is on disk.
func scratchModule(t *testing.T) (dir, repo string) {
	t.Helper()
	repo, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	mod := "module scratch\n\ngo 1.26.0\n\nrequire " + strings.TrimSuffix(modulePath, "/") + " v0.0.0\n\nreplace " +
		strings.TrimSuffix(modulePath, "/") + " => " + repo + "\n"
	writeFile(t, filepath.Join(dir, "go.mod"), []byte(mod))
	return dir, repo
}

func writeFile(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// writePackage writes the files of a generated package.
func writePackage(t *testing.T, dir string, r *Result) {
	t.Helper()
	for _, f := range r.Files {
		writeFile(t, filepath.Join(dir, filepath.FromSlash(f.Name)), f.Data)
	}
}

// large says whether tests are to compile what takes minutes, too.
func large() bool { return os.Getenv("SOAPWARD_TEST_LARGE") == "1" }

// TestQuality builds, vets and lints what is generated for descriptions that
// others wrote, by the rules of this repository and as if it were written by
// hand: linters are silent about much in generated code. Large packages take
// minutes and have nothing that small ones have not; they are tried with
// SOAPWARD_TEST_LARGE=1, and by the corpus command.
func TestQuality(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a lot of code: skipped with -short")
	}
	t.Parallel()
	ids, files := corpus(t)
	dir, repo := scratchModule(t)
	rules, err := os.ReadFile(filepath.Join(repo, "staticcheck.conf"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "staticcheck.conf"), rules)
	n := 0
	for i := range ids {
		d, err := (&wsdl.Resolver{AllowBroken: true}).Open(t.Context(), files[i])
		if err != nil {
			continue
		}
		pkg := fmt.Sprintf("p%d", i)
		r, err := Generate(d, Options{Package: pkg, ImportPath: "scratch/" + pkg})
		if err != nil || r.Types > 100 && !large() {
			continue
		}
		for i, f := range r.Files {
			if !strings.HasSuffix(f.Name, "_test.go") {
				r.Files[i].Data = bytes.TrimPrefix(f.Data, []byte(generatedLine+"\n"))
			}
		}
		writePackage(t, filepath.Join(dir, pkg), r)
		n++
	}
	if n < 40 {
		t.Errorf("%d packages were generated", n)
	}
	tool := exec.CommandContext(t.Context(), "go", "tool", "-n", "staticcheck")
	bin, err := tool.Output()
	if err != nil {
		t.Fatalf("go tool -n staticcheck: %v", err)
	}
	for _, args := range [][]string{{"go", "vet", "./..."}, {strings.TrimSpace(string(bin)), "./..."}, {"gofmt", "-l", "."}} {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%.4000s", strings.Join(args[:len(args)-1], " "), err, out)
		}
	}
}
