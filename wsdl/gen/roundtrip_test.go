package gen

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/soapward/soapward/wsdl"
)

// rootsFile is source for a test: a function that makes the empty message of
// each root element.
func rootsFile(g *generator) []byte {
	g.begin(g.root)
	g.reset()
	b := &g.body
	b.WriteString("// Root makes an empty message.\nfunc Root(space, local string) interface {\n\twire.Marshaler\n\twire.Unmarshaler\n} {\n\tswitch space + \" \" + local {\n")
	seen := map[wsdl.QName]bool{}
	for _, p := range g.ports {
		for _, op := range p.ops {
			for _, m := range []*message{op.in, op.out} {
				if m == nil || seen[m.elem] {
					continue
				}
				seen[m.elem] = true
				g.p("\tcase %q:\n\t\treturn new(%s)", m.elem.Space+" "+m.elem.Local, m.goType)
			}
		}
	}
	b.WriteString("\t}\n\treturn nil\n}\n")
	return g.source(g.opt.Package)
}

const roundTripMain = `package main

import (
	"bufio"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"strings"

	"github.com/soapward/soapward/soap/wire"
	%s
)

type message interface {
	wire.Marshaler
	wire.Unmarshaler
}

var roots = map[string]func(space, local string) interface {
	wire.Marshaler
	wire.Unmarshaler
}{
	%s
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		pkg, file, _ := strings.Cut(in.Text(), "\t")
		s, err := trip(pkg, file)
		e := ""
		if err != nil {
			e = err.Error()
		}
		_ = out.Encode(map[string]string{"pkg": pkg, "file": file, "xml": s, "err": e})
	}
}

func trip(pkg, file string) (string, error) {
	doc, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	r := wire.NewReader(doc, wire.Options{Strict: true})
	if r.Next() != wire.Start {
		return "", r.Err()
	}
	name := xml.Name{Space: strings.Clone(r.Space()), Local: strings.Clone(r.Local())}
	v := roots[pkg](name.Space, name.Local)
	if v == nil {
		return "", fmt.Errorf("no message {%%s}%%s", name.Space, name.Local)
	}
	if err := r.Decode(v); err != nil {
		return "", err
	}
	b, err := wire.Marshal(v, name)
	return string(b), err
}
`

// buildRoundTrip compiles generated packages into a program that reads
// messages and writes them again.
func buildRoundTrip(t *testing.T, gens map[string]*generator, results map[string]*Result) string {
	t.Helper()
	dir := t.TempDir()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	overlay := map[string]string{}
	put := func(name string, data []byte) {
		file := filepath.Join(dir, "f"+strconv.Itoa(len(overlay)))
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		overlay[filepath.Join(here, "roundtrip", filepath.FromSlash(name))] = file
	}
	var imports, roots []string
	for id, r := range results {
		for _, f := range r.Files {
			if base := filepath.Base(f.Name); base == "types.gen.go" || base == "codec.gen.go" {
				put(id+"/"+f.Name, f.Data)
			}
		}
		put(id+"/roots.go", rootsFile(gens[id]))
		imports = append(imports, fmt.Sprintf("%s %q", id, modulePath+"wsdl/gen/roundtrip/"+id))
		roots = append(roots, fmt.Sprintf("%q: %s.Root,", id, id))
	}
	slices.Sort(imports)
	slices.Sort(roots)
	put("main.go", fmt.Appendf(nil, roundTripMain, strings.Join(imports, "\n\t"), strings.Join(roots, "\n\t")))
	j, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(config, j, 0o600); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "roundtrip")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", config, "-o", bin, "./roundtrip")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, b)
	}
	return bin
}

// trip is what became of one message.
type trip struct{ Pkg, File, XML, Err string }

func roundTrip(t *testing.T, bin string, jobs []string) []trip {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), bin)
	cmd.Stdin = strings.NewReader(strings.Join(jobs, "\n"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil {
		t.Errorf("round trip: %v\n%s", err, stderr.String())
	}
	var all []trip
	for d := json.NewDecoder(bytes.NewReader(b)); ; {
		var x trip
		if err := d.Decode(&x); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
}

// element is XML in a form to compare.
type element struct {
	name  xml.Name
	attrs map[xml.Name]string
	text  string
	kids  []*element
}

func parseTree(doc string) (*element, error) {
	d := xml.NewDecoder(strings.NewReader(doc))
	var stack []*element
	var scopes []map[string]string
	root := &element{}
	stack = append(stack, root)
	scopes = append(scopes, map[string]string{})
	resolve := func(s string) string {
		p, l, ok := strings.Cut(strings.TrimSpace(s), ":")
		if !ok {
			p, l = "", p
		}
		for i := len(scopes) - 1; i >= 0; i-- {
			if ns, ok := scopes[i][p]; ok {
				return "{" + ns + "}" + l
			}
		}
		return l
	}
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			if len(root.kids) != 1 {
				return nil, errors.New("not one root")
			}
			return root.kids[0], nil
		}
		if err != nil {
			return nil, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			e := &element{name: tok.Name, attrs: map[xml.Name]string{}}
			scope := map[string]string{}
			for _, a := range tok.Attr {
				switch {
				case a.Name.Space == "xmlns":
					scope[a.Name.Local] = a.Value
				case a.Name.Space == "" && a.Name.Local == "xmlns":
					scope[""] = a.Value
				}
			}
			scopes = append(scopes, scope)
			for _, a := range tok.Attr {
				if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" {
					continue
				}
				v := a.Value
				if r := resolve(v); strings.HasPrefix(r, "{") && !strings.ContainsAny(v, " /") { // a qualified name
					v = r
				}
				e.attrs[a.Name] = v
			}
			top := stack[len(stack)-1]
			top.kids = append(top.kids, e)
			stack = append(stack, e)
		case xml.EndElement:
			e := stack[len(stack)-1]
			if strings.Contains(e.text, ":") && !strings.ContainsAny(e.text, " /") {
				if r := resolve(e.text); strings.HasPrefix(r, "{") {
					e.text = r
				}
			}
			stack, scopes = stack[:len(stack)-1], scopes[:len(scopes)-1]
		case xml.CharData:
			stack[len(stack)-1].text += string(tok)
		}
	}
}

