// Package wsdl reads WSDL 1.1 descriptions and the XML schemas they use.
//
//   - Resolver reads a description and everything it imports, from files or
//     through an http.Client, so that descriptions behind a login work too.
//   - Definitions is the result: services, bindings, operations and types with
//     every name resolved, in document order.
//   - Error lists what is wrong with a description, each Problem with file,
//     line and column, as many as were found at once.
//
// A program that wants Go code uses package wsdl/gen, or the command
// "soapward generate", instead of this package.
//
// A description with mistakes is read as far as it can be understood. What is
// obviously meant is taken, and what is nowhere may be any XML: both are
// Warnings, with their places. An operation without a message is Dropped.
// A document that cannot be read is an error if something of it is needed.
//
// Policy, of a Binding, Port or BoundOperation, is what the service asks of its
// callers: TLS, logins, WS-Addressing, MTOM.
//
// Documents are input from strangers: document type declarations are refused
// or, in schemas, not read, sizes, depths and counts are bounded, a document
// from the network cannot reach files, and credentials go to the origin of the
// first document only.
//
// Compatibility: the model only describes; fields are added, never given
// another meaning, within a major version.
package wsdl
