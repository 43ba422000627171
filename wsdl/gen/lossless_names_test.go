package gen

// losslessNames is about namespaces, and about names that are one in Go.
var losslessNames = []lossless{
	{
		"forms of several schemas",
		`<xs:include schemaLocation="chameleon.xsd"/><xs:include schemaLocation="e.xsd"/><xs:import namespace="urn:f" schemaLocation="f.xsd"/><xs:import namespace="http://www.w3.org/XML/1998/namespace"/>
<xs:element name="in"><xs:complexType><xs:complexContent><xs:extension base="f:Base"><xs:sequence><xs:element name="a" type="xs:int"/><xs:element name="a" type="xs:int" form="qualified"/><xs:element ref="f:a"/><xs:element name="c" type="e:C"/><xs:element name="q" type="e:Q"/></xs:sequence>
<xs:attribute name="k"/><xs:attribute name="k" form="qualified"/><xs:attribute ref="f:k" use="required"/><xs:attribute ref="xml:lang"/><xs:attributeGroup ref="e:G"/></xs:extension></xs:complexContent></xs:complexType></xs:element>
<xs:attributeGroup name="G"><xs:attribute name="g" type="xs:int"/><xs:attributeGroup ref="f:G"/></xs:attributeGroup>
-- chameleon.xsd
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified" attributeFormDefault="qualified"><xs:complexType name="C"><xs:sequence><xs:element name="d" type="D"/></xs:sequence><xs:attribute name="x" type="D"/></xs:complexType><xs:simpleType name="D"><xs:restriction base="xs:int"/></xs:simpleType></xs:schema>
-- e.xsd
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:e" targetNamespace="urn:e" elementFormDefault="qualified"><xs:complexType name="Q"><xs:sequence><xs:element name="c" type="C" form="unqualified"/><xs:element name="d" type="xs:int"/></xs:sequence></xs:complexType></xs:schema>
-- f.xsd
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:f" elementFormDefault="qualified"><xs:complexType name="Base"><xs:sequence><xs:element name="a" type="xs:int"/></xs:sequence><xs:attribute name="g"/></xs:complexType><xs:element name="a" type="xs:string"/><xs:attribute name="k"/><xs:attributeGroup name="G"><xs:attribute name="h" form="qualified"/></xs:attributeGroup></xs:schema>`,
		[]string{` k="1" e:k="2" f:k="3" xml:lang="de" g="4" f:h="5"><f:a>1</f:a><a>2</a><e:a>3</e:a><f:a>four</f:a><c e:x="1"><e:d>1</e:d></c><q><c><e:d>2</e:d></c><e:d>3</e:d></q>`},
	},
	{
		"redefine",
		`<xs:redefine schemaLocation="old.xsd"><xs:complexType name="T"><xs:complexContent><xs:extension base="e:T"><xs:sequence><xs:element name="b" type="xs:int"/></xs:sequence><xs:attribute name="k"/></xs:extension></xs:complexContent></xs:complexType>
<xs:group name="G"><xs:sequence><xs:group ref="e:G"/><xs:element name="h" type="xs:int"/></xs:sequence></xs:group><xs:simpleType name="S"><xs:restriction base="e:S"><xs:maxLength value="3"/></xs:restriction></xs:simpleType>
<xs:attributeGroup name="A"><xs:attributeGroup ref="e:A"/><xs:attribute name="y"/></xs:attributeGroup></xs:redefine>
<xs:element name="in"><xs:complexType><xs:sequence><xs:element name="t" type="e:T"/><xs:element name="u" type="e:U"/><xs:group ref="e:G"/><xs:element name="s" type="e:S"/></xs:sequence><xs:attributeGroup ref="e:A"/></xs:complexType></xs:element>
-- old.xsd
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns="urn:e" targetNamespace="urn:e"><xs:complexType name="T"><xs:sequence><xs:element name="a" type="xs:int"/></xs:sequence></xs:complexType><xs:complexType name="U"><xs:complexContent><xs:extension base="T"><xs:sequence><xs:element name="c" type="xs:int"/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>
<xs:group name="G"><xs:sequence><xs:element name="g" type="xs:int"/></xs:sequence></xs:group><xs:simpleType name="S"><xs:restriction base="xs:string"/></xs:simpleType><xs:attributeGroup name="A"><xs:attribute name="x"/></xs:attributeGroup></xs:schema>`,
		[]string{` x="1" y="2"><t k="k"><a>1</a><b>2</b></t><u k="l"><a>1</a><b>2</b><c>3</c></u><g>1</g><h>2</h><s>x</s>`, `><t i:type="e:U"><a>1</a><b>2</b><c>3</c></t><u><a>1</a><b>2</b><c>3</c></u><g>1</g><h>2</h><s/>`},
	},
	{
		"names that are one in Go",
		`<xs:complexType name="Foo"><xs:sequence><xs:element name="foo" type="xs:int"/><xs:element name="Foo" type="xs:int"/><xs:element name="fo-o" type="xs:int"/><xs:element name="fo_o" type="xs:int"/><xs:element name="fo.o" type="xs:int"/><xs:element name="FOO" type="xs:int"/></xs:sequence><xs:attribute name="foo"/><xs:attribute name="Foo"/><xs:attribute name="fo-o"/></xs:complexType>
<xs:complexType name="foo"><xs:sequence><xs:element name="v" type="e:fo-o"/></xs:sequence></xs:complexType><xs:complexType name="fo-o"><xs:sequence><xs:element name="w" type="e:fo_o"/></xs:sequence></xs:complexType><xs:simpleType name="fo_o"><xs:restriction base="xs:string"><xs:enumeration value="Foo"/><xs:enumeration value="foo"/></xs:restriction></xs:simpleType>
<xs:element name="in"><xs:complexType><xs:sequence><xs:element name="a" type="e:Foo"/><xs:element name="b" type="e:foo"/></xs:sequence></xs:complexType></xs:element>`,
		[]string{`><a foo="1" Foo="2" fo-o="3"><foo>1</foo><Foo>2</Foo><fo-o>3</fo-o><fo_o>4</fo_o><fo.o>5</fo.o><FOO>6</FOO></a><b><v><w>foo</w></v></b>`},
	},
	{
		"the same name in several namespaces",
		`<xs:import namespace="urn:f" schemaLocation="f.xsd"/><xs:import namespace="urn:g" schemaLocation="g.xsd"/><xs:complexType name="T"><xs:sequence><xs:element ref="f:T"/><xs:element ref="g:T"/></xs:sequence></xs:complexType><xs:element name="in" type="e:T"/>
-- f.xsd
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:f="urn:f" targetNamespace="urn:f"><xs:element name="T" type="f:T"/><xs:complexType name="T"><xs:attribute name="T"/></xs:complexType></xs:schema>
-- g.xsd
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:g="urn:g" targetNamespace="urn:g"><xs:element name="T" nillable="true" type="g:T"/><xs:simpleType name="T"><xs:restriction base="xs:string"><xs:enumeration value="T"/></xs:restriction></xs:simpleType></xs:schema>`,
		[]string{`><f:T T="1"/><g:T>T</g:T>`, `><f:T/><g:T i:nil="true"/>`},
	},
	{
		"names that Go has taken",
		`<xs:element name="in"><xs:complexType><xs:sequence>` + taken() + `</xs:sequence><xs:attribute name="func"/><xs:attribute name="type"/><xs:attribute name="range" use="required"/></xs:complexType></xs:element>`,
		[]string{` func="1" type="2" range="3">` + takenMessage()},
	},
	{
		"names of the package",
		`<xs:complexType name="PClient"/><xs:complexType name="PServer"/><xs:complexType name="NewPClient"/><xs:complexType name="RegisterP"/><xs:complexType name="UnimplementedP"/><xs:complexType name="WSDL"/><xs:complexType name="WSDLFile"/><xs:complexType name="opPIn"/><xs:complexType name="PURL"/><xs:complexType name="nameIn"/><xs:complexType name="ns1"/><xs:complexType name="AnyB"/><xs:complexType name="readAnyB"/>
<xs:complexType name="B"/><xs:complexType name="BB"><xs:complexContent><xs:extension base="e:B"><xs:attribute name="k"/></xs:extension></xs:complexContent></xs:complexType>
<xs:element name="in"><xs:complexType><xs:sequence><xs:element name="a" type="e:PClient"/><xs:element name="b" type="e:PServer"/><xs:element name="c" type="e:NewPClient"/><xs:element name="d" type="e:RegisterP"/><xs:element name="f" type="e:UnimplementedP"/><xs:element name="g" type="e:WSDL"/><xs:element name="h" type="e:WSDLFile"/><xs:element name="j" type="e:opPIn"/><xs:element name="k" type="e:PURL"/><xs:element name="l" type="e:nameIn"/><xs:element name="m" type="e:ns1"/><xs:element name="n" type="e:AnyB"/><xs:element name="o" type="e:readAnyB"/><xs:element name="p" type="e:B"/></xs:sequence></xs:complexType></xs:element>`,
		[]string{`><a/><b/><c/><d/><f/><g/><h/><j/><k/><l/><m/><n/><o/><p i:type="e:BB" k="1"/>`},
	},
}

var takenNames = []string{"break", "func", "interface", "select", "string", "int", "error", "any", "nil", "len", "append", "new", "true", "iota", "init", "main", "context", "xml", "wire", "xsd", "soap", "Value", "Attrs", "Content", "Any", "Choice", "MarshalWire", "UnmarshalWire", "Error", "String", "x", "r", "w", "v", "ctx", "x1", "_x", "größe", "名"}

// taken declares an element, and a type for it, of each name.
func taken() string {
	s := ""
	for _, n := range takenNames {
		s += `<xs:element name="` + n + `"><xs:complexType><xs:attribute name="` + n + `" type="xs:int"/></xs:complexType></xs:element>`
	}
	return s
}

func takenMessage() string {
	s := ""
	for _, n := range takenNames {
		s += "<" + n + " " + n + `="1"/>`
	}
	return s
}
