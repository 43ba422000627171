package gen

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"strings"
	"testing"
)

const frozenBefore = `<xs:element name="in"><xs:complexType><xs:sequence><xs:element name="a-b" type="e:T"/><xs:element name="list"><xs:complexType><xs:sequence><xs:element name="item" type="xs:int" maxOccurs="unbounded"/></xs:sequence></xs:complexType></xs:element>
<xs:choice><xs:element name="x" type="xs:int"/><xs:element name="y" type="e:E"/></xs:choice></xs:sequence><xs:attribute name="k" default="v"/></xs:complexType></xs:element>
<xs:complexType name="T"><xs:sequence><xs:element name="n" type="xs:int" nillable="true"/></xs:sequence></xs:complexType>
<xs:complexType name="D"><xs:complexContent><xs:extension base="e:T"><xs:attribute name="d"/></xs:extension></xs:complexContent></xs:complexType>
<xs:simpleType name="E"><xs:restriction base="xs:string"><xs:enumeration value="a-b"/><xs:enumeration value="c"/></xs:restriction></xs:simpleType>`

// frozenAfter is frozenBefore with things before and among the others whose
// names want to be the same.
const frozenAfter = `<xs:complexType name="t"><xs:sequence><xs:element name="n" type="xs:int"/></xs:sequence></xs:complexType><xs:complexType name="In"><xs:sequence><xs:element name="t" type="e:t"/></xs:sequence></xs:complexType>
<xs:complexType name="InList"><xs:attribute name="k"/></xs:complexType><xs:complexType name="AnyT"/><xs:simpleType name="e"><xs:restriction base="xs:string"><xs:enumeration value="AB"/></xs:restriction></xs:simpleType>
<xs:element name="in"><xs:complexType><xs:sequence><xs:element name="ab" type="e:In"/><xs:element name="aB" type="e:e"/><xs:choice minOccurs="0"><xs:element name="p" type="e:InList"/><xs:element name="q" type="e:AnyT"/></xs:choice>
<xs:element name="a-b" type="e:T"/><xs:element name="list"><xs:complexType><xs:sequence><xs:element name="Item" type="xs:int" maxOccurs="unbounded"/><xs:element name="item" type="xs:int" maxOccurs="unbounded"/></xs:sequence></xs:complexType></xs:element>
<xs:choice><xs:element name="x" type="xs:int"/><xs:element name="X" type="xs:int"/><xs:element name="y" type="e:E"/></xs:choice></xs:sequence><xs:attribute name="K"/><xs:attribute name="k" default="v"/></xs:complexType></xs:element>
<xs:complexType name="T"><xs:sequence><xs:element name="N" type="xs:int"/><xs:element name="n" type="xs:int" nillable="true"/></xs:sequence></xs:complexType>
<xs:complexType name="D"><xs:complexContent><xs:extension base="e:T"><xs:attribute name="d"/></xs:extension></xs:complexContent></xs:complexType>
<xs:simpleType name="E"><xs:restriction base="xs:string"><xs:enumeration value="A B"/><xs:enumeration value="a b"/><xs:enumeration value="a-b"/><xs:enumeration value="c"/></xs:restriction></xs:simpleType>`

// exportedNames lists what a program can use of a package: Name, Type.Field and
// Type.Method, each with what it is.
func exportedNames(t *testing.T, r *Result) map[string]string {
	t.Helper()
	names := map[string]string{}
	fset := token.NewFileSet()
	src := func(n ast.Node, file []byte) string {
		return string(file[fset.Position(n.Pos()).Offset:fset.Position(n.End()).Offset])
	}
	for _, f := range r.Files {
		if filepath.Ext(f.Name) != ".go" {
			continue
		}
		file, err := parser.ParseFile(fset, f.Name, f.Data, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				recv := ""
				if d.Recv != nil {
					recv = strings.Trim(src(d.Recv.List[0].Type, f.Data), "*") + "."
				}
				names[recv+d.Name.Name] = src(d.Type, f.Data)
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.ValueSpec:
						for i, n := range s.Names {
							if i < len(s.Values) {
								names[n.Name] = src(s.Values[i], f.Data)
							}
						}
					case *ast.TypeSpec:
						names[s.Name.Name] = "type"
						if st, ok := s.Type.(*ast.StructType); ok {
							for _, fl := range st.Fields.List {
								for _, n := range fl.Names {
									names[s.Name.Name+"."+n.Name] = src(fl.Type, f.Data)
								}
							}
						}
					}
				}
			}
		}
	}
	maps.DeleteFunc(names, func(n, _ string) bool {
		return !ast.IsExported(n) || strings.Contains(n, ".") && !ast.IsExported(n[strings.Index(n, ".")+1:])
	})
	return names
}

