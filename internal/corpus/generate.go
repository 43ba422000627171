package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/soapward/soapward/internal/corpus/trip"
	"github.com/soapward/soapward/wsdl"
	"github.com/soapward/soapward/wsdl/gen"
)

// generated is what a process of its own found out about one description.
type generated struct {
	Loads     bool
	Generates bool
	Error     string
	Seconds   float64 // for reading and generating
	Memory    uint64  // bytes that were ever in use
	Skipped   int     // operations that were left out, and the like
	Warnings  int
}

// generateCommand is the first argument of such a process.
const generateCommand = "generate-one"

// generateOne is the whole of that process: it writes a package and says what
// it was.
func generateOne(file, pkg, dir string) error {
	start := time.Now()
	var g generated
	d, err := new(wsdl.Resolver).Open(context.Background(), file)
	if err == nil {
		g.Loads, g.Warnings = true, len(d.Warnings)
		var r *gen.Result
		if r, err = gen.Generate(d, gen.Options{Package: pkg}); err == nil {
			g.Generates, g.Skipped = true, len(r.Skipped)
			err = writePackage(filepath.Join(dir, pkg), r)
		}
	}
	if err != nil {
		g.Error = err.Error()
	}
	g.Seconds = time.Since(start).Seconds()
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	g.Memory = ms.Sys // memory is given back, but not taken from this count
	return json.NewEncoder(os.Stdout).Encode(g)
}

// writePackage writes the generated files and one that finds the type of a
// message by its element.
func writePackage(dir string, r *gen.Result) error {
	for _, f := range r.Files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(name, f.Data, 0o600); err != nil {
			return err
		}
	}
	// Beside the package, not in it: what is judged is what users get.
	var b bytes.Buffer
	fmt.Fprintf(&b, "package %s\n\nimport (\n\t%q\n\n\t%q\n\t%q\n)\n\nvar _ wire.Empty\n\n", r.Package+"roots",
		modulePath+"/internal/corpus/trip", modulePath+"/soap/wire", generatedModule+"/"+r.Package)
	fmt.Fprintf(&b, "var _ = %s.WSDLFile // imported even if every message is a type of another package\n\n", r.Package)
	b.WriteString("// Root makes the empty message of an element.\nfunc Root(space, local string) trip.Message {\n\tswitch space + \" \" + local {\n")
	seen := map[wsdl.QName]bool{}
	for _, s := range r.Services {
		for _, op := range s.Operations {
			add := func(q wsdl.QName, goType string) {
				if goType == "" || q.Local == "" || seen[q] {
					return
				}
				seen[q] = true
				if !strings.Contains(goType, ".") {
					goType = r.Package + "." + goType
				}
				fmt.Fprintf(&b, "\tcase %q:\n\t\treturn new(%s)\n", q.Space+" "+q.Local, goType)
			}
			add(bodyName(op.WSDL, op.WSDL.In, false), op.In)
			out := bodyName(op.WSDL, op.WSDL.Out, true)
			add(out, op.Out)
			add(wsdl.QName{Space: trip.AnySpace, Local: out.Local}, op.Out)
		}
	}
	b.WriteString("\t}\n\treturn nil\n}\n")
	if len(seen) == 0 {
		return nil
	}
	if err := os.MkdirAll(dir+"roots", 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir+"roots", "roots.go"), b.Bytes(), 0o600)
}

// bodyName is the element of a message's body, zero if that is not one.
func bodyName(op *wsdl.BoundOperation, m *wsdl.BoundMessage, reply bool) wsdl.QName {
	switch {
	case m == nil:
		return wsdl.QName{}
	case op.Style == wsdl.RPCStyle && reply:
		return wsdl.QName{Space: m.Namespace, Local: op.Name + "Response"}
	case op.Style == wsdl.RPCStyle:
		return wsdl.QName{Space: m.Namespace, Local: op.Name}
	case len(m.Body) == 1 && m.Body[0].Element != nil:
		return m.Body[0].Element.Name
	}
	return wsdl.QName{}
}

// generateIn runs generateOne in a process that ends after the limit.
func generateIn(ctx context.Context, e *entry, dir string, limit time.Duration) generated {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return generated{Error: err.Error()}
	}
	cmd := exec.CommandContext(ctx, self, generateCommand, e.Main, e.Package, dir)
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err = cmd.Run()
	var g generated
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		g.Error = fmt.Sprintf("not done after %v: killed", limit)
	case err != nil:
		g.Error = fmt.Sprintf("crashed: %v: %s", err, shorten(stderr.String(), 300))
	default:
		if err := json.Unmarshal(stdout.Bytes(), &g); err != nil {
			g.Error = err.Error()
		}
		return g
	}
	g.Seconds = time.Since(start).Seconds()
	return g
}
