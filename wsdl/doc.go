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
// Documents are input from strangers: document type declarations are refused,
// sizes, depths and counts are bounded, a document from the network cannot
// reach files, and credentials go to the origin of the first document only.
//
// Compatibility: the model only describes; fields are added, never given
// another meaning, within a major version.
package wsdl
