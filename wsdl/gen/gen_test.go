package gen

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/wsdl"
)

// describe writes a WSDL around a schema that declares the element in, and
// loads it. Content of further schema documents follows in the schema, each
// after a line "-- name".
func describe(t *testing.T, schema string) *wsdl.Definitions {
	t.Helper()
	schema, more, _ := strings.Cut(schema, "\n-- ")
	doc := `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:e="urn:e" xmlns:f="urn:f" xmlns:g="urn:g" targetNamespace="urn:e">
<types><xs:schema targetNamespace="urn:e">` + schema + `</xs:schema></types>
<message name="in"><part name="p" element="e:in"/></message>
<portType name="P"><operation name="in"><input message="e:in"/></operation></portType>
<binding name="B" type="e:P"><s:binding/><operation name="in"><s:operation/><input><s:body use="literal"/></input></operation></binding>
</definitions>`
	dir := t.TempDir()
	for more != "" {
		var text, name string
		text, more, _ = strings.Cut(more, "\n-- ")
		name, text, _ = strings.Cut(text, "\n")
		writeFile(t, filepath.Join(dir, name), []byte(text))
	}
	file := filepath.Join(dir, "a.wsdl")
	writeFile(t, file, []byte(doc))
	return open(t, file)
}

// TestLimits feeds content models that multiply.
func TestLimits(t *testing.T) {
	t.Parallel()
	doubling := func(leaf, each string) string {
		var b strings.Builder
		b.WriteString(leaf)
		for i := range 60 {
			fmt.Fprintf(&b, each, i+1, i, i)
		}
		return b.String() + `<xs:element name="in"><xs:complexType><xs:group ref="e:g60"/></xs:complexType></xs:element>`
	}
	const leaf = `<xs:group name="g0"><xs:sequence><xs:element name="a" minOccurs="0"/></xs:sequence></xs:group>`
	for name, schema := range map[string]string{
		"sequences": doubling(leaf, `<xs:group name="g%d"><xs:sequence><xs:group ref="e:g%d"/><xs:group ref="e:g%d"/></xs:sequence></xs:group>`),
		"choices":   doubling(leaf, `<xs:group name="g%d"><xs:choice><xs:group ref="e:g%d"/><xs:group ref="e:g%d"/></xs:choice></xs:group>`),
		"repeated":  doubling(leaf, `<xs:group name="g%d"><xs:sequence maxOccurs="unbounded"><xs:group ref="e:g%d"/><xs:group ref="e:g%d"/></xs:sequence></xs:group>`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, err := Generate(describe(t, schema), Options{})
			var e *wsdl.Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), "too large") || e.Problems[0].Pos.Line == 0 {
				t.Errorf("got %v, want a problem with a position", err)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestFieldNames has elements named like fields and methods that structs have
// for other reasons.
func TestFieldNames(t *testing.T) {
	t.Parallel()
	r, err := Generate(describe(t, `<xs:element name="in"><xs:complexType><xs:sequence>
<xs:element name="Attrs" type="xs:int"/><xs:element name="attrs" type="xs:int"/><xs:element name="Any" type="xs:int"/><xs:any minOccurs="0" namespace="##other"/>
<xs:element name="Choice" type="xs:int"/><xs:choice><xs:element name="set" type="xs:int"/><xs:element name="readChild" type="xs:int"/></xs:choice>
<xs:element name="UnmarshalWire" type="xs:int"/><xs:element name="d" type="xs:string" minOccurs="0" default="x"/><xs:element name="dOrDefault" type="xs:int"/>
</xs:sequence><xs:attribute name="attrs"/><xs:attribute name="Any"/><xs:anyAttribute/></xs:complexType></xs:element>`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := compile(t, r); err != nil {
		t.Error(err)
	}
}

func TestExported(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a": "A", "orderId": "OrderID", "OrderIDs": "OrderIDs", "order_id": "OrderID", "order-id.list": "OrderIDList", "URL": "URL",
		"httpUrl": "HTTPURL", "größe": "Größe", "1st": "N1st", "_": "X", "": "X", "名前": "X名前", "x.y": "XY", "ID": "ID", "idea": "Idea",
	} {
		if got := exported(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestPackageName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"OrderService": "orderservice", "a-b_c": "abc", "9to5": "to5", "func": "service", "": "service", "größe": "gre", "main": "service"} {
		if got := PackageName(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
	if err := CheckPackage("func"); err == nil || !strings.Contains(err.Error(), "Go keyword") {
		t.Errorf("func: got %v, want a word about keywords", err)
	}
	for _, bad := range []string{"Upper", "a-b", "func", "a/b", "1a", "main"} {
		if _, err := Generate(describe(t, `<xs:element name="in"/>`), Options{Package: bad}); err == nil {
			t.Errorf("package %q was accepted", bad)
		}
	}
}

// TestUsesPackage guards the imports of generated files.
func TestUsesPackage(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		"x = xml.Name{}": true, "// xml.Name": false, `"xml.Name"`: false, "`xml.Name`": false, "x.xml.Name": false, "myxml.Name": false,
		`"a\"" + xml.Name`: true, "a // xml.Name": false, `"//" + xml.Name`: true,
	} {
		if got := usesPackage(in, "xml"); got != want {
			t.Errorf("%s: got %v, want %v", in, got, want)
		}
	}
}

// TestLeftOut says which operations are missing, and where they are.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	r, err := Generate(open(t, "testdata/shapes/shapes.wsdl"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Skipped) != 1 || r.Skipped[0].Pos.Line == 0 || !strings.Contains(r.Skipped[0].Text, "operation Old is left out") {
		t.Errorf("left out: %v", r.Skipped)
	}
	// Of bindings that are alike in part, each part that is lost is listed.
	r, err = Generate(open(t, "testdata/ports/ports.wsdl"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"binding SearchGet is left out: it is not one of SOAP", "operation Stop is left out of the server: it takes the same body and action as Reset (line 34)"}
	if len(r.Skipped) != len(want) {
		t.Errorf("left out: %v", r.Skipped)
	}
	for i, p := range r.Skipped {
		if !strings.Contains(p.Text, want[i]) || p.Pos.Line == 0 {
			t.Errorf("left out: %v, want %q", p, want[i])
		}
	}
	if s := r.Services[0]; s.SOAP != "1.1 and 1.2" || len(s.Ports) != 3 || s.URL != "http://127.0.0.1:8080/search" {
		t.Errorf("service %+v", s)
	}
	d := describe(t, `<xs:element name="in" abstract="true"/>`)
	if _, err := Generate(d, Options{}); !errors.Is(err, ErrNoOperations) || !strings.Contains(err.Error(), "is abstract") {
		t.Errorf("got %v, want ErrNoOperations and the reason", err)
	}
	d.Bindings = nil
	if _, err := Generate(d, Options{}); !errors.Is(err, ErrNoOperations) {
		t.Errorf("got %v, want ErrNoOperations", err)
	}
}

// TestDocumentsAreMended: a description that loads with its faults mended was
// refused when its copy was made.
func TestDocumentsAreMended(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	write("a.xsd", `<?xml version="1.0" encoding="ISO-8859-2"?>
<!DOCTYPE schema PUBLIC "-//W3C//DTD XMLSCHEMA 200102//EN" "XMLSchema.dtd" [ <!ELEMENT a EMPTY> ]>
<!-- kept -->
<schema xmlns="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:e"><annotation><documentation>`+"\xb3"+`</documentation></annotation><element name="in" type="string"/></schema>`)
	file := write("a.wsdl", `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:e="urn:e" targetNamespace="urn:e">
<types><xs:schema><xs:import namespace="urn:e" schemaLocation="a.xsd"/></xs:schema></types>
<message name="in"><part name="p" element="e:in"/></message>
<portType name="P"><operation name="in"><input message="e:in"/></operation></portType>
<binding name="B" type="e:P"><soap:binding xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" transport="http://schemas.xmlsoap.org/soap/http"/>
<operation name="in"><soap:operation soapAction="a"/><input><soap:body use="literal"/></input></operation></binding>
<service name="S"><port name="p" binding="e:B"><soap:address location="http://127.0.0.1/"/></port></service></definitions>`)
	d := open(t, file)
	if len(d.Warnings) == 0 {
		t.Error("loaded without a warning")
	}
	r, err := Generate(d, Options{})
	if err != nil {
		t.Fatal(err)
	}
	again := t.TempDir()
	for _, f := range r.Files {
		if dir, name := filepath.Split(f.Name); dir != "" {
			if err := os.WriteFile(filepath.Join(again, name), f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
			if name == "a.xsd" && (!strings.Contains(string(f.Data), "<!-- kept -->") || strings.Contains(string(f.Data), "DOCTYPE")) {
				t.Errorf("the schema is %s", f.Data)
			}
		}
	}
	if d := open(t, filepath.Join(again, "a.wsdl")); len(d.Warnings) > 0 || len(d.Bindings) != 1 || len(d.Documents) != 2 {
		t.Errorf("the copy has %v, %d bindings, %d documents", d.Warnings, len(d.Bindings), len(d.Documents))
	}
}
