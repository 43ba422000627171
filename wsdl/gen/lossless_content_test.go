package gen

// losslessContent is about elements and their order.
var losslessContent = []lossless{
	{
		"substitution across namespaces",
		`<xs:import namespace="urn:f" schemaLocation="f.xsd"/><xs:import namespace="urn:g" schemaLocation="g.xsd"/>
<xs:element name="in"><xs:complexType><xs:sequence><xs:element ref="f:head" minOccurs="0"/><xs:element name="n" type="xs:int"/>
<xs:choice maxOccurs="unbounded"><xs:element ref="f:head"/><xs:element name="end" type="xs:string"/></xs:choice></xs:sequence></xs:complexType></xs:element>
<xs:element name="mine" substitutionGroup="g:member" type="e:Mine"/>
<xs:complexType name="Mine"><xs:complexContent><xs:extension base="g:Member"><xs:attribute name="k"/></xs:extension></xs:complexContent></xs:complexType>
-- f.xsd
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:f"><xs:element name="head" abstract="true" type="f:T" xmlns:f="urn:f"/>
<xs:complexType name="T" abstract="true"><xs:sequence><xs:element name="a" type="xs:int" minOccurs="0"/></xs:sequence></xs:complexType></xs:schema>
-- g.xsd
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:f="urn:f" xmlns:g="urn:g" targetNamespace="urn:g" elementFormDefault="qualified"><xs:import namespace="urn:f" schemaLocation="f.xsd"/>
<xs:element name="member" type="g:Member" substitutionGroup="f:head"/><xs:element name="untyped" substitutionGroup="f:head"/>
<xs:complexType name="Member"><xs:complexContent><xs:extension base="f:T"><xs:sequence><xs:element name="a" type="xs:int"/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>
<xs:complexType name="Deep"><xs:complexContent><xs:extension base="g:Member"><xs:sequence><xs:element name="b" type="xs:string"/></xs:sequence></xs:extension></xs:complexContent></xs:complexType></xs:schema>`,
		[]string{
			`><g:member><a>1</a><g:a>2</g:a></g:member><n>1</n><end/>`,
			`><n>1</n><e:mine k="v"><g:a>2</g:a></e:mine><end>x</end><g:member i:type="g:Deep"><a>1</a><g:a>2</g:a><g:b>b</g:b></g:member><g:untyped i:type="g:Member"><g:a>1</g:a></g:untyped>`,
			`><e:mine><a>1</a><g:a>0</g:a></e:mine><n>1</n><e:mine><a>1</a><g:a>0</g:a></e:mine>`,
		},
	},
	{
		"choices in choices",
		`<xs:element name="in"><xs:complexType><xs:choice minOccurs="0" maxOccurs="unbounded"><xs:element name="a" type="xs:int"/>
<xs:choice><xs:element name="b" type="xs:int"/><xs:choice maxOccurs="unbounded"><xs:element name="c" type="xs:int"/><xs:element name="d" type="xs:int" maxOccurs="2"/></xs:choice></xs:choice>
<xs:sequence><xs:element name="f" type="xs:int"/><xs:choice minOccurs="0"><xs:element name="g" type="xs:int"/><xs:sequence><xs:element name="h" type="xs:int"/><xs:element name="k" type="xs:int" minOccurs="0"/></xs:sequence></xs:choice></xs:sequence></xs:choice></xs:complexType></xs:element>`,
		[]string{`>`, `><a>1</a><c>1</c><d>1</d><d>2</d><d>3</d><c>2</c><b>1</b><f>1</f><g>1</g><f>2</f><h>1</h><k>1</k><f>3</f><f>4</f><h>2</h><a>2</a>`},
	},
	{
		"all",
		`<xs:element name="in"><xs:complexType><xs:all><xs:element name="a" type="xs:int" minOccurs="0"/><xs:element name="b" type="xs:string" nillable="true"/><xs:element name="c" minOccurs="0" type="xs:boolean" nillable="true"/></xs:all></xs:complexType></xs:element>`,
		[]string{`><b i:nil="true"/>`, `><a>0</a><b/><c i:nil="true"/>`, `><b>x</b><c>false</c>`},
	},
	{
		"nillable, optional, repeated",
		`<xs:element name="in"><xs:complexType><xs:sequence minOccurs="0"><xs:element name="a" type="xs:int" nillable="true" minOccurs="0" maxOccurs="unbounded"/>
<xs:element name="b" type="e:T" nillable="true" minOccurs="0" maxOccurs="unbounded"/><xs:element name="c" type="e:T" nillable="true"/><xs:element name="d" type="e:T" nillable="true" minOccurs="0"/>
<xs:element name="x" nillable="true" minOccurs="0" maxOccurs="2"/></xs:sequence></xs:complexType></xs:element>
<xs:complexType name="T"><xs:sequence><xs:element name="v" minOccurs="0" type="xs:int"/></xs:sequence><xs:attribute name="k" type="xs:int"/></xs:complexType>`,
		[]string{
			`>`, `><c/>`, `><c i:nil="true"/>`, `><a>1</a><a i:nil="true"/><a>0</a><b i:nil="true"/><b/><b><v>1</v></b><c><v>1</v></c><d i:nil="true"/><x i:nil="true"/><x>1</x>`,
			`><b i:nil="true" k="1"/><c i:nil="true" k="2"/><d i:nil="true" k="3"/>`,
		},
	},
	{
		"wildcards",
		`<xs:element name="in"><xs:complexType><xs:sequence><xs:element name="a" type="xs:int" minOccurs="0"/><xs:any namespace="urn:f urn:g" processContents="skip" minOccurs="0"/>
<xs:element name="b" type="e:T" minOccurs="0"/><xs:element name="c" type="e:U" minOccurs="0" maxOccurs="unbounded"/><xs:element name="d" type="e:V" minOccurs="0"/></xs:sequence><xs:anyAttribute namespace="##other" processContents="lax"/></xs:complexType></xs:element>
<xs:complexType name="T"><xs:sequence><xs:element name="x" type="xs:int"/><xs:any processContents="lax" minOccurs="0" maxOccurs="unbounded"/></xs:sequence></xs:complexType>
<xs:complexType name="U"><xs:choice maxOccurs="unbounded"><xs:element name="x" type="xs:int"/><xs:any namespace="##other" processContents="lax" maxOccurs="2"/><xs:any namespace="##local"/></xs:choice></xs:complexType>
<xs:complexType name="V"><xs:sequence maxOccurs="unbounded"><xs:element name="x" type="xs:int"/><xs:any namespace="##targetNamespace" minOccurs="0" maxOccurs="unbounded"/></xs:sequence></xs:complexType>`,
		[]string{
			` f:k="1" g:k="&#9;2&amp;"><a>1</a><g:q i:type="xs:int">1</g:q>`,
			`><b><x>1</x><x>2</x><f:x>3</f:x>` + "\n" + `</b>`,
			`><b><x>1</x><z xmlns="urn:f" k="e:q">e:q</z></b>`,
			`><c><x>1</x><f:a/><f:b/><f:c/><y>1</y><x>2</x></c><c><y/></c>`,
			`><d><x>1</x><e:x/><e:y/><x>2</x><x>3</x><e:z/></d>`,
		},
	},
	{
		"mixed content",
		`<xs:element name="in"><xs:complexType mixed="true"><xs:choice minOccurs="0" maxOccurs="unbounded"><xs:element name="b" type="e:B"/><xs:element name="k" type="xs:int"/></xs:choice><xs:attribute name="a"/></xs:complexType></xs:element>
<xs:complexType name="B" mixed="true"><xs:sequence><xs:element name="c" type="xs:string" minOccurs="0"/></xs:sequence></xs:complexType>`,
		[]string{` a=" x "> one <b>two <c> three </c></b>` + "\n" + `four<k>5</k>&lt;&#13;&amp;`, `>only text`, ` a="">`},
	},
	{
		"mixed and derived",
		`<xs:element name="in" type="e:B"/><xs:complexType name="B" mixed="true"><xs:sequence><xs:element name="c" type="e:C" minOccurs="0"/></xs:sequence></xs:complexType>
<xs:complexType name="D"><xs:complexContent mixed="true"><xs:extension base="e:B"><xs:sequence><xs:element name="d" type="xs:int"/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>
<xs:complexType name="C" abstract="true"/><xs:complexType name="C1"><xs:complexContent><xs:extension base="e:C"><xs:attribute name="q" type="xs:QName"/></xs:extension></xs:complexContent></xs:complexType>`,
		[]string{`>x<c i:type="e:C1" q="f:v"/>y`, ` i:type="e:D">x<c i:type="e:C1"/>y<d>1</d>`},
	},
	{
		"groups used twice",
		`<xs:group name="G"><xs:sequence><xs:element name="a" type="xs:int"/><xs:element name="b" type="xs:int" minOccurs="0"/></xs:sequence></xs:group>
<xs:group name="H"><xs:choice><xs:element name="x" type="xs:int"/><xs:element name="y" type="xs:int"/></xs:choice></xs:group>
<xs:element name="in"><xs:complexType><xs:sequence><xs:group ref="e:G"/><xs:element name="c" type="xs:int"/><xs:group ref="e:G"/><xs:group ref="e:H"/><xs:group ref="e:H" maxOccurs="2"/><xs:element name="z" minOccurs="0" type="xs:int"/><xs:group ref="e:H" minOccurs="0"/><xs:group ref="e:G" minOccurs="0" maxOccurs="unbounded"/></xs:sequence></xs:complexType></xs:element>`,
		[]string{`><a>1</a><c>2</c><a>3</a><b>4</b><x>5</x><y>6</y>`, `><a>1</a><b>2</b><c>2</c><a>3</a><x>5</x><x>6</x><y>7</y><z>8</z><y>9</y><a>1</a><a>2</a><b>3</b><a>4</a>`},
	},
	{
		"repeated in repeated",
		`<xs:element name="in"><xs:complexType><xs:sequence maxOccurs="unbounded"><xs:element name="a" type="xs:int"/><xs:sequence minOccurs="0" maxOccurs="unbounded"><xs:element name="b" type="xs:int"/><xs:element name="c" type="xs:int" minOccurs="0" maxOccurs="2"/></xs:sequence>
<xs:choice minOccurs="0"><xs:element name="d" type="xs:int"/><xs:sequence minOccurs="0"><xs:element name="f" type="xs:int" nillable="true"/><xs:any namespace="##other" minOccurs="0"/></xs:sequence></xs:choice></xs:sequence></xs:complexType></xs:element>`,
		[]string{`><a>1</a>`, `><a>1</a><b>1</b><b>2</b><c>3</c><c>4</c><b>5</b><f i:nil="true"/><a>2</a><a>3</a><d>1</d><a>4</a><b>1</b><f>1</f><g:any/><a>5</a>`},
	},
	{
		"recursion",
		`<xs:element name="in" type="e:N"/><xs:group name="G"><xs:choice><xs:element name="leaf" type="xs:int"/><xs:element name="node" type="e:N"/><xs:element name="box"><xs:complexType><xs:sequence><xs:group ref="e:G" maxOccurs="unbounded"/></xs:sequence></xs:complexType></xs:element></xs:choice></xs:group>
<xs:complexType name="N"><xs:sequence><xs:group ref="e:G"/><xs:element name="next" type="e:M" minOccurs="0"/></xs:sequence></xs:complexType>
<xs:complexType name="M"><xs:choice><xs:element name="n" type="e:N"/><xs:element name="m" type="e:M"/><xs:element name="e" type="e:Must"/></xs:choice></xs:complexType>
<xs:complexType name="Must"><xs:sequence><xs:element name="stop" type="xs:int"/><xs:element name="m" type="e:M" minOccurs="0"/></xs:sequence></xs:complexType>`,
		[]string{`><leaf>1</leaf>`, `><box><leaf>1</leaf><box><node><leaf>2</leaf></node></box><leaf>3</leaf></box><next><m><n><leaf>1</leaf></n></m></next>`, `><leaf>1</leaf><next><e><stop>1</stop><m><e><stop>2</stop></e></m></e></next>`},
	},
	{
		"counted elements",
		`<xs:element name="in"><xs:complexType><xs:sequence><xs:element name="a" type="xs:int" minOccurs="2" maxOccurs="100000"/><xs:element name="b" type="xs:int" maxOccurs="2"/><xs:sequence minOccurs="0" maxOccurs="3"><xs:element name="c" type="xs:int" minOccurs="0" maxOccurs="2"/></xs:sequence></xs:sequence></xs:complexType></xs:element>`,
		[]string{`><a>1</a><a>2</a><b>1</b>`, `><a>1</a><a>2</a><a>3</a><b>1</b><b>2</b><c>1</c><c>2</c><c>3</c><c>4</c><c>5</c><c>6</c>`},
	},
	{
		"anyType",
		`<xs:element name="in"><xs:complexType><xs:sequence><xs:element name="a" type="xs:anyType"/><xs:element name="b" minOccurs="0" maxOccurs="unbounded"/><xs:element name="c" type="xs:anySimpleType" minOccurs="0"/><xs:element name="d" type="e:X" minOccurs="0"/><xs:element name="f" type="e:Y" minOccurs="0"/><xs:element name="g" type="e:Z" minOccurs="0"/></xs:sequence><xs:attribute name="k" type="xs:anySimpleType"/></xs:complexType></xs:element>
<xs:complexType name="X"><xs:complexContent><xs:extension base="xs:anyType"><xs:attribute name="k"/></xs:extension></xs:complexContent></xs:complexType>
<xs:complexType name="Y"><xs:complexContent><xs:restriction base="xs:anyType"><xs:sequence><xs:element name="y" type="xs:int"/></xs:sequence></xs:restriction></xs:complexContent></xs:complexType>
<xs:complexType name="Z"><xs:complexContent><xs:extension base="xs:anyType"><xs:sequence><xs:element name="y" type="xs:int"/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>
<xs:complexType name="Known"><xs:sequence><xs:element name="v" type="xs:QName"/></xs:sequence></xs:complexType>`,
		[]string{
			` k=" 1 "><a i:type="e:Known"><v>f:x</v></a><b i:type="xs:QName">g:y</b><b i:nil="true"/><b k="v">text <f:x/> more</b><c i:type="xs:int">1</c>`,
			`><a/><b i:type="xs:string"> s </b><d k="v" f:k="w">any <f:x>1</f:x></d><f><y>1</y></f><g f:k="1"><f:x/><y>1</y></g>`,
		},
	},
	{
		"deep nesting",
		`<xs:element name="in">` + repeat(`<xs:complexType><xs:sequence><xs:element name="item" minOccurs="0" maxOccurs="unbounded">`, 30) +
			`<xs:simpleType><xs:restriction base="xs:string"><xs:enumeration value="x"/></xs:restriction></xs:simpleType>` + repeat(`</xs:element></xs:sequence><xs:attribute name="item" type="xs:int"/></xs:complexType>`, 30) + `</xs:element>`,
		[]string{`>`, ` item="1">` + repeat("<item>", 30) + "x" + repeat("</item>", 30), `><item item="1"/><item><item/></item>`},
	},
}
