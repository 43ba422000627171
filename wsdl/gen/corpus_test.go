package gen

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/wsdl"
)

// exports returns where the compiled packages are that generated code imports.
var exports = sync.OnceValues(func() (map[string]string, error) {
	args := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}"}
	for _, p := range importPaths {
		args = append(args, p)
	}
	cmd := exec.Command("go", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.Bytes())
	}
	m := map[string]string{}
	for line := range strings.Lines(string(b)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		m[path] = file
	}
	return m, nil
})

// compile type-checks a generated package the way the compiler does.
func compile(t *testing.T, r *Result) error {
	t.Helper()
	ex, err := exports()
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, f := range r.Files {
		if filepath.Ext(f.Name) != ".go" || bytes.Contains(f.Data, []byte("_test\n")) { // which imports what is compiled here
			continue
		}
		a, err := parser.ParseFile(fset, f.Name, f.Data, parser.ParseComments)
		if err != nil {
			return err
		}
		files = append(files, a)
	}
	var errs []error
	conf := types.Config{
		Importer: importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(ex[path]) }),
		Error:    func(err error) { errs = append(errs, err) },
	}
	_, _ = conf.Check(r.Package, fset, files, nil) // errors are collected
	return errors.Join(errs...)
}

// corpus returns id and main file of the descriptions kept beside the
// repository, or skips.
func corpus(t *testing.T) (ids, files []string) {
	t.Helper()
	return testenv.Corpus(t, filepath.Join("..", "..", "..", "shared", "wsdl"))
}

// TestCorpus runs the generator over descriptions that others wrote. None may
// crash it or take long. That what it writes compiles is what the corpus command
// shows.
func TestCorpus(t *testing.T) {
	t.Parallel()
	ids, files := corpus(t)
	var table strings.Builder
	loaded, generated, whole := 0, 0, 0
	for i, id := range ids {
		start := time.Now()
		d, err := new(wsdl.Resolver).Open(t.Context(), files[i])
		if err != nil {
			fmt.Fprintf(&table, "%-28s does not load: %s\n", id, firstLine(err))
			continue
		}
		loaded++
		r, err := Generate(d, Options{Package: "x"})
		if err != nil {
			fmt.Fprintf(&table, "%-28s is not generated: %s\n", id, firstLine(err))
			continue
		}
		generated++
		took := time.Since(start)
		if took > time.Minute {
			t.Errorf("%s took %v", id, took)
		}
		if len(d.Dropped) == 0 {
			whole++
		}
		ops := 0
		for _, s := range r.Services {
			ops += len(s.Operations)
		}
		fmt.Fprintf(&table, "%-28s %4d types %4d operations %3d left out %8v\n", id, r.Types, ops, len(r.Skipped), took.Round(time.Millisecond))
	}
	// What is lost below this has been won before.
	if loaded < 75 || generated < 75 || whole < 74 {
		t.Errorf("%d load, %d generate, %d of them with every operation; expected at least 75, 75 and 74", loaded, generated, whole)
	}
	t.Logf("%d descriptions: %d load, %d generate, %d of them with every operation\n%s", len(ids), loaded, generated, whole, &table)
}

func firstLine(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return s
}
