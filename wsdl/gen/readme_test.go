package gen

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const headersWSDL = `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:s12="http://schemas.xmlsoap.org/wsdl/soap12/"
  xmlns:p="http://schemas.xmlsoap.org/ws/2004/09/policy" xmlns:m="http://schemas.xmlsoap.org/ws/2004/09/policy/optimizedmimeserialization" xmlns:t="urn:t" targetNamespace="urn:t">
<types><xs:schema targetNamespace="urn:t">
  <xs:complexType name="Item"><xs:sequence><xs:element name="a" type="xs:int"/></xs:sequence></xs:complexType>
  <xs:complexType name="Special"><xs:complexContent><xs:extension base="t:Item"/></xs:complexContent></xs:complexType>
  <xs:element name="ask"><xs:complexType><xs:sequence><xs:element name="item" type="t:Item"/><xs:element name="x" type="t:Gone"/><xs:element name="y" type="t:Lost"/></xs:sequence></xs:complexType></xs:element>
  <xs:element name="short"><xs:simpleType><xs:restriction base="xs:string"><xs:maxLength value="3"/></xs:restriction></xs:simpleType></xs:element>
  <xs:element name="Session" type="xs:string"/>
  <xs:element name="Version" type="xs:string"/>
</xs:schema></types>
<message name="ask"><part name="p" element="t:ask"/></message><message name="short"><part name="p" element="t:short"/></message>
<message name="h"><part name="session" element="t:Session"/><part name="version" element="t:Version"/></message>
<portType name="P"><operation name="first"><input message="t:ask"/><output message="t:ask"/></operation><operation name="second"><input message="t:short"/></operation>
  <operation name="told"><output message="t:ask"/></operation></portType>
<binding name="B" type="t:P"><p:Policy><m:OptimizedMimeSerialization/></p:Policy><s:binding transport="http://schemas.xmlsoap.org/soap/http"/>
  <operation name="first"><s:operation soapAction="1"/><input><s:body use="literal"/></input><output><s:body use="literal"/><s:header message="t:h" part="session" use="literal"/><s:header message="t:h" part="version" use="literal"/></output></operation>
  <operation name="second"><s:operation soapAction="2"/><input><s:body use="literal"/><s:header message="t:h" part="session" use="literal"/></input></operation>
  <operation name="told"><s:operation soapAction="3"/><output><s:body use="literal"/></output></operation></binding>
<binding name="C" type="t:P"><s12:binding transport="http://schemas.xmlsoap.org/soap/http"/>
  <operation name="second"><s12:operation soapAction="2"/><input><s12:body use="literal"/></input></operation></binding>
</definitions>`

// README.md tells what calls need beyond their types.
func TestReadme(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a.wsdl")
	if err := os.WriteFile(file, []byte(headersWSDL), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Generate(open(t, file), Options{Package: "p"})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range r.Files {
		files[f.Name] = string(f.Data)
	}
	for _, want := range []string{
		"| Session | `Session` | `Second` | `First` |\n| Version | `Version` | - | `First` |\n",
		"client.Second(ctx, req, p.WithSession(&p.Session{}))\n", "header, err := p.SessionFrom(ctx)\n",
		"client.First(ctx, req, soapclient.ReceiveHeaders(&headers))\nheader, err := p.FindSession(headers)\n",
		"SOAP 1.1 and 1.2. Clients speak 1.1; for 1.2, make them with `soapclient.Client{Version: soap.V12}`. Servers",
		"Messages are sent as MTOM, which the description requires: ", "`soapclient.Client{Validate: true}`",
		"## What is missing\n", "- operation told is left out: it has no input: notifications",
		"## What is open\n", "\n- 2 times: there is no type \\{urn:t\\}Gone, Lost; any XML is taken in its place\n",
	} {
		if !strings.Contains(files[readmeFile], want) {
			t.Errorf("no %q in\n%s", want, files[readmeFile])
		}
	}
	if want := "func SessionFrom(ctx context.Context)"; !strings.Contains(files["server.gen.go"], want) {
		t.Errorf("no %s, although it is in an answer first", want)
	}
	if want := "AnyItem is an Item or of a type derived"; !strings.Contains(files["types.gen.go"], want) {
		t.Errorf("no %q", want)
	}
	if got := r.Services[0].Operations[0]; len(got.Headers) != 0 || strings.Join(got.AnswerHeaders, " ") != "Session Version" {
		t.Errorf("got %v and %v", got.Headers, got.AnswerHeaders)
	}
	if err := compile(t, r); err != nil {
		t.Error(err)
	}

	// The package's copy gives the same text.
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.wsdl"), []byte(files[r.WSDL]), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := Generate(open(t, filepath.Join(dir, "a.wsdl")), Options{Package: "p"})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range again.Files {
		if files[f.Name] != string(f.Data) {
			t.Errorf("%s differs when made from the copy", f.Name)
		}
	}
}
