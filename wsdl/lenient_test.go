package wsdl

import (
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"
)

// describe writes an element on one line: type, content and attributes.
func describe(e *Element) string {
	s := e.Name.String() + " " + e.Type.Name.Local
	if e.Type.Simple != nil {
		return s + " text of " + e.Type.BuiltinBase().Name.Local
	}
	s += " " + show(e.Type.Content)
	if a := attrNames(e.Type); a != "" {
		s += " @" + a
	}
	return s
}

// TestLenient has descriptions with mistakes that do not keep anybody from
// knowing what is meant, and some where a part stays open.
func TestLenient(t *testing.T) {
	t.Parallel()
	schema := func(s string) string { return service(`<xs:schema targetNamespace="urn:e">` + s + `</xs:schema>`) }
	const in = `<xs:element name="in" type="xs:string"/>`
	edit := func(edits ...string) string {
		s := service(inline)
		for i := 0; i < len(edits); i += 2 {
			if !strings.Contains(s, edits[i]) {
				t.Fatalf("there is no %s", edits[i])
			}
			s = strings.Replace(s, edits[i], edits[i+1], 1)
		}
		return s
	}
	const text = "{urn:e}in string text of string"
	for _, tt := range []struct {
		name, content string
		more          map[string]string
		want          string   // of the element of the only operation
		warnings      []string // in order
	}{
		// References.
		{"type of XML Schema that is our own", schema(`<xs:element name="in" type="xs:Größe"/><xs:complexType name="Größe"><xs:sequence><xs:element name="a"/></xs:sequence></xs:complexType>`), nil,
			"{urn:e}in Größe (a)", []string{"there is no type {http://www.w3.org/2001/XMLSchema}Größe; {urn:e}Größe is taken"}},
		{"type of XML Schema with another prefix", schema(`<xs:element name="in" type="e:int"/>`), nil,
			"{urn:e}in anyType (any*)", []string{"there is no type {urn:e}int; any XML"}},
		{"type without prefix", schema(`<xs:element name="in" type="int"/>`), nil,
			"{urn:e}in int text of int", []string{"there is no type {http://schemas.xmlsoap.org/wsdl/}int; no schema of that namespace was imported; the type of XML Schema is taken"}},
		{"undeclared xsd", schema(`<xs:element name="in" type="xsd:int"/><xs:complexType name="int"/>`), nil,
			"{urn:e}in int text of int", []string{`prefix "xsd" of "xsd:int" is not declared; the type of XML Schema`}},
		{"undeclared prefix of an element", edit(`<types>`, `<wsdl:types>`, `</types>`, `</wsdl:types>`), nil, text, []string{`prefix "wsdl" is not declared; http://schemas.xmlsoap.org/wsdl/ is taken`}},
		{"attribute of a type with simple content", schema(in + `<xs:complexType name="t"><xs:attribute name="a" type="c:int" xmlns:c="http://schemas.xmlsoap.org/soap/encoding/"/></xs:complexType>`), nil, text, nil},
		{"undeclared tns", schema(`<xs:element name="in" type="tns:t"/><xs:simpleType name="t"><xs:restriction base="xs:int"/></xs:simpleType>`), nil,
			"{urn:e}in t text of int", []string{`prefix "tns" of "tns:t" is not declared; {urn:e}t is taken`}},
		{"undeclared soapenc", schema(`<xs:element name="in" type="SOAP-ENC:string"/>`), nil,
			"{urn:e}in string text of string", []string{`prefix "SOAP-ENC" of "SOAP-ENC:string" is not declared; {http://schemas.xmlsoap.org/soap/encoding/}string is taken`}},
		{"undeclared tns in the WSDL", edit(`element="e:in"`, `element="t:in"`, `message="e:in"`, `message="t:in"`, `type="e:P"`, `type="t:P"`, `binding="e:B"`, `binding="t:B"`), nil,
			text, []string{`"t:in" is not declared; {urn:e}in is taken`, `"t:P" is not declared`, `operation in: prefix "t" of "t:in"`, `"t:B" is not declared`}},
		{"WSDL without target namespace", edit(`xmlns:e="urn:e" targetNamespace="urn:e"`, `xmlns:e="urn:e"`), nil,
			text, []string{"there is no message {urn:e}in; in is taken", "there is no port type {urn:e}P; P is taken", "there is no binding {urn:e}B; B is taken"}},
		{"WSDL of another target namespace", edit(`xmlns:e="urn:e" targetNamespace="urn:e"`, `xmlns:e="urn:e" targetNamespace="urn:f"`), nil,
			text, []string{"{urn:f}in is taken", "{urn:f}P is taken", "{urn:f}B is taken"}},
		{"element of an unknown namespace", edit(`element="e:in"`, `element="x:in" xmlns:x="urn:x"`), nil,
			text, []string{"operation in: there is no element {urn:x}in; no schema of that namespace was imported; {urn:e}in is taken"}},
		{"type that is nowhere", schema(`<xs:element name="in"><xs:complexType><xs:sequence><xs:element name="a" type="e:gone"/><xs:element ref="e:lost" minOccurs="0"/></xs:sequence><xs:attribute ref="e:away"/></xs:complexType></xs:element>`), nil,
			"{urn:e}in  (a,lost?) @away", []string{"there is no type {urn:e}gone; any XML", "there is no element {urn:e}lost; any XML", "there is no attribute {urn:e}away; any text"}},
		{"type that is an element", schema(`<xs:element name="in" type="e:other"/><xs:element name="other"><xs:complexType><xs:sequence><xs:element name="a"/></xs:sequence></xs:complexType></xs:element>`), nil,
			"{urn:e}in  (a)", []string{"there is no type {urn:e}other; that of the element is taken"}},
		{"element that is its own type", schema(`<xs:element name="in" type="e:in"/>`), nil,
			"{urn:e}in anyType (any*)", []string{"there is no type {urn:e}in; any XML"}},
		{"element that is a type", service(`<xs:schema targetNamespace="urn:e"><xs:complexType name="in"><xs:sequence><xs:element name="a"/></xs:sequence></xs:complexType></xs:schema>`), nil,
			"{urn:e}in in (a)", []string{"operation in: there is no element {urn:e}in; one of the type of that name is taken"}},
		{"element that is nowhere", edit(`element="e:in"`, `element="e:out"`), nil,
			"{urn:e}out anyType (any*)", []string{"operation in: there is no element {urn:e}out; any XML"}},
		{"base that is nowhere", schema(`<xs:element name="in"><xs:complexType><xs:complexContent><xs:extension base="e:gone"><xs:sequence><xs:element name="a"/></xs:sequence></xs:extension></xs:complexContent></xs:complexType></xs:element>`), nil,
			"{urn:e}in  (any*)", []string{"there is no type {urn:e}gone; any XML"}},
		{"text with a base that is nowhere", schema(`<xs:element name="in"><xs:complexType><xs:simpleContent><xs:extension base="e:gone"><xs:attribute name="a"/></xs:extension></xs:simpleContent></xs:complexType></xs:element>`), nil,
			"{urn:e}in  text of string", []string{"there is no type {urn:e}gone"}},
		{"groups that are nowhere", schema(`<xs:element name="in"><xs:complexType><xs:group ref="e:g"/><xs:attributeGroup ref="e:h"/></xs:complexType></xs:element>`), nil,
			"{urn:e}in  any*", []string{"there is no group {urn:e}g; any XML", "there is no attribute group {urn:e}h; any attribute"}},
		{"schema inside a message", schema(`<xs:element name="in"><xs:complexType><xs:sequence><xs:element ref="xs:schema"/><xs:any/></xs:sequence></xs:complexType></xs:element>`), nil,
			"{urn:e}in  (schema,any)", nil},
		{"part without element and type", edit(`<part name="p" element="e:in"/>`, `<part name="p" element="e:in"/><part name="q"/>`), nil,
			text, []string{`operation in: part "q" of message {urn:e}in has neither element nor type`}},
		{"broken binding of another kind", edit(`<service`, `<binding name="H" type="e:Gone"><operation name="x"/></binding><binding name="I" type="e:P"><operation name="x"/></binding><portType name="Empty"/><service`), nil, text, nil},
		{"fault without message", edit(`<input message="e:in"/>`, `<input message="e:in"/><fault name="F" message="e:gone"/>`), nil,
			text, []string{"operation in: there is no message {urn:e}gone; the fault is ignored"}},
		{"duplicates", schema(in + in + `<xs:element name="in" type="xs:int"/>`), nil, text, []string{"element {urn:e}in was declared differently at "}},

		// Places.
		{"schema outside wsdl:types", edit(`<types>`, ``, `</types>`, ``), nil, text, nil},
		{"imports inside wsdl:types", edit(inline, `<xs:import namespace="urn:e" schemaLocation="e.xsd"/><import namespace="urn:f" location="f.xsd"/>`),
			map[string]string{"e.xsd": `<xs:schema xmlns:xs="` + nsXSD + `" targetNamespace="urn:e"><xs:element name="in" type="f:t" xmlns:f="urn:f"/></xs:schema>`,
				"f.xsd": `<xs:schema xmlns:xs="` + nsXSD + `" targetNamespace="urn:f"><xs:simpleType name="t"><xs:restriction base="xs:string"/></xs:simpleType></xs:schema>`},
			"{urn:e}in t text of string", nil},
		{"import after the components", schema(in + `<xs:element name="b" type="f:t" xmlns:f="urn:f"/><xs:import namespace="urn:f" schemaLocation="f.xsd"/>`),
			map[string]string{"f.xsd": `<xs:schema xmlns:xs="` + nsXSD + `" targetNamespace="urn:f"><xs:simpleType name="t"><xs:restriction base="xs:string"/></xs:simpleType></xs:schema>`}, text, nil},
		{"wsdl:import of a schema, last", edit(`<types>`+inline+`</types>`, ``, `</service>`, `</service><import namespace="urn:e" location="e.xsd"/>`), map[string]string{"e.xsd": `<xs:schema xmlns:xs="` + nsXSD + `" targetNamespace="urn:e">` + in + `</xs:schema>`}, text, nil},
		{"circular imports", edit(`<types>`, `<import namespace="urn:e" location="b.wsdl"/><types>`), map[string]string{"b.wsdl": `<definitions xmlns="` + nsWSDL + `"><import location="a.wsdl"/></definitions>`}, text, nil},
		{"import of a schema without namespace", service(`<xs:schema><xs:import namespace="urn:e" schemaLocation="n.xsd"/></xs:schema>`), map[string]string{"n.xsd": `<xs:schema xmlns:xs="` + nsXSD + `">` + in + `</xs:schema>`},
			text, []string{`import of namespace "urn:e" found a schema of namespace ""`}},
		{"include of another namespace", schema(in + `<xs:element name="b" type="f:t" xmlns:f="urn:f"/><xs:include schemaLocation="f.xsd"/>`), map[string]string{"f.xsd": `<xs:schema xmlns:xs="` + nsXSD + `" targetNamespace="urn:f"><xs:simpleType name="t"><xs:restriction base="xs:string"/></xs:simpleType></xs:schema>`},
			text, []string{`xs:include of a schema of another namespace, "urn:f", is taken for xs:import`}},
		{"include with letters of another case", service(`<xs:schema targetNamespace="urn:e"><xs:include schemaLocation="./Sub/../SUB\E.XSD"/></xs:schema>`), map[string]string{"sub/e.xsd": `<xs:schema xmlns:xs="` + nsXSD + `">` + in + `</xs:schema>`}, text, nil},
		{"import without location", edit(`<types>`, `<import namespace="urn:e"/><types>`), nil, text, []string{"wsdl:import without location is ignored"}},
		{"redefine of nothing", schema(in + `<xs:redefine schemaLocation="n.xsd"><xs:simpleType name="t"><xs:restriction base="xs:int"/></xs:simpleType></xs:redefine>`), map[string]string{"n.xsd": `<xs:schema xmlns:xs="` + nsXSD + `"/>`},
			text, []string{"which the redefined schema does not have"}},

		// Schemas.
		{"schema of the namespace of WSDL", edit(inline, `<schema targetNamespace="urn:e"><element name="in" type="string"/></schema>`), nil, text,
			[]string{"schema is taken for xs:schema", "the type of XML Schema is taken"}},
		{"particles outside a group", schema(`<xs:element name="in"><xs:complexType><xs:element name="a"/><xs:element name="b" minOccurs="0"/></xs:complexType></xs:element>`), nil,
			"{urn:e}in  (a,b?)", []string{"xs:complexType has particles outside a group"}},
		{"unknown things", schema(`<xs:odd/><xs:element name="in"><xs:complexType><xs:sequence><xs:element name="a"/><xs:odd/></xs:sequence></xs:complexType></xs:element>`), nil,
			"{urn:e}in  (a)", []string{"xs:odd is not allowed here and ignored", "xs:odd is not allowed in xs:sequence and ignored"}},
		{"occurrence", schema(`<xs:element name="in"><xs:complexType><xs:sequence minOccurs="x"><xs:element name="a" minOccurs="3" maxOccurs="2"/><xs:element name="b" maxOccurs="many"/></xs:sequence></xs:complexType></xs:element>`), nil,
			"{urn:e}in  (a{3,3},b+)", []string{`minOccurs="x" is not a number`, "minOccurs=3 is larger than maxOccurs=2", `maxOccurs="many" is neither`}},
		{"attribute of a complex type", schema(in + `<xs:complexType name="t"><xs:attribute name="a" type="e:t"/></xs:complexType>`), nil, text, []string{"which is not a simple type"}},
		{"names that are none", schema(in + `<xs:complexType name="a&gt;b"/><xs:complexType/><xs:complexType name="t"><xs:sequence><xs:element name="a b"/></xs:sequence></xs:complexType>`), nil,
			text, []string{`type is ignored: "a>b" is not a name`, "type without name is ignored", `element "a b" without a proper name is ignored`}},
		{"simple types of nothing", schema(in + `<xs:simpleType name="a"/><xs:simpleType name="b"><xs:list/></xs:simpleType><xs:simpleType name="c"><xs:restriction base="e:d"/></xs:simpleType><xs:complexType name="d"/>`), nil,
			text, []string{"simple type without restriction, list or union", "xs:list without item type", "a simple type cannot restrict {urn:e}d"}},
		{"style and use", edit(`transport=`, `style="odd" transport=`, `use="literal"`, `use="strange"`), nil, text, []string{`style "odd"`, `use "strange"`}},
		{"document type declaration of a schema", service(`<xs:schema><xs:import namespace="urn:e" schemaLocation="e.xsd"/></xs:schema>`),
			map[string]string{"e.xsd": `<!DOCTYPE schema PUBLIC "-//W3C//DTD XMLSchema 200102//EN" "http://www.w3.org/2001/XMLSchema.dtd" [<!ENTITY e "x">]><schema xmlns="` + nsXSD + `" targetNamespace="urn:e"><element name="in" type="string"/></schema>`}, text, nil},

		// Encodings.
		{"mark of UTF-8 and another declaration", "\xEF\xBB\xBF" + `<?xml version="1.0" encoding="iso-8859-1"?>` + schema(`<xs:element name="in" type="e:Größe"/><xs:simpleType name="Größe"><xs:restriction base="xs:string"/></xs:simpleType>`), nil, "{urn:e}in Größe text of string", nil},
		{"UTF-16 with an import in Latin-1", utf16Bytes(`<?xml version="1.0" encoding="utf-16"?>`+service(`<xs:schema targetNamespace="urn:e"><xs:include schemaLocation="e.xsd"/></xs:schema>`), binary.LittleEndian, true),
			map[string]string{"e.xsd": `<?xml version="1.0" encoding="ISO-8859-1"?><xs:schema xmlns:xs="` + nsXSD + `">` + in + "<!-- \xFC --></xs:schema>"}, text, nil},
		{"Chinese documentation", `<?xml version="1.0" encoding="GB2312"?>` + edit(`<types>`, "<documentation>\xD6\xD0\xCE\xC4</documentation><types>"), nil, text, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := map[string]string{"a.wsdl": tt.content}
			for k, v := range tt.more {
				m[k] = v
			}
			d, err := (&Resolver{}).Open(t.Context(), filepath.Join(files(t, m), "a.wsdl"))
			if err != nil {
				t.Fatal(err)
			}
			checkWarnings(t, d.Warnings, tt.warnings)
			if len(d.Bindings[0].Operations) != 1 || len(d.Dropped) > 0 || len(d.Services[0].Ports) != 1 {
				t.Fatalf("operations %v, dropped %v", d.Bindings[0].Operations, d.Dropped)
			}
			if got := describe(d.Bindings[0].Operations[0].In.Body[0].Element); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func checkWarnings(t *testing.T, got []Problem, want []string) {
	t.Helper()
	for i, p := range got {
		if p.Pos.Line == 0 {
			t.Errorf("no position: %v", p)
		}
		if i >= len(want) || !strings.Contains(p.String(), want[i]) {
			t.Errorf("warning %d is %v", i, p)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d warnings, want %q", len(got), want)
	}
}

// TestDrafts reads schemas of the drafts, each with its own way to write them.
func TestDrafts(t *testing.T) {
	t.Parallel()
	for _, space := range []string{nsXSD1999, nsXSD2000Jan, nsXSD2000} {
		s := strings.Replace(service(`<xs:schema targetNamespace="urn:e"><xs:element name="in"><xs:complexType content="mixed">
<xs:element name="a" type="xs:timeInstant" minOccurs="0" maxOccurs="*"/><xs:element name="b" type="xs:uriReference" nullable="true"/><xs:attribute name="c" type="xs:CDATA"/></xs:complexType></xs:element>
<xs:simpleType name="code" base="xs:string"><xs:enumeration value="x"/></xs:simpleType>
<xs:complexType name="base"><xs:sequence><xs:element name="d" type="e:code"/></xs:sequence></xs:complexType>
<xs:complexType name="derived" base="e:base" derivedBy="extension"><xs:element name="f" type="xs:ur-type"/></xs:complexType>
<xs:complexType name="text" base="xs:non-negative-integer" derivedBy="extension"><xs:attribute name="g" type="xs:binary"/></xs:complexType>
</xs:schema>`), nsXSD, space, 1)
		d, err := (&Resolver{}).Open(t.Context(), filepath.Join(files(t, map[string]string{"a.wsdl": s}), "a.wsdl"))
		if err != nil {
			t.Fatal(err)
		}
		e := d.Elements[0]
		if got := describe(e); got != "{urn:e}in  (a*,b) @c" || !e.Type.Mixed {
			t.Errorf("%s: %s", space, got)
		}
		a, b := e.Type.Content.Children[0].Element, e.Type.Content.Children[1].Element
		if a.Type.Name != (QName{nsXSD, "dateTime"}) || b.Type.Name != (QName{nsXSD, "anyURI"}) || !b.Nillable ||
			e.Type.Attributes[0].Type.Name.Local != "normalizedString" {
			t.Errorf("%s: %v %v", space, a.Type.Name, b.Type.Name)
		}
		if got := show(d.typeNamed(t, "derived").Content); got != "((d),(f))" {
			t.Errorf("%s: derived %s", space, got)
		}
		if x := d.typeNamed(t, "text"); x.Simple == nil || x.Simple.Atom.Name.Local != "nonNegativeInteger" || attrNames(x) != "g" {
			t.Errorf("%s: text %+v", space, x)
		}
		if x := d.typeNamed(t, "code"); len(x.Simple.Enum) != 1 {
			t.Errorf("%s: code %+v", space, x.Simple)
		}
	}
}

// TestUnreadEncoding refuses a description whose names or values were lost.
func TestUnreadEncoding(t *testing.T) {
	t.Parallel()
	for _, attr := range []string{`name="` + "\xD6\xD0" + `"`, `name="a" default="` + "\xD6\xD0" + `"`} {
		s := `<?xml version="1.0" encoding="gbk"?>` + service(`<xs:schema targetNamespace="urn:e"><xs:element name="in"/><xs:element `+attr+`/></xs:schema>`)
		_, err := (&Resolver{}).Open(t.Context(), filepath.Join(files(t, map[string]string{"a.wsdl": s}), "a.wsdl"))
		if err == nil || !strings.Contains(err.Error(), `encoding "gbk" is not supported outside documentation`) {
			t.Errorf("%q: got %v", attr, err)
		}
	}
}

// TestBuiltinBeside takes from a built-in schema what the description's own
// schema of that namespace leaves out.
func TestBuiltinBeside(t *testing.T) {
	t.Parallel()
	d := load(t, `<xs:schema targetNamespace="`+nsApache+`"><xs:complexType name="Map"><xs:sequence><xs:element name="mine"/></xs:sequence></xs:complexType></xs:schema>
<xs:schema targetNamespace="urn:e" xmlns:p="`+nsApache+`"><xs:element name="in"><xs:complexType><xs:sequence><xs:element name="m" type="p:Map"/><xs:element name="d" type="p:DataHandler"/></xs:sequence></xs:complexType></xs:element></xs:schema>`, nil)
	kids := d.Bindings[0].Operations[0].In.Body[0].Element.Type.Content.Children
	if got := show(kids[0].Element.Type.Content) + " " + show(kids[1].Element.Type.Content); got != "(mine) (any*)" || len(d.Warnings) > 0 {
		t.Errorf("got %s and %v", got, d.Warnings)
	}
}
