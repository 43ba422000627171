package message

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/wsdl"
)

const arrayWSDL = `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"
    xmlns:e="http://schemas.xmlsoap.org/soap/encoding/" xmlns:a="urn:a" xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:a">
  <types><xs:schema targetNamespace="urn:a"><xs:import namespace="http://schemas.xmlsoap.org/soap/encoding/"/>
    <xs:complexType name="Point"><xs:all><xs:element name="x" type="xs:int"/><xs:element name="tags" type="a:Words" minOccurs="0"/></xs:all></xs:complexType>
    %s
  </xs:schema></types>
  <message name="m"><part name="points" type="a:Points"/><part name="words" type="a:Words"/><part name="grid" type="a:Grid"/><part name="lists" type="a:Lists"/><part name="name" type="e:string"/></message>
  <portType name="P"><operation name="Op"><input message="a:m"/><output message="a:m"/></operation></portType>
  <binding name="B" type="a:P"><soap:binding style="rpc" transport="http://schemas.xmlsoap.org/soap/http"/>
    <operation name="Op"><soap:operation soapAction=""/>
      <input><soap:body use="encoded" namespace="urn:op" encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"/></input>
      <output><soap:body use="encoded" namespace="urn:op" encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"/></output></operation></binding>
</definitions>`

