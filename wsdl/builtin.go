package wsdl

import (
	"embed"
	"strings"
)

// Namespaces a description is made of.
const (
	nsXML       = "http://www.w3.org/XML/1998/namespace"
	nsXSD       = "http://www.w3.org/2001/XMLSchema"
	nsWSDL      = "http://schemas.xmlsoap.org/wsdl/"
	nsSOAP11    = "http://schemas.xmlsoap.org/wsdl/soap/"
	nsSOAP12    = "http://schemas.xmlsoap.org/wsdl/soap12/"
	nsMIME      = "http://schemas.xmlsoap.org/wsdl/mime/"
	nsSOAPEnc11 = "http://schemas.xmlsoap.org/soap/encoding/"
	nsSOAPEnc12 = "http://www.w3.org/2003/05/soap-encoding"
	nsXMIME     = "http://www.w3.org/2005/05/xmlmime"
	nsSwaRef    = "http://ws-i.org/profiles/basic/1.1/xsd"
	nsXOP       = "http://www.w3.org/2004/08/xop/include"
	nsWSA       = "http://www.w3.org/2005/08/addressing"
	nsMSSerial  = "http://schemas.microsoft.com/2003/10/Serialization/"
	nsMSArrays  = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
	nsMSTypes   = "http://microsoft.com/wsdl/types/"
	nsApache    = "http://xml.apache.org/xml-soap"
	nsPolicy12  = "http://schemas.xmlsoap.org/ws/2004/09/policy"
	nsPolicy15  = "http://www.w3.org/ns/ws-policy"
	nsXMIME2004 = "http://www.w3.org/2004/11/xmlmime"
	nsWSDL20    = "http://www.w3.org/ns/wsdl"
	builtinURI  = "builtin:"
	xsdAnyType  = "anyType"
)

//go:embed builtin/*.xsd
var builtinFiles embed.FS

// builtinSchemas maps namespaces that descriptions import without saying
// where from to the schemas this package brings along.
var builtinSchemas = map[string]string{
	nsXML:       "builtin/xml.xsd",
	nsSOAPEnc11: "builtin/soapenc11.xsd",
	nsSOAPEnc12: "builtin/soapenc12.xsd",
	nsXMIME:     "builtin/xmlmime.xsd",
	nsXMIME2004: "builtin/xmlmime2004.xsd",
	nsSwaRef:    "builtin/swaref.xsd",
	nsXOP:       "builtin/xop.xsd",
	nsWSA:       "builtin/addressing.xsd",
	nsMSSerial:  "builtin/serialization.xsd",
	nsMSArrays:  "builtin/arrays.xsd",
	nsMSTypes:   "builtin/mstypes.xsd",
	nsApache:    "builtin/apache.xsd",
	nsWSA2004:   "builtin/addressing2004.xsd",
	nsWSU:       "builtin/utility.xsd",
	nsPolicy12:  "builtin/policy12.xsd",
	nsPolicy15:  "builtin/policy15.xsd",
}

// xsdTypes lists the simple types of XML Schema 1.0 with their bases (XML
// Schema 2, 3), each base before the types derived from it.
const xsdTypes = `
anySimpleType:anyType anyAtomicType:anySimpleType
string:anySimpleType boolean:anySimpleType decimal:anySimpleType float:anySimpleType double:anySimpleType
duration:anySimpleType dateTime:anySimpleType time:anySimpleType date:anySimpleType
gYearMonth:anySimpleType gYear:anySimpleType gMonthDay:anySimpleType gDay:anySimpleType gMonth:anySimpleType
hexBinary:anySimpleType base64Binary:anySimpleType anyURI:anySimpleType QName:anySimpleType NOTATION:anySimpleType
normalizedString:string token:normalizedString language:token NMTOKEN:token NMTOKENS:anySimpleType=NMTOKEN
Name:token NCName:Name ID:NCName IDREF:NCName IDREFS:anySimpleType=IDREF ENTITY:NCName ENTITIES:anySimpleType=ENTITY
integer:decimal nonPositiveInteger:integer negativeInteger:nonPositiveInteger
long:integer int:long short:int byte:short
nonNegativeInteger:integer unsignedLong:nonNegativeInteger unsignedInt:unsignedLong unsignedShort:unsignedInt unsignedByte:unsignedShort
positiveInteger:nonNegativeInteger
yearMonthDuration:duration dayTimeDuration:duration dateTimeStamp:dateTime`

// newBuiltinTypes makes the types of XML Schema. Each model has its own set,
// because Derived differs.
func newBuiltinTypes() map[QName]*Type {
	m := map[QName]*Type{}
	anyType := &Type{
		Name: QName{nsXSD, xsdAnyType}, Builtin: true, Complex: true, Mixed: true, state: filled,
		AnyAttribute: &Wildcard{Any: true, Process: "lax"},
	}
	anyType.Content = &Particle{Kind: Sequence, Min: 1, Max: 1, Children: []*Particle{
		{Kind: AnyParticle, Min: 0, Max: Unbounded, Wildcard: &Wildcard{Any: true, Process: "lax"}},
	}}
	m[anyType.Name] = anyType
	for _, f := range strings.Fields(xsdTypes) {
		name, rest, _ := strings.Cut(f, ":")
		base, item, isList := strings.Cut(rest, "=")
		t := &Type{
			Name: QName{nsXSD, name}, Builtin: true, state: filled,
			Base: m[QName{nsXSD, base}], Derivation: Restriction, Simple: &Simple{},
		}
		if isList {
			t.Derivation = ByList
			t.Simple.Variety = List
			t.Simple.Item = m[QName{nsXSD, item}]
		} else {
			t.Simple.Atom = t
		}
		m[t.Name] = t
	}
	return m
}
