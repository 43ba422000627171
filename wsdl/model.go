package wsdl

// Definitions is a description with everything it imports: one WSDL document,
// its imports, and their schemas. It is read-only once loaded.
type Definitions struct {
	URI             string // of the main document
	Name            string // of the main document; may be empty
	TargetNamespace string
	Doc             string

	// Documents lists every document that was read, the main one first.
	Documents []*Document

	Services  []*Service
	Bindings  []*Binding
	PortTypes []*PortType

	Types    []*Type    // global types, in document order
	Elements []*Element // global elements, in document order

	// Dropped tells why operations of SOAP bindings are missing: they have no
	// message that is there. If none is left, Open fails instead.
	Dropped []Problem

	// Warnings are problems the description can be used in spite of. A type or
	// element that is not there is xs:anyType, so that any XML can be in its
	// place.
	Warnings []Problem
}

// Document is one file of a description.
type Document struct {
	URI       string
	Namespace string // target namespace
	Schema    bool   // an XML schema, not a WSDL
	Content   []byte // as read

	// Refs lists the references to other documents, in order.
	Refs []Ref
}

// Ref is a location written in a document and what was read for it.
type Ref struct {
	Location string // as written
	Document *Document
	Left     int // bytes from the element with the location to the end of Text
}

// Service is a wsdl:service.
type Service struct {
	Name  QName
	Doc   string
	Pos   Position
	Ports []*Port
}

// Port is an address at which a binding is served.
type Port struct {
	Name     string
	Doc      string
	Pos      Position
	Binding  *Binding
	Location string // address; may be empty

	// Policy is that of the binding with what the port adds. Never nil.
	Policy *Policy

	node *node
}

// SOAPVersion tells which SOAP a binding speaks.
type SOAPVersion int

// Versions of SOAP.
const (
	NotSOAP SOAPVersion = iota // an HTTP binding, or one we do not know
	SOAP11
	SOAP12
)

// String returns "1.1", "1.2" or "none".
func (v SOAPVersion) String() string {
	switch v {
	case SOAP11:
		return "1.1"
	case SOAP12:
		return "1.2"
	}
	return "none"
}

// Style says how a message body is made from parts (WSDL 1.1 3.4).
type Style int

// Styles of operations.
const (
	DocumentStyle Style = iota
	RPCStyle
)

// String returns "document" or "rpc".
func (s Style) String() string {
	if s == RPCStyle {
		return "rpc"
	}
	return "document"
}

// Use says how parts are written (WSDL 1.1 3.5).
type Use int

// Uses of messages.
const (
	Literal Use = iota
	Encoded
)

// String returns "literal" or "encoded".
func (u Use) String() string {
	if u == Encoded {
		return "encoded"
	}
	return "literal"
}

// PortType is an abstract interface.
type PortType struct {
	Name       QName
	Doc        string
	Pos        Position
	Operations []*Operation

	node *node
}

// Operation is one operation of a port type. Names may repeat (overloads).
type Operation struct {
	Name   string
	Doc    string
	Pos    Position
	Input  *Message // nil for notifications
	Output *Message // nil for one-way operations
	Faults []*FaultMessage

	// ParameterOrder names parts in the order of a signature (WSDL 1.1 2.4.6).
	// A part of the output that it does not name is the return value.
	ParameterOrder []string

	node *node
	lost []Problem // why it cannot be used
}

// OneWay reports whether the operation has no reply.
func (o *Operation) OneWay() bool { return o.Output == nil }

// Message is a wsdl:message in the place an operation uses it.
type Message struct {
	Name  QName
	Label string // name of the wsdl:input or wsdl:output; may be empty
	Doc   string
	Pos   Position
	Parts []*Part

	node  *node // wsdl:message
	use   *node // wsdl:input, wsdl:output or wsdl:fault of a port type
	warns []Problem
}

// FaultMessage is a fault an operation declares.
type FaultMessage struct {
	Name    string
	Message *Message
}

// Part is a part of a message. Exactly one of Element and Type is set.
type Part struct {
	Name    string
	Pos     Position
	Element *Element
	Type    *Type
}

// Binding says how a port type travels.
type Binding struct {
	Name       QName
	Doc        string
	Pos        Position
	PortType   *PortType
	Version    SOAPVersion
	Transport  string // URI of the transport
	Operations []*BoundOperation

	// Policy is what the binding asks for; of its port too, if it has just
	// one. Never nil.
	Policy *Policy

	node *node
}

// BoundOperation is an operation as a SOAP binding sends it.
type BoundOperation struct {
	*Operation
	Pos    Position
	Action string // SOAPAction, without quotes
	Style  Style
	In     *BoundMessage // nil when the operation has no input
	Out    *BoundMessage // nil when the operation has no output
	Faults []*BoundFault

	// Wrapped reports the document/literal wrapped convention: one part, an
	// element named like the operation, whose type is a plain sequence.
	Wrapped bool

	// Policy is that of the binding with what the operation and its messages
	// add. Never nil.
	Policy *Policy

	bound *node // wsdl:operation of the binding
}

// BoundMessage is how one direction of an operation travels.
type BoundMessage struct {
	Message   *Message
	Use       Use
	Namespace string  // of the wrapper of RPC style
	Body      []*Part // parts that travel in the body, in order
	Headers   []*Header
	Multipart bool // a mime:multipartRelated binding

	// Attached are the parts that travel beside the envelope (WSDL 1.1 5,
	// Attachments Profile 1.0 3).
	Attached []*Attached

	// Action is the WS-Addressing action of the message: the one written
	// there, or the default (WS-Addressing Metadata 4.4). Never empty.
	Action string
}

