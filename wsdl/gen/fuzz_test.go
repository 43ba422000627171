package gen

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/soapward/soapward/wsdl"
)

// FuzzGenerate generates from descriptions of any content: whatever loads is
// refused or gives code that compiles.
func FuzzGenerate(f *testing.F) {
	for _, name := range []string{"testdata/names/names.wsdl", "testdata/odd/odd.wsdl", "testdata/encoded/encoded.wsdl"} {
		b, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, doc string) {
		file, err := os.CreateTemp(dir, "*.wsdl")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.Remove(file.Name()) }()
		_, err = file.WriteString(doc)
		if cerr := file.Close(); err != nil || cerr != nil {
			t.Fatal(err, cerr)
		}
		d, err := (&wsdl.Resolver{MaxDocuments: 1}).Open(t.Context(), file.Name())
		if err != nil {
			return
		}
		r, err := Generate(d, Options{})
		if err != nil {
			return
		}
		if err := compile(t, r); err != nil {
			t.Errorf("does not compile: %v", err)
		}
	})
}
