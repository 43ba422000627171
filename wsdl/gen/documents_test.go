package gen

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/wsdl"
)

// TestDocuments: the copies refer to each other, whatever else is odd in them.
func TestDocuments(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"main.wsdl": `<?xml version="1.0" encoding="ISO-8859-1"?>
<wsdl:definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:t="urn:t" targetNamespace="urn:t">
<documentation title='location="no"'>schemaLocation="sub/a.xsd" in text</documentation>
<types><xs:schema><xs:import namespace="urn:t" schemaLocation = 'sub/a.xsd'/></xs:schema><xs:schema><xs:import schemaLocation="sub/a.xsd" namespace="urn:t"/></xs:schema></types>
<message name="m"><part name="p" element="t:e"/></message><portType name="P"><operation name="o"><input message="t:m"/></operation></portType>
<binding name="B" type="t:P"><s:binding/><operation name="o"><soap12:operation/><s:operation soapAction=""/><input><s:body use="literal"/></input></operation></binding>
</wsdl:definitions>`,
		"sub/a.xsd": `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:t"><xs:include schemaLocation="../a.xsd"/></xs:schema>`,
		"a.xsd":     `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:t"><xs:element name="e" type="xs:int"/></xs:schema>`,
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := (&wsdl.Resolver{}).Open(t.Context(), filepath.Join(dir, "main.wsdl"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Generate(d, Options{Package: "x"})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range r.Files {
		files[f.Name] = string(f.Data)
	}
	text := files["schema/main.wsdl"]
	for _, want := range []string{
		`<?xml version="1.0" encoding="UTF-8"?>`, `schemaLocation = 'a.xsd'/>`, `schemaLocation="a.xsd" namespace`,
		`title='location="no"'>schemaLocation="sub/a.xsd" in text<`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	if !strings.Contains(files["schema/a.xsd"], `schemaLocation="a2.xsd"`) {
		t.Errorf("schema/a.xsd is %s", files["schema/a.xsd"])
	}
	again := filepath.Join(t.TempDir(), "schema")
	for name, data := range files {
		if strings.HasPrefix(name, "schema/") {
			if err := os.MkdirAll(again, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(again, filepath.Base(name)), []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if d, err = (&wsdl.Resolver{}).Open(t.Context(), filepath.Join(again, "main.wsdl")); err != nil || len(d.Bindings[0].Operations) != 1 {
		t.Errorf("the copy: %v", err)
	}
}