func names(t *testing.T, r *Result) []byte {
	t.Helper()
	for _, f := range r.Files {
		if f.Name == NamesFile {
			return f.Data
		}
	}
	t.Fatal("no names file")
	return nil
}

// TestFrozenNames changes a description so that names would move, and expects
// that each stays and means what it meant.
func TestFrozenNames(t *testing.T) {
	t.Parallel()
	first, err := Generate(describe(t, frozenBefore), Options{FreezeNames: true})
	if err != nil {
		t.Fatal(err)
	}
	before := exportedNames(t, first)
	moved := func(o Options) (r *Result, n int) {
		r, err := Generate(describe(t, frozenAfter), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := compile(t, r); err != nil {
			t.Error(err)
		}
		after := exportedNames(t, r)
		for name, what := range before {
			if got, ok := after[name]; !ok || got != what {
				n++
				if o.Names != nil {
					t.Errorf("%s was %s and is %q", name, what, got)
				}
			}
		}
		return r, n
	}
	if _, n := moved(Options{}); n < 5 {
		t.Errorf("%d names move without a names file, so this test shows nothing", n)
	}
	second, _ := moved(Options{Names: names(t, first)})
	again, _ := moved(Options{Names: names(t, second)})
	if !bytes.Equal(names(t, second), names(t, again)) {
		t.Error("the names file changes although the description does not")
	}
	// Back again: what is gone keeps its name.
	back, err := Generate(describe(t, frozenBefore), Options{Names: names(t, second)})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(names(t, back), names(t, second)) {
		t.Error("the names file forgets what is gone")
	}
	if got := exportedNames(t, back); !maps.Equal(got, before) {
		t.Errorf("back again: %v\nwas %v", got, before)
	}
}

// TestFrozenGolden freezes the names of all golden packages, which changes none.
func TestFrozenGolden(t *testing.T) {
	t.Parallel()
	for _, tt := range golden {
		d := open(t, tt.file)
		first, err := Generate(d, Options{FreezeNames: true})
		if err != nil {
			t.Fatal(err)
		}
		second, err := Generate(d, Options{Names: names(t, first)})
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range first.Files {
			if !bytes.Equal(f.Data, second.Files[i].Data) {
				t.Errorf("%s: %s changes", tt.pkg, f.Name)
			}
		}
	}
}

// TestNamesByHand changes names in the file.
func TestNamesByHand(t *testing.T) {
	t.Parallel()
	d := describe(t, frozenBefore)
	first, err := Generate(d, Options{FreezeNames: true})
	if err != nil {
		t.Fatal(err)
	}
	text := string(names(t, first))
	for _, tt := range []struct{ name, old, new, want string }{
		{"type", `"go": "T"`, `"go": "Thing"`, ""},
		{"member", `"n": "N"`, `"n": "Number"`, ""},
		{"client", `"go": "P"`, `"go": "Port"`, ""},
		{"taken", `"go": "T"`, `"go": "PClient"`, "the name PClient is taken"},
		{"imported", `"go": "T"`, `"go": "WSDL"`, "the name WSDL is taken"},
		{"method", `"n": "N"`, `"n": "MarshalWire"`, "the name MarshalWire is taken"},
		{"unexported", `"go": "T"`, `"go": "t"`, "not an exported Go name"},
		{"not a name", `"go": "T"`, `"go": "T{}; func init() {}; type X"`, "not an exported Go name"},
		{"format", `"format": 1`, `"format": 2`, "format 2 is not known"},
		{"another's", "soapward generate", "other", "not written by soapward"},
		{"not JSON", `{`, `[`, "names.json: invalid character"},
	} {
		changed := strings.Replace(text, tt.old, tt.new, 1)
		if changed == text {
			t.Fatalf("%s: %s is not in\n%s", tt.name, tt.old, text)
		}
		r, err := Generate(d, Options{Names: []byte(changed)})
		if tt.want != "" {
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if err := compile(t, r); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		word := strings.Trim(tt.new[strings.Index(tt.new, ":")+1:], ` "`)
		got := exportedNames(t, r)
		if _, ok := got[word+"Client"]; got[word] == "" && got["T."+word]+got["D."+word] == "" && !ok {
			t.Errorf("%s: nothing is named %s: %v", tt.name, word, got)
		}
	}
}
