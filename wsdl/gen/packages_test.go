package gen

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestSpacePackage(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"http://example.com/orders/v2": "orders", "http://schemas.example.com/2003/10/Order-Items/": "orderitems", "urn:x:types:1.0": "types",
		"http://example.com": "example", "": "types", "urn:1": "types", "http://example.com/a.xsd": "example", "http://x/service.asmx": "types",
		"http://example.com/func": "example", "urn:größe": "gre",
	} {
		if got := spacePackage(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

// TestConnected groups what needs each other.
func TestConnected(t *testing.T) {
	t.Parallel()
	got := connected([]string{"a", "b", "c", "d", "e"}, map[string][]string{"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": {"e"}, "e": {"d"}})
	want := [][]string{{"a"}, {"b", "c"}, {"d", "e"}}
	if !slices.EqualFunc(got, want, slices.Equal[[]string]) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestPackages has namespaces that need each other, by elements and by types
// that are derived, and some whose packages want the same name.
func TestPackages(t *testing.T) {
	t.Parallel()
	const schema = `<xs:import namespace="urn:f" schemaLocation="f.xsd"/><xs:import namespace="urn:g" schemaLocation="g.xsd"/><xs:import namespace="urn:x:context" schemaLocation="c.xsd"/><xs:import namespace="urn:y:context" schemaLocation="d.xsd"/>
<xs:element name="in"><xs:complexType xmlns:c="urn:x:context" xmlns:d="urn:y:context"><xs:sequence><xs:element name="a" type="f:Back"/><xs:element name="b" type="c:T"/><xs:element name="c" type="d:T"/></xs:sequence></xs:complexType></xs:element>
-- f.xsd
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:g="urn:g" targetNamespace="urn:f"><xs:import namespace="urn:g" schemaLocation="g.xsd"/><xs:complexType name="Back"><xs:sequence><xs:element name="g" type="g:Forth" minOccurs="0"/></xs:sequence></xs:complexType></xs:schema>
-- g.xsd
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:f="urn:f" targetNamespace="urn:g"><xs:import namespace="urn:f" schemaLocation="f.xsd"/><xs:complexType name="Forth"><xs:complexContent><xs:extension base="f:Back"/></xs:complexContent></xs:complexType></xs:schema>
-- c.xsd
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:x:context"><xs:complexType name="T"/></xs:schema>
-- d.xsd
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:y:context"><xs:complexType name="T"/></xs:schema>`
	o := Options{Package: "x", PerNamespace: true, ImportPath: "example.test/x", FreezeNames: true}
	r, err := Generate(describe(t, schema), o)
	if err != nil {
		t.Fatal(err)
	}
	// context is imported by clients, so no part can have that name.
	want := map[string]string{
		"types2/types.gen.go": "urn:f and urn:g, which need each other", "contexttypes/types.gen.go": "type T struct", "context2/types.gen.go": "type T struct",
	}
	parts := 0
	for _, f := range r.Files {
		if strings.HasSuffix(f.Name, "/types.gen.go") {
			parts++
			if !IsPart(f.Data) {
				t.Errorf("%s is not known as a part", f.Name)
			}
		}
		if f.Name == "types.gen.go" && IsPart(f.Data) {
			t.Error("the root is taken for a part")
		}
		if s, ok := want[f.Name]; ok {
			delete(want, f.Name)
			if !strings.Contains(strings.ReplaceAll(string(f.Data), "\n// ", " "), s) {
				t.Errorf("%s does not say %q:\n%s", f.Name, s, f.Data)
			}
		}
	}
	if len(want) > 0 || parts != 4 {
		t.Errorf("%d parts; missing: %v", parts, want)
	}
	o.Names = names(t, r)
	again, err := Generate(describe(t, schema), o)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range r.Files {
		if !bytes.Equal(f.Data, again.Files[i].Data) {
			t.Errorf("%s changes when names are kept", f.Name)
		}
	}
	o.ImportPath = ""
	if _, err := Generate(describe(t, schema), o); err == nil || !strings.Contains(err.Error(), "needs the import path") {
		t.Errorf("without import path: got %v", err)
	}
}
