package gen

import (
	"strings"

	"github.com/soapward/soapward/wsdl"
)

const xsdSpace = "http://www.w3.org/2001/XMLSchema"

// builtins says how the built-in types appear in Go: the Go type, then the
// name of the functions of package xsd where it differs.
var builtins = map[string][2]string{
	"boolean": {"bool", "Bool"}, "float": {"float32", "Float32"}, "double": {"float64", "Float64"},
	"byte": {"int8", "Int8"}, "short": {"int16", "Int16"}, "int": {"int32", "Int32"}, "long": {"int64", "Int64"},
	"unsignedByte": {"uint8", "Uint8"}, "unsignedShort": {"uint16", "Uint16"},
	"unsignedInt": {"uint32", "Uint32"}, "unsignedLong": {"uint64", "Uint64"},
	"decimal": {"xsd.Decimal", "Decimal"}, "integer": {"xsd.Integer", "Integer"},
	"nonNegativeInteger": {"xsd.Integer", "NonNegativeInteger"}, "positiveInteger": {"xsd.Integer", "PositiveInteger"},
	"nonPositiveInteger": {"xsd.Integer", "NonPositiveInteger"}, "negativeInteger": {"xsd.Integer", "NegativeInteger"},
	"dateTime": {"xsd.DateTime", "DateTime"}, "dateTimeStamp": {"xsd.DateTime", "DateTime"},
	"date": {"xsd.Date", "Date"}, "time": {"xsd.Time", "Time"},
	"gYear": {"xsd.GYear", "GYear"}, "gYearMonth": {"xsd.GYearMonth", "GYearMonth"}, "gMonth": {"xsd.GMonth", "GMonth"},
	"gMonthDay": {"xsd.GMonthDay", "GMonthDay"}, "gDay": {"xsd.GDay", "GDay"},
	"duration": {"xsd.Duration", "Duration"}, "dayTimeDuration": {"xsd.Duration", "Duration"},
	"yearMonthDuration": {"xsd.Duration", "Duration"},
	"base64Binary":      {"[]byte", "Base64"}, "hexBinary": {"[]byte", "Hex"},
}

// appendName is the function that appends values of a Go type of package xsd.
func appendName(goType, fn string) string {
	if t, ok := strings.CutPrefix(goType, "xsd."); ok {
		return "xsd.Append" + t
	}
	return "xsd.Append" + fn
}

// textParse is how the text of a string type is tidied: whiteSpace of its
// built-in base (XML Schema 2 4.3.6).
func textParse(atom *wsdl.Type) string {
	switch atom.Name.Local {
	case "string", "anySimpleType", "anyAtomicType":
		return ""
	case "normalizedString":
		return "xsd.ParseNormalizedString"
	}
	return "xsd.ParseToken"
}

// simpleValue says how a simple type appears in Go. s is the simple type of t,
// or the simple content of a complex type.
func (g *generator) simpleValue(t *wsdl.Type, s *wsdl.Simple) *value {
	v := g.simpleShape(t, s)
	v.of, v.simple = t, s
	return v
}

func (g *generator) simpleShape(t *wsdl.Type, s *wsdl.Simple) *value {
	switch s.Variety {
	case wsdl.Union:
		return &value{kind: textValue, goType: "string"}
	case wsdl.List:
		return g.listValue(s.Item)
	}
	atom := s.Atom
	if len(s.Enum) > 0 && atom.Name.Local != "QName" && atom.Name.Local != "boolean" {
		if e := g.enum(t, s); e != nil {
			return &value{kind: textValue, goType: g.ref(e.pkg, e.name), enum: e, parse: e.parse}
		}
	}
	switch local := atom.Name.Local; local {
	case "QName", "NOTATION":
		return &value{kind: qnameValue, goType: "xml.Name"}
	default:
		if b, ok := builtins[local]; ok {
			return &value{kind: scalarValue, goType: b[0], parse: "xsd.Parse" + b[1],
				app: appendName(b[0], b[1]), slice: b[0] == "[]byte", base64: local == "base64Binary"}
		}
	}
	return &value{kind: textValue, goType: "string", parse: textParse(atom)}
}

