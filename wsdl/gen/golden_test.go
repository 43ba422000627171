package gen

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/wsdl"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// golden lists descriptions and the packages made of them, whose messages the
// tests in internal/gentest use.
var golden = []struct {
	pkg, file    string
	perNamespace bool
}{
	{"shapes", "testdata/shapes/shapes.wsdl", false},
	{"names", "testdata/names/names.wsdl", false},
	{"odd", "testdata/odd/odd.wsdl", false},
	{"facets", "testdata/facets/facets.wsdl", false},
	{"binary", "testdata/binary/binary.wsdl", false},
	{"ports", "testdata/ports/ports.wsdl", false},
	{"parts", "testdata/parts/parts.wsdl", true},
	{"encoded", "testdata/encoded/encoded.wsdl", false},
}

func open(t *testing.T, file string) *wsdl.Definitions {
	t.Helper()
	d, err := (&wsdl.Resolver{}).Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, tt := range golden {
		t.Run(tt.pkg, func(t *testing.T) {
			t.Parallel()
			r, err := Generate(open(t, filepath.FromSlash(tt.file)), Options{
				Package: tt.pkg, Directive: "soapward generate x.wsdl", PerNamespace: tt.perNamespace,
				ImportPath: modulePath + "wsdl/gen/testdata/golden/" + tt.pkg,
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := compile(t, r); err != nil && !tt.perNamespace { // TestParts is about those
				t.Errorf("does not compile: %v", err)
			}
			dir := filepath.Join("testdata", "golden", tt.pkg)
			want := map[string]bool{}
			for _, f := range r.Files {
				want[f.Name] = true
				name := filepath.Join(dir, filepath.FromSlash(f.Name))
				if *update {
					if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o777), os.WriteFile(name, f.Data, 0o666)); err != nil {
						t.Fatal(err)
					}
					continue
				}
				old, err := os.ReadFile(name)
				if err != nil {
					t.Fatalf("%v; run go test -update", err)
				}
				if !bytes.Equal(old, f.Data) {
					t.Errorf("%s differs from the golden file at %s; look at it, then run go test -update", f.Name, firstDiff(old, f.Data))
				}
			}
			err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				rel, err := filepath.Rel(dir, path)
				if err == nil && !want[filepath.ToSlash(rel)] {
					t.Errorf("%s is no longer generated", path)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func firstDiff(a, b []byte) string {
	la, lb := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for i := range la {
		if i >= len(lb) || la[i] != lb[i] {
			return "line " + la[i]
		}
	}
	return "the end"
}

// TestDeterministic generates again, from a description loaded again.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	for _, tt := range golden {
		var first *Result
		for range 3 {
			r, err := Generate(open(t, tt.file), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = r
				continue
			}
			for i, f := range r.Files {
				if f.Name != first.Files[i].Name || !bytes.Equal(f.Data, first.Files[i].Data) {
					t.Errorf("%s: %s differs between runs", tt.pkg, f.Name)
				}
			}
		}
	}
}
