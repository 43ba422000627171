// Package message writes and reads SOAP messages by their description, without
// generated code.
//
//   - Operations lists what a description offers, Find picks one operation by
//     name, port and SOAP version.
//   - Body is one direction of an operation: what the SOAP body may hold. It
//     makes an example (Template), and turns JSON or key=value arguments into
//     XML and XML into JSON.
//   - Request is what a caller gave, ready to be sent.
//
// "soapward call" is this package as a command. Programs that know their
// service when they are compiled are better served by package wsdl/gen.
//
// # JSON
//
// An object has one member for each element, named by its local name, in any
// order: the order on the wire is that of the schema. A repeated element is an
// array. Attributes are "@name", the text of an element that has attributes is
// "#text", an xsi:type is "@type", an element that is xsi:nil is null. Numbers
// keep their digits; those that JSON cannot write, such as INF, and all other
// values are strings, but for booleans. What xs:any allows is XML in strings:
// the elements in "#any", and "#xml" the content of an element of any type.
//
// An array of SOAP encoding (rpc/encoded) is a list, one of two dimensions a
// list of lists; "@type" is there where it says more than the description.
//
// Where the order of different elements matters, as in a repeated choice, and
// in mixed content, "#content" is an array of objects with one member each, and
// of strings. Names that would be ambiguous are written {namespace}name.
//
// Descriptions and messages are input from strangers: what is made of them is
// bounded, and types that contain themselves end.
//
// Compatibility: exported names keep their meaning within a major version. The
// wording and the layout of templates may change.
package message
