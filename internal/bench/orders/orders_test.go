package orders

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/soapward/soapward/wsdl"
	"github.com/soapward/soapward/wsdl/gen"
)

// TestGenerated fails when somebody changed the description or the generator and
// did not run go generate: the benchmarks must measure today's code.
func TestGenerated(t *testing.T) {
	t.Parallel()
	d, err := (&wsdl.Resolver{}).Open(t.Context(), "orders.wsdl")
	if err != nil {
		t.Fatal(err)
	}
	r, err := gen.Generate(d, gen.Options{
		Package: "orders", ImportPath: "github.com/soapward/soapward/internal/bench/orders",
		Directive: "go run github.com/soapward/soapward/cmd/soapward generate -o . -p orders orders.wsdl",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Files {
		got, err := os.ReadFile(filepath.FromSlash(f.Name))
		if err != nil || string(got) != string(f.Data) {
			t.Errorf("%s is not up to date (%v); run go generate ./internal/bench/...", f.Name, err)
		}
	}
}