// Attached is a part of a message that travels as an attachment.
type Attached struct {
	Part  *Part
	Types []string // media types it may have; empty: any
}

// Header is a SOAP header an operation declares.
type Header struct {
	Message   QName
	Part      *Part
	Use       Use
	Namespace string // of the block, if the part has a type
}

// BoundFault is a fault as a SOAP binding sends it.
type BoundFault struct {
	*FaultMessage
	Use       Use
	Namespace string // of the detail, if the part has a type

	// Action is the WS-Addressing action of the fault, as for BoundMessage.
	Action string
}

// Derivation says how a type was made from its base.
type Derivation int

// Kinds of derivation.
const (
	NotDerived Derivation = iota
	Restriction
	Extension
	ByList
	ByUnion
)

// Type is a simple or complex type. Built-in types are Types too.
type Type struct {
	Name QName // empty Local: anonymous
	Doc  string
	Pos  Position

	Builtin    bool // of XML Schema itself
	Complex    bool // may have attributes or elements
	Abstract   bool
	Mixed      bool
	Base       *Type // nil for xs:anyType only
	Derivation Derivation

	// Simple describes the text of a simple type or of simple content. It is
	// nil when the content is elements.
	Simple *Simple

	// Content is the whole content model, of the bases too. It is nil when
	// there are no elements.
	Content *Particle

	// Attributes are all attributes, of the bases too, without prohibited ones.
	Attributes   []*Attribute
	AnyAttribute *Wildcard

	// Array says that the type is an array of SOAP encoding. It is nil for
	// others.
	Array *Array

	// Derived are the types directly derived from this one, in document order.
	Derived []*Type

	// Owner names an anonymous type: the element or attribute it belongs to.
	Owner     string
	ownerType *Type

	node  *node
	in    *schema
	state fillState
}

// OwnerType returns the type inside which an anonymous type was written, or
// nil.
func (t *Type) OwnerType() *Type { return t.ownerType }

// Is reports whether t is base or derived from it.
func (t *Type) Is(base *Type) bool {
	for x := t; x != nil; x = x.Base {
		if x == base {
			return true
		}
	}
	return false
}

// BuiltinBase returns the nearest built-in type t is derived from, itself
// included.
func (t *Type) BuiltinBase() *Type {
	for x := t; x != nil; x = x.Base {
		if x.Builtin {
			return x
		}
	}
	return nil
}

// Variety is the kind of a simple type (XML Schema 2 2.5.1).
type Variety int

// Varieties.
const (
	Atomic Variety = iota
	List
	Union
)

// Simple describes text.
type Simple struct {
	Variety Variety
	Atom    *Type   // of Atomic: the built-in type it restricts
	Item    *Type   // of List
	Members []*Type // of Union
	Enum    []EnumValue
	Facets  []Facet // others than enumeration, nearest first

	size int // of Union: members, those of members included
}

// members returns how many types a check of s may have to look at.
func (s *Simple) members() int {
	switch {
	case s == nil:
		return 1
	case s.Variety == List && s.Item != nil:
		return s.Item.Simple.members()
	}
	return max(1, s.size)
}

// EnumValue is one value of an enumeration.
type EnumValue struct {
	Value string
	Doc   string
}

// Facet restricts the values of a simple type (XML Schema 2 4.3).
type Facet struct {
	Name  string // such as "maxLength"
	Value string
}

// Element is a global or local element declaration.
type Element struct {
	Name     QName // as on the wire: no Space when unqualified
	Doc      string
	Pos      Position
	Type     *Type
	Global   bool
	Nillable bool
	Abstract bool
	Default  *string
	Fixed    *string

	// ContentTypes are the media types expected in a binary element, as
	// xmime:expectedContentTypes lists them for it or its type. Mostly empty.
	ContentTypes string

	// Head is the element this one may stand in for, Members the elements
	// that may stand in for this one, directly or not, in document order.
	Head    *Element
	Members []*Element
}

// Attribute is an attribute as a type uses it.
type Attribute struct {
	Name     QName
	Doc      string
	Pos      Position
	Type     *Type
	Required bool
	Default  *string
	Fixed    *string
}

// ParticleKind tells particles apart.
type ParticleKind int

// Kinds of particles.
const (
	Sequence ParticleKind = iota
	Choice
	All
	ElementParticle
	AnyParticle
)

// Unbounded is a Max without limit.
const Unbounded = -1

// Particle is a node of a content model. References to groups are replaced by
// what they refer to.
type Particle struct {
	Kind     ParticleKind
	Min, Max int // Max may be Unbounded
	Children []*Particle
	Element  *Element  // of ElementParticle
	Wildcard *Wildcard // of AnyParticle
	Pos      Position
}

// Repeats reports whether the particle may occur more than once.
func (p *Particle) Repeats() bool { return p.Max == Unbounded || p.Max > 1 }

// Wildcard is an xs:any or xs:anyAttribute.
type Wildcard struct {
	// Namespaces are those allowed, "" for none, unless Any is set.
	Namespaces []string
	Any        bool // ##any
	Not        bool // ##other: all but Namespaces
	Process    string
}

// Allows reports whether a name in space may stand for the wildcard.
func (w *Wildcard) Allows(space string) bool {
	if w.Any {
		return true
	}
	for _, n := range w.Namespaces {
		if n == space {
			return !w.Not
		}
	}
	return w.Not && space != ""
}
