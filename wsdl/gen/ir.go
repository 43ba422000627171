package gen

import "github.com/soapward/soapward/wsdl"

// The intermediate form between the model and Go source.

type structKind int

const (
	complexStruct structKind = iota // a complex type, or the parts of an RPC message
	choiceStruct                    // one alternative is set
	groupStruct                     // a sequence that repeats or is an alternative
)

// structT is a Go struct.
type structT struct {
	kind   structKind
	pkg    *pkgT
	name   string
	key    string   // what it is in the description: see NamesFile
	doc    []string // paragraphs
	typ    *wsdl.Type
	fields []*field
	attrs  []*field
	names  *scope // of the fields

	anyAttr  bool     // field Attrs
	simple   *value   // field Value: simple content
	mixed    bool     // field Content: mixed content as it is
	ifaces   []*iface // implemented
	fault    *wsdl.Element
	wraps    bool // embeds the type named by simple
	optEmpty bool // of choiceStruct: no alternative at all is fine
	nilled   bool // of an element that may be nil: see nameNil
	nilField string
	built    bool
	outer    *structT // of choiceStruct and groupStruct: what it is a field of
	rpc      bool     // of the parts of a literal rpc message

	encoded      bool // used by encoded operations
	encOnly      bool // and by no literal one: what SOAP encoding allows is allowed
	faultEncoded bool // the fault is
	anyName      int  // 1 + index of the field whose element may have any name, or 0
}

type fieldKind int

const (
	elemField     fieldKind = iota
	anyField                // xs:any
	nestedField             // a choiceStruct or groupStruct
	constField              // a fixed value: no Go field
	bodyField               // the element of a message that has attachments too
	attachedField           // an attachment; elem.Local is its part in the WSDL
)

type card int

const (
	one card = iota
	opt
	many
)

// field is a field of a struct.
type field struct {
	kind     fieldKind
	name     string
	doc      string
	elem     wsdl.QName
	card     card
	min, max int
	nillable bool
	nilSlice bool // a slice: nil is written as xsi:nil
	nilAway  bool // read as nillable, written as optional: in SOAP encoding both mean the same
	lax      bool // reading does not insist on it
	val      *value
	ptr      bool     // required struct behind a pointer, since it contains itself
	nested   *structT // of nestedField
	wild     *wsdl.Wildcard
	def      *string
	fixed    string
}

type valueKind int

const (
	textValue   valueKind = iota // string, or a named string type
	scalarValue                  // parsed and appended by functions
	qnameValue
	textListValue // slice of strings
	qnameListValue
	structValue
	ifaceValue
	anyValue    // wire.Any
	binaryValue // wire.Binary
	refValue    // wire.Binary by reference: ref:swaRef
	arrayValue
)

// value is how one value appears in Go.
type value struct {
	kind   valueKind
	goType string
	parse  string // of scalarValue, and of textValue unless the text is taken as it is
	app    string // of scalarValue
	enum   *enumT // of textValue: a named type
	slice  bool   // nil means absent
	base64 bool   // of scalarValue: []byte that may travel in a part of its own
	st     *structT
	iface  *iface
	array  *arrayT

	encoded bool       // may be nil in a message
	typ     wsdl.QName // what Typed writes in encoded messages; zero: nothing

	of     *wsdl.Type   // of text: where its facets are
	simple *wsdl.Simple // of text
}

// enumT is a named string type with constants.
type enumT struct {
	pkg    *pkgT
	name   string
	key    string
	doc    []string
	values []enumValue
	parse  string
}

type enumValue struct {
	name, text, doc string
}

// iface is what a value of a type with derived types appears as.
type iface struct {
	name   string // AnyShape
	read   string // readAnyShape, seen from anywhere
	put    string
	check  string
	marker string // isShape
	base   *structT
	impls  []*structT // base first, unless abstract
}

// message is one direction of an operation.
type message struct {
	goType string
	elem   wsdl.QName // zero: an empty body
	st     *structT   // of its parts, if there is one
}

type operation struct {
	op         *wsdl.BoundOperation // of the first binding that has it
	also       []*wsdl.BoundOperation
	action     string
	action12   *string // of SOAP 1.2, if it differs
	method     string
	key        string
	varName    string
	in, out    *message
	faults     []*structT
	headers    []*headerT
	clientOnly bool // a server could not tell it from another one
}

type headerT struct {
	elem    wsdl.QName
	goType  string
	method  string
	out     bool
	encoded bool
}

// portT is a port type, or those of its bindings that send the same bodies.
type portT struct {
	pt       *wsdl.PortType
	bindings []*wsdl.Binding
	second   bool   // not the first of its port type
	name     string // Go name
	key      string
	ops      []*operation
	ends     []*endpoint
}

// endpoint is a wsdl:port.
type endpoint struct {
	port          *wsdl.Port
	service       *wsdl.Service
	url, function string // Go names of its constant and its constructor
}
