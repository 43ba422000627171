package message

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/wsdl"
)

// describe loads a description with one operation, Op, whose request is an
// element Op of these schema components.
func describe(t *testing.T, components string) *Catalog {
	t.Helper()
	doc := `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:s="urn:s"
		xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:s"><types><xs:schema targetNamespace="urn:s">` + components + `</xs:schema></types>
		<message name="in"><part name="p" element="s:Op"/></message>
		<portType name="P"><operation name="Op"><input message="s:in"/></operation></portType>
		<binding name="B" type="s:P"><soap:binding transport="http://schemas.xmlsoap.org/soap/http"/>
		<operation name="Op"><soap:operation soapAction=""/><input><soap:body use="literal"/></input></operation></binding></definitions>`
	file := filepath.Join(t.TempDir(), "a.wsdl")
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := (&wsdl.Resolver{}).Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	return New(d)
}

// A description whose example would be huge, or would have no end, gives a
// short one soon.
func TestAttackTemplate(t *testing.T) {
	t.Parallel()
	var wide strings.Builder // ten of the next in each: 10^20 elements
	for i := range 20 {
		fmt.Fprintf(&wide, `<xs:complexType name="T%d"><xs:sequence>%s</xs:sequence></xs:complexType>`, i,
			strings.Repeat(fmt.Sprintf(`<xs:element name="e" type="s:T%d"/>`, i+1), 10))
	}
	choices := `<xs:element name="x" type="s:C"/><xs:element name="y" type="s:C"/><xs:element name="z" type="s:C"/>`
	double := `<xs:group name="g0"><xs:sequence><xs:element name="x" type="xs:string" minOccurs="0"/></xs:sequence></xs:group>`
	for i := range 60 {
		double += fmt.Sprintf(`<xs:group name="g%d"><xs:sequence><xs:group ref="s:g%d"/><xs:group ref="s:g%d"/></xs:sequence></xs:group>`, i+1, i, i)
	}
	for _, tt := range []struct{ name, schema string }{
		{"doubling groups", double + `<xs:element name="Op"><xs:complexType><xs:choice><xs:element name="y"/><xs:group ref="s:g60"/></xs:choice></xs:complexType></xs:element>`},
		{"many patterns", `<xs:element name="Op"><xs:simpleType><xs:restriction base="xs:string">` + strings.Repeat(`<xs:pattern value="[b-z]{1000}a"/>`, 3000) +
			`<xs:minLength value="100000"/></xs:restriction></xs:simpleType></xs:element>`},
		{"slow pattern", `<xs:element name="Op"><xs:simpleType><xs:restriction base="xs:string"><xs:pattern value="` + strings.Repeat("(a?){999}", 100) +
			`"/><xs:minLength value="200000"/></xs:restriction></xs:simpleType></xs:element>`},
		{"many required", `<xs:element name="Op" type="s:T0"/>` + wide.String() + `<xs:complexType name="T20"><xs:sequence/></xs:complexType>`},
		{"many optional", `<xs:element name="Op" type="s:T0"/>` + strings.ReplaceAll(wide.String(), "<xs:element ", `<xs:element minOccurs="0" `) + `<xs:complexType name="T20"><xs:sequence/></xs:complexType>`},
		{"many occurrences", `<xs:element name="Op"><xs:complexType><xs:sequence minOccurs="9999999"><xs:element name="e" type="xs:string" minOccurs="9999999" maxOccurs="unbounded"/></xs:sequence></xs:complexType></xs:element>`},
		{"choices without end", `<xs:element name="Op" type="s:C"/><xs:complexType name="C"><xs:choice>` + choices + `</xs:choice></xs:complexType>`},
		{"itself in a wildcard", `<xs:element name="Op"><xs:complexType><xs:sequence><xs:any/></xs:sequence></xs:complexType></xs:element>`},
		{"long values", `<xs:element name="Op"><xs:simpleType><xs:restriction base="xs:string"><xs:minLength value="2000000000"/></xs:restriction></xs:simpleType></xs:element>`},
		{"long numbers", `<xs:element name="Op"><xs:simpleType><xs:restriction base="xs:decimal"><xs:minInclusive value="` + strings.Repeat("9", 1000) + `"/></xs:restriction></xs:simpleType></xs:element>`},
		{"long pattern", `<xs:element name="Op"><xs:simpleType><xs:restriction base="xs:string"><xs:pattern value="((((a{999}){999}){999}){999})+"/></xs:restriction></xs:simpleType></xs:element>`},
		{"comment", `<xs:element name="Op"><xs:complexType><xs:sequence><xs:element name="e" type="xs:string"><xs:annotation><xs:documentation>--&gt;&lt;evil/&gt; &#x9b;2J -</xs:documentation></xs:annotation></xs:element></xs:sequence></xs:complexType></xs:element>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := describe(t, tt.schema).Operations[0].Input
			start := time.Now()
			doc := b.Template()
			j, err := b.TemplateJSON()
			if err != nil {
				t.Error(err)
			}
			_, _ = b.FromArgs([]string{"x=1"}, nil) // it may be refused, soon
			if took := time.Since(start); took > 10*time.Second || len(doc) > 4<<20 || len(j) > 4<<20 {
				t.Errorf("%v, %d bytes of XML and %d of JSON", took, len(doc), len(j))
			}
			raw, err := wire.ParseRaw(doc)
			if err != nil {
				t.Errorf("%v in %.500s", err, doc)
			}
			if len(raw.Elements()) != 1 || strings.Contains(string(j), "evil") || strings.ContainsRune(doc, 0x9b) {
				t.Errorf("got %.500s", doc)
			}
		})
	}
}

// An answer cannot make the reader recurse, grow, or steer the terminal.
func TestAttackAnswer(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`<s:x xmlns:s="urn:s">`, 200) + strings.Repeat("</s:x>", 200)
	b := describe(t, `<xs:element name="Op" type="s:C"/><xs:complexType name="C"><xs:choice minOccurs="0"><xs:element name="x" type="s:C" form="qualified"/></xs:choice></xs:complexType>`).Operations[0].Input
	raw, err := wire.ParseRaw(`<s:Op xmlns:s="urn:s">` + deep + "</s:Op>")
	if err != nil {
		t.Fatal(err)
	}
	if j, err := b.JSON(raw); err != nil || !json.Valid(j) {
		t.Errorf("%v, %s", err, j)
	}
	raw, err = wire.ParseRaw("<Op xmlns='urn:s' a='\u009b2J'><other>\u202e</other></Op>")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := Indent(raw); err != nil || strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
		t.Errorf("%q, %v", s, err)
	}
	// References that multiply: 10^12 elements.
	var laughs strings.Builder
	laughs.WriteString(`<c:AddResponse xmlns:c="urn:calc"><return href="#l0"/></c:AddResponse>`)
	for i := range 12 {
		fmt.Fprintf(&laughs, `<m id="l%d">%s</m>`, i, strings.Repeat(fmt.Sprintf(`<a href="#l%d"/>`, i+1), 10))
	}
	laughs.WriteString(`<m id="l12">ha</m>`)
	for name, doc := range map[string]string{
		"multiplied": laughs.String(),
		"circular":   `<c:AddResponse xmlns:c="urn:calc"><return href="#a"/></c:AddResponse><m id="a"><x href="#a"/></m>`,
	} {
		if raw, err = wire.ParseRaw(doc); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		j, err := find(t, "Add", "CalcEncoded").Output.JSON(raw)
		if took := time.Since(start); took > 20*time.Second || (name == "multiplied") != (err != nil) {
			t.Errorf("%s: %v, %v, %.100s", name, took, err, j)
		}
	}
}
