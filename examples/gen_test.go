// Package examples holds small whole programs, and the services they use.
package examples

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/soapward/soapward/wsdl"
	"github.com/soapward/soapward/wsdl/gen"
)

// TestGenerated fails when somebody changed a WSDL or the generator and did not
// run go generate.
func TestGenerated(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"expenses", "ledger"} {
		d, err := (&wsdl.Resolver{}).Open(t.Context(), filepath.Join("wsdl", name+".wsdl"))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range d.Warnings {
			t.Errorf("%s: warning: %v", name, w)
		}
		r, err := gen.Generate(d, gen.Options{
			Package:    name,
			ImportPath: "github.com/soapward/soapward/examples/" + name,
			Directive:  "go run github.com/soapward/soapward/cmd/soapward generate -o . -p " + name + " ../wsdl/" + name + ".wsdl",
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Files {
			got, err := os.ReadFile(filepath.Join(name, filepath.FromSlash(f.Name)))
			if err != nil || string(got) != string(f.Data) {
				t.Errorf("%s/%s is not up to date (%v); run go generate ./examples/...", name, f.Name, err)
			}
		}
	}
}