func arrays(t *testing.T) *Operation {
	t.Helper()
	var types strings.Builder
	for _, a := range [][2]string{{"Points", "a:Point[]"}, {"Words", "xs:string[]"}, {"Grid", "xs:int[,]"}, {"Lists", "xs:string[][]"}} {
		fmt.Fprintf(&types, `<xs:complexType name="%s"><xs:complexContent><xs:restriction base="e:Array"><xs:attribute ref="e:arrayType" wsdl:arrayType="%s"/></xs:restriction></xs:complexContent></xs:complexType>`, a[0], a[1])
	}
	file := filepath.Join(t.TempDir(), "a.wsdl")
	if err := os.WriteFile(file, fmt.Appendf(nil, arrayWSDL, types.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := (&wsdl.Resolver{}).Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	return New(d).Operations[0]
}

// The template of an encoded array had attributes of the encoding and no item.
func TestArrayTemplate(t *testing.T) {
	t.Parallel()
	o := arrays(t)
	got := o.Input.Template()
	for _, want := range []string{
		`<points xsi:type="enc:Array" enc:arrayType="n2:Point[1]">`, `<item xsi:type="n2:Point">`, `<x xsi:type="xs:int">1</x>`,
		`<tags xsi:type="enc:Array" enc:arrayType="xs:string[1]">`, `<grid xsi:type="enc:Array" enc:arrayType="xs:int[1,1]">`,
		`<lists xsi:type="enc:Array" enc:arrayType="xs:string[][1]">`, `<item xsi:type="enc:Array" enc:arrayType="xs:string[1]">`,
		`<name xsi:type="enc:string">`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in\n%s", want, got)
		}
	}
	for _, not := range []string{"offset", "id=", "href", "position", "root"} {
		if strings.Contains(got, not) {
			t.Errorf("%s is in\n%s", not, got)
		}
	}
	j, err := o.Input.TemplateJSON()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"points":[{"x":1,"tags":["text"]}],"words":["text"],"grid":[[1]],"lists":[["text"]],"name":"text"}`
	if got := strings.NewReplacer("\n", "", " ", "").Replace(string(j)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	req, err := o.Input.FromJSON(j)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := o.Input.JSON(req.Body); err != nil || string(again) != string(j) {
		t.Errorf("got %s, %v, want %s", again, err, j)
	}
}

func TestArrayFromArgs(t *testing.T) {
	t.Parallel()
	rest := []string{"grid:=[[1,2],[3,4]]", `lists:=[["a"],[]]`, "name=n"}
	const points = `arrayType="n4:Point[2]"><item xsi:type="n4:Point"><x xsi:type="xsd:int">1</x></item><item xsi:type="n4:Point"><x xsi:type="xsd:int">2</x></item></points>`
	for _, tt := range []struct {
		name      string
		args      []string
		want, err string
	}{
		{"by index", append([]string{"points[0].x=1", "points[1].x=2", "words=a", "words=b"}, rest...), points, ""},
		{"as the XML looks", append([]string{"points.item[0].x=1", "points.item[1].x=2", "words=a", "words=b"}, rest...), points, ""},
		{"simple items", append([]string{"points[0].x=1", "words=a", "words=b"}, rest...), `arrayType="xsd:string[2]"><item xsi:type="xsd:string">a</item><item xsi:type="xsd:string">b</item></words>`, ""},
		{"one simple item", append([]string{"points[0].x=1", "words=a"}, rest...), `arrayType="xsd:string[1]"><item xsi:type="xsd:string">a</item></words>`, ""},
		{"rows", append([]string{"points[0].x=1", "words=a"}, rest...), `arrayType="xsd:int[2,2]"><item xsi:type="xsd:int">1</item><item xsi:type="xsd:int">2</item><item xsi:type="xsd:int">3</item>`, ""},
		{"lists", append([]string{"points[0].x=1", "words=a"}, rest...), `arrayType="xsd:string[][2]">`, ""},
		{"misspelt", append([]string{"points[0].x=1", "points[1].y=2", "words=a"}, rest...), "", "message: points[1].y: there is no such element"},
		{"no row", []string{"points[0].x=1", "words=a", "grid=1", "lists:=[]", "name=n"}, "", "message: grid[0]: is a string, but must be an array: a row"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req, err := arrays(t).Input.FromArgs(tt.args, nil)
			switch {
			case tt.err != "":
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %s", err, tt.err)
				}
			case err != nil:
				t.Error(err)
			case !strings.Contains(req.Body.String(), tt.want):
				t.Errorf("got  %s\nwant %s", req.Body, tt.want)
			}
		})
	}
}

// Answers have arrays as others write them: as references, and with holes.
func TestArrayAnswer(t *testing.T) {
	t.Parallel()
	const spaces = ` xmlns:a="urn:a" xmlns:e="http://schemas.xmlsoap.org/soap/encoding/" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"`
	for _, tt := range []struct{ name, body, want string }{
		{"references", `<points href="#p"/></a:OpResponse><m id="p" xsi:type="e:Array" e:arrayType="a:Point[1]"><item href="#i"/></m><m id="i" xsi:type="a:Point"><x xsi:type="xs:int">7</x></m>`, `{"points":[{"x":7}]}`},
		{"offset", `<words e:arrayType="xs:string[4]" e:offset="[2]"><item>c</item></words></a:OpResponse>`, `{"words":[null,null,"c"]}`},
		{"position", `<words e:arrayType="xs:string[4]"><item e:position="[1]">b</item></words></a:OpResponse>`, `{"words":[null,"b"]}`},
		{"other type", `<words e:arrayType="xs:anyType[1]"><item xsi:type="xs:token">b</item></words></a:OpResponse>`, `{"words":[{"@type":"xs:token","#text":"b"}]}`},
		{"empty", `<words xsi:type="e:Array" e:arrayType="xs:string[0]"/></a:OpResponse>`, `{"words":[]}`},
		{"nil", `<words xsi:nil="true"/></a:OpResponse>`, `{"words":null}`},
		{"far away", `<words><item e:position="[99999]">b</item></words></a:OpResponse>`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			raw, err := wire.ParseRaw("<a:OpResponse" + spaces + ">" + strings.ReplaceAll(tt.body, "<m ", "<m"+spaces+" "))
			if err != nil {
				t.Fatal(err)
			}
			j, err := arrays(t).Output.JSON(raw)
			if got := strings.NewReplacer("\n", "", " ", "").Replace(string(j)); got != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
}
