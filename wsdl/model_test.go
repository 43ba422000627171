package wsdl

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// load reads a WSDL whose only schema is given.
func load(t *testing.T, schema string, more map[string]string) *Definitions {
	t.Helper()
	m := map[string]string{"a.wsdl": service(schema)}
	for k, v := range more {
		m[k] = v
	}
	d, err := (&Resolver{}).Open(t.Context(), filepath.Join(files(t, m), "a.wsdl"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *Definitions) typeNamed(t *testing.T, local string) *Type {
	t.Helper()
	for _, x := range d.Types {
		if x.Name == (QName{"urn:e", local}) {
			return x
		}
	}
	t.Fatalf("there is no type %s", local)
	return nil
}

// show writes a content model in the notation of DTDs.
func show(p *Particle) string {
	if p == nil {
		return "-"
	}
	var s string
	switch p.Kind {
	case ElementParticle:
		s = p.Element.Name.Local
	case AnyParticle:
		s = "any"
	default:
		var parts []string
		for _, c := range p.Children {
			parts = append(parts, show(c))
		}
		s = "(" + strings.Join(parts, map[ParticleKind]string{Sequence: ",", Choice: "|", All: "&"}[p.Kind]) + ")"
	}
	switch {
	case p.Min == 1 && p.Max == 1:
		return s
	case p.Min == 0 && p.Max == 1:
		return s + "?"
	case p.Min == 0 && p.Max == Unbounded:
		return s + "*"
	case p.Min == 1 && p.Max == Unbounded:
		return s + "+"
	}
	return s + "{" + strconv.Itoa(p.Min) + "," + strconv.Itoa(p.Max) + "}"
}

func attrNames(t *Type) string {
	var names []string
	for _, a := range t.Attributes {
		n := a.Name.Local
		if a.Required {
			n += "!"
		}
		names = append(names, n)
	}
	return strings.Join(names, " ")
}

func TestContent(t *testing.T) {
	t.Parallel()
	const schema = `<xs:schema targetNamespace="urn:e"><xs:element name="in" type="e:derived"/>
<xs:group name="g"><xs:choice><xs:element name="x"/><xs:element name="y"/></xs:choice></xs:group>
<xs:attributeGroup name="ag"><xs:attribute name="a1"/><xs:attribute name="a2" use="required"/></xs:attributeGroup>
<xs:complexType name="derived"><xs:complexContent><xs:extension base="e:base"><xs:sequence><xs:element name="c" minOccurs="2" maxOccurs="3"/><xs:element name="never" maxOccurs="0" minOccurs="0"/></xs:sequence><xs:attribute name="a3"/></xs:extension></xs:complexContent></xs:complexType>
<xs:complexType name="base" mixed="true"><xs:sequence><xs:element name="a" minOccurs="0"/><xs:group ref="e:g" maxOccurs="unbounded"/><xs:any minOccurs="0"/></xs:sequence><xs:attributeGroup ref="e:ag"/></xs:complexType>
<xs:complexType name="restricted"><xs:complexContent><xs:restriction base="e:base"><xs:sequence><xs:element name="a"/></xs:sequence><xs:attribute name="a1" use="required"/><xs:attribute name="a2" use="prohibited"/></xs:restriction></xs:complexContent></xs:complexType>
<xs:complexType name="onlyAttributes"><xs:complexContent><xs:extension base="e:base"><xs:attribute name="a4"/></xs:extension></xs:complexContent></xs:complexType>
<xs:complexType name="text"><xs:simpleContent><xs:extension base="e:code"><xs:attribute name="lang"/></xs:extension></xs:simpleContent></xs:complexType>
<xs:complexType name="narrowText"><xs:simpleContent><xs:restriction base="e:text"><xs:maxLength value="3"/></xs:restriction></xs:simpleContent></xs:complexType>
<xs:simpleType name="code"><xs:restriction base="xs:token"><xs:pattern value="[a-z]+"/></xs:restriction></xs:simpleType>
<xs:complexType name="empty"/>
<xs:complexType name="all"><xs:all><xs:element name="p"/><xs:element name="q" minOccurs="0"/></xs:all></xs:complexType>
</xs:schema>`
	d := load(t, schema, nil)
	for _, tt := range []struct{ name, content, attrs, base string }{
		{"base", "(a?,(x|y)+,any?)", "a1 a2!", "anyType"},
		{"derived", "((a?,(x|y)+,any?),(c{2,3}))", "a1 a2! a3", "base"},
		{"restricted", "(a)", "a1!", "base"},
		{"onlyAttributes", "(a?,(x|y)+,any?)", "a1 a2! a4", "base"},
		{"text", "-", "lang", "code"},
		{"narrowText", "-", "lang", "text"},
		{"empty", "-", "", "anyType"},
		{"all", "(p&q?)", "", "anyType"},
	} {
		x := d.typeNamed(t, tt.name)
		if got := show(x.Content); got != tt.content {
			t.Errorf("%s: content %s, want %s", tt.name, got, tt.content)
		}
		if got := attrNames(x); got != tt.attrs {
			t.Errorf("%s: attributes %q, want %q", tt.name, got, tt.attrs)
		}
		if x.Base.Name.Local != tt.base {
			t.Errorf("%s: base %s, want %s", tt.name, x.Base.Name, tt.base)
		}
	}
	if !d.typeNamed(t, "derived").Mixed {
		t.Error("derived is not mixed, but its base is")
	}
	base := d.typeNamed(t, "base")
	var derived []string
	for _, x := range base.Derived {
		derived = append(derived, x.Name.Local)
	}
	if got := strings.Join(derived, " "); got != "derived restricted onlyAttributes" {
		t.Errorf("derived from base: %s", got)
	}
	narrow := d.typeNamed(t, "narrowText")
	if f := narrow.Simple.Facets; len(f) != 2 || f[0] != (Facet{"maxLength", "3"}) || f[1].Name != "pattern" {
		t.Errorf("facets of narrowText: %v", f)
	}
	if narrow.Simple.Atom.Name.Local != "token" || !narrow.Is(d.typeNamed(t, "code")) {
		t.Error("narrowText is not a token")
	}
}

func TestSimpleTypes(t *testing.T) {
	t.Parallel()
	d := load(t, `<xs:schema targetNamespace="urn:e"><xs:element name="in" type="e:fewer"/>
<xs:simpleType name="colour"><xs:restriction base="xs:string"><xs:enumeration value="red"><xs:annotation><xs:documentation>As  roses
are.</xs:documentation></xs:annotation></xs:enumeration><xs:enumeration value="blue"/></xs:restriction></xs:simpleType>
<xs:simpleType name="same"><xs:restriction base="e:colour"/></xs:simpleType>
<xs:simpleType name="fewer"><xs:restriction base="e:same"><xs:enumeration value="red"/></xs:restriction></xs:simpleType>
<xs:simpleType name="list"><xs:list><xs:simpleType><xs:restriction base="xs:int"/></xs:simpleType></xs:list></xs:simpleType>
<xs:simpleType name="short"><xs:restriction base="e:list"><xs:maxLength value="2"/></xs:restriction></xs:simpleType>
<xs:simpleType name="union"><xs:union memberTypes="xs:int e:colour"><xs:simpleType><xs:list itemType="xs:int"/></xs:simpleType></xs:union></xs:simpleType>
</xs:schema>`, nil)
	values := func(name string) string {
		var s []string
		for _, v := range d.typeNamed(t, name).Simple.Enum {
			s = append(s, v.Value)
		}
		return strings.Join(s, " ")
	}
	for name, want := range map[string]string{"colour": "red blue", "same": "red blue", "fewer": "red", "list": ""} {
		if got := values(name); got != want {
			t.Errorf("%s: values %q, want %q", name, got, want)
		}
	}
	if got := d.typeNamed(t, "colour").Simple.Enum[0].Doc; got != "As roses are." {
		t.Errorf("documentation is %q", got)
	}
	short := d.typeNamed(t, "short").Simple
	if short.Variety != List || short.Item.BuiltinBase().Name.Local != "int" || len(short.Facets) != 1 {
		t.Errorf("short: %+v", short)
	}
	u := d.typeNamed(t, "union").Simple
	if u.Variety != Union || len(u.Members) != 3 || u.Members[2].Simple.Variety != List {
		t.Errorf("union: %+v", u)
	}
}

// TestRedefine changes included components in place.
func TestRedefine(t *testing.T) {
	t.Parallel()
	d := load(t, `<xs:schema targetNamespace="urn:e"><xs:element name="in" type="e:t"/><xs:redefine schemaLocation="old.xsd">
<xs:complexType name="t"><xs:complexContent><xs:extension base="e:t"><xs:sequence><xs:element name="new"/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>
<xs:simpleType name="s"><xs:restriction base="e:s"><xs:maxLength value="5"/></xs:restriction></xs:simpleType>
<xs:group name="g"><xs:sequence><xs:group ref="e:g"/><xs:element name="more"/></xs:sequence></xs:group>
<xs:attributeGroup name="ag"><xs:attributeGroup ref="e:ag"/><xs:attribute name="b"/></xs:attributeGroup>
</xs:redefine></xs:schema>`, map[string]string{"old.xsd": `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
<xs:complexType name="t"><xs:sequence><xs:element name="old"/></xs:sequence></xs:complexType>
<xs:complexType name="user"><xs:sequence><xs:element name="e" type="t"/><xs:group ref="g"/></xs:sequence><xs:attributeGroup ref="ag"/></xs:complexType>
<xs:simpleType name="s"><xs:restriction base="xs:string"><xs:minLength value="1"/></xs:restriction></xs:simpleType>
<xs:group name="g"><xs:sequence><xs:element name="first"/></xs:sequence></xs:group>
<xs:attributeGroup name="ag"><xs:attribute name="a"/></xs:attributeGroup>
</xs:schema>`})
	if got := show(d.typeNamed(t, "t").Content); got != "((old),(new))" {
		t.Errorf("t: %s", got)
	}
	user := d.typeNamed(t, "user")
	if got := show(user.Content); got != "(e,((first),more))" {
		t.Errorf("user: %s", got)
	}
	if got := attrNames(user); got != "a b" {
		t.Errorf("attributes: %s", got)
	}
	if user.Content.Children[0].Element.Type != d.typeNamed(t, "t") {
		t.Error("a reference does not see the redefined type")
	}
	if n := len(d.typeNamed(t, "s").Simple.Facets); n != 2 {
		t.Errorf("s has %d facets, want 2", n)
	}
}

// TestForms follows elementFormDefault, form, and chameleon includes.
func TestForms(t *testing.T) {
	t.Parallel()
	d := load(t, `<xs:schema targetNamespace="urn:e" elementFormDefault="qualified" attributeFormDefault="qualified"><xs:element name="in"/><xs:include schemaLocation="c.xsd"/>
<xs:complexType name="t"><xs:sequence><xs:element name="q"/><xs:element name="u" form="unqualified"/></xs:sequence><xs:attribute name="a"/><xs:attribute name="b" form="unqualified"/></xs:complexType></xs:schema>`,
		map[string]string{"c.xsd": `<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:include schemaLocation="c.xsd"/><xs:complexType name="c"><xs:sequence><xs:element name="local" type="c"/><xs:element ref="glob"/></xs:sequence></xs:complexType><xs:element name="glob" type="c"/></xs:schema>`})
	for _, tt := range []struct {
		got, want QName
	}{
		{d.typeNamed(t, "t").Content.Children[0].Element.Name, QName{"urn:e", "q"}},
		{d.typeNamed(t, "t").Content.Children[1].Element.Name, QName{"", "u"}},
		{d.typeNamed(t, "t").Attributes[0].Name, QName{"urn:e", "a"}},
		{d.typeNamed(t, "t").Attributes[1].Name, QName{"", "b"}},
		{d.typeNamed(t, "c").Content.Children[0].Element.Name, QName{"", "local"}},
		{d.typeNamed(t, "c").Content.Children[1].Element.Name, QName{"urn:e", "glob"}},
		{d.typeNamed(t, "c").Content.Children[0].Element.Type.Name, QName{"urn:e", "c"}},
	} {
		if tt.got != tt.want {
			t.Errorf("got %v, want %v", tt.got, tt.want)
		}
	}
}

func TestWildcard(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		namespace string
		allows    []string
		not       []string
	}{
		{"##any", []string{"", "urn:e", "urn:x"}, nil},
		{"##other", []string{"urn:x"}, []string{"", "urn:e"}},
		{"##local", []string{""}, []string{"urn:e"}},
		{"##targetNamespace urn:x", []string{"urn:e", "urn:x"}, []string{"", "urn:y"}},
	} {
		w := wildcard(&node{attrs: []attr{{QName{"", "namespace"}, tt.namespace}}}, &schema{tns: "urn:e"})
		for _, s := range tt.allows {
			if !w.Allows(s) {
				t.Errorf("%s does not allow %q", tt.namespace, s)
			}
		}
		for _, s := range tt.not {
			if w.Allows(s) {
				t.Errorf("%s allows %q", tt.namespace, s)
			}
		}
	}
}

// TestOperations reads what a binding says of messages.
func TestOperations(t *testing.T) {
	t.Parallel()
	const doc = `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:s12="http://schemas.xmlsoap.org/wsdl/soap12/" xmlns:h="http://schemas.xmlsoap.org/wsdl/http/" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:e="urn:e" targetNamespace="urn:e">
<types><xs:schema targetNamespace="urn:e"><xs:element name="Get"><xs:complexType><xs:sequence><xs:element name="k"/></xs:sequence></xs:complexType></xs:element><xs:element name="Other" type="xs:int"/><xs:element name="Head" type="xs:string"/></xs:schema></types>
<message name="get"><part name="body" element="e:Get"/><part name="head" element="e:Head"/></message>
<message name="other"><part name="body" element="e:Other"/></message>
<message name="rpc"><part name="b" type="xs:int"/><part name="a" type="xs:string"/></message>
<portType name="P">
<operation name="Get"><documentation>Gets it.</documentation><input name="one" message="e:get"/><output message="e:other"/><fault name="f" message="e:other"/></operation>
<operation name="Get"><input name="two" message="e:other"/></operation>
<operation name="Rpc"><input message="e:rpc"/><output message="e:rpc"/></operation>
</portType>
<binding name="B" type="e:P"><s:binding transport="http://schemas.xmlsoap.org/soap/http"/>
<operation name="Get"><s:operation soapAction="two"/><input name="two"><s:body use="literal"/></input></operation>
<operation name="Get"><s:operation soapAction="one"/><input name="one"><s:header message="e:get" part="head" use="literal"/><s:body use="literal"/></input><output><s:body use="literal"/></output><fault name="f"><s:fault name="f" use="literal"/></fault></operation>
<operation name="Rpc"><s:operation style="rpc"/><input><s:body parts="a" use="encoded" namespace="urn:rpc"/></input><output><s:body use="literal" namespace="urn:rpc"/></output></operation>
</binding>
<binding name="B12" type="e:P"><s12:binding style="document" transport="x"/><operation name="Get"><s12:operation soapAction="12"/><input name="one"><s12:body use="literal"/></input><output><s12:body use="literal"/></output></operation></binding>
<binding name="H" type="e:P"><h:binding verb="GET"/><operation name="Get"><h:operation location="/get"/><input><h:urlEncoded/></input></operation></binding>
<service name="S"><port name="p" binding="e:B"><s:address location="http://127.0.0.1/s"/></port><port name="q" binding="e:B12"/><port name="r" binding="e:H"/><port name="gone" binding="e:Gone"/></service>
</definitions>`
	d, err := (&Resolver{}).Open(t.Context(), filepath.Join(files(t, map[string]string{"a.wsdl": doc}), "a.wsdl"))
	if err != nil {
		t.Fatal(err)
	}
	b := d.Bindings[0]
	if len(b.Operations) != 3 || b.Version != SOAP11 {
		t.Fatalf("got %d operations of SOAP %v", len(b.Operations), b.Version)
	}
	two, one, rpc := b.Operations[0], b.Operations[1], b.Operations[2]
	if two.Action != "two" || two.Input.Label != "two" || !two.OneWay() || two.Wrapped {
		t.Errorf("overload two: %+v", two)
	}
	if one.Action != "one" || one.Doc != "Gets it." || !one.Wrapped || one.OneWay() || len(one.Faults) != 1 {
		t.Errorf("overload one: %+v", one)
	}
	if len(one.In.Body) != 1 || one.In.Body[0].Name != "body" || len(one.In.Headers) != 1 || one.In.Headers[0].Part.Element.Name.Local != "Head" {
		t.Errorf("a header is part of the body: %+v", one.In)
	}
	if rpc.Style != RPCStyle || rpc.In.Use != Encoded || rpc.Out.Use != Literal || rpc.In.Namespace != "urn:rpc" {
		t.Errorf("rpc: %+v", rpc)
	}
	if len(rpc.In.Body) != 1 || rpc.In.Body[0].Name != "a" || len(rpc.Out.Body) != 2 || rpc.Out.Body[0].Name != "b" {
		t.Errorf("parts of rpc: %+v, %+v", rpc.In.Body, rpc.Out.Body)
	}
	if v := d.Bindings[1].Version; v != SOAP12 || d.Bindings[1].Operations[0].Action != "12" {
		t.Errorf("second binding is of SOAP %v", v)
	}
	if d.Bindings[2].Version != NotSOAP || len(d.Bindings[2].Operations) != 0 {
		t.Error("HTTP binding has SOAP operations")
	}
	if p := d.Services[0].Ports; len(p) != 3 || p[0].Location != "http://127.0.0.1/s" {
		t.Errorf("ports: %+v", p)
	}
	if len(d.Warnings) != 1 || !strings.Contains(d.Warnings[0].Text, "no binding {urn:e}Gone") {
		t.Errorf("warnings: %v", d.Warnings)
	}
}

// TestImports follows imports that go round in circles and documents that are
// reached in several ways.
func TestImports(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{
		"a.wsdl": `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:b="urn:b" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" targetNamespace="urn:a"><import namespace="urn:b" location="sub/b.wsdl"/><import namespace="urn:b" location="./sub/../sub\b.wsdl"/>
<service name="S"><port name="p" binding="b:B"><s:address location="x"/></port></service></definitions>`,
		"sub/b.wsdl": `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:e="urn:e" xmlns:b="urn:b" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" targetNamespace="urn:b"><import namespace="urn:a" location="../a.wsdl"/><import namespace="urn:e" location="e.xsd"/>
<message name="m"><part name="p" element="e:in"/></message><portType name="P"><operation name="O"><input message="b:m"/></operation></portType>
<binding name="B" type="b:P"><s:binding/><operation name="O"><s:operation/><input><s:body use="literal"/></input></operation></binding></definitions>`,
		"sub/e.xsd":      `<schema xmlns="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:e" xmlns:f="urn:f"><include schemaLocation="e.xsd"/><include schemaLocation="more%20e.xsd"/><import namespace="urn:f" schemaLocation="f.xsd"/><element name="in" type="f:t"/></schema>`,
		"sub/more e.xsd": `<schema xmlns="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:e"><include schemaLocation="e.xsd"/></schema>`,
		"sub/f.xsd":      `<schema xmlns="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:f" xmlns:e="urn:e"><import namespace="urn:e" schemaLocation="e.xsd"/><complexType name="t"><sequence><element ref="e:in" minOccurs="0"/></sequence></complexType></schema>`,
	})
	d, err := (&Resolver{}).Open(t.Context(), filepath.Join(dir, "a.wsdl"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, x := range d.Documents {
		names = append(names, filepath.Base(x.URI))
	}
	if want := []string{"a.wsdl", "b.wsdl", "e.xsd", "more%20e.xsd", "f.xsd"}; !slices.Equal(names, want) {
		t.Errorf("documents %v, want %v", names, want)
	}
	if n := len(d.Bindings[0].Operations); n != 1 || len(d.Warnings) > 0 {
		t.Errorf("%d operations, warnings %v", n, d.Warnings)
	}
	if refs := d.Documents[0].Refs; len(refs) != 2 || refs[0].Document != d.Documents[1] || refs[1].Document != d.Documents[1] {
		t.Errorf("references of the main document: %+v", refs)
	}
}
