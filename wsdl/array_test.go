package wsdl

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// describeArray loads a description whose schema declares the type A.
func describeArray(t *testing.T, schema string) *Definitions {
	t.Helper()
	doc := `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:w="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:x="http://www.w3.org/2001/XMLSchema"
 xmlns:e="urn:e" xmlns:enc="http://schemas.xmlsoap.org/soap/encoding/" xmlns:enc12="http://www.w3.org/2003/05/soap-encoding" targetNamespace="urn:e">
<types><x:schema targetNamespace="urn:e">` + schema + `</x:schema></types>
<message name="in"><part name="p" type="e:A"/></message>
<portType name="P"><operation name="in" parameterOrder="a  b"><input message="e:in"/></operation></portType>
<binding name="B" type="e:P"><s:binding style="rpc"/><operation name="in"><s:operation/><input><s:body use="encoded" namespace="urn:e"/></input></operation></binding>
</definitions>`
	file := filepath.Join(t.TempDir(), "a.wsdl")
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := (&Resolver{}).Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// arrayString writes what a type is an array of.
func arrayString(t *Type) string {
	if t.Array == nil {
		return t.Name.Local
	}
	nillable := ""
	if t.Array.Nillable {
		nillable = "?"
	}
	if !t.Array.Item.Name.IsZero() {
		return t.Array.Item.Name.Local + nillable + "[" + strings.Repeat(",", t.Array.Rank-1) + "]"
	}
	return arrayString(t.Array.Item) + "[" + strings.Repeat(",", t.Array.Rank-1) + "]"
}

func TestArrays(t *testing.T) {
	t.Parallel()
	restrict := func(base, content, arrayType string) string {
		return `<x:complexType name="A"><x:complexContent><x:restriction base="` + base + `">` + content +
			`<x:attribute ref="enc:arrayType" w:arrayType="` + arrayType + `"/></x:restriction></x:complexContent></x:complexType>`
	}
	const sequence = `<x:sequence><x:element name="i" type="x:int" nillable="true" minOccurs="0" maxOccurs="unbounded"/></x:sequence>`
	for _, tt := range []struct{ name, schema, want, warning string }{
		{"simple", restrict("enc:Array", "", "x:string[]"), "string[]", ""},
		{"of a type that follows", restrict("enc:Array", "", "e:T[]") + `<x:complexType name="T"/>`, "T[]", ""},
		{"two dimensions", restrict("enc:Array", "", "x:string[ , ]"), "string[,]", ""},
		{"sized", restrict("enc:Array", "", " x:string[5]"), "string[]", ""},
		{"of arrays", restrict("enc:Array", "", "x:string[][,][]"), "string[][,][]", ""},
		{"of itself", restrict("enc:Array", "", "e:A[]"), "A[]", ""},
		{"no brackets", restrict("enc:Array", "", "x:string"), "string[]", ""},
		{"attribute wins", restrict("enc:Array", sequence, "x:string[]"), "string[]", ""},
		{"sequence", restrict("enc:Array", sequence, ""), "int?[]", ""},
		{"sequence, SOAP 1.2", restrict("enc12:Array", sequence, ""), "int?[]", ""},
		{"extension", `<x:complexType name="A"><x:complexContent><x:extension base="enc:Array">` + sequence + `</x:extension></x:complexContent></x:complexType>`, "int?[]", ""},
		{"derived", `<x:complexType name="A"><x:complexContent><x:restriction base="e:B"/></x:complexContent></x:complexType>` +
			strings.Replace(restrict("enc:Array", "", "x:string[]"), `"A"`, `"B"`, 1), "string[]", ""},
		{"nothing said", restrict("enc:Array", "", ""), "anyType[]", ""},
		{"unknown type", restrict("enc:Array", "", "e:Lost[]"), "anyType[]", "there is no type {urn:e}Lost"},
		{"undeclared prefix", restrict("enc:Array", "", "q:t[]"), "anyType[]", `prefix "q"`},
		{"malformed", restrict("enc:Array", "", "x:string[]x"), "anyType[]", "is malformed"},
		{"letters", restrict("enc:Array", "", "x:string[a]"), "anyType[]", "is malformed"},
		{"too many", restrict("enc:Array", "", "x:string"+strings.Repeat("[]", 99)), "anyType[]", "is malformed"},
		{"no array", `<x:complexType name="A"/>`, "A", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := describeArray(t, tt.schema)
			if got := arrayString(d.Bindings[0].Operations[0].In.Body[0].Type); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got := fmt.Sprint(d.Warnings); tt.warning == "" && len(d.Warnings) > 0 || !strings.Contains(got, tt.warning) {
				t.Errorf("warnings: %s, want %q", got, tt.warning)
			}
			if got := d.Bindings[0].Operations[0].ParameterOrder; len(got) != 2 || got[1] != "b" {
				t.Errorf("parameter order %v", got)
			}
		})
	}
}

// TestApacheMap uses a type that descriptions take for granted.
func TestApacheMap(t *testing.T) {
	t.Parallel()
	d := describeArray(t, `<x:complexType name="A"><x:sequence><x:element name="m" type="a:Map" xmlns:a="http://xml.apache.org/xml-soap"/></x:sequence></x:complexType>`)
	m := d.Bindings[0].Operations[0].In.Body[0].Type.Content.Children[0].Element.Type
	if e := onlyElement(m.Content); e == nil || e.Name != (QName{"", "item"}) {
		t.Errorf("got %+v", m.Content)
	}
}
