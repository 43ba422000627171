package gen

import "strings"

func repeat(s string, n int) string { return strings.Repeat(s, n) }

// losslessTypes is about simple types and about types derived from others.
var losslessTypes = []lossless{
	{
		"lists and unions",
		`<xs:simpleType name="A"><xs:restriction base="xs:token"><xs:enumeration value="x"/><xs:enumeration value="y"/></xs:restriction></xs:simpleType>
<xs:simpleType name="B"><xs:restriction base="xs:int"><xs:enumeration value="1"/></xs:restriction></xs:simpleType>
<xs:simpleType name="U"><xs:union memberTypes="e:A e:B xs:dateTime"><xs:simpleType><xs:restriction base="xs:string"/></xs:simpleType></xs:union></xs:simpleType>
<xs:simpleType name="L"><xs:list itemType="e:U"/></xs:simpleType><xs:simpleType name="LA"><xs:list itemType="e:A"/></xs:simpleType>
<xs:simpleType name="UL"><xs:union memberTypes="e:L e:LA xs:boolean"/></xs:simpleType><xs:simpleType name="R"><xs:restriction base="e:LA"><xs:maxLength value="2"/></xs:restriction></xs:simpleType>
<xs:simpleType name="LL"><xs:list><xs:simpleType><xs:union memberTypes="xs:int xs:QName"/></xs:simpleType></xs:list></xs:simpleType>
<xs:element name="in"><xs:complexType><xs:sequence><xs:element name="u" type="e:U" maxOccurs="unbounded"/><xs:element name="l" type="e:L"/><xs:element name="ul" type="e:UL" minOccurs="0"/><xs:element name="r" type="e:R" minOccurs="0"/><xs:element name="ll" type="e:LL" minOccurs="0"/><xs:element name="n" minOccurs="0"><xs:simpleType><xs:list itemType="xs:decimal"/></xs:simpleType></xs:element></xs:sequence>
<xs:attribute name="l" type="e:L"/><xs:attribute name="r" type="e:R" use="required"/><xs:attribute name="ids" type="xs:IDREFS"/><xs:attribute name="q" type="xs:QName"/><xs:attribute name="b" type="xs:base64Binary"/></xs:complexType></xs:element>`,
		[]string{
			` r=""><u>x</u><u> any text </u><u>1</u><l/>`,
			` l="x 1 2024-01-01T00:00:00Z" r="x y" ids="a b" q="f:n" b="AP8="><u/><l>x 1 z</l><ul>a b</ul><r>y</r><ll>1 2</ll><n>1.10 -2</n>`,
			` r="x"><u/><l/><ul/><r/><ll/><n/>`,
		},
	},
	{
		"enumerations",
		"<xs:simpleType name=\"E\"><xs:restriction base=\"xs:string\">" +
			`<xs:enumeration value=""/><xs:enumeration value=" "/><xs:enumeration value="1"/><xs:enumeration value="01"/><xs:enumeration value="+"/><xs:enumeration value="-"/><xs:enumeration value="--"/><xs:enumeration value="a"/><xs:enumeration value="A"/><xs:enumeration value="a b"/><xs:enumeration value="a_b"/><xs:enumeration value="größe"/><xs:enumeration value="名"/><xs:enumeration value="&lt;&quot;\&#10;` + "`" + `"/><xs:enumeration value="func"/><xs:enumeration value="Value"/><xs:enumeration value="` + repeat("long", 30) + `"/><xs:enumeration value="` + repeat("long", 31) + `"/></xs:restriction></xs:simpleType>
<xs:simpleType name="D"><xs:restriction base="xs:decimal"><xs:enumeration value="1.0"/><xs:enumeration value="1.5"/><xs:enumeration value="-1"/></xs:restriction></xs:simpleType>
<xs:simpleType name="Q"><xs:restriction base="xs:QName"><xs:enumeration value="f:a"/><xs:enumeration value="f:b"/></xs:restriction></xs:simpleType>
<xs:simpleType name="Y"><xs:restriction base="xs:boolean"><xs:pattern value="true"/></xs:restriction></xs:simpleType>
<xs:simpleType name="W"><xs:restriction base="e:E"><xs:enumeration value="1"/><xs:enumeration value=""/></xs:restriction></xs:simpleType>
<xs:element name="in"><xs:complexType><xs:sequence><xs:element name="e" type="e:E" maxOccurs="unbounded"/><xs:element name="d" type="e:D" minOccurs="0"/><xs:element name="q" type="e:Q" minOccurs="0"/><xs:element name="y" type="e:Y" minOccurs="0"/><xs:element name="w" type="e:W" minOccurs="0" nillable="true"/></xs:sequence><xs:attribute name="e" type="e:E" use="required"/><xs:attribute name="q" type="e:Q"/></xs:complexType></xs:element>`,
		[]string{
			` e=""><e/>`, ` e=" " q="f:b"><e> </e><e>名</e><e>&lt;"\&#10;` + "`" + `</e><d>1.0</d><q>f:a</q><y>true</y><w/>`, ` e="A"><e>unknown</e><w i:nil="true"/>`, ` e="--"><e>1</e><w>1</w>`,
		},
	},
	{
		"simple content in a chain",
		`<xs:complexType name="A"><xs:simpleContent><xs:extension base="xs:string"><xs:attribute name="a" type="xs:int"/></xs:extension></xs:simpleContent></xs:complexType>
<xs:complexType name="B"><xs:simpleContent><xs:extension base="e:A"><xs:attribute name="b" type="xs:int" use="required"/><xs:anyAttribute namespace="##other"/></xs:extension></xs:simpleContent></xs:complexType>
<xs:complexType name="C"><xs:simpleContent><xs:restriction base="e:B"><xs:enumeration value="x"/><xs:enumeration value="y"/><xs:attribute name="a" use="prohibited"/></xs:restriction></xs:simpleContent></xs:complexType>
<xs:complexType name="N"><xs:simpleContent><xs:extension base="xs:decimal"><xs:attribute name="unit"/></xs:extension></xs:simpleContent></xs:complexType>
<xs:element name="in"><xs:complexType><xs:sequence><xs:element name="a" type="e:A" maxOccurs="unbounded"/><xs:element name="c" type="e:C" minOccurs="0"/><xs:element name="n" type="e:N" minOccurs="0" nillable="true"/></xs:sequence></xs:complexType></xs:element>`,
		[]string{
			`><a> text </a>`, `><a a="1">t</a><a i:type="e:B" b="2" a="1" f:k="">t</a><a i:type="e:C" b="1">x</a><c b="2">y</c><n unit="m">1.50</n>`, `><a/><n i:nil="true" unit="m"/>`,
		},
	},
	{
		"restriction of content",
		`<xs:complexType name="Base"><xs:sequence><xs:element name="a" type="xs:int" minOccurs="0"/><xs:element name="b" type="xs:string" minOccurs="0" maxOccurs="unbounded"/><xs:element name="c" type="e:Base" minOccurs="0"/></xs:sequence><xs:attribute name="k"/><xs:attribute name="l"/></xs:complexType>
<xs:complexType name="R"><xs:complexContent><xs:restriction base="e:Base"><xs:sequence><xs:element name="b" type="xs:token"/></xs:sequence><xs:attribute name="k" use="prohibited"/><xs:attribute name="l" use="required"/></xs:restriction></xs:complexContent></xs:complexType>
<xs:complexType name="X"><xs:complexContent><xs:extension base="e:R"><xs:choice><xs:element name="x" type="xs:int"/><xs:element name="y" type="e:R"/></xs:choice></xs:extension></xs:complexContent></xs:complexType>
<xs:complexType name="Empty"><xs:complexContent><xs:restriction base="e:Base"/></xs:complexContent></xs:complexType>
<xs:element name="in" type="e:Base"/>`,
		[]string{
			` k="1" l="2"><a>1</a><b>1</b><b> 2</b><c i:type="e:R" l="1"><b>x</b></c>`, ` i:type="e:R" l=""><b/>`, ` i:type="e:X" l="1"><b>1</b><y i:type="e:X" l="2"><b>1</b><x>0</x></y>`,
			`><c i:type="e:Empty" k="1"/>`,
		},
	},
	{
		"derived everywhere",
		`<xs:complexType name="A" abstract="true"><xs:sequence><xs:element name="a" type="xs:int" minOccurs="0"/></xs:sequence></xs:complexType>
<xs:complexType name="B"><xs:complexContent><xs:extension base="e:A"><xs:sequence><xs:element name="list" type="e:A" minOccurs="0" maxOccurs="unbounded"/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>
<xs:complexType name="C"><xs:complexContent><xs:extension base="e:B"/></xs:complexContent></xs:complexType>
<xs:complexType name="Open"><xs:sequence><xs:any minOccurs="0" maxOccurs="unbounded" processContents="lax"/></xs:sequence></xs:complexType>
<xs:complexType name="Closed"><xs:complexContent><xs:restriction base="e:Open"><xs:sequence><xs:element name="v" type="xs:int"/></xs:sequence></xs:restriction></xs:complexContent></xs:complexType>
<xs:element name="in"><xs:complexType><xs:sequence><xs:element name="one" type="e:A"/><xs:element name="nil" type="e:A" nillable="true"/><xs:element name="opt" type="e:B" nillable="true" minOccurs="0"/><xs:element name="many" type="e:B" nillable="true" minOccurs="0" maxOccurs="unbounded"/>
<xs:choice><xs:element name="x" type="e:A"/><xs:element name="y" type="e:B" nillable="true"/></xs:choice><xs:element name="o" type="e:Open" minOccurs="0"/></xs:sequence></xs:complexType></xs:element>`,
		[]string{
			`><one i:type="e:B"/><nil i:nil="true"/><x i:type="e:C"/>`,
			`><one i:type="e:C"><a>1</a><list i:type="e:B"><list i:type="e:C"/></list></one><nil i:type="e:B"/><opt i:nil="true"/><many/><many i:nil="true"/><many i:type="e:C"><a>1</a></many><y/><o><v>1</v></o>`,
			`><one i:type="e:C"/><nil i:type="e:C"/><opt><a>1</a></opt><y i:nil="true"/><o i:type="e:Closed"><v>1</v></o>`,
		},
	},
	{
		"xsi:type on simple types",
		`<xs:simpleType name="S"><xs:restriction base="xs:string"/></xs:simpleType>
<xs:complexType name="T"><xs:simpleContent><xs:extension base="xs:string"><xs:attribute name="k"/></xs:extension></xs:simpleContent></xs:complexType>
<xs:element name="in"><xs:complexType><xs:sequence><xs:element name="a" type="e:Plain"/></xs:sequence></xs:complexType></xs:element>
<xs:complexType name="Plain"><xs:sequence><xs:element name="v" type="xs:int"/></xs:sequence></xs:complexType>`,
		[]string{`><a><v>1</v></a>`},
	},
	{
		"fixed and default",
		`<xs:element name="in"><xs:complexType><xs:sequence><xs:element name="a" type="xs:int" fixed="1" minOccurs="0"/><xs:element name="b" type="xs:string" fixed="x" maxOccurs="unbounded"/><xs:element name="c" type="xs:string" default="d"/><xs:element name="d" type="xs:boolean" default="true" minOccurs="0"/>
<xs:choice><xs:element name="f" type="xs:string" fixed="y"/><xs:element name="g" type="xs:int" default="3"/></xs:choice><xs:element name="h" type="e:H" fixed="z" minOccurs="0"/></xs:sequence><xs:attribute name="k" fixed="v"/><xs:attribute name="l" type="xs:int" default="5"/><xs:attribute name="m" use="required" fixed="w"/></xs:complexType></xs:element>
<xs:complexType name="H"><xs:simpleContent><xs:extension base="xs:string"><xs:attribute name="k" type="xs:int" use="required"/></xs:extension></xs:simpleContent></xs:complexType>`,
		[]string{` m="w"><b>x</b><c/><f>y</f>`, ` k="v" l="5" m="w"><a>1</a><b>x</b><b>x</b><c>e</c><d>false</d><g>3</g><h k="1">z</h>`, ` l="6" m="w"><b>x</b><c>d</c><g>0</g>`},
	},
	{
		"values at their edges",
		`<xs:element name="in"><xs:complexType><xs:sequence><xs:element name="v" type="e:V" maxOccurs="unbounded"/></xs:sequence></xs:complexType></xs:element>
<xs:complexType name="V"><xs:choice><xs:element name="s" type="xs:string"/><xs:element name="n" type="xs:normalizedString"/><xs:element name="i" type="xs:integer"/><xs:element name="d" type="xs:decimal"/><xs:element name="f" type="xs:double"/><xs:element name="t" type="xs:dateTime"/><xs:element name="p" type="xs:duration"/><xs:element name="q" type="xs:QName"/><xs:element name="u" type="xs:anyURI"/><xs:element name="ul" type="xs:unsignedLong"/><xs:element name="h" type="xs:hexBinary"/><xs:element name="g" type="xs:gMonthDay"/><xs:element name="z" type="xs:time"/></xs:choice></xs:complexType>`,
		[]string{
			"><v><s> \t\n&#13;x </s></v><v><n> a  b </n></v><v><i>-123456789012345678901234567890</i></v><v><d>0.10</d></v><v><f>INF</f></v><v><f>NaN</f></v><v><t>2024-02-29T24:00:00</t></v><v><t>-0001-01-01T00:00:00.10+14:00</t></v><v><p>-P1Y2M3DT4H5M6.70S</p></v><v><q>f:x</q></v><v><q>local</q></v><v><u>http://x/?a=1&amp;b=ü</u></v><v><ul>18446744073709551615</ul></v><v><h>00FF</h></v><v><g>--02-29Z</g></v><v><z>23:59:59.9999999-05:00</z></v><v><s>\U0001F600&lt;![CDATA[</s></v>",
		},
	},
}