// diff tells the first difference of meaning, or "".
func (a *element) diff(b *element, path string) string {
	path += "/" + a.name.Local
	if a.name != b.name {
		return fmt.Sprintf("%s: element %v became %v", path, a.name, b.name)
	}
	for n, v := range a.attrs {
		w, ok := b.attrs[n]
		if !ok {
			return fmt.Sprintf("%s: attribute %s is lost", path, n.Local)
		}
		if v != w {
			return fmt.Sprintf("%s: attribute %s %q became %q", path, n.Local, v, w)
		}
	}
	if len(b.attrs) > len(a.attrs) {
		return fmt.Sprintf("%s: attributes %v became %v", path, a.attrs, b.attrs)
	}
	if len(a.kids) == 0 && len(b.kids) == 0 && a.text != b.text {
		return fmt.Sprintf("%s: text %q became %q", path, a.text, b.text)
	}
	for i := range a.kids {
		if i >= len(b.kids) {
			return fmt.Sprintf("%s: element %s is lost", path, a.kids[i].name.Local)
		}
		if d := a.kids[i].diff(b.kids[i], path); d != "" {
			return d
		}
	}
	if len(b.kids) > len(a.kids) {
		return fmt.Sprintf("%s: element %s was added", path, b.kids[len(a.kids)].name.Local)
	}
	if len(a.kids) > 0 && strings.Join(strings.Fields(a.text), " ") != strings.Join(strings.Fields(b.text), " ") {
		return fmt.Sprintf("%s: mixed text %q became %q", path, a.text, b.text)
	}
	return ""
}

// TestPerNamespace reads and writes messages made from the schemas of real
// descriptions, with packages for namespaces and with single ones: both must
// make the same of each message. That nothing is lost is what the corpus
// command shows of the single ones. Large descriptions are left to
// SOAPWARD_TEST_LARGE=1.
func TestPerNamespace(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a lot of code: skipped with -short")
	}
	t.Parallel()
	ids, files := corpus(t)
	only := os.Getenv("SOAPWARD_TEST_WSDL")
	gens, results := map[string]*generator{}, map[string]*Result{}
	var jobs []string
	for i, id := range ids {
		if only != "" && only != id {
			continue
		}
		d, err := (&wsdl.Resolver{}).Open(t.Context(), files[i])
		if err != nil {
			continue
		}
		samples, err := filepath.Glob(filepath.Join("..", "..", "..", "shared", "wsdl", "samples", id, "*.xml"))
		if err != nil || len(samples) == 0 {
			continue
		}
		for _, mode := range []string{"single", "parts"} {
			pkg := mode + PackageName(id)
			g, r, err := generate(d, Options{Package: pkg, PerNamespace: mode == "parts", ImportPath: modulePath + "wsdl/gen/roundtrip/" + pkg})
			if err != nil || r.Types > 250 && only == "" && !large() {
				continue
			}
			gens[pkg], results[pkg] = g, r
			for _, s := range samples {
				jobs = append(jobs, pkg+"\t"+s)
			}
		}
	}
	made := map[string]trip{} // by file, of single packages
	same, well := 0, 0
	for _, x := range roundTrip(t, buildRoundTrip(t, gens, results), jobs) {
		if strings.HasPrefix(x.Pkg, "single") {
			made[x.File] = x
			continue
		}
		one, ok := made[x.File]
		if !ok || one.XML != x.XML || one.Err != x.Err {
			t.Errorf("%s: became %s %s\nwith packages for namespaces, and else %s %s", x.File, x.XML, x.Err, one.XML, one.Err)
			continue
		}
		same++
		if x.Err == "" {
			well++
		}
	}
	if 2*same != len(jobs) || only == "" && well < 2000 {
		t.Errorf("%d of %d messages became the same, %d of them a message", same, len(jobs)/2, well)
	}
	t.Logf("%d messages became the same, %d of them a message", same, well)
}