func (g *generator) listValue(item *wsdl.Type) *value {
	v := &value{kind: textValue, goType: "string"}
	if item.Simple != nil && item.Simple.Variety == wsdl.Atomic {
		v = g.simpleValue(item, item.Simple)
	}
	switch v.kind {
	case scalarValue:
		return &value{kind: scalarValue, goType: "[]" + v.goType, slice: true,
			parse: "xsd.ParseList(" + v.parse + ")", app: "xsd.AppendList(" + v.app + ")"}
	case qnameValue:
		return &value{kind: qnameListValue, goType: "[]xml.Name", slice: true}
	}
	return &value{kind: textListValue, goType: "[]" + v.goType, slice: true, parse: "wire.ParseTextList[" + v.goType + "]"}
}

// enum returns the named type of an enumeration: that of the nearest type
// which declares the values.
func (g *generator) enum(t *wsdl.Type, s *wsdl.Simple) *enumT {
	for t.Base != nil && !t.Base.Builtin && t.Base.Simple != nil && t.Simple != nil && sameEnum(t.Base.Simple.Enum, t.Simple.Enum) {
		t = t.Base
	}
	if e := g.enums[t]; e != nil {
		return e
	}
	e := &enumT{parse: textParse(s.Atom)}
	switch {
	case t.Complex: // the type itself is a struct, for its attributes
		outer := g.structOf(t).name
		e.key = g.structOf(t).key + "/value"
		e.pkg = g.structOf(t).pkg
		e.name = e.pkg.scope.pick(e.key, outer+"Value", outer+"Enum")
		e.doc = []string{e.name + " is the enumeration that " + outer + " holds."}
	case !t.Name.IsZero():
		e.key, e.pkg = g.typeKey(t), g.packageOf(t.Name.Space)
		e.name = g.typeName(t.Name, "Type")
		e.doc = []string{e.name + " is an enumeration" + ofSpace(t.Name) + ".", t.Doc}
	default:
		e.pkg = g.packageOf(g.spaceOf(t))
		e.key = e.pkg.scope.unique(g.typeKey(t))
		e.name = e.pkg.scope.pick(e.key, g.outerName(t))
		e.doc = []string{e.name + " is the enumeration of " + t.Owner + ".", t.Doc}
	}
	g.enums[t] = e
	g.enumList = append(g.enumList, e)
	seen := map[string]bool{}
	for _, v := range s.Enum {
		if seen[v.Value] {
			continue
		}
		seen[v.Value] = true
		e.values = append(e.values, enumValue{text: v.Value, doc: v.Doc})
	}
	return e
}

func sameEnum(a, b []wsdl.EnumValue) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// nameConstants names the values of all enumerations, when all types have
// theirs.
func (g *generator) nameConstants() {
	for _, e := range g.enumList {
		for i := range e.values {
			v := &e.values[i]
			label := constantLabel(v.text)
			v.name = e.pkg.scope.pick(e.key+"="+v.text, e.name+label, e.name+label+"Value")
		}
	}
}

// signs are values that have no letters.
var signs = map[string]string{"": "Empty", "-": "Minus", "+": "Plus", "*": "Star", "/": "Slash", "<": "Less", ">": "Greater",
	"=": "Equal", "<=": "LessOrEqual", ">=": "GreaterOrEqual"}

// constantLabel makes what follows the name of the type in that of a constant.
func constantLabel(value string) string {
	if s, ok := signs[value]; ok {
		return s
	}
	digit := func(i int) bool { return i < len(value) && value[i] >= '0' && value[i] <= '9' }
	label := exported(value)
	switch {
	case digit(0):
		label = strings.TrimPrefix(label, "N")
	case value[0] == '-' && digit(1):
		label = "Minus" + strings.TrimPrefix(label, "N")
	}
	if len(label) > 60 {
		label = strings.ToValidUTF8(label[:60], "")
	}
	return label
}
